//! Deliveries, and what dispatch made of their events.

use std::collections::BTreeSet;

use crate::application::Name;
use crate::explanation::Considered;
use crate::explanation::Heard;
use crate::explanation::LedTo;
use crate::moment::Moment;
use crate::store::Error;
use crate::store::Store;
use crate::store::column;
use crate::store::sql::Tx;
use crate::store::sql::query;

/// How many deliveries does history keep? Of older ones only the runs stay.
pub const DELIVERIES_KEPT: u32 = 100_000;

/// How many deliveries does one look for a name return?
const FOUND_AT_ONCE: i64 = 20;

impl Store {
    /// Returns the last deliveries, the newest first: at most `limit`, and only those of one forge where it is named.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn deliveries(&self, forge: Option<&Name>, limit: u32) -> Result<Vec<Heard>, Error> {
        let rows =
            query("SELECT heard FROM deliveries WHERE $1 IS NULL OR forge = $1 ORDER BY seq DESC LIMIT $2")
                .bind(forge.map(Name::as_str))
                .bind(limit)
                .rows(self.read())
                .await?;
        rows.iter().map(|row| column::json(row, "heard")).collect()
    }

    /// Returns the deliveries whose name starts with `prefix`, the oldest first; at most 20.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn deliveries_called(&self, prefix: &str) -> Result<Vec<Heard>, Error> {
        // A range and no pattern, so that whatever is asked for means itself; names are of ASCII.
        let rows = query(
            "SELECT heard FROM deliveries WHERE delivery >= $1 AND delivery < $2 ORDER BY seq LIMIT $3",
        )
        .bind(prefix)
        .bind(format!("{prefix}\u{7f}"))
        .bind(FOUND_AT_ONCE)
        .rows(self.read())
        .await?;
        rows.iter().map(|row| column::json(row, "heard")).collect()
    }

    /// Returns what dispatch made of an event; `None` while it has not looked at it, or once that is forgotten.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn considered(&self, event: &str) -> Result<Option<Considered>, Error> {
        let row =
            query("SELECT considered FROM considered WHERE event = $1").bind(event).row(self.read()).await?;
        row.map(|row| column::json(&row, "considered")).transpose()
    }

    /// Returns when a delivery last told of a push to a source.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn last_delivery(&self, source: &Name) -> Result<Option<Moment>, Error> {
        let row =
            query("SELECT at FROM told WHERE source = $1").bind(source.as_str()).row(self.read()).await?;
        row.map(|row| column::moment(&row, "at")).transpose()
    }
}

/// Keeps a delivery.
pub async fn keep_heard(tx: &mut Tx, heard: &Heard) -> Result<(), Error> {
    let kept = query(
        "INSERT INTO deliveries (delivery, forge, received_at, heard) VALUES ($1, $2, $3, $4) \
         ON CONFLICT DO NOTHING RETURNING seq",
    )
    .bind(heard.delivery.as_str())
    .bind(heard.forge.as_str())
    .bind(heard.received_at.0)
    .bind(column::to_json(heard, "a delivery")?)
    .row(&mut *tx)
    .await?;
    if kept.is_none() {
        // Heard before.
        return Ok(());
    }
    if let (true, LedTo::Accepted { events }) = (heard.pushed, &heard.led_to) {
        // In their order, so that two such reports do not wait for each other in a circle.
        for source in events.iter().map(|(_, source)| source).collect::<BTreeSet<_>>() {
            keep_told(tx, source, heard.received_at).await?;
        }
    }
    Ok(())
}

/// Keeps when a delivery last told of a push to a source.
async fn keep_told(tx: &mut Tx, source: &Name, at: Moment) -> Result<(), Error> {
    query(
        "INSERT INTO told (source, at) VALUES ($1, $2) ON CONFLICT (source) DO UPDATE SET at = excluded.at \
         WHERE told.at < excluded.at",
    )
    .bind(source.as_str())
    .bind(at.0)
    .run(tx)
    .await?;
    Ok(())
}

/// Keeps what dispatch made of an event; the last word counts.
pub async fn keep_considered(tx: &mut Tx, considered: &Considered, at: Moment) -> Result<(), Error> {
    query(
        "INSERT INTO considered (event, at, considered) VALUES ($1, $2, $3) \
         ON CONFLICT (event) DO UPDATE SET at = excluded.at, considered = excluded.considered",
    )
    .bind(considered.event.as_str())
    .bind(at.0)
    .bind(column::to_json(considered, "what came of an event")?)
    .run(&mut *tx)
    .await?;
    Ok(())
}
