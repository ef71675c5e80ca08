//! Why a pass could not go on.

use crate::application::Name;
use crate::commit::CommitId;
use crate::fault::Fault;
use crate::outcome::Problem;
use crate::signer::Refusal;

/// Why a pass could not go on; each message reads on after "failed to".
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The job names a cluster that the settings do not.
    #[error("find cluster {0} in the settings: add it, or take it out of the application")]
    UnknownCluster(Name),
    /// The job names a source that the settings do not.
    #[error("find source {0} in the settings: add it, or change the application")]
    UnknownSource(Name),
    /// Another installation of windlass writes this target.
    #[error(
        "take the fence: this target belongs to the installation `{0}`; rename the application, or delete its parent \
         ConfigMap once that installation no longer runs"
    )]
    Foreign(String),
    /// The cluster has another name too, under which this target is written.
    #[error(
        "take the fence: cluster {0} holds this target as cluster `{1}` already; give one of the two another \
         namespace or take it out, or, where it was only renamed, delete the key `cluster` of its parent ConfigMap"
    )]
    Twice(Name, String),
    /// Another run took the fence meanwhile.
    #[error("go on: run {0} has taken the fence")]
    Overtaken(String),
    /// An object belongs to another application.
    #[error("apply {0}: it belongs to {1}; remove it there first, or here")]
    Owned(crate::object::ObjectId, String),
    /// An object that moves here from another application was written by that one meanwhile.
    #[error("apply {0}: the application that it moves from wrote it meanwhile")]
    Moving(crate::object::ObjectId),
    /// An object that the commit declares is still being deleted.
    #[error("apply {0} while it is being deleted: its finalizers have to end first")]
    Leaving(crate::object::ObjectId),
    /// What objects need is not there yet: another application may bring it.
    #[error("check {0}")]
    Early(Box<Problem>),
    /// Who signed the commit is not who must.
    #[error("verify {} of source {source_name}: it {refusal}", .commit.short())]
    Signature {
        /// The commit.
        commit: CommitId,
        /// The source.
        source_name: Name,
        /// Why not, and what to do.
        refusal: Refusal,
    },
    /// The repository shows the ref where it stood before the push.
    #[error("see the pushed commit at the tip of its ref yet")]
    Lagging,
    /// This process is about to end.
    #[error("begin to write: this process is stopping, and another one goes on")]
    WindingDown,
    /// The source.
    #[error(transparent)]
    Source(#[from] crate::source::Error),
    /// The cluster.
    #[error(transparent)]
    Cluster(#[from] crate::cluster::Error),
    /// The queue.
    #[error(transparent)]
    Queue(#[from] crate::queue::Error),
}

impl Error {
    /// Returns whose turn it is.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::UnknownCluster(_) | Self::UnknownSource(_) | Self::Foreign(_) | Self::Twice(..) => {
                Fault::Ours
            }
            Self::Owned(..) | Self::Signature { .. } => Fault::Theirs,
            Self::Overtaken(_)
            | Self::Lagging
            | Self::Leaving(_)
            | Self::Moving(_)
            | Self::Early(_)
            | Self::WindingDown => Fault::Passing,
            Self::Queue(error) => error.fault(),
            Self::Source(error) => error.fault(),
            Self::Cluster(error) => error.fault(),
        }
    }

    /// Returns it as a problem for a report.
    #[must_use]
    pub fn problem(&self) -> Problem {
        Problem { object: None, place: None, message: format!("failed to {}", crate::fault::chain(self)) }
    }
}
