//! The queue at RabbitMQ, for as many processes as one likes.
//!
//! A lane is spread over queues by partition, and each of those has one active consumer among all workers, which the
//! workers agree on by their numbers for it; see `names`. Publishing, consuming and all else go over connections of
//! their own, so that a broker that blocks publishers still takes acknowledgements.
//!
//! What differs from the embedded queue:
//! - A publish of several messages that failed may have stored some of them.
//! - A retry is rounded up to whole seconds.
//! - Messages that wait at a process when it ends count as delivered, since the broker cannot tell.
//! - The depth counts what is on loan, and the age of the oldest, for this process alone.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::queue::ANSWER_WITHIN;
use crate::queue::Dead;
use crate::queue::Depth;
use crate::queue::Draft;
use crate::queue::Error;
use crate::queue::LEASE_FOR;
use crate::queue::Lane;
use crate::queue::Lease;
use crate::queue::PUBLISH_WITHIN;
use crate::queue::Place;
use crate::queue::Settled;
use crate::queue::clock;
use crate::queue::rabbit::address::Address;
use crate::queue::rabbit::core::Core;
use crate::queue::rabbit::failure::within;
use crate::queue::rabbit::hub::Asked;
use crate::queue::rabbit::hub::Granted;
use crate::queue::rabbit::hub::Hub;
use crate::queue::rabbit::link::Link;
use crate::queue::rabbit::note::Note;
use crate::queue::rabbit::publisher::Outgoing;
use crate::queue::rabbit::publisher::Publisher;
use crate::secret::Secret;

/// How many messages are confirmed in one go?
const PART: usize = 256;

mod address;
mod claim;
mod core;
mod dead;
mod declare;
mod difference;
mod failure;
mod feed;
mod hub;
mod ladder;
mod link;
mod names;
mod note;
mod publisher;
mod settle;
mod survey;
mod topology;

pub use self::survey::Finding;
pub use self::survey::State;
pub use self::survey::furnish;
pub use self::survey::survey;

/// The oldest RabbitMQ that windlass works with: before it, the workers of a lane do not share it evenly.
pub const OLDEST: &str = "4.0";

/// What is said about a broker when windlass connects to it.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where it is, with user and password, as `amqp://` or, over TLS, `amqps://`.
    pub url: Secret,
    /// The authority that its certificate is checked against, as PEM; the system's own ones when there is none.
    pub ca: Option<String>,
    /// Names this process among the workers: each has another name, and keeps it over a restart.
    pub worker: String,
    /// The lanes that are made ready at once, and whose dead messages are listed; others come with their first use.
    pub lanes: Vec<Lane>,
    /// How long a worker may hold a lease without a sign of life: [`LEASE_FOR`].
    pub lease_for: Duration,
}

impl Options {
    /// Returns what has to be said: where the broker is, and who this is.
    #[must_use]
    pub fn new(url: Secret, worker: &str) -> Self {
        Self { url, ca: None, worker: worker.to_owned(), lanes: Vec::new(), lease_for: LEASE_FOR }
    }
}

/// A handle on the broker; clones share it. When the last one is dropped, the connections end.
#[derive(Clone)]
pub struct Rabbit {
    core: Arc<Core>,
    // The tasks hold the core and nothing holds them but the handles.
    tasks: Arc<Mutex<JoinSet<()>>>,
}

impl fmt::Debug for Rabbit {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Rabbit").field("worker", &self.core.worker).finish_non_exhaustive()
    }
}

