//! What a forge is to be told of a target and of a whole commit, as their rows move.

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
use crate::store::sql;
use crate::store::sql::Tx;
use crate::store::sql::query;
use crate::trace::Trace;
use crate::trail;

/// How many targets of a commit get a status each? With more, the whole commit's status stands for all.
pub const SHOWN_TARGETS: u64 = 20;

/// Wants the statuses of targets, and that of their commit, to be told once more as they are.
pub async fn want_again(
    tx: &mut Tx,
    source: &Name,
    commit: &CommitId,
    targets: &[Target],
) -> Result<(), Error> {
    let contexts = targets.iter().map(Target::context).chain([WHOLE.to_owned()]);
    for context in contexts {
        query(
            "UPDATE statuses SET posted_phase = NULL, posted_description = NULL, wanting = 1, due_at = 0, tries = 0, \
             sent = NULL, version = version + 1, trace = $4 WHERE source = $1 AND commit_id = $2 AND context = $3",
        )
        .bind(source.as_str())
        .bind(commit.as_str())
        .bind(context)
        .bind(trail::current().map(|trace| trace.to_string()))
        .run(&mut *tx)
        .await?;
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
        rollback: row.rollback.as_ref(),
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
    trace: Option<Trace>,
}

/// Wants the status of a target to say what its row says.
pub async fn want_target(tx: &mut Tx, subject: &Subject, row: &Row) -> Result<(), Error> {
    let wanted = Wanted {
        source: &subject.source,
        commit: &subject.commit,
        context: subject.target.context(),
        target: Some(&subject.target),
        run: row.run.as_deref(),
        phase: row.phase,
        description: describe(row),
        trace: trail::current(),
    };
    want(tx, wanted).await
}

/// Wants the status of a whole commit to say what all its rows come to, after a step of a trace, and mutes its targets where
/// they are many.
pub async fn sum_up(
    tx: &mut Tx,
    source: &Name,
    commit: &CommitId,
    trace: Option<Trace>,
) -> Result<(), Error> {
    if !is_called(tx, source, commit).await? {
        return Ok(());
    }
    let (counts, pending) = counts(tx, source, commit).await?;
    if counts.all() == 0 {
        return Ok(());
    }
    let waits = pending > 0 && pending == counts.open;
    let held = if waits { held(tx, source, commit).await? } else { None };
    let bad = bad_targets(tx, source, commit).await?;
    let wanted = Wanted {
        source,
        commit,
        context: WHOLE.to_owned(),
        target: None,
        run: None,
        phase: ledger::aggregate(&counts),
        description: phrase::whole(&counts, &bad, held.as_deref()),
        trace,
    };
    want(tx, wanted).await?;
    if counts.all() > SHOWN_TARGETS { mute(tx, source, commit).await } else { Ok(()) }
}

async fn is_called(tx: &mut Tx, source: &Name, commit: &CommitId) -> Result<bool, Error> {
    let called = query("SELECT source FROM rosters WHERE source = $1 AND commit_id = $2")
        .bind(source.as_str())
        .bind(commit.as_str())
        .row(tx)
        .await?;
    Ok(called.is_some())
}

/// Returns what the first target that is pending waits for, where it waits to be opened.
async fn held(tx: &mut Tx, source: &Name, commit: &CommitId) -> Result<Option<String>, Error> {
    let row = query(
        "SELECT state FROM ledger WHERE source = $1 AND commit_id = $2 AND phase = 'pending' \
         ORDER BY application, cluster LIMIT 1",
    )
    .bind(source.as_str())
    .bind(commit.as_str())
    .row(tx)
    .await?;
    let row: Option<Row> = row.map(|row| column::json(&row, "state")).transpose()?;
    Ok(row.and_then(|row| row.problem).map(|problem| problem.message))
}

/// Returns how many targets stand where, and how many of those that are open are pending. A target that no roster names,
/// beside others that one does, is not waited for: a pass for an earlier commit merely came upon this one. It counts where
/// that went wrong.
async fn counts(tx: &mut Tx, source: &Name, commit: &CommitId) -> Result<(Counts, u64), Error> {
    let rows = query(
        "SELECT phase, called, count(*) AS number FROM ledger WHERE source = $1 AND commit_id = $2 GROUP BY phase, called",
    )
    .bind(source.as_str())
    .bind(commit.as_str())
    .rows(tx)
    .await?;
    let (mut counts, mut pending) = (Counts::default(), 0);
    let called = |row: &sql::Row| Ok::<_, Error>(column::number(row, "called")? == 1);
    let any = rows.iter().map(called).collect::<Result<Vec<_>, _>>()?.contains(&true);
    for row in &rows {
        let number = u64::try_from(column::number(row, "number")?).unwrap_or(0);
        let phase = column::phase(row)?;
        if any && !called(row)? && !matches!(phase, Phase::Failed | Phase::Error) {
            continue;
        }
        counts.add(phase, number);
        pending += if phase == Phase::Pending { number } else { 0 };
    }
    Ok((counts, pending))
}

/// Returns the first targets of a commit that failed or are in error, as many as a text names.
async fn bad_targets(tx: &mut Tx, source: &Name, commit: &CommitId) -> Result<Vec<Target>, Error> {
    // Not by an index that has them in this order: all targets of the commit would be walked.
    let rows = query(
        "SELECT application, cluster FROM ledger WHERE source = $1 AND commit_id = $2 \
         AND phase IN ('failed', 'error') ORDER BY application || '', cluster LIMIT $3",
    )
    .bind(source.as_str())
    .bind(commit.as_str())
    .bind(i64::try_from(phrase::NAMED).unwrap_or(i64::MAX))
    .rows(tx)
    .await?;
    rows.iter().map(column::target).collect()
}

async fn want(tx: &mut Tx, wanted: Wanted<'_>) -> Result<(), Error> {
    query(
        "INSERT INTO statuses (source, commit_id, context, application, cluster, run, phase, description, trace) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (source, commit_id, context) DO UPDATE SET \
         run = excluded.run, trace = excluded.trace, phase = excluded.phase, description = excluded.description, version = statuses.version + 1, \
         wanting = CASE WHEN statuses.posted_phase = excluded.phase \
                        AND statuses.posted_description = excluded.description \
                         AND statuses.sent IS NULL THEN 0 ELSE 1 END \
         WHERE statuses.phase <> excluded.phase OR statuses.description <> excluded.description",
    )
    .bind(wanted.source.as_str())
    .bind(wanted.commit.as_str())
    .bind(wanted.context)
    .bind(wanted.target.map(|target| target.application.as_str()))
    .bind(wanted.target.map(|target| target.cluster.as_str()))
    .bind(wanted.run)
    .bind(wanted.phase.word())
    .bind(wanted.description)
    .bind(wanted.trace.map(|trace| trace.to_string()))
        .run(tx)
        .await?;
    Ok(())
}

/// Mutes the targets of a commit, except those of which a forge may have heard: a status that was begun must end.
async fn mute(tx: &mut Tx, source: &Name, commit: &CommitId) -> Result<(), Error> {
    query(
        "UPDATE statuses SET muted = 1 WHERE source = $1 AND commit_id = $2 AND application IS NOT NULL \
         AND posted_phase IS NULL AND tries = 0 AND muted = 0 AND shown IS NULL AND sent IS NULL",
    )
    .bind(source.as_str())
    .bind(commit.as_str())
    .run(tx)
    .await?;
    Ok(())
}
