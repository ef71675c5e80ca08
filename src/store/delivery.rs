//! Deliveries, and what dispatch made of their events.

use sqlx::SqliteConnection;

use crate::application::Name;
use crate::explanation::Considered;
use crate::explanation::Heard;
use crate::explanation::LedTo;
use crate::moment::Moment;
use crate::store::Error;
use crate::store::Store;
use crate::store::column;

/// How many deliveries does history keep? Of older ones only the runs stay.
const DELIVERIES_KEPT: i64 = 100_000;

/// How many records of events go with each delivery that goes? More than one may come with it.
const CONSIDERED_AT_ONCE: i64 = 100;

/// How many deliveries does one look for a name return?
const FOUND_AT_ONCE: i64 = 20;

impl Store {
    /// Returns the last deliveries, the newest first: at most `limit`, and only those of one forge where it is named.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn deliveries(&self, forge: Option<&Name>, limit: u32) -> Result<Vec<Heard>, Error> {
        let rows = sqlx::query(
            "SELECT heard FROM deliveries WHERE ?1 IS NULL OR forge = ?1 ORDER BY seq DESC LIMIT ?2",
        )
        .bind(forge.map(Name::as_str))
        .bind(limit)
        .fetch_all(self.read())
        .await
        .map_err(Error::Read)?;
        rows.iter().map(|row| column::json(row, "heard")).collect()
    }

    /// Returns the deliveries whose name starts with `prefix`, the oldest first; at most 20.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn deliveries_called(&self, prefix: &str) -> Result<Vec<Heard>, Error> {
        // A range and no pattern, so that whatever is asked for means itself; names are of ASCII.
        let rows = sqlx::query(
            "SELECT heard FROM deliveries WHERE delivery >= ?1 AND delivery < ?1 || x'7f' ORDER BY seq LIMIT ?2",
        )
        .bind(prefix)
        .bind(FOUND_AT_ONCE)
        .fetch_all(self.read())
        .await
        .map_err(Error::Read)?;
        rows.iter().map(|row| column::json(row, "heard")).collect()
    }

    /// Returns what dispatch made of an event; `None` while it has not looked at it, or once that is forgotten.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn considered(&self, event: &str) -> Result<Option<Considered>, Error> {
        let row = sqlx::query("SELECT considered FROM considered WHERE event = ?")
            .bind(event)
            .fetch_optional(self.read())
            .await
            .map_err(Error::Read)?;
        row.map(|row| column::json(&row, "considered")).transpose()
    }

    /// Returns when a delivery last told of a push to a source.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn last_delivery(&self, source: &Name) -> Result<Option<Moment>, Error> {
        let at: Option<i64> = sqlx::query_scalar("SELECT at FROM told WHERE source = ?")
            .bind(source.as_str())
            .fetch_optional(self.read())
            .await
            .map_err(Error::Read)?;
        Ok(at.map(Moment))
    }
}

/// Keeps a delivery, and forgets the oldest where there are too many.
pub async fn keep_heard(connection: &mut SqliteConnection, heard: &Heard) -> Result<(), Error> {
    let kept = sqlx::query(
        "INSERT OR IGNORE INTO deliveries (delivery, forge, received_at, heard) VALUES (?, ?, ?, ?)",
    )
    .bind(heard.delivery.as_str())
    .bind(heard.forge.as_str())
    .bind(heard.received_at.0)
    .bind(column::to_json(heard, "a delivery")?)
    .execute(&mut *connection)
    .await
    .map_err(Error::Write)?;
    if kept.rows_affected() == 0 {
        // Heard before; the number would be that of some other row.
        return Ok(());
    }
    let newest = kept.last_insert_rowid();
    if let (true, LedTo::Accepted { events }) = (heard.pushed, &heard.led_to) {
        for (_, source) in events {
            keep_told(connection, source, heard.received_at).await?;
        }
    }
    forget(connection, newest).await
}

/// Keeps when a delivery last told of a push to a source.
async fn keep_told(connection: &mut SqliteConnection, source: &Name, at: Moment) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO told (source, at) VALUES (?, ?) ON CONFLICT DO UPDATE SET at = max(at, excluded.at)",
    )
    .bind(source.as_str())
    .bind(at.0)
    .execute(connection)
    .await
    .map_err(Error::Write)?;
    Ok(())
}

/// Forgets what is older than the last deliveries that are kept, up to the one with the number `newest`.
async fn forget(connection: &mut SqliteConnection, newest: i64) -> Result<(), Error> {
    let oldest = newest.saturating_sub(DELIVERIES_KEPT);
    if oldest <= 0 {
        return Ok(());
    }
    sqlx::query(
        "DELETE FROM considered WHERE event IN (SELECT event FROM considered WHERE at < \
         (SELECT received_at FROM deliveries WHERE seq <= ?1 ORDER BY seq DESC LIMIT 1) ORDER BY at LIMIT ?2)",
    )
    .bind(oldest)
    .bind(CONSIDERED_AT_ONCE)
    .execute(&mut *connection)
    .await
    .map_err(Error::Write)?;
    sqlx::query("DELETE FROM deliveries WHERE seq <= ?")
        .bind(oldest)
        .execute(&mut *connection)
        .await
        .map_err(Error::Write)?;
    Ok(())
}

/// Keeps what dispatch made of an event; the last word counts.
pub async fn keep_considered(
    connection: &mut SqliteConnection,
    considered: &Considered,
    at: Moment,
) -> Result<(), Error> {
    sqlx::query("INSERT OR REPLACE INTO considered (event, at, considered) VALUES (?, ?, ?)")
        .bind(considered.event.as_str())
        .bind(at.0)
        .bind(column::to_json(considered, "what came of an event")?)
        .execute(&mut *connection)
        .await
        .map_err(Error::Write)?;
    Ok(())
}
