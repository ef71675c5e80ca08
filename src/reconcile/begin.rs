//! The start of a pass: which commit is the tip, and is there anything to do.

use std::sync::Arc;

use crate::clock::now;
use crate::cluster::Kinds;
use crate::commit::CommitId;
use crate::commit::Inputs;
use crate::job::Job;
use crate::job::Reason;
use crate::outcome::Told;

use super::Ended;
use super::Error;
use super::Reconciler;

/// For how long after its event may a ref still stand where it stood before, in milliseconds?
const LAG_MS: u64 = 60_000;

/// A pass that knows what it shall make true.
#[derive(Debug)]
pub struct Begun {
    pub(super) job: Job,
    /// The id of this run.
    pub(super) run: String,
    /// The parent as it was read first; the fence is taken at this version.
    pub(super) parent: crate::applyset::Parent,
    pub(super) kinds: Arc<Kinds>,
    /// The commit that is made true.
    pub(super) tip: CommitId,
    /// What the target reads at the tip.
    pub(super) inputs: Inputs,
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
        // The parent comes first: whoever takes the fence after this and before that resolved a tip as new as ours.
        let (parent, kinds) = tokio::join!(cluster.parent(&job.target.application), cluster.kinds());
        let (parent, kinds) = (parent?, kinds?);
        let resolved = source.resolve(&job.application.reference, &[]).await?;
        let Some(tip) = resolved.tip else { return self.ref_is_gone(job).await.map(Start::Ended) };
        let lagging = job.before.as_ref() == Some(&tip) && tip != job.commit;
        if lagging && now().since(job.received_at) < LAG_MS {
            return Err(Error::Lagging);
        }
        let owner = &parent.fence.installation;
        if !owner.is_empty() && *owner != self.hands.installation {
            return Err(Error::Foreign(owner.clone()));
        }
        let known_as = &parent.fence.cluster;
        if !known_as.is_empty() && *known_as != job.target.cluster.as_str() {
            return Err(Error::Twice(job.target.cluster.clone(), known_as.clone()));
        }
        let inputs = source.inputs(&tip, &job.application.path_in(&job.target.cluster)).await?;
        let run = uuid::Uuid::now_v7().to_string();
        let begun = Begun { job: job.clone(), run, parent, kinds, tip, inputs };
        self.without_work(begun).await
    }

    /// Ends the pass where another run's fate is this job's too.
    async fn without_work(&self, begun: Begun) -> Result<Start, Error> {
        let (job, fence) = (&begun.job, &begun.parent.fence);
        let outdated = fence.definition > job.definition;
        if outdated || (begun.is_known_done() && job.reason == Reason::Moved) {
            let run = fence.run.clone();
            self.tell(vec![begun.told_of_commit(&run)]).await?;
            tracing::info!(run.id = run, target.name = %job.target, commit.id = %job.commit, "covered by an earlier run");
            return Ok(Start::Ended(Ended::Covered { run }));
        }
        Ok(Start::Go(Box::new(begun)))
    }
}

impl Begun {
    /// Returns whether the parent says that a pass with these inputs and this definition got to its end.
    pub(super) fn is_known_done(&self) -> bool {
        let fence = &self.parent.fence;
        fence.done && fence.inputs.as_ref() == Some(&self.inputs) && fence.definition == self.job.definition
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
