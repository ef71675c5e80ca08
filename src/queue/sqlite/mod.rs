//! The queue in one SQLite file, for one process.
//!
//! One task writes, so that many publishers share one wait for the disk; reads go past it.

use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sqlx::SqlitePool;
use sqlx::sqlite::SqlitePoolOptions;
use tokio::sync::mpsc;
use tokio::sync::oneshot;
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
use crate::queue::Settled;
use crate::queue::clock::Clock;
use crate::queue::sqlite::operation::Granted;
use crate::queue::sqlite::operation::How;
use crate::queue::sqlite::operation::Key;
use crate::queue::sqlite::operation::Mode;
use crate::queue::sqlite::operation::Operation;
use crate::queue::sqlite::operation::Reply;
use crate::queue::sqlite::table::Table;
use crate::queue::sqlite::waiting::Waiting;
use crate::queue::sqlite::writer::GROUP;
use crate::queue::sqlite::writer::Writer;

mod open;
mod operation;
mod reads;
mod table;
mod transaction;
mod waiting;
mod writer;

/// How many bytes may the file of a queue have, if nobody says otherwise?
pub const MOST_BYTES: u64 = 4 * 1024 * 1024 * 1024;
/// Which part of that is kept back from publishers, so that a full queue can still be worked off? One in so many.
const RESERVE: u64 = 8;
/// How many reads may go on at once?
const READERS: u32 = 2;

/// What may be said about a queue when it is opened.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How long a worker may hold a lease without a sign of life: [`LEASE_FOR`].
    pub lease_for: Duration,
    /// How many bytes the file may have: [`MOST_BYTES`]. An eighth of it is kept for those who work the queue off.
    pub most_bytes: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { lease_for: LEASE_FOR, most_bytes: MOST_BYTES }
    }
}

impl Options {
    /// Returns what the connection is told before a transaction that promises `mode`.
    fn pragmas(&self, mode: Mode) -> String {
        let synchronous = if mode == Mode::Quick { "NORMAL" } else { "FULL" };
        let kept = if mode == Mode::Store { self.most_bytes / RESERVE } else { 0 };
        let pages = self.most_bytes.saturating_sub(kept) / u64::from(open::PAGE_BYTES);
        format!("PRAGMA synchronous = {synchronous}; PRAGMA max_page_count = {pages};")
    }
}

/// A handle on the queue; clones share it. When the last one is dropped, the file is let go.
#[derive(Clone, Debug)]
pub struct Sqlite {
    operations: mpsc::Sender<Operation>,
    reads: SqlitePool,
    path: Arc<PathBuf>,
}

impl Sqlite {
    /// Opens the queue in the file `path`; see [`crate::queue::Queue::open`].
    ///
    /// # Errors
    /// Another process holds the file; it is damaged, foreign or of a newer windlass; it cannot be written.
    pub async fn open(path: &Path, options: Options) -> Result<Self, Error> {
        let held = open::lock(path)?;
        let connection = open::connect(path).await?;
        let table = Table::new(connection).await.map_err(|source| reads::failed(path, source))?;
        let (sender, operations) = mpsc::channel(GROUP);
        let writer = Writer {
            table,
            clock: Clock::start(),
            options,
            path: path.to_owned(),
            held,
            operations,
            back: sender.downgrade(),
            waiting: Waiting::default(),
            // What a former process put off may be due already.
            alarm: Some(0),
            mode: None,
            closing: Vec::new(),
        };
        tokio::spawn(writer.run());
        let reads = SqlitePoolOptions::new()
            .max_connections(READERS)
            .acquire_timeout(ANSWER_WITHIN)
            .connect_lazy_with(open::reading(path));
        Ok(Self { operations: sender, reads, path: Arc::new(path.to_owned()) })
    }

    pub(super) async fn publish(&self, drafts: Vec<Draft>) -> Result<(), Error> {
        let asked = self.ask(|reply| Operation::Publish(drafts, reply));
        timeout(PUBLISH_WITHIN, asked).await.unwrap_or(Err(Error::Unconfirmed))
    }

