//! Which targets an event touches, and the jobs that follow.
//!
//! Comes in: events. Goes out: for each commit that must be answered a roster, and a job for each touched target. What
//! a delivery says of commits and files is a hint: references are resolved here, and what targets read is compared by
//! tree ids. A target that is not touched gets neither job nor status nor request.

mod answer;
mod asks;
mod dependencies;
mod drift;
mod ends;
mod error;
mod lag;
mod messages;
mod notes;
mod publish;
mod question;
mod rerun;
mod rollback;
mod sync;

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::application::Application;
use crate::application::Name;
use crate::application::Target;
use crate::clock::now;
use crate::event::Event;
use crate::event::What;
use crate::explanation::Considered;
use crate::fault::Fault;
use crate::fault::chain;
use crate::lanes::Lanes;
use crate::queue::DELIVERY_LIMIT;
use crate::queue::Lane;
use crate::queue::Lease;
use crate::queue::Queue;
use crate::queue::Settled;
use crate::queue::Unread;
use crate::reference::Reference;
use crate::select::Applications;
use crate::source::Source;
use crate::store::Store;
use crate::trail;
use crate::window::Gate;
use crate::window::Window;

use messages::Made;

pub use error::Error;

/// Counts events that were put back, by `fault`.
pub const RETRIES: &str = "windlass_dispatch_retries_total";

/// How long is an event put back at first? Doubled each time.
const RETRY_AFTER: Duration = Duration::from_millis(100);

/// How long is an event put back at most while the repository does not show its push yet?
const LAG_AT_MOST: Duration = Duration::from_secs(5);

/// How long is an event put back at most for another reason? With the queue's limit of deliveries this bridges more than
/// ten minutes of a forge that is away.
const RETRY_AT_MOST: Duration = Duration::from_secs(60);

/// How long is waited before a store that was away is asked again?
const STORE_REST: Duration = Duration::from_secs(1);

/// The dispatch role.
pub struct Dispatcher {
    queue: Queue,
    store: Store,
    sources: BTreeMap<Name, Source>,
    applications: Applications,
    lanes: Lanes,
    windows: Vec<Window>,
    /// Did the store fail the last time?
    away: AtomicBool,
}

/// What a step did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// There was nothing to do.
    Idle,
    /// The event touches nothing.
    Nothing {
        /// Why.
        why: String,
    },
    /// Jobs were published.
    Dispatched {
        /// How many.
        jobs: usize,
        /// How many targets had their commit overtaken already.
        superseded: usize,
    },
    /// Targets are touched, and all of them are closed: their commits wait.
    Held {
        /// How many.
        targets: usize,
    },
    /// Targets were asked for again, each by an event of its own.
    Asked {
        /// How many.
        targets: usize,
    },
    /// What a lane asked for was handed on.
    HandedOn,
    /// The event was put back for later.
    Retried {
        /// Why.
        why: String,
    },
    /// The event was buried.
    Buried {
        /// Why.
        why: String,
    },
    /// The event had been given to somebody else meanwhile.
    Lost,
}

impl Dispatcher {
    /// Takes its hands and the applications by which it selects.
    #[must_use]
    pub fn new(
        queue: Queue,
        store: Store,
        sources: BTreeMap<Name, Source>,
        applications: Vec<Application>,
        lanes: Lanes,
    ) -> Self {
        let (windows, away) = (Vec::new(), AtomicBool::new(false));
        let applications = Applications::new(applications);
        Self { queue, store, sources, applications, lanes, windows, away }
    }

    /// Says when targets may be written to.
    #[must_use]
    pub fn behind(self, windows: Vec<Window>) -> Self {
        Self { windows, ..self }
    }

