//! Opening a store in a file.

use std::path::Path;
use std::time::Duration;

use sqlx::Connection;
use sqlx::SqliteConnection;
use sqlx::SqlitePool;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::sqlite::SqliteJournalMode;
use sqlx::sqlite::SqlitePoolOptions;
use sqlx::sqlite::SqliteSynchronous;

use crate::store::Error;
use crate::store::READERS;
use crate::store::TURN_WITHIN;
use crate::store::schema;

/// How long may SQLite wait for another process that holds the file?
const BUSY_WITHIN: Duration = Duration::from_secs(5);

/// Opens a file, brings it to the current form, and returns its writer and its readers. The writer is one connection,
/// so that writers queue here instead of failing in SQLite.
pub async fn open(path: &Path) -> Result<(SqlitePool, SqlitePool), Error> {
    let failed = |source| Error::Open { path: path.to_owned(), source };
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY_WITHIN);
    let pool = || SqlitePoolOptions::new().acquire_timeout(TURN_WITHIN).idle_timeout(None).max_lifetime(None);
    let write = pool().max_connections(1).after_release(|connection, _| Box::pin(at_rest(connection)));
    let write = write.connect_with(options.clone()).await.map_err(failed)?;
    schema::bring_up_file(&write, path).await?;
    let read = pool().max_connections(READERS).connect_lazy_with(options.read_only(true));
    Ok((write, read))
}

/// Returns whether a connection may be used again. SQLite itself rolls back when its disk is full; sqlx does not
/// notice, and would then take every later transaction for a part of the lost one.
async fn at_rest(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    // The answer comes after any rollback that was asked for before.
    connection.ping().await?;
    Ok(!connection.is_in_transaction())
}
