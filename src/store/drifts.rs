//! What somebody else changed in clusters.

use crate::application::Name;
use crate::application::Target;
use crate::moment::Moment;
use crate::outcome::Drift;
use crate::store::Error;
use crate::store::Store;
use crate::store::column;
use crate::store::sql::Row;
use crate::store::sql::Tx;
use crate::store::sql::query;

/// How many drifts may be asked for at once?
const DRIFTS_AT_ONCE: u32 = 1_000;

impl Store {
    /// Returns the drift of one application or of all, with the time of each record, the newest first; at most 1,000.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn drifts(
        &self,
        application: Option<&Name>,
        limit: u32,
    ) -> Result<Vec<(Moment, Drift)>, Error> {
        let rows = query(
            "SELECT at, drift FROM drifts WHERE $1 IS NULL OR application = $1 ORDER BY seq DESC LIMIT $2",
        )
        .bind(application.map(Name::as_str))
        .bind(limit.min(DRIFTS_AT_ONCE))
        .rows(self.read())
        .await?;
        rows.iter().map(read).collect()
    }

    /// Returns the drift of one target, with the time of each record, the newest first; at most 1,000.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn drifts_of(&self, target: &Target, limit: u32) -> Result<Vec<(Moment, Drift)>, Error> {
        let rows = query(
            "SELECT at, drift FROM drifts WHERE application = $1 AND cluster = $2 ORDER BY seq DESC LIMIT $3",
        )
        .bind(target.application.as_str())
        .bind(target.cluster.as_str())
        .bind(limit.min(DRIFTS_AT_ONCE))
        .rows(self.read())
        .await?;
        rows.iter().map(read).collect()
    }
}

fn read(row: &Row) -> Result<(Moment, Drift), Error> {
    Ok((column::moment(row, "at")?, column::json(row, "drift")?))
}

/// Keeps a drift. One that is told twice is kept once.
pub async fn keep(tx: &mut Tx, drift: &Drift, at: Moment) -> Result<(), Error> {
    query(
        "INSERT INTO drifts (run, application, cluster, at, drift) VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT (run) DO NOTHING",
    )
    .bind(drift.run.as_str())
    .bind(drift.target.application.as_str())
    .bind(drift.target.cluster.as_str())
    .bind(at.0)
    .bind(column::to_json(drift, "drift")?)
    .run(tx)
    .await?;
    Ok(())
}