impl Rabbit {
    /// Connects to the broker and declares the lanes of `options`; see [`crate::queue::Queue::connect`].
    ///
    /// # Errors
    /// The URL is none; the broker cannot be reached, is too old, refuses the user, or has other queues of these names.
    pub async fn connect(options: Options) -> Result<Self, Error> {
        let address = Arc::new(Address::read(&options)?);
        let version = within(ANSWER_WITHIN, address.probe()).await?;
        tracing::info!(broker.version = %version, "reached the broker");
        let link =
            |what: &str| Link::new(Arc::clone(&address), format!("windlass {} {what}", options.worker));
        let publishing = Arc::new(link("publishes"));
        let mut tasks = JoinSet::new();
        let core = Arc::new(Core {
            publisher: Publisher::start(&publishing, address.user(), &mut tasks),
            publishing,
            consuming: link("consumes"),
            asking: link("asks"),
            address: Arc::clone(&address),
            worker: options.worker.clone(),
            lease_for: options.lease_for,
            hubs: Mutex::default(),
            declared: Mutex::default(),
            declaring: tokio::sync::Mutex::default(),
            closed: AtomicBool::new(false),
        });
        for lane in &options.lanes {
            core.ready(lane).await?;
        }
        if options.lanes.is_empty() {
            // The password is known to be right before anything relies on it.
            within(ANSWER_WITHIN, async { core.asking.connection().await.map(drop) }).await?;
        }
        Ok(Self { core, tasks: Arc::new(Mutex::new(tasks)) })
    }

    pub(super) async fn publish(&self, drafts: Vec<Draft>) -> Result<(), Error> {
        self.core.open()?;
        let mut drafts = drafts.into_iter();
        loop {
            // Each part has its own time, since thousands of messages take longer than a door may wait for one.
            let part: Vec<Draft> = drafts.by_ref().take(PART).collect();
            if part.is_empty() {
                return Ok(());
            }
            timeout(PUBLISH_WITHIN, self.send(part)).await.unwrap_or(Err(Error::Unconfirmed))?;
        }
    }

    async fn send(&self, drafts: Vec<Draft>) -> Result<(), Error> {
        let lanes: HashSet<Lane> = drafts.iter().map(|draft| draft.lane.clone()).collect();
        for lane in &lanes {
            self.core.ready(lane).await?;
        }
        let now = clock::wall();
        let outgoing = drafts.into_iter().map(|Draft { lane, id, partition, body, trace }| Outgoing {
            exchange: names::exchange(&lane),
            key: names::place(&lane, &partition).to_string(),
            note: Note { id, partition, published_at: now, trace, ..Note::default() },
            body: body.into(),
        });
        let published = self.core.publisher.publish(outgoing.collect()).await;
        for lane in &lanes {
            self.core.noted(lane, &published);
        }
        published
    }

    pub(super) async fn next(&self, lane: &Lane, wait: Duration) -> Result<Option<Lease>, Error> {
        let hub = self.hub(lane)?;
        match hub.ask(!wait.is_zero())? {
            None => hub.troubled().map_or(Ok(None), Err),
            Some(Asked::Now(granted)) => Ok(lease(lane, &hub, *granted)),
            Some(Asked::Later(later)) => match timeout(wait, later).await {
                Ok(Ok(granted)) => Ok(lease(lane, &hub, granted)),
                Ok(Err(_)) => Err(Error::Closed),
                Err(_) => hub.troubled().map_or(Ok(None), Err),
            },
        }
    }

    pub(super) async fn extend(&self, lease: &Lease) -> Result<Settled, Error> {
        let Some((hub, ticket)) = self.loan(lease)? else { return Ok(Settled::Lost) };
        Ok(if hub.extend(ticket) { Settled::Done } else { Settled::Lost })
    }

    /// Waits until consumers of the lane ended, and with them what they brought.
    pub(super) async fn shaken(&self, lease: &Lease) {
        let hub = self.core.hubs().get(&lease.lane).map(Arc::clone);
        match hub {
            Some(hub) => hub.purged.notified().await,
            None => std::future::pending().await,
        }
    }

    pub(super) async fn ack(&self, lease: &Lease) -> Result<Settled, Error> {
        self.settle(lease, settle::How::Ack).await
    }

    pub(super) async fn retry(&self, lease: &Lease, after: Duration) -> Result<Settled, Error> {
        self.settle(lease, settle::How::Retry(after)).await
    }

    pub(super) async fn postpone(&self, lease: &Lease, after: Duration) -> Result<Settled, Error> {
        self.settle(lease, settle::How::Postpone(after)).await
    }

