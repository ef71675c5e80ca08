//! A commit as Git stores it, split into its signature and what that is over.

use super::Refusal;
use crate::commit::CommitId;

/// How every header of a signature begins. Git leaves out of what is signed all that begin so: a commit that is known by
/// two ids has one for each.
const PREFIX: &[u8] = b"gpgsig";
/// The header that counts, by the digest that names commits.
const BY_SHA1: &[u8] = b"gpgsig ";
const BY_SHA256: &[u8] = b"gpgsig-sha256 ";
/// How many digits has an id by SHA-256?
const SHA256_DIGITS: usize = 64;

/// A commit and its signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Signed {
    /// What the signature is over: the commit without its signatures.
    pub(super) payload: Vec<u8>,
    /// The signature in its armour.
    pub(super) signature: Option<Vec<u8>>,
    /// When it was committed by its own words, in seconds since 1970.
    pub(super) made: i64,
}

/// To what does a line that goes on belong?
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Payload,
    Signature,
    Other,
}

/// Splits a commit.
pub(super) fn split(id: &CommitId, object: &[u8]) -> Result<Signed, Refusal> {
    let own = if id.as_str().len() == SHA256_DIGITS { BY_SHA256 } else { BY_SHA1 };
    if !object.starts_with(b"tree ") {
        return Err(Refusal::Unreadable("the commit does not begin with its tree"));
    }
    let (mut payload, mut signature, mut part) = (Vec::with_capacity(object.len()), None, Part::Payload);
    let mut made = None;
    let mut rest = object;
    while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
        let (line, after) = rest.split_at(end + 1);
        if line == b"\n" {
            // The message; what looks like a header in it is none.
            break;
        }
        rest = after;
        let mut text = line;
        if let Some(more) = line.strip_prefix(b" ") {
            text = if part == Part::Signature { more } else { line };
        } else if let Some(first) = line.strip_prefix(own) {
            if signature.is_some() {
                return Err(Refusal::Unreadable("the commit carries two of them"));
            }
            (part, text) = (Part::Signature, first);
        } else {
            part = if line.starts_with(PREFIX) { Part::Other } else { Part::Payload };
            made = made.or_else(|| line.strip_prefix(b"committer ").map(time));
        }
        match part {
            Part::Payload => payload.extend_from_slice(text),
            Part::Signature => signature.get_or_insert_with(Vec::new).extend_from_slice(text),
            Part::Other => {}
        }
    }
    payload.extend_from_slice(rest);
    let made = made.flatten().ok_or(Refusal::Unreadable("the commit does not say when it was made"))?;
    Ok(Signed { payload, signature, made })
}

/// Returns the time of a person's line: `Name <mail> seconds zone`.
fn time(line: &[u8]) -> Option<i64> {
    let end = line.iter().rposition(|byte| *byte == b'>')?;
    let rest = std::str::from_utf8(line.get(end + 1..)?).ok()?;
    rest.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::split;
    use crate::commit::CommitId;

    fn of(object: &str, digits: usize) -> Option<(String, Option<String>, i64)> {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let signed = split(&CommitId::parse(&"a".repeat(digits)).unwrap(), object.as_bytes()).ok()?;
        Some((text(signed.payload), signed.signature.map(text), signed.made))
    }

    const HEAD: &str = "tree t\nauthor A <a> 1 +0000\ncommitter C <c> 2 +0000\n";

    #[test]
    fn every_header_that_begins_so_is_left_out_and_one_counts() {
        let both = format!("{HEAD}gpgsig a\n b\n \n c\ngpgsig-sha256 d\n e\nencoding x\n\ngpgsig f\n g\n");
        let payload = format!("{HEAD}encoding x\n\ngpgsig f\n g\n");
        assert_eq!(of(&both, 40), Some((payload.clone(), Some("a\nb\n\nc\n".to_owned()), 2)));
        assert_eq!(of(&both, 64), Some((payload, Some("d\ne\n".to_owned()), 2)));
    }

    #[test]
    fn headers_that_go_on_are_part_of_what_is_signed() {
        let merge = format!("{HEAD}mergetag object o\n gpgsig x\n \n gpgsig y\n\nwords");
        assert_eq!(of(&merge, 40), Some((merge.clone(), None, 2)));
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_not_read() {
        for object in [
            format!("{HEAD}gpgsig a\ngpgsig b\n\n"),
            format!("gpgsig a\n{HEAD}\n"),
            "tree t\ncommitter C <c> soon\n\n".to_owned(),
            "tree t\n\ncommitter C <c> 2 +0000\n".to_owned(),
            String::new(),
        ] {
            assert_eq!(of(&object, 40), None, "{object}");
        }
    }
}
