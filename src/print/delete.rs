//! `windlass delete`: takes away what an application left in a cluster, and prints what became of each object.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use anyhow::bail;
use serde_json::json;
use windlass::application::Application;
use windlass::application::Name;
use windlass::application::Target;
use windlass::cli;
use windlass::clock::now;
use windlass::line;
use windlass::object::ObjectId;
use windlass::pause;
use windlass::pause::Audited;
use windlass::pause::Scope;
use windlass::plan::How;
use windlass::reconcile::Behind;
use windlass::reconcile::Departed;
use windlass::reconcile::Fate;
use windlass::reconcile::Order;
use windlass::reconcile::Reconciler;
use windlass::role::Part;
use windlass::settings::Settings;

use super::WRONG;
use super::complain;
use super::load;
use super::out;
use super::steer::who;
use super::steer::words;
use super::store_of;

/// The exit code where something is still there: another call goes on.
const STILL_THERE: u8 = 3;

/// Deletes an application that left the settings, or prints which ones are still there.
pub async fn delete(asked: &cli::Delete) -> anyhow::Result<ExitCode> {
    let Some(settings) = load(asked.config.as_deref(), &Part::looker())? else {
        return Ok(ExitCode::from(WRONG));
    };
    // What a windlass that runs here has open is left to it.
    let folder = tempfile::tempdir().context("make a folder to look in")?;
    let reconcilers = reconcilers(&settings, folder.path()).await?;
    let Some(text) = asked.target.as_deref() else {
        return list(&settings, &reconcilers, asked.json).await;
    };
    let target = target(text)?;
    if let Some(why) = refusal(&target, &settings.applications) {
        bail!("delete {target}: {why}");
    }
    let Some(reconciler) = reconcilers.iter().find(|one| one.reaches(&target)) else {
        let known: Vec<&str> = settings.clusters.keys().map(Name::as_str).collect();
        bail!(
            "reach the cluster {}: these settings do not say how; known: {}",
            target.cluster,
            known.join(", ")
        );
    };
    note(&settings, &target, asked).await?;
    let how = if asked.orphan { How::Orphan } else { How::Delete { data: asked.data } };
    let order = Order { target: &target, how, within: Duration::from_secs(asked.within) };
    let mut said = Said { json: asked.json, target: &target, tally: Tally::default(), unsaid: None };
    let departed = reconciler.depart(order, &mut |object, fate| said.line(object, fate)).await?;
    let Said { tally, unsaid, .. } = said;
    unsaid.map_or(Ok(()), Err)?;
    out(&if asked.json { last(&target, &tally, &departed) } else { summary(&target, &tally, &departed) })?;
    Ok(ExitCode::from(code(&tally, &departed)))
}

async fn reconcilers(settings: &Settings, folder: &Path) -> anyhow::Result<Vec<Reconciler>> {
    let settings = Settings { data: folder.to_owned(), ..settings.clone() };
    Ok(line::lookers(&settings).await?)
}

fn target(text: &str) -> anyhow::Result<Target> {
    let Some((application, cluster)) = text.split_once('@') else {
        bail!(
            "read \"{text}\": say in which cluster, such as {text}@east; `windlass delete --list` names both"
        );
    };
    let name = |part| Name::parse(part).with_context(|| format!("read \"{text}\""));
    Ok(Target { application: name(application)?, cluster: name(cluster)? })
}

/// Returns why a target is not deleted by these settings, where it is not. (What another one depends on is declared, or the
/// settings are refused.)
fn refusal(target: &Target, applications: &[Application]) -> Option<&'static str> {
    applications.iter().flat_map(Application::targets).any(|one| one == *target).then_some(
        "the settings still have it in that cluster; take it out of them first and restart windlass, or it would be \
         made again",
    )
}

/// Notes in the audit that it is deleted, where windlass keeps history here.
async fn note(settings: &Settings, target: &Target, asked: &cli::Delete) -> anyhow::Result<()> {
    let why = if asked.why.is_empty() { String::new() } else { words("--why", &asked.why)? };
    let by = who(asked.by.as_deref())?;
    if settings.store.url.is_none() && !line::store_path(&settings.data).exists() {
        complain("there is no history here, so that no audit says who deleted this");
        return Ok(());
    }
    let how = match (asked.orphan, asked.data) {
        (true, _) => "let go",
        (false, true) => "deleted with its data",
        (false, false) => "deleted",
    };
    let (application, cluster) = (Some(target.application.clone()), Some(target.cluster.clone()));
    let why = if why.is_empty() { how.to_owned() } else { format!("{how}: {why}") };
    let order =
        Audited { at: now(), by, order: pause::Order::Delete, scope: Scope { application, cluster }, why };
    Ok(store_of(settings).await?.note(&order).await?)
}

/// How many objects became what.
#[derive(Debug, Default)]
struct Tally {
    deleted: usize,
    orphaned: usize,
    kept: usize,
    held: usize,
    going: usize,
    failed: usize,
}

/// What is printed while objects go.
struct Said<'a> {
    json: bool,
    target: &'a Target,
    tally: Tally,
    /// Why something could not be printed.
    unsaid: Option<anyhow::Error>,
}

