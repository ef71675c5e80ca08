//! The health of what keeps pods running.

use serde_json::Value;

use super::Health;
use super::condition;
use super::number;
use super::text;
use super::unobserved;

pub(super) fn health(group: &str, kind: &str, live: &Value) -> Option<Health> {
    match (group, kind) {
        ("apps", "Deployment") => Some(deployment(live)),
        ("apps", "StatefulSet") => Some(stateful_set(live)),
        ("apps", "DaemonSet") => Some(daemon_set(live)),
        ("apps", "ReplicaSet") | ("", "ReplicationController") => Some(replica_set(live)),
        _ => None,
    }
}

/// Returns a wait where the controller has not seen this object, or not its newest generation.
pub(super) fn behind(live: &Value) -> Option<Health> {
    if number(live, "/status/observedGeneration").is_none() {
        return Some(Health::waiting("its controller has not seen it yet"));
    }
    unobserved(live)
}

fn count(live: &Value, pointer: &str) -> i64 {
    number(live, pointer).unwrap_or(0)
}

fn wanted(live: &Value) -> i64 {
    number(live, "/spec/replicas").unwrap_or(1)
}

/// Returns why no pods come, as the end of a sentence. A quota may be raised, so it is no failure; but until then only this
/// says what is missing.
fn refused(live: &Value) -> String {
    let failure = condition(live, "ReplicaFailure").filter(|condition| condition.is("True"));
    failure.map_or_else(String::new, |failure| format!(": {}", failure.words()))
}

/// The reason by which a Deployment says that it made no progress for too long.
const LATE: &str = "ProgressDeadlineExceeded";

fn deployment(live: &Value) -> Health {
    if live.pointer("/spec/paused").and_then(Value::as_bool) == Some(true) {
        return Health::Healthy;
    }
    if let Some(waiting) = behind(live) {
        return waiting;
    }
    // The controller keeps it, with the newest generation, until it has seen progress: one that is not newer than what is
    // declared may be about what was declared before.
    let late = condition(live, "Progressing").filter(|progressing| progressing.reason == LATE);
    if let Some(late) = late.filter(|late| !late.is_from_before(live)) {
        return Health::Failed(late.words());
    }
    let why = refused(live);
    let (wanted, updated) = (wanted(live), count(live, "/status/updatedReplicas"));
    let (replicas, available) = (count(live, "/status/replicas"), count(live, "/status/availableReplicas"));
    if updated < wanted {
        Health::Waiting(format!("{updated} of {wanted} replicas updated{why}"))
    } else if replicas > updated {
        Health::Waiting(format!("{} old replicas still running", replicas - updated))
    } else if available < wanted {
        Health::Waiting(format!("{available} of {wanted} replicas available{why}"))
    } else if replicas > wanted {
        Health::Waiting(format!("{} replicas too many still running", replicas - wanted))
    } else {
        Health::Healthy
    }
}

fn stateful_set(live: &Value) -> Health {
    if let Some(waiting) = behind(live) {
        return waiting;
    }
    let (wanted, ready) = (wanted(live), count(live, "/status/readyReplicas"));
    if ready < wanted {
        return Health::Waiting(format!("{ready} of {wanted} replicas ready"));
    }
    // Ready replicas become available only after this time.
    let available = count(live, "/status/availableReplicas");
    if count(live, "/spec/minReadySeconds") > 0 && available < wanted {
        return Health::Waiting(format!("{available} of {wanted} replicas available"));
    }
    let replicas = count(live, "/status/replicas");
    if replicas > wanted {
        return Health::Waiting(format!("{} replicas too many still running", replicas - wanted));
    }
    if text(live, "/spec/updateStrategy/type") == Some("OnDelete") {
        return Health::Healthy;
    }
    let partition = count(live, "/spec/updateStrategy/rollingUpdate/partition");
    if partition > 0 {
        let (updated, due) = (count(live, "/status/updatedReplicas"), (wanted - partition).max(0));
        let words = || Health::Waiting(format!("{updated} of {due} replicas past the partition updated"));
        return if updated < due { words() } else { Health::Healthy };
    }
    if text(live, "/status/updateRevision") != text(live, "/status/currentRevision") {
        return Health::waiting("replicas of the old revision remain");
    }
    Health::Healthy
}

