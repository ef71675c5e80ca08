//! The start of a pass: which commit is the tip, and is there anything to do.

use std::sync::Arc;

use crate::application::Name;
use crate::applyset::Parent;
use crate::clock::now;
use crate::cluster::Kinds;
use crate::commit::CommitId;
use crate::commit::Inputs;
use crate::job::Job;
use crate::job::Reason;
use crate::job::Rollout;
use crate::outcome::Phase;
use crate::outcome::Problem;
use crate::outcome::Progress;
use crate::outcome::Told;
use crate::reference::Reference;

use super::Ended;
use super::Error;
use super::Reconciler;
use super::finish::of_job;

/// For how long after its event may a ref still stand where it stood before, in milliseconds?
pub(super) const LAG_MS: u64 = 60_000;

/// What took the place of a run by an older definition?
const NEWER: &str = "superseded by a newer definition of its application";

/// A pass that knows what it shall make true.
#[derive(Debug)]
pub struct Begun {
    pub(super) job: Job,
    /// The id of this run.
    pub(super) run: String,
    /// The parent as it was read first; the fence is taken at this version.
    pub(super) parent: Parent,
    pub(super) kinds: Arc<Kinds>,
    /// The commit that is made true.
    pub(super) tip: CommitId,
    /// What the target reads at the tip.
    pub(super) inputs: Inputs,
    /// Has the commit hooks for the case that it fails?
    pub(super) answers_failure: bool,
    /// Was the parent read for many passes, and may be some seconds old?
    pub(super) is_shared: bool,
}

/// How a pass starts.
#[derive(Debug)]
pub enum Start {
    /// There is something to do, or to look at.
    Go(Box<Begun>),
    /// There is not.
    Ended(Ended),
}

impl Reconciler {
    /// Reads the parent and resolves the ref, and decides whether this job needs a pass.
    ///
    /// # Errors
    /// The cluster or the source; a ref that has not moved yet; a target of another installation.
    #[tracing::instrument(skip_all)]
    pub async fn begin(&self, job: &Job) -> Result<Start, Error> {
        let (cluster, source) = (self.cluster(&job.target.cluster)?, self.source(&job.application.source)?);
        let seen = self.overview(job).await?;
        let is_shared = seen.is_some();
        let (parent, kinds, tip) = match seen {
            Some((parent, tip)) => (parent, cluster.kinds().await?, Some(tip)),
            None => {
                // The parent comes first: whoever takes the fence after this and before that resolved a tip as new as ours.
                let (parent, kinds) = tokio::join!(cluster.parent(&job.target.application), cluster.kinds());
                let (parent, kinds) = (parent?, kinds?);
                if matches!(job.reason, Reason::Drifted | Reason::Failed) {
                    return self.begin_again(job, parent, kinds).await;
                }
                (parent, kinds, source.resolve(&job.application.reference, &[]).await?.tip)
            }
        };
        let Some(tip) = tip else { return self.ref_is_gone(job).await.map(Start::Ended) };
        let lagging = job.before.as_ref() == Some(&tip) && tip != job.commit;
        if lagging && now().since(job.received_at) < LAG_MS {
            return Err(Error::Lagging);
        }
        let inputs = source.inputs(&tip, &job.application.path_in(&job.target.cluster)).await?;
        let begun = Begun {
            run: run_of(job, &inputs),
            job: job.clone(),
            parent,
            kinds,
            tip,
            inputs,
            answers_failure: false,
            is_shared,
        };
        if let Err(error) = self.is_ours(&job.target.cluster, &begun.parent) {
            self.confirm(&begun).await?;
            return Err(error);
        }
        if self.is_late(&begun).await {
            return Ok(Start::Ended(Ended::Covered { run: begun.parent.fence.run }));
        }
        self.leave_rollout(&begun).await?;
        // Before it is known whether there is work: a commit that is refused shares no verdict either.
        match self.refusal(&begun).await? {
            Some(problem) => self.refuse(&begun, vec![problem]).await.map(Start::Ended),
            None => self.without_work(begun).await,
        }
    }

    /// Begins a pass of the commit that was applied last, after drift or a failure; wherever the ref leads by now, that is
    /// another job's.
    async fn begin_again(&self, job: &Job, parent: Parent, kinds: Arc<Kinds>) -> Result<Start, Error> {
        self.is_ours(&job.target.cluster, &parent)?;
        let fence = &parent.fence;
        let applied = fence.commit.clone().zip(fence.inputs.clone());
        // What follows a failure follows that of one commit.
        let applied = applied.filter(|(_, inputs)| job.reason == Reason::Drifted || *inputs == job.inputs);
        // Nothing was applied yet, or by another definition: the pass by the newer one looks at everything, once it may.
        let Some((tip, inputs)) = applied.filter(|_| fence.definition == job.definition) else {
            return Ok(Start::Ended(Ended::Covered { run: fence.run.clone() }));
        };
        let source = self.source(&job.application.source)?;
        // This worker may never have fetched it.
        source.resolve(&Reference::Commit(tip.clone()), &[]).await?;
        let run = run_of(job, &inputs);
        let begun = Begun {
            job: job.clone(),
            run,
            parent,
            kinds,
            tip,
            inputs,
            answers_failure: false,
            is_shared: false,
        };
        match self.refusal(&begun).await? {
            // Its verdict is told.
            Some(_) if job.reason == Reason::Failed => Ok(Start::Ended(Ended::Covered { run: begun.run })),
            Some(problem) => self.refuse(&begun, vec![problem]).await.map(Start::Ended),
            None => Ok(Start::Go(Box::new(begun))),
        }
    }

