//! What may have happened, as hints that never decide what is deployed.

use serde::{Deserialize, Serialize};

use crate::commit::CommitId;
use crate::commit::RefName;

/// What an authentic delivery says, as read by a forge's rules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Hint {
    /// A ref may have moved.
    Push(Push),
    /// Nothing to do, and why, in words for a person.
    Ignored {
        /// The reason, as it is answered to the forge.
        why: String,
    },
}

/// A ref that may have moved from one commit to another, as the forge tells it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Push {
    /// The repository as `owner/name`.
    pub repository: String,
    /// The ref.
    #[serde(rename = "ref")]
    pub reference: RefName,
    /// The commit before; `None` when the ref is new or the forge does not say.
    pub before: Option<CommitId>,
    /// The commit after; `None` when the ref was deleted.
    pub after: Option<CommitId>,
}
