//! How work ended: phases, changes, problems, and the reports that carry them.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::application::Name;
use crate::application::Target;
use crate::commit::CommitId;
use crate::commit::Inputs;
use crate::explanation::Considered;
use crate::explanation::Heard;
use crate::moment::Moment;
use crate::object::ObjectId;
use crate::object::Place;

mod drift;
mod tally;

pub use drift::Drift;
pub use drift::Drifted;
pub use drift::Fight;
pub use tally::Counts;
pub use tally::Tally;

/// The newest version of [`Report`] that this windlass reads. The second one knows of deliveries, the third one of drift,
/// the fourth one of what is held or rolled back.
pub const VERSION: u32 = 4;

/// How far the work for a commit and a target has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Dispatched.
    Pending,
    /// A pass has begun.
    Running,
    /// The cluster holds what the commit declares; its health is being waited for.
    Applied,
    /// The objects work. Final.
    Healthy,
    /// The commit cannot be made true as it is. Final.
    Failed,
    /// Windlass could not do its part. Final.
    Error,
    /// Another commit took this one's place before it was proven. Final.
    Superseded,
}

impl Phase {
    /// Returns whether nothing more is expected.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(self, Self::Healthy | Self::Failed | Self::Error | Self::Superseded)
    }

    /// Returns the word that pages, logs and the store use.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Applied => "applied",
            Self::Healthy => "healthy",
            Self::Failed => "failed",
            Self::Error => "error",
            Self::Superseded => "superseded",
        }
    }

    /// Reads the word back.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        [
            Self::Pending,
            Self::Running,
            Self::Applied,
            Self::Healthy,
            Self::Failed,
            Self::Error,
            Self::Superseded,
        ]
        .into_iter()
        .find(|phase| phase.word() == word)
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.word())
    }
}

/// What a run did to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// It was not there before.
    Created,
    /// It was written because it differed.
    Configured,
    /// It was as declared; nothing was written.
    Unchanged,
    /// It left the commit and was deleted.
    Pruned,
    /// It left the commit but was not deleted.
    Kept,
}

impl Action {
    /// Returns the word for it, which is also how it is written down.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Configured => "configured",
            Self::Unchanged => "unchanged",
            Self::Pruned => "pruned",
            Self::Kept => "kept",
        }
    }
}

/// An object and what a run did to it. Never holds values of the object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The object.
    pub object: ObjectId,
    /// What was done.
    pub action: Action,
    /// Why, where it is not obvious: the guard that kept it, the fields that had drifted.
    pub note: Option<String>,
}

/// Something that stands in the way, in words for the author of the commit. Masked where it was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The object, where it is about one.
    pub object: Option<ObjectId>,
    /// Where in the commit it is declared, where that is known.
    pub place: Option<Place>,
    /// What is wrong, and what to do about it.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(object) = &self.object {
            write!(out, "{object}: ")?;
        }
        out.write_str(&self.message)?;
        if let Some(place) = &self.place {
            write!(out, " ({place})")?;
        }
        Ok(())
    }
}

/// That a target went back to an earlier commit, as the rows of both commits say it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rollback {
    /// The row is that of the commit which is made true again, and this is the one that was there before.
    From(CommitId),
    /// The row is that of the commit which was there before, and this is the one that is made true again.
    To(CommitId),
}

/// What travels to the store: everything that history and statuses are made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The version of this form: the second, unless it knows no such thing.
    pub version: u32,
    /// When it was made.
    pub at: Moment,
    /// What it says.
    pub what: Told,
}

impl Report {
    /// Makes a report, in the oldest form that can say it, so that one version older reads it too.
    #[must_use]
    pub fn new(at: Moment, what: Told) -> Self {
        let version = match what {
            Told::Held { .. } | Told::RolledBack { .. } => VERSION,
            Told::Drift(_) => 3,
            Told::Heard(_)
            | Told::Considered(_)
            | Told::Rerun { .. }
            | Told::Roster { .. }
            | Told::Run(_)
            | Told::Covered { .. }
            | Told::Superseded { .. }
            | Told::Waiting { .. }
            | Told::Buried { .. } => 2,
        };
        Self { version, at, what }
    }
}

