//! What is read past the writer: dead messages and depths.

use std::path::Path;
use std::sync::Arc;

use sqlx::Row;
use sqlx::SqlitePool;

use crate::moment::Moment;
use crate::queue::Dead;
use crate::queue::Depth;
use crate::queue::Error;
use crate::queue::Lane;
use crate::queue::sqlite::open;

const DEAD: &str = "
SELECT lane, id, partition, body, why, deliveries, buried_at FROM messages
WHERE buried_at IS NOT NULL ORDER BY buried_at DESC, seq DESC LIMIT ?1";
const DEPTH: &str = "
SELECT count(*) FILTER (WHERE state < 4), min(published_at) FILTER (WHERE state < 4),
       count(*) FILTER (WHERE state = 4)
FROM messages WHERE lane = ?1";

/// Lists dead messages, the latest first.
pub(super) async fn dead(pool: &SqlitePool, limit: u32) -> Result<Vec<Dead>, sqlx::Error> {
    let rows = sqlx::query(DEAD).bind(limit).fetch_all(pool).await?;
    let mut dead = Vec::with_capacity(rows.len());
    for row in rows {
        dead.push(Dead {
            lane: Lane(row.try_get("lane")?),
            id: row.try_get("id")?,
            partition: row.try_get("partition")?,
            body: row.try_get("body")?,
            why: row.try_get::<Option<String>, _>("why")?.unwrap_or_default(),
            deliveries: row.try_get("deliveries")?,
            buried_at: Moment(row.try_get("buried_at")?),
        });
    }
    Ok(dead)
}

/// Says how much a lane holds.
pub(super) async fn depth(pool: &SqlitePool, lane: &Lane) -> Result<Depth, sqlx::Error> {
    let (count, oldest, dead): (i64, Option<i64>, i64) =
        sqlx::query_as(DEPTH).bind(&*lane.0).fetch_one(pool).await?;
    Ok(Depth {
        count: u64::try_from(count).unwrap_or_default(),
        oldest: oldest.map(Moment),
        dead: u64::try_from(dead).unwrap_or_default(),
    })
}

/// Names the step that failed, or what to do where the database says enough for that.
pub(super) fn failed(path: &Path, source: sqlx::Error) -> Error {
    if matches!(source, sqlx::Error::PoolClosed) {
        return Error::Closed;
    }
    open::special(path, &source).unwrap_or_else(|| Error::Read(Arc::new(source)))
}
