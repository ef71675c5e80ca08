//! What history forgets. Never what somebody still waits for: rows that are open, statuses that a forge is to be told,
//! the runs behind both, and the commits that dispatch remembers or that a reference leads to.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::application::Name;
use crate::commit::CommitId;
use crate::moment::Moment;
use crate::store::Error;
use crate::store::Store;
use crate::store::column;
use crate::store::delivery::DELIVERIES_KEPT;
use crate::store::sql;
use crate::store::sql::Tx;
use crate::store::sql::query;
use crate::store::turn::Turn;

/// How many commits, runs, deliveries and events may one call forget, of each?
const FORGOTTEN_AT_ONCE: u32 = 2_000;

/// How many of them go in one turn, which reports wait for?
const IN_ONE_TURN: usize = 50;

/// How long is a day?
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// How much history is kept. What is older goes, and so does what is beyond the number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// For how many days after it was last heard of.
    pub days: u32,
    /// How many commits of each source, with all that became of them.
    pub commits: u32,
    /// How many runs of each target, and how many drifts; at least the last run is kept, however old it is.
    pub runs: u32,
    /// How many deliveries of each forge, and how many events.
    pub deliveries: u32,
}

impl Default for Keep {
    fn default() -> Self {
        Self { days: 90, commits: 5_000, runs: 500, deliveries: DELIVERIES_KEPT }
    }
}

/// How much was forgotten.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Commits, with their rows and statuses.
    pub commits: u64,
    /// Runs, with what they changed.
    pub runs: u64,
    /// Deliveries.
    pub deliveries: u64,
    /// What dispatch made of events.
    pub considered: u64,
    /// What somebody else changed in clusters.
    pub drifts: u64,
}

impl Pruned {
    /// Returns whether there may be more: the call came to the most that it forgets at once.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        let Self { commits, runs, deliveries, considered, drifts } = *self;
        let all = [commits, runs, deliveries, considered, drifts];
        all.into_iter().any(|one| one >= u64::from(FORGOTTEN_AT_ONCE))
    }
}

/// True for a commit `old` that nobody waits for and nobody needs.
macro_rules! unneeded_commit {
    () => {
        "NOT EXISTS (SELECT 1 FROM ledger WHERE source = old.source AND commit_id = old.commit_id AND open = 1) \
         AND NOT EXISTS (SELECT 1 FROM statuses WHERE source = old.source AND commit_id = old.commit_id \
             AND wanting = 1 AND muted = 0) \
         AND NOT EXISTS (SELECT 1 FROM memory WHERE source = old.source AND commit_id = old.commit_id) \
         AND NOT EXISTS (SELECT 1 FROM refs WHERE source = old.source AND commit_id = old.commit_id)"
    };
}

/// True for a run in `runs` that no row waits for and no status that is to be told leads to.
macro_rules! unneeded_run {
    () => {
        "NOT EXISTS (SELECT 1 FROM ledger WHERE source = runs.source AND commit_id = runs.commit_id \
             AND application = runs.application AND cluster = runs.cluster AND open = 1) \
         AND NOT EXISTS (SELECT 1 FROM covered JOIN ledger ON ledger.source = covered.source \
             AND ledger.commit_id = covered.commit_id AND ledger.application = covered.application \
             AND ledger.cluster = covered.cluster WHERE covered.run = runs.run AND ledger.open = 1) \
         AND NOT EXISTS (SELECT 1 FROM statuses WHERE wanting = 1 AND muted = 0 AND statuses.run = runs.run)"
    };
}

impl Store {
    /// Forgets history that is older than it is kept, and what is beyond the numbers that are kept, the oldest first; at
    /// most 2,000 of each kind in one call.
    ///
    /// # Errors
    /// The store cannot be read or written; what was forgotten by then stays so.
    pub async fn prune(&self, now: Moment, keep: &Keep) -> Result<Pruned, Error> {
        let before = now.minus(DAY.saturating_mul(keep.days));
        Ok(Pruned {
            commits: self.prune_commits(before, keep.commits).await?,
            runs: self.prune_runs(before, keep.runs).await?,
            deliveries: self.prune_deliveries(before, keep.deliveries).await?,
            considered: self.prune_considered(before, keep.deliveries).await?,
            drifts: self.prune_drifts(before, keep.runs).await?,
        })
    }

    async fn prune_commits(&self, before: Moment, kept: u32) -> Result<u64, Error> {
        let rows = query(concat!(
            "SELECT source, commit_id FROM (SELECT source, commit_id, max(moved_at) AS moved, row_number() \
             OVER (PARTITION BY source ORDER BY max(moved_at) DESC, commit_id) AS place FROM ledger \
             GROUP BY source, commit_id) AS old WHERE (moved < $1 OR place > $2) AND ",
            unneeded_commit!(),
            " ORDER BY moved LIMIT $3"
        ))
        .bind(before.0)
        .bind(kept)
        .bind(FORGOTTEN_AT_ONCE)
        .rows(self.read())
        .await?;
        let mut forgotten = 0;
        for (source, commits) in by_source(&rows, column::commit)? {
            for some in commits.chunks(IN_ONE_TURN) {
                let mut tx = self.begin(&Turn::Source(&source)).await?;
                for commit in some {
                    forgotten += u64::from(forget_commit(&mut tx, &source, commit).await?);
                }
                forget_covered(&mut tx, &source).await?;
                tx.commit().await?;
            }
        }
        Ok(forgotten)
    }

