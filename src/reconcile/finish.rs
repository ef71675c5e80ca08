//! The end of a pass: its report, the wait for health handed over, and the parent's word that it is done.

use crate::applyset::Parent;
use crate::clock::now;
use crate::health::Health;
use crate::job::Job;
use crate::job::Watch;
use crate::outcome::Action;
use crate::outcome::Change;
use crate::outcome::Phase;
use crate::outcome::Problem;
use crate::outcome::Progress;
use crate::outcome::Tally;
use crate::outcome::Told;
use crate::queue::Draft;

use super::Applied;
use super::Begun;
use super::Error;
use super::Reconciler;
use super::log_end;

/// How many changes does one report name? All are counted.
const CHANGES: usize = 5_000;

/// How many problems does one report name?
const PROBLEMS: usize = 100;

/// How long may the words about one problem be, in characters?
const PROBLEM_CHARACTERS: usize = 2_000;

fn cut(mut problem: Problem) -> Problem {
    if let Some((end, _)) = problem.message.char_indices().nth(PROBLEM_CHARACTERS) {
        problem.message.truncate(end);
        problem.message.push('…');
    }
    problem
}

/// How a piece of work ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// A run ended in this phase; `Applied` means that a watch goes on.
    Run {
        /// The run.
        run: String,
        /// The phase.
        phase: Phase,
    },
    /// No pass was needed: another run's fate is this job's.
    Covered {
        /// That run.
        run: String,
    },
}

/// Returns whether the parent already said all that this pass would have it say, so that it is not written.
fn is_as_before(now: &Parent, before: &Parent) -> bool {
    let (new, old) = (&now.fence, &before.fence);
    old.done
        && (&old.installation, &old.inputs, old.definition)
            == (&new.installation, &new.inputs, new.definition)
        && (&now.group_kinds, &now.namespaces) == (&before.group_kinds, &before.namespaces)
}

impl Reconciler {
    /// Ends a pass: reports it, hands the wait for health over, and only then writes that the pass is done, so that a
    /// crash in between repeats a pass rather than losing a verdict.
    ///
    /// # Errors
    /// The queue; another run that took the fence; the cluster.
    #[tracing::instrument(skip_all)]
    pub async fn finish(&self, applied: Applied) -> Result<Ended, Error> {
        let Applied { fenced, changes, waiting, mut problems } = applied;
        let (ready, mut parent) = (fenced.ready, fenced.parent);
        let begun = &ready.begun;
        let whole = problems.is_empty();
        problems.extend(ready.unmet);
        let mut all = changes;
        all.extend(ready.kept);
        let tally = Tally::of(&all);
        let phase = match (problems.is_empty(), waiting.is_empty()) {
            (false, _) => Phase::Failed,
            (true, true) => Phase::Healthy,
            (true, false) => Phase::Applied,
        };
        let mut drafts = vec![self.report(self.progress(begun, phase, all, tally, problems))];
        if phase == Phase::Applied {
            drafts.push(self.watch(begun, &waiting, tally));
        }
        if begun.tip != begun.job.commit {
            drafts.push(self.report(begun.told_of_commit(&begun.run)));
        }
        self.hands.queue.publish(drafts).await?;
        if whole {
            parent.fence.done = true;
            parent.group_kinds = ready.extent.kinds.into_iter().chain(ready.unknown).collect();
            parent.namespaces = ready.extent.namespaces;
            // Where the fence was never taken, the version that was read still stands.
            if !is_as_before(&parent, &begun.parent) {
                self.take(&begun.job.target.cluster, &parent).await?;
            }
        }
        log_end(&begun.run, &begun.job, phase, &tally);
        Ok(Ended::Run { run: begun.run.clone(), phase })
    }

    fn watch(
        &self,
        begun: &Begun,
        waiting: &[(String, crate::object::ObjectId, Health)],
        tally: Tally,
    ) -> Draft {
        let job = &begun.job;
        let watch = Watch {
            version: crate::job::VERSION,
            target: job.target.clone(),
            dispatch: job.dispatch.clone(),
            run: begun.run.clone(),
            source: job.application.source.clone(),
            commit: begun.tip.clone(),
            inputs: begun.inputs.clone(),
            objects: waiting.iter().map(|(version, id, _)| (version.clone(), id.clone())).collect(),
            deadline: now().plus(job.application.health_deadline_ms),
            received_at: job.received_at,
            tally,
        };
        Draft::watch(&self.hands.lane, &watch)
    }

    /// Ends a pass whose commit cannot be made true; nothing was written.
    pub(super) async fn refuse(&self, begun: &Begun, problems: Vec<Problem>) -> Result<Ended, Error> {
        let mut told = vec![self.progress(begun, Phase::Failed, Vec::new(), Tally::default(), problems)];
        if begun.tip != begun.job.commit {
            told.push(begun.told_of_commit(&begun.run));
        }
        self.tell(told).await?;
        log_end(&begun.run, &begun.job, Phase::Failed, &Tally::default());
        Ok(Ended::Run { run: begun.run.clone(), phase: Phase::Failed })
    }

    /// Ends a job whose reference leads nowhere any more. Nothing is deleted: that is an explicit command, never a side effect.
    pub(super) async fn ref_is_gone(&self, job: &Job) -> Result<Ended, Error> {
        let run = uuid::Uuid::now_v7().to_string();
        let message =
            format!("{}: nothing was applied and nothing deleted", job.application.reference.absence());
        let progress = Progress {
            run: run.clone(),
            dispatch: job.dispatch.clone(),
            source: job.application.source.clone(),
            target: job.target.clone(),
            commit: job.commit.clone(),
            inputs: job.inputs.clone(),
            phase: Phase::Failed,
            changes: Vec::new(),
            tally: Tally::default(),
            problems: vec![Problem { object: None, place: None, message }],
            received_at: job.received_at,
        };
        self.tell(vec![Told::Run(progress)]).await?;
        Ok(Ended::Run { run, phase: Phase::Failed })
    }

    pub(super) fn running(&self, begun: &Begun) -> Told {
        self.progress(begun, Phase::Running, Vec::new(), Tally::default(), Vec::new())
    }

    fn progress(
        &self,
        begun: &Begun,
        phase: Phase,
        changes: Vec<Change>,
        tally: Tally,
        problems: Vec<Problem>,
    ) -> Told {
        let told = |change: &Change| change.action != Action::Unchanged || change.note.is_some();
        Told::Run(Progress {
            run: begun.run.clone(),
            dispatch: begun.job.dispatch.clone(),
            source: begun.job.application.source.clone(),
            target: begun.job.target.clone(),
            commit: begun.tip.clone(),
            inputs: begun.inputs.clone(),
            phase,
            changes: changes.into_iter().filter(told).take(CHANGES).collect(),
            tally,
            problems: problems.into_iter().take(PROBLEMS).map(cut).collect(),
            received_at: begun.job.received_at,
        })
    }
}
