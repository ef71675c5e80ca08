//! What is left to others, case by case.

use serde_json::Value;
use serde_json::json;

use crate::annotation::Wish;
use crate::drift::ceded;
use crate::drift::is_as_declared;

const MANAGER: &str = "windlass:shop";

fn live(rest: Value, ours: Value, theirs: Value) -> Value {
    let entry = |manager: &str, operation: &str, fields: Value| json!({ "manager": manager, "operation": operation, "apiVersion": "v1", "fieldsV1": fields });
    let mut live = rest;
    live["apiVersion"] = json!("v1");
    live["metadata"] =
        json!({ "managedFields": [entry(MANAGER, "Apply", ours), entry("hpa", "Update", theirs)] });
    live
}

/// Returns what is applied of a manifest with this annotation, to an object that is so.
fn applied(annotation: (&str, &str), manifest: &Value, live: &Value) -> Value {
    let wish = Wish::of(&json!({ "metadata": { "annotations": { annotation.0: annotation.1 } } }));
    ceded(manifest, live, MANAGER, &wish).into_owned()
}

fn ignore(pointers: &str, manifest: Value, live: &Value) -> Value {
    applied(("windlass.dev/ignore", pointers), &manifest, live)
}

#[test]
fn a_field_that_is_left_to_others_is_left_out_or_stays_as_it_is() {
    let manifest = || json!({ "spec": { "replicas": 3, "paused": true } });
    let spec = |replicas: u32| json!({ "spec": { "replicas": replicas, "paused": true } });
    let both = json!({ "f:spec": { "f:replicas": {}, "f:paused": {} } });
    let one = json!({ "f:spec": { "f:paused": {} } });
    let replicas = json!({ "f:spec": { "f:replicas": {} } });
    let cases = [
        ("we own it alone", live(spec(3), both.clone(), json!({})), spec(3)),
        ("we own it alone, and it is another by now", live(spec(5), both.clone(), json!({})), spec(5)),
        (
            "others own it",
            live(spec(5), one.clone(), replicas.clone()),
            json!({ "spec": { "paused": true } }),
        ),
        ("both own it", live(spec(3), both, replicas), json!({ "spec": { "paused": true } })),
        ("nobody owns it", live(spec(1), one, json!({})), json!({ "spec": { "paused": true } })),
    ];
    for (name, live, expected) in cases {
        assert_eq!(ignore("/spec/replicas", manifest(), &live), expected, "{name}");
    }
}

#[test]
fn what_the_manifest_sets_no_longer_stays_where_we_own_it() {
    let owned =
        live(json!({ "spec": { "replicas": 3 } }), json!({ "f:spec": { "f:replicas": {} } }), json!({}));
    assert_eq!(ignore("/spec/replicas", json!({}), &owned), json!({ "spec": { "replicas": 3 } }));
    let theirs =
        live(json!({ "spec": { "replicas": 3 } }), json!({}), json!({ "f:spec": { "f:replicas": {} } }));
    assert_eq!(ignore("/spec/replicas", json!({}), &theirs), json!({}));
    assert_eq!(
        ignore("/spec/replicas", json!({ "spec": { "replicas": 1 } }), &theirs),
        json!({}),
        "no empty map stays"
    );
}

#[test]
fn items_are_found_by_their_keys() {
    let item = |name: &str, image: &str| json!({ "name": name, "image": image });
    let manifest = json!({ "c": [item("a", "a:1"), item("b", "b:1")] });
    let key = |name: &str, rest: Value| (format!("k:{{\"name\":\"{name}\"}}"), rest);
    let fields = |items: Vec<(String, Value)>| json!({ "f:c": Value::Object(items.into_iter().collect()) });
    let whole = || json!({ ".": {}, "f:name": {}, "f:image": {} });
    let held = json!({ "c": [item("x", "x:9"), item("b", "b:9"), item("a", "a:9")] });
    let ours = fields(vec![key("a", whole()), key("b", whole())]);
    let owned = live(held.clone(), ours, json!({}));
    assert_eq!(
        ignore("/c/1/image", manifest.clone(), &owned),
        json!({ "c": [item("a", "a:1"), item("b", "b:9")] })
    );
    assert_eq!(
        ignore("/c/1", manifest.clone(), &owned),
        json!({ "c": [item("a", "a:1"), item("b", "b:9")] })
    );
    let ours = fields(vec![key("a", json!({ ".": {}, "f:name": {} }))]);
    let theirs = fields(vec![key("a", json!({ "f:image": {} })), key("b", whole())]);
    let shared = live(held, ours, theirs);
    assert_eq!(
        ignore("/c/0/image /c/1", manifest.clone(), &shared),
        json!({ "c": [{ "name": "a" }] }),
        "both are others'"
    );
    assert_eq!(
        ignore("/c/0 /c/1", manifest, &shared),
        json!({ "c": [{ "name": "a" }] }),
        "what is ours of it stays"
    );
}

