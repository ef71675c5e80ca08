//! The one task that writes: it takes what waits, up to a group, into one transaction, and answers after the commit.
//!
//! It survives every error of the database: whoever asked gets the error, the next ones are served as if nothing had
//! been. It ends when it is closed or when no handle is left.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sqlx::Connection;
use tokio::sync::mpsc;
use tokio::sync::oneshot;

use crate::queue::Draft;
use crate::queue::Lease;
use crate::queue::Settled;
use crate::queue::clock;
use crate::queue::clock::Clock;
use crate::queue::sqlite::Options;
use crate::queue::sqlite::open;
use crate::queue::sqlite::operation::How;
use crate::queue::sqlite::operation::Key;
use crate::queue::sqlite::operation::Mode;
use crate::queue::sqlite::operation::Operation;
use crate::queue::sqlite::operation::Outcome;
use crate::queue::sqlite::table::Counts;
use crate::queue::sqlite::table::Table;
use crate::queue::sqlite::table::Then;
use crate::queue::sqlite::waiting::Waiting;

/// How many operations may share one transaction?
pub(super) const GROUP: usize = 256;
/// How long does the writer wait before it tries again what nobody asked for, such as ending leases?
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// The writer, with all that only it may touch.
pub(super) struct Writer {
    pub(super) table: Table,
    pub(super) clock: Clock,
    pub(super) options: Options,
    pub(super) path: PathBuf,
    /// The lock on the file.
    pub(super) held: File,
    pub(super) operations: mpsc::Receiver<Operation>,
    pub(super) back: mpsc::WeakSender<Operation>,
    pub(super) waiting: Waiting,
    /// When the next lease ends or the next message comes back, if any; never later than that.
    pub(super) alarm: Option<i64>,
    /// What the connection was told to promise last.
    pub(super) mode: Option<Mode>,
    pub(super) closing: Vec<oneshot::Sender<()>>,
}

/// Where a transaction failed.
enum Failure {
    /// It did not begin: no operation is to blame.
    Begin(sqlx::Error),
    /// One of the operations, or the commit of all.
    Within(sqlx::Error),
}

impl Writer {
    /// Works until the queue is closed or nobody is left to ask.
    pub(super) async fn run(mut self) {
        let mut group = Vec::with_capacity(GROUP);
        loop {
            let alarm = self.alarm.map(|due| self.clock.instant(due));
            tokio::select! {
                received = self.operations.recv_many(&mut group, GROUP) => {
                    if received == 0 { break }
                    self.gather(&mut group).await;
                }
                () = sleep_until(alarm) => {}
            }
            let asked = self.sort(&mut group);
            self.write(asked).await;
            if let Err(error) = self.rouse().await {
                tracing::warn!(error = %error, "failed to hand out messages, trying again soon");
                self.alarm = Some(self.clock.after(AGAIN_AFTER));
            }
        }
        let Self { table, held, closing, .. } = self;
        drop(table.connection.close().await);
        // The lock is free before anybody hears that the queue is closed.
        drop(held);
        drop(closing);
    }

    /// Lets those who are about to ask come along: whoever was just answered often asks again at once, and each
    /// one who misses this transaction makes another wait for the disk.
    async fn gather(&mut self, group: &mut Vec<Operation>) {
        tokio::task::yield_now().await;
        while group.len() < GROUP
            && let Ok(operation) = self.operations.try_recv()
        {
            group.push(operation);
        }
    }

    /// Puts aside what needs no transaction, and what nobody waits for any more.
    fn sort(&mut self, group: &mut Vec<Operation>) -> Vec<Operation> {
        let mut asked = Vec::with_capacity(group.len());
        for operation in group.drain(..).filter(|operation| !operation.abandoned()) {
            match operation {
                Operation::Wait(lane, reply) => self.waiting.join(lane, reply),
                Operation::Close(told) => {
                    self.operations.close();
                    self.closing.push(told);
                }
                other @ (Operation::Publish(..)
                | Operation::Claim(..)
                | Operation::Settle(..)
                | Operation::GiveBack(_)
                | Operation::Replay(..)
                | Operation::Discard(..)) => asked.push(other),
            }
        }
        asked
    }

    /// Writes the operations and answers them. When they fail together, each is tried alone, so that one that
    /// cannot be done does not fail its neighbours.
    async fn write(&mut self, asked: Vec<Operation>) {
        let failure = match self.transact(&asked).await {
            Ok(outcomes) => {
                for (operation, outcome) in asked.into_iter().zip(outcomes) {
                    operation.answer(outcome, &self.back);
                }
                return;
            }
            Err(failure) => failure,
        };
        match failure {
            Failure::Within(_) if asked.len() > 1 => self.write_each(asked).await,
            Failure::Within(error) | Failure::Begin(error) => self.refuse(asked, error),
        }
    }

    async fn write_each(&mut self, asked: Vec<Operation>) {
        let mut asked = asked.into_iter();
        while let Some(operation) = asked.next() {
            match self.transact(std::slice::from_ref(&operation)).await {
                Ok(outcomes) => {
                    if let Some(outcome) = outcomes.into_iter().next() {
                        operation.answer(outcome, &self.back);
                    }
                }
                Err(Failure::Within(error)) => self.refuse([operation], error),
                Err(Failure::Begin(error)) => {
                    return self.refuse(std::iter::once(operation).chain(asked.by_ref()), error);
                }
            }
        }
    }

    fn refuse(&self, asked: impl IntoIterator<Item = Operation>, error: sqlx::Error) {
        let special = open::special(&self.path, &error);
        let error = Arc::new(error);
        asked.into_iter().for_each(|operation| operation.refuse(&error, special.clone()));
    }

