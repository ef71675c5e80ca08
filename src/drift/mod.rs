//! Whether a live object differs from what applying its manifest would make of it, and in which fields.

mod ceded;
mod declared;
mod field;
mod fight;
mod filled;
mod fingerprint;
mod foretold;
mod holders;
mod meddled;
mod suggest;
mod sum;

use serde_json::Map;
use serde_json::Value;

pub use ceded::ceded;
pub use declared::is_as_declared;
pub use field::pointer;
pub use fight::CALM_MS;
pub use fight::fights;
pub use filled::leaves_out_keys;
pub use fingerprint::fingerprint;
pub use foretold::Difference;
pub use foretold::Foretold;
pub use foretold::foretell;
pub use holders::holders;
pub use meddled::Sight;
pub use meddled::applied_at;
pub use meddled::latest_other;
pub use suggest::Seen;
pub use suggest::Suggestion;
pub use suggest::suggest;
pub use sum::Sum;

/// How many differing fields are named at most?
pub const NAMED_FIELDS: usize = 20;

/// What is named where no value differs, but whose it is.
const OWNERSHIP: &str = "metadata.managedFields";

/// The metadata that only the server writes.
const SERVER_METADATA: [&str; 7] = [
    "managedFields",
    "resourceVersion",
    "generation",
    "uid",
    "creationTimestamp",
    "selfLink",
    "deletionTimestamp",
];

/// Compares a live object with the server's answer to a dry-run of its manifest by `manager`, and returns the fields
/// that the write would change, by name and without values, at most [`NAMED_FIELDS`]. Empty means: do not write.
///
/// Fields that `manager` would gain or lose count too, since only what it owns disappears with the manifest's field.
#[must_use]
pub fn between(live: &Value, dry_run: &Value, manager: &str) -> Vec<String> {
    let mut found = Vec::new();
    let empty = Map::new();
    let (live_fields, dry_fields) =
        (live.as_object().unwrap_or(&empty), dry_run.as_object().unwrap_or(&empty));
    for key in keys(live_fields, dry_fields) {
        match key {
            "status" | "apiVersion" => {}
            "metadata" => metadata(live_fields.get(key), dry_fields.get(key), &mut found),
            _ => compare(live_fields.get(key), dry_fields.get(key), key, &mut found),
        }
    }
    if found.is_empty() && owned(live, manager) != owned(dry_run, manager) {
        found.push(OWNERSHIP.to_owned());
    }
    found
}

fn metadata(live: Option<&Value>, dry_run: Option<&Value>, found: &mut Vec<String>) {
    let empty = Map::new();
    let fields =
        |value: Option<&Value>| value.and_then(Value::as_object).cloned().unwrap_or_else(|| empty.clone());
    let (live, dry_run) = (fields(live), fields(dry_run));
    for key in keys(&live, &dry_run).filter(|key| !SERVER_METADATA.contains(key)) {
        compare(live.get(key), dry_run.get(key), &field::within("metadata", key), found);
    }
}

fn keys<'a>(one: &'a Map<String, Value>, other: &'a Map<String, Value>) -> impl Iterator<Item = &'a str> {
    one.keys().chain(other.keys().filter(|key| !one.contains_key(*key))).map(String::as_str)
}

fn compare(live: Option<&Value>, dry_run: Option<&Value>, path: &str, found: &mut Vec<String>) {
    if live == dry_run || found.len() >= NAMED_FIELDS {
        return;
    }
    match (live, dry_run) {
        (Some(Value::Object(live)), Some(Value::Object(dry_run))) => {
            for key in keys(live, dry_run) {
                compare(live.get(key), dry_run.get(key), &field::within(path, key), found);
            }
        }
        (Some(Value::Array(live)), Some(Value::Array(dry_run))) if live.len() == dry_run.len() => {
            for (index, (live, dry_run)) in live.iter().zip(dry_run).enumerate() {
                compare(Some(live), Some(dry_run), &format!("{path}[{index}]"), found);
            }
        }
        _ => found.push(path.to_owned()),
    }
}

/// Returns whether a set of fields, in the form `fieldsV1`, has nothing within it: what it names is owned as a whole.
fn is_leaf(fields: &Value) -> bool {
    fields.as_object().is_none_or(|fields| fields.keys().all(|key| key == "."))
}

/// Returns the field set that a manager applied.
fn owned<'a>(object: &'a Value, manager: &str) -> Option<&'a Value> {
    entry(object, manager).and_then(|entry| entry.get("fieldsV1"))
}

/// Returns what the server notes of the fields that a manager applied.
fn entry<'a>(object: &'a Value, manager: &str) -> Option<&'a Value> {
    let entries = object.pointer("/metadata/managedFields").and_then(Value::as_array)?;
    entries.iter().find(|entry| {
        let says = |field: &str| entry.get(field).and_then(Value::as_str);
        says("manager") == Some(manager)
            && says("operation") == Some("Apply")
            && says("subresource").is_none()
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::between;

    #[test]
    fn only_what_a_write_would_change_counts() {
        let cases = [
            (json!({ "data": { "a": "1" } }), json!({ "data": { "a": "1" } }), vec![]),
            (json!({ "data": { "a": "1" } }), json!({ "data": { "a": "2" } }), vec!["data.a"]),
            (json!({ "data": { "a": "1", "b": "" } }), json!({ "data": { "a": "1" } }), vec!["data.b"]),
            (json!({ "spec": { "l": [1, 2] } }), json!({ "spec": { "l": [1, 3] } }), vec!["spec.l[1]"]),
            (json!({ "spec": { "l": [1] } }), json!({ "spec": { "l": [1, 3] } }), vec!["spec.l"]),
            (json!({ "status": { "x": 1 } }), json!({ "status": { "x": 2 } }), vec![]),
            (
                json!({ "metadata": { "resourceVersion": "1", "labels": { "a": "1" } } }),
                json!({ "metadata": { "resourceVersion": "2", "labels": { "a": "2" } } }),
                vec!["metadata.labels.a"],
            ),
            (
                json!({ "metadata": { "annotations": { "example.org/a": "1" } } }),
                json!({ "metadata": { "annotations": { "example.org/a": "2" } } }),
                vec!["metadata.annotations[example.org/a]"],
            ),
        ];
        for (live, dry_run, expected) in cases {
            assert_eq!(between(&live, &dry_run, "windlass:shop"), expected, "{live} {dry_run}");
        }
    }

    #[test]
    fn taking_ownership_is_a_change() {
        let managed = |fields| {
            json!({ "metadata": { "managedFields": [
            { "manager": "windlass:shop", "operation": "Apply", "fieldsV1": fields } ] } })
        };
        let (one, two) = (managed(json!({ "f:data": {} })), managed(json!({ "f:data": { "f:a": {} } })));
        assert_eq!(between(&one, &two, "windlass:shop"), ["metadata.managedFields"]);
        assert!(between(&one, &one, "windlass:shop").is_empty());
        assert!(between(&one, &two, "windlass:blog").is_empty());
    }
}
