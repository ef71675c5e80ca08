//! Which targets an event touches, and the jobs that follow.
//!
//! Comes in: events. Goes out: for each commit that must be answered a roster, and a job for each touched target. What
//! a delivery says of commits and files is a hint: references are resolved here, and what targets read is compared by
//! tree ids. A target that is not touched gets neither job nor status nor request.

mod answer;
mod asks;
mod ends;
mod error;
mod lag;
mod messages;
mod notes;
mod question;
mod rerun;

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::time::Duration;

use crate::application::Application;
use crate::application::Name;
use crate::clock::now;
use crate::event::Event;
use crate::event::What;
use crate::explanation::Considered;
use crate::fault::Fault;
use crate::fault::chain;
use crate::lanes::Lanes;
use crate::queue::DELIVERY_LIMIT;
use crate::queue::DRAFTS;
use crate::queue::Draft;
use crate::queue::Lane;
use crate::queue::Lease;
use crate::queue::Queue;
use crate::queue::Settled;
use crate::reference::Reference;
use crate::source::Source;
use crate::store::Store;
use crate::trail;

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

/// The dispatch role.
pub struct Dispatcher {
    queue: Queue,
    store: Store,
    sources: BTreeMap<Name, Source>,
    applications: Vec<Application>,
    lanes: Lanes,
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
        Self { queue, store, sources, applications, lanes }
    }

    /// Takes one event, waiting for it up to `wait`, and dispatches it.
    ///
    /// # Errors
    /// Only those of the queue; everything else becomes a retry or a burial.
    pub async fn step(&self, wait: Duration) -> Result<Step, crate::queue::Error> {
        let Some(lease) = self.queue.next(&Lane::events(), wait).await? else { return Ok(Step::Idle) };
        let event: Event = match lease.read(crate::event::VERSION) {
            Ok(event) => event,
            Err(why) => return self.bury(&lease, why).await,
        };
        let span = |trace: &str| tracing::info_span!("dispatch", trace.id = trace, event.id = event.id, source = %event.source);
        trail::step(lease.trace, span, self.work(&lease, &event)).await
    }

    async fn work(&self, lease: &Lease, event: &Event) -> Result<Step, crate::queue::Error> {
        let mut notes = Considered::new(&event.id, &event.source);
        let dispatched = self.dispatch(event, &mut notes).await;
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
                self.tell(event, notes, &step).await;
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
                self.tell(event, notes, &step).await;
                metrics::counter!(RETRIES, "fault" => error.fault().word()).increment(1);
                let _settled = self.queue.retry(lease, after).await?;
                Ok(step)
            }
            Err(error) => {
                let why = format!("failed to {}", chain(&error));
                self.tell(event, notes, &Step::Buried { why: why.clone() }).await;
                self.bury(lease, why).await
            }
        }
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
        let applications = self.concerned(event);
        notes::note_others(notes, event, &self.applications, &applications);
        if applications.is_empty() {
            return Ok(Step::Nothing { why: question::nobody(event) });
        }
        let references: BTreeSet<&Reference> = applications.iter().map(|one| &one.reference).collect();
        let (mut made, mut failed) = (Made::new(event, &self.lanes, notes), None);
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
        let step = self.publish(made).await?;
        failed.map_or(Ok(step), Err)
    }

    /// Returns the applications that an event may concern.
    fn concerned(&self, event: &Event) -> Vec<&Application> {
        let asked = |one: &&Application| match &event.what {
            What::Push { reference, .. } | What::Sweep { reference } => one.reference.follows(reference),
            What::Again { target, .. } => one.name == target.application,
            // Pull requests are not checked yet, and reruns become events of their own.
            What::PullRequest { .. } | What::Rerun { .. } => false,
        };
        self.applications.iter().filter(|one| one.source == event.source).filter(asked).collect()
    }

    /// Remembers the touched targets as open, and only then publishes: rosters first, then what is superseded, then
    /// the jobs. Where references led is remembered last, so that a crash makes the sweep look again.
    async fn publish(&self, made: Made<'_>) -> Result<Step, Error> {
        let Made { event, reports, jobs, memory, superseded, quiet, led, why, .. } = made;
        self.store.open_targets(&memory).await?;
        let called_off = quiet.into_iter().map(|tip| ends::call_off(event, tip));
        let drafts: Vec<Draft> = reports.into_iter().chain(called_off).chain(jobs).collect();
        for part in drafts.chunks(DRAFTS) {
            self.queue.publish(part.to_vec()).await?;
        }
        for (reference, tip) in led {
            self.store.saw(&event.source, &reference, tip.as_ref()).await?;
        }
        let jobs = memory.len();
        if jobs == 0 && superseded == 0 {
            let why = why.join("; ");
            tracing::info!(event.id = event.id, source = %event.source, why, "nothing touched");
            return Ok(Step::Nothing { why });
        }
        tracing::info!(event.id = event.id, source = %event.source, jobs, superseded,
            since_delivery_ms = now().since(event.received_at), "dispatched");
        Ok(Step::Dispatched { jobs, superseded })
    }
}
