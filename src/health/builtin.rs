//! The health of Kubernetes's own kinds that run no pods.

use serde_json::Value;

use super::Health;
use super::condition;
use super::named;
use super::text;
use super::unobserved;
use super::workloads::behind;

pub(super) fn health(group: &str, kind: &str, live: &Value) -> Option<Health> {
    match (group, kind) {
        ("", "Service") => Some(service(live)),
        ("networking.k8s.io", "Ingress") => Some(ingress(live)),
        ("", "PersistentVolumeClaim") => Some(claim(live)),
        ("", "PersistentVolume") => Some(volume(live)),
        ("", "Namespace") => Some(namespace(live)),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => Some(definition(live)),
        ("apiregistration.k8s.io", "APIService") => Some(wanted_condition(live, "Available")),
        ("autoscaling", "HorizontalPodAutoscaler") => Some(autoscaler(live)),
        ("policy", "PodDisruptionBudget") => Some(budget(live)),
        _ => None,
    }
}

fn has_ingress(live: &Value) -> bool {
    live.pointer("/status/loadBalancer/ingress")
        .and_then(Value::as_array)
        .is_some_and(|list| !list.is_empty())
}

fn service(live: &Value) -> Health {
    if text(live, "/spec/type") == Some("LoadBalancer") && !has_ingress(live) {
        return Health::waiting("its load balancer has no address yet");
    }
    Health::Healthy
}

/// An Ingress counts as healthy at once. Its only report is an address, which many controllers never fill in (those of node
/// ports, of host networks, of other tunnels), and nothing in the object tells whether its controller would: waiting for
/// it would call applications failed that work. The Gateway API asks every controller to report, so a Gateway is waited
/// for.
fn ingress(_: &Value) -> Health {
    Health::Healthy
}

/// A claim whose class binds on first use stays pending until a pod comes; that is no failure of the claim. One that is
/// bound keeps its phase while it grows.
fn claim(live: &Value) -> Health {
    match text(live, "/status/phase") {
        Some("Lost") => Health::Failed("its volume is lost".to_owned()),
        Some("Bound") => Health::Healthy,
        Some(_) | None => Health::waiting("not bound yet: look at its class, and whether a pod uses it"),
    }
}

fn volume(live: &Value) -> Health {
    match text(live, "/status/phase") {
        Some("Failed") => Health::Failed(text(live, "/status/message").unwrap_or("it failed").to_owned()),
        Some("Available" | "Bound" | "Released") => Health::Healthy,
        Some(_) | None => Health::waiting("not available yet"),
    }
}

fn namespace(live: &Value) -> Health {
    match text(live, "/status/phase") {
        Some("Terminating") => Health::waiting("is being deleted"),
        Some(_) | None => Health::Healthy,
    }
}

fn definition(live: &Value) -> Health {
    for (name, bad) in [("NamesAccepted", "False"), ("NonStructuralSchema", "True")] {
        let Some(bad) = condition(live, name).filter(|condition| condition.is(bad)) else { continue };
        return if bad.is_from_before(live) {
            Health::Waiting(bad.words())
        } else {
            Health::Failed(bad.words())
        };
    }
    if condition(live, "Terminating").is_some_and(|ends| ends.is("True")) {
        return Health::waiting("is being deleted");
    }
    wanted_condition(live, "Established")
}

pub(super) fn wanted_condition(live: &Value, name: &str) -> Health {
    match condition(live, name) {
        Some(condition) if condition.is("True") => Health::Healthy,
        Some(condition) => Health::Waiting(condition.words()),
        None => Health::Waiting(format!("not {} yet", name.to_lowercase())),
    }
}

/// The reasons by which an autoscaler says that it cannot work.
const BROKEN: [&str; 8] = [
    "FailedGetScale",
    "FailedUpdateScale",
    "FailedGetResourceMetric",
    "FailedGetObjectMetric",
    "FailedGetPodsMetric",
    "FailedGetExternalMetric",
    "FailedComputeMetricsReplicas",
    "InvalidSelector",
];

/// An autoscaler that cannot scale is waited for, not failed: new pods have no metrics for their first half minute.
fn autoscaler(live: &Value) -> Health {
    if let Some(waiting) = unobserved(live) {
        return waiting;
    }
    let conditions = autoscaler_conditions(live);
    let is = |name| named(&conditions, name);
    for name in ["AbleToScale", "ScalingActive"] {
        if let Some(condition) = is(name).filter(|c| c.is("False") && BROKEN.contains(&c.reason)) {
            return Health::Waiting(condition.words());
        }
    }
    let works = |name| is(name).is_some_and(|condition| condition.is("True"));
    if works("AbleToScale") || works("ScalingLimited") {
        return Health::Healthy;
    }
    is("AbleToScale").map_or_else(
        || Health::waiting("its controller has not looked at it yet"),
        |condition| Health::Waiting(condition.words()),
    )
}

