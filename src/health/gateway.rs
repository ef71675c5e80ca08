//! The health of the kinds of the Gateway API (GEP-1364): their conditions name the generation that they are about.

use serde_json::Value;

use super::Health;
use super::UNSEEN;
use super::builtin::wanted_condition;
use super::condition;
use super::named;

pub(super) fn health(group: &str, kind: &str, live: &Value) -> Option<Health> {
    match (group, kind) {
        ("gateway.networking.k8s.io", "Gateway") => Some(current_condition(live, "Programmed")),
        ("gateway.networking.k8s.io", "GatewayClass") => Some(current_condition(live, "Accepted")),
        ("gateway.networking.k8s.io", kind) if kind.ends_with("Route") => Some(route(live)),
        _ => None,
    }
}

/// A condition is waited for until it is true, and about the present generation.
fn current_condition(live: &Value, name: &str) -> Health {
    if condition(live, name).is_some_and(|condition| condition.is_old(live)) {
        return Health::waiting(UNSEEN);
    }
    wanted_condition(live, name)
}

/// A route works once every gateway that it names has taken it, with all that it leads to. Each controller reports for the
/// gateways that are its own; one that reports nothing of a route does not serve it.
fn route(live: &Value) -> Health {
    let list = |pointer: &str| live.pointer(pointer).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let (wanted, told) = (list("/spec/parentRefs"), list("/status/parents"));
    for parent in told {
        let conditions = parent.pointer("/conditions").and_then(Value::as_array);
        let conditions = conditions.map_or(&[][..], Vec::as_slice);
        for name in ["Accepted", "ResolvedRefs"] {
            match named(conditions, name) {
                Some(condition) if condition.is_old(live) => return Health::waiting(UNSEEN),
                Some(condition) if !condition.is("True") => return Health::Waiting(condition.words()),
                Some(_) | None => {}
            }
        }
    }
    if !wanted.is_empty() && told.is_empty() {
        return Health::waiting("no gateway has taken it yet: look at its parentRefs");
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
    fn gateways() {
        let gateway =
            |kind: &str, status: Value| object("gateway.networking.k8s.io/v1", kind, json!({}), status);
        let is = |name: &str, status: &str, generation: i64| {
            json!({ "conditions": [{ "type": name, "status": status, "observedGeneration": generation,
                "message": "Waiting for controller" }] })
        };
        check(&[
            (gateway("Gateway", json!({})), "waiting: not programmed yet"),
            (gateway("Gateway", is("Programmed", "Unknown", 2)), "waiting: Waiting for controller"),
            (
                gateway("Gateway", is("Programmed", "True", 1)),
                "waiting: its controller has not seen this version yet",
            ),
            (gateway("Gateway", is("Programmed", "True", 2)), "healthy"),
            (gateway("GatewayClass", is("Accepted", "Unknown", 2)), "waiting: Waiting for controller"),
            (gateway("GatewayClass", is("Accepted", "True", 2)), "healthy"),
        ]);
    }

    #[test]
    fn routes() {
        let route = |kind: &str, parents: Value| {
            let spec = json!({ "parentRefs": [{ "name": "edge" }] });
            object("gateway.networking.k8s.io/v1", kind, spec, json!({ "parents": parents }))
        };
        let told = |name: &str, status: &str, generation: i64| {
            json!([{ "conditions": [{ "type": name, "status": status, "observedGeneration": generation,
                "message": "no such Service" }] }])
        };
        check(&[
            (object("gateway.networking.k8s.io/v1", "HTTPRoute", json!({}), json!({})), "healthy"),
            (route("HTTPRoute", json!([])), "waiting: no gateway has taken it yet: look at its parentRefs"),
            (route("HTTPRoute", told("Accepted", "True", 2)), "healthy"),
            (
                route("GRPCRoute", told("Accepted", "True", 1)),
                "waiting: its controller has not seen this version yet",
            ),
            (route("HTTPRoute", told("Accepted", "False", 2)), "waiting: no such Service"),
            (route("TLSRoute", told("ResolvedRefs", "False", 2)), "waiting: no such Service"),
        ]);
    }
}
