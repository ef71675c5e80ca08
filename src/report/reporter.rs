//! Reports from the queue into the store.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::future::try_join_all;
use tokio::time::Instant;

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
use crate::store::Entry;
use crate::store::Store;
use crate::trace::Trace;

/// How long does one step wait for a report?
const WAIT: Duration = Duration::from_secs(30);

/// How long is a report put off at most while the store cannot take it? With the queue's limit of deliveries this
/// bridges more than an hour of a full disk.
const LONGEST_PUT_OFF: Duration = Duration::from_secs(600);

/// How long does the loop pause at most while the queue does not answer?
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// How long is waited before a store that was away is asked again?
const STORE_REST: Duration = Duration::from_secs(1);

/// How many reports are taken at once?
const BATCH: usize = 64;

/// For how long is one lot of reports stored, before what is left of it is put off? Their leases last a few times as long.
const STORED_WITHIN: Duration = Duration::from_secs(10);

/// From how many bytes on are no more taken with them? All of it has to be stored well within a lease.
const BATCH_BYTES: usize = 256 * 1024;

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
        Ok(self.steps(wait, 1).await?.pop().unwrap_or(Step::Idle))
    }

    /// Takes as many reports as wait already, waiting up to `wait` for the first one, at most 64; those of one source are
    /// stored together. Returns what became of each.
    ///
    /// # Errors
    /// As [`Reporter::step`].
    pub async fn gather(&self, wait: Duration) -> Result<Vec<Step>, Error> {
        self.steps(wait, BATCH).await
    }

    async fn steps(&self, wait: Duration, most: usize) -> Result<Vec<Step>, Error> {
        if !self.store_answers(wait).await {
            return Ok(Vec::new());
        }
        let (mut steps, mut believed) = (Vec::new(), Vec::new());
        for lease in self.take(wait, most).await? {
            match self.believe(&lease).await? {
                Ok(report) => believed.push((lease, report)),
                Err(step) => steps.push(step),
            }
        }
        let entries: Vec<Entry<'_>> = believed.iter().map(|(lease, report)| entry(lease, report)).collect();
        let started = Instant::now();
        for places in Store::turns(&entries) {
            let these: Vec<_> = places.iter().filter_map(|place| believed.get(*place)).collect();
            if self.away.load(Ordering::Relaxed) || started.elapsed() > STORED_WITHIN {
                steps.extend(self.put_off_all(&these).await?);
                continue;
            }
            let entries: Vec<_> = these.iter().map(|(lease, report)| entry(lease, report)).collect();
            let recorded = self.store.record_all(&entries).await;
            steps.extend(self.settle(&these, recorded, started).await?);
        }
        Ok(steps)
    }

    /// Takes leases on reports, waiting for the first one only.
    async fn take(&self, wait: Duration, most: usize) -> Result<Vec<Lease>, Error> {
        let (lane, mut leases, mut bytes) = (self.desk.lane(), Vec::new(), 0);
        while leases.len() < most && bytes < BATCH_BYTES {
            let wait = if leases.is_empty() { wait } else { Duration::ZERO };
            match self.queue.next(&lane, wait).await {
                Ok(Some(lease)) => {
                    bytes += lease.body.len();
                    leases.push(lease);
                }
                Err(error) if leases.is_empty() => return Err(Error::Queue(error)),
                // What is taken already is worked off first.
                Ok(None) | Err(_) => break,
            }
        }
        Ok(leases)
    }

    /// Reads a report, or settles a message that is none to be believed.
    async fn believe(&self, lease: &Lease) -> Result<Result<Report, Step>, Error> {
        let report = match lease.read::<Report>(VERSION) {
            Ok(report) => report,
            Err(unread) => return self.unread(lease, &unread).await.map(Err),
        };
        if let Err(why) = self.desk.judge(&report.what) {
            return self.bury(lease, &why).await.map(Err);
        }
        match self.made_up(&report.what).await {
            Ok(None) => Ok(Ok(report)),
            // Its roster, or newer settings, may be on their way.
            Ok(Some(_)) if lease.deliveries < MADE_UP_TRIES => self.put_off(lease).await.map(Err),
            Ok(Some(why)) => self.bury(lease, &why).await.map(Err),
            Err(error) => {
                self.away.store(error.fault() == Fault::Passing, Ordering::Relaxed);
                self.unstored(lease, &error).await.map(Err)
            }
        }
    }

    /// Settles reports that were stored together, or not. Where the store is there and did not take them, it is one of them
    /// that it cannot take, and each is on its own. Where it is away, all others wait for it.
    async fn settle(
        &self,
        these: &[&(Lease, Report)],
        recorded: Result<(), crate::store::Error>,
        started: Instant,
    ) -> Result<Vec<Step>, Error> {
        let mut steps = Vec::new();
        match recorded {
            Ok(()) => {
                let acks = these.iter().map(|(lease, _)| self.acknowledge(lease));
                steps.extend(try_join_all(acks).await?);
            }
            Err(error) => match these {
                _ if self.store.ping().await.is_err() => {
                    self.away.store(true, Ordering::Relaxed);
                    steps.extend(self.put_off_all(these).await?);
                }
                [(lease, _)] => steps.push(self.unstored(lease, &error).await?),
                _ => {
                    for (lease, report) in these {
                        let late = started.elapsed() > STORED_WITHIN;
                        let recorded = if late {
                            None
                        } else {
                            Some(self.store.record_all(&[entry(lease, report)]).await)
                        };
                        steps.push(match recorded {
                            None => self.put_off(lease).await?,
                            Some(Ok(())) => self.acknowledge(lease).await?,
                            Some(Err(error)) => self.unstored(lease, &error).await?,
                        });
                    }
                }
            },
        }
        Ok(steps)
    }

    async fn acknowledge(&self, lease: &Lease) -> Result<Step, Error> {
        // A lease that was lost comes again; the ledger drops what comes twice.
        let _settled = self.queue.ack(lease).await.map_err(Error::Queue)?;
        Ok(Step::Recorded)
    }

    async fn put_off_all(&self, these: &[&(Lease, Report)]) -> Result<Vec<Step>, Error> {
        try_join_all(these.iter().map(|(lease, _)| self.put_off(lease))).await
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

    /// Settles a report that the store did not take.
    async fn unstored(&self, lease: &Lease, error: &crate::store::Error) -> Result<Step, Error> {
        if error.fault() != Fault::Passing {
            return self.bury(lease, &format!("failed to {}", chain(error))).await;
        }
        tracing::warn!(report.id = %lease.id, trace.id = trace_of(lease), "put off a report: failed to {}", chain(error));
        self.put_off(lease).await
    }

    async fn put_off(&self, lease: &Lease) -> Result<Step, Error> {
        let after = pause(lease.deliveries.saturating_sub(1), LONGEST_PUT_OFF);
        let _settled = self.queue.retry(lease, after).await.map_err(Error::Queue)?;
        Ok(Step::PutOff)
    }

    /// Buries what nobody can read; what a newer windlass wrote is left to one.
    async fn unread(&self, lease: &Lease, unread: &Unread) -> Result<Step, Error> {
        let Some(after) = lease.newer_for(unread) else { return self.bury(lease, &unread.to_string()).await };
        tracing::warn!(report.id = %lease.id, trace.id = trace_of(lease), %unread, "put off a report");
        let _settled = self.queue.retry(lease, after).await.map_err(Error::Queue)?;
        Ok(Step::PutOff)
    }

    async fn bury(&self, lease: &Lease, why: &str) -> Result<Step, Error> {
        tracing::error!(report.id = %lease.id, trace.id = trace_of(lease), "bury a report, the sweep asks again for its target: {why}");
        let _settled = self.queue.bury(lease, why).await.map_err(Error::Queue)?;
        Ok(Step::Buried)
    }

    /// Takes reports until it is dropped.
    pub async fn run(&self) -> Infallible {
        let mut failures = 0;
        loop {
            match self.gather(WAIT).await {
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

fn entry<'a>(lease: &'a Lease, report: &'a Report) -> Entry<'a> {
    Entry { id: &lease.id, trace: lease.trace, report }
}

/// Returns the id of the trace that a message carries.
fn trace_of(lease: &Lease) -> Option<String> {
    lease.trace.map(Trace::id)
}
