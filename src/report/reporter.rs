//! Reports from the queue into the store.

use std::convert::Infallible;
use std::sync::Arc;
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

/// Takes reports from the queue into the store.
#[derive(Clone)]
pub struct Reporter {
    queue: Queue,
    store: Store,
    desk: Desk,
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
        Self { queue, store, desk: Desk::Line }
    }

    /// Returns a reporter for what the workers of a lane tell.
    #[must_use]
    pub fn of_lane(queue: Queue, store: Store, lane: &str, lanes: Arc<Lanes>) -> Self {
        Self { queue, store, desk: Desk::Lane(lane.to_owned(), lanes) }
    }

    /// Takes one report, waiting up to `wait` for one.
    ///
    /// # Errors
    /// The queue cannot be read or settled; the report then comes again, which does no harm.
    pub async fn step(&self, wait: Duration) -> Result<Step, Error> {
        let Some(lease) = self.queue.next(&self.desk.lane(), wait).await.map_err(Error::Queue)? else {
            return Ok(Step::Idle);
        };
        let read = lease.read::<Report>(VERSION);
        let report = match read.and_then(|report| self.desk.judge(&report.what).map(|()| report)) {
            Ok(report) => report,
            Err(why) => return self.bury(&lease, &why).await,
        };
        let span = |trace: &str| tracing::info_span!("report", trace.id = trace, report.id = lease.id);
        trail::step(lease.trace, span, self.record(&lease, &report)).await
    }

    async fn record(&self, lease: &Lease, report: &Report) -> Result<Step, Error> {
        match self.store.record(report).await {
            Ok(()) => {
                // A lease that was lost comes again; the ledger drops what comes twice.
                let _settled = self.queue.ack(lease).await.map_err(Error::Queue)?;
                Ok(Step::Recorded)
            }
            Err(error) if error.fault() == Fault::Passing => {
                tracing::warn!(report.id = %lease.id, "put off a report: failed to {}", chain(&error));
                let after = pause(lease.deliveries.saturating_sub(1), LONGEST_PUT_OFF);
                let _settled = self.queue.retry(lease, after).await.map_err(Error::Queue)?;
                Ok(Step::PutOff)
            }
            Err(error) => self.bury(lease, &format!("failed to {}", chain(&error))).await,
        }
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
