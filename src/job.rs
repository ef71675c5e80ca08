//! Work for one target: pointers and reasons, never payloads.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::application::Application;
use crate::application::Conflicts;
use crate::application::Name;
use crate::application::OnFailure;
use crate::application::Propagation;
use crate::application::SelfHeal;
use crate::application::Target;
use crate::commit::CommitId;
use crate::commit::Inputs;
use crate::moment::Moment;
use crate::object::ObjectId;
use crate::outcome::Fight;
use crate::outcome::Tally;

/// The newest version of [`Job`] that this windlass reads. The second one knows of drift, the third one of permits and of
/// drift where the application leaves it and single objects do not; the fourth one of runs that go on, of fights, and of
/// applications with a ServiceAccount, a time to be stable, dependencies, or rules about what is left to others. The fifth
/// one knows of what follows a failure, the sixth one of applications that say what is taken from others, and what becomes
/// of what an object owns.
pub const VERSION: u32 = 6;

/// The version that knows of what follows a failure.
const FIFTH: u32 = 5;

/// The version in which a run goes on or back, and of all that came with it.
pub const FOURTH: u32 = 4;

/// The newest version of [`Watch`] that this windlass reads. The second one knows of what comes after it, and of
/// what is to be gone, the third one of what follows a failure, the fourth one of jobs of the sixth version.
pub const WATCH_VERSION: u32 = 4;

/// A job: make the tip of the application's ref true in one cluster, and answer for one commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// The version of this form: [`version`].
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
    /// For how long it may begin to write.
    #[serde(default, skip_serializing_if = "Permit::is_usual")]
    pub permit: Permit,
    /// Over which objects it gives way to others, where it is about drift.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fights: Vec<Fight>,
    /// The run that goes on with this job, where it is not the first one of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<Rollout>,
    /// How an earlier commit is made true again, where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub back: Option<Back>,
    /// The commit of which a person lets all be pruned that left it, whatever the guard says. A worker that does not know
    /// of this keeps it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prunes: Option<CommitId>,
}

/// That an earlier commit is made true again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Back {
    /// The commit that was there before, and what the target read there; nothing where that is this commit.
    pub from: Option<(CommitId, Inputs)>,
    /// Why, in words for the author of that commit.
    pub why: String,
}

/// A run that wrote the first waves of its objects, and waited until those were healthy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rollout {
    /// The run.
    pub run: String,
    /// When its first wave was written; its deadline counts from then.
    pub since: Moment,
    /// What it did so far.
    pub tally: Tally,
}

impl Job {
    /// Returns what is done about the drift of an object: what it says itself, or else its application's setting; in a
    /// closed target, drift is told at most.
    #[must_use]
    pub fn self_heal(&self, own: Option<SelfHeal>) -> SelfHeal {
        match (own.unwrap_or(self.application.self_heal), self.permit) {
            (SelfHeal::Correct, Permit::Never) => SelfHeal::Report,
            (self_heal, _) => self_heal,
        }
    }

    /// Returns whether dispatch is to be told where the commit does not work, since the last one that did is wanted back.
    /// Of one that is made true again itself it is not: there is nothing to go back to.
    #[must_use]
    pub fn tells_failure(&self) -> bool {
        let again = self.back.is_some() || matches!(self.reason, Reason::Drifted | Reason::Failed);
        self.application.on_failure == OnFailure::Rollback && !again
    }

    /// Returns the commit that was there before, where an earlier one is made true again.
    #[must_use]
    pub fn rollback_from(&self) -> Option<&CommitId> {
        self.back.as_ref()?.from.as_ref().map(|(commit, _)| commit)
    }

    /// Returns the job that goes on with a run of this one.
    #[must_use]
    pub fn going_on(&self, rollout: Rollout) -> Self {
        Self { version: FOURTH.max(least(&self.application)), rollout: Some(rollout), ..self.clone() }
    }

    /// Returns the job that follows the failure of a run of this one.
    #[must_use]
    pub fn after_failure(&self, rollout: Rollout) -> Self {
        let (reason, fights) = (Reason::Failed, Vec::new());
        let version = FIFTH.max(least(&self.application));
        Self { version, rollout: Some(rollout), reason, fights, back: None, ..self.clone() }
    }
}

