//! Whether an object works, told from the object alone.
//!
//! Comes in: one live object. Goes out: [`Health`]. The rules are kstatus's (`observedGeneration`, then the conditions
//! `Reconciling`, `Stalled` and `Ready`) with a table for the kinds that Kubernetes itself defines, and [`Rules`] of the
//! settings before both.

mod argo;
mod builtin;
mod gateway;
mod pods;
mod reports;
mod rules;
mod workloads;

use std::sync::Arc;

use serde_json::Value;

use crate::annotation::Awaited;
use crate::annotation::Wish;
use crate::object::GroupKind;
use crate::object::group_and_version;
use crate::object::passes_away;

pub use reports::has_conditions;
pub use rules::Expression;
pub use rules::Rule;

/// Whether an object works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// It works, or there is nothing about it that could fail.
    Healthy,
    /// It may yet; what is missing, for people.
    Waiting(String),
    /// It will not by itself; why, for people.
    Failed(String),
}

impl Health {
    fn waiting(why: impl Into<String>) -> Self {
        Self::Waiting(why.into())
    }
}

/// The rules of the settings, by kind, and windlass's own for all others. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Rules(rules::ByKind);

impl Rules {
    /// Takes the rules of the settings.
    #[must_use]
    pub fn new(rules: impl IntoIterator<Item = (GroupKind, Rule)>) -> Self {
        Self(Arc::new(rules.into_iter().collect()))
    }

    fn rule(&self, live: &Value) -> Option<&Rule> {
        let (group, kind) = group_and_kind(live);
        self.0.get(&GroupKind { group: group.to_owned(), kind: kind.to_owned() })
    }

    /// Returns the health of a live object.
    #[must_use]
    pub fn health(&self, live: &Value) -> Health {
        if is_ignored(live) {
            return Health::Healthy;
        }
        let Some(rule) = self.rule(live) else { return health(live) };
        if text(live, "/metadata/deletionTimestamp").is_some() {
            return health(live);
        }
        unobserved(live).or_else(|| rule.health(live)).unwrap_or_else(|| health(live))
    }
}

fn is_ignored(live: &Value) -> bool {
    Wish::of(live).waits_for == Awaited::Nothing
}

fn group_and_kind(live: &Value) -> (&str, &str) {
    let (group, _) = group_and_version(text(live, "/apiVersion").unwrap_or_default());
    (group, text(live, "/kind").unwrap_or_default())
}

fn built_in(live: &Value) -> Option<Health> {
    let (group, kind) = group_and_kind(live);
    builtin::health(group, kind, live)
        .or_else(|| workloads::health(group, kind, live))
        .or_else(|| pods::health(group, kind, live))
        .or_else(|| gateway::health(group, kind, live))
        .or_else(|| argo::health(group, kind, live))
}

/// Returns the health of a live object by windlass's own rules.
#[must_use]
pub fn health(live: &Value) -> Health {
    // What goes by itself once it has ended is as it ended.
    if text(live, "/metadata/deletionTimestamp").is_some() && !passes_away(live) {
        return Health::waiting("is being deleted");
    }
    built_in(live).unwrap_or_else(|| generic(live))
}

/// The rule for kinds that have none of their own.
fn generic(live: &Value) -> Health {
    if let Some(waiting) = unobserved(live) {
        return waiting;
    }
    for (name, failed) in [("Stalled", true), ("Reconciling", false)] {
        if let Some(condition) = condition(live, name).filter(|condition| condition.is("True")) {
            let is_silent = live.pointer("/status/observedGeneration").is_none();
            let from_before = condition.generation.is_none() && is_silent && condition.is_from_before(live);
            if condition.is_old(live) {
                return Health::waiting(UNSEEN);
            }
            let why = condition.words();
            return if failed && !from_before { Health::Failed(why) } else { Health::Waiting(why) };
        }
    }
    match condition(live, "Ready") {
        Some(ready) if ready.is_old(live) => Health::waiting(UNSEEN),
        Some(ready) if !ready.is("True") => Health::Waiting(ready.words()),
        Some(_) | None => Health::Healthy,
    }
}

/// Returns a wait where the controller has not seen this generation of the object. Any other generation counts as not
/// seen, a higher one too: it is of an object that was there before, and came along from a backup.
fn unobserved(live: &Value) -> Option<Health> {
    let observed = generation(live.pointer("/status/observedGeneration")?)?;
    let generation = number(live, "/metadata/generation")?;
    (observed != generation).then(|| Health::waiting(UNSEEN))
}

/// What is said where a controller speaks of another generation.
const UNSEEN: &str = "its controller has not seen this version yet";

/// Reads a generation; some controllers write it as text.
fn generation(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

struct Condition<'a> {
    name: &'a str,
    status: &'a str,
    reason: &'a str,
    message: &'a str,
    generation: Option<i64>,
    /// When it came to say so.
    since: Option<&'a str>,
}

impl Condition<'_> {
    fn is(&self, status: &str) -> bool {
        self.status == status
    }

    /// Is it about another generation of the object than this one?
    fn is_old(&self, live: &Value) -> bool {
        let now = number(live, "/metadata/generation");
        self.generation.is_some_and(|seen| now.is_some_and(|now| seen != now))
    }

    /// Did it say so already when the object was last written? Some controllers leave a condition as it is, with a new
    /// generation, until they have found out more. A condition and an object without times say nothing about that, and of
    /// one that was just created there is nothing from before.
    fn is_from_before(&self, live: &Value) -> bool {
        let changed = declared_at(live).filter(|at| text(live, "/metadata/creationTimestamp") != Some(at));
        // Times of other forms than the server's own cannot be held against those as they are.
        let since = self.since.filter(|since| since.len() == TIME.len() && since.ends_with('Z'));
        since.zip(changed).is_some_and(|(since, changed)| since <= changed)
    }

    fn words(&self) -> String {
        let Self { name, status, reason, message, generation: _, since: _ } = self;
        match (reason.is_empty(), message.is_empty()) {
            (_, false) => (*message).to_owned(),
            (false, true) => (*reason).to_owned(),
            (true, true) => format!("{name} is {status}"),
        }
    }
}

