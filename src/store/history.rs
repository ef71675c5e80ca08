//! What became of commits and targets, read back.

use crate::application::Name;
use crate::application::Target;
use crate::commit::CommitId;
use crate::commit::Inputs;
use crate::ledger::Row;
use crate::moment::Moment;
use crate::outcome::Change;
use crate::outcome::Phase;
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

/// How many runs are looked through at most for those that are asked for?
const LOOKED_THROUGH: usize = 100_000;

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

/// Which runs are asked for; by default all.
#[derive(Clone, Debug, Default)]
pub struct Sought {
    /// Only those of this application.
    pub application: Option<Name>,
    /// Only those in this cluster.
    pub cluster: Option<Name>,
    /// Only those of the commits that begin like this.
    pub commit: Option<String>,
    /// Only those that ended in a failure or an error.
    pub failed: bool,
}

impl Sought {
    fn fits(&self, run: &Run) -> bool {
        !self.failed || matches!(run.phase, Phase::Failed | Phase::Error)
    }
}

impl Store {
    /// Returns the runs that are asked for, the newest first, at most 1,000. Those that failed are looked for among the
    /// last 100,000 that are of the application, the cluster and the commit.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn runs(&self, sought: &Sought, limit: u32) -> Result<Vec<Run>, Error> {
        let limit = limit.min(RUNS_AT_ONCE);
        let most = usize::try_from(limit).unwrap_or(usize::MAX);
        let page = if sought.failed { RUNS_AT_ONCE } else { limit };
        let (mut runs, mut before, mut looked) = (Vec::new(), i64::MAX, 0);
        while runs.len() < most && looked < LOOKED_THROUGH {
            let rows = self.rows_of_runs(sought, before, page).await?;
            looked += rows.len();
            for row in &rows {
                let found = run(row, Vec::new())?;
                if sought.fits(&found) && runs.len() < most {
                    let changes = self.changes(&found.run).await?;
                    runs.push(Run { changes, ..found });
                }
            }
            match rows.last() {
                Some(last) if rows.len() >= usize::try_from(page).unwrap_or(usize::MAX) => {
                    before = column::number(last, "seq")?;
                }
                _ => break,
            }
        }
        Ok(runs)
    }

    async fn rows_of_runs(&self, sought: &Sought, before: i64, page: u32) -> Result<Vec<sql::Row>, Error> {
        // Each for itself, so that the index of applications is used.
        let text = match sought.application {
            Some(_) => concat!(
                "SELECT ",
                run!(),
                " FROM runs WHERE seq < $1 AND ($2 IS NULL OR cluster = $2) AND commit_id >= $3 AND commit_id < $4 \
                 AND application = $6 ORDER BY seq DESC LIMIT $5"
            ),
            None => concat!(
                "SELECT ",
                run!(),
                " FROM runs WHERE seq < $1 AND ($2 IS NULL OR cluster = $2) AND commit_id >= $3 AND commit_id < $4 \
                 ORDER BY seq DESC LIMIT $5"
            ),
        };
        let commit = sought.commit.as_deref().unwrap_or_default();
        let asked = query(text)
            .bind(before)
            .bind(sought.cluster.as_ref().map(Name::as_str))
            .bind(commit)
            // After every digit of a commit.
            .bind(format!("{commit}g"))
            .bind(page);
        let asked = match &sought.application {
            Some(application) => asked.bind(application.as_str()),
            None => asked,
        };
        asked.rows(self.read()).await
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
