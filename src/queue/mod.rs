//! The queue between the stations: what is published here and confirmed is never lost.
//!
//! Messages come in as [`Draft`]s and go out as [`Lease`]s, at least once, in order and one at a time within a
//! partition of a lane. The queue knows nothing of what a body says.
//!
//! - A message that is retried gives up its place: newer ones of its partition overtake it, and when its time
//!   comes it joins the end of the line.
//! - A lease that is neither settled nor extended ends after [`LEASE_FOR`]; then the message is delivered again,
//!   from the place that it had. Who comes too late is told [`Settled::Lost`].
//! - Deliveries are counted, also across crashes; after [`DELIVERY_LIMIT`] of them the queue buries the message.
//!
//! It has two forms with one contract: [`sqlite`], in a file of one process, and [`rabbit`], at a broker for many.
//! What only one of them promises is said there.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use crate::moment::Moment;
use crate::trace::Trace;

pub use self::duty::Tenure;
pub use self::error::Error;
pub use self::message::Unread;

mod clock;
mod duty;
mod error;
mod hold;
mod message;
pub mod rabbit;
pub mod sqlite;

/// Counts messages that were delivered once more, by `lane`: after a retry, or since nobody settled them.
pub const REDELIVERIES: &str = "windlass_queue_redeliveries_total";

/// How long may a publisher wait for the durable confirm?
pub const PUBLISH_WITHIN: Duration = Duration::from_secs(3);
/// How long may any other operation wait for its answer?
pub const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// How long may a worker hold a lease without a sign of life?
pub const LEASE_FOR: Duration = Duration::from_secs(30);
/// How often may a message be delivered before it is buried?
pub const DELIVERY_LIMIT: u32 = 20;
/// How many bytes may a body have?
pub const BODY_BYTES: usize = 4 << 20;
/// How many bytes may an id or a partition have?
pub const NAME_BYTES: usize = 512;
/// How many bytes may the name of a lane have? The broker's names, which hold it, have at most 255.
pub const LANE_BYTES: usize = 200;
/// How many messages may one publish carry?
pub const DRAFTS: usize = 10_000;
/// How many consumers may wait for messages at once?
pub const WAITERS: usize = 4_096;
/// How long may one call wait for a message, and how long may a retry be put off?
pub const LONGEST_WAIT: Duration = Duration::from_hours(24);
/// How many bytes of the reason for a burial are kept?
pub const WHY_BYTES: usize = 4_096;
/// How many dead messages may one call list?
pub const DEAD_LISTED: u32 = 1_000;

/// A queue; clones are cheap and share it.
#[derive(Clone, Debug)]
pub enum Queue {
    /// Embedded, in one file, for one process.
    Sqlite(sqlite::Sqlite),
    /// At a broker, for as many processes as one likes.
    Rabbit(rabbit::Rabbit),
}

/// A named queue. Messages of different lanes know nothing of each other.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lane(String);

impl Lane {
    /// Returns the lane of what forges, the sweep and people say.
    #[must_use]
    pub fn events() -> Self {
        Self("events".to_owned())
    }

    /// Returns the lane of the work of the workers that serve `lane`.
    #[must_use]
    pub fn jobs(lane: &str) -> Self {
        Self(format!("jobs.{lane}"))
    }

    /// Returns the lane of the waits for health of the workers that serve `lane`.
    #[must_use]
    pub fn watch(lane: &str) -> Self {
        Self(format!("watch.{lane}"))
    }

    /// Returns the lane of what the door and dispatch report.
    #[must_use]
    pub fn reports() -> Self {
        Self("reports".to_owned())
    }

    /// Returns the lane of what the workers that serve `lane` report.
    #[must_use]
    pub fn reports_of(lane: &str) -> Self {
        Self(format!("reports.{lane}"))
    }

    /// Returns the lane of what the workers that serve `lane` ask for.
    #[must_use]
    pub fn asks(lane: &str) -> Self {
        Self(format!("asks.{lane}"))
    }

    /// Returns the lane of the duty of that name, which one process at a time has.
    #[must_use]
    pub fn duty(name: &str) -> Self {
        Self(format!("duty.{name}"))
    }
}

impl fmt::Display for Lane {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// A message that is not published yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// Where it goes.
    pub lane: Lane,
    /// Names the message for its readers; the queue does not compare ids, a message published twice comes twice.
    pub id: String,
    /// Messages of one partition of a lane are delivered in order and one at a time.
    pub partition: String,
    /// What it says, at most [`BODY_BYTES`].
    pub body: String,
    /// The step that it comes from, which rides beside the body.
    pub trace: Option<Trace>,
}

