//! The statements: each method is one step inside a transaction that the writer opened.

use std::collections::HashSet;
use std::sync::Arc;

use sqlx::Row;
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;

use crate::moment::Moment;
use crate::queue::DEAD_LISTED;
use crate::queue::DELIVERY_LIMIT;
use crate::queue::Draft;
use crate::queue::Lane;
use crate::queue::Lease;
use crate::queue::Place;
use crate::queue::sqlite::operation::Key;
use crate::trace::Trace;

/// How many new messages are told to the database at once? Largest first; the last one is 1.
const ROWS: [usize; 4] = [64, 16, 4, 1];
/// How many values has a new message?
const VALUES: usize = 8;
/// How many messages whose time has come are put back into line in one transaction?
pub(super) const DUE_AT_ONCE: u32 = 256;

const CLAIM: &str = "
UPDATE messages SET state = 1, due = ?2, deliveries = deliveries + 1
WHERE seq = (SELECT seq FROM messages WHERE lane = ?1 AND state = 0 ORDER BY seq LIMIT 1)
RETURNING seq, partition, id, body, published_at, deliveries, trace";
const EXTEND: &str = "
UPDATE messages SET state = 1, due = ?3 WHERE seq = ?1 AND deliveries = ?2 AND state IN (0, 1)";
const GIVE_BACK: &str = "
UPDATE messages SET state = 0, due = NULL, deliveries = deliveries - 1
WHERE seq = ?1 AND deliveries = ?2 AND state = 1";
const REMOVE: &str = "DELETE FROM messages WHERE seq = ?1 AND deliveries = ?2 AND state IN (0, 1)";
// What is put off gets a new place when it comes back, so a lower count makes no old lease a valid one again.
const DEFER: &str = "
UPDATE messages SET state = 3, due = ?3, deliveries = deliveries - ?4 WHERE seq = ?1 AND deliveries = ?2 AND state IN (0, 1)";
const BURY: &str = "
UPDATE messages SET state = 4, due = NULL, why = ?3, buried_at = ?4, deliveries = min(deliveries, ?5)
WHERE seq = ?1 AND deliveries = ?2 AND state IN (0, 1)";
const FORGET: &str = "
DELETE FROM messages WHERE state = 4 AND seq <= (SELECT seq FROM messages WHERE state = 4 ORDER BY seq DESC LIMIT 1 OFFSET ?1)";
const ADVANCE: &str = "
UPDATE messages SET state = 0
WHERE seq = (SELECT seq FROM messages WHERE lane = ?1 AND state = 2 AND partition = ?2 ORDER BY seq LIMIT 1)";
const REJOIN: &str = "
UPDATE messages SET seq = ?2, due = NULL, why = NULL, buried_at = NULL, state = CASE WHEN EXISTS (
    SELECT 1 FROM messages AS other
    WHERE other.lane = messages.lane AND other.partition = messages.partition AND other.state IN (0, 1)
) THEN 2 ELSE 0 END
WHERE seq = ?1";
const DUE: &str = "
SELECT seq, lane, state FROM messages WHERE due IS NOT NULL AND due <= ?1 ORDER BY due, seq LIMIT ?2";
const EXPIRE: &str = "UPDATE messages SET state = 0, due = NULL WHERE seq = ?1";
const NEXT_DUE: &str = "SELECT min(due) FROM messages WHERE due IS NOT NULL";
const OLDEST_DEAD: &str = "
SELECT seq FROM messages WHERE lane = ?1 AND id = ?2 AND state = 4 ORDER BY seq LIMIT 1";
const DISCARD: &str = "DELETE FROM messages WHERE seq = ?1 AND state = 4";
const RESET: &str = "UPDATE messages SET deliveries = 0 WHERE seq = ?1";
const LAST: &str = "SELECT coalesce(max(seq), 0) FROM messages";

/// What comes after messages were put into line?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    /// More of the transaction.
    GoOn,
    /// Its commit, together with the last of them.
    Commit,
}

/// Does a delivery count?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Counts {
    /// As a try.
    AsTried,
    /// Nothing was tried.
    Not,
}

/// The table, seen from its one writer.
pub(super) struct Table {
    pub(super) connection: SqliteConnection,
    // Invariant: no message has, or had while this process runs, a higher place. So a lease that outlived its
    // message never meets another one in its place.
    last: i64,
    // One statement for each size in `ROWS`, and the same with the commit behind it.
    inserts: [[Arc<str>; 2]; ROWS.len()],
}

