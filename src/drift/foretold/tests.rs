//! What is foretold, case by case.

use serde_json::Value;
use serde_json::json;

use super::Foretold;
use super::foretell;

const US: &str = "windlass:shop";

/// Returns a live object of which these fields were applied.
fn live(rest: Value, ours: Value) -> Value {
    let mut live = rest;
    live["apiVersion"] = json!("v1");
    live["metadata"] = json!({ "managedFields": [
        { "manager": US, "operation": "Apply", "apiVersion": "v1", "fieldsV1": ours } ] });
    live
}

fn manifest(rest: Value) -> Value {
    let mut manifest = rest;
    manifest["apiVersion"] = json!("v1");
    manifest["metadata"] = json!({ "name": "a" });
    manifest
}

fn in_words(foretold: &Foretold) -> String {
    let (word, fields) = match foretold {
        Foretold::Unchanged => return "unchanged".to_owned(),
        Foretold::Changed(fields) => ("changed", fields),
        Foretold::Undecided(fields) => ("undecided", fields),
    };
    let fields: Vec<&str> = fields.iter().map(|one| one.field.as_str()).collect();
    format!("{word} {}", fields.join(" "))
}

#[test]
fn a_difference_is_certain_or_for_the_server_to_tell() {
    let s = |value: Value| json!({ "s": value });
    let a = json!({ "f:s": { "f:a": {} } });
    let cases = [
        ("equal", s(json!({ "a": 1 })), a.clone(), s(json!({ "a": 1 })), "unchanged"),
        ("another number", s(json!({ "a": 1 })), a.clone(), s(json!({ "a": 2 })), "changed s.a"),
        ("another text", s(json!({ "a": "x" })), a.clone(), s(json!({ "a": "y" })), "changed s.a"),
        (
            "a field with a twin",
            s(json!({ "serviceAccount": "x" })),
            json!({ "f:s": { "f:serviceAccount": {} } }),
            s(json!({ "serviceAccount": "y" })),
            "undecided s.serviceAccount",
        ),
        ("an empty text", s(json!({ "a": "x" })), a.clone(), s(json!({ "a": "" })), "undecided s.a"),
        ("nought", s(json!({ "a": 1 })), a.clone(), s(json!({ "a": 0 })), "undecided s.a"),
        ("another flag", s(json!({ "a": true })), a.clone(), s(json!({ "a": false })), "changed s.a"),
        ("a quantity", s(json!({ "a": "1" })), a.clone(), s(json!({ "a": "1000m" })), "undecided s.a"),
        ("a float", s(json!({ "a": 1 })), a.clone(), s(json!({ "a": 1.0 })), "undecided s.a"),
        ("another type", s(json!({ "a": "80" })), a.clone(), s(json!({ "a": 80 })), "undecided s.a"),
        ("a notation", s(json!({ "a": "TCP" })), a.clone(), s(json!({ "a": "tcp " })), "undecided s.a"),
        ("a new field", s(json!({ "a": 1 })), a.clone(), s(json!({ "a": 1, "b": 2 })), "changed s.b"),
        ("a void field", s(json!({ "a": 1 })), a.clone(), s(json!({ "a": 1, "b": {} })), "undecided s.b"),
        (
            "a field less",
            s(json!({ "a": 1, "b": 1 })),
            json!({ "f:s": { "f:a": {}, "f:b": {} } }),
            s(json!({ "a": 1 })),
            "changed s.b",
        ),
        ("others' field", s(json!({ "a": 1, "b": 1 })), a.clone(), s(json!({ "a": 1 })), "unchanged"),
        (
            "it becomes ours",
            s(json!({ "a": 1, "b": 1 })),
            a.clone(),
            s(json!({ "a": 1, "b": 1 })),
            "changed metadata.managedFields",
        ),
        ("null", s(json!({ "a": 1 })), a.clone(), s(json!({ "a": null })), "undecided s.a"),
        (
            "a default in a whole",
            s(json!({ "a": { "x": 1, "y": 2 } })),
            a.clone(),
            s(json!({ "a": { "x": 1 } })),
            "undecided s.a.y",
        ),
        ("a whole", s(json!({ "a": { "x": 1 } })), a.clone(), s(json!({ "a": { "x": 2 } })), "changed s.a.x"),
        ("a whole list", s(json!({ "a": ["x"] })), a.clone(), s(json!({ "a": ["y"] })), "changed s.a[0]"),
        ("a longer list", s(json!({ "a": ["x"] })), a, s(json!({ "a": ["x", "y"] })), "changed s.a"),
    ];
    for (name, held, ours, declared, expected) in cases {
        let foretold = foretell(&live(held, ours), &manifest(declared), Some(US));
        assert_eq!(in_words(&foretold), expected, "{name}");
    }
}

#[test]
fn items_are_told_by_their_keys_where_those_are_known() {
    let item = |name: &str, image: &str| json!({ "name": name, "image": image });
    let key = |name: &str| format!("k:{{\"name\":\"{name}\"}}");
    let whole = json!({ ".": {}, "f:name": {}, "f:image": {} });
    let ours = json!({ "f:l": { key("a"): whole, key("b"): whole } });
    let held = json!({ "l": [item("x", "x"), item("a", "a"), item("b", "b")] });
    let cases = [
        ("equal", vec![item("a", "a"), item("b", "b")], "unchanged"),
        ("another image", vec![item("a", "a"), item("b", "c")], "changed l[1].image"),
        ("one less", vec![item("a", "a")], "changed l"),
        ("one more", vec![item("a", "a"), item("b", "b"), item("c", "c")], "changed l[2]"),
        ("another's", vec![item("a", "a"), item("b", "b"), item("x", "x")], "changed metadata.managedFields"),
        ("another order", vec![item("b", "b"), item("a", "a")], "undecided l"),
    ];
    for (name, declared, expected) in cases {
        let foretold =
            foretell(&live(held.clone(), ours.clone()), &manifest(json!({ "l": declared })), Some(US));
        assert_eq!(in_words(&foretold), expected, "{name}");
    }
    // Nobody says how items are named here.
    for declared in [vec![item("x", "x"), item("a", "y"), item("b", "b")], vec![item("a", "a")]] {
        let foretold = foretell(&live(held.clone(), json!({})), &manifest(json!({ "l": declared })), None);
        assert!(in_words(&foretold).starts_with("undecided l"), "{foretold:?}");
    }
}

#[test]
fn what_was_applied_counts_where_it_is_known() {
    let held = json!({ "data": { "a": "x" } });
    let told = |live: &Value, value: &str, manager| {
        in_words(&foretell(live, &manifest(json!({ "data": { "a": value } })), manager))
    };
    let mut bare = live(held.clone(), json!({}));
    bare["metadata"] = json!({});
    assert_eq!(told(&bare, "x", Some(US)), "undecided ");
    assert_eq!(told(&bare, "y", Some(US)), "changed data.a");
    let other = live(held, json!({ "f:data": { "f:a": {} } }));
    assert_eq!(told(&other, "x", Some("windlass:blog")), "changed metadata.managedFields");
    assert_eq!(told(&other, "x", None), "undecided ");
    let mut newer = other;
    newer["apiVersion"] = json!("v2");
    assert_eq!(told(&newer, "y", Some(US)), "undecided ", "in another version it looks otherwise");
    let secret = |field: &str| json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "a" }, field: { "a": "eA==" } });
    assert_eq!(in_words(&foretell(&secret("data"), &secret("stringData"), None)), "undecided ");
}
