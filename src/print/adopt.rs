//! `windlass adopt`: what a pass would change, and from whom it would take objects over.

use std::process::ExitCode;

use anyhow::Context;
use anyhow::bail;
use serde_json::json;
use windlass::application::Application;
use windlass::application::Target;
use windlass::cli;
use windlass::line;
use windlass::outcome::Action;
use windlass::outcome::Change;
use windlass::reconcile::Preview;
use windlass::role::Part;
use windlass::settings::Settings;

use super::WRONG;
use super::load;
use super::out;
use super::steer::scope;

/// The exit code where something would be changed.
const CHANGES: u8 = 3;

/// The exit code where nothing would be written, since the commit cannot be made true.
const REFUSED: u8 = 1;

/// Prints what a pass of each target would do; ends with 0 where nothing would be changed.
pub async fn adopt(asked: &cli::Adopt) -> anyhow::Result<ExitCode> {
    let Some(settings) = load(asked.config.as_deref(), &Part::looker())? else {
        return Ok(ExitCode::from(WRONG));
    };
    let scope = scope(&settings, Some(&asked.target), None)?;
    // What a windlass that runs here has open is left to it.
    let folder = tempfile::tempdir().context("make a folder to look in")?;
    let settings = Settings { data: folder.path().to_owned(), ..settings };
    let reconcilers = line::lookers(&settings).await?;
    let targets = settings.applications.iter().flat_map(|one| one.targets().map(move |target| (one, target)));
    let mut code = 0;
    for (application, target) in targets.filter(|(_, target)| scope.covers(target)) {
        let Some(reconciler) = reconcilers.iter().find(|one| one.reaches(&target)) else {
            bail!("reach the cluster {}: these settings do not say how", target.cluster);
        };
        let preview = reconciler.preview(application, &target).await?;
        let changes = preview.changes.iter().any(|change| change.action != Action::Kept);
        code = match (code, preview.problems.is_empty(), changes) {
            (REFUSED, ..) | (_, false, _) => REFUSED,
            (_, true, true) => CHANGES,
            (code, true, false) => code,
        };
        out(&if asked.json { lines(&target, &preview) } else { text(application, &target, &preview) })?;
    }
    Ok(ExitCode::from(code))
}

fn text(application: &Application, target: &Target, preview: &Preview) -> String {
    let reference = &application.reference;
    let mut text = match &preview.tip {
        Some(tip) => format!("{target} at {} of {reference}\n", tip.short()),
        None => format!("{target} at {reference}\n"),
    };
    for change in &preview.changes {
        let note = change.note.as_deref().unwrap_or_default();
        let line = format!("  {:<8}  {}  {note}", word(change), change.object);
        text += line.trim_end();
        text.push('\n');
    }
    // Of a commit that cannot be made true, nothing more is known.
    if preview.problems.is_empty() || !preview.changes.is_empty() {
        text += &format!("  {} as declared already; nothing was written.\n", count(preview.unchanged));
    }
    for problem in &preview.problems {
        text += &format!("  failed    {problem}\n");
    }
    text
}

fn word(change: &Change) -> &'static str {
    match change.action {
        Action::Created => "create",
        Action::Configured => "change",
        Action::Pruned => "prune",
        Action::Kept => "keep",
        Action::Unchanged => "leave",
    }
}

fn count(number: usize) -> String {
    if number == 1 { "1 object is".to_owned() } else { format!("{number} objects are") }
}

fn lines(target: &Target, preview: &Preview) -> String {
    let of = |change: &Change| {
        let id = &change.object;
        json!({ "target": target.to_string(), "commit": preview.tip, "would": word(change), "group": id.group,
            "kind": id.kind, "namespace": id.namespace, "name": id.name, "note": change.note })
    };
    let problems = preview.problems.iter().map(|problem| {
        json!({ "target": target.to_string(), "commit": preview.tip, "failed": problem.to_string() })
    });
    preview.changes.iter().map(of).chain(problems).map(|line| format!("{line}\n")).collect()
}