/// Returns the statement that inserts so many messages: each is the first of its partition unless another one of the
/// table is, or, as its last value says, an earlier one of the same statement.
fn insert(rows: usize) -> [Arc<str>; 2] {
    let mut statement =
        "INSERT INTO messages (seq, lane, partition, id, body, published_at, trace, state) VALUES "
            .to_owned();
    for row in 0..rows {
        let [seq, lane, partition, id, body, at, trace, behind] =
            std::array::from_fn(|value| row * VALUES + value + 1);
        let comma = if row == 0 { "" } else { ", " };
        statement += &format!(
            "{comma}(?{seq}, ?{lane}, ?{partition}, ?{id}, ?{body}, ?{at}, ?{trace}, CASE WHEN ?{behind} OR EXISTS (
            SELECT 1 FROM messages WHERE lane = ?{lane} AND partition = ?{partition} AND state IN (0, 1)
            ) THEN 2 ELSE 0 END)"
        );
    }
    let committed = format!("{statement}; COMMIT");
    [statement.into(), committed.into()]
}

impl Table {
    /// Takes the table over.
    pub(super) async fn new(mut connection: SqliteConnection) -> Result<Self, sqlx::Error> {
        let last = sqlx::query_scalar(LAST).fetch_one(&mut connection).await?;
        Ok(Self { connection, last, inserts: ROWS.map(insert) })
    }

    fn place(&mut self) -> i64 {
        self.last = self.last.saturating_add(1);
        self.last
    }

    /// Puts new messages at the end of their lines, in this order; there is at least one where `then` is a commit.
    pub(super) async fn insert(
        &mut self,
        drafts: &[&Draft],
        at: Moment,
        then: Then,
    ) -> Result<(), sqlx::Error> {
        let mut rest = drafts;
        for (rows, [statement, committed]) in ROWS.into_iter().zip(self.inserts.clone()) {
            while let Some((now, later)) = rest.split_at_checked(rows) {
                let last = later.is_empty() && then == Then::Commit;
                let statement = if last { &committed } else { &statement };
                let mut seen = HashSet::with_capacity(rows);
                let mut insert = sqlx::query(sqlx::AssertSqlSafe(Arc::clone(statement)));
                for Draft { lane, id, partition, body, trace } in now {
                    let behind = !seen.insert((lane, partition));
                    insert = insert.bind(self.place()).bind(&*lane.0).bind(&**partition).bind(&**id);
                    let trace = trace.map(|trace| trace.to_string());
                    insert = insert.bind(&**body).bind(at.0).bind(trace).bind(behind);
                }
                insert.execute(&mut self.connection).await?;
                rest = later;
            }
        }
        Ok(())
    }

    /// Lends the oldest free message of `lane` until `until`. Those that were delivered too often are buried on
    /// the way: each leaves the line, so the search ends with the line at the latest.
    pub(super) async fn claim(
        &mut self,
        lane: &Lane,
        until: i64,
        at: Moment,
    ) -> Result<Option<Lease>, sqlx::Error> {
        loop {
            let rows = sqlx::query(CLAIM).bind(&*lane.0).bind(until).fetch_all(&mut self.connection).await?;
            let Some(row) = rows.first() else { return Ok(None) };
            let lease = lease(lane, row)?;
            if lease.deliveries <= DELIVERY_LIMIT {
                return Ok(Some(lease));
            }
            tracing::warn!(lane = %lane, message.id = %lease.id, "buried a message: delivered {DELIVERY_LIMIT} times");
            let why = format!("delivered {DELIVERY_LIMIT} times without being settled");
            let Some(key) = Key::of(&lease) else { return Ok(None) };
            self.bury(&key, &why, at).await?;
        }
    }

    /// Prolongs a lease; says whether it was still the holder's.
    pub(super) async fn extend(&mut self, key: &Key, until: i64) -> Result<bool, sqlx::Error> {
        let extend = sqlx::query(EXTEND).bind(key.seq).bind(key.epoch).bind(until);
        Ok(extend.execute(&mut self.connection).await?.rows_affected() > 0)
    }

    /// Undoes a claim that nobody saw.
    pub(super) async fn give_back(&mut self, key: &Key) -> Result<(), sqlx::Error> {
        sqlx::query(GIVE_BACK).bind(key.seq).bind(key.epoch).execute(&mut self.connection).await?;
        Ok(())
    }

    /// Deletes a message; says whether it was still the holder's.
    pub(super) async fn remove(&mut self, key: &Key) -> Result<bool, sqlx::Error> {
        let remove = sqlx::query(REMOVE).bind(key.seq).bind(key.epoch);
        let done = remove.execute(&mut self.connection).await?.rows_affected() > 0;
        self.advance(key, done).await
    }

    /// Takes a message out of the line until `due`; says whether it was still the holder's.
    pub(super) async fn defer(&mut self, key: &Key, due: i64, counts: Counts) -> Result<bool, sqlx::Error> {
        let undone = i64::from(counts == Counts::Not);
        let defer = sqlx::query(DEFER).bind(key.seq).bind(key.epoch).bind(due).bind(undone);
        let done = defer.execute(&mut self.connection).await?.rows_affected() > 0;
        self.advance(key, done).await
    }

