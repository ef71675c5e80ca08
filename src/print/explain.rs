//! `windlass explain`: what became of a commit, target by target, and what its forge was told.

use std::process::ExitCode;

use anyhow::bail;
use windlass::application::Name;
use windlass::cli::Explain;
use windlass::commit::CommitId;
use windlass::store::Posting;
use windlass::store::Run;
use windlass::store::Status;
use windlass::store::Store;
use windlass::store::Verdict;

use super::WRONG;
use super::complain;
use super::load;
use super::out;
use super::store_of;
use super::time;

/// How many objects of a run are listed? The rest is counted.
const CHANGES: usize = 50;

/// How many digits of a commit must be given?
const DIGITS: usize = 6;

/// Prints what is known of a commit.
pub async fn explain(asked: &Explain) -> anyhow::Result<ExitCode> {
    let prefix = asked.commit.to_ascii_lowercase();
    if prefix.len() < DIGITS || !prefix.bytes().all(|b| b.is_ascii_hexdigit()) {
        bail!("read the commit: give at least {DIGITS} of its hexadecimal digits");
    }
    let Some(settings) = load(asked.config.as_deref())? else { return Ok(ExitCode::from(WRONG)) };
    let store = store_of(&settings).await?;
    let commits = store.commits(&prefix).await?;
    if commits.is_empty() {
        complain(&format!(
            "no target was touched by a commit {prefix}: nothing reads what it changed, or windlass has not heard of \
             it; its log says what became of a delivery"
        ));
        return Ok(ExitCode::FAILURE);
    }
    for (source, commit) in commits {
        one(&store, &source, &commit).await?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn one(store: &Store, source: &Name, commit: &CommitId) -> anyhow::Result<()> {
    out(&format!("commit {commit} of source {source}\n"))?;
    let statuses = store.statuses(source, commit).await?;
    for verdict in store.verdicts(source, commit).await? {
        out(&in_target(&verdict))?;
        if let Some(id) = &verdict.row.run {
            match store.run(id).await? {
                Some(run) => out(&in_run(&run, commit))?,
                None => out(&format!("    run {id}, of which nothing was told yet\n"))?,
            }
        }
        let context = format!("windlass/{}", verdict.target);
        statuses.iter().filter(|one| one.context == context).try_for_each(|one| out(&told(one)))?;
    }
    let whole = statuses.iter().find(|one| one.context == "windlass");
    whole.map_or(Ok(()), |whole| out(&format!("\n  the commit as a whole\n{}", told(whole))))
}

fn in_target(verdict: &Verdict) -> String {
    let Verdict { target, row, description, opened_at, moved_at } = verdict;
    format!(
        "\n  {target}  {}: {description}\n    heard of at {}, last moved at {}\n",
        row.phase.word(),
        time(*opened_at),
        time(*moved_at)
    )
}

fn in_run(run: &Run, commit: &CommitId) -> String {
    let mut text =
        format!("    run {}: {} after {} ms, {}\n", run.run, run.phase.word(), run.took_ms, time(run.at));
    if run.commit != *commit {
        text += &format!(
            "      it made {} true, where this target reads the same or newer\n",
            run.commit.short()
        );
    }
    for change in run.changes.iter().take(CHANGES) {
        let note = change.note.as_ref().map(|note| format!(" ({note})")).unwrap_or_default();
        text += &format!("      {} {}{note}\n", change.action.word(), change.object);
    }
    let more = run.changes.len().saturating_sub(CHANGES);
    if more > 0 {
        text += &format!("      and {more} more objects\n");
    }
    for problem in &run.problems {
        text += &format!("      ! {problem}\n");
    }
    text
}

fn told(status: &Status) -> String {
    let Status { context, phase, description, posting } = status;
    let how = match posting {
        Posting::Posted(at) => format!("posted at {}", time(*at)),
        Posting::Waiting { tries: 0, .. } => "about to be posted".to_owned(),
        Posting::Waiting { due_at, tries, why } => {
            let why = why.as_deref().unwrap_or("the forge was away");
            format!("not posted yet: {why}; tried {tries} times, again at {}", time(*due_at))
        }
        Posting::GivenUp(why) => format!("not posted: {why}"),
        Posting::Withheld => "not posted: the commit touches too many targets for a status each".to_owned(),
    };
    format!("    status {context}, {}, \"{description}\": {how}\n", phase.word())
}
