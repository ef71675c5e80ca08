//! `windlass drift suggest`: the rules that would leave drift to those who made it.

use std::process::ExitCode;

use anyhow::Context;
use serde_json::Value;
use serde_json::json;
use windlass::annotation;
use windlass::application::Name;
use windlass::cli;
use windlass::drift;
use windlass::drift::Seen;
use windlass::drift::Suggestion;
use windlass::ignore::IgnoreRule;
use windlass::role::Part;

use super::WRONG;
use super::load;
use super::out;
use super::store_of;
use super::time;

/// Prints a rule for each object that drifted.
pub async fn suggest(asked: &cli::Suggest) -> anyhow::Result<ExitCode> {
    let Some(settings) = load(asked.config.as_deref(), &Part::none())? else {
        return Ok(ExitCode::from(WRONG));
    };
    let application =
        asked.application.as_deref().map(Name::parse).transpose().context("read --application")?;
    let records = store_of(&settings).await?.drifts(application.as_ref(), asked.limit).await?;
    let mut found = drift::suggest(records.iter().map(|(at, one)| (*at, one)));
    found.retain(|one| asked.object.as_ref().is_none_or(|object| one.object.to_string() == *object));
    if asked.json {
        found.iter().try_for_each(|one| out(&format!("{}\n", as_json(one))))?;
    } else if found.is_empty() {
        out("No drift was seen.\n")?;
    } else {
        let texts: Vec<String> = found.iter().map(as_toml).collect();
        out(&texts.join("\n"))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn as_json(one: &Suggestion) -> Value {
    let seen = one.seen.iter().map(|seen| {
        json!({ "by": seen.by, "clusters": seen.clusters, "fields": seen.fields, "times": seen.times, "last": time(seen.last) })
    });
    json!({ "application": one.application, "object": one.object, "seen": seen.collect::<Vec<_>>(), "rule": one.rule,
        "annotation": one.annotation().map(|value| json!({ annotation::IGNORE: value })) })
}

/// Returns what can be put into a settings file as it is: who did what, and the rule.
fn as_toml(one: &Suggestion) -> String {
    let mut text = String::new();
    for seen in &one.seen {
        text += &comment(&in_words(one, seen));
    }
    let Some(rule) = &one.rule else {
        text += &comment(&format!(
            "No rule leaves that to others. The annotation {}: \"off\" in its manifest leaves its drift to the next commit.",
            annotation::SELF_HEAL
        ));
        return text;
    };
    match one.annotation() {
        Some(value) => {
            text += &comment(&format!(
                "Instead, as an annotation in its manifest: {}: {}",
                annotation::IGNORE,
                json!(value)
            ))
        }
        None if rule.managers.is_empty() => {}
        None => text += &comment("Which fields is not known wholly, so this leaves all that they set."),
    }
    text + &block(&one.application, rule)
}

/// Returns a line that TOML passes over. What others have named must not end it.
fn comment(words: &str) -> String {
    format!("# {}\n", words.replace(char::is_control, " "))
}

fn in_words(one: &Suggestion, seen: &Seen) -> String {
    let by = seen.by.as_deref().unwrap_or("Somebody unknown");
    let clusters: Vec<&str> = seen.clusters.iter().map(Name::as_str).collect();
    let fields: Vec<&str> = seen.fields.iter().map(String::as_str).collect();
    let what = if fields.is_empty() {
        format!("deleted {}, or it is not declared", one.object)
    } else {
        format!("changed {} of {}", fields.join(", "), one.object)
    };
    let times = if seen.times == 1 { "once".to_owned() } else { format!("{} times", seen.times) };
    format!("{by} {what} in {}: {times}, last at {}.", clusters.join(", "), time(seen.last))
}

fn block(application: &Name, rule: &IgnoreRule) -> String {
    // A text of JSON is one of TOML too.
    let line = |key: &str, value: Value| format!("{key} = {value}\n");
    let mut text = "[[ignore_rules]]\n".to_owned() + &line("kind", json!(rule.kind.kind));
    if !rule.kind.group.is_empty() {
        text += &line("group", json!(rule.kind.group));
    }
    text += &line("applications", json!([application]));
    for (key, value) in [("namespace", &rule.namespace), ("name", &rule.name)] {
        text += &value.as_ref().map(|value| line(key, json!(value))).unwrap_or_default();
    }
    for (key, values) in [("fields", &rule.fields), ("managers", &rule.managers)] {
        if !values.is_empty() {
            text += &line(key, json!(values));
        }
    }
    text
}
