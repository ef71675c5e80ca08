//! What the handles ask of the writer.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::sync::oneshot;

use crate::queue::Draft;
use crate::queue::Error;
use crate::queue::Lane;
use crate::queue::Lease;
use crate::queue::Place;
use crate::queue::Settled;

/// Where an answer goes.
pub(super) type Reply<T> = oneshot::Sender<Result<T, Error>>;

/// Something to write, and where the answer goes.
#[derive(Debug)]
pub(super) enum Operation {
    /// Store these.
    Publish(Vec<Draft>, Reply<()>),
    /// Take a message of the lane if there is one.
    Claim(Lane, Reply<Option<Granted>>),
    /// Take a message of the lane as soon as there is one.
    Wait(Lane, Reply<Option<Granted>>),
    /// Prolong or settle a lease.
    Settle(Key, How, Reply<Settled>),
    /// Nobody saw this lease: make it as if it had never been.
    GiveBack(Key),
    /// Send a dead message back.
    Replay(Lane, String, Reply<bool>),
    /// Delete a dead message.
    Discard(Lane, String, Reply<bool>),
    /// Finish what was asked before, then end. The sender is dropped when all is done.
    Close(oneshot::Sender<()>),
}

/// Which lease, without its body.
#[derive(Clone, Debug)]
pub(super) struct Key {
    pub(super) lane: Lane,
    pub(super) partition: String,
    pub(super) seq: i64,
    pub(super) epoch: u32,
}

impl Key {
    /// Returns the key of a lease; none when another form of queue made it.
    pub(super) fn of(lease: &Lease) -> Option<Self> {
        let Lease { lane, partition, place: Place::Row { seq, epoch }, .. } = lease else { return None };
        Some(Self { lane: lane.clone(), partition: partition.clone(), seq: *seq, epoch: *epoch })
    }
}

/// What to do with a lease.
#[derive(Clone, Debug)]
pub(super) enum How {
    Extend,
    Ack,
    Retry(Duration),
    Postpone(Duration),
    Bury(String),
}

/// What an operation led to, before it is committed and told.
#[derive(Debug)]
pub(super) enum Outcome {
    Published,
    Claimed(Option<Lease>),
    Settled(Settled),
    /// Whether there was a dead message to replay or discard.
    Found(bool),
    /// Nobody waits for an answer.
    Untold,
}

/// How much a transaction must promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Mode {
    /// Claims, acks and extensions: if the machine loses them, messages are delivered once more, no worse. The
    /// commit does not wait for the disk.
    Quick,
    /// Retries and burials: if they were lost, a poisoned message would come back at its old place. Durable.
    Settle,
    /// Publishes: durable, and without the reserve of pages that keeps a full queue able to drain.
    Store,
}

impl Operation {
    /// Returns what the transaction of this operation must promise.
    pub(super) fn mode(&self) -> Mode {
        match self {
            Self::Publish(..) => Mode::Store,
            Self::Settle(_, How::Retry(_) | How::Postpone(_) | How::Bury(_), _)
            | Self::Replay(..)
            | Self::Discard(..) => Mode::Settle,
            Self::Settle(_, How::Extend | How::Ack, _)
            | Self::Claim(..)
            | Self::Wait(..)
            | Self::GiveBack(_)
            | Self::Close(_) => Mode::Quick,
        }
    }

    /// Returns the messages of a publish.
    pub(super) fn drafts(&self) -> Option<&[Draft]> {
        if let Self::Publish(drafts, _) = self { Some(drafts) } else { None }
    }

    /// Says whether nobody waits for the answer any more. What was asked to be stored or settled is done anyway
    /// once it is being done, but not begun for nobody.
    pub(super) fn abandoned(&self) -> bool {
        match self {
            Self::Publish(_, reply) => reply.is_closed(),
            Self::Claim(_, reply) | Self::Wait(_, reply) => reply.is_closed(),
            Self::Replay(_, _, reply) | Self::Discard(_, _, reply) => reply.is_closed(),
            Self::Settle(..) | Self::GiveBack(_) | Self::Close(_) => false,
        }
    }

    /// Tells the asker what its operation led to.
    pub(super) fn answer(self, outcome: Outcome, back: &mpsc::WeakSender<Self>) {
        match (self, outcome) {
            (Self::Publish(_, reply), Outcome::Published) => drop(reply.send(Ok(()))),
            (Self::Claim(_, reply), Outcome::Claimed(lease)) => {
                drop(reply.send(Ok(lease.map(|lease| Granted::new(lease, back.clone())))));
            }
            (Self::Settle(_, _, reply), Outcome::Settled(settled)) => drop(reply.send(Ok(settled))),
            (Self::Replay(_, _, reply) | Self::Discard(_, _, reply), Outcome::Found(found)) => {
                drop(reply.send(Ok(found)));
            }
            // Nobody waits for the rest: there is one kind of outcome for each kind of operation.
            (_, _) => {}
        }
    }

    /// Tells the asker that its operation failed.
    pub(super) fn refuse(self, error: &Arc<sqlx::Error>, special: Option<Error>) {
        let or = |plain: fn(Arc<sqlx::Error>) -> Error| special.unwrap_or_else(|| plain(Arc::clone(error)));
        match self {
            Self::Publish(_, reply) => drop(reply.send(Err(or(Error::Store)))),
            Self::Claim(_, reply) | Self::Wait(_, reply) => drop(reply.send(Err(or(Error::Take)))),
            Self::Settle(_, _, reply) => drop(reply.send(Err(or(Error::Settle)))),
            Self::Replay(_, _, reply) => drop(reply.send(Err(or(Error::Replay)))),
            Self::Discard(_, _, reply) => drop(reply.send(Err(or(Error::Discard)))),
            Self::GiveBack(_) | Self::Close(_) => {}
        }
    }
}

/// A lease on its way to its holder. If nobody takes it, because the call was dropped meanwhile, it is given back
/// instead of blocking its partition until its time is over.
#[derive(Debug)]
pub(super) struct Granted {
    lease: Option<Lease>,
    back: mpsc::WeakSender<Operation>,
}

impl Granted {
    pub(super) fn new(lease: Lease, back: mpsc::WeakSender<Operation>) -> Self {
        Self { lease: Some(lease), back }
    }

    /// Hands the lease over.
    pub(super) fn take(mut self) -> Option<Lease> {
        self.lease.take()
    }
}

impl Drop for Granted {
    fn drop(&mut self) {
        if let Some(lease) = self.lease.take()
            && let Some(operations) = self.back.upgrade()
        {
            // A writer that is too busy to hear this lets the lease run out.
            if let Some(key) = Key::of(&lease) {
                drop(operations.try_send(Operation::GiveBack(key)));
            }
        }
    }
}
