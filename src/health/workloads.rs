//! The health of what runs pods.

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
        ("", "Pod") => Some(pod(live)),
        ("batch", "Job") => Some(job(live)),
        ("batch", "CronJob") => Some(Health::Healthy),
        _ => None,
    }
}

fn behind(live: &Value) -> Option<Health> {
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

fn deployment(live: &Value) -> Health {
    if live.pointer("/spec/paused").and_then(Value::as_bool) == Some(true) {
        return Health::Healthy;
    }
    if let Some(waiting) = behind(live) {
        return waiting;
    }
    if let Some(progressing) = condition(live, "Progressing")
        && progressing.reason == "ProgressDeadlineExceeded"
    {
        return Health::Failed(progressing.words());
    }
    let (wanted, updated) = (wanted(live), count(live, "/status/updatedReplicas"));
    let (replicas, available) = (count(live, "/status/replicas"), count(live, "/status/availableReplicas"));
    if updated < wanted {
        Health::Waiting(format!("{updated} of {wanted} replicas updated"))
    } else if replicas > updated {
        Health::Waiting(format!("{} old replicas still running", replicas - updated))
    } else if available < wanted {
        Health::Waiting(format!("{available} of {wanted} replicas available"))
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
    if let Some(failure) = condition(live, "ReplicaFailure").filter(|condition| condition.is("True")) {
        return Health::Failed(failure.words());
    }
    let (wanted, available) = (wanted(live), count(live, "/status/availableReplicas"));
    if available < wanted {
        return Health::Waiting(format!("{available} of {wanted} replicas available"));
    }
    Health::Healthy
}

fn pod(live: &Value) -> Health {
    let stuck = ["/status/initContainerStatuses", "/status/containerStatuses"].iter().find_map(|list| {
        let containers = live.pointer(list)?.as_array()?;
        containers.iter().find_map(stuck_container)
    });
    match text(live, "/status/phase") {
        Some("Succeeded") => Health::Healthy,
        Some("Failed") => {
            Health::Failed(text(live, "/status/message").unwrap_or("the pod failed").to_owned())
        }
        Some("Running") if condition(live, "Ready").is_some_and(|ready| ready.is("True")) => Health::Healthy,
        _ => stuck.unwrap_or_else(|| match condition(live, "PodScheduled").filter(|c| c.is("False")) {
            Some(unscheduled) => Health::Waiting(unscheduled.words()),
            None => Health::waiting("not ready yet"),
        }),
    }
}

fn stuck_container(container: &Value) -> Option<Health> {
    let reason = text(container, "/state/waiting/reason")?;
    let failed = reason.starts_with("Err") || reason.ends_with("Error") || reason.ends_with("BackOff");
    failed.then(|| {
        let name = text(container, "/name").unwrap_or_default();
        let message = text(container, "/state/waiting/message").unwrap_or_default();
        Health::Failed(format!("container {name}: {reason} {message}").trim_end().to_owned())
    })
}

fn job(live: &Value) -> Health {
    for (name, health) in [("Failed", true), ("Complete", false), ("Suspended", false)] {
        if let Some(condition) = condition(live, name).filter(|condition| condition.is("True")) {
            return if health { Health::Failed(condition.words()) } else { Health::Healthy };
        }
    }
    Health::waiting("not complete yet")
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
            (of(json!({ "paused": true }), json!({})), "healthy"),
            (
                of(two(), json!({ "observedGeneration": 2, "conditions": late })),
                "failed: ProgressDeadlineExceeded",
            ),
        ]);
    }

    #[test]
    fn stateful_sets_and_daemon_sets() {
        let set = |spec, status| object("apps/v1", "StatefulSet", spec, status);
        let daemon = |status| object("apps/v1", "DaemonSet", json!({}), status);
        let partition = json!({ "replicas": 3, "updateStrategy": { "rollingUpdate": { "partition": 2 } } });
        check(&[
            (set(json!({}), json!({ "observedGeneration": 2 })), "waiting: 0 of 1 replicas ready"),
            (
                set(
                    json!({}),
                    json!({ "observedGeneration": 2, "readyReplicas": 1, "updateRevision": "b",
                    "currentRevision": "a" }),
                ),
                "waiting: replicas of the old revision remain",
            ),
            (
                set(partition, json!({ "observedGeneration": 2, "readyReplicas": 3, "updatedReplicas": 1 })),
                "healthy",
            ),
            (
                daemon(
                    json!({ "observedGeneration": 2, "desiredNumberScheduled": 2, "updatedNumberScheduled": 1 }),
                ),
                "waiting: 1 of 2 nodes updated",
            ),
            (daemon(json!({ "observedGeneration": 2, "desiredNumberScheduled": 0 })), "healthy"),
        ]);
    }

    #[test]
    fn pods_and_jobs() {
        let pod = |status| object("v1", "Pod", json!({}), status);
        let job = |status| object("batch/v1", "Job", json!({}), status);
        let stuck = json!({ "phase": "Pending", "containerStatuses": [
            { "name": "web", "state": { "waiting": { "reason": "ImagePullBackOff", "message": "no such image" } } } ] });
        check(&[
            (pod(json!({ "phase": "Pending" })), "waiting: not ready yet"),
            (pod(stuck), "failed: container web: ImagePullBackOff no such image"),
            (
                pod(json!({ "phase": "Running", "conditions": [{ "type": "Ready", "status": "True" }] })),
                "healthy",
            ),
            (pod(json!({ "phase": "Succeeded" })), "healthy"),
            (pod(json!({ "phase": "Failed", "message": "evicted" })), "failed: evicted"),
            (job(json!({})), "waiting: not complete yet"),
            (job(json!({ "conditions": [{ "type": "Complete", "status": "True" }] })), "healthy"),
            (
                job(json!({ "conditions": [{ "type": "Failed", "status": "True", "message": "deadline" }] })),
                "failed: deadline",
            ),
        ]);
    }
}
