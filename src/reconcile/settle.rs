//! What becomes of a message once its work ended: acknowledged, put back for later, or buried.

use std::time::Duration;

use crate::application::Name;
use crate::application::Target;
use crate::clock::now;
use crate::commit::CommitId;
use crate::commit::Inputs;
use crate::event::Event;
use crate::event::What;
use crate::fault::Fault;
use crate::fault::chain;
use crate::job::Job;
use crate::job::Reason;
use crate::job::Watch;
use crate::moment::Moment;
use crate::outcome::Drift;
use crate::outcome::Phase;
use crate::outcome::Problem;
use crate::outcome::Progress;
use crate::outcome::Report;
use crate::outcome::Told;
use crate::queue::DELIVERY_LIMIT;
use crate::queue::Draft;
use crate::queue::Lease;
use crate::queue::Settled;
use crate::queue::Unread;

use super::Ended;
use super::Error;
use super::POSTPONED;
use super::RETRIES;
use super::Reconciler;
use super::Step;
use super::awaited::is_by_the_commit;
use super::note_phase;

/// How long is work put back after it failed for the first time, the second, and so on, in seconds?
const BACK_OFF: [u64; 7] = [1, 2, 5, 10, 20, 40, 60];

/// By how many percent is that shorter or longer at most?
const JITTER_PERCENT: u32 = 20;

/// How long is a job put off whose cluster has no room for it?
const ROOM_AFTER: Duration = Duration::from_secs(2);

/// How long is a job put back at first while the repository does not show the pushed commit, or another run has the
/// fence? Doubled each time.
const LAG_AFTER: Duration = Duration::from_millis(100);

/// How long is it put back at most?
const LAG_AT_MOST: Duration = Duration::from_secs(5);

/// How long may a message be, in words, about what failed?
const WHY_CHARACTERS: usize = 500;

impl Reconciler {
    /// Returns a report as a message.
    pub(super) fn report(&self, what: Told) -> Draft {
        let report = Report::new(now(), what);
        Draft::report_of(&self.hands.lane, &report)
    }

    pub(super) async fn tell(&self, told: Vec<Told>) -> Result<(), Error> {
        let reports = told.into_iter().map(|what| self.report(what));
        Ok(self.hands.queue.publish(reports.collect()).await?)
    }

    pub(super) async fn tell_watch(
        &self,
        watch: &Watch,
        phase: Phase,
        problems: Vec<Problem>,
    ) -> Result<(), Error> {
        let by_the_commit = is_by_the_commit(watch, &problems);
        let progress = Progress {
            run: watch.run.clone(),
            dispatch: watch.dispatch.clone(),
            source: watch.source.clone(),
            target: watch.target.clone(),
            commit: watch.commit.clone(),
            inputs: watch.inputs.clone(),
            phase,
            changes: Vec::new(),
            tally: watch.tally,
            problems,
            received_at: watch.received_at,
            rollback_from: watch.rollback_from.clone(),
        };
        let mut drafts = vec![self.report(Told::Run(progress))];
        if let Some(job) = watch.failed.as_ref().filter(|_| phase == Phase::Failed) {
            drafts.push(Draft::job(&self.hands.lane, job));
        }
        if phase == Phase::Failed && watch.tells_failure && by_the_commit {
            let what = (&watch.source, &watch.target);
            drafts.push(self.failure(what, (&watch.commit, &watch.inputs), watch.received_at));
        }
        Ok(self.hands.queue.publish(drafts).await?)
    }

    /// Returns the message by which dispatch hears that a commit was written and does not work.
    pub(super) fn failure(
        &self,
        (source, target): (&Name, &Target),
        (commit, inputs): (&CommitId, &Inputs),
        received_at: Moment,
    ) -> Draft {
        let (target, commit, inputs) = (target.clone(), commit.clone(), inputs.clone());
        let id = uuid::Uuid::now_v7().to_string();
        let event = Event::new(id, source.clone(), What::Failed { target, commit, inputs }, received_at);
        Draft::ask(&self.hands.lane, &event)
    }