    /// Refuses a target that another installation, or this one by another name of the cluster, writes to.
    pub(super) fn is_ours(&self, cluster: &Name, parent: &Parent) -> Result<(), Error> {
        let (owner, known_as) = (&parent.fence.installation, &parent.fence.cluster);
        if !owner.is_empty() && *owner != self.hands.installation {
            return Err(Error::Foreign(owner.clone()));
        }
        if !known_as.is_empty() && *known_as != cluster.as_str() {
            return Err(Error::Twice(cluster.clone(), known_as.clone()));
        }
        Ok(())
    }

    /// Ends the run that this job was to go on with, where the target reads something else by now.
    async fn leave_rollout(&self, begun: &Begun) -> Result<(), Error> {
        let Some(rollout) = begun.job.rollout.as_ref().filter(|_| begun.rollout().is_none()) else {
            return Ok(());
        };
        // Its commit hears first what took its place.
        let told = begun.told_of_commit(&begun.run);
        self.tell(vec![told, left(&begun.job, rollout, &format!("superseded by {}", begun.tip.short()))])
            .await
    }

    /// Ends the pass where another run's fate is this job's too.
    async fn without_work(&self, begun: Begun) -> Result<Start, Error> {
        let (job, fence) = (&begun.job, &begun.parent.fence);
        let outdated = fence.definition > job.definition;
        // Commits share the fate of the run that this job goes on with, so that comes to an end of its own.
        let goes_on = begun.rollout().is_some_and(|rollout| rollout.run != fence.run);
        // A run that corrected drift has no verdict that could be shared, so another pass finds one.
        let covered = begun.is_known_done() && job.reason == Reason::Moved && !fence.again && !goes_on;
        if outdated || covered {
            self.confirm(&begun).await?;
            let run = fence.run.clone();
            let mut told = vec![begun.told_of_commit(&run)];
            told.extend(begun.rollout().filter(|_| goes_on).map(|rollout| left(job, rollout, NEWER)));
            self.tell(told).await?;
            tracing::info!(run.id = run, target.name = %job.target, commit.id = %job.commit, "covered by an earlier run");
            return Ok(Start::Ended(Ended::Covered { run }));
        }
        Ok(Start::Go(Box::new(begun)))
    }
}

/// Returns what is told of a run that nobody goes on with.
fn left(job: &Job, rollout: &Rollout, why: &str) -> Told {
    let message = format!("{why} before all of it was written");
    let problems = vec![Problem { object: None, place: None, message }];
    let left = of_job(job, Phase::Superseded, problems);
    Told::Run(Progress { run: rollout.run.clone(), tally: rollout.tally, ..left })
}

/// Returns the id of the run that works a job through: the one that goes on with it, as long as the target reads the same.
fn run_of(job: &Job, inputs: &Inputs) -> String {
    let goes_on = job.rollout.as_ref().filter(|_| job.inputs == *inputs);
    goes_on.map_or_else(|| uuid::Uuid::now_v7().to_string(), |rollout| rollout.run.clone())
}

impl Begun {
    /// Returns the run that this pass goes on with, if it does.
    pub(super) fn rollout(&self) -> Option<&Rollout> {
        self.job.rollout.as_ref().filter(|rollout| rollout.run == self.run)
    }

    /// Returns whether a pass before this one has written some of it: the waves before, or what it came to until it was put back.
    pub(super) fn is_half_written(&self) -> bool {
        let fence = &self.parent.fence;
        let begun = !fence.done || fence.broke_off();
        self.rollout().is_some() || (fence.inputs.as_ref() == Some(&self.inputs) && begun)
    }

    /// Returns whether the parent says that a pass with these inputs and this definition got to its end.
    pub(super) fn is_known_done(&self) -> bool {
        let fence = &self.parent.fence;
        let same = fence.inputs.as_ref() == Some(&self.inputs) && fence.definition == self.job.definition;
        same && fence.is_whole()
    }

    /// Returns what is said of the job's commit where `run` works on the tip: it shares the run's fate when it reads
    /// the same, else it is superseded.
    pub(super) fn told_of_commit(&self, run: &str) -> Told {
        let job = &self.job;
        let (dispatch, source) = (job.dispatch.clone(), job.application.source.clone());
        let (commit, target) = (job.commit.clone(), job.target.clone());
        if job.inputs == self.inputs {
            Told::Covered { dispatch, source, commit, target, run: run.to_owned() }
        } else {
            Told::Superseded { dispatch, source, commit, target, by: self.tip.clone() }
        }
    }
}
