//! The store: what windlass remembers in one SQLite file.
//!
//! Reports come in and become runs, changes, the ledger's rows and the statuses that a forge is to be told; out go
//! what dispatch last knew, the statuses that are due, and history. It decides nothing itself: how a row moves is
//! the ledger's rule, and what a status says is the phrase's. All of it can be lost: Git, the clusters and the
//! settings bring back everything but the past.

use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sqlx::Connection;
use sqlx::Sqlite;
use sqlx::SqliteConnection;
use sqlx::SqlitePool;
use sqlx::Transaction;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::sqlite::SqliteJournalMode;
use sqlx::sqlite::SqlitePoolOptions;
use sqlx::sqlite::SqliteSynchronous;
use tokio::sync::Notify;

use crate::application::Name;
use crate::application::Target;
use crate::commit::CommitId;
use crate::commit::Inputs;
use crate::fault::Fault;
use crate::forge::github::checks::Check;
use crate::ledger::Row;
use crate::moment::Moment;
use crate::outcome::Change;
use crate::outcome::Phase;
use crate::outcome::Problem;
use crate::outcome::Tally;

mod column;
mod delivery;
mod explain;
mod history;
mod memory;
mod outbox;
mod record;
mod schema;
mod wanted;

pub use explain::Posting;
pub use explain::Status;

/// How long may a call wait for its turn to read or write?
const TURN_WITHIN: Duration = Duration::from_secs(10);

/// How long may SQLite wait for another process that holds the file?
const BUSY_WITHIN: Duration = Duration::from_secs(5);

/// How many calls may read at once?
const READERS: u32 = 4;

/// The store. Cheap to clone; all clones share one file, one writer and a few readers.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    /// One connection, so that writers queue here instead of failing in SQLite.
    write: SqlitePool,
    read: SqlitePool,
    /// Told when statuses may have become due.
    due: Notify,
}

/// Why the store could not do something. The texts fit after "failed to".
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file could not be opened, or is not a store.
    #[error("open the store {path} (if it is damaged, move it away: only history is lost)")]
    Open {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        #[source]
        source: sqlx::Error,
    },
    /// A newer windlass wrote the file.
    #[error(
        "open the store {path}: its form {found} is newer than {known}, the newest that this windlass knows; run the newer windlass, or move the file away"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// The form of the file.
        found: i64,
        /// The newest form that this windlass knows.
        known: i64,
    },
    /// The file could not be brought to the form that this windlass writes.
    #[error("bring the store to form {to} (its disk needs room and must be writable)")]
    Migrate {
        /// The form that could not be reached.
        to: i64,
        /// What SQLite says.
        #[source]
        source: sqlx::Error,
    },
    /// Something could not be read.
    #[error("read from the store")]
    Read(#[source] sqlx::Error),
    /// Something could not be written; nothing of it was.
    #[error("write to the store (its disk needs room and must be writable)")]
    Write(#[source] sqlx::Error),
    /// The store holds something that no windlass of this form writes.
    #[error(
        "understand what the store holds as {what} (if it is damaged, move it away: only history is lost)"
    )]
    Damaged {
        /// What it was read as.
        what: &'static str,
    },
}

impl Error {
    /// Says whose turn it is: a full disk or a held file may pass, the rest is for whoever runs windlass.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::Read(_) | Self::Write(_) | Self::Migrate { .. } => Fault::Passing,
            Self::Open { .. } | Self::Newer { .. } | Self::Damaged { .. } => Fault::Ours,
        }
    }
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

/// Returns whether a connection may be used again. SQLite itself rolls back when its disk is full; sqlx does not
/// notice, and would then take every later transaction for a part of the lost one.
async fn at_rest(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    // The answer comes after any rollback that was asked for before.
    connection.ping().await?;
    Ok(!connection.is_in_transaction())
}

impl Store {
    /// Opens the store in a file, makes it where there is none, and brings it to the form that this windlass writes.
    ///
    /// # Errors
    /// The file cannot be opened or is no store; a newer windlass wrote it; its form cannot be changed.
    pub async fn open(path: &Path) -> Result<Self, Error> {
        let failed = |source| Error::Open { path: path.to_owned(), source };
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY_WITHIN);
        let pool =
            || SqlitePoolOptions::new().acquire_timeout(TURN_WITHIN).idle_timeout(None).max_lifetime(None);
        let write = pool().max_connections(1).after_release(|connection, _| Box::pin(at_rest(connection)));
        let write = write.connect_with(options.clone()).await.map_err(failed)?;
        schema::bring_up(&write, path).await?;
        let read = pool().max_connections(READERS).connect_lazy_with(options.read_only(true));
        Ok(Self { inner: Arc::new(Inner { write, read, due: Notify::new() }) })
    }

    /// Closes the file, after what is under way.
    pub async fn close(self) {
        self.inner.read.close().await;
        self.inner.write.close().await;
    }

    /// Begins a transaction that no other writer can overtake.
    async fn begin(&self) -> Result<Transaction<'static, Sqlite>, Error> {
        self.inner.write.begin_with("BEGIN IMMEDIATE").await.map_err(Error::Write)
    }

    fn read(&self) -> &SqlitePool {
        &self.inner.read
    }

    fn write(&self) -> &SqlitePool {
        &self.inner.write
    }
}
