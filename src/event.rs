//! What may have happened, as hints that never decide what is deployed.

use serde::{Deserialize, Serialize};

use crate::application::Name;
use crate::application::Target;
use crate::commit::CommitId;
use crate::commit::RefName;
use crate::moment::Moment;

/// What an authentic delivery says, as read by a forge's rules.
#[derive(Clone, Debug, PartialEq, Eq)]
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Push {
    /// The repository as `owner/name`, or with more groups before it where the forge has such.
    pub repository: String,
    /// The ref.
    pub reference: RefName,
    /// The commit before; `None` when the ref is new or the forge does not say.
    pub before: Option<CommitId>,
    /// The commit after; `None` when the ref was deleted.
    pub after: Option<CommitId>,
}

/// The version of [`Event`] that this windlass writes; older ones are read, newer ones are buried.
pub const VERSION: u32 = 1;

/// Something that may call for work on one source: what travels from the doors to dispatch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// The version of this form: [`VERSION`].
    pub version: u32,
    /// What this event is called in logs and records; a delivery's own id where it has one.
    pub id: String,
    /// The source.
    pub source: Name,
    /// What may have happened.
    pub what: What,
    /// When it reached windlass.
    pub received_at: Moment,
}

/// What may have happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum What {
    /// A delivery says that a ref moved.
    Push {
        /// The ref.
        #[serde(rename = "ref")]
        reference: RefName,
        /// The commit before, where the forge says so.
        before: Option<CommitId>,
        /// The commit after; `None` when the ref was deleted.
        after: Option<CommitId>,
    },
    /// The sweep saw a ref elsewhere than where windlass last knew it.
    Sweep {
        /// The ref.
        #[serde(rename = "ref")]
        reference: RefName,
    },
    /// Somebody asks for a pass of a target, whatever dispatch remembers of it.
    Again {
        /// The target.
        target: Target,
        /// A commit whose verdict for that target is overdue.
        commit: Option<CommitId>,
    },
}