    /// Takes a message out of the line for good; says whether it was still the holder's.
    pub(super) async fn bury(&mut self, key: &Key, why: &str, at: Moment) -> Result<bool, sqlx::Error> {
        let bury = sqlx::query(BURY).bind(key.seq).bind(key.epoch).bind(why).bind(at.0).bind(DELIVERY_LIMIT);
        let done = bury.execute(&mut self.connection).await?.rows_affected() > 0;
        sqlx::query(FORGET).bind(DEAD_LISTED).execute(&mut self.connection).await?;
        self.advance(key, done).await
    }

    /// Makes the next message of the partition its first, when the one before has left.
    async fn advance(&mut self, key: &Key, left: bool) -> Result<bool, sqlx::Error> {
        if left {
            sqlx::query(ADVANCE)
                .bind(&*key.lane.0)
                .bind(&*key.partition)
                .execute(&mut self.connection)
                .await?;
        }
        Ok(left)
    }

    /// Sends the oldest dead message with this id back to the end of its line; says whether there was one.
    pub(super) async fn replay(&mut self, lane: &Lane, id: &str) -> Result<bool, sqlx::Error> {
        let Some(seq) = self.oldest_dead(lane, id).await? else { return Ok(false) };
        sqlx::query(RESET).bind(seq).execute(&mut self.connection).await?;
        self.rejoin(seq).await?;
        Ok(true)
    }

    /// Deletes the oldest dead message with this id; says whether there was one.
    pub(super) async fn discard(&mut self, lane: &Lane, id: &str) -> Result<bool, sqlx::Error> {
        let Some(seq) = self.oldest_dead(lane, id).await? else { return Ok(false) };
        Ok(sqlx::query(DISCARD).bind(seq).execute(&mut self.connection).await?.rows_affected() > 0)
    }

    async fn oldest_dead(&mut self, lane: &Lane, id: &str) -> Result<Option<i64>, sqlx::Error> {
        sqlx::query_scalar(OLDEST_DEAD).bind(&*lane.0).bind(id).fetch_optional(&mut self.connection).await
    }

    async fn rejoin(&mut self, seq: i64) -> Result<(), sqlx::Error> {
        let place = self.place();
        sqlx::query(REJOIN).bind(seq).bind(place).execute(&mut self.connection).await?;
        Ok(())
    }

    /// Ends the loans and brings back what was put off until `now`, at most [`DUE_AT_ONCE`] of them. Returns their
    /// lanes, and when the next one is due: that may be at once.
    pub(super) async fn wake(&mut self, now: i64) -> Result<(Vec<Lane>, Option<i64>), sqlx::Error> {
        let due = sqlx::query(DUE).bind(now).bind(DUE_AT_ONCE).fetch_all(&mut self.connection).await?;
        let mut lanes = Vec::with_capacity(due.len());
        for row in due {
            let (seq, lane, state): (i64, String, i64) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
            if state == 1 {
                sqlx::query(EXPIRE).bind(seq).execute(&mut self.connection).await?;
            } else {
                self.rejoin(seq).await?;
            }
            lanes.push(Lane(lane));
        }
        Ok((lanes, sqlx::query_scalar(NEXT_DUE).fetch_one(&mut self.connection).await?))
    }
}

fn lease(lane: &Lane, row: &SqliteRow) -> Result<Lease, sqlx::Error> {
    let deliveries = row.try_get::<u32, _>("deliveries")?;
    Ok(Lease {
        id: row.try_get("id")?,
        partition: row.try_get("partition")?,
        body: row.try_get("body")?,
        deliveries,
        published_at: Moment(row.try_get("published_at")?),
        trace: row.try_get::<Option<&str>, _>("trace")?.and_then(Trace::parse),
        lane: lane.clone(),
        // The count rises with every delivery and a replayed message gets a new place, so it fences as well.
        place: Place::Row { seq: row.try_get("seq")?, epoch: deliveries },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::sqlite::open;

    #[tokio::test]
    async fn no_statement_of_the_line_scans_the_table() {
        let folder = tempfile::tempdir().unwrap();
        let mut connection = open::connect(&folder.path().join("queue.db")).await.unwrap();
        let [many, _, _, one] = ROWS.map(insert).map(|[statement, _]| statement);
        for statement in [
            &*many,
            &*one,
            CLAIM,
            EXTEND,
            GIVE_BACK,
            REMOVE,
            DEFER,
            BURY,
            ADVANCE,
            REJOIN,
            DUE,
            EXPIRE,
            NEXT_DUE,
            OLDEST_DEAD,
            DISCARD,
            RESET,
            LAST,
        ] {
            let explain = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}"));
            for row in sqlx::raw_sql(explain).fetch_all(&mut connection).await.unwrap() {
                let step: String = row.get("detail");
                assert!(
                    !step.contains("SCAN messages") && !step.contains("TEMP B-TREE"),
                    "{statement}\n{step}"
                );
            }
        }
    }
}
