//! Reports from the queue into the store.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::fault::Fault;
use crate::fault::chain;
use crate::lanes::Lanes;
use crate::outcome::Report;
use crate::outcome::Told;
use crate::outcome::VERSION;
use crate::queue::Lane;
use crate::queue::Lease;
use crate::queue::Queue;
use crate::queue::Unread;
use crate::report::Error;
use crate::report::pause;
use crate::store::Store;
use crate::trail;

/// How long does one step wait for a report?
const WAIT: Duration = Duration::from_secs(30);

/// How long is a report put off at most while the store cannot take it? With the queue's limit of deliveries this
/// bridges more than an hour of a full disk.
const LONGEST_PUT_OFF: Duration = Duration::from_secs(600);

/// How long does the loop pause at most while the queue does not answer?
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// How long is waited before a store that was away is asked again?
const STORE_REST: Duration = Duration::from_secs(1);

/// How often is a report looked at whose application nobody knows?
const MADE_UP_TRIES: u32 = 8;

/// Takes reports from the queue into the store.
#[derive(Clone)]
pub struct Reporter {
    queue: Queue,
    store: Store,
    desk: Desk,
    /// Did the store fail the last time?
    away: Arc<AtomicBool>,
}

/// Whose reports are taken.
#[derive(Clone)]
enum Desk {
    /// Those of the door and of dispatch, which may tell of everything.
    Line,
    /// Those of the workers of a lane, which may tell of its targets.
    Lane(String, Arc<Lanes>),
}

impl Desk {
    fn lane(&self) -> Lane {
        match self {
            Self::Line => Lane::reports(),
            Self::Lane(lane, _) => Lane::reports_of(lane),
        }
    }

    fn judge(&self, told: &Told) -> Result<(), String> {
        match self {
            Self::Line => Ok(()),
            Self::Lane(lane, lanes) => lanes.judge_report(lane, told),
        }
    }
}

/// What a step of the [`Reporter`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// No report came.
    Idle,
    /// A report was stored.
    Recorded,
    /// The store could not take a report now; it comes again.
    PutOff,
    /// A report that nobody can store was buried.
    Buried,
}

impl Reporter {
    /// Returns a reporter between a queue and a store, for what the door and dispatch tell.
    #[must_use]
    pub fn new(queue: Queue, store: Store) -> Self {
        Self { queue, store, desk: Desk::Line, away: Arc::default() }
    }

    /// Returns a reporter for what the workers of a lane tell.
    #[must_use]
    pub fn of_lane(queue: Queue, store: Store, lane: &str, lanes: Arc<Lanes>) -> Self {
        Self { queue, store, desk: Desk::Lane(lane.to_owned(), lanes), away: Arc::default() }
    }

    /// Takes one report, waiting up to `wait` for one.
    ///
    /// # Errors
    /// The queue cannot be read or settled; the report then comes again, which does no harm.
    pub async fn step(&self, wait: Duration) -> Result<Step, Error> {
        if !self.store_answers(wait).await {
            return Ok(Step::Idle);
        }
        let Some(lease) = self.queue.next(&self.desk.lane(), wait).await.map_err(Error::Queue)? else {
            return Ok(Step::Idle);
        };
        let report = match lease.read::<Report>(VERSION) {
            Ok(report) => report,
            Err(unread) => return self.unread(&lease, &unread).await,
        };
        if let Err(why) = self.desk.judge(&report.what) {
            return self.bury(&lease, &why).await;
        }
        let span = |trace: &str| tracing::info_span!("report", trace.id = trace, report.id = lease.id);
        trail::step(lease.trace, span, self.record(&lease, &report)).await
    }

    /// Returns whether the store can be used. While it is away, no report is taken: each may be tried so often only.
    async fn store_answers(&self, wait: Duration) -> bool {
        if !self.away.load(Ordering::Relaxed) {
            return true;
        }
        if let Err(error) = self.store.ping().await {
            tracing::warn!("no report is taken: failed to {}", chain(&error));
            tokio::time::sleep(wait.min(STORE_REST)).await;
            return false;
        }
        self.away.store(false, Ordering::Relaxed);
        true
    }

    /// Returns why a report is not believed although its lane may speak of its target: nobody ever dispatched that
    /// application, so a row of it would be a status at a repository of whoever made it up.
    async fn made_up(&self, told: &Told) -> Result<Option<String>, crate::store::Error> {
        let (Desk::Lane(_, lanes), Some((source, target))) = (&self.desk, told.by_worker()) else {
            return Ok(None);
        };
        if lanes.knows(&target.application) || self.store.knows_target(source, target).await? {
            return Ok(None);
        }
        Ok(Some(format!("application {} is not configured, and never was", target.application)))
    }

    async fn record(&self, lease: &Lease, report: &Report) -> Result<Step, Error> {
        let recorded = match self.made_up(&report.what).await {
            Ok(None) => self.store.record(report).await,
            // Its roster, or newer settings, may be on their way.
            Ok(Some(_)) if lease.deliveries < MADE_UP_TRIES => {
                let after = pause(lease.deliveries.saturating_sub(1), LONGEST_PUT_OFF);
                let _settled = self.queue.retry(lease, after).await.map_err(Error::Queue)?;
                return Ok(Step::PutOff);
            }
            Ok(Some(why)) => return self.bury(lease, &why).await,
            Err(error) => Err(error),
        };
        match recorded {
            Ok(()) => {
                // A lease that was lost comes again; the ledger drops what comes twice.
                let _settled = self.queue.ack(lease).await.map_err(Error::Queue)?;
                Ok(Step::Recorded)
            }
            Err(error) if error.fault() == Fault::Passing => {
                self.away.store(true, Ordering::Relaxed);
                tracing::warn!(report.id = %lease.id, "put off a report: failed to {}", chain(&error));
                let after = pause(lease.deliveries.saturating_sub(1), LONGEST_PUT_OFF);
                let _settled = self.queue.retry(lease, after).await.map_err(Error::Queue)?;
                Ok(Step::PutOff)
            }
            Err(error) => self.bury(lease, &format!("failed to {}", chain(&error))).await,
        }
    }

    /// Buries what nobody can read; what a newer windlass wrote is left to one.
    async fn unread(&self, lease: &Lease, unread: &Unread) -> Result<Step, Error> {
        let Some(after) = lease.newer_for(unread) else { return self.bury(lease, &unread.to_string()).await };
        tracing::warn!(report.id = %lease.id, %unread, "put off a report");
        let _settled = self.queue.retry(lease, after).await.map_err(Error::Queue)?;
        Ok(Step::PutOff)
    }

    async fn bury(&self, lease: &Lease, why: &str) -> Result<Step, Error> {
        tracing::error!(report.id = %lease.id, "bury a report, the sweep asks again for its target: {why}");
        let _settled = self.queue.bury(lease, why).await.map_err(Error::Queue)?;
        Ok(Step::Buried)
    }

    /// Takes reports until it is dropped.
    pub async fn run(&self) -> Infallible {
        let mut failures = 0;
        loop {
            match self.step(WAIT).await {
                Ok(_) => failures = 0,
                Err(error) => {
                    tracing::error!("failed to {}", chain(&error));
                    tokio::time::sleep(pause(failures, LONGEST_PAUSE)).await;
                    failures = failures.saturating_add(1);
                }
            }
        }
    }
}