/// Returns the version of a job: the oldest that can say it, so that older workers read the others.
#[must_use]
pub fn version(reason: Reason, application: &Application, permit: Permit, fights: &[Fight]) -> u32 {
    // An older worker would write in its own name, and knows no application with a key that is new to it.
    let new = application.service_account.is_some() || application.stable_for_ms.is_some();
    if new
        || !application.depends_on.is_empty()
        || application.on_failure != OnFailure::Keep
        || !application.ignore.is_empty()
        || !fights.is_empty()
    {
        return if reason == Reason::Failed { FIFTH } else { FOURTH }.max(least(application));
    }
    let first = application.self_heal == SelfHeal::Correct;
    let version = match (permit, reason) {
        (_, Reason::Failed) => FIFTH,
        (Permit::Until(_) | Permit::Regardless | Permit::Never, _) => 3,
        // An older worker would correct everything.
        (Permit::Usual, Reason::Drifted) if application.self_heal == SelfHeal::Off => 3,
        (Permit::Usual, Reason::Moved | Reason::Unsure) if first => 1,
        (Permit::Usual, Reason::Moved | Reason::Unsure | Reason::Drifted) => 2,
    };
    version.max(least(application))
}

/// Returns the oldest version that can say what an application is.
fn least(application: &Application) -> u32 {
    let usual = application.conflicts == Conflicts::Take
        && application.takes_over.is_empty()
        && application.propagation == Propagation::Background;
    if usual { 1 } else { VERSION }
}

/// For how long a job may begin to write. What has begun goes on to its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Permit {
    /// As long as its target is not paused.
    #[default]
    Usual,
    /// Until this moment, at which a window closes its target, and as long as that is not paused.
    Until(Moment),
    /// Whatever windows and pauses say: a person wants it so.
    Regardless,
    /// Never: its target is closed, and what drifted is only told.
    Never,
}

impl Permit {
    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
    fn is_usual(&self) -> bool {
        *self == Self::Usual
    }
}

/// Why a target is worked on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Its inputs or its definition changed since they were last dispatched.
    Moved,
    /// Nothing is known to have changed, but the last work on it is open, failed or unknown: a full pass is made.
    Unsure,
    /// Somebody else changed what was applied: the applied commit is made true once more, and no status tells of it.
    Drifted,
    /// A run wrote some of it and failed: its hooks for that are made, and nothing else is.
    Failed,
}

/// The wait for health that a pass hands over, so that its partition is free.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watch {
    /// The version of this form: [`watch_version`].
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
    /// The objects to wait for until they are healthy, with their `apiVersion`.
    pub objects: Vec<(String, ObjectId)>,
    /// The version in which each of those was not healthy yet, in their order, so that only what came since is looked at; an
    /// empty text where that is not known, and no texts at all where it is not known of any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub versions: Vec<String>,
    /// The version of the parent, likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// The objects to wait for until they are gone, likewise.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub going: Vec<(String, ObjectId)>,
    /// Until when they may take.
    pub deadline: Moment,
    /// Which of them may take less, and until when.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sooner: Vec<(ObjectId, Moment)>,
    /// Is the wait over when what is to be gone is gone? What is to be healthy can only fail it then: it may need what is
    /// made anew.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub until_gone: bool,
    /// Which of the objects had failed when the run began, which left them as they were: they are given the whole time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failed_before: Vec<ObjectId>,
    /// Which of those had failed for so long that no commit is gone back from for them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failed_long_before: Vec<ObjectId>,
    /// For how long all must be healthy without a break, in milliseconds; 0 asks for no more than a moment.
    #[serde(default, skip_serializing_if = "is_nothing")]
    pub stable_for_ms: u64,
    /// When the event reached windlass.
    pub received_at: Moment,
    /// How many objects were created, configured, left unchanged and pruned.
    pub tally: Tally,
    /// The job that goes on when all are healthy; without one, the run is through then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Box<Job>>,
    /// The job that follows where it does not work, if the commit has hooks for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<Box<Job>>,
    /// The commit that was there before, where an earlier one is made true again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback_from: Option<CommitId>,
    /// Is dispatch to be told where it does not work?
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tells_failure: bool,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_nothing(millis: &u64) -> bool {
    *millis == 0
}

impl Watch {
    /// Returns for how long all must be healthy without a break, where they must.
    #[must_use]
    pub fn stable_for(&self) -> Option<Duration> {
        Some(self.stable_for_ms).filter(|millis| *millis > 0).map(Duration::from_millis)
    }
}

/// Returns the version of a wait: the oldest that can say it. Whoever knows no time that all must be healthy for tells of
/// health a little early, whoever tells dispatch of no failure leaves what does not work as it is, and whoever does not know
/// what had failed before does not wait for it.
#[must_use]
pub fn watch_version(next: Option<&Job>, failed: Option<&Job>, going: &[(String, ObjectId)]) -> u32 {
    match (failed, next) {
        _ if failed.into_iter().chain(next).any(|job| job.version > FIFTH) => WATCH_VERSION,
        (Some(_), _) => 3,
        (None, Some(_)) => 2,
        (None, None) if going.is_empty() => 1,
        (None, None) => 2,
    }
}

#[cfg(test)]
mod tests;
