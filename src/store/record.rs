//! How a report becomes runs, rows and statuses: all of it in one transaction, or none.

use std::collections::BTreeSet;

use crate::application::Name;
use crate::application::Target;
use crate::commit::CommitId;
use crate::commit::Inputs;
use crate::ledger;
use crate::ledger::Row;
use crate::moment::Moment;
use crate::outcome::Action;
use crate::outcome::Phase;
use crate::outcome::Progress;
use crate::outcome::Report;
use crate::outcome::Told;
use crate::store::Error;
use crate::store::column;
use crate::store::delivery;
use crate::store::drifts;
use crate::store::memory;
use crate::store::sql;
use crate::store::sql::Tx;
use crate::store::sql::query;
use crate::store::wanted;

/// How many changes does history keep of one report?
const CHANGES_KEPT: usize = 5_000;

/// How many problems does history keep of one run?
const PROBLEMS_KEPT: usize = 100;

/// What a row of the ledger is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Subject {
    pub source: Name,
    pub commit: CommitId,
    pub target: Target,
}

/// News for one row: what it says, when it was said, and when the event behind it reached windlass.
struct News<'a> {
    row: Row,
    /// What the run read, where the news is a run's own.
    inputs: Option<&'a Inputs>,
    /// Does a roster name it?
    called: bool,
    at: Moment,
    opened_at: Moment,
}

impl News<'_> {
    fn of(row: Row, at: Moment) -> Self {
        Self { row, inputs: None, called: false, at, opened_at: at }
    }
}

/// Takes in what a report says; returns the commits whose rows it moved.
pub async fn take_in(tx: &mut Tx, report: &Report) -> Result<BTreeSet<(Name, CommitId)>, Error> {
    let at = report.at;
    let mut touched = BTreeSet::new();
    let told = match &report.what {
        Told::Heard(heard) => return delivery::keep_heard(tx, heard).await.map(|()| touched),
        Told::Rerun { source, commit, targets } => {
            return wanted::want_again(tx, source, commit, targets).await.map(|()| touched);
        }
        Told::Considered(considered) => {
            return delivery::keep_considered(tx, considered, at).await.map(|()| touched);
        }
        Told::Roster { dispatch, source, commit, targets, received_at } => {
            called(tx, source, commit).await?;
            touched.insert((source.clone(), commit.clone()));
            for target in targets {
                let subject = subject(source, commit, target);
                let news =
                    News { called: true, opened_at: *received_at, ..News::of(Row::pending(dispatch), at) };
                if hear(tx, &subject, news).await? {
                    touched.insert((source.clone(), commit.clone()));
                }
            }
            return Ok(touched);
        }
        Told::Run(progress) => return run(tx, progress, at).await,
        Told::Drift(drift) => return drifts::keep(tx, drift, at).await.map(|()| touched),
        Told::Covered { dispatch, source, commit, target, run } => {
            let subject = subject(source, commit, target);
            let row = cover(tx, &subject, dispatch, run).await?;
            (subject, row)
        }
        Told::Superseded { dispatch, source, commit, target, by } => {
            (subject(source, commit, target), Row::superseded(dispatch, by))
        }
        Told::Waiting { dispatch, source, commit, target, why } => {
            (subject(source, commit, target), Row::waiting(dispatch, why))
        }
        Told::Held { dispatch, source, commit, target, why } => {
            (subject(source, commit, target), Row::held(dispatch, why))
        }
        Told::RolledBack { dispatch, source, commit, target, to, why } => {
            (subject(source, commit, target), Row::rolled_back(dispatch, to, why))
        }
        Told::Buried { dispatch, source, commit, target, why } => {
            (subject(source, commit, target), Row::buried(dispatch, why))
        }
    };
    let (subject, row) = told;
    if hear(tx, &subject, News::of(row, at)).await? {
        touched.insert((subject.source, subject.commit));
    }
    Ok(touched)
}