    /// Returns what windows, pauses and pins say now.
    async fn gate(&self) -> Result<Gate<'_>, Error> {
        Ok(Gate::new(&self.windows, self.store.pauses().await?, now()).keeping(self.store.pins().await?))
    }

    /// Takes one event, waiting for it up to `wait`, and dispatches it.
    ///
    /// # Errors
    /// Only those of the queue; everything else becomes a retry or a burial.
    pub async fn step(&self, wait: Duration) -> Result<Step, crate::queue::Error> {
        if !self.store_answers(wait).await {
            return Ok(Step::Idle);
        }
        let Some(lease) = self.queue.next(&Lane::events(), wait).await? else { return Ok(Step::Idle) };
        let event: Event = match lease.read(crate::event::VERSION) {
            Ok(event) => event,
            Err(unread) => return self.unread(&lease, &unread).await,
        };
        let span = |trace: &str| tracing::info_span!("dispatch", trace.id = trace, event.id = event.id, source = %event.source);
        trail::step(lease.trace, span, self.work(&lease, &event)).await
    }

    /// Returns whether the store can be used. While it is away, no event is taken: each may be tried so often only.
    async fn store_answers(&self, wait: Duration) -> bool {
        if !self.away.load(Ordering::Relaxed) {
            return true;
        }
        if let Err(error) = self.store.ping().await {
            tracing::warn!("no event is taken: failed to {}", chain(&error));
            tokio::time::sleep(wait.min(STORE_REST)).await;
            return false;
        }
        self.away.store(false, Ordering::Relaxed);
        true
    }

    async fn work(&self, lease: &Lease, event: &Event) -> Result<Step, crate::queue::Error> {
        let mut notes = Considered::new(&event.id, &event.source);
        // A fetch may take longer than a lease.
        let dispatched = self.queue.holding(lease, self.dispatch(event, &mut notes)).await?;
        let Some(dispatched) = dispatched else { return Ok(Step::Lost) };
        if matches!(&dispatched, Err(Error::Store(error)) if error.fault() == Fault::Passing) {
            self.away.store(true, Ordering::Relaxed);
        }
        self.settle(lease, event, notes, dispatched).await
    }

    /// Acknowledges an event, puts it back or buries it, and tells history.
    async fn settle(
        &self,
        lease: &Lease,
        event: &Event,
        notes: Considered,
        dispatched: Result<Step, Error>,
    ) -> Result<Step, crate::queue::Error> {
        match dispatched {
            Ok(step) => {
                self.tell(lease, event, notes, &step).await;
                match self.queue.ack(lease).await? {
                    Settled::Done => Ok(step),
                    Settled::Lost => Ok(Step::Lost),
                }
            }
            Err(error) if error.fault() == Fault::Passing && lease.deliveries < DELIVERY_LIMIT => {
                let doubled = 2_u32.saturating_pow(lease.deliveries.saturating_sub(1));
                let lagging = matches!(error, Error::Lagging(_));
                let most = if lagging { LAG_AT_MOST } else { RETRY_AT_MOST };
                let after = RETRY_AFTER.saturating_mul(doubled).min(most);
                let why = format!("failed to {}", chain(&error));
                tracing::warn!(event.id = event.id, source = %event.source, attempt = lease.deliveries, why, "put back");
                let step = Step::Retried { why };
                self.tell(lease, event, notes, &step).await;
                metrics::counter!(RETRIES, "fault" => error.fault().word()).increment(1);
                let _settled = self.queue.retry(lease, after).await?;
                Ok(step)
            }
            Err(error) => {
                let why = format!("failed to {}", chain(&error));
                self.tell(lease, event, notes, &Step::Buried { why: why.clone() }).await;
                self.bury(lease, why).await
            }
        }
    }

    /// Buries what nobody can read; what a newer windlass wrote is left to one.
    pub(super) async fn unread(&self, lease: &Lease, unread: &Unread) -> Result<Step, crate::queue::Error> {
        let Some(after) = lease.newer_for(unread) else { return self.bury(lease, unread.to_string()).await };
        tracing::warn!(message.id = lease.id, %unread, "put back");
        let _settled = self.queue.retry(lease, after).await?;
        Ok(Step::Retried { why: unread.to_string() })
    }

    async fn bury(&self, lease: &Lease, why: String) -> Result<Step, crate::queue::Error> {
        tracing::error!(message.id = lease.id, why, "event buried; the next sweep looks again");
        let _settled = self.queue.bury(lease, &why).await?;
        Ok(Step::Buried { why })
    }

    /// Answers an event for each reference that it may concern. What is wrong with one for good holds no other back; what
    /// may pass puts the whole event off.
    async fn dispatch(&self, event: &Event, notes: &mut Considered) -> Result<Step, Error> {
        if let What::Rerun { commit, target } = &event.what {
            return self.rerun(event, commit, target.as_ref()).await;
        }
        if let What::Drift { target, own } = &event.what {
            return self.drift(event, target, *own).await;
        }
        if let What::Sync { target, regardless, prunes } = &event.what {
            return self.sync(event, target, (*regardless, prunes.as_ref()), notes).await;
        }
        if let What::Failed { target, commit, inputs } = &event.what {
            return self.roll_back(event, target, (commit, inputs), notes).await;
        }
        let applications = self.concerned(event);
        notes::note_others(notes, self.applications.of_source(&event.source), &applications);
        if applications.is_empty() {
            return Ok(Step::Nothing { why: question::nobody(event) });
        }
        let references: BTreeSet<&Reference> = applications.iter().map(|one| &one.reference).collect();
        let gate = self.gate().await?;
        let (mut made, mut failed) = (Made::new(event, &self.lanes, &gate, notes), None);
        for reference in references {
            let these: Vec<_> =
                applications.iter().copied().filter(|one| one.reference == *reference).collect();
            match self.answer(event, reference, &these, &mut made).await {
                Ok(()) => {}
                Err(error) if error.fault() == Fault::Passing => return Err(error),
                Err(error) => {
                    // Of a range, the pushed tag may be one that nobody follows.
                    if error.is_the_commits() && matches!(reference, Reference::Name(_)) {
                        self.turn_down(event, &these, &format!("failed to {}", chain(&error))).await?;
                    }
                    failed = failed.or(Some(error));
                }
            }
        }
        let held: Vec<Target> = made.held.keys().cloned().collect();
        let step = self.publish(made).await?;
        self.keep_all(event, &held, notes).await?;
        failed.map_or(Ok(step), Err)
    }

    /// Returns the applications that an event may concern.
    fn concerned(&self, event: &Event) -> Vec<&Application> {
        let asked = |one: &&Application| match &event.what {
            What::Push { reference, .. } | What::Sweep { reference } => one.reference.follows(reference),
            What::Again { target, .. } => one.name == target.application,
            // Pull requests are not checked yet, reruns become events of their own, and the others are about one target.
            What::PullRequest { .. }
            | What::Rerun { .. }
            | What::Drift { .. }
            | What::Sync { .. }
            | What::Failed { .. } => false,
        };
        self.applications.of_source(&event.source).filter(asked).collect()
    }
}
