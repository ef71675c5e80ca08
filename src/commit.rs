//! Commits and refs, by the names that Git gives them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The id of a commit: 40 (SHA-1) or 64 (SHA-256) lowercase hexadecimal digits, never all zeros.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CommitId(String);

/// A text that is not what it was read as; holds the text, cut to 80 characters.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{expected}, not `{found}`")]
pub struct Malformed {
    /// What was expected, for the reader.
    pub expected: &'static str,
    /// The text that was refused.
    pub found: String,
}

impl Malformed {
    /// Says what was expected, and keeps as much of what was found as a message can bear.
    #[must_use]
    pub fn new(expected: &'static str, found: &str) -> Self {
        Self { expected, found: found.chars().take(80).collect() }
    }
}

impl CommitId {
    /// Reads an id; uppercase digits are refused because no forge sends them.
    ///
    /// # Errors
    /// Anything but 40 or 64 lowercase hexadecimal digits, and the zero id.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let digits = text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if !matches!(text.len(), 40 | 64) || !digits || is_zero(text) {
            return Err(Malformed::new("a commit id has 40 or 64 lowercase hexadecimal digits", text));
        }
        Ok(Self(text.to_owned()))
    }

    /// Reads the `before` or `after` of a push, where zeros say "nothing".
    ///
    /// # Errors
    /// As [`CommitId::parse`], except that the zero id is `None`.
    pub fn parse_or_zero(text: &str) -> Result<Option<Self>, Malformed> {
        if matches!(text.len(), 40 | 64) && is_zero(text) { Ok(None) } else { Self::parse(text).map(Some) }
    }

    /// Returns all digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the first twelve digits, for people.
    #[must_use]
    pub fn short(&self) -> &str {
        self.0.get(..12).unwrap_or(&self.0)
    }
}

fn is_zero(text: &str) -> bool {
    text.bytes().all(|b| b == b'0')
}

impl TryFrom<String> for CommitId {
    type Error = Malformed;
    fn try_from(text: String) -> Result<Self, Malformed> {
        Self::parse(&text)
    }
}

impl From<CommitId> for String {
    fn from(id: CommitId) -> Self {
        id.0
    }
}

impl fmt::Display for CommitId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// What a target's render reads, as one text that changes when any of it does: today the id of the Git tree at the
/// application's path, or `absent`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Inputs(pub String);

impl Inputs {
    /// Returns the inputs of a path that the commit does not have.
    #[must_use]
    pub fn absent() -> Self {
        Self("absent".to_owned())
    }
}

impl fmt::Display for Inputs {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// A full ref name, such as `refs/heads/main`; a branch and a tag of the same name differ.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RefName(String);

/// How long a ref name may be, in bytes?
const REF_NAME_BYTES: usize = 255;

impl RefName {
    /// Reads a full ref name by the rules of `git check-ref-format`.
    ///
    /// # Errors
    /// Names outside `refs/`, over 255 bytes, or that Git refuses.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let refused = !text.starts_with("refs/")
            || text.len() > REF_NAME_BYTES
            || text.contains("..")
            || text.contains("@{")
            || text.bytes().any(|b| b <= b' ' || b == 0x7f || b"~^:?*[\\".contains(&b))
            || text
                .split('/')
                .any(|part| part.is_empty() || part.starts_with('.') || part.ends_with(".lock"))
            || text.ends_with('.');
        if refused {
            return Err(Malformed::new("a full ref name starts with refs/, such as refs/heads/main", text));
        }
        Ok(Self(text.to_owned()))
    }

    /// Returns the name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns whether it is a tag's.
    #[must_use]
    pub fn is_tag(&self) -> bool {
        self.0.starts_with("refs/tags/")
    }
}

impl TryFrom<String> for RefName {
    type Error = Malformed;
    fn try_from(text: String) -> Result<Self, Malformed> {
        Self::parse(&text)
    }
}

impl From<RefName> for String {
    fn from(name: RefName) -> Self {
        name.0
    }
}

impl fmt::Display for RefName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::{CommitId, RefName};

    #[test]
    fn commit_ids_are_full_lowercase_and_not_zero() {
        let cases = [
            ("a".repeat(40), true),
            ("0123456789abcdef".repeat(4), true),
            ("A".repeat(40), false),
            ("a".repeat(39), false),
            ("0".repeat(40), false),
            ("g".repeat(40), false),
            (String::new(), false),
        ];
        for (text, fine) in cases {
            assert_eq!(CommitId::parse(&text).is_ok(), fine, "{text}");
        }
        assert_eq!(CommitId::parse_or_zero(&"0".repeat(64)), Ok(None));
        assert!(CommitId::parse_or_zero("000").is_err());
    }

    #[test]
    fn ref_names_are_full_and_well_formed() {
        let cases = [
            ("refs/heads/main", true),
            ("refs/tags/v1.0", true),
            ("refs/heads/feature/x", true),
            ("main", false),
            ("refs/heads/a..b", false),
            ("refs/heads/a b", false),
            ("refs/heads//a", false),
            ("refs/heads/.hidden", false),
            ("refs/heads/x.lock", false),
            ("refs/heads/a:b", false),
            ("refs/heads/a\n", false),
        ];
        for (text, fine) in cases {
            assert_eq!(RefName::parse(text).is_ok(), fine, "{text:?}");
        }
    }
}
