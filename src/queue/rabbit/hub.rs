//! Where the messages of a lane and those who ask for them meet, within one process.
//!
//! What the broker delivered lies ready until somebody takes it on loan; then its time runs. A loan whose time is over
//! is given to the next one, without asking the broker: for the broker, this process has had the message all the time.

use std::collections::HashMap;
use std::collections::HashSet;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use lapin::Acker;
use tokio::sync::Notify;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::moment::Moment;
use crate::queue::DELIVERY_LIMIT;
use crate::queue::Error;
use crate::queue::WAITERS;
use crate::queue::clock;
use crate::queue::rabbit::claim::LATE_MS;
use crate::queue::rabbit::claim::Stake;
use crate::queue::rabbit::note::Note;

/// A message that the broker delivered to this process.
#[derive(Clone, Debug)]
pub(super) struct Arrival {
    pub(super) note: Note,
    pub(super) body: Arc<str>,
    /// How often it was delivered before.
    pub(super) before: u32,
    pub(super) acker: Acker,
    /// Whether the consumer that it came through has ended: then it is somebody else's by now.
    pub(super) ended: Arc<AtomicBool>,
    /// What claims of its queue go by.
    pub(super) stake: Arc<Stake>,
}

impl Arrival {
    /// Whether the broker still counts it as this process's.
    pub(super) fn is_ours(&self) -> bool {
        !self.ended.load(Ordering::Acquire) && self.acker.usable()
    }
}

/// A message on loan.
#[derive(Debug)]
struct Loan {
    arrival: Arrival,
    until: Instant,
    /// Did whoever had it try in vain to settle it? Then its lapse is no fault of the message.
    worked: bool,
}

/// The messages of one lane in this process.
#[derive(Debug)]
pub(super) struct Hub {
    inner: Mutex<Inner>,
    /// Told when a loan may end earlier than it was known.
    pub(super) stirred: Notify,
    /// Told when a message came to be lent that had to wait for whoever took it.
    pub(super) waited: Notify,
    /// Told when loans may have been lost with the consumers that they came through.
    pub(super) purged: Notify,
    lease_for: Duration,
}

#[derive(Debug, Default)]
struct Inner {
    ready: VecDeque<Arrival>,
    // Invariant: the partitions of all that is on loan, being settled or on its way to who asked.
    busy: HashSet<String>,
    loans: HashMap<u64, Loan>,
    waiters: VecDeque<oneshot::Sender<Granted>>,
    trouble: Option<Error>,
    closed: bool,
}

/// The answer to who asked for a message.
pub(super) enum Asked {
    /// Here it is.
    Now(Box<Granted>),
    /// There is none yet.
    Later(oneshot::Receiver<Granted>),
}

/// A message on its way to who asked; if nobody takes it, it lies ready again.
#[derive(Debug)]
pub(super) struct Granted {
    arrival: Option<Arrival>,
    hub: Arc<Hub>,
}

impl Drop for Granted {
    fn drop(&mut self) {
        if let Some(arrival) = self.arrival.take() {
            let mut inner = self.hub.lock();
            inner.busy.remove(&arrival.note.partition);
            inner.ready.push_front(arrival);
            self.hub.deal(&mut inner);
        }
    }
}

/// A loan that is being settled; one that is dropped before it was settled is put back.
#[derive(Debug)]
pub(super) struct Settling {
    hub: Arc<Hub>,
    ticket: u64,
    loan: Option<Loan>,
}

impl Settling {
    /// Returns what is settled.
    pub(super) fn arrival(&self) -> Option<&Arrival> {
        self.loan.as_ref().map(|loan| &loan.arrival)
    }

    /// Says that it was.
    pub(super) fn done(mut self) {
        if let Some(loan) = self.loan.take() {
            self.hub.settled(&loan.arrival.note.partition);
        }
    }
}

impl Drop for Settling {
    fn drop(&mut self) {
        if let Some(loan) = self.loan.take() {
            self.hub.unsettled(self.ticket, loan);
        }
    }
}

/// The numbers of loans, which all hubs of a process share.
static TICKETS: AtomicU64 = AtomicU64::new(0);

