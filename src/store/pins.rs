//! The commits that people keep targets at, and what was healthy before.

use crate::application::Name;
use crate::application::Target;
use crate::commit::CommitId;
use crate::commit::Inputs;
use crate::ledger::Row;
use crate::outcome::Phase;
use crate::pause::Audited;
use crate::pause::Pin;
use crate::store::Error;
use crate::store::Store;
use crate::store::column;
use crate::store::gate::AT_ONCE;
use crate::store::gate::note;
use crate::store::gate::wished;
use crate::store::sql;
use crate::store::sql::Tx;
use crate::store::sql::query;

/// Among how many of a target's runs is the last such one looked for? Those before them are not gone back to.
const RUNS: u32 = 1_000;

impl Store {
    /// Returns all pins, by what they are for.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn pins(&self) -> Result<Vec<Pin>, Error> {
        let rows = query(
            "SELECT application, cluster, commit_id, who, why, since FROM pins ORDER BY application, cluster LIMIT $1",
        )
        .bind(AT_ONCE)
        .rows(self.read())
        .await?;
        let pin = |row: &sql::Row| {
            Ok(Pin {
                target: column::target(row)?,
                commit: column::commit(row)?,
                by: column::text(row, "who")?,
                why: column::text(row, "why")?,
                since: column::moment(row, "since")?,
            })
        };
        rows.iter().map(pin).collect()
    }

    /// Keeps targets at commits, wishes a pass of each, and notes the order in the audit. What is kept already is kept at
    /// the new commit from then on.
    ///
    /// # Errors
    /// The store cannot be written; then nothing is kept.
    pub async fn pin(&self, pins: &[Pin], order: &Audited) -> Result<(), Error> {
        let mut tx = self.write().begin().await?;
        for Pin { target, commit, by, why, since } in pins {
            query(
                "INSERT INTO pins (application, cluster, commit_id, who, why, since) VALUES ($1, $2, $3, $4, $5, $6) \
                 ON CONFLICT (application, cluster) DO UPDATE SET commit_id = excluded.commit_id, who = excluded.who, \
                 why = excluded.why, since = excluded.since",
            )
            .bind(target.application.as_str())
            .bind(target.cluster.as_str())
            .bind(commit.as_str())
            .bind(by.as_str())
            .bind(why.as_str())
            .bind(since.0)
            .run(&mut tx)
            .await?;
            wished(&mut tx, target, false, None).await?;
        }
        note(&mut tx, order).await?;
        self.end(tx).await
    }

    /// Lets targets follow their references again, wishes a pass of each that was kept and where nothing waits, and notes the order in the audit.
    /// Returns those targets; where there are none, nothing is noted.
    ///
    /// # Errors
    /// The store cannot be written; then all stay kept.
    pub async fn unpin(&self, order: &Audited) -> Result<Vec<Target>, Error> {
        let pins = self.pins().await?;
        let mut tx = self.write().begin().await?;
        let mut released = Vec::new();
        for target in pins.into_iter().map(|pin| pin.target).filter(|target| order.scope.covers(target)) {
            let gone = query("DELETE FROM pins WHERE application = $1 AND cluster = $2")
                .bind(target.application.as_str())
                .bind(target.cluster.as_str())
                .run(&mut tx)
                .await?;
            if gone == 1 {
                // What waits there is asked for as soon as it is open.
                if !holds_commits(&mut tx, &target).await? {
                    wished(&mut tx, &target, false, None).await?;
                }
                released.push(target);
            }
        }
        if !released.is_empty() {
            note(&mut tx, order).await?;
            self.end(tx).await?;
        }
        Ok(released)
    }

    /// Returns the commit of a target that a run ended healthy with last, and what the target read there.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn last_healthy(
        &self,
        source: &Name,
        target: &Target,
    ) -> Result<Option<(CommitId, Inputs)>, Error> {
        self.last_run(source, target, |phase| phase == Phase::Healthy).await
    }

    /// Returns the commit of a target that a run began to make true last, and what the target read there.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn last_begun(
        &self,
        source: &Name,
        target: &Target,
    ) -> Result<Option<(CommitId, Inputs)>, Error> {
        self.last_run(source, target, |phase| phase != Phase::Superseded).await
    }

    async fn last_run(
        &self,
        source: &Name,
        target: &Target,
        such: impl Fn(Phase) -> bool,
    ) -> Result<Option<(CommitId, Inputs)>, Error> {
        let rows = query(
            "SELECT commit_id, inputs, state FROM runs WHERE application = $1 AND cluster = $2 AND source = $3 \
             ORDER BY seq DESC LIMIT $4",
        )
        .bind(target.application.as_str())
        .bind(target.cluster.as_str())
        .bind(source.as_str())
        .bind(RUNS)
        .rows(self.read())
        .await?;
        for row in &rows {
            let state: Row = column::json(row, "state")?;
            if such(state.phase) {
                return Ok(Some((column::commit(row)?, Inputs(column::text(row, "inputs")?))));
            }
        }
        Ok(None)
    }
}

async fn holds_commits(tx: &mut Tx, target: &Target) -> Result<bool, Error> {
    let held = query("SELECT application FROM held WHERE application = $1 AND cluster = $2 AND commits = 1")
        .bind(target.application.as_str())
        .bind(target.cluster.as_str())
        .row(tx)
        .await?;
    Ok(held.is_some())
}
