//! The health of pods, and of what runs them to their end.

use serde_json::Value;

use super::Health;
use super::condition;
use super::declared_at;
use super::text;
use super::unobserved;
use crate::annotation::Awaited;
use crate::annotation::Wish;

pub(super) fn health(group: &str, kind: &str, live: &Value) -> Option<Health> {
    match (group, kind) {
        ("", "Pod") => Some(pod(live)),
        ("batch", "Job") => Some(job(live)),
        ("batch", "CronJob") => Some(cron_job(live)),
        _ => None,
    }
}

/// A pod that restarts always is healthy while it is ready; any other once it has succeeded, unless it says that it lasts
/// as well.
fn pod(live: &Value) -> Health {
    let always = text(live, "/spec/restartPolicy").is_none_or(|policy| policy == "Always");
    let lasting = always || says_that_it_lasts(live);
    match text(live, "/status/phase") {
        Some("Succeeded") => return Health::Healthy,
        Some("Failed") => return Health::Failed(why_failed(live)),
        Some(_) | None => {}
    }
    // Of a pod that has ended, nobody observes another generation any more.
    if let Some(waiting) = unobserved(live) {
        return waiting;
    }
    match text(live, "/status/phase") {
        Some("Running") if !lasting => Health::waiting("still running"),
        Some("Running") if condition(live, "Ready").is_some_and(|ready| ready.is("True")) => Health::Healthy,
        _ => match containers(live).find_map(held_up) {
            Some((why, true)) if lasting => Health::Failed(why),
            Some((why, _)) => Health::Waiting(why),
            None => not_ready(live, lasting),
        },
    }
}

/// What a hook runs is over when it has ended, whatever it says.
fn says_that_it_lasts(live: &Value) -> bool {
    let wish = Wish::of(live);
    wish.waits_for == Awaited::Readiness && wish.hook.is_none()
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

/// Returns what keeps a container from starting, and whether it is stuck: its kubelet tried more than once, or need not try
/// again. A first pull that failed, or a Secret that is not there yet, is tried again at once.
fn held_up(container: &Value) -> Option<(String, bool)> {
    let reason = text(container, "/state/waiting/reason")?;
    let is_stuck = reason.ends_with("BackOff") || matches!(reason, "InvalidImageName" | "ErrImageNeverPull");
    let is_wrong = is_stuck || reason.starts_with("Err") || reason.ends_with("Error");
    is_wrong.then(|| {
        let message = text(container, "/state/waiting/message").unwrap_or_default();
        (format!("container {}: {reason} {message}", name(container)).trim_end().to_owned(), is_stuck)
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
    let succeeded = text(live, "/status/lastSuccessfulTime").is_some_and(|at| at >= last);
    if !succeeded && declared_at(live).is_some_and(|at| at < last) {
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
    fn a_pod_that_is_to_end_may_say_that_it_lasts() {
        let pod = |annotations: Value, phase: &str| {
            let status = json!({ "phase": phase, "conditions": [{ "type": "Ready", "status": "True" }] });
            let mut pod = object("v1", "Pod", json!({ "restartPolicy": "Never" }), status);
            pod["metadata"]["annotations"] = annotations;
            pod
        };
        let stuck = |annotations: Value| {
            let mut pod = pod(annotations, "Pending");
            pod["status"]["containerStatuses"] =
                json!([{ "name": "a", "state": { "waiting": { "reason": "ImagePullBackOff" } } }]);
            pod
        };
        let ready = || json!({ "windlass.dev/health": "ready" });
        check(&[
            (pod(json!({}), "Running"), "waiting: still running"),
            (pod(ready(), "Running"), "healthy"),
            (pod(json!({ "argocd.argoproj.io/ignore-restart-policy": "true" }), "Running"), "healthy"),
            (
                pod(json!({ "windlass.dev/health": "ready", "windlass.dev/hook": "before" }), "Running"),
                "waiting: still running",
            ),
            (pod(ready(), "Succeeded"), "healthy"),
            (pod(ready(), "Failed"), "failed: the pod failed"),
            (stuck(json!({})), "waiting: container a: ImagePullBackOff"),
            (stuck(ready()), "failed: container a: ImagePullBackOff"),
        ]);
    }

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
            (at("Pending", waits("ErrImagePull")), "waiting: container web: ErrImagePull no such image"),
            (
                at("Pending", waits("CreateContainerConfigError")),
                "waiting: container web: CreateContainerConfigError no such image",
            ),
            (
                at("Pending", waits("ErrImageNeverPull")),
                "failed: container web: ErrImageNeverPull no such image",
            ),
            (
                at("Running", waits("CrashLoopBackOff")),
                "failed: container web: CrashLoopBackOff no such image",
            ),
            (at("Pending", waits("ContainerCreating")), "waiting: not ready yet"),
            (
                at("Pending", waits("InvalidImageName")),
                "failed: container web: InvalidImageName no such image",
            ),
            (
                pod(json!({ "phase": "Running", "observedGeneration": 1,
                    "conditions": [{ "type": "Ready", "status": "True" }] })),
                "waiting: its controller has not seen this version yet",
            ),
            (pod(json!({ "phase": "Succeeded", "observedGeneration": 1 })), "healthy"),
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
    fn a_job_whose_time_to_live_is_over_is_as_it_ended() {
        let going = |spec, status| {
            let mut going = object("batch/v1", "Job", spec, status);
            going["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
            going
        };
        let timed = || json!({ "ttlSecondsAfterFinished": 0 });
        let is = |name: &str| json!({ "conditions": [{ "type": name, "status": "True", "message": "why" }] });
        check(&[
            (going(timed(), is("Complete")), "healthy"),
            (going(timed(), is("Failed")), "failed: why"),
            (going(timed(), json!({})), "waiting: not complete yet"),
            (going(json!({}), is("Complete")), "waiting: is being deleted"),
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
