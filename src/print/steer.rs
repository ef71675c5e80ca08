//! `windlass pause`, `resume`, `sync` and `audit`: what people tell windlass to do, and what they told it.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use anyhow::bail;
use serde_json::json;
use windlass::application::Name;
use windlass::application::Target;
use windlass::cli;
use windlass::clock::now;
use windlass::pause::Audited;
use windlass::pause::Order;
use windlass::pause::Pause;
use windlass::pause::Scope;
use windlass::role::Part;
use windlass::settings::Settings;
use windlass::store::Held;
use windlass::store::Store;

use super::WRONG;
use super::complain;
use super::load;
use super::out;
use super::rollback::commit;
use super::store_of;
use super::time;

/// How many characters may a reason or a name have? They are shown in statuses.
const CHARACTERS: usize = 200;

/// How many bytes of the list of users are read?
const USERS_BYTES: u64 = 1 << 20;

/// Pauses something, or prints what is paused.
pub async fn pause(asked: &cli::Pause) -> anyhow::Result<ExitCode> {
    let Some((settings, store)) = open(asked.config.as_deref()).await? else {
        return Ok(ExitCode::from(WRONG));
    };
    if asked.list {
        return list(&store, asked.json).await;
    }
    let scope = scope(&settings, asked.target.as_deref(), asked.cluster.as_deref())?;
    let why = words("--why", asked.why.as_deref().unwrap_or_default())?;
    store.pause(&Pause { scope: scope.clone(), by: who(asked.by.as_deref())?, why, since: now() }).await?;
    out(&format!(
        "Paused: {scope}. What was begun ends; nothing else is written until `windlass resume`.\n"
    ))?;
    Ok(ExitCode::SUCCESS)
}

