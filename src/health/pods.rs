//! The health of pods, and of what runs them to their end.

use serde_json::Value;

use super::Health;
use super::condition;
use super::text;

pub(super) fn health(group: &str, kind: &str, live: &Value) -> Option<Health> {
    match (group, kind) {
        ("", "Pod") => Some(pod(live)),
        ("batch", "Job") => Some(job(live)),
        ("batch", "CronJob") => Some(cron_job(live)),
        _ => None,
    }
}

/// A pod that restarts always is healthy while it is ready; any other once it has succeeded.
fn pod(live: &Value) -> Health {
    let lasting = text(live, "/spec/restartPolicy").is_none_or(|policy| policy == "Always");
    match text(live, "/status/phase") {
        Some("Succeeded") => Health::Healthy,
        Some("Failed") => Health::Failed(why_failed(live)),
        Some("Running") if !lasting => Health::waiting("still running"),
        Some("Running") if condition(live, "Ready").is_some_and(|ready| ready.is("True")) => Health::Healthy,
        _ => match containers(live).find_map(stuck) {
            Some(why) if lasting => Health::Failed(why),
            Some(why) => Health::Waiting(why),
            None => not_ready(live, lasting),
        },
    }
}

fn not_ready(live: &Value, lasting: bool) -> Health {
    // An init container ends and is done; of the others each end is a crash.
    let crash = list(live, "/status/containerStatuses").find_map(|container| {
        let ended = container.pointer("/lastState/terminated")?;
        Some(format!("container {}: {}", name(container), why_ended(ended)))
    });
    if let Some(crash) = crash.filter(|_| lasting) {
        return Health::Failed(crash);
    }
    match condition(live, "PodScheduled").filter(|scheduled| scheduled.is("False")) {
        Some(unscheduled) => Health::Waiting(unscheduled.words()),
        None => Health::waiting("not ready yet"),
    }
}

fn list<'a>(live: &'a Value, pointer: &str) -> impl Iterator<Item = &'a Value> {
    live.pointer(pointer).and_then(Value::as_array).into_iter().flatten()
}

fn containers(live: &Value) -> impl Iterator<Item = &Value> {
    list(live, "/status/initContainerStatuses").chain(list(live, "/status/containerStatuses"))
}

fn name(container: &Value) -> &str {
    text(container, "/name").unwrap_or_default()
}

fn stuck(container: &Value) -> Option<String> {
    let reason = text(container, "/state/waiting/reason")?;
    let failed = reason.starts_with("Err") || reason.ends_with("Error") || reason.ends_with("BackOff");
    failed.then(|| {
        let message = text(container, "/state/waiting/message").unwrap_or_default();
        format!("container {}: {reason} {message}", name(container)).trim_end().to_owned()
    })
}

fn why_failed(live: &Value) -> String {
    let told = text(live, "/status/message").or_else(|| text(live, "/status/reason")).map(str::to_owned);
    told.or_else(|| {
        containers(live).find_map(|container| {
            let ended = container.pointer("/state/terminated")?;
            let code = ended.pointer("/exitCode").and_then(Value::as_i64);
            (code != Some(0)).then(|| format!("container {}: {}", name(container), why_ended(ended)))
        })
    })
    .unwrap_or_else(|| "the pod failed".to_owned())
}

fn why_ended(ended: &Value) -> String {
    let code = ended.pointer("/exitCode").and_then(Value::as_i64).unwrap_or_default();
    match (text(ended, "/message"), text(ended, "/reason")) {
        (Some(message), _) => message.to_owned(),
        (None, Some("OOMKilled")) => "it ran out of memory (OOMKilled)".to_owned(),
        (None, _) => format!("it ended with exit code {code}"),
    }
}

fn job(live: &Value) -> Health {
    let is = |name| condition(live, name).filter(|condition| condition.is("True"));
    if let Some(failed) = is("Failed").or_else(|| is("FailureTarget")) {
        return Health::Failed(failed.words());
    }
    if is("Complete").is_some() {
        return Health::Healthy;
    }
    // The condition lags behind the field, and one that was suspended on purpose will not go on by itself.
    match live.pointer("/spec/suspend").and_then(Value::as_bool) {
        Some(true) => Health::Healthy,
        None if is("Suspended").is_some() => Health::Healthy,
        Some(false) | None => Health::waiting("not complete yet"),
    }
}