/// Returns the conditions of an autoscaler; version 1 has them as JSON in an annotation.
fn autoscaler_conditions(live: &Value) -> Vec<Value> {
    let status = live.pointer("/status/conditions").and_then(Value::as_array).cloned();
    let annotation = || {
        let text = text(live, "/metadata/annotations/autoscaling.alpha.kubernetes.io~1conditions")?;
        serde_json::from_str(text).ok()
    };
    status.or_else(annotation).unwrap_or_default()
}

/// A budget that allows nobody to be evicted is in force all the same. One that cannot be worked out is waited for: the
/// pods that it counts may only be on their way.
fn budget(live: &Value) -> Health {
    if let Some(waiting) = behind(live) {
        return waiting;
    }
    let conditions = live.pointer("/status/conditions").and_then(Value::as_array);
    let broken = conditions.into_iter().flatten().find(|condition| {
        text(condition, "/status") == Some("False") && text(condition, "/reason") != Some("InsufficientPods")
    });
    let words = |broken: &Value| {
        let words = ["/message", "/reason"].into_iter().find_map(|pointer| text(broken, pointer));
        words.filter(|words| !words.is_empty()).unwrap_or("cannot be worked out").to_owned()
    };
    broken.map_or(Health::Healthy, |broken| Health::Waiting(words(broken)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::health::tests::check;
    use crate::health::tests::object;

    const PENDING: &str = "waiting: not bound yet: look at its class, and whether a pod uses it";

    #[test]
    fn services_of_the_aggregation_layer() {
        let service = |status: &str, message: &str| {
            let conditions = json!([{ "type": "Available", "status": status, "message": message }]);
            object("apiregistration.k8s.io/v1", "APIService", json!({}), json!({ "conditions": conditions }))
        };
        check(&[
            (service("True", "all checks passed"), "healthy"),
            (service("False", "no endpoints for metrics-server"), "waiting: no endpoints for metrics-server"),
            (service("Unknown", ""), "waiting: Available is Unknown"),
        ]);
    }

    #[test]
    fn ingresses() {
        let ingress =
            |status| object("networking.k8s.io/v1", "Ingress", json!({ "ingressClassName": "x" }), status);
        check(&[
            (ingress(json!({})), "healthy"),
            (ingress(json!({ "loadBalancer": {} })), "healthy"),
            (ingress(json!({ "loadBalancer": { "ingress": [{ "hostname": "x" }] } })), "healthy"),
        ]);
    }

    #[test]
    fn kinds_of_kubernetes() {
        let balancer = json!({ "type": "LoadBalancer" });
        let address = json!({ "loadBalancer": { "ingress": [{ "ip": "192.0.2.1" }] } });
        let established = json!({ "conditions": [{ "type": "Established", "status": "True" }] });
        let clash =
            json!({ "conditions": [{ "type": "NamesAccepted", "status": "False", "message": "taken" }] });
        let definition =
            |status| object("apiextensions.k8s.io/v1", "CustomResourceDefinition", json!({}), status);
        check(&[
            (object("v1", "ConfigMap", json!({}), json!({})), "healthy"),
            (object("v1", "Service", json!({}), json!({})), "healthy"),
            (object("v1", "Service", json!({ "type": "ExternalName" }), json!({})), "healthy"),
            (
                object("v1", "Service", balancer.clone(), json!({ "loadBalancer": { "ingress": [] } })),
                "waiting: its load balancer has no address yet",
            ),
            (
                object("v1", "Service", balancer.clone(), json!({})),
                "waiting: its load balancer has no address yet",
            ),
            (object("v1", "Service", balancer, address), "healthy"),
            (object("v1", "PersistentVolumeClaim", json!({}), json!({})), PENDING),
            (object("v1", "PersistentVolumeClaim", json!({}), json!({ "phase": "Pending" })), PENDING),
            (object("v1", "PersistentVolumeClaim", json!({}), json!({ "phase": "Bound" })), "healthy"),
            (
                object("v1", "PersistentVolumeClaim", json!({}), json!({ "phase": "Lost" })),
                "failed: its volume is lost",
            ),
            (definition(json!({})), "waiting: not established yet"),
            (definition(established), "healthy"),
            (definition(clash), "failed: taken"),
            (
                object("apiregistration.k8s.io/v1", "APIService", json!({}), json!({})),
                "waiting: not available yet",
            ),
        ]);
    }

    #[test]
    fn volumes_and_namespaces() {
        let volume = |phase: &str| object("v1", "PersistentVolume", json!({}), json!({ "phase": phase }));
        let namespace = |phase: &str| object("v1", "Namespace", json!({}), json!({ "phase": phase }));
        check(&[
            (object("v1", "PersistentVolume", json!({}), json!({})), "waiting: not available yet"),
            (volume("Pending"), "waiting: not available yet"),
            (volume("Available"), "healthy"),
            (volume("Bound"), "healthy"),
            (volume("Failed"), "failed: it failed"),
            (namespace("Active"), "healthy"),
            (namespace("Terminating"), "waiting: is being deleted"),
            (object("networking.k8s.io/v1", "Ingress", json!({}), json!({})), "healthy"),
        ]);
    }

    #[test]
    fn definitions() {
        let with = |name: &str| {
            let conditions = json!([{ "type": name, "status": "True", "message": "why" },
                { "type": "Established", "status": "True" }]);
            let status = json!({ "conditions": conditions });
            object("apiextensions.k8s.io/v1", "CustomResourceDefinition", json!({}), status)
        };
        check(&[
            (with("NonStructuralSchema"), "failed: why"),
            (with("Terminating"), "waiting: is being deleted"),
            (with("NamesAccepted"), "healthy"),
        ]);
    }

    #[test]
    fn what_a_definition_was_refused_for_before_says_nothing() {
        let (before, then, after) = ("2026-01-01T00:00:00Z", "2026-01-01T01:00:00Z", "2026-01-01T02:00:00Z");
        let refused = |at: &str| {
            let conditions = json!([{ "type": "NamesAccepted", "status": "False", "message": "taken",
                "lastTransitionTime": at }]);
            let status = json!({ "conditions": conditions });
            let mut refused =
                object("apiextensions.k8s.io/v1", "CustomResourceDefinition", json!({}), status);
            refused["metadata"]["managedFields"] = json!([{ "time": then }]);
            refused
        };
        check(&[(refused(before), "waiting: taken"), (refused(after), "failed: taken")]);
    }

    #[test]
    fn autoscalers() {
        let scaler = |status| object("autoscaling/v2", "HorizontalPodAutoscaler", json!({}), status);
        let one = |name: &str, status: &str, reason: &str| json!([{ "type": name, "status": status, "reason": reason, "message": "why" }]);
        let told = |conditions| scaler(json!({ "conditions": conditions }));
        let mut old = object("autoscaling/v1", "HorizontalPodAutoscaler", json!({}), json!({}));
        old["metadata"]["annotations"] = json!({ "autoscaling.alpha.kubernetes.io/conditions":
            one("AbleToScale", "True", "").to_string() });
        let mut spoilt = old.clone();
        spoilt["metadata"]["annotations"] = json!({ "autoscaling.alpha.kubernetes.io/conditions": "[{" });
        let unseen = "waiting: its controller has not looked at it yet";
        check(&[
            (scaler(json!({})), "waiting: its controller has not looked at it yet"),
            (
                scaler(json!({ "observedGeneration": 1, "conditions": one("AbleToScale", "True", "") })),
                "waiting: its controller has not seen this version yet",
            ),
            (told(one("ScalingActive", "False", "InvalidSelector")), "waiting: why"),
            (told(one("ScalingActive", "False", "ScalingDisabled")), unseen),
            (spoilt, unseen),
            (told(one("AbleToScale", "True", "")), "healthy"),
            (told(one("ScalingLimited", "True", "")), "healthy"),
            (told(one("AbleToScale", "False", "FailedGetScale")), "waiting: why"),
            (told(one("AbleToScale", "False", "BackoffBoth")), "waiting: why"),
            (told(one("ScalingActive", "False", "FailedGetResourceMetric")), "waiting: why"),
            (old, "healthy"),
        ]);
    }

    #[test]
    fn budgets() {
        let budget = |status| object("policy/v1", "PodDisruptionBudget", json!({}), status);
        let told = |reason: &str| {
            let conditions = json!([{ "type": "DisruptionAllowed", "status": "False", "reason": reason }]);
            budget(json!({ "observedGeneration": 2, "conditions": conditions }))
        };
        check(&[
            (budget(json!({})), "waiting: its controller has not seen it yet"),
            (
                budget(json!({ "observedGeneration": 1 })),
                "waiting: its controller has not seen this version yet",
            ),
            (budget(json!({ "observedGeneration": 2 })), "healthy"),
            (told("InsufficientPods"), "healthy"),
            (told("SyncFailed"), "waiting: SyncFailed"),
        ]);
    }
}
