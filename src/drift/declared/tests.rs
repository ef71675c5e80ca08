//! What is known without asking, case by case.

use serde_json::Value;
use serde_json::json;

use crate::drift::is_as_declared;

const MANAGER: &str = "windlass:shop";

/// An object with this beside its names, of which these fields are owned.
fn live(rest: Value, fields: Value) -> Value {
    let entry = json!({ "manager": MANAGER, "operation": "Apply", "apiVersion": "v1", "fieldsV1": fields });
    let other = json!({ "manager": "kubectl", "operation": "Update", "apiVersion": "v1", "fieldsV1": {} });
    let mut live = manifest(rest);
    live["metadata"]["uid"] = json!("u");
    live["metadata"]["managedFields"] = json!([other, entry]);
    live
}

fn manifest(rest: Value) -> Value {
    let mut whole = json!({ "apiVersion": "v1", "kind": "Thing",
        "metadata": { "name": "x", "namespace": "shop", "labels": { "part": "us" } } });
    for (key, value) in rest.as_object().unwrap() {
        whole[key] = value.clone();
    }
    whole
}

fn owned(rest: Value) -> Value {
    let mut fields = json!({ "f:metadata": { "f:labels": { "f:part": {} } } });
    for (key, value) in rest.as_object().unwrap() {
        fields[key] = value.clone();
    }
    fields
}