/// Ends a pause.
pub async fn resume(asked: &cli::Resume) -> anyhow::Result<ExitCode> {
    let Some((settings, store)) = open(asked.config.as_deref()).await? else {
        return Ok(ExitCode::from(WRONG));
    };
    let scope = named(asked.target.as_deref(), asked.cluster.as_deref())?;
    let why = if asked.why.is_empty() { String::new() } else { words("--why", &asked.why)? };
    if !store.resume(&scope, &who(asked.by.as_deref())?, &why, now()).await? {
        let pauses = store.pauses().await?;
        let known: Vec<String> = pauses.iter().map(|pause| pause.scope.to_string()).collect();
        bail!(
            "resume {scope}: that is not paused; what is: {}",
            if known.is_empty() { "nothing".to_owned() } else { known.join(", ") }
        );
    }
    let when = wake(&settings).await;
    out(&format!("Resumed: {scope}. What waited is worked on {when}.\n"))?;
    for pause in store.pauses().await? {
        out(&format!("Still paused: {}.\n", pause.scope))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Asks for a pass.
pub async fn sync(asked: &cli::Sync) -> anyhow::Result<ExitCode> {
    let Some((settings, store)) = open(asked.config.as_deref()).await? else {
        return Ok(ExitCode::from(WRONG));
    };
    let scope = scope(&settings, Some(&asked.target), None)?;
    let order = if asked.regardless { Order::Override } else { Order::Sync };
    let why = asked.why.as_deref().map(|why| words("--why", why)).transpose()?.unwrap_or_default();
    let targets: Vec<Target> =
        settings.applications.iter().flat_map(|one| one.targets()).filter(|one| scope.covers(one)).collect();
    let by = who(asked.by.as_deref())?;
    let source = settings.applications.iter().find(|one| scope.application.as_ref() == Some(&one.name));
    let prunes = match (asked.allow_prune.as_deref(), source) {
        (Some(text), Some(application)) => Some(commit(&store, &application.source, text).await?),
        _ => None,
    };
    let why = prunes.as_ref().map_or_else(|| why.clone(), |commit| format!("may prune at {commit}: {why}"));
    store.wish(&targets, &Audited { at: now(), by, order, scope, why }, prunes.as_ref()).await?;
    let when = wake(&settings).await;
    let names: Vec<String> = targets.iter().map(ToString::to_string).collect();
    out(&format!("Asked for a pass of {}. It is made {when}.\n", names.join(", ")))?;
    for pin in store.pins().await?.into_iter().filter(|pin| targets.contains(&pin.target)) {
        let at = pin.commit.short();
        out(&format!(
            "{} is kept at {at}, which is made true again, until `windlass release`.\n",
            pin.target
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints the last orders.
pub async fn audit(asked: &cli::Audit) -> anyhow::Result<ExitCode> {
    let Some(settings) = load(asked.config.as_deref(), &Part::none())? else {
        return Ok(ExitCode::from(WRONG));
    };
    let orders = store_of(&settings).await?.orders(asked.limit).await?;
    if asked.json {
        orders.iter().try_for_each(|one| {
            let Audited { by, order, scope, why, .. } = one;
            let shown =
                json!({ "at": time(one.at), "by": by, "order": order, "for": scope.to_string(), "why": why });
            out(&format!("{shown}\n"))
        })?;
    } else if orders.is_empty() {
        out("Nobody has ordered anything.\n")?;
    } else {
        out(&format!("{:<20}  {:<24}  {:<8}  {:<24}  WHY\n", "WHEN", "BY", "ORDER", "FOR"))?;
        orders.iter().try_for_each(|one| {
            let Audited { by, order, scope, why, .. } = one;
            let (when, scope) = (time(one.at), scope.to_string());
            out(&format!("{when:<20}  {by:<24}  {:<8}  {scope:<24}  {why}\n", order.word()))
        })?;
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn open(config: Option<&Path>) -> anyhow::Result<Option<(Settings, Store)>> {
    let Some(settings) = load(config, &Part::steward())? else { return Ok(None) };
    let store = store_of(&settings).await?;
    Ok(Some((settings, store)))
}

async fn list(store: &Store, json: bool) -> anyhow::Result<ExitCode> {
    let (pauses, held) = (store.pauses().await?, store.held().await?);
    if pauses.is_empty() && held.is_empty() && !json {
        out("Nothing is paused, and nothing waits.\n")?;
    }
    for pause in &pauses {
        let Pause { scope, by, why, since } = pause;
        let (scope, since) = (scope.to_string(), time(*since));
        out(&if json {
            format!("{}\n", json!({ "paused": scope, "by": by, "since": since, "why": why }))
        } else {
            format!("paused   {scope:<32}  since {since}  by {by}: {why}\n")
        })?;
    }
    for one in &held {
        let Held { target, commits, drift, since, why, .. } = one;
        let (target, since) = (target.to_string(), time(*since));
        out(&if json {
            let until = one.until.map(time);
            format!(
                "{}\n",
                json!({ "waiting": target, "commits": commits, "drift": drift, "since": since, "until": until, "why": why })
            )
        } else {
            format!("waiting  {target:<32}  since {since}  {why}\n")
        })?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Reads what is meant, whether there is such or not.
pub(super) fn named(target: Option<&str>, cluster: Option<&str>) -> anyhow::Result<Scope> {
    let name = |text: &str| Name::parse(text).with_context(|| format!("read \"{text}\""));
    let (application, at) = match target.map(|text| text.split_once('@').unwrap_or((text, ""))) {
        Some((application, at)) => (Some(name(application)?), Some(at).filter(|at| !at.is_empty())),
        None => (None, None),
    };
    Ok(Scope { application, cluster: at.or(cluster).map(name).transpose()? })
}

/// Reads what is meant; there must be such.
pub(super) fn scope(
    settings: &Settings,
    target: Option<&str>,
    cluster: Option<&str>,
) -> anyhow::Result<Scope> {
    let scope = named(target, cluster)?;
    let mut targets = settings.applications.iter().flat_map(|one| one.targets());
    if !targets.any(|target| scope.covers(&target)) && scope != Scope::default() {
        let known: Vec<&str> = settings.applications.iter().map(|one| one.name.as_str()).collect();
        bail!("find {scope} in the settings: no application is such; known: {}", known.join(", "));
    }
    Ok(scope)
}

/// Reads a text that others will read.
pub(super) fn words(key: &str, text: &str) -> anyhow::Result<String> {
    let text = text.trim();
    if text.is_empty() || text.chars().count() > CHARACTERS || text.chars().any(char::is_control) {
        bail!("read {key}: give 1 to {CHARACTERS} characters, on one line");
    }
    Ok(text.to_owned())
}

/// Returns who gives an order: the user of the system, after the name that was given.
pub(super) fn who(by: Option<&str>) -> anyhow::Result<String> {
    let user = user();
    by.map_or(Ok(user.clone()), |by| Ok(format!("{} ({user})", words("--by", by)?)))
}

/// Returns the user that this process runs as, by the system's word and not by that of the environment.
fn user() -> String {
    use std::io::Read;
    let Ok(own) = std::fs::metadata("/proc/self") else { return "unknown".to_owned() };
    let (uid, mut users) = (own.uid().to_string(), String::new());
    let file = std::fs::File::open("/etc/passwd");
    let _read = file.and_then(|file| file.take(USERS_BYTES).read_to_string(&mut users));
    let found = users.lines().find_map(|line| {
        let mut columns = line.split(':');
        let (name, id) = (columns.next()?, columns.nth(1)?);
        (id == uid).then(|| name.to_owned())
    });
    found.unwrap_or_else(|| format!("uid {uid}"))
}

/// Has a windlass that runs look at once, and returns when it does. Over Postgres the store itself tells.
pub(super) async fn wake(settings: &Settings) -> &'static str {
    if settings.store.url.is_some() {
        return "now";
    }
    match windlass::control::look(&settings.data).await {
        Ok(true) => "now",
        Ok(false) => "as soon as windlass is started: none runs with this data folder",
        Err(error) => {
            complain(&format!("failed to {}", windlass::fault::chain(&error)));
            "within a minute"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::named;
    use super::words;

    #[test]
    fn what_is_meant_is_read() {
        for (target, cluster, expected) in [
            (Some("shop"), None, "shop"),
            (Some("shop@east"), None, "shop@east"),
            (None, Some("east"), "cluster east"),
            (None, None, "everything"),
        ] {
            assert_eq!(named(target, cluster).unwrap().to_string(), expected);
        }
        assert!(named(Some("Shop"), None).is_err() && named(Some("shop@EAST"), None).is_err());
        assert!(words("--why", " ").is_err() && words("--why", "a\nb").is_err());
        assert_eq!(words("--why", " disk is full ").unwrap(), "disk is full");
    }
}
