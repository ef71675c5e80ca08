//! `windlass rollback` and `release`: targets that go back to a commit and stay there.

use std::process::ExitCode;

use anyhow::Context;
use anyhow::bail;
use serde_json::json;
use windlass::application::Name;
use windlass::application::Target;
use windlass::cli;
use windlass::clock::now;
use windlass::commit::CommitId;
use windlass::pause::Audited;
use windlass::pause::Order;
use windlass::pause::Pin;
use windlass::store::Store;

use super::WRONG;
use super::begins_a_commit;
use super::out;
use super::steer::named;
use super::steer::open;
use super::steer::scope;
use super::steer::wake;
use super::steer::who;
use super::steer::words;
use super::time;

/// Keeps targets at a commit, or prints which are.
pub async fn rollback(asked: &cli::Rollback) -> anyhow::Result<ExitCode> {
    let Some((settings, store)) = open(asked.config.as_deref()).await? else {
        return Ok(ExitCode::from(WRONG));
    };
    if asked.list {
        return list(&store, asked.json).await;
    }
    let scope = scope(&settings, asked.target.as_deref(), None)?;
    let targets: Vec<Target> =
        settings.applications.iter().flat_map(|one| one.targets()).filter(|one| scope.covers(one)).collect();
    let source = settings.applications.iter().find(|one| scope.application.as_ref() == Some(&one.name));
    let source = source.map(|one| &one.source).context("find the source of the application")?;
    let commit = commit(&store, source, asked.to.as_deref().unwrap_or_default()).await?;
    let (why, by) = (words("--why", asked.why.as_deref().unwrap_or_default())?, who(asked.by.as_deref())?);
    let since = now();
    let pin = |target: &Target| {
        let (target, commit, by, why) = (target.clone(), commit.clone(), by.clone(), why.clone());
        Pin { target, commit, by, why, since }
    };
    let pins: Vec<Pin> = targets.iter().map(pin).collect();
    let why = format!("to {commit}: {why}");
    store.pin(&pins, &Audited { at: since, by, order: Order::Rollback, scope, why }).await?;
    let when = wake(&settings).await;
    let (names, short) = (names(&targets), commit.short());
    out(&format!(
        "Kept at {short}: {names}. It is made true {when}; what is pushed waits until `windlass release`.\n"
    ))?;
    Ok(ExitCode::SUCCESS)
}

/// Lets targets follow their references again.
pub async fn release(asked: &cli::Release) -> anyhow::Result<ExitCode> {
    let Some((settings, store)) = open(asked.config.as_deref()).await? else {
        return Ok(ExitCode::from(WRONG));
    };
    let scope = named(Some(&asked.target), None)?;
    let why = if asked.why.is_empty() { String::new() } else { words("--why", &asked.why)? };
    let order = Audited {
        at: now(),
        by: who(asked.by.as_deref())?,
        order: Order::Release,
        scope: scope.clone(),
        why,
    };
    let released = store.unpin(&order).await?;
    if released.is_empty() {
        let kept: Vec<Target> = store.pins().await?.into_iter().map(|pin| pin.target).collect();
        let kept = if kept.is_empty() { "nothing".to_owned() } else { names(&kept) };
        bail!("release {scope}: that is not kept at a commit; what is: {kept}");
    }
    let when = wake(&settings).await;
    out(&format!("Released: {}. What its reference leads to is made true {when}.\n", names(&released)))?;
    Ok(ExitCode::SUCCESS)
}

/// Reads a commit: a whole id, or the beginning of one of the source that was answered before.
pub(super) async fn commit(store: &Store, source: &Name, text: &str) -> anyhow::Result<CommitId> {
    if let Ok(commit) = CommitId::parse(text) {
        return Ok(commit);
    }
    if !begins_a_commit(text) {
        bail!("read the commit: \"{text}\" is none: give its id, or at least 4 digits of its beginning");
    }
    let known = store.commits(&text.to_lowercase()).await?;
    let mut known = known.into_iter().filter(|(of, _)| of == source).map(|(_, commit)| commit);
    match (known.next(), known.next()) {
        (Some(commit), None) => Ok(commit),
        (None, _) => bail!("find {text} among the commits of {source} that were answered: give its whole id"),
        (Some(_), Some(_)) => bail!("tell which commit is meant: several begin with {text}: give more of it"),
    }
}

fn names(targets: &[Target]) -> String {
    targets.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

async fn list(store: &Store, json: bool) -> anyhow::Result<ExitCode> {
    let pins = store.pins().await?;
    if pins.is_empty() && !json {
        out("Nothing is kept at a commit.\n")?;
    }
    for Pin { target, commit, by, why, since } in &pins {
        let (target, since) = (target.to_string(), time(*since));
        out(&if json {
            let shown = json!({ "kept": target, "commit": commit, "by": by, "since": since, "why": why });
            format!("{shown}\n")
        } else {
            format!("{target:<32}  at {}  since {since}  by {by}: {why}\n", commit.short())
        })?;
    }
    Ok(ExitCode::SUCCESS)
}
