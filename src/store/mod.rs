//! The store: what windlass remembers, in one SQLite file or, for more than one process, in a Postgres database.
//!
//! Reports come in and become runs, changes, the ledger's rows and the statuses that a forge is to be told; out go
//! what dispatch last knew, the statuses that are due, and history. It decides nothing itself: how a row moves is
//! the ledger's rule, and what a status says is the phrase's. All of it can be lost: Git, the clusters and the
//! settings bring back everything but the past.
//!
//! # One after the other
//!
//! Most of a report's work is to read what is known and to write what follows. On SQLite there is one writer at a
//! time, so nothing comes between the two. On Postgres each such transaction first takes a *turn*, a lock that ends
//! with it, and the turns are:
//!
//! - of a **source**, for all reports about its commits. A row of the ledger, the run that it shares and the sum over
//!   a commit are each made from other rows, so that two reports side by side could miss each other: the last two
//!   targets of a commit would each count the other as under way, and its status would stay pending. Locks of rows do
//!   not help, since what is missed is often not there yet; retries of serializable transactions would be the rule, not
//!   the exception, when all targets of a commit end at once. All rows of a commit have one source, and so has a run.
//! - of an **application**, for the number of its definition;
//! - of a **forge**, for its deliveries and which of them are forgotten.
//!
//! A transaction takes one turn, as its first statement, so turns never wait for each other in a circle, and each
//! statement after it sees what the turn's last holder wrote. What becomes of a status on its way to the forge is one
//! statement on one row each, which Postgres itself puts one after the other. A process that is stopped in the middle
//! of its turn loses it, and its transaction, after half a minute.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::application::Name;
use crate::application::Target;
use crate::commit::CommitId;
use crate::commit::Inputs;
use crate::forge::github::checks::Check;
use crate::ledger::Row;
use crate::moment::Moment;
use crate::outcome::Change;
use crate::outcome::Phase;
use crate::outcome::Problem;
use crate::outcome::Rollback;
use crate::outcome::Tally;
use crate::secret::Secret;
use crate::store::news::News;
use crate::store::sql::Pool;
use crate::store::sql::Tx;
use crate::store::turn::Turn;
use crate::trace::Trace;

mod column;
mod delivery;
mod drifts;
mod error;
mod explain;
mod gate;
mod history;
mod memory;
mod news;
mod outbox;
mod pins;
mod postgres;
mod prune;
mod record;
mod schema;
mod sql;
mod sqlite;
mod taken;
mod turn;
mod wanted;

pub use error::Error;
pub use explain::Posting;
pub use explain::Status;
pub use gate::Held;
pub use gate::Wish;
pub use history::Sought;
pub use prune::Keep;
pub use prune::Pruned;
pub use taken::Entry;

/// How long may a call wait for its turn to read or write?
const TURN_WITHIN: Duration = Duration::from_secs(10);

/// How many calls may read at once?
const READERS: u32 = 4;

/// The store. Cheap to clone; all clones share one file or database, its writers and a few readers.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    write: Pool,
    read: Pool,
    /// Told when statuses may have become due.
    news: News,
}

/// A status that a forge is to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// The row.
    pub id: i64,
    /// The source of the commit.
    pub source: Name,
    /// The commit.
    pub commit: CommitId,
    /// The status's name: `windlass/<application>@<cluster>`, or `windlass` for the whole commit.
    pub context: String,
    /// What is to be told.
    pub phase: Phase,
    /// What happened, as one line.
    pub description: String,
    /// The target; `None` for the whole commit.
    pub target: Option<Target>,
    /// The run to link to, where one is known.
    pub run: Option<String>,
    /// Which state of the row this is.
    pub version: i64,
    /// How often telling the forge failed in a row.
    pub tries: u32,
    /// Whether the forge was sent this state already, and nobody knows whether it arrived.
    pub unsure: bool,
    /// What is known of the check run that shows it, where one does.
    pub check: Option<Check>,
    /// The step that made it say what it says.
    pub trace: Option<Trace>,
    /// When the event behind it reached windlass, where this is the verdict on a target and the forge was told none
    /// before.
    pub verdict_on: Option<Moment>,
}

/// A run, for history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// The run.
    pub run: String,
    /// The dispatch that it answered.
    pub dispatch: String,
    /// The source of the commit.
    pub source: Name,
    /// The target.
    pub target: Target,
    /// The commit.
    pub commit: CommitId,
    /// What the target read at that commit.
    pub inputs: Inputs,
    /// How far it came.
    pub phase: Phase,
    /// What it did to how many objects.
    pub tally: Tally,
    /// What it did to which objects, by name; without those that it left as they were.
    pub changes: Vec<Change>,
    /// What stood in its way.
    pub problems: Vec<Problem>,
    /// When the event reached windlass.
    pub received_at: Moment,
    /// When the report was made that brought it where it is.
    pub at: Moment,
    /// How long it took until then, in milliseconds.
    pub took_ms: u64,
    /// That its target went back to this commit from another one.
    pub rollback: Option<Rollback>,
}

/// What became of a commit in one target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The target.
    pub target: Target,
    /// The ledger's row.
    pub row: Row,
    /// What happened, as one line.
    pub description: String,
    /// When the event reached windlass.
    pub opened_at: Moment,
    /// When it was last heard of.
    pub moved_at: Moment,
}

impl Store {
    /// Opens the store in a file, makes it where there is none, and brings it to the form that this windlass writes.
    ///
    /// # Errors
    /// The file cannot be opened or is no store; a newer windlass wrote it; its form cannot be changed.
    pub async fn open(path: &Path) -> Result<Self, Error> {
        let (write, read) = sqlite::open(path).await?;
        Ok(Self::of(Pool::Sqlite(write), Pool::Sqlite(read), News::here()))
    }

    /// Connects to the store in a Postgres database, makes its tables where there are none, and brings them to the form
    /// that this windlass writes. Several processes may do so at once.
    ///
    /// The URL is `postgres://user:password@host:port/database?sslmode=…`. Beyond this machine the connection is
    /// encrypted and the certificate must be one of the host's name, unless `sslmode` is `disable`, `require` or
    /// `verify-ca`; `sslrootcert` names a file with the authority, where the system does not know it.
    ///
    /// # Errors
    /// The URL is none; the database does not answer within 10 s, or does not let this user in; a newer windlass
    /// wrote it; its form cannot be changed.
    pub async fn connect(url: &Secret) -> Result<Self, Error> {
        let options = postgres::options(url)?;
        let (write, read) = postgres::connect(&options).await?;
        let news = News::between(options, write.clone());
        Ok(Self::of(Pool::Postgres(write), Pool::Postgres(read), news))
    }

    fn of(write: Pool, read: Pool, news: News) -> Self {
        Self { inner: Arc::new(Inner { write, read, news }) }
    }

    /// Closes the file or the connections, after what is under way.
    pub async fn close(self) {
        self.inner.news.stop();
        self.inner.read.close().await;
        self.inner.write.close().await;
    }

    /// Begins a transaction that no other of the same turn can overtake.
    async fn begin(&self, turn: &Turn<'_>) -> Result<Tx, Error> {
        let mut tx = self.inner.write.begin().await?;
        turn.take(&mut tx).await?;
        Ok(tx)
    }

    /// Returns when the store answers.
    ///
    /// # Errors
    /// It does not.
    pub async fn ping(&self) -> Result<(), Error> {
        sql::query("SELECT 1").row(self.read()).await.map(drop)
    }

    fn read(&self) -> &Pool {
        &self.inner.read
    }

    fn write(&self) -> &Pool {
        &self.inner.write
    }
}