    pub(super) async fn next(&self, lane: &Lane, wait: Duration) -> Result<Option<Lease>, Error> {
        // The first try is not cut off by `wait`: a short one must find what is there, however slow the disk is.
        let found = self.answer(|reply| Operation::Claim(lane.clone(), reply)).await?;
        if found.is_some() || wait.is_zero() {
            return Ok(found.and_then(Granted::take));
        }
        let waited = self.ask(|reply| Operation::Wait(lane.clone(), reply));
        let found = timeout(wait, waited).await.unwrap_or(Ok(None))?;
        Ok(found.and_then(Granted::take))
    }

    pub(super) async fn extend(&self, lease: &Lease) -> Result<Settled, Error> {
        self.settle(lease, How::Extend).await
    }

    pub(super) async fn ack(&self, lease: &Lease) -> Result<Settled, Error> {
        self.settle(lease, How::Ack).await
    }

    pub(super) async fn retry(&self, lease: &Lease, after: Duration) -> Result<Settled, Error> {
        self.settle(lease, How::Retry(after)).await
    }

    pub(super) async fn postpone(&self, lease: &Lease, after: Duration) -> Result<Settled, Error> {
        self.settle(lease, How::Postpone(after)).await
    }

    pub(super) async fn bury(&self, lease: &Lease, why: &str) -> Result<Settled, Error> {
        self.settle(lease, How::Bury(why.to_owned())).await
    }

    async fn settle(&self, lease: &Lease, how: How) -> Result<Settled, Error> {
        let Some(key) = Key::of(lease) else { return Ok(Settled::Lost) };
        self.answer(|reply| Operation::Settle(key, how, reply)).await
    }

    pub(super) async fn replay(&self, lane: &Lane, id: &str) -> Result<bool, Error> {
        self.answer(|reply| Operation::Replay(lane.clone(), id.to_owned(), reply)).await
    }

    pub(super) async fn discard(&self, lane: &Lane, id: &str) -> Result<bool, Error> {
        self.answer(|reply| Operation::Discard(lane.clone(), id.to_owned(), reply)).await
    }

    pub(super) async fn dead(&self, limit: u32) -> Result<Vec<Dead>, Error> {
        let read = timeout(ANSWER_WITHIN, reads::dead(&self.reads, limit)).await;
        read.map_err(|_| Error::Unanswered)?.map_err(|source| reads::failed(&self.path, source))
    }

    pub(super) async fn depth(&self, lane: &Lane) -> Result<Depth, Error> {
        let read = timeout(ANSWER_WITHIN, reads::depth(&self.reads, lane)).await;
        read.map_err(|_| Error::Unanswered)?.map_err(|source| reads::failed(&self.path, source))
    }

    pub(super) async fn close(self) {
        let (told, ended) = oneshot::channel();
        let closing = async {
            self.reads.close().await;
            if self.operations.send(Operation::Close(told)).await.is_ok() {
                // The writer drops its end when the file is let go: an error is the good news.
                drop(ended.await);
            }
        };
        if timeout(ANSWER_WITHIN, closing).await.is_err() {
            tracing::warn!(
                "failed to close the queue in time: leaving it as after a crash, which loses nothing"
            );
        }
    }

    /// Asks the writer and waits for its answer, within bounds.
    async fn answer<T>(&self, operation: impl FnOnce(Reply<T>) -> Operation) -> Result<T, Error> {
        timeout(ANSWER_WITHIN, self.ask(operation)).await.unwrap_or(Err(Error::Unanswered))
    }

    /// Asks the writer and waits for its answer, without bounds: the caller has its own.
    async fn ask<T>(&self, operation: impl FnOnce(Reply<T>) -> Operation) -> Result<T, Error> {
        let (reply, answer) = oneshot::channel();
        self.operations.send(operation(reply)).await.map_err(|_| Error::Closed)?;
        answer.await.map_err(|_| Error::Closed)?
    }
}