impl Hub {
    pub(super) fn new(lease_for: Duration) -> Arc<Self> {
        Arc::new(Self {
            inner: Mutex::default(),
            stirred: Notify::new(),
            waited: Notify::new(),
            purged: Notify::new(),
            lease_for,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // No step between two states panics, so what a panic elsewhere left behind is whole.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds what the broker delivered.
    pub(super) fn arrive(self: &Arc<Self>, arrival: Arrival) {
        let mut inner = self.lock();
        inner.ready.push_back(arrival);
        self.deal(&mut inner);
    }

    /// Asks for a message. `patient` says whether to wait for one.
    pub(super) fn ask(self: &Arc<Self>, patient: bool) -> Result<Option<Asked>, Error> {
        let mut inner = self.lock();
        if inner.closed {
            return Err(Error::Closed);
        }
        // Whatever could be dealt to those who wait is dealt, so what is left is for whoever comes.
        if let Some(arrival) = pick(&mut inner) {
            let granted = Granted { arrival: Some(arrival), hub: Arc::clone(self) };
            return Ok(Some(Asked::Now(Box::new(granted))));
        }
        if !patient {
            return Ok(None);
        }
        inner.waiters.retain(|waiter| !waiter.is_closed());
        if inner.waiters.len() >= WAITERS {
            return Err(Error::Crowded);
        }
        let (sender, receiver) = oneshot::channel();
        inner.waiters.push_back(sender);
        Ok(Some(Asked::Later(receiver)))
    }

    /// Hands ready messages to those who wait, in the order in which they asked.
    fn deal(self: &Arc<Self>, inner: &mut Inner) {
        while let Some(waiter) = inner.waiters.pop_front() {
            if waiter.is_closed() {
                continue;
            }
            let Some(arrival) = pick(inner) else {
                inner.waiters.push_front(waiter);
                return;
            };
            let granted = Granted { arrival: Some(arrival), hub: Arc::clone(self) };
            if let Err(mut back) = waiter.send(granted)
                && let Some(arrival) = back.arrival.take()
            {
                inner.busy.remove(&arrival.note.partition);
                inner.ready.push_front(arrival);
            }
        }
    }

    /// Begins the loan of a message; returns its number.
    pub(super) fn lend(&self, mut granted: Granted) -> Option<(u64, Arrival)> {
        let arrival = granted.arrival.take()?;
        let ticket = TICKETS.fetch_add(1, Ordering::Relaxed);
        let loan = Loan { arrival: arrival.clone(), until: Instant::now() + self.lease_for, worked: false };
        self.lock().loans.insert(ticket, loan);
        self.stirred.notify_one();
        if clock::wall().since(arrival.note.published_at) > LATE_MS {
            self.waited.notify_one();
        }
        Some((ticket, arrival))
    }

    /// Prolongs a loan; says whether it was still one.
    pub(super) fn extend(&self, ticket: u64) -> bool {
        let mut inner = self.lock();
        // A loan whose time is over is somebody else's next, though nobody may have come for it yet.
        let now = Instant::now();
        let Some(loan) =
            inner.loans.get_mut(&ticket).filter(|loan| loan.arrival.is_ours() && loan.until > now)
        else {
            return false;
        };
        loan.until = now + self.lease_for;
        true
    }

    /// Takes a loan out, to settle it; its partition stays busy meanwhile.
    pub(super) fn settling(self: &Arc<Self>, ticket: u64) -> Option<Settling> {
        let loan = self.lock().loans.remove(&ticket)?;
        loan.arrival.stake.note();
        if loan.arrival.is_ours() {
            return Some(Settling { hub: Arc::clone(self), ticket, loan: Some(loan) });
        }
        self.settled(&loan.arrival.note.partition);
        None
    }

    /// Puts a loan back that could not be settled: it ends with its time, and counts as no delivery. One that was lost
    /// meanwhile, or acknowledged with nobody to hear of it, keeps its partition from nobody.
    fn unsettled(self: &Arc<Self>, ticket: u64, loan: Loan) {
        let mut inner = self.lock();
        if loan.arrival.is_ours() {
            inner.loans.insert(ticket, Loan { worked: true, ..loan });
            self.stirred.notify_one();
        } else {
            inner.busy.remove(&loan.arrival.note.partition);
            self.deal(&mut inner);
        }
    }

    /// Lets the partition go on, after a message of it was settled.
    pub(super) fn settled(self: &Arc<Self>, partition: &str) {
        let mut inner = self.lock();
        inner.busy.remove(partition);
        self.deal(&mut inner);
    }

    /// How many wait for a message in vain? Whatever could be dealt to them is dealt.
    pub(super) fn idle(&self) -> usize {
        self.lock().waiters.iter().filter(|waiter| !waiter.is_closed()).count()
    }

    /// Whether something is here that came through a consumer, by what tells of its end.
    pub(super) fn has_of(&self, ended: &Arc<AtomicBool>) -> bool {
        let inner = self.lock();
        let loans = inner.loans.values().map(|loan| &loan.arrival);
        inner.ready.iter().chain(loans).any(|arrival| Arc::ptr_eq(&arrival.ended, ended))
    }

    /// Ends the loans whose time is over. Returns when the next one ends, and which messages are spent: they were
    /// delivered as often as they may be.
    pub(super) fn expire(self: &Arc<Self>) -> (Option<Instant>, Vec<Arrival>) {
        let mut inner = self.lock();
        let now = Instant::now();
        let over: Vec<u64> =
            inner.loans.iter().filter(|(_, loan)| loan.until <= now).map(|(ticket, _)| *ticket).collect();
        let mut spent = Vec::new();
        for ticket in over {
            let Some(Loan { mut arrival, worked, .. }) = inner.loans.remove(&ticket) else { continue };
            arrival.before = arrival.before.saturating_add(u32::from(!worked));
            if arrival.before >= DELIVERY_LIMIT {
                spent.push(arrival);
            } else {
                inner.busy.remove(&arrival.note.partition);
                inner.ready.push_front(arrival);
            }
        }
        self.deal(&mut inner);
        (inner.loans.values().map(|loan| loan.until).min(), spent)
    }

    /// Forgets all that came through consumers that have ended.
    pub(super) fn purge(self: &Arc<Self>) {
        let mut inner = self.lock();
        inner.ready.retain(Arrival::is_ours);
        let lost: Vec<u64> = inner
            .loans
            .iter()
            .filter(|(_, loan)| !loan.arrival.is_ours())
            .map(|(ticket, _)| *ticket)
            .collect();
        for ticket in lost {
            if let Some(loan) = inner.loans.remove(&ticket) {
                inner.busy.remove(&loan.arrival.note.partition);
            }
        }
        self.deal(&mut inner);
        self.purged.notify_waiters();
    }

    /// Notes why no messages come; none when they do.
    pub(super) fn trouble(&self, trouble: Option<Error>) {
        self.lock().trouble = trouble;
    }

    /// Says why no messages come, if that is so.
    pub(super) fn troubled(&self) -> Option<Error> {
        self.lock().trouble.clone()
    }

    /// How many messages of the lane this process has, and when the oldest of them was published first, of those that
    /// nobody settles just now.
    pub(super) fn held(&self) -> (u64, Option<Moment>) {
        let inner = self.lock();
        let loans = inner.loans.values().map(|loan| &loan.arrival);
        let ready = || inner.ready.iter().filter(|arrival| arrival.is_ours());
        let oldest = ready().chain(loans).map(|arrival| arrival.note.published_at).min();
        (u64::try_from(ready().count() + inner.busy.len()).unwrap_or(u64::MAX), oldest)
    }

    /// Ends the hub: who waits hears it, and nothing is taken or settled any more.
    pub(super) fn close(&self) {
        let mut inner = self.lock();
        let closed = Inner { closed: true, ..Inner::default() };
        let before = std::mem::replace(&mut *inner, closed);
        drop(inner);
        drop(before);
    }
}

/// Takes the first ready message whose partition is free.
fn pick(inner: &mut Inner) -> Option<Arrival> {
    inner.ready.retain(Arrival::is_ours);
    let free = inner.ready.iter().position(|arrival| !inner.busy.contains(&arrival.note.partition))?;
    let arrival = inner.ready.remove(free)?;
    inner.busy.insert(arrival.note.partition.clone());
    Some(arrival)
}
