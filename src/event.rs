//! What may have happened, as hints that never decide what is deployed.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::application::Name;
use crate::application::Target;
use crate::commit::CommitId;
use crate::commit::Inputs;
use crate::commit::RefName;
use crate::moment::Moment;

/// What an authentic delivery says, as read by a forge's rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hint {
    /// A ref may have moved.
    Push(Push),
    /// A pull request may want to be checked.
    PullRequest(PullRequest),
    /// Somebody pressed the button that runs a check again.
    Rerun(Rerun),
    /// Nothing to do, and why, in words for a person.
    Ignored {
        /// The reason, as it is answered to the forge.
        why: String,
    },
}

impl fmt::Display for Hint {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Push(push) => push.fmt(out),
            Self::PullRequest(PullRequest { repository, number, activity, head, base, fork }) => {
                let (from, head) = (if *fork { "a fork" } else { "its own repository" }, head.short());
                let activity = activity.word();
                write!(
                    out,
                    "pull request {number} of {repository} was {activity}: {head} from {from} for {base}"
                )
            }
            Self::Rerun(Rerun { repository, commit, target }) => match target {
                Some(target) => write!(out, "run the check of {target} again at {commit} of {repository}"),
                None => write!(out, "run all checks again at {commit} of {repository}"),
            },
            Self::Ignored { .. } => out.write_str("nothing"),
        }
    }
}

impl fmt::Display for Push {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { repository, reference, before, after, forced } = self;
        let how = if *forced { ", forced" } else { "" };
        match (before, after) {
            (Some(before), Some(after)) => {
                let before = before.short();
                write!(out, "push of {reference} in {repository} from {before} to {}{how}", after.short())
            }
            (None, Some(after)) => write!(out, "push of {reference} in {repository} to {}", after.short()),
            (_, None) => write!(out, "deletion of {reference} in {repository}"),
        }
    }
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
    /// Does the forge say that the ref did not move forward but was set elsewhere? Only GitHub says so.
    pub forced: bool,
}

/// A pull request, or merge request at GitLab, as the forge tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PullRequest {
    /// The repository that it would change, named as in [`Push`].
    pub repository: String,
    /// Its number in that repository.
    pub number: u64,
    /// What happened to it.
    pub activity: Activity,
    /// The commit that it proposes.
    pub head: CommitId,
    /// The branch that it would change.
    pub base: RefName,
    /// Does what it proposes come from another repository, or from one that is gone?
    pub fork: bool,
}

/// What happened to a pull request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activity {
    /// It was opened, opened again, or is no draft any more.
    Opened,
    /// What it proposes, or the branch that it would change, is another.
    Updated,
    /// It was merged or closed.
    Closed,
}

impl Activity {
    /// Returns the word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Updated => "updated",
            Self::Closed => "closed",
        }
    }
}

/// A wish to run checks of a commit again, as the forge tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rerun {
    /// The repository, named as in [`Push`].
    pub repository: String,
    /// The commit.
    pub commit: CommitId,
    /// The target whose check it is; `None` for all of the commit's.
    pub target: Option<Target>,
}

/// The version of [`Event`] that this windlass writes; older ones are read, newer ones are buried.
///
/// The second one knows of pull requests, reruns and forced pushes, the third one of drift, the fourth one of what waited,
/// of what failed, and of objects that say themselves what is done about their drift.
pub const VERSION: u32 = 4;

/// Something that may call for work on one source: what travels from the doors to dispatch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// The version of this form: at most [`VERSION`].
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

impl Event {
    /// Makes an event, in the oldest form that can say it, so that one version older reads it too.
    #[must_use]
    pub fn new(id: String, source: Name, what: What, received_at: Moment) -> Self {
        Self { version: what.version(), id, source, what, received_at }
    }
}

impl What {
    /// Returns whether a delivery said so.
    #[must_use]
    pub fn is_delivered(&self) -> bool {
        match self {
            Self::Push { .. } | Self::PullRequest { .. } | Self::Rerun { .. } => true,
            Self::Sweep { .. }
            | Self::Again { .. }
            | Self::Drift { .. }
            | Self::Sync { .. }
            | Self::Failed { .. } => false,
        }
    }

    /// Returns the version of an event that says so: the second, unless that knows no such thing.
    fn version(&self) -> u32 {
        match self {
            Self::Push { .. }
            | Self::PullRequest { .. }
            | Self::Rerun { .. }
            | Self::Sweep { .. }
            | Self::Again { .. } => 2,
            Self::Drift { own: false, .. } => 3,
            Self::Drift { own: true, .. } | Self::Sync { .. } | Self::Failed { .. } => VERSION,
        }
    }
}

impl From<&Hint> for Option<What> {
    /// Returns what a hint says has happened, as events carry it.
    fn from(hint: &Hint) -> Self {
        match hint.clone() {
            Hint::Push(Push { reference, before, after, forced, .. }) => {
                Some(What::Push { reference, before, after, forced })
            }
            Hint::PullRequest(PullRequest { number, activity, head, base, fork, .. }) => {
                Some(What::PullRequest { number, activity, head, base, fork })
            }
            Hint::Rerun(Rerun { commit, target, .. }) => Some(What::Rerun { commit, target }),
            Hint::Ignored { .. } => None,
        }
    }
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
        /// Does the forge say that the ref did not move forward but was set elsewhere?
        #[serde(default)]
        forced: bool,
    },
    /// A delivery tells of a pull request.
    PullRequest {
        /// Its number in the source's repository.
        number: u64,
        /// What happened to it.
        activity: Activity,
        /// The commit that it proposes.
        head: CommitId,
        /// The branch that it would change.
        base: RefName,
        /// Does what it proposes come from another repository?
        fork: bool,
    },
    /// A delivery asks to run the checks of a commit again.
    Rerun {
        /// The commit.
        commit: CommitId,
        /// The target whose check it is; `None` for all of the commit's.
        target: Option<Target>,
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
    /// Whoever watches a cluster saw that somebody else changed what was applied there.
    Drift {
        /// The target.
        target: Target,
        /// Does one of the objects say itself that its drift is looked at, whatever its application says?
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        own: bool,
    },
    /// A target shall be made as its reference says now, and whatever waits for it answered: a window has opened, a pause
    /// has ended, or a person asks for it.
    Sync {
        /// The target.
        target: Target,
        /// Does the person want it whatever windows and pauses say?
        regardless: bool,
        /// The commit of which it may prune all that left it, whatever the guard says.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        prunes: Option<CommitId>,
    },
    /// A commit was written and does not work: its application may want the last one back that did.
    Failed {
        /// The target.
        target: Target,
        /// The commit.
        commit: CommitId,
        /// What the target read at that commit.
        inputs: Inputs,
    },
}
