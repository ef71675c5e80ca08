//! Work for one target: pointers and reasons, never payloads.

use serde::{Deserialize, Serialize};

use crate::application::Application;
use crate::application::Name;
use crate::application::Target;
use crate::commit::CommitId;
use crate::commit::Inputs;
use crate::moment::Moment;
use crate::object::ObjectId;

/// The version of [`Job`] and [`Watch`] that this windlass writes.
pub const VERSION: u32 = 1;

/// A job: make the tip of the application's ref true in one cluster, and answer for one commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// The version of this form: [`VERSION`].
    pub version: u32,
    /// The target.
    pub target: Target,
    /// The dispatch that made it.
    pub dispatch: String,
    /// The application as it was defined when dispatched.
    pub application: Application,
    /// The number of that definition; a target never goes back to a lower one.
    pub definition: u64,
    /// The commit that this job answers for. It was seen in the repository, but the tip is what is deployed.
    pub commit: CommitId,
    /// What the target reads at `commit`.
    pub inputs: Inputs,
    /// Where the ref stood before, as the event said; a tip that still stands there may be a lagging replica.
    pub before: Option<CommitId>,
    /// Why.
    pub reason: Reason,
    /// When the event reached windlass.
    pub received_at: Moment,
}

/// Why a target is worked on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Its inputs or its definition changed since they were last dispatched.
    Moved,
    /// Nothing is known to have changed, but the last work on it is open, failed or unknown: a full pass is made.
    Unsure,
}

/// The wait for health that a pass hands over, so that its partition is free.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watch {
    /// The version of this form: [`VERSION`].
    pub version: u32,
    /// The target.
    pub target: Target,
    /// The dispatch that the run answers.
    pub dispatch: String,
    /// The run that wrote the objects.
    pub run: String,
    /// The source of the commit.
    pub source: Name,
    /// The commit that was applied.
    pub commit: CommitId,
    /// What the target read; when the parent says otherwise, this wait is over.
    pub inputs: Inputs,
    /// The objects to wait for, with their `apiVersion`.
    pub objects: Vec<(String, ObjectId)>,
    /// Until when they may take.
    pub deadline: Moment,
    /// When the event reached windlass.
    pub received_at: Moment,
    /// How many objects were created, configured, left unchanged and pruned.
    pub tally: crate::outcome::Tally,
}
