//! The end of a pass: its report, the wait for health handed over, and the parent's word that it is done.

use crate::annotation::Turn;
use crate::applyset::Parent;
use crate::clock::now;
use crate::job::Job;
use crate::job::Reason;
use crate::job::Rollout;
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
use super::turns::Ago;
use super::turns::Held;
use super::turns::Waiting;

/// How many changes does one report name? All are counted.
const CHANGES: usize = 5_000;

/// How many problems does one report name?
pub(super) const PROBLEMS: usize = 100;

/// How long may the words about one problem be, in characters?
const PROBLEM_CHARACTERS: usize = 2_000;

pub(super) fn cut(mut problem: Problem) -> Problem {
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
    /// A pass after drift found nothing that differs.
    AsDeclared {
        /// The run.
        run: String,
    },
    /// A pass after drift found some.
    Drift {
        /// The run.
        run: String,
        /// Was it made as declared again?
        corrected: bool,
    },
    /// Its target was closed meanwhile: nothing was written, and dispatch was asked again.
    HandedBack {
        /// What closes it.
        why: String,
    },
    /// No pass was needed: another run's fate is this job's.
    Covered {
        /// That run.
        run: String,
    },
}

pub(super) fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// Returns what is told of a job's commit where no pass says more.
pub(super) fn of_job(job: &Job, phase: Phase, problems: Vec<Problem>) -> Progress {
    Progress {
        run: uuid::Uuid::now_v7().to_string(),
        dispatch: job.dispatch.clone(),
        source: job.application.source.clone(),
        target: job.target.clone(),
        commit: job.commit.clone(),
        inputs: job.inputs.clone(),
        phase,
        changes: Vec::new(),
        tally: Tally::default(),
        problems,
        received_at: job.received_at,
        rollback_from: job.rollback_from().cloned(),
    }
}

/// Returns the versions of objects as a watch has them: no texts at all where none is known.
fn versions<'a>(waiting: impl Iterator<Item = &'a Waiting>) -> Vec<String> {
    let versions: Vec<String> = waiting.map(|one| one.version.clone().unwrap_or_default()).collect();
    if versions.iter().all(String::is_empty) { Vec::new() } else { versions }
}

impl Reconciler {
    /// Ends a pass: reports it, hands the wait for health over, and only then writes that the pass is done, so that a
    /// crash in between repeats a pass rather than losing a verdict.
    ///
    /// # Errors
    /// The queue; another run that took the fence; the cluster.
    #[tracing::instrument(skip_all)]
    pub async fn finish(&self, applied: Applied) -> Result<Ended, Error> {
        if applied.fenced.ready.begun.job.reason == Reason::Drifted {
            return self.finish_drift(applied).await;
        }
        let sum = applied.sum();
        let Applied { fenced, changes, mut waiting, mut problems, held, hooks, written, unwritten, .. } =
            applied;
        waiting.extend(written);
        let (mut ready, mut parent) = (fenced.ready, fenced.parent);
        let whole = problems.is_empty();
        let (mut all, mut kept) = (changes, std::mem::take(&mut ready.kept));
        parent.fence.next = held.next;
        if held.next.is_none() || held.stopped {
            // What the guard kept is told once all is written, and ends the run.
            problems.append(&mut ready.unmet);
            all.append(&mut kept);
        }
        let begun = &ready.begun;
        let now = Tally { held: count(held.writes.len()), ..Tally::of(&all) };
        let tally = begun.rollout().map_or(now, |rollout| now.after(rollout.tally));
        let phase = match (problems.is_empty(), waiting.is_empty()) {
            (false, _) => Phase::Failed,
            (true, true) => Phase::Healthy,
            (true, false) => Phase::Applied,
        };
        let mut drafts = vec![self.report(self.progress(begun, phase, all, tally, problems))];
        if phase == Phase::Applied {
            drafts.push(self.watch(begun, (&waiting, &held), &parent, tally));
        }
        if begun.tip != begun.job.commit {
            drafts.push(self.report(begun.told_of_commit(&begun.run)));
        }
        drafts.extend(self.what_follows(begun, (whole, phase), tally));
        self.hands.queue.publish(drafts).await?;
        log_end(&begun.run, &begun.job, phase, &tally);
        let run = begun.run.clone();
        if whole {
            let (cluster, kinds) = (self.cluster_of(&ready.begun)?, ready.begun.kinds.clone());
            let target = ready.begun.job.target.clone();
            let parent = self.close(ready, parent, sum).await?;
            if phase == Phase::Healthy {
                self.clear_away(&cluster, hooks, (&target, &kinds, &parent)).await;
            }
        } else {
            self.break_off(ready, parent, sum, unwritten).await;
        }
        Ok(Ended::Run { run, phase })
    }

    /// Returns what follows from a pass: that an earlier commit is true again, or that one does not work.
    fn what_follows(&self, begun: &Begun, (whole, phase): (bool, Phase), tally: Tally) -> Vec<Draft> {
        if !whole {
            return self.failed(begun, tally);
        }
        // What the guard kept fails a commit of which all is written.
        let hooks = self.job_after_failure(begun, tally).filter(|_| phase == Phase::Failed);
        let hooks = hooks.map(|job| Draft::job(&self.hands.lane, &job));
        self.rolled_back(begun).into_iter().chain(hooks).collect()
    }

