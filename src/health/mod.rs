//! Whether an object works, told from the object alone.
//!
//! Comes in: one live object. Goes out: [`Health`]. The rules are kstatus's (`observedGeneration`, then the conditions
//! `Reconciling`, `Stalled` and `Ready`) with a table for the kinds that Kubernetes itself defines.

mod builtin;
mod workloads;

use serde_json::Value;

use crate::object::group_and_version;

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

/// Returns the health of a live object.
#[must_use]
pub fn health(live: &Value) -> Health {
    if text(live, "/metadata/deletionTimestamp").is_some() {
        return Health::waiting("is being deleted");
    }
    let (group, _) = group_and_version(text(live, "/apiVersion").unwrap_or_default());
    let kind = text(live, "/kind").unwrap_or_default();
    builtin::health(group, kind, live)
        .or_else(|| workloads::health(group, kind, live))
        .unwrap_or_else(|| generic(live))
}

/// The rule for kinds that have none of their own.
fn generic(live: &Value) -> Health {
    if let Some(waiting) = unobserved(live) {
        return waiting;
    }
    for (name, failed) in [("Stalled", true), ("Reconciling", false)] {
        if let Some(condition) = condition(live, name).filter(|condition| condition.is("True")) {
            let why = condition.words();
            return if failed { Health::Failed(why) } else { Health::Waiting(why) };
        }
    }
    match condition(live, "Ready") {
        Some(ready) if !ready.is("True") => Health::Waiting(ready.words()),
        Some(_) | None => Health::Healthy,
    }
}

/// Returns a wait where the controller has not seen the newest generation of the object.
fn unobserved(live: &Value) -> Option<Health> {
    let observed = number(live, "/status/observedGeneration")?;
    let generation = number(live, "/metadata/generation")?;
    (observed < generation).then(|| Health::waiting("its controller has not seen this version yet"))
}

struct Condition<'a> {
    name: &'a str,
    status: &'a str,
    reason: &'a str,
    message: &'a str,
}

impl Condition<'_> {
    fn is(&self, status: &str) -> bool {
        self.status == status
    }

    fn words(&self) -> String {
        let Self { name, status, reason, message } = self;
        match (reason.is_empty(), message.is_empty()) {
            (_, false) => (*message).to_owned(),
            (false, true) => (*reason).to_owned(),
            (true, true) => format!("{name} is {status}"),
        }
    }
}

fn condition<'a>(live: &'a Value, name: &str) -> Option<Condition<'a>> {
    let conditions = live.pointer("/status/conditions")?.as_array()?;
    conditions.iter().find(|condition| text(condition, "/type") == Some(name)).map(|condition| Condition {
        name: text(condition, "/type").unwrap_or_default(),
        status: text(condition, "/status").unwrap_or_default(),
        reason: text(condition, "/reason").unwrap_or_default(),
        message: text(condition, "/message").unwrap_or_default(),
    })
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
    use super::health;

    pub(super) fn object(api_version: &str, kind: &str, spec: Value, status: Value) -> Value {
        json!({ "apiVersion": api_version, "kind": kind, "metadata": { "name": "x", "generation": 2 },
            "spec": spec, "status": status })
    }

    pub(super) fn check(cases: &[(Value, &str)]) {
        for (live, expected) in cases {
            let found = match health(live) {
                Health::Healthy => "healthy".to_owned(),
                Health::Waiting(why) => format!("waiting: {why}"),
                Health::Failed(why) => format!("failed: {why}"),
            };
            assert_eq!(&found, expected, "{live}");
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
            (custom(json!({ "conditions": ready("False", "no disk") })), "waiting: no disk"),
            (
                custom(json!({ "conditions": [{ "type": "Stalled", "status": "True", "reason": "Bad" }] })),
                "failed: Bad",
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