fn daemon_set(live: &Value) -> Health {
    if let Some(waiting) = behind(live) {
        return waiting;
    }
    let desired = count(live, "/status/desiredNumberScheduled");
    let (updated, available) =
        (count(live, "/status/updatedNumberScheduled"), count(live, "/status/numberAvailable"));
    if text(live, "/spec/updateStrategy/type") != Some("OnDelete") && updated < desired {
        return Health::Waiting(format!("{updated} of {desired} nodes updated"));
    }
    if available < desired {
        return Health::Waiting(format!("{available} of {desired} nodes available"));
    }
    Health::Healthy
}

fn replica_set(live: &Value) -> Health {
    if let Some(waiting) = behind(live) {
        return waiting;
    }
    let why = refused(live);
    let (wanted, available) = (wanted(live), count(live, "/status/availableReplicas"));
    let replicas = count(live, "/status/replicas");
    if available < wanted {
        Health::Waiting(format!("{available} of {wanted} replicas available{why}"))
    } else if replicas > wanted {
        Health::Waiting(format!("{} replicas too many still running", replicas - wanted))
    } else {
        Health::Healthy
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::health::tests::check;
    use crate::health::tests::object;

    #[test]
    fn deployments() {
        let of = |spec, status| object("apps/v1", "Deployment", spec, status);
        let two = || json!({ "replicas": 2 });
        let late =
            json!([{ "type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded" }]);
        let at = |updated: i64, replicas: i64, available: i64| {
            json!({ "observedGeneration": 2, "updatedReplicas": updated, "replicas": replicas,
                "availableReplicas": available })
        };
        check(&[
            (of(two(), json!({})), "waiting: its controller has not seen it yet"),
            (
                of(two(), json!({ "observedGeneration": 1 })),
                "waiting: its controller has not seen this version yet",
            ),
            (of(two(), at(1, 2, 2)), "waiting: 1 of 2 replicas updated"),
            (of(two(), at(2, 3, 3)), "waiting: 1 old replicas still running"),
            (of(two(), at(2, 2, 1)), "waiting: 1 of 2 replicas available"),
            (of(two(), at(2, 2, 2)), "healthy"),
            (of(json!({ "replicas": 0 }), at(0, 0, 0)), "healthy"),
            (of(two(), at(3, 3, 3)), "waiting: 1 replicas too many still running"),
            (
                of(
                    two(),
                    json!({ "observedGeneration": 2, "updatedReplicas": 1, "conditions":
                    [{ "type": "ReplicaFailure", "status": "True", "message": "exceeded quota: pods" }] }),
                ),
                "waiting: 1 of 2 replicas updated: exceeded quota: pods",
            ),
            (of(json!({ "paused": true }), json!({})), "healthy"),
            (
                of(two(), json!({ "observedGeneration": 2, "conditions": late })),
                "failed: ProgressDeadlineExceeded",
            ),
        ]);
    }

    #[test]
    fn a_deadline_of_what_was_declared_before_says_nothing() {
        let (before, then, after) = ("2026-01-01T00:00:00Z", "2026-01-01T01:00:00Z", "2026-01-01T02:00:00Z");
        let late = |at: &str| {
            let late = json!([{ "type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded",
                "lastUpdateTime": at, "lastTransitionTime": before }]);
            let status = json!({ "observedGeneration": 2, "updatedReplicas": 1, "replicas": 2,
                "availableReplicas": 1, "conditions": late });
            let mut late = object("apps/v1", "Deployment", json!({}), status);
            late["metadata"]["managedFields"] =
                json!([{ "time": before }, { "time": then }, { "time": after, "subresource": "status" }]);
            late
        };
        check(&[
            (late(before), "waiting: 1 old replicas still running"),
            (late(then), "waiting: 1 old replicas still running"),
            (late(after), "failed: ProgressDeadlineExceeded"),
        ]);
    }

    #[test]
    fn stateful_sets() {
        let set = |spec, status| object("apps/v1", "StatefulSet", spec, status);
        let partition = json!({ "replicas": 3, "updateStrategy": { "rollingUpdate": { "partition": 2 } } });
        let on_delete = json!({ "updateStrategy": { "type": "OnDelete" } });
        let unhurried = |available: i64| {
            set(
                json!({ "minReadySeconds": 60 }),
                json!({ "observedGeneration": 2, "readyReplicas": 1, "availableReplicas": available }),
            )
        };
        let revisions = json!({ "observedGeneration": 2, "readyReplicas": 1, "updateRevision": "b",
            "currentRevision": "a" });
        check(&[
            (set(json!({}), json!({})), "waiting: its controller has not seen it yet"),
            (set(json!({}), json!({ "observedGeneration": 2 })), "waiting: 0 of 1 replicas ready"),
            (
                set(json!({}), json!({ "observedGeneration": 2, "readyReplicas": 1, "replicas": 3 })),
                "waiting: 2 replicas too many still running",
            ),
            (unhurried(0), "waiting: 0 of 1 replicas available"),
            (unhurried(1), "healthy"),
            (set(on_delete.clone(), json!({ "observedGeneration": 2 })), "waiting: 0 of 1 replicas ready"),
            (set(on_delete, revisions.clone()), "healthy"),
            (set(json!({}), revisions), "waiting: replicas of the old revision remain"),
            (
                set(partition.clone(), json!({ "observedGeneration": 2, "readyReplicas": 3 })),
                "waiting: 0 of 1 replicas past the partition updated",
            ),
            (
                set(partition, json!({ "observedGeneration": 2, "readyReplicas": 3, "updatedReplicas": 1 })),
                "healthy",
            ),
        ]);
    }

    #[test]
    fn daemon_sets() {
        let daemon = |spec, updated: i64, available: i64| {
            let status = json!({ "observedGeneration": 2, "desiredNumberScheduled": 2,
                "updatedNumberScheduled": updated, "numberAvailable": available });
            object("apps/v1", "DaemonSet", spec, status)
        };
        let on_delete = || json!({ "updateStrategy": { "type": "OnDelete" } });
        let nowhere = json!({ "observedGeneration": 2, "desiredNumberScheduled": 0 });
        check(&[
            (
                object("apps/v1", "DaemonSet", json!({}), json!({})),
                "waiting: its controller has not seen it yet",
            ),
            (object("apps/v1", "DaemonSet", json!({}), nowhere), "healthy"),
            (daemon(json!({}), 1, 2), "waiting: 1 of 2 nodes updated"),
            (daemon(json!({}), 2, 1), "waiting: 1 of 2 nodes available"),
            (daemon(json!({}), 2, 2), "healthy"),
            (daemon(on_delete(), 0, 1), "waiting: 1 of 2 nodes available"),
            (daemon(on_delete(), 0, 2), "healthy"),
        ]);
    }

    #[test]
    fn replica_sets() {
        let set = |status| object("apps/v1", "ReplicaSet", json!({ "replicas": 2 }), status);
        let failure = json!([{ "type": "ReplicaFailure", "status": "True", "message": "over quota" }]);
        check(&[
            (set(json!({})), "waiting: its controller has not seen it yet"),
            (
                set(json!({ "observedGeneration": 2, "availableReplicas": 1 })),
                "waiting: 1 of 2 replicas available",
            ),
            (
                set(json!({ "observedGeneration": 2, "availableReplicas": 2, "replicas": 3 })),
                "waiting: 1 replicas too many still running",
            ),
            (set(json!({ "observedGeneration": 2, "availableReplicas": 2, "replicas": 2 })), "healthy"),
            (
                set(json!({ "observedGeneration": 2, "conditions": failure })),
                "waiting: 0 of 2 replicas available: over quota",
            ),
        ]);
    }
}