/// Manifest, live object and owned fields; is it known?
const CASES: [(&str, [&str; 3], bool); 14] = [
    (
        "values",
        [
            r#"{ "data": { "a": "1" } }"#,
            r#"{ "data": { "a": "1", "b": "2" } }"#,
            r#"{ "f:data": { "f:a": {} } }"#,
        ],
        true,
    ),
    (
        "another value",
        [r#"{ "data": { "a": "2" } }"#, r#"{ "data": { "a": "1" } }"#, r#"{ "f:data": { "f:a": {} } }"#],
        false,
    ),
    (
        "a new field",
        [
            r#"{ "data": { "a": "1", "b": "2" } }"#,
            r#"{ "data": { "a": "1", "b": "2" } }"#,
            r#"{ "f:data": { "f:a": {} } }"#,
        ],
        false,
    ),
    (
        "a field that left",
        [
            r#"{ "data": { "a": "1" } }"#,
            r#"{ "data": { "a": "1", "b": "2" } }"#,
            r#"{ "f:data": { "f:a": {}, "f:b": {} } }"#,
        ],
        false,
    ),
    (
        "a whole map that left",
        [r#"{}"#, r#"{ "data": { "a": "1" } }"#, r#"{ "f:data": { "f:a": {} } }"#],
        false,
    ),
    (
        "a field that is gone",
        [r#"{ "data": { "a": "1" } }"#, r#"{}"#, r#"{ "f:data": { "f:a": {} } }"#],
        false,
    ),
    (
        "owned as a whole",
        [r#"{ "selector": { "a": "1" } }"#, r#"{ "selector": { "a": "1" } }"#, r#"{ "f:selector": {} }"#],
        true,
    ),
    (
        "owned as a whole, with a default",
        [r#"{ "selector": {} }"#, r#"{ "selector": { "a": "1" } }"#, r#"{ "f:selector": {} }"#],
        false,
    ),
    ("another type", [r#"{ "size": "1" }"#, r#"{ "size": 1 }"#, r#"{ "f:size": {} }"#], false),
    ("nothing", [r#"{ "size": null }"#, r#"{}"#, r#"{ "f:size": {} }"#], false),
    (
        "a set",
        [
            r#"{ "list": ["a", "b"] }"#,
            r#"{ "list": ["a", "x", "b"] }"#,
            r#"{ "f:list": { "v:\"a\"": {}, "v:\"b\"": {} } }"#,
        ],
        true,
    ),
    (
        "a set in another order",
        [
            r#"{ "list": ["b", "a"] }"#,
            r#"{ "list": ["a", "b"] }"#,
            r#"{ "f:list": { "v:\"a\"": {}, "v:\"b\"": {} } }"#,
        ],
        false,
    ),
    (
        "a set with a new value",
        [
            r#"{ "list": ["a", "b", "c"] }"#,
            r#"{ "list": ["a", "b", "c"] }"#,
            r#"{ "f:list": { "v:\"a\"": {}, "v:\"b\"": {} } }"#,
        ],
        false,
    ),
    (
        "items by place",
        [r#"{ "list": ["a"] }"#, r#"{ "list": ["a"] }"#, r#"{ "f:list": { "i:0": {} } }"#],
        false,
    ),
];

#[test]
fn only_what_is_plain_is_known_without_asking() {
    for (name, texts, known) in CASES {
        let [told, held, fields] = texts.map(|text| serde_json::from_str(text).unwrap());
        assert_eq!(
            is_as_declared(&live(held, owned(fields)), &manifest(told), MANAGER, true),
            known,
            "{name}"
        );
    }
}

/// The owned fields of two ports, which are told by their numbers and protocols.
const PORTS: &str = r#"{ "f:ports": { "k:{\"port\":80,\"protocol\":\"TCP\"}": { ".": {}, "f:port": {} }, "k:{\"port\":81,\"protocol\":\"TCP\"}": { ".": {}, "f:port": {} } } }"#;

/// Ports of the manifest and of the live object; is it known?
const PORT_CASES: [(&str, [&str; 2], bool); 7] = [
    (
        "items",
        [
            r#"[{ "port": 80 }, { "port": 81 }]"#,
            r#"[{ "port": 80, "protocol": "TCP" }, { "port": 81, "protocol": "TCP" }]"#,
        ],
        true,
    ),
    (
        "an item of another's between",
        [
            r#"[{ "port": 80 }, { "port": 81 }]"#,
            r#"[{ "port": 80, "protocol": "TCP" }, { "port": 9 }, { "port": 81, "protocol": "TCP" }]"#,
        ],
        true,
    ),
    (
        "items in another order",
        [
            r#"[{ "port": 80 }, { "port": 81 }]"#,
            r#"[{ "port": 81, "protocol": "TCP" }, { "port": 80, "protocol": "TCP" }]"#,
        ],
        false,
    ),
    (
        "an item that left",
        [r#"[{ "port": 80 }]"#, r#"[{ "port": 80, "protocol": "TCP" }, { "port": 81, "protocol": "TCP" }]"#],
        false,
    ),
    (
        "an item that is gone",
        [r#"[{ "port": 80 }, { "port": 81 }]"#, r#"[{ "port": 80, "protocol": "TCP" }]"#],
        false,
    ),
    (
        "an item twice",
        [
            r#"[{ "port": 80 }, { "port": 80 }]"#,
            r#"[{ "port": 80, "protocol": "TCP" }, { "port": 81, "protocol": "TCP" }]"#,
        ],
        false,
    ),
    (
        "an item with another value",
        [
            r#"[{ "port": 80, "name": "web" }, { "port": 81 }]"#,
            r#"[{ "port": 80, "protocol": "TCP" }, { "port": 81, "protocol": "TCP" }]"#,
        ],
        false,
    ),
];

#[test]
fn items_are_told_by_their_keys() {
    for (name, texts, known) in PORT_CASES {
        let [told, held] = texts.map(|text| json!({ "ports": serde_json::from_str::<Value>(text).unwrap() }));
        let held = live(held, owned(serde_json::from_str(PORTS).unwrap()));
        assert_eq!(is_as_declared(&held, &manifest(told), MANAGER, true), known, "{name}");
    }
}

#[test]
fn what_another_or_nobody_applied_is_not_known() {
    let told = manifest(json!({ "size": 1 }));
    let held = live(json!({ "size": 1 }), owned(json!({ "f:size": {} })));
    assert!(is_as_declared(&held, &told, MANAGER, true));
    assert!(!is_as_declared(&held, &told, "windlass:blog", true));
    for (field, value) in [
        ("operation", json!("Update")),
        ("subresource", json!("scale")),
        ("apiVersion", json!("v2")),
        ("fieldsV1", json!(null)),
    ] {
        let mut other = held.clone();
        other["metadata"]["managedFields"][1][field] = value;
        assert!(!is_as_declared(&other, &told, MANAGER, true), "{field}");
    }
    for pointer in ["/metadata", "/metadata/labels", "/apiVersion", "/size", "/metadata/labels/part"] {
        let mut other = held.clone();
        *other.pointer_mut(pointer).unwrap() = json!(null);
        assert!(!is_as_declared(&other, &told, MANAGER, true), "{pointer}");
    }
    let mut labelled = told;
    labelled["metadata"]["labels"]["more"] = json!("");
    assert!(!is_as_declared(&held, &labelled, MANAGER, true));
}

#[test]
fn a_map_that_is_owned_without_its_keys_tells_only_of_the_manifest_that_was_applied_last() {
    let told = |map: &str| manifest(json!({ "map": serde_json::from_str::<Value>(map).unwrap() }));
    // Fields, and whether it is known of the manifest that was applied last and of another one.
    let cases = [
        (r#"{ "f:map": {} }"#, r#"{ "a": 1 }"#, true, false),
        (r#"{ "f:map": { "f:a": {} } }"#, r#"{ "a": 1 }"#, true, true),
        (r#"{ "f:map": {} }"#, "{}", true, true),
        (r#"{ "f:map": {} }"#, "[1]", true, true),
    ];
    for (fields, map, last, other) in cases {
        let told = told(map);
        let held = live(json!({ "map": told["map"] }), owned(serde_json::from_str(fields).unwrap()));
        let known = [true, false].map(|same| is_as_declared(&held, &told, MANAGER, same));
        assert_eq!(known, [last, other], "{fields} {map}");
    }
}
