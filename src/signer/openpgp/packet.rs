//! Packets: a tag and a body (RFC 9580, section 4).

use crate::signer::bytes::Bytes;

/// The tags that mean something here.
pub(super) const SIGNATURE: u8 = 2;
pub(super) const KEY: u8 = 6;
pub(super) const USER_ID: u8 = 13;
pub(super) const SUBKEY: u8 = 14;

/// One packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Packet<'a> {
    pub(super) tag: u8,
    pub(super) body: &'a [u8],
}

/// The packets of some bytes, one after the other; a damaged one is `Some(None)` and the last.
pub(super) struct Packets<'a>(pub(super) &'a [u8]);

impl<'a> Iterator for Packets<'a> {
    type Item = Option<Packet<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let mut bytes = Bytes(self.0);
        let packet = read(&mut bytes);
        self.0 = if packet.is_some() { bytes.0 } else { &[] };
        Some(packet)
    }
}

fn read<'a>(bytes: &mut Bytes<'a>) -> Option<Packet<'a>> {
    let head = bytes.byte()?;
    let (tag, length) = match (head & 0x80, head & 0x40, head & 0x03) {
        (0, _, _) => return None,
        (_, 0, 0) => (head >> 2 & 0x0f, usize::from(bytes.byte()?)),
        (_, 0, 1) => (head >> 2 & 0x0f, usize::from(bytes.short()?)),
        (_, 0, 2) => (head >> 2 & 0x0f, usize::try_from(bytes.word()?).ok()?),
        // One without a length: neither keys nor signatures are written so.
        (_, 0, _) => return None,
        _ => (head & 0x3f, length(bytes)?),
    };
    Some(Packet { tag, body: bytes.take(length)? })
}

/// Reads a length of one, two or five bytes. One in parts, which streams have, is refused.
fn length(bytes: &mut Bytes<'_>) -> Option<usize> {
    match bytes.byte()? {
        short @ 0..192 => Some(usize::from(short)),
        high @ 192..224 => Some((usize::from(high) - 192) * 256 + usize::from(bytes.byte()?) + 192),
        224..255 => None,
        255 => usize::try_from(bytes.word()?).ok(),
    }
}

/// One of the fields of a signature, which are packets in small.
pub(super) struct Field<'a> {
    pub(super) kind: u8,
    pub(super) critical: bool,
    pub(super) body: &'a [u8],
}

/// Reads the fields of a signature; nothing when they are damaged.
pub(super) fn fields(mut bytes: Bytes<'_>) -> Option<Vec<Field<'_>>> {
    let mut fields = Vec::new();
    while bytes.end().is_none() {
        // Fields have no lengths in parts, and their two-byte lengths go further.
        let length = match bytes.byte()? {
            short @ 0..192 => usize::from(short),
            255 => usize::try_from(bytes.word()?).ok()?,
            high => (usize::from(high) - 192) * 256 + usize::from(bytes.byte()?) + 192,
        };
        let (kind, body) = bytes.take(length)?.split_first()?;
        fields.push(Field { kind: kind & 0x7f, critical: kind & 0x80 != 0, body });
    }
    Some(fields)
}