/// A message on loan to one consumer, until it is settled or its time is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The id of the message.
    pub id: String,
    /// Its partition: no other message of it is on loan meanwhile.
    pub partition: String,
    /// What the message says.
    pub body: String,
    /// How often it was delivered, with this time: 1 on the first.
    pub deliveries: u32,
    /// When it was published first.
    pub published_at: Moment,
    /// The step that it comes from; as it was drafted, also after retries, burial and replay.
    pub trace: Option<Trace>,
    lane: Lane,
    place: Place,
}

/// By what a queue finds the message of a lease again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// A row of the embedded queue. Invariant: of all leases of one `seq`, the newest has the highest epoch.
    Row { seq: i64, epoch: u32 },
    /// A loan that this process knows by a number of its own, which is never used again.
    Loan(u64),
}

/// What became of the wish to prolong or settle a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Settled {
    /// It is so.
    Done,
    /// Nothing changed: the lease had ended, and somebody else holds or settled the message.
    Lost,
}

/// A message that was buried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dead {
    /// The lane that it came from.
    pub lane: Lane,
    /// Its id.
    pub id: String,
    /// Its partition.
    pub partition: String,
    /// What it says.
    pub body: String,
    /// Why it was buried.
    pub why: String,
    /// How often it had been delivered.
    pub deliveries: u32,
    /// When it was buried.
    pub buried_at: Moment,
}

/// How much a lane holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Depth {
    /// Messages that are waiting, on loan or put off.
    pub count: u64,
    /// When the oldest of them was published first; at a broker, of those that this process has.
    pub oldest: Option<Moment>,
    /// Messages that were buried.
    pub dead: u64,
}

impl Queue {
    /// Opens the embedded queue in the file `path`, which is made when it is missing. What a former process had on
    /// loan is free at once.
    ///
    /// # Errors
    /// Another process holds the file; it is damaged, foreign or of a newer windlass; it cannot be written.
    pub async fn open(path: &Path) -> Result<Self, Error> {
        sqlite::Sqlite::open(path, sqlite::Options::default()).await.map(Self::Sqlite)
    }

    /// Connects to the broker that `options` name.
    ///
    /// # Errors
    /// The URL is none; the broker cannot be reached, is too old, refuses the user, or has other queues of these names.
    pub async fn connect(options: rabbit::Options) -> Result<Self, Error> {
        rabbit::Rabbit::connect(options).await.map(Self::Rabbit)
    }

    /// Stores `drafts` in this order, and returns when they are durable.
    ///
    /// # Errors
    /// A bound is broken: none of them is stored. Or they could not be stored: the embedded queue has none of them then,
    /// and a broker may have some. After [`Error::Unconfirmed`] they may still turn up.
    pub async fn publish(&self, drafts: Vec<Draft>) -> Result<(), Error> {
        bounded(&drafts)?;
        match self {
            _ if drafts.is_empty() => Ok(()),
            Self::Sqlite(queue) => queue.publish(drafts).await,
            Self::Rabbit(queue) => queue.publish(drafts).await,
        }
    }

    /// Takes the oldest message of `lane` that may be delivered, of those that this process sees, waiting up to `wait`
    /// for one. A call that is dropped takes nothing.
    ///
    /// # Errors
    /// The queue cannot be written, is closed or overcrowded; the broker is away, and nothing came while it waited.
    pub async fn next(&self, lane: &Lane, wait: Duration) -> Result<Option<Lease>, Error> {
        let taken = match self {
            Self::Sqlite(queue) => queue.next(lane, wait.min(LONGEST_WAIT)).await,
            Self::Rabbit(queue) => queue.next(lane, wait.min(LONGEST_WAIT)).await,
        }?;
        if taken.as_ref().is_some_and(|lease| lease.deliveries > 1) {
            metrics::counter!(REDELIVERIES, "lane" => lane.to_string()).increment(1);
        }
        Ok(taken)
    }

    /// Gives a sign of life: the lease ends [`LEASE_FOR`] from now.
    ///
    /// # Errors
    /// The queue cannot be written or is closed.
    pub async fn extend(&self, lease: &Lease) -> Result<Settled, Error> {
        match self {
            Self::Sqlite(queue) => queue.extend(lease).await,
            Self::Rabbit(queue) => queue.extend(lease).await,
        }
    }

    /// Ends the message: its work is done.
    ///
    /// # Errors
    /// The queue cannot be written or is closed; the message comes again.
    pub async fn ack(&self, lease: &Lease) -> Result<Settled, Error> {
        match self {
            Self::Sqlite(queue) => queue.ack(lease).await,
            Self::Rabbit(queue) => queue.ack(lease).await,
        }
    }

