//! `windlass explain`: what became of a delivery or a commit, target by target, and what its forge was told.

use std::process::ExitCode;

use anyhow::bail;
use windlass::application::Name;
use windlass::application::WHOLE;
use windlass::cli::Explain;
use windlass::commit::CommitId;
use windlass::role::Part;
use windlass::store::Posting;
use windlass::store::Run;
use windlass::store::Status;
use windlass::store::Store;
use windlass::store::Verdict;

use super::WRONG;
use super::complain;
use super::deliveries;
use super::load;
use super::out;
use super::store_of;
use super::time;

/// How many objects of a run are listed? The rest is counted.
const CHANGES: usize = 50;

/// How many characters of a name must be given?
const CHARACTERS: usize = 6;

/// Prints what is known of a commit or of a delivery.
pub async fn explain(asked: &Explain) -> anyhow::Result<ExitCode> {
    let prefix = asked.what.as_str();
    if prefix.len() < CHARACTERS || !prefix.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
        bail!(
            "read what is to be explained: give at least {CHARACTERS} characters of a commit or a delivery"
        );
    }
    let Some(settings) = load(asked.config.as_deref(), &Part::none())? else {
        return Ok(ExitCode::from(WRONG));
    };
    let store = store_of(&settings).await?;
    let commits = store.commits(&prefix.to_ascii_lowercase()).await?;
    let heard = store.deliveries_called(prefix).await?;
    if commits.is_empty() && heard.is_empty() {
        complain(&format!(
            "nothing is known of {prefix}: no delivery is called so, and no target was touched by such a commit; \
             `windlass deliveries` lists what was heard"
        ));
        return Ok(ExitCode::FAILURE);
    }
    for one in &heard {
        deliveries::one(&store, one).await?;
    }
    for (source, commit) in commits {
        self::commit(&store, &source, &commit).await?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints what became of a commit.
pub async fn commit(store: &Store, source: &Name, commit: &CommitId) -> anyhow::Result<()> {
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
        let context = verdict.target.context();
        statuses.iter().filter(|one| one.context == context).try_for_each(|one| out(&told(one)))?;
    }
    let whole = statuses.iter().find(|one| one.context == WHOLE);
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