    /// Buries what nobody can read; what a newer windlass wrote is left to one.
    pub(super) async fn unread(&self, lease: &Lease, unread: &Unread) -> Result<Step, crate::queue::Error> {
        let why = unread.to_string();
        if let Some(after) = lease.newer_for(unread) {
            tracing::warn!(message.id = lease.id, why, "put back");
            let _settled = self.hands.queue.retry(lease, after).await?;
            return Ok(Step::Retried { why, after });
        }
        tracing::error!(message.id = lease.id, why, "message buried");
        let _settled = self.hands.queue.bury(lease, &why).await?;
        Ok(Step::Buried { why })
    }

    pub(super) async fn settle_job(
        &self,
        lease: &Lease,
        job: &Job,
        ended: Result<Ended, Error>,
    ) -> Result<Step, crate::queue::Error> {
        let error = match ended {
            Ok(ended) => return self.acknowledge(lease, ended).await,
            Err(error) => error,
        };
        let last = lease.deliveries >= DELIVERY_LIMIT;
        match error.fault() {
            Fault::Passing if !last => {
                let (after, quiet) = pause(&error, lease);
                if !quiet && !matches!(job.reason, Reason::Drifted | Reason::Failed) {
                    self.say_why_it_waits(job, &error).await;
                }
                self.retry(lease, &error, after).await
            }
            Fault::Passing | Fault::Theirs | Fault::Ours => {
                let why = cut(format!("failed to {}, at try {}", chain(&error), lease.deliveries));
                let told = buried(job, why.clone()).map(|told| self.report(told));
                self.hands.queue.publish(told.into_iter().collect()).await?;
                tracing::error!(target.name = %job.target, commit.id = %job.commit, why, "job buried");
                let _settled = self.hands.queue.bury(lease, &why).await?;
                Ok(Step::Buried { why })
            }
        }
    }

    pub(super) async fn settle_watch(
        &self,
        lease: &Lease,
        watch: &Watch,
        ended: Result<Phase, Error>,
    ) -> Result<Step, crate::queue::Error> {
        match ended {
            Ok(phase) => {
                tracing::info!(run.id = watch.run, target.name = %watch.target, commit.id = %watch.commit,
                    phase = phase.word(), since_delivery_ms = now().since(watch.received_at), "run {phase}");
                note_phase(phase, watch.received_at);
                self.acknowledge(lease, Ended::Run { run: watch.run.clone(), phase }).await
            }
            // A wait ends by its deadline, so every failure of it is put back: it has nothing that could be wrong.
            Err(error) => self.retry(lease, &error, back_off(lease.deliveries, &lease.id)).await,
        }
    }

    async fn acknowledge(&self, lease: &Lease, ended: Ended) -> Result<Step, crate::queue::Error> {
        match self.hands.queue.ack(lease).await? {
            Settled::Done => Ok(Step::Done(ended)),
            Settled::Lost => Ok(Step::Lost),
        }
    }

    async fn retry(
        &self,
        lease: &Lease,
        error: &Error,
        after: Duration,
    ) -> Result<Step, crate::queue::Error> {
        let why = cut(format!("failed to {}", chain(error)));
        tracing::warn!(
            message.id = lease.id,
            attempt = lease.deliveries,
            why,
            after_ms = after.as_millis(),
            "put back"
        );
        metrics::counter!(RETRIES, "fault" => error.fault().word()).increment(1);
        let _settled = self.hands.queue.retry(lease, after).await?;
        Ok(Step::Retried { why, after })
    }

    /// Puts a job off whose cluster has no room for it, so that jobs of other clusters come to their turn. It is no try.
    pub(super) async fn postpone(&self, lease: &Lease, job: &Job) -> Result<Step, crate::queue::Error> {
        let (why, after) = (format!("no pass in {} came to an end", job.target.cluster), ROOM_AFTER);
        tracing::info!(message.id = lease.id, why, after_ms = after.as_millis(), "put off");
        metrics::counter!(POSTPONED, "cluster" => job.target.cluster.to_string()).increment(1);
        let _settled = self.hands.queue.postpone(lease, after).await?;
        Ok(Step::Retried { why, after })
    }

