//! What a forge is to be told of a target and of a whole commit, as their rows move.

use sqlx::SqliteConnection;

use crate::application::Name;
use crate::application::Target;
use crate::application::WHOLE;
use crate::commit::CommitId;
use crate::ledger;
use crate::ledger::Row;
use crate::outcome::Counts;
use crate::outcome::Phase;
use crate::phrase;
use crate::phrase::Facts;
use crate::store::Error;
use crate::store::column;
use crate::store::record::Subject;

/// How many targets of a commit get a status each? With more, the whole commit's status stands for all.
pub const SHOWN_TARGETS: u64 = 20;

/// Wants the statuses of targets, and that of their commit, to be told once more as they are.
pub async fn want_again(
    connection: &mut SqliteConnection,
    source: &Name,
    commit: &CommitId,
    targets: &[Target],
) -> Result<(), Error> {
    let contexts = targets.iter().map(Target::context).chain([WHOLE.to_owned()]);
    for context in contexts {
        sqlx::query(
            "UPDATE statuses SET posted_phase = NULL, posted_description = NULL, wanting = 1, due_at = 0, tries = 0, \
             sent = NULL WHERE source = ? AND commit_id = ? AND context = ?",
        )
        .bind(source.as_str())
        .bind(commit.as_str())
        .bind(context)
        .execute(&mut *connection)
        .await
        .map_err(Error::Write)?;
    }
    Ok(())
}

/// Returns what a row says, as one line.
pub fn describe(row: &Row) -> String {
    phrase::target(&Facts {
        phase: row.phase,
        tally: &row.tally,
        problem: row.problem.as_ref(),
        others: row.others,
        by: row.by.as_ref(),
        took_ms: row.took_ms,
    })
}

/// What a forge is to be told under one name.
struct Wanted<'a> {
    source: &'a Name,
    commit: &'a CommitId,
    context: String,
    target: Option<&'a Target>,
    run: Option<&'a str>,
    phase: Phase,
    description: String,
}

/// Wants the status of a target to say what its row says.
pub async fn want_target(
    connection: &mut SqliteConnection,
    subject: &Subject,
    row: &Row,
) -> Result<(), Error> {
    let wanted = Wanted {
        source: &subject.source,
        commit: &subject.commit,
        context: subject.target.context(),
        target: Some(&subject.target),
        run: row.run.as_deref(),
        phase: row.phase,
        description: describe(row),
    };
    want(connection, wanted).await
}

/// Wants the status of a whole commit to say what all its rows come to, and mutes its targets where they are many.
pub async fn sum_up(
    connection: &mut SqliteConnection,
    source: &Name,
    commit: &CommitId,
) -> Result<(), Error> {
    if !is_called(connection, source, commit).await? {
        return Ok(());
    }
    let counts = counts(connection, source, commit).await?;
    if counts.all() == 0 {
        return Ok(());
    }
    let bad = bad_targets(connection, source, commit).await?;
    let wanted = Wanted {
        source,
        commit,
        context: WHOLE.to_owned(),
        target: None,
        run: None,
        phase: ledger::aggregate(&counts),
        description: phrase::whole(&counts, &bad),
    };
    want(connection, wanted).await?;
    if counts.all() > SHOWN_TARGETS { mute(connection, source, commit).await } else { Ok(()) }
}

async fn is_called(
    connection: &mut SqliteConnection,
    source: &Name,
    commit: &CommitId,
) -> Result<bool, Error> {
    sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM rosters WHERE source = ? AND commit_id = ?)")
        .bind(source.as_str())
        .bind(commit.as_str())
        .fetch_one(connection)
        .await
        .map_err(Error::Read)
}

async fn counts(
    connection: &mut SqliteConnection,
    source: &Name,
    commit: &CommitId,
) -> Result<Counts, Error> {
    let rows = sqlx::query(
        "SELECT phase, count(*) AS number FROM ledger WHERE source = ? AND commit_id = ? GROUP BY phase",
    )
    .bind(source.as_str())
    .bind(commit.as_str())
    .fetch_all(connection)
    .await
    .map_err(Error::Read)?;
    let mut counts = Counts::default();
    for row in &rows {
        let number = u64::try_from(column::number(row, "number")?).unwrap_or(0);
        counts.add(column::phase(row)?, number);
    }
    Ok(counts)
}

/// Returns the first targets of a commit that failed or are in error, as many as a text names.
async fn bad_targets(
    connection: &mut SqliteConnection,
    source: &Name,
    commit: &CommitId,
) -> Result<Vec<Target>, Error> {
    // The plus keeps SQLite from walking all targets of the commit in their order.
    let rows = sqlx::query(
        "SELECT application, cluster FROM ledger WHERE source = ? AND commit_id = ? \
         AND phase IN ('failed', 'error') ORDER BY +application, cluster LIMIT ?",
    )
    .bind(source.as_str())
    .bind(commit.as_str())
    .bind(i64::try_from(phrase::NAMED).unwrap_or(i64::MAX))
    .fetch_all(connection)
    .await
    .map_err(Error::Read)?;
    rows.iter().map(column::target).collect()
}

async fn want(connection: &mut SqliteConnection, wanted: Wanted<'_>) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO statuses (source, commit_id, context, application, cluster, run, phase, description) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (source, commit_id, context) DO UPDATE SET \
         run = excluded.run, phase = excluded.phase, description = excluded.description, version = version + 1, \
         wanting = (posted_phase IS NULL OR posted_phase <> excluded.phase \
                    OR posted_description <> excluded.description OR sent IS NOT NULL) \
         WHERE phase <> excluded.phase OR description <> excluded.description",
    )
    .bind(wanted.source.as_str())
    .bind(wanted.commit.as_str())
    .bind(wanted.context)
    .bind(wanted.target.map(|target| target.application.as_str()))
    .bind(wanted.target.map(|target| target.cluster.as_str()))
    .bind(wanted.run)
    .bind(wanted.phase.word())
    .bind(wanted.description)
    .execute(connection)
    .await
    .map_err(Error::Write)?;
    Ok(())
}

/// Mutes the targets of a commit, except those of which a forge may have heard: a status that was begun must end.
async fn mute(connection: &mut SqliteConnection, source: &Name, commit: &CommitId) -> Result<(), Error> {
    sqlx::query(
        "UPDATE statuses SET muted = 1 WHERE source = ? AND commit_id = ? AND application IS NOT NULL \
         AND posted_phase IS NULL AND tries = 0 AND muted = 0 AND shown IS NULL AND sent IS NULL",
    )
    .bind(source.as_str())
    .bind(commit.as_str())
    .execute(connection)
    .await
    .map_err(Error::Write)?;
    Ok(())
}
