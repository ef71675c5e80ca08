//! What became of commits and targets, read back.

use crate::application::Name;
use crate::application::Target;
use crate::commit::CommitId;
use crate::commit::Inputs;
use crate::ledger::Row;
use crate::moment::Moment;
use crate::outcome::Change;
use crate::store::Error;
use crate::store::Run;
use crate::store::Store;
use crate::store::Verdict;
use crate::store::column;
use crate::store::sql;
use crate::store::sql::query;
use crate::store::wanted;

/// How many runs may be asked for at once?
const RUNS_AT_ONCE: u32 = 1_000;

/// How many changes of a run are read back?
const CHANGES_AT_ONCE: u32 = 5_000;

/// The columns of a run. They are named, since a column that a newer process adds would end every statement that an older
/// one has prepared.
macro_rules! run {
    () => {
        "seq, run, source, application, cluster, commit_id, inputs, state, problems, received_at, at"
    };
}

/// The columns of a row of the ledger.
macro_rules! row {
    () => {
        "source, commit_id, application, cluster, phase, open, state, opened_at, moved_at"
    };
}

impl Store {
    /// Returns runs of one application or of all, the newest first, at most 1,000.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn runs(&self, application: Option<&Name>, limit: u32) -> Result<Vec<Run>, Error> {
        let query = match application {
            Some(name) => query(concat!(
                "SELECT ",
                run!(),
                " FROM runs WHERE application = $1 ORDER BY seq DESC LIMIT $2"
            ))
            .bind(name.as_str()),
            None => query(concat!("SELECT ", run!(), " FROM runs ORDER BY seq DESC LIMIT $1")),
        };
        let rows = query.bind(limit.min(RUNS_AT_ONCE)).rows(self.read()).await?;
        let mut runs = Vec::with_capacity(rows.len());
        for row in &rows {
            let changes = self.changes(&column::text(row, "run")?).await?;
            runs.push(run(row, changes)?);
        }
        Ok(runs)
    }

    /// Returns one run.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn run(&self, id: &str) -> Result<Option<Run>, Error> {
        let query = query(concat!("SELECT ", run!(), " FROM runs WHERE run = $1")).bind(id);
        let Some(row) = query.row(self.read()).await? else {
            return Ok(None);
        };
        run(&row, self.changes(id).await?).map(Some)
    }

    async fn changes(&self, run: &str) -> Result<Vec<Change>, Error> {
        let rows = query("SELECT change FROM changes WHERE run = $1 ORDER BY object LIMIT $2")
            .bind(run)
            .bind(CHANGES_AT_ONCE)
            .rows(self.read())
            .await?;
        rows.iter().map(|row| column::json(row, "change")).collect()
    }

    /// Returns what became of a commit, by target.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn verdicts(&self, source: &Name, commit: &CommitId) -> Result<Vec<Verdict>, Error> {
        let rows = query(concat!(
            "SELECT ",
            row!(),
            " FROM ledger WHERE source = $1 AND commit_id = $2 ORDER BY application, cluster"
        ))
        .bind(source.as_str())
        .bind(commit.as_str())
        .rows(self.read())
        .await?;
        rows.iter().map(verdict).collect()
    }

    /// Returns whether a target ever was to make a commit of a source true, as far as history goes back.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn knows_target(&self, source: &Name, target: &Target) -> Result<bool, Error> {
        let row =
            query("SELECT 1 FROM ledger WHERE source = $1 AND application = $2 AND cluster = $3 LIMIT 1")
                .bind(source.as_str())
                .bind(target.application.as_str())
                .bind(target.cluster.as_str())
                .row(self.read())
                .await?;
        Ok(row.is_some())
    }

    /// Returns rows that are open and were last heard of before a moment, the longest silent first.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn overdue(&self, before: Moment, limit: u32) -> Result<Vec<(Name, Target, CommitId)>, Error> {
        let rows = query(concat!(
            "SELECT ",
            row!(),
            " FROM ledger WHERE open = 1 AND moved_at < $1 AND NOT (phase = 'pending' AND EXISTS (SELECT 1 FROM held \
             WHERE held.application = ledger.application AND held.cluster = ledger.cluster AND held.commits = 1)) \
             ORDER BY moved_at LIMIT $2"
        ))
        .bind(before.0)
        .bind(limit)
        .rows(self.read())
        .await?;
        let overdue =
            |row: &sql::Row| Ok((column::name(row, "source")?, column::target(row)?, column::commit(row)?));
        rows.iter().map(overdue).collect()
    }
}

fn run(row: &sql::Row, changes: Vec<Change>) -> Result<Run, Error> {
    let state: Row = column::json(row, "state")?;
    Ok(Run {
        run: column::text(row, "run")?,
        dispatch: state.dispatch,
        source: column::name(row, "source")?,
        target: column::target(row)?,
        commit: column::commit(row)?,
        inputs: Inputs(column::text(row, "inputs")?),
        phase: state.phase,
        tally: state.tally,
        changes,
        problems: column::json(row, "problems")?,
        received_at: column::moment(row, "received_at")?,
        at: column::moment(row, "at")?,
        took_ms: state.took_ms.unwrap_or(0),
        rollback: state.rollback,
    })
}

fn verdict(row: &sql::Row) -> Result<Verdict, Error> {
    let state: Row = column::json(row, "state")?;
    Ok(Verdict {
        target: column::target(row)?,
        description: wanted::describe(&state),
        row: state,
        opened_at: column::moment(row, "opened_at")?,
        moved_at: column::moment(row, "moved_at")?,
    })
}
