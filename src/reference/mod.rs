//! What an application follows: a ref by its full name, the highest tag within a range of versions, or one commit.

mod range;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::commit::CommitId;
use crate::commit::Malformed;
use crate::commit::RefName;

pub use range::Range;

/// What resolves to the commit that is made true.
///
/// It is written down as one text: a ref by its name, a commit by its id, a range as `tags ` and its own text. Names
/// start with `refs/` and ids are hexadecimal, so the three never meet.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Reference {
    /// The tip of this ref.
    Name(RefName),
    /// The highest version among the tags that this range covers.
    Tags(Range),
    /// This commit, wherever refs go.
    Commit(CommitId),
}

/// What comes before a range where a reference is written down.
const TAGS: &str = "tags ";

impl Reference {
    /// Reads a reference as it is written down.
    ///
    /// # Errors
    /// What is neither a ref name nor a commit id nor a range after `tags `.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        if let Some(range) = text.strip_prefix(TAGS) {
            return Range::parse(range).map(Self::Tags);
        }
        if text.starts_with("refs/") {
            return RefName::parse(text).map(Self::Name);
        }
        let commit = CommitId::parse(text).map(Self::Commit);
        commit.map_err(|_| {
            Malformed::new("a reference is a full ref name, a commit id or a range of tags", text)
        })
    }

    /// Returns whether a movement of this ref may change where the reference leads. A ref moves no fixed commit, and no
    /// range that does not cover it.
    #[must_use]
    pub fn follows(&self, moved: &RefName) -> bool {
        match self {
            Self::Name(name) => name == moved,
            Self::Tags(range) => range.covers(moved),
            Self::Commit(_) => false,
        }
    }

    /// Says that it leads nowhere, as a sentence without its end.
    #[must_use]
    pub fn absence(&self) -> String {
        match self {
            Self::Name(name) => format!("{name} does not exist"),
            Self::Tags(range) => format!("no tag is a version within {range}"),
            Self::Commit(commit) => format!("the repository has no commit {commit}"),
        }
    }
}

impl TryFrom<String> for Reference {
    type Error = Malformed;
    fn try_from(text: String) -> Result<Self, Malformed> {
        Self::parse(&text)
    }
}

impl From<Reference> for String {
    fn from(reference: Reference) -> Self {
        reference.to_string()
    }
}

impl From<RefName> for Reference {
    fn from(name: RefName) -> Self {
        Self::Name(name)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => name.fmt(out),
            Self::Tags(range) => write!(out, "{TAGS}{range}"),
            Self::Commit(commit) => commit.fmt(out),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Reference;
    use crate::commit::RefName;

    #[test]
    fn a_reference_is_read_as_it_was_written() {
        let long = "a1".repeat(32);
        for text in ["refs/heads/main", "refs/tags/v1", "tags >=1.2, <2", &"a".repeat(40), &long] {
            let reference = Reference::parse(text).unwrap();
            assert_eq!(reference.to_string(), text);
            let json = serde_json::to_string(&reference).unwrap();
            assert_eq!(serde_json::from_str::<Reference>(&json).unwrap(), reference, "{json}");
        }
        for text in ["main", "", "tags ", "tags x.y", "refs/heads/a b", "abc", &"A".repeat(40)] {
            assert!(Reference::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn only_what_may_lead_elsewhere_is_followed() {
        let fixed = "a".repeat(40);
        let kept = format!("refs/heads/{fixed}");
        for (reference, moved, follows) in [
            ("refs/heads/main", "refs/heads/main", true),
            ("refs/heads/v1", "refs/tags/v1", false),
            ("refs/tags/v1", "refs/heads/v1", false),
            ("tags 1.x", "refs/tags/v1.0.0", true),
            ("tags 1.x", "refs/heads/v1.0.0", false),
            ("tags 1.x", "refs/tags/v2.0.0", false),
            ("tags 1.x", "refs/tags/v1.1.0-rc.1", false),
            ("tags 1.x", "refs/tags/latest", false),
            (&fixed, &kept, false),
        ] {
            let (reference, moved) = (Reference::parse(reference).unwrap(), RefName::parse(moved).unwrap());
            assert_eq!(reference.follows(&moved), follows, "{reference} {moved}");
        }
    }
}
