//! Reads fields off the start of bytes; what is cut short is nothing.

/// What is still to be read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bytes<'a>(pub(super) &'a [u8]);

impl<'a> Bytes<'a> {
    /// Returns the next so many bytes.
    pub(super) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    /// Returns the next byte.
    pub(super) fn byte(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// Returns a number of two bytes, the high one first.
    pub(super) fn short(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    /// Returns a number of four bytes, the highest first.
    pub(super) fn word(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    /// Returns what follows its own length of four bytes: a string of SSH (RFC 4251).
    pub(super) fn string(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.word()?).ok()?;
        self.take(length)
    }

    /// Returns a positive number of SSH without leading zeros; it must be written in the shortest way.
    pub(super) fn mpint(&mut self) -> Option<&'a [u8]> {
        match self.string()? {
            [0, rest @ ..] if rest.first().is_some_and(|high| *high >= 0x80) => Some(rest),
            whole @ [1..0x80, ..] => Some(whole),
            _ => None,
        }
    }

    /// Returns a number of OpenPGP, which follows its length in bits (RFC 9580, section 3.2).
    pub(super) fn mpi(&mut self) -> Option<&'a [u8]> {
        let bits = usize::from(self.short()?);
        self.take(bits.div_ceil(8))
    }

    /// Says that there must be nothing more.
    pub(super) fn end(self) -> Option<()> {
        self.0.is_empty().then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::Bytes;

    #[test]
    fn numbers_of_ssh_are_written_in_one_way_only() {
        let cases: [(&[u8], Option<&[u8]>); 7] = [
            (&[0, 0, 0, 1, 5], Some(&[5])),
            (&[0, 0, 0, 2, 0, 0x80], Some(&[0x80])),
            (&[0, 0, 0, 1, 0x80], None),
            (&[0, 0, 0, 2, 0, 5], None),
            (&[0, 0, 0, 0], None),
            (&[0, 0, 0, 1, 0], None),
            (&[0, 0, 0, 9, 5], None),
        ];
        for (bytes, number) in cases {
            assert_eq!(Bytes(bytes).mpint(), number, "{bytes:?}");
        }
    }
}
