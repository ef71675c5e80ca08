//! What is told of drift.

use serde::Deserialize;
use serde::Serialize;

use crate::application::Name;
use crate::application::Target;
use crate::commit::CommitId;
use crate::moment::Moment;
use crate::object::ObjectId;

use super::Problem;

/// What somebody else changed of what a run had applied, and what was done about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drift {
    /// The run that looked at it.
    pub run: String,
    /// The source of the commit.
    pub source: Name,
    /// The target.
    pub target: Target,
    /// The commit that had been applied.
    pub commit: CommitId,
    /// What was found.
    pub objects: Vec<Drifted>,
    /// Was it made as declared again?
    pub corrected: bool,
    /// What stood in the way.
    pub problems: Vec<Problem>,
    /// Over which of the objects windlass and somebody else fight.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fights: Vec<Fight>,
}

impl Drift {
    /// Returns the word for what became of it: `corrected`, `reported` or `failed`.
    #[must_use]
    pub fn outcome(&self) -> &'static str {
        match (self.corrected, self.problems.is_empty()) {
            (true, true) => "corrected",
            (false, true) => "reported",
            (_, false) => "failed",
        }
    }
}

/// An object that somebody else changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drifted {
    /// The object.
    pub object: ObjectId,
    /// The fields that differed, without their values; none where the object was gone, or should not be there.
    pub fields: Vec<String>,
    /// Who wrote it last, as the server knows them.
    pub by: Option<String>,
    /// When, in the server's words.
    pub since: Option<String>,
}

/// That windlass and another manager both go on setting the same fields of an object. It is not written after drift, until
/// another commit or a person asks for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fight {
    /// The object.
    pub object: ObjectId,
    /// The other manager.
    pub by: String,
    /// The fields, without their values.
    pub fields: Vec<String>,
    /// The commit that windlass applies.
    pub commit: CommitId,
    /// How often windlass had corrected it when it gave way.
    pub times: u32,
    /// When it did so first.
    pub since: Moment,
}
