//! The trace context: which trace a piece of work belongs to, as it rides with messages from station to station.
//!
//! It is written as W3C Trace Context writes it, version 00: `00-<trace>-<span>-<flags>`, in lowercase hex
//! (<https://www.w3.org/TR/trace-context/>). What is written otherwise is no trace.

use std::fmt;

/// How long is a trace context as text?
pub const BYTES: usize = 55;

/// Flags of a new trace: it is recorded, by whoever records.
const RECORDED: u8 = 1;

/// How many low bits of a trace's id does everybody make at random? By them all processes agree which traces are kept.
const RANDOM_BITS: u32 = 56;

/// One span of one trace. Invariant: neither id is zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Trace {
    id: u128,
    span: u64,
    flags: u8,
}

impl Trace {
    /// Returns the first span of a trace; `None` where an id is zero, which means that there is none.
    #[must_use]
    pub fn of(id: u128, span: u64) -> Option<Self> {
        (id != 0 && span != 0).then_some(Self { id, span, flags: RECORDED })
    }

    /// Returns another span of the same trace; where its id is zero, the same span.
    #[must_use]
    pub fn with_span(self, span: u64) -> Self {
        if span == 0 { self } else { Self { span, ..self } }
    }

    /// Reads a trace context; `None` where it is none, also where a later version wrote it, which is not known here.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != BYTES {
            return None;
        }
        let mut parts = text.split('-');
        let (version, id, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() || version != "00" || flags.len() != 2 {
            return None;
        }
        let flags = u8::try_from(number(flags)?).ok()?;
        let span = u64::try_from(number(sized(span, 16)?)?).ok()?;
        let trace = Self::of(number(sized(id, 32)?)?, span)?;
        Some(Self { flags, ..trace })
    }

    /// Returns the id of the trace as people and collectors write it.
    #[must_use]
    pub fn id(self) -> String {
        format!("{:032x}", self.id)
    }

    /// Returns the id of the trace in bytes.
    #[must_use]
    pub fn id_bytes(self) -> [u8; 16] {
        self.id.to_be_bytes()
    }

    /// Returns the id of the span in bytes.
    #[must_use]
    pub fn span_bytes(self) -> [u8; 8] {
        self.span.to_be_bytes()
    }

    /// Returns whether the trace is among so many percent of all, the same ones in every process.
    #[must_use]
    pub fn is_among(self, percent: u8) -> bool {
        let all = 1_u128 << RANDOM_BITS;
        (self.id % all) * 100 < all * u128::from(percent)
    }
}

fn sized(text: &str, length: usize) -> Option<&str> {
    Some(text).filter(|text| text.len() == length)
}

/// Reads hex as the specification writes it: in lowercase, and without the sign that Rust would take.
fn number(text: &str) -> Option<u128> {
    let fine = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    u128::from_str_radix(text, 16).ok().filter(|_| fine)
}

impl fmt::Display for Trace {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "00-{:032x}-{:016x}-{:02x}", self.id, self.span, self.flags)
    }
}

impl fmt::Debug for Trace {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification.
    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn what_the_specification_writes_is_read_and_written_again() {
        for text in [GOOD, "00-00000000000000000000000000000001-0000000000000001-ff"] {
            let trace = Trace::parse(text).unwrap();
            assert_eq!(trace.to_string(), text);
            assert_eq!(text.len(), BYTES);
        }
        let trace = Trace::parse(GOOD).unwrap();
        assert_eq!(trace.id(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(hex::encode(trace.id_bytes()), trace.id());
        assert_eq!(hex::encode(trace.span_bytes()), "00f067aa0ba902b7");
    }

    #[test]
    fn whatever_else_is_written_is_no_trace() {
        for text in [
            "",
            "00",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473-600f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0x",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7--1",
            "00_4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7_01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902\u{e9}-01",
        ] {
            assert_eq!(Trace::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_share_of_the_traces_is_the_same_everywhere_and_about_as_large() {
        let first = Trace::of(1 << RANDOM_BITS, 1).unwrap();
        assert!(first.is_among(1) && first.is_among(100) && !first.is_among(0));
        let last = Trace::of(u128::MAX, 1).unwrap();
        assert!(!last.is_among(99) && last.is_among(100));
        let step = (1_u128 << RANDOM_BITS) / 1000;
        let kept = (0..1000).filter(|number| Trace::of(1 + number * step, 1).unwrap().is_among(25)).count();
        assert!((249..=251).contains(&kept), "{kept}");
    }
}
