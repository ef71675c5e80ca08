//! The health of the kinds of Argo: they tell of themselves by a phase, and not by conditions.

use serde_json::Value;

use super::Health;
use super::UNSEEN;
use super::text;
use super::unobserved;

pub(super) fn health(group: &str, kind: &str, live: &Value) -> Option<Health> {
    match (group, kind) {
        ("argoproj.io", "Workflow") => Some(workflow(live)),
        ("argoproj.io", "Rollout") => Some(rollout(live)),
        ("argoproj.io", "Application") => Some(application(live)),
        _ => None,
    }
}

/// A workflow of Argo says by its phase how far it is. One that was suspended on purpose will not go on by itself.
fn workflow(live: &Value) -> Health {
    let told = |otherwise: &str| text(live, "/status/message").unwrap_or(otherwise).to_owned();
    match text(live, "/status/phase").unwrap_or_default() {
        "Succeeded" => Health::Healthy,
        "Failed" | "Error" => Health::Failed(told("it failed: look at its nodes")),
        _ if live.pointer("/spec/suspend").and_then(Value::as_bool) == Some(true) => Health::Healthy,
        "" => Health::waiting("its controller has not seen it yet"),
        _ => Health::Waiting(told("not complete yet")),
    }
}

/// A rollout is waited for through all of its steps, also where one waits for a person: what it is to become is not there
/// before. One that was paused on purpose will not go on by itself.
fn rollout(live: &Value) -> Health {
    if live.pointer("/spec/paused").and_then(Value::as_bool) == Some(true) {
        return Health::Healthy;
    }
    if let Some(waiting) = unobserved(live) {
        return waiting;
    }
    let told = |otherwise: &str| text(live, "/status/message").unwrap_or(otherwise).to_owned();
    match text(live, "/status/phase").unwrap_or_default() {
        "Healthy" => Health::Healthy,
        "Degraded" => Health::Failed(told("it is degraded: look at its pods")),
        "Paused" => Health::Waiting(told("paused between two steps")),
        "" => Health::waiting("its controller has not seen it yet"),
        _ => Health::Waiting(told("its steps are not through yet")),
    }
}

/// By what a source of an application is known.
const SOURCE: [&str; 4] = ["repoURL", "path", "chart", "targetRevision"];

/// An application of Argo CD works when what it deploys does. Its report names the source that it is about.
fn application(live: &Value) -> Health {
    let is_same = |field: &str| {
        let of = |pointer: &str| text(live, &format!("{pointer}/{field}")).unwrap_or_default();
        of("/spec/source") == of("/status/sync/comparedTo/source")
    };
    // With several sources, the one is not looked at.
    let of_one = live.pointer("/spec/source").is_some() && live.pointer("/spec/sources").is_none();
    if of_one && !SOURCE.into_iter().all(is_same) {
        return Health::waiting(UNSEEN);
    }
    let told = |otherwise: String| text(live, "/status/health/message").map_or(otherwise, str::to_owned);
    match text(live, "/status/health/status").unwrap_or_default() {
        "Healthy" | "Suspended" => Health::Healthy,
        "" => Health::waiting("its controller has not seen it yet"),
        other => Health::Waiting(told(format!("what it deploys is {}", other.to_lowercase()))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::health::tests::check;
    use crate::health::tests::object;

    #[test]
    fn workflows() {
        let flow = |spec, status| object("argoproj.io/v1alpha1", "Workflow", spec, status);
        let at = |phase: &str| flow(json!({}), json!({ "phase": phase }));
        let suspended = || json!({ "suspend": true });
        check(&[
            (flow(json!({}), json!({})), "waiting: its controller has not seen it yet"),
            (at("Pending"), "waiting: not complete yet"),
            (at("Running"), "waiting: not complete yet"),
            (at("Anything"), "waiting: not complete yet"),
            (at("Succeeded"), "healthy"),
            (at("Failed"), "failed: it failed: look at its nodes"),
            (
                flow(json!({}), json!({ "phase": "Error", "message": "no such image" })),
                "failed: no such image",
            ),
            (flow(suspended(), json!({ "phase": "Running" })), "healthy"),
            (flow(suspended(), json!({ "phase": "Failed", "message": "why" })), "failed: why"),
        ]);
    }

    #[test]
    fn rollouts() {
        let rollout = |spec, status| object("argoproj.io/v1alpha1", "Rollout", spec, status);
        let at = |phase: &str| rollout(json!({}), json!({ "observedGeneration": "2", "phase": phase }));
        check(&[
            (rollout(json!({}), json!({})), "waiting: its controller has not seen it yet"),
            (
                rollout(json!({}), json!({ "observedGeneration": "1", "phase": "Healthy" })),
                "waiting: its controller has not seen this version yet",
            ),
            (at("Healthy"), "healthy"),
            (at("Progressing"), "waiting: its steps are not through yet"),
            (at("Paused"), "waiting: paused between two steps"),
            (at("Degraded"), "failed: it is degraded: look at its pods"),
            (rollout(json!({}), json!({ "phase": "Degraded", "message": "no quota" })), "failed: no quota"),
            (rollout(json!({ "paused": true }), json!({})), "healthy"),
        ]);
    }

    #[test]
    fn applications() {
        let application = |status| object("argoproj.io/v1alpha1", "Application", json!({}), status);
        let at = |word: &str| application(json!({ "health": { "status": word } }));
        check(&[
            (application(json!({})), "waiting: its controller has not seen it yet"),
            (at("Healthy"), "healthy"),
            (at("Suspended"), "healthy"),
            (at("Progressing"), "waiting: what it deploys is progressing"),
            (at("Degraded"), "waiting: what it deploys is degraded"),
        ]);
        let of = |declared: &str, compared: &str| {
            let source =
                |revision: &str| json!({ "repoURL": "https://example.org/a", "targetRevision": revision });
            let status = json!({ "health": { "status": "Healthy" },
                "sync": { "comparedTo": { "source": source(compared) } } });
            object("argoproj.io/v1alpha1", "Application", json!({ "source": source(declared) }), status)
        };
        check(&[
            (of("v2", "v1"), "waiting: its controller has not seen this version yet"),
            (of("v2", "v2"), "healthy"),
        ]);
    }
}