    pub(super) async fn bury(&self, lease: &Lease, why: &str) -> Result<Settled, Error> {
        self.settle(lease, settle::How::Bury(why.to_owned())).await
    }

    async fn settle(&self, lease: &Lease, how: settle::How) -> Result<Settled, Error> {
        let Some((hub, ticket)) = self.loan(lease)? else { return Ok(Settled::Lost) };
        let Some(settling) = hub.settling(ticket) else { return Ok(Settled::Lost) };
        let Some(arrival) = settling.arrival() else { return Ok(Settled::Lost) };
        let settled = self.core.settle(&lease.lane, arrival, how).await?;
        settling.done();
        Ok(settled)
    }

    pub(super) async fn dead(&self, limit: u32) -> Result<Vec<Dead>, Error> {
        self.core.open()?;
        within(ANSWER_WITHIN, self.core.dead(limit)).await
    }

    pub(super) async fn replay(&self, lane: &Lane, id: &str) -> Result<bool, Error> {
        self.core.open()?;
        within(ANSWER_WITHIN, self.core.replay(lane, id)).await
    }

    pub(super) async fn discard(&self, lane: &Lane, id: &str) -> Result<bool, Error> {
        self.core.open()?;
        within(ANSWER_WITHIN, self.core.discard(lane, id)).await
    }

    pub(super) async fn depth(&self, lane: &Lane) -> Result<Depth, Error> {
        self.core.open()?;
        within(ANSWER_WITHIN, self.core.depth(lane)).await
    }

    pub(super) fn held(&self, lane: &Lane) -> u64 {
        let hub = self.core.hubs().get(lane).cloned();
        hub.map_or(0, |hub| hub.held().0)
    }

    pub(super) async fn ping(&self) -> Result<(), Error> {
        self.core.open()?;
        let channel = within(ANSWER_WITHIN, self.core.asking.channel()).await?;
        declare::shut(&channel).await;
        Ok(())
    }

    pub(super) async fn close(self) {
        self.core.closed.store(true, Ordering::Release);
        for hub in self.core.hubs().values() {
            hub.close();
        }
        let mut tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        tasks.abort_all();
        let closing = async {
            while tasks.join_next().await.is_some() {}
            futures::join!(
                self.core.publishing.close(),
                self.core.consuming.close(),
                self.core.asking.close()
            );
        };
        if timeout(ANSWER_WITHIN, closing).await.is_err() {
            tracing::warn!("failed to close the connections to the broker in time: it will notice by itself");
        }
    }

    /// Returns the hub of a lane; the first call begins to consume it.
    fn hub(&self, lane: &Lane) -> Result<Arc<Hub>, Error> {
        let mut hubs = self.core.hubs();
        self.core.open()?;
        if let Some(hub) = hubs.get(lane) {
            return Ok(Arc::clone(hub));
        }
        let hub = Hub::new(self.core.lease_for);
        hubs.insert(lane.clone(), Arc::clone(&hub));
        drop(hubs);
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        feed::start(&self.core, lane, &hub, &mut tasks);
        Ok(hub)
    }

    /// Returns by what a lease is found again; nothing when another form of queue made it.
    fn loan(&self, lease: &Lease) -> Result<Option<(Arc<Hub>, u64)>, Error> {
        self.core.open()?;
        let Place::Loan(ticket) = lease.place else { return Ok(None) };
        Ok(self.core.hubs().get(&lease.lane).map(|hub| (Arc::clone(hub), ticket)))
    }
}

fn lease(lane: &Lane, hub: &Arc<Hub>, granted: Granted) -> Option<Lease> {
    let (ticket, arrival) = hub.lend(granted)?;
    Some(Lease {
        id: arrival.note.id,
        partition: arrival.note.partition,
        body: arrival.body.as_ref().to_owned(),
        deliveries: arrival.before.saturating_add(1),
        published_at: arrival.note.published_at,
        trace: arrival.note.trace,
        lane: lane.clone(),
        place: Place::Loan(ticket),
    })
}