/// A schedule is healthy, unless its last run was of what is declared now and did not succeed. A run of what was declared
/// before says nothing: what mends it would fail by it.
fn cron_job(live: &Value) -> Health {
    let suspended = live.pointer("/spec/suspend").and_then(Value::as_bool) == Some(true);
    let Some(last) = text(live, "/status/lastScheduleTime") else { return Health::Healthy };
    if suspended || list(live, "/status/active").next().is_some() {
        return Health::Healthy;
    }
    // An API server writes all times alike, so their texts are ordered as they are.
    let succeeded = text(live, "/status/lastSuccessfulTime").is_some_and(|at| at >= last);
    let declared = list(live, "/metadata/managedFields")
        .filter(|entry| text(entry, "/subresource").is_none())
        .filter_map(|entry| text(entry, "/time"))
        .max();
    if !succeeded && declared.is_some_and(|at| at < last) {
        return Health::Failed(format!("its run of {last} did not succeed: look at its jobs"));
    }
    Health::Healthy
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use serde_json::json;

    use crate::health::tests::check;
    use crate::health::tests::object;

    #[test]
    fn pods_that_last() {
        let pod = |status| object("v1", "Pod", json!({}), status);
        let at =
            |phase: &str, container: Value| pod(json!({ "phase": phase, "containerStatuses": [container] }));
        let waits = |reason: &str| json!({ "name": "web", "state": { "waiting": { "reason": reason, "message": "no such image" } } });
        let crashed = |terminated: Value| json!({ "name": "web", "lastState": { "terminated": terminated } });
        let unscheduled = json!([{ "type": "PodScheduled", "status": "False", "message": "no node fits" }]);
        check(&[
            (pod(json!({ "phase": "Pending" })), "waiting: not ready yet"),
            (pod(json!({ "phase": "Pending", "conditions": unscheduled })), "waiting: no node fits"),
            (
                at("Pending", waits("ImagePullBackOff")),
                "failed: container web: ImagePullBackOff no such image",
            ),
            (at("Pending", waits("ErrImagePull")), "failed: container web: ErrImagePull no such image"),
            (at("Pending", waits("ContainerCreating")), "waiting: not ready yet"),
            (
                at("Running", crashed(json!({ "reason": "OOMKilled", "exitCode": 137 }))),
                "failed: container web: it ran out of memory (OOMKilled)",
            ),
            (
                at("Running", crashed(json!({ "reason": "Error", "exitCode": 3 }))),
                "failed: container web: it ended with exit code 3",
            ),
            (
                pod(json!({ "phase": "Running", "conditions": [{ "type": "Ready", "status": "True" }] })),
                "healthy",
            ),
            (pod(json!({ "phase": "Succeeded" })), "healthy"),
            (pod(json!({ "phase": "Failed", "message": "evicted" })), "failed: evicted"),
        ]);
    }

    #[test]
    fn pods_that_end() {
        let pod = |status| object("v1", "Pod", json!({ "restartPolicy": "Never" }), status);
        let ready = json!([{ "type": "Ready", "status": "True" }]);
        let ended = json!([{ "name": "a", "state": { "terminated": { "exitCode": 0 } } },
            { "name": "b", "state": { "terminated": { "exitCode": 2, "message": "no table" } } }]);
        let stuck = json!([{ "name": "a", "state": { "waiting": { "reason": "ImagePullBackOff" } } }]);
        check(&[
            (pod(json!({ "phase": "Running", "conditions": ready })), "waiting: still running"),
            (
                pod(json!({ "phase": "Pending", "containerStatuses": stuck })),
                "waiting: container a: ImagePullBackOff",
            ),
            (pod(json!({ "phase": "Succeeded" })), "healthy"),
            (pod(json!({ "phase": "Failed", "containerStatuses": ended })), "failed: container b: no table"),
            (pod(json!({ "phase": "Failed" })), "failed: the pod failed"),
        ]);
    }

    #[test]
    fn jobs() {
        let job = |spec, status| object("batch/v1", "Job", spec, status);
        let is = |name: &str| json!({ "conditions": [{ "type": name, "status": "True", "message": "why" }] });
        let resumed = json!({ "suspend": false });
        check(&[
            (job(json!({}), json!({})), "waiting: not complete yet"),
            (job(json!({}), is("Complete")), "healthy"),
            (job(json!({}), is("Failed")), "failed: why"),
            (job(json!({}), is("FailureTarget")), "failed: why"),
            (job(json!({}), is("SuccessCriteriaMet")), "waiting: not complete yet"),
            (job(json!({ "suspend": true }), json!({})), "healthy"),
            (job(json!({ "suspend": true }), is("Failed")), "failed: why"),
            (job(json!({}), is("Suspended")), "healthy"),
            (job(resumed, is("Suspended")), "waiting: not complete yet"),
        ]);
    }

    #[test]
    fn cron_jobs() {
        let (before, then, after) = ("2026-01-01T00:00:00Z", "2026-01-01T01:00:00Z", "2026-01-01T02:00:00Z");
        let job = |declared: &str, suspend: bool, status: Value| {
            let mut job = object("batch/v1", "CronJob", json!({ "suspend": suspend }), status);
            job["metadata"]["managedFields"] =
                json!([{ "time": declared }, { "time": after, "subresource": "status" }]);
            job
        };
        let missed = json!({ "lastScheduleTime": then, "lastSuccessfulTime": before });
        let failed = "failed: its run of 2026-01-01T01:00:00Z did not succeed: look at its jobs";
        check(&[
            (job(before, false, json!({})), "healthy"),
            (job(before, false, missed.clone()), failed),
            (job(before, false, json!({ "lastScheduleTime": then })), failed),
            (job(before, true, missed.clone()), "healthy"),
            (job(after, false, missed), "healthy"),
            (job(before, false, json!({ "lastScheduleTime": then, "lastSuccessfulTime": after })), "healthy"),
            (job(before, false, json!({ "lastScheduleTime": then, "active": [{}] })), "healthy"),
            (object("batch/v1", "CronJob", json!({}), json!({ "lastScheduleTime": then })), "healthy"),
        ]);
    }
}