/// Notes that a commit's targets are known: from then on they may be summed up.
async fn called(tx: &mut Tx, source: &Name, commit: &CommitId) -> Result<(), Error> {
    query("INSERT INTO rosters (source, commit_id) VALUES ($1, $2) ON CONFLICT DO NOTHING")
        .bind(source.as_str())
        .bind(commit.as_str())
        .run(tx)
        .await?;
    Ok(())
}

fn subject(source: &Name, commit: &CommitId, target: &Target) -> Subject {
    Subject { source: source.clone(), commit: commit.clone(), target: target.clone() }
}

/// Moves the row of a subject by news, makes it where there is none, and wants its status to say so; returns whether
/// the news changed anything.
async fn hear(tx: &mut Tx, subject: &Subject, news: News<'_>) -> Result<bool, Error> {
    memory::end(tx, &subject.target, &news.row.dispatch, news.row.phase, news.inputs).await?;
    let known = row_of(tx, subject).await?;
    let row = ledger::advance(known.clone(), news.row);
    query(
        "INSERT INTO ledger (source, commit_id, application, cluster, phase, open, state, opened_at, moved_at, called) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) \
         ON CONFLICT (source, commit_id, application, cluster) DO UPDATE SET \
         phase = excluded.phase, open = excluded.open, state = excluded.state, called = \
         CASE WHEN excluded.called > ledger.called THEN excluded.called ELSE ledger.called END, opened_at = \
         CASE WHEN excluded.opened_at < ledger.opened_at THEN excluded.opened_at ELSE ledger.opened_at END, moved_at = \
         CASE WHEN excluded.moved_at > ledger.moved_at THEN excluded.moved_at ELSE ledger.moved_at END",
    )
    .bind(subject.source.as_str())
    .bind(subject.commit.as_str())
    .bind(subject.target.application.as_str())
    .bind(subject.target.cluster.as_str())
    .bind(row.phase.word())
    .bind(!row.phase.is_final())
    .bind(column::to_json(&row, "a row of the ledger")?)
    .bind(news.opened_at.0)
    .bind(news.at.0)
    .bind(news.called)
        .run(&mut *tx)
        .await?;
    let moved = known.as_ref() != Some(&row);
    if moved {
        wanted::want_target(tx, subject, &row).await?;
    }
    Ok(moved)
}

async fn row_of(tx: &mut Tx, subject: &Subject) -> Result<Option<Row>, Error> {
    let row = query(
        "SELECT state FROM ledger WHERE source = $1 AND commit_id = $2 AND application = $3 AND cluster = $4",
    )
    .bind(subject.source.as_str())
    .bind(subject.commit.as_str())
    .bind(subject.target.application.as_str())
    .bind(subject.target.cluster.as_str())
    .row(tx)
    .await?;
    row.map(|row| column::json(&row, "state")).transpose()
}

/// Takes in how far a run has come: for history, for its own commit, and for all that share its fate.
async fn run(tx: &mut Tx, progress: &Progress, at: Moment) -> Result<BTreeSet<(Name, CommitId)>, Error> {
    let told = Row::told(progress, at.since(progress.received_at));
    let own = subject(&progress.source, &progress.commit, &progress.target);
    let state = keep_run(tx, progress, &told, at).await?;
    keep_changes(tx, progress).await?;
    let mut touched = BTreeSet::new();
    let opened_at = progress.received_at;
    let news = News { inputs: Some(&progress.inputs), opened_at, ..News::of(told, at) };
    if hear(tx, &own, news).await? {
        touched.insert((own.source, own.commit));
    }
    for (subject, dispatch) in sharers(tx, &progress.run, &progress.source, &progress.target).await? {
        let row = state.shared_with(&dispatch);
        if hear(tx, &subject, News::of(row, at)).await? {
            touched.insert((subject.source, subject.commit));
        }
    }
    Ok(touched)
}

