//! The health of the kinds of the Gateway API (GEP-1364): their conditions name the generation that they are about.

use serde_json::Value;

use super::Health;
use super::UNSEEN;
use super::builtin::wanted_condition;
use super::condition;
use super::named;
use super::text;

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
/// gateways that are its own; one of which nothing is reported does not serve it. What is reported of gateways that it does
/// not name any more says nothing.
fn route(live: &Value) -> Health {
    let told = list(live, "/status/parents");
    for wanted in list(live, "/spec/parentRefs") {
        let mut about = told.iter().filter(|told| is_about(live, told, wanted)).peekable();
        if about.peek().is_none() {
            let name = text(wanted, "/name").unwrap_or_default();
            return Health::Waiting(format!("{name} has not taken it yet: look at its parentRefs"));
        }
        if let Some(waiting) = about.find_map(|told| hindered(live, told)) {
            return waiting;
        }
    }
    Health::Healthy
}

fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Is this report about a gateway that a route names? A controller may add what the route leaves out: that it is a
/// Gateway, and in the route's own namespace.
fn is_about(live: &Value, told: &Value, wanted: &Value) -> bool {
    let reference = told.get("parentRef").unwrap_or(&Value::Null);
    let is_same = |field: &str| reference.get(field) == wanted.get(field);
    let own = text(live, "/metadata/namespace").unwrap_or_default();
    let place = |one| (text(one, "/namespace").unwrap_or(own), text(one, "/kind").unwrap_or("Gateway"));
    ["name", "sectionName", "port"].into_iter().all(is_same) && place(reference) == place(wanted)
}

/// Returns what a gateway has against a route, where it has something.
fn hindered(live: &Value, told: &Value) -> Option<Health> {
    let conditions = list(told, "/conditions");
    ["Accepted", "ResolvedRefs"].into_iter().find_map(|name| {
        let condition = named(conditions, name)?;
        if condition.is_old(live) {
            return Some(Health::waiting(UNSEEN));
        }
        (!condition.is("True")).then(|| Health::Waiting(condition.words()))
    })
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
            json!([{ "parentRef": { "name": "edge", "kind": "Gateway" }, "conditions": [{ "type": name, "status": status, "observedGeneration": generation,
                "message": "no such Service" }] }])
        };
        check(&[
            (object("gateway.networking.k8s.io/v1", "HTTPRoute", json!({}), json!({})), "healthy"),
            (route("HTTPRoute", json!([])), "waiting: edge has not taken it yet: look at its parentRefs"),
            (route("HTTPRoute", told("Accepted", "True", 2)), "healthy"),
            (
                route("GRPCRoute", told("Accepted", "True", 1)),
                "waiting: its controller has not seen this version yet",
            ),
            (route("HTTPRoute", told("Accepted", "False", 2)), "waiting: no such Service"),
            (route("TLSRoute", told("ResolvedRefs", "False", 2)), "waiting: no such Service"),
        ]);
        let mut two = route("HTTPRoute", told("Accepted", "True", 2));
        two["spec"]["parentRefs"] = json!([{ "name": "edge" }, { "name": "inner", "sectionName": "a" }]);
        let mut left = two.clone();
        left["spec"]["parentRefs"] = json!([{ "name": "edge" }]);
        let old = json!({ "parentRef": { "name": "gone" }, "conditions": [{ "type": "Accepted", "status": "True",
            "observedGeneration": 1 }] });
        left["status"]["parents"].as_array_mut().unwrap().push(old);
        check(&[(two, "waiting: inner has not taken it yet: look at its parentRefs"), (left, "healthy")]);
    }
}