/// What a report says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Told {
    /// A delivery was heard.
    Heard(Heard),
    /// Dispatch looked at an event of a delivery.
    Considered(Considered),
    /// Somebody asked to run the checks of these targets again: what is known of them is told to the forge once more.
    Rerun {
        /// The source of the commit.
        source: Name,
        /// The commit.
        commit: CommitId,
        /// The targets.
        targets: Vec<Target>,
    },
    /// An event touches these targets: their rows open as pending, and the aggregate counts them.
    Roster {
        /// The dispatch.
        dispatch: String,
        /// The source of the commit.
        source: Name,
        /// The commit.
        commit: CommitId,
        /// Every target that it touches.
        targets: Vec<Target>,
        /// When the event reached windlass.
        received_at: Moment,
    },
    /// A run has come further.
    Run(Progress),
    /// Somebody else changed what was applied.
    Drift(Drift),
    /// A commit shares the fate of a run that answers for it too.
    Covered {
        /// The dispatch that asked.
        dispatch: String,
        /// The source of the commit.
        source: Name,
        /// The commit.
        commit: CommitId,
        /// The target.
        target: Target,
        /// The run.
        run: String,
    },
    /// A commit was overtaken: its inputs differ from those of the tip.
    Superseded {
        /// The dispatch that asked.
        dispatch: String,
        /// The source of the commit.
        source: Name,
        /// The commit.
        commit: CommitId,
        /// The target.
        target: Target,
        /// The commit that overtook it.
        by: CommitId,
    },
    /// A job was put back, and will be tried again.
    Waiting {
        /// The dispatch that asked.
        dispatch: String,
        /// The source of the commit.
        source: Name,
        /// The commit.
        commit: CommitId,
        /// The target.
        target: Target,
        /// Why, in words for whoever waits for the verdict.
        why: String,
    },
    /// A commit waits for its target to open: a window closes it, or a pause.
    Held {
        /// The dispatch that asked.
        dispatch: String,
        /// The source of the commit.
        source: Name,
        /// The commit.
        commit: CommitId,
        /// The target.
        target: Target,
        /// What closes it, and until when, in words for whoever waits for the verdict.
        why: String,
    },
    /// An earlier commit is made true again in the place of this one.
    RolledBack {
        /// The dispatch that brought it about.
        dispatch: String,
        /// The source of the commit.
        source: Name,
        /// The commit that was made true before.
        commit: CommitId,
        /// The target.
        target: Target,
        /// The commit that is made true again.
        to: CommitId,
        /// Why, in words for the author of the commit.
        why: String,
    },
    /// A job was buried: its rows must not stay open.
    Buried {
        /// The dispatch that asked.
        dispatch: String,
        /// The source of the commit.
        source: Name,
        /// The commit.
        commit: CommitId,
        /// The target.
        target: Target,
        /// Why, in words for whoever runs windlass.
        why: String,
    },
}

impl Told {
    /// Returns the source and the target of what a worker tells; none of what only the rest of the line says.
    #[must_use]
    pub fn by_worker(&self) -> Option<(&Name, &Target)> {
        match self {
            Self::Run(Progress { source, target, .. })
            | Self::Drift(Drift { source, target, .. })
            | Self::Covered { source, target, .. }
            | Self::Superseded { source, target, .. }
            | Self::Waiting { source, target, .. }
            | Self::RolledBack { source, target, .. }
            | Self::Buried { source, target, .. } => Some((source, target)),
            Self::Heard(_)
            | Self::Considered(_)
            | Self::Rerun { .. }
            | Self::Roster { .. }
            | Self::Held { .. } => None,
        }
    }
}

/// A run, as far as it has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The run.
    pub run: String,
    /// The dispatch that it answers.
    pub dispatch: String,
    /// The source of the commit.
    pub source: Name,
    /// The target.
    pub target: Target,
    /// The commit that it makes true.
    pub commit: CommitId,
    /// What the target reads at that commit.
    pub inputs: Inputs,
    /// How far it has come.
    pub phase: Phase,
    /// What it did so far; empty where an earlier report of the run said it.
    pub changes: Vec<Change>,
    /// The numbers of all its changes.
    pub tally: Tally,
    /// What stands in the way; the first is the one that a short text shows.
    pub problems: Vec<Problem>,
    /// When the event reached windlass.
    pub received_at: Moment,
    /// The commit that was there before, where this one is made true again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback_from: Option<CommitId>,
}