fn condition<'a>(live: &'a Value, name: &str) -> Option<Condition<'a>> {
    named(live.pointer("/status/conditions")?.as_array()?, name)
}

fn named<'a>(conditions: &'a [Value], name: &str) -> Option<Condition<'a>> {
    conditions.iter().find(|condition| text(condition, "/type") == Some(name)).map(|condition| Condition {
        name: text(condition, "/type").unwrap_or_default(),
        status: text(condition, "/status").unwrap_or_default(),
        reason: text(condition, "/reason").unwrap_or_default(),
        message: text(condition, "/message").unwrap_or_default(),
        generation: condition.pointer("/observedGeneration").and_then(generation),
        since: text(condition, "/lastUpdateTime").or_else(|| text(condition, "/lastTransitionTime")),
    })
}

/// How an API server writes times, by an example.
const TIME: &str = "2026-01-01T00:00:00Z";

/// Returns when what an object declares was last written, by whomever. An API server writes all times alike, in UTC, so
/// their texts are ordered as they are.
fn declared_at(live: &Value) -> Option<&str> {
    let entries = live.pointer("/metadata/managedFields").and_then(Value::as_array);
    let entries = entries.into_iter().flatten().filter(|entry| text(entry, "/subresource").is_none());
    entries.filter_map(|entry| text(entry, "/time")).max()
}

fn text<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    value.pointer(pointer).and_then(Value::as_str)
}

fn number(value: &Value, pointer: &str) -> Option<i64> {
    value.pointer(pointer).and_then(Value::as_i64)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use serde_json::json;

    use super::Health;
    use super::Rules;

    pub(super) fn object(api_version: &str, kind: &str, spec: Value, status: Value) -> Value {
        json!({ "apiVersion": api_version, "kind": kind, "metadata": { "name": "x", "generation": 2 },
            "spec": spec, "status": status })
    }

    pub(super) fn words(health: &Health) -> String {
        match health {
            Health::Healthy => "healthy".to_owned(),
            Health::Waiting(why) => format!("waiting: {why}"),
            Health::Failed(why) => format!("failed: {why}"),
        }
    }

    pub(super) fn check(cases: &[(Value, &str)]) {
        for (live, expected) in cases {
            assert_eq!(&words(&Rules::default().health(live)), expected, "{live}");
        }
    }

    #[test]
    fn an_object_that_is_to_be_ignored_is_healthy_whatever_it_says() {
        for (name, value, ignored) in [
            ("windlass.dev/health", "ready", false),
            ("windlass.dev/health", "ignore", true),
            ("windlass.dev/health", "Ignore", true),
            ("windlass.dev/health", "no", false),
            ("argocd.argoproj.io/ignore-healthcheck", "true", true),
            ("argocd.argoproj.io/ignore-healthcheck", "false", false),
        ] {
            let mut live = object("apps/v1", "Deployment", json!({}), json!({}));
            live["metadata"]["annotations"] = json!({ name: value });
            live["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
            assert_eq!(Rules::default().health(&live) == Health::Healthy, ignored, "{name}: {value}");
            let mut custom = object("example.org/v1", "Widget", json!({}), json!({}));
            custom["metadata"]["annotations"] = json!({ name: value });
            assert_eq!(Rules::default().is_unreported(&custom), !ignored, "{name}: {value}");
        }
    }

    #[test]
    fn custom_resources_by_their_conditions() {
        let custom = |status| object("example.org/v1", "Widget", json!({}), status);
        let ready =
            |status: &str, message: &str| json!([{ "type": "Ready", "status": status, "message": message }]);
        let mut gone = custom(json!({}));
        gone["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        check(&[
            (custom(json!({})), "healthy"),
            (
                custom(json!({ "observedGeneration": 1 })),
                "waiting: its controller has not seen this version yet",
            ),
            (custom(json!({ "observedGeneration": 2, "conditions": ready("True", "") })), "healthy"),
            (
                custom(json!({ "observedGeneration": "1", "conditions": ready("True", "") })),
                "waiting: its controller has not seen this version yet",
            ),
            (
                custom(json!({ "observedGeneration": 7, "conditions": ready("True", "") })),
                "waiting: its controller has not seen this version yet",
            ),
            (
                custom(
                    json!({ "conditions": [{ "type": "Ready", "status": "True", "observedGeneration": 1 }] }),
                ),
                "waiting: its controller has not seen this version yet",
            ),
            (custom(json!({ "conditions": ready("False", "no disk") })), "waiting: no disk"),
            (custom(json!({ "conditions": ready("Unknown", "") })), "waiting: Ready is Unknown"),
            (
                custom(json!({ "conditions": [{ "type": "Stalled", "status": "True", "reason": "Bad" }] })),
                "failed: Bad",
            ),
            (
                custom(
                    json!({ "conditions": [{ "type": "Stalled", "status": "True", "observedGeneration": 1 }] }),
                ),
                "waiting: its controller has not seen this version yet",
            ),
            (
                custom(json!({ "conditions": [{ "type": "Reconciling", "status": "True" }] })),
                "waiting: Reconciling is True",
            ),
            (custom(json!({ "conditions": "nonsense" })), "healthy"),
            (gone, "waiting: is being deleted"),
        ]);
    }
}