    async fn prune_runs(&self, before: Moment, kept: u32) -> Result<u64, Error> {
        let rows = query(concat!(
            "SELECT source, run FROM (SELECT seq, run, source, application, cluster, commit_id, at, row_number() \
             OVER (PARTITION BY application, cluster ORDER BY seq DESC) AS place FROM runs) AS runs \
             WHERE place > 1 AND (at < $1 OR place > $2) AND ",
            unneeded_run!(),
            " ORDER BY seq LIMIT $3"
        ))
        .bind(before.0)
        .bind(kept)
        .bind(FORGOTTEN_AT_ONCE)
        .rows(self.read())
        .await?;
        let mut forgotten = 0;
        for (source, runs) in by_source(&rows, |row| column::text(row, "run"))? {
            for some in runs.chunks(IN_ONE_TURN) {
                let mut tx = self.begin(&Turn::Source(&source)).await?;
                for run in some {
                    forgotten += u64::from(forget_run(&mut tx, run).await?);
                }
                tx.commit().await?;
            }
        }
        Ok(forgotten)
    }

    async fn prune_deliveries(&self, before: Moment, kept: u32) -> Result<u64, Error> {
        query(
            "DELETE FROM deliveries WHERE seq IN (SELECT seq FROM (SELECT seq, received_at, row_number() \
             OVER (PARTITION BY forge ORDER BY seq DESC) AS place FROM deliveries) AS old \
             WHERE received_at < $1 OR place > $2 ORDER BY seq LIMIT $3)",
        )
        .bind(before.0)
        .bind(kept)
        .bind(FORGOTTEN_AT_ONCE)
        .run(self.write())
        .await
    }

    async fn prune_considered(&self, before: Moment, kept: u32) -> Result<u64, Error> {
        query(
            "DELETE FROM considered WHERE event IN (SELECT event FROM (SELECT event, at, row_number() \
             OVER (ORDER BY at DESC, event) AS place FROM considered) AS old \
             WHERE at < $1 OR place > $2 ORDER BY at, event LIMIT $3)",
        )
        .bind(before.0)
        .bind(kept)
        .bind(FORGOTTEN_AT_ONCE)
        .run(self.write())
        .await
    }

    async fn prune_drifts(&self, before: Moment, kept: u32) -> Result<u64, Error> {
        query(
            "DELETE FROM drifts WHERE seq IN (SELECT seq FROM (SELECT seq, at, row_number() \
             OVER (PARTITION BY application, cluster ORDER BY seq DESC) AS place FROM drifts) AS old \
             WHERE at < $1 OR place > $2 ORDER BY seq LIMIT $3)",
        )
        .bind(before.0)
        .bind(kept)
        .bind(FORGOTTEN_AT_ONCE)
        .run(self.write())
        .await
    }
}

/// Sorts what was found by its source, since each source has a turn of its own.
fn by_source<T>(
    rows: &[sql::Row],
    what: impl Fn(&sql::Row) -> Result<T, Error>,
) -> Result<BTreeMap<Name, Vec<T>>, Error> {
    let mut found: BTreeMap<Name, Vec<T>> = BTreeMap::new();
    for row in rows {
        found.entry(column::name(row, "source")?).or_default().push(what(row)?);
    }
    Ok(found)
}

/// Forgets a commit unless somebody has come to need it; returns whether it is gone.
async fn forget_commit(tx: &mut Tx, source: &Name, commit: &CommitId) -> Result<bool, Error> {
    let unneeded = query(concat!(
        "SELECT source FROM ledger AS old WHERE source = $1 AND commit_id = $2 AND ",
        unneeded_commit!(),
        " LIMIT 1"
    ));
    let unneeded = unneeded.bind(source.as_str()).bind(commit.as_str()).row(&mut *tx).await?;
    if unneeded.is_none() {
        return Ok(false);
    }
    for statement in [
        "DELETE FROM ledger WHERE source = $1 AND commit_id = $2",
        "DELETE FROM statuses WHERE source = $1 AND commit_id = $2",
        "DELETE FROM rosters WHERE source = $1 AND commit_id = $2",
    ] {
        query(statement).bind(source.as_str()).bind(commit.as_str()).run(&mut *tx).await?;
    }
    Ok(true)
}

/// Forgets who shared the fate of a run, where their own row is gone.
async fn forget_covered(tx: &mut Tx, source: &Name) -> Result<(), Error> {
    query(
        "DELETE FROM covered WHERE source = $1 AND NOT EXISTS (SELECT 1 FROM ledger WHERE source = covered.source \
         AND commit_id = covered.commit_id AND application = covered.application AND cluster = covered.cluster)",
    )
    .bind(source.as_str())
    .run(tx)
    .await?;
    Ok(())
}

/// Forgets a run unless somebody has come to need it; returns whether it is gone.
async fn forget_run(tx: &mut Tx, run: &str) -> Result<bool, Error> {
    let gone = query(concat!("DELETE FROM runs WHERE run = $1 AND ", unneeded_run!()))
        .bind(run)
        .run(&mut *tx)
        .await?;
    if gone == 0 {
        return Ok(false);
    }
    for statement in ["DELETE FROM changes WHERE run = $1", "DELETE FROM covered WHERE run = $1"] {
        query(statement).bind(run).run(&mut *tx).await?;
    }
    Ok(true)
}