impl Said<'_> {
    fn line(&mut self, object: &ObjectId, fate: &Fate) {
        let tally = &mut self.tally;
        let (word, why, count) = match fate {
            Fate::Deleted => ("deleted", "", &mut tally.deleted),
            Fate::Orphaned => ("orphaned", "", &mut tally.orphaned),
            Fate::Kept(why) => ("kept", why.as_str(), &mut tally.kept),
            Fate::Held(why) => ("kept", why.as_str(), &mut tally.held),
            Fate::Going(why) => ("going", why.as_str(), &mut tally.going),
            Fate::Failed(why) => ("failed", why.as_str(), &mut tally.failed),
        };
        *count += 1;
        let text = if self.json {
            let ObjectId { group, kind, namespace, name } = object;
            let note = Some(why).filter(|why| !why.is_empty());
            format!(
                "{}\n",
                json!({ "target": self.target.to_string(), "did": word, "group": group, "kind": kind,
                    "namespace": namespace, "name": name, "note": note })
            )
        } else {
            format!("{}\n", format!("  {word:<8}  {object}  {why}").trim_end())
        };
        // What is under way goes on to its end, also where nobody reads of it.
        if let Err(error) = out(&text) {
            self.unsaid.get_or_insert(error);
        }
    }
}

fn code(tally: &Tally, departed: &Departed) -> u8 {
    match (tally.failed, departed.done) {
        (0, true) => 0,
        (0, false) => STILL_THERE,
        _ => 1,
    }
}

fn summary(target: &Target, tally: &Tally, departed: &Departed) -> String {
    let Tally { deleted, orphaned, kept, held, going, failed } = tally;
    let counts = [
        (*deleted, "deleted"),
        (*orphaned, "orphaned"),
        (kept + held, "kept"),
        (*going, "still going"),
        (*failed, "failed"),
        (departed.untouched, "not reached"),
    ];
    let counts: Vec<String> = counts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
    let counts = if counts.is_empty() { "it had no objects".to_owned() } else { counts.join(", ") };
    if departed.done {
        return format!("{target} is gone: {counts}.\n");
    }
    format!(
        "{target} is still there: {counts}. Run this again to go on, once what is said above is mended.\n"
    )
}

fn last(target: &Target, tally: &Tally, departed: &Departed) -> String {
    let Tally { deleted, orphaned, kept, held, going, failed } = tally;
    let line = json!({ "target": target.to_string(), "gone": departed.done, "deleted": deleted, "orphaned": orphaned,
        "kept": kept + held, "going": going, "failed": failed, "not_reached": departed.untouched });
    format!("{line}\n")
}

/// Prints the applications that left the settings and are still in a cluster.
async fn list(settings: &Settings, reconcilers: &[Reconciler], json: bool) -> anyhow::Result<ExitCode> {
    let looks = reconcilers.iter().map(|one| one.left_behind(&settings.applications));
    let (mut behind, mut code) = (Vec::new(), ExitCode::SUCCESS);
    for (cluster, found) in futures::future::join_all(looks).await.into_iter().flatten() {
        match found {
            Ok(found) => behind.extend(found),
            Err(error) => {
                complain(&format!("what is left in cluster {cluster} is not known: failed to {error}"));
                code = ExitCode::FAILURE;
            }
        }
    }
    if behind.is_empty() && !json {
        out("Nothing is left behind where it could be looked.\n")?;
    } else if !json {
        out(&format!("{:<32}  {:>7}  LAST COMMIT\n", "TARGET", "MEMBERS"))?;
    }
    for Behind { target, members, commit } in behind {
        let target = target.to_string();
        let text = if json {
            json!({ "target": target, "members": members, "commit": commit }).to_string()
        } else {
            let commit = commit.as_ref().map_or("none", |commit| commit.short());
            format!("{target:<32}  {members:>7}  {commit}")
        };
        out(&format!("{text}\n"))?;
    }
    Ok(code)
}

#[cfg(test)]
mod tests {
    use windlass::reconcile::Departed;

    use super::Tally;
    use super::code;
    use super::summary;
    use super::target;

    #[test]
    fn the_end_by_table() {
        let (none, one) = (Tally::default, |deleted| Tally { deleted, ..Tally::default() });
        let shop = target("shop@east").unwrap();
        let cases = [
            (one(2), true, 0, 0, "shop@east is gone: 2 deleted."),
            (none(), true, 0, 0, "shop@east is gone: it had no objects."),
            (Tally { kept: 1, ..one(2) }, true, 0, 0, "shop@east is gone: 2 deleted, 1 kept."),
            (Tally { held: 1, ..one(2) }, false, 0, 3, "is still there: 2 deleted, 1 kept. Run this again"),
            (Tally { going: 1, ..none() }, false, 4, 3, "is still there: 1 still going, 4 not reached."),
            (Tally { failed: 1, held: 1, ..none() }, false, 0, 1, "is still there: 1 kept, 1 failed."),
        ];
        for (tally, done, untouched, expected, words) in cases {
            let departed = Departed { done, untouched };
            let said = summary(&shop, &tally, &departed);
            assert!(said.contains(words), "{words} is not in {said}");
            assert_eq!(code(&tally, &departed), expected, "{said}");
        }
        assert!(target("shop").is_err() && target("shop@EAST").is_err());
    }
}
