//! The health of Kubernetes's own kinds that run no pods.

use serde_json::Value;

use super::Health;
use super::condition;
use super::text;

pub(super) fn health(group: &str, kind: &str, live: &Value) -> Option<Health> {
    match (group, kind) {
        ("", "Service") => Some(service(live)),
        ("networking.k8s.io", "Ingress") => Some(ingress(live)),
        ("", "PersistentVolumeClaim") => Some(claim(live)),
        ("", "Namespace") => Some(namespace(live)),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => Some(definition(live)),
        ("apiregistration.k8s.io", "APIService") => Some(wanted_condition(live, "Available")),
        ("autoscaling", "HorizontalPodAutoscaler") => Some(autoscaler(live)),
        ("policy", "PodDisruptionBudget") => Some(super::unobserved(live).unwrap_or(Health::Healthy)),
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

/// An Ingress counts as healthy at once: many controllers never fill in the address, and waiting for it would hold
/// back every verdict in such clusters.
fn ingress(_: &Value) -> Health {
    Health::Healthy
}

/// A claim whose class binds on first use stays pending until a pod comes; that is no failure of the claim.
fn claim(live: &Value) -> Health {
    match text(live, "/status/phase") {
        Some("Lost") => Health::Failed("its volume is lost".to_owned()),
        Some("Bound") => Health::Healthy,
        Some(_) | None => Health::waiting("not bound yet"),
    }
}

fn namespace(live: &Value) -> Health {
    match text(live, "/status/phase") {
        Some("Terminating") => Health::waiting("is being deleted"),
        Some(_) | None => Health::Healthy,
    }
}

fn definition(live: &Value) -> Health {
    if let Some(names) = condition(live, "NamesAccepted").filter(|names| names.is("False")) {
        return Health::Failed(names.words());
    }
    wanted_condition(live, "Established")
}

fn wanted_condition(live: &Value, name: &str) -> Health {
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

fn autoscaler(live: &Value) -> Health {
    for name in ["AbleToScale", "ScalingActive"] {
        if let Some(condition) = condition(live, name).filter(|c| c.is("False") && BROKEN.contains(&c.reason))
        {
            return Health::Waiting(condition.words());
        }
    }
    Health::Healthy
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::health::tests::check;
    use crate::health::tests::object;

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
            (
                object("v1", "Service", balancer.clone(), json!({})),
                "waiting: its load balancer has no address yet",
            ),
            (object("v1", "Service", balancer, address), "healthy"),
            (object("v1", "PersistentVolumeClaim", json!({}), json!({})), "waiting: not bound yet"),
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
}