    /// Puts the message off for `after`; then it joins the end of its line. Its partition goes on without it.
    ///
    /// # Errors
    /// The queue cannot be written or is closed; the message comes again when its lease ends.
    pub async fn retry(&self, lease: &Lease, after: Duration) -> Result<Settled, Error> {
        match self {
            Self::Sqlite(queue) => queue.retry(lease, after.min(LONGEST_WAIT)).await,
            Self::Rabbit(queue) => queue.retry(lease, after.min(LONGEST_WAIT)).await,
        }
    }

    /// Does as [`Queue::retry`], and does not count this delivery: nothing was tried.
    ///
    /// # Errors
    /// As [`Queue::retry`].
    pub async fn postpone(&self, lease: &Lease, after: Duration) -> Result<Settled, Error> {
        match self {
            Self::Sqlite(queue) => queue.postpone(lease, after.min(LONGEST_WAIT)).await,
            Self::Rabbit(queue) => queue.postpone(lease, after.min(LONGEST_WAIT)).await,
        }
    }

    /// Takes the message out of the line and keeps it, with `why`, until somebody replays or discards it.
    ///
    /// # Errors
    /// The queue cannot be written or is closed; the message comes again when its lease ends.
    pub async fn bury(&self, lease: &Lease, why: &str) -> Result<Settled, Error> {
        let why = why.get(..why.floor_char_boundary(WHY_BYTES)).unwrap_or_default();
        match self {
            Self::Sqlite(queue) => queue.bury(lease, why).await,
            Self::Rabbit(queue) => queue.bury(lease, why).await,
        }
    }

    /// Lists dead messages of all lanes that this process knows, the latest first, at most `limit` and never more than [`DEAD_LISTED`].
    ///
    /// # Errors
    /// The queue cannot be read or is closed.
    pub async fn dead(&self, limit: u32) -> Result<Vec<Dead>, Error> {
        match self {
            Self::Sqlite(queue) => queue.dead(limit.min(DEAD_LISTED)).await,
            Self::Rabbit(queue) => queue.dead(limit.min(DEAD_LISTED)).await,
        }
    }

    /// Sends the oldest dead message of `lane` with this `id` back to the end of its line, as if it had never been
    /// delivered; says whether there was one.
    ///
    /// # Errors
    /// The queue cannot be written or is closed.
    pub async fn replay(&self, lane: &Lane, id: &str) -> Result<bool, Error> {
        match self {
            Self::Sqlite(queue) => queue.replay(lane, id).await,
            Self::Rabbit(queue) => queue.replay(lane, id).await,
        }
    }

    /// Takes the oldest dead message of `lane` with this `id` away for good; says whether there was one.
    ///
    /// # Errors
    /// The queue cannot be written or is closed.
    pub async fn discard(&self, lane: &Lane, id: &str) -> Result<bool, Error> {
        match self {
            Self::Sqlite(queue) => queue.discard(lane, id).await,
            Self::Rabbit(queue) => queue.discard(lane, id).await,
        }
    }

    /// Says how much `lane` holds.
    ///
    /// # Errors
    /// The queue cannot be read or is closed.
    pub async fn depth(&self, lane: &Lane) -> Result<Depth, Error> {
        match self {
            Self::Sqlite(queue) => queue.depth(lane).await,
            Self::Rabbit(queue) => queue.depth(lane).await,
        }
    }

    /// Makes sure that the queue answers.
    ///
    /// # Errors
    /// It does not, or is closed.
    pub async fn ping(&self) -> Result<(), Error> {
        match self {
            Self::Sqlite(queue) => queue.depth(&Lane::events()).await.map(drop),
            Self::Rabbit(queue) => queue.ping().await,
        }
    }

    /// Ends the queue for all its clones, after what was asked before. Waiting consumers get [`Error::Closed`].
    pub async fn close(self) {
        match self {
            Self::Sqlite(queue) => queue.close().await,
            Self::Rabbit(queue) => queue.close().await,
        }
    }
}

/// Refuses drafts that are larger or more than the queue carries.
fn bounded(drafts: &[Draft]) -> Result<(), Error> {
    if drafts.len() > DRAFTS {
        return Err(Error::TooMany { count: drafts.len() });
    }
    for Draft { lane, id, partition, body, .. } in drafts {
        for (what, name, most) in
            [("lane", &lane.0, LANE_BYTES), ("id", id, NAME_BYTES), ("partition", partition, NAME_BYTES)]
        {
            if name.len() > most {
                return Err(Error::TooLong { what, bytes: name.len(), most });
            }
        }
        if body.len() > BODY_BYTES {
            return Err(Error::TooLarge { id: id.clone(), bytes: body.len() });
        }
    }
    Ok(())
}