    fn watch(
        &self,
        begun: &Begun,
        (waiting, held): (&[Waiting], &Held),
        parent: &Parent,
        tally: Tally,
    ) -> Draft {
        let job = &begun.job;
        let since = begun.rollout().map_or_else(now, |rollout| rollout.since);
        let rollout = Rollout { run: begun.run.clone(), since, tally };
        // It answers for what this run makes true, whatever commit brought it about.
        let next = Job { commit: begun.tip.clone(), inputs: begun.inputs.clone(), ..job.going_on(rollout) };
        let next = held.next.map(|_| next);
        let failed = self.job_after_failure(begun, tally);
        // The next part of the run looks at what need not be healthy for it: what it writes itself may be what that lacks.
        let until_gone = waiting.iter().any(|one| one.going && one.turn < Turn::LEAVING);
        let needed = |one: &&Waiting| {
            held.next.is_none_or(|next| one.going || (one.turn < next && one.holds_up(next)))
        };
        let such = |going| waiting.iter().filter(needed).filter(move |one| one.going == going);
        let named =
            |going| such(going).map(|one| (one.api_version.clone(), one.id.clone())).collect::<Vec<_>>();
        let (objects, going) = (named(false), named(true));
        let impatient = waiting.iter().filter_map(|one| Some((one.id.clone(), now().plus(one.within_ms?))));
        let sooner = impatient.collect();
        let past = |long: bool| {
            let past = such(false).filter(move |one| one.failed.is_some_and(|ago| !long || ago == Ago::Long));
            past.map(|one| one.id.clone()).collect()
        };
        let watch = Watch {
            version: crate::job::watch_version(next.as_ref(), failed.as_ref(), &going),
            target: job.target.clone(),
            dispatch: job.dispatch.clone(),
            run: begun.run.clone(),
            source: job.application.source.clone(),
            commit: begun.tip.clone(),
            inputs: begun.inputs.clone(),
            objects,
            versions: versions(such(false)),
            parent: parent.resource_version.clone(),
            going,
            deadline: since.plus(job.application.health_deadline_ms),
            sooner,
            until_gone,
            failed_before: past(false),
            failed_long_before: past(true),
            stable_for_ms: job.application.stable_for_ms.unwrap_or_default(),
            received_at: job.received_at,
            tally,
            next: next.map(Box::new),
            failed: failed.map(Box::new),
            rollback_from: job.rollback_from().cloned(),
            tells_failure: job.tells_failure(),
        };
        Draft::watch(&self.hands.lane, &watch)
    }

    /// Tells the commit that was there before that an earlier one is made true again, once it is written.
    fn rolled_back(&self, begun: &Begun) -> Option<Draft> {
        let back = begun.job.back.as_ref()?;
        let (dispatch, source) = (begun.job.dispatch.clone(), begun.job.application.source.clone());
        let (target, to, why) = (begun.job.target.clone(), begun.tip.clone(), back.why.clone());
        let commit = begun.job.rollback_from()?.clone();
        Some(self.report(Told::RolledBack { dispatch, source, commit, target, to, why }))
    }

    /// Returns what follows where a commit was written, or a part of it, and does not work: its hooks for that, and that
    /// dispatch is told.
    fn failed(&self, begun: &Begun, tally: Tally) -> Vec<Draft> {
        let (source, target) = (&begun.job.application.source, &begun.job.target);
        let commit = (&begun.tip, &begun.inputs);
        let hooks = self.job_after_failure(begun, tally).map(|job| Draft::job(&self.hands.lane, &job));
        let told = begun.job.tells_failure();
        let told = told.then(|| self.failure((source, target), commit, begun.job.received_at));
        hooks.into_iter().chain(told).collect()
    }

    /// Ends a pass whose commit cannot be made true; nothing was written, or nothing more.
    pub(super) async fn refuse(&self, begun: &Begun, problems: Vec<Problem>) -> Result<Ended, Error> {
        self.confirm(begun).await?;
        if begun.job.reason == Reason::Drifted {
            return self.end_drift(begun, Vec::new(), problems).await;
        }
        let mut told = vec![self.progress(begun, Phase::Failed, Vec::new(), Tally::default(), problems)];
        if begun.tip != begun.job.commit {
            told.push(begun.told_of_commit(&begun.run));
        }
        let mut drafts: Vec<Draft> = told.into_iter().map(|what| self.report(what)).collect();
        if begun.is_half_written() {
            drafts.extend(self.failed(begun, Tally::default()));
        }
        self.hands.queue.publish(drafts).await?;
        log_end(&begun.run, &begun.job, Phase::Failed, &Tally::default());
        Ok(Ended::Run { run: begun.run.clone(), phase: Phase::Failed })
    }

    /// Ends a job whose reference leads nowhere any more. Nothing is deleted: that is an explicit command, never a side effect.
    pub(super) async fn ref_is_gone(&self, job: &Job) -> Result<Ended, Error> {
        let message =
            format!("{}: nothing was applied and nothing deleted", job.application.reference.absence());
        let progress = of_job(job, Phase::Failed, vec![Problem { object: None, place: None, message }]);
        let run = progress.run.clone();
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
            rollback_from: begun.job.rollback_from().cloned(),
        })
    }
}
