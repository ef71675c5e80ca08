//! `windlass health`: the verdicts of the rules about live objects in files, offline.

use std::path::Path;
use std::process::ExitCode;

use anyhow::bail;
use serde_json::Value;
use serde_json::json;
use windlass::cli::Health as Asked;
use windlass::health::Health;
use windlass::health::Rules;
use windlass::health::has_conditions;
use windlass::manifest;
use windlass::object::group_and_version;
use windlass::role::Part;

use super::complain;
use super::files;
use super::load;
use super::out;
use super::read::standard_input;

/// The exit code where nothing could be said.
const UNSAID: u8 = 3;

/// Prints the health of each object; ends with 0 where all are healthy, 1 where some are waited for, 2 where some failed.
pub fn health(asked: &Asked) -> ExitCode {
    judge(asked).unwrap_or_else(|error| {
        complain(&format!("failed to {error:#}"));
        ExitCode::from(UNSAID)
    })
}

fn judge(asked: &Asked) -> anyhow::Result<ExitCode> {
    let rules = match &asked.config {
        None => Rules::default(),
        Some(file) => match load(Some(file), &Part::none())? {
            Some(settings) => settings.health,
            None => bail!("read the settings: mend what is said above"),
        },
    };
    let objects = read(asked)?;
    let definitions: Vec<&Value> =
        objects.iter().filter(|object| text(object, "/kind") == DEFINITION).collect();
    let mut code = 0;
    for object in &objects {
        let found = verdict(&rules, &definitions, object);
        code = code.max(match found {
            Health::Healthy => 0,
            Health::Waiting(_) => 1,
            Health::Failed(_) => 2,
        });
        out(&line(object, &found, asked.json))?;
    }
    Ok(ExitCode::from(code))
}

const DEFINITION: &str = "CustomResourceDefinition";

fn read(asked: &Asked) -> anyhow::Result<Vec<Value>> {
    let mut all = Vec::new();
    for path in &asked.files {
        if path == Path::new("-") {
            all.push(("standard input".to_owned(), standard_input()?));
        } else {
            all.extend(files(path)?);
        }
    }
    let texts: Vec<_> = all.iter().map(|(file, bytes)| manifest::Text { file, bytes }).collect();
    match manifest::objects(&texts) {
        Ok(objects) => Ok(objects),
        Err(problems) => {
            problems.iter().for_each(|problem| complain(&problem.to_string()));
            bail!("read the files: mend what is said above");
        }
    }
}

fn verdict(rules: &Rules, definitions: &[&Value], object: &Value) -> Health {
    let health = rules.health(object);
    let (group, version) = group_and_version(text(object, "/apiVersion"));
    let promised = || {
        definitions.iter().any(|definition| {
            text(definition, "/spec/group") == group
                && text(definition, "/spec/names/kind") == text(object, "/kind")
                && has_conditions(definition, version)
        })
    };
    if health == Health::Healthy && rules.is_unreported(object) && promised() {
        return Health::unreported();
    }
    health
}

fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn line(object: &Value, health: &Health, as_json: bool) -> String {
    let (word, why) = match health {
        Health::Healthy => ("healthy", ""),
        Health::Waiting(why) => ("waiting", why.as_str()),
        Health::Failed(why) => ("failed", why.as_str()),
    };
    let (kind, name) = (text(object, "/kind"), text(object, "/metadata/name"));
    let namespace = text(object, "/metadata/namespace");
    if as_json {
        let api_version = text(object, "/apiVersion");
        let told = json!({ "api_version": api_version, "kind": kind, "namespace": namespace, "name": name,
            "health": word, "why": why });
        return format!("{told}\n");
    }
    let place = if namespace.is_empty() { String::new() } else { format!("{namespace}/") };
    let line = format!("{kind}/{place}{name} {word} {why}");
    format!("{}\n", line.split_whitespace().collect::<Vec<_>>().join(" "))
}