    /// Lets the commit say why its verdict takes time. Not being able to say so is no reason to wait longer.
    async fn say_why_it_waits(&self, job: &Job, error: &Error) {
        let told = Told::Waiting {
            dispatch: job.dispatch.clone(),
            source: job.application.source.clone(),
            commit: job.commit.clone(),
            target: job.target.clone(),
            why: cut(format!("failed to {}; trying again", chain(error))),
        };
        if let Err(error) = self.tell(vec![told]).await {
            tracing::warn!(%error, "failed to report why a job waits");
        }
    }
}

/// Returns what is told of a job that is buried. One that was about drift leaves the commit's verdict as it is, and one
/// that follows a failure came after it.
fn buried(job: &Job, why: String) -> Option<Told> {
    let (source, commit, target) = (job.application.source.clone(), job.commit.clone(), job.target.clone());
    match job.reason {
        Reason::Moved | Reason::Unsure => {
            Some(Told::Buried { dispatch: job.dispatch.clone(), source, commit, target, why })
        }
        Reason::Failed => None,
        Reason::Drifted => Some(Told::Drift(Drift {
            run: job.dispatch.clone(),
            source,
            target,
            commit,
            objects: Vec::new(),
            corrected: false,
            problems: vec![Problem { object: None, place: None, message: why }],
            fights: Vec::new(),
        })),
    }
}

/// Returns for how long a job is put back, and whether that is so ordinary that its commit need not hear of it.
fn pause(error: &Error, lease: &Lease) -> (Duration, bool) {
    let deliveries = lease.deliveries;
    match error {
        Error::WindingDown => (Duration::ZERO, true),
        Error::Overtaken(_) | Error::Lagging | Error::Moving(_) => (lag(deliveries), true),
        Error::UnknownCluster(_)
        | Error::UnknownSource(_)
        | Error::Foreign(_)
        | Error::Twice(..)
        | Error::Owned(..)
        | Error::Signature { .. }
        | Error::Leaving(_)
        | Error::Early(_)
        | Error::Source(_)
        | Error::Cluster(_)
        | Error::Queue(_) => (back_off(deliveries, &lease.id), false),
    }
}

/// Returns a wait that grows with each try, longer or shorter by up to a fifth by the message: those that failed together
/// are not tried again together.
fn back_off(deliveries: u32, id: &str) -> Duration {
    let tried = usize::try_from(deliveries).unwrap_or(usize::MAX).saturating_sub(1);
    let longest = BACK_OFF.last().copied().unwrap_or(1);
    let usual = Duration::from_secs(BACK_OFF.get(tried).copied().unwrap_or(longest));
    let spread = |hash: u32, byte: u8| hash.wrapping_mul(31).wrapping_add(u32::from(byte));
    let percent = 100 - JITTER_PERCENT + id.bytes().fold(deliveries, spread) % (2 * JITTER_PERCENT + 1);
    usual.saturating_mul(percent) / 100
}

fn lag(deliveries: u32) -> Duration {
    LAG_AFTER.saturating_mul(2_u32.saturating_pow(deliveries.saturating_sub(1))).min(LAG_AT_MOST)
}

fn cut(why: String) -> String {
    why.chars().take(WHY_CHARACTERS).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::back_off;

    #[test]
    fn waits_grow_stay_bounded_and_differ() {
        for (deliveries, usual) in [(1, 1), (2, 2), (3, 5), (7, 60), (8, 60), (1000, 60)] {
            let waits = ["a", "b", "c", "d"].map(|id| back_off(deliveries, id));
            let usual = Duration::from_secs(usual);
            let (least, most) = (usual * 80 / 100, usual * 120 / 100);
            assert!(waits.iter().all(|wait| (least..=most).contains(wait)), "{deliveries}: {waits:?}");
            assert!(waits.iter().any(|wait| *wait != waits[0]), "{deliveries}: {waits:?}");
        }
    }
}