    /// Does the operations in one transaction and commits it.
    async fn transact(&mut self, asked: &[Operation]) -> Result<Vec<Outcome>, Failure> {
        let Some(mode) = asked.iter().map(Operation::mode).max() else { return Ok(Vec::new()) };
        self.begin(mode).await.map_err(Failure::Begin)?;
        if asked.iter().all(|one| one.drafts().is_some_and(|drafts| !drafts.is_empty())) {
            return self.publish(asked).await.map_err(Failure::Within);
        }
        let mut outcomes = Vec::with_capacity(asked.len());
        // Publishes that follow each other go to the database together: that is where the time goes.
        for run in asked.chunk_by(|one, next| one.drafts().is_some() && next.drafts().is_some()) {
            if let Err(error) = self.steps(run, &mut outcomes).await {
                self.roll_back().await;
                return Err(Failure::Within(error));
            }
        }
        self.commit().await.map_err(Failure::Within)?;
        Ok(outcomes)
    }

    /// Puts all messages of publishes into line and commits: what a forge waits for takes one command less.
    async fn publish(&mut self, asked: &[Operation]) -> Result<Vec<Outcome>, sqlx::Error> {
        let drafts: Vec<&Draft> = asked.iter().filter_map(Operation::drafts).flatten().collect();
        if let Err(error) = self.table.insert(&drafts, clock::wall(), Then::Commit).await {
            self.roll_back().await;
            return Err(error);
        }
        drafts.iter().for_each(|draft| self.waiting.stir(&draft.lane));
        Ok(asked.iter().map(|_| Outcome::Published).collect())
    }

    /// Does a run of publishes, or one other operation, within the transaction.
    async fn steps(&mut self, run: &[Operation], outcomes: &mut Vec<Outcome>) -> Result<(), sqlx::Error> {
        let drafts: Vec<&Draft> = run.iter().filter_map(Operation::drafts).flatten().collect();
        self.table.insert(&drafts, clock::wall(), Then::GoOn).await?;
        drafts.iter().for_each(|draft| self.waiting.stir(&draft.lane));
        for operation in run {
            outcomes.push(self.step(operation).await?);
        }
        Ok(())
    }

    /// Does one operation within the transaction, unless it was done with its run.
    async fn step(&mut self, operation: &Operation) -> Result<Outcome, sqlx::Error> {
        Ok(match operation {
            Operation::Publish(..) => Outcome::Published,
            Operation::Claim(lane, _) => {
                let until = self.clock.after(self.options.lease_for);
                self.ring(until);
                Outcome::Claimed(self.table.claim(lane, until, clock::wall()).await?)
            }
            Operation::Settle(key, how, _) => Outcome::Settled(self.settle(key, how).await?),
            Operation::GiveBack(key) => {
                self.waiting.stir(&key.lane);
                self.table.give_back(key).await?;
                Outcome::Untold
            }
            Operation::Replay(lane, id, _) => {
                self.waiting.stir(lane);
                Outcome::Found(self.table.replay(lane, id).await?)
            }
            Operation::Discard(lane, id, _) => Outcome::Found(self.table.discard(lane, id).await?),
            // Put aside before.
            Operation::Wait(..) | Operation::Close(_) => Outcome::Untold,
        })
    }

    async fn settle(&mut self, key: &Key, how: &How) -> Result<Settled, sqlx::Error> {
        self.waiting.stir(&key.lane);
        let done = match how {
            How::Extend => {
                let until = self.clock.after(self.options.lease_for);
                self.ring(until);
                self.table.extend(key, until).await?
            }
            How::Ack => self.table.remove(key).await?,
            How::Retry(after) => {
                let due = self.clock.after(*after);
                self.ring(due);
                self.table.defer(key, due, Counts::AsTried).await?
            }
            How::Postpone(after) => {
                let due = self.clock.after(*after);
                self.ring(due);
                self.table.defer(key, due, Counts::Not).await?
            }
            How::Bury(why) => self.table.bury(key, why, clock::wall()).await?,
        };
        Ok(if done { Settled::Done } else { Settled::Lost })
    }

    /// Ends leases, brings back what was put off, and serves those who wait: in a transaction of its own, so that a
    /// publish never fails because of it.
    async fn rouse(&mut self) -> Result<(), sqlx::Error> {
        let late = self.alarm.is_some_and(|due| due <= self.clock.now());
        if !late && self.waiting.wanted().is_empty() {
            return Ok(());
        }
        self.begin(Mode::Quick).await?;
        let leases = match self.hand_out(late).await {
            Ok(leases) => leases,
            Err(error) => {
                self.roll_back().await;
                return Err(error);
            }
        };
        self.commit().await?;
        self.waiting.grant(leases, &self.back);
        Ok(())
    }

    async fn hand_out(&mut self, late: bool) -> Result<Vec<Lease>, sqlx::Error> {
        if late {
            let (lanes, next) = self.table.wake(self.clock.now()).await?;
            self.alarm = next;
            lanes.iter().for_each(|lane| self.waiting.stir(lane));
        }
        let (until, at) = (self.clock.after(self.options.lease_for), clock::wall());
        let mut leases = Vec::new();
        for (lane, waiters) in self.waiting.wanted() {
            for _ in 0..waiters {
                let Some(lease) = self.table.claim(&lane, until, at).await? else { break };
                leases.push(lease);
                self.ring(until);
            }
        }
        Ok(leases)
    }

    /// Sees that the writer wakes up at `due`, or earlier.
    fn ring(&mut self, due: i64) {
        self.alarm = Some(self.alarm.map_or(due, |alarm| alarm.min(due)));
    }
}

async fn sleep_until(alarm: Option<tokio::time::Instant>) {
    match alarm {
        Some(alarm) => tokio::time::sleep_until(alarm).await,
        None => std::future::pending().await,
    }
}
