//! Opening the file: one process at a time, a known schema, sound pages.

use std::fs::File;
use std::fs::TryLockError;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sqlx::ConnectOptions;
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::sqlite::SqliteJournalMode;
use sqlx::sqlite::SqliteSynchronous;

use crate::queue::Error;

/// The newest schema that this windlass reads and the one that it writes.
const SCHEMA: i64 = 2;
/// Marks the file as a queue of windlass ("wlq1"), so that no other database is taken for one.
const APPLICATION: i64 = 0x776c_7131;
/// How long may somebody else, such as a person with a shell, lock the database?
const BUSY_FOR: Duration = Duration::from_secs(1);
/// How many bytes may the log keep on disk after a checkpoint?
const LOG_BYTES: &str = "67108864";
/// How many pages may the log hold before they are written back? More of them are written back together.
const LOG_PAGES: &str = "4000";
/// How many KiB of the file does the writer keep in memory? SQLite takes a negative number as KiB.
const CACHE: &str = "-16384";
/// How many bytes has a page?
pub(super) const PAGE_BYTES: u32 = 4_096;

/// One table holds every message, whatever became of it.
///
/// `seq` is the place in the line; a message that gives up its place gets a new one. `state` is 0 for the first of
/// its partition (only these can be taken), 1 on loan, 2 behind another one of its partition, 3 put off, 4 dead.
/// `due` is when a loan ends (1) or a message that was put off comes back (3).
///
/// The unique index is the promise itself: a partition has at most one message that is first or on loan. `line`
/// covers the depth of a lane; its `published_at` is there for that alone.
const TABLES: &str = "
CREATE TABLE messages (
    seq INTEGER PRIMARY KEY,
    lane TEXT NOT NULL,
    partition TEXT NOT NULL,
    id TEXT NOT NULL,
    body TEXT NOT NULL,
    published_at INTEGER NOT NULL,
    deliveries INTEGER NOT NULL DEFAULT 0,
    state INTEGER NOT NULL CHECK (state BETWEEN 0 AND 4),
    due INTEGER,
    why TEXT,
    buried_at INTEGER
) STRICT;
CREATE UNIQUE INDEX one_at_a_time ON messages (lane, partition) WHERE state IN (0, 1);
CREATE INDEX first ON messages (lane, seq) WHERE state = 0;
CREATE INDEX line ON messages (lane, state, partition, seq, published_at);
CREATE INDEX timers ON messages (due) WHERE due IS NOT NULL;
CREATE INDEX dead ON messages (lane, id) WHERE state = 4;
CREATE INDEX burials ON messages (buried_at) WHERE buried_at IS NOT NULL;
PRAGMA application_id = 2003595569;
PRAGMA user_version = 1;
";

/// What was added since: the trace that a message belongs to, as text.
const TRACES: &str = "
ALTER TABLE messages ADD COLUMN trace TEXT;
PRAGMA user_version = 2;
";

/// Locks the queue `path` for this process, with a file beside it. The lock ends with the returned file.
pub(super) fn lock(path: &Path) -> Result<File, Error> {
    let beside = beside(path);
    let failed = |source| Error::Lock { path: beside.clone(), source: Arc::new(source) };
    let file = File::options().create(true).truncate(false).write(true).open(&beside).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::Held { path: path.to_owned() }),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    PathBuf::from(name)
}

/// Returns how to connect to the file for writing.
pub(super) fn writing(path: &Path) -> SqliteConnectOptions {
    reading(path)
        .read_only(false)
        .create_if_missing(true)
        .page_size(PAGE_BYTES)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .pragma("wal_autocheckpoint", LOG_PAGES)
        .pragma("cache_size", CACHE)
        .pragma("journal_size_limit", LOG_BYTES)
}

/// Returns how to connect to the file for reading.
pub(super) fn reading(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .read_only(true)
        .busy_timeout(BUSY_FOR)
        .foreign_keys(false)
        .disable_statement_logging()
}

/// Connects for writing, makes the tables when there are none, and releases what a former process had on loan.
pub(super) async fn connect(path: &Path) -> Result<SqliteConnection, Error> {
    let failed = |source| opening(path, source);
    let mut connection = writing(path).connect().await.map_err(failed)?;
    recognise(&mut connection, path).await?;
    sqlx::query("UPDATE messages SET state = 0, due = NULL WHERE state = 1 AND due IS NOT NULL")
        .execute(&mut connection)
        .await
        .map_err(failed)?;
    Ok(connection)
}

/// Sees that the file is a queue that this windlass knows, or makes it one when it is empty. One that an
/// older windlass made is brought up to what this one writes.
async fn recognise(connection: &mut SqliteConnection, path: &Path) -> Result<(), Error> {
    let failed = |source| opening(path, source);
    let (found, application, objects): (i64, i64, i64) = sqlx::query_as(
        "SELECT (SELECT user_version FROM pragma_user_version),
                (SELECT application_id FROM pragma_application_id),
                (SELECT count(*) FROM sqlite_schema)",
    )
    .fetch_one(&mut *connection)
    .await
    .map_err(failed)?;
    let fresh = objects == 0 && found == 0;
    if !fresh && application != APPLICATION {
        return Err(Error::Foreign { path: path.to_owned() });
    }
    if found > SCHEMA {
        return Err(Error::Newer { path: path.to_owned(), found, known: SCHEMA });
    }
    let mut tables = sqlx::Connection::begin(connection).await.map_err(failed)?;
    if fresh {
        sqlx::raw_sql(TABLES).execute(&mut *tables).await.map_err(failed)?;
    }
    if found < SCHEMA {
        sqlx::raw_sql(TRACES).execute(&mut *tables).await.map_err(failed)?;
    }
    tables.commit().await.map_err(failed)
}

fn opening(path: &Path, source: sqlx::Error) -> Error {
    special(path, &source).unwrap_or_else(|| Error::Open { path: path.to_owned(), source: Arc::new(source) })
}

/// Returns the error that tells the reader what to do, where the database's own code says enough for that.
/// Source of the codes: <https://www.sqlite.org/rescode.html>; the low byte is the primary one.
pub(super) fn special(path: &Path, source: &sqlx::Error) -> Option<Error> {
    let code: u32 = source.as_database_error()?.code()?.parse().ok()?;
    let path = path.to_owned();
    match code & 0xff {
        11 | 26 => Some(Error::Corrupt { path }),
        13 => Some(Error::Full { path }),
        _ => None,
    }
}