#[test]
fn lists_that_are_owned_as_a_whole_keep_their_live_items() {
    let owned = live(json!({ "l": ["x", "y"] }), json!({ "f:l": {} }), json!({}));
    assert_eq!(ignore("/l/1", json!({ "l": ["a", "b"] }), &owned), json!({ "l": ["a", "y"] }));
    assert_eq!(ignore("/l", json!({ "l": ["a", "b"] }), &owned), json!({ "l": ["x", "y"] }));
    for nowhere in ["/l/7", "/l/-", "/l/x", "/m/0", "/l/0/deep"] {
        assert_eq!(
            ignore(nowhere, json!({ "l": ["a", "b"] }), &owned),
            json!({ "l": ["a", "b"] }),
            "{nowhere}"
        );
    }
}

#[test]
fn a_part_is_left_as_far_as_it_is_ours() {
    let held = json!({ "data": { "a": "9", "b": "9", "theirs": "9" } });
    let owned =
        live(held, json!({ "f:data": { "f:a": {} } }), json!({ "f:data": { "f:b": {}, "f:theirs": {} } }));
    assert_eq!(
        ignore("/data", json!({ "data": { "a": "1", "b": "1" } }), &owned),
        json!({ "data": { "a": "9" } })
    );
}

#[test]
fn merging_leaves_out_what_others_own_and_we_do_not() {
    let merge = |manifest: Value, live: &Value| applied(("windlass.dev/sync", "merge"), &manifest, live);
    let part = "applyset.kubernetes.io/part-of";
    let manifest = json!({ "metadata": { "labels": { part: "us", "tier": "web" } },
        "data": { "a": "1", "b": "1", "c": "1", "d": "1" }, "rest": { "x": 1 }, "l": [{ "name": "n", "v": 1, "w": 1 }] });
    let ours = json!({ "f:data": { "f:a": {}, "f:b": {} } });
    let theirs = json!({ "f:metadata": { "f:labels": { format!("f:{part}"): {}, "f:tier": {} } },
        "f:data": { "f:b": {}, "f:c": {} }, "f:rest": { ".": {}, "f:x": {} },
        "f:l": { "k:{\"name\":\"n\"}": { ".": {}, "f:name": {}, "f:v": {} } } });
    let live = live(json!({}), ours, theirs);
    let expected = json!({ "metadata": { "labels": { part: "us" } }, "data": { "a": "1", "b": "1", "d": "1" },
        "l": [{ "name": "n", "w": 1 }] });
    assert_eq!(merge(manifest, &live), expected);
}

#[test]
fn what_only_named_managers_own_is_left_to_them() {
    let manifest = json!({ "data": { "a": "1", "b": "1", "c": "1", "d": "1" } });
    let fields = |names: &[&str]| {
        let fields = names.iter().map(|name| (format!("f:{name}"), json!({})));
        json!({ "f:data": Value::Object(fields.collect()) })
    };
    // The first is theirs, the second is ours too, the third is another's too, the fourth is nobody's.
    let mut held = live(json!({}), fields(&["b"]), fields(&["a", "b", "c"]));
    let entries = held["metadata"]["managedFields"].as_array_mut().unwrap();
    entries.push(
        json!({ "manager": "person", "operation": "Update", "apiVersion": "v1", "fieldsV1": fields(&["c"]) }),
    );
    let applied = |managers: &[&str]| {
        let managers = managers.iter().map(|name| (*name).to_owned()).collect();
        ceded(&manifest, &held, MANAGER, &Wish { managers, ..Wish::default() }).into_owned()
    };
    assert_eq!(applied(&["hpa"]), json!({ "data": { "b": "1", "c": "1", "d": "1" } }));
    assert_eq!(applied(&["hpa", "person"]), json!({ "data": { "b": "1", "d": "1" } }));
    assert_eq!(applied(&["nobody"]), manifest);
}

#[test]
fn the_status_is_nobody_s_field_and_what_is_left_is_known_without_asking() {
    let mut held = live(
        json!({ "kind": "Thing", "spec": { "replicas": 5, "paused": true } }),
        json!({ "f:spec": { "f:paused": {} } }),
        json!({ "f:spec": { "f:replicas": {} } }),
    );
    let manifest = json!({ "apiVersion": "v1", "kind": "Thing", "spec": { "replicas": 3, "paused": true } });
    let left = ignore("/spec/replicas", manifest.clone(), &held);
    assert!(
        is_as_declared(&held, &left, MANAGER, false) && !is_as_declared(&held, &manifest, MANAGER, false)
    );
    held["metadata"]["managedFields"][0]["fieldsV1"] =
        json!({ "f:spec": { "f:paused": {}, "f:replicas": {} } });
    held["metadata"]["managedFields"][1]["subresource"] = json!("status");
    let left = ignore("/spec/replicas", manifest, &held);
    assert_eq!(left["spec"]["replicas"], 5, "who writes the status owns nothing of it");
    assert!(is_as_declared(&held, &left, MANAGER, false));
}