/// Writes a run to history and returns where it stands, which a late report does not change.
async fn keep_run(tx: &mut Tx, progress: &Progress, told: &Row, at: Moment) -> Result<Row, Error> {
    let known = state_of(tx, &progress.run, &progress.source, &progress.target).await?;
    let state = ledger::advance(known.clone(), told.clone());
    if known.as_ref() == Some(&state) {
        return Ok(state);
    }
    let problems: Vec<_> = progress.problems.iter().take(PROBLEMS_KEPT).collect();
    query(
        "INSERT INTO runs (run, source, application, cluster, commit_id, inputs, state, problems, received_at, at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (run) DO UPDATE SET \
         state = excluded.state, problems = excluded.problems, at = excluded.at \
         WHERE runs.application = excluded.application AND runs.cluster = excluded.cluster \
         AND runs.source = excluded.source",
    )
    .bind(progress.run.as_str())
    .bind(progress.source.as_str())
    .bind(progress.target.application.as_str())
    .bind(progress.target.cluster.as_str())
    .bind(progress.commit.as_str())
    .bind(progress.inputs.0.as_str())
    .bind(column::to_json(&state, "a run")?)
    .bind(column::to_json(&problems, "problems")?)
    .bind(progress.received_at.0)
    .bind(at.0)
        .run(tx)
        .await?;
    Ok(state)
}

/// Writes what a run did. Objects that it left as they were are counted, not kept, unless there is a note.
async fn keep_changes(tx: &mut Tx, progress: &Progress) -> Result<(), Error> {
    let telling = progress.changes.iter().filter(|c| c.action != Action::Unchanged || c.note.is_some());
    for change in telling.take(CHANGES_KEPT) {
        query("INSERT INTO changes (run, object, change) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING")
            .bind(progress.run.as_str())
            .bind(column::key(&format!("{} ({})", change.object, change.object.group)))
            .bind(column::to_json(change, "a change")?)
            .run(&mut *tx)
            .await?;
    }
    Ok(())
}

/// Returns where a run of a source's target stands; `None` while nothing was heard of it.
async fn state_of(tx: &mut Tx, run: &str, source: &Name, target: &Target) -> Result<Option<Row>, Error> {
    let row =
        query("SELECT state FROM runs WHERE run = $1 AND application = $2 AND cluster = $3 AND source = $4")
            .bind(run)
            .bind(target.application.as_str())
            .bind(target.cluster.as_str())
            .bind(source.as_str())
            .row(tx)
            .await?;
    row.map(|row| column::json(&row, "state")).transpose()
}

/// Binds a subject to the fate of a run, which may be unheard of, under way or final; returns where it stands.
async fn cover(tx: &mut Tx, subject: &Subject, dispatch: &str, run: &str) -> Result<Row, Error> {
    query(
        "INSERT INTO covered (run, application, cluster, source, commit_id, dispatch) \
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
    )
    .bind(run)
    .bind(subject.target.application.as_str())
    .bind(subject.target.cluster.as_str())
    .bind(subject.source.as_str())
    .bind(subject.commit.as_str())
    .bind(dispatch)
    .run(&mut *tx)
    .await?;
    let state = state_of(tx, run, &subject.source, &subject.target).await?;
    Ok(state.map_or_else(
        || Row { phase: Phase::Pending, run: Some(run.to_owned()), ..Row::pending(dispatch) },
        |state| state.shared_with(dispatch),
    ))
}

/// Returns who shares the fate of a run of a source's target, with the dispatch of each.
async fn sharers(
    tx: &mut Tx,
    run: &str,
    source: &Name,
    target: &Target,
) -> Result<Vec<(Subject, String)>, Error> {
    let rows = query(
        "SELECT source, commit_id, application, cluster, dispatch FROM covered WHERE run = $1 AND application = $2 AND cluster = $3 AND source = $4 \
         ORDER BY commit_id, dispatch",
    )
    .bind(run)
    .bind(target.application.as_str())
    .bind(target.cluster.as_str())
    .bind(source.as_str())
    .rows(tx)
    .await?;
    let sharer = |row: &sql::Row| {
        let subject = Subject {
            source: column::name(row, "source")?,
            commit: column::commit(row)?,
            target: column::target(row)?,
        };
        Ok((subject, column::text(row, "dispatch")?))
    };
    rows.iter().map(sharer).collect()
}
