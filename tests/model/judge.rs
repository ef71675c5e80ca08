//! Whether a live object is what its manifest says.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;
use windlass::member::PART_OF;

use crate::hands::is_called;
use crate::objects::keys;

/// Which keys tell the items of a list apart, where items have one of them.
const IDENTITIES: [&str; 3] = ["name", "containerPort", "port"];

/// Returns where a live object does not hold what a manifest sets, in words; nothing where it holds all of it. Empty
/// values set nothing, and the server may leave out what is as good as nothing.
pub fn lacks(manifest: &Value, live: &Value) -> Option<String> {
    let mut manifest = manifest.clone();
    let plain = manifest.as_object_mut().and_then(|map| map.remove("stringData"));
    for (key, value) in plain.as_ref().and_then(Value::as_object).into_iter().flatten() {
        let encoded = json!(STANDARD.encode(value.as_str().unwrap_or_default()));
        if live["data"][key] != encoded {
            return Some(format!("/data/{key} is {}, not {encoded}", live["data"][key]));
        }
    }
    differs(&manifest, live, "")
}

fn differs(manifest: &Value, live: &Value, path: &str) -> Option<String> {
    match (manifest, live) {
        (Value::Null, _) => None,
        (Value::Object(wanted), _) => wanted.iter().find_map(|(key, value)| {
            differs(value, live.get(key).unwrap_or(&Value::Null), &format!("{path}/{key}"))
        }),
        (Value::Array(wanted), Value::Array(held)) => differ(wanted, held, path),
        (Value::Array(wanted), Value::Null) if wanted.is_empty() => None,
        (Value::Bool(false), Value::Null) => None,
        (Value::String(text), Value::Null) if text.is_empty() && path.ends_with("/value") => None,
        (Value::Number(number), Value::Null) if number.as_i64() == Some(0) => None,
        (wanted, held) if is_same(wanted, held) => None,
        (wanted, held) => Some(format!("{path} is {held}, not {wanted}")),
    }
}

/// Compares lists: item by item with those that are called the same, or as they stand.
fn differ(wanted: &[Value], held: &[Value], path: &str) -> Option<String> {
    let named = |item: &Value| IDENTITIES.iter().find(|key| item.get(**key).is_some()).copied();
    if wanted.iter().all(|item| named(item).is_some()) {
        return wanted.iter().find_map(|item| {
            let key = named(item).unwrap_or_default();
            let fits = |other: &&Value| other[key] == item[key] && differs(item, other, path).is_none();
            held.iter().find(fits).is_none().then(|| format!("{path} lacks {item}: {held:?}"))
        });
    }
    if wanted.len() != held.len() {
        return Some(format!("{path} has {} items, not {}", held.len(), wanted.len()));
    }
    wanted.iter().zip(held).find_map(|(wanted, held)| differs(wanted, held, path))
}

/// Compares two plain values, of which each may be a quantity in its own spelling.
fn is_same(one: &Value, other: &Value) -> bool {
    one == other || quantity(one).zip(quantity(other)).is_some_and(|(one, other)| (one - other).abs() < 1e-9)
}

fn quantity(value: &Value) -> Option<f64> {
    let text = match value {
        Value::Number(number) => return number.as_f64(),
        Value::String(text) => text,
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return None,
    };
    let units =
        [("m", 1e-3), ("k", 1e3), ("Ki", 1024.0), ("Mi", 1_048_576.0), ("Gi", 1_073_741_824.0), ("", 1.0)];
    units.iter().find_map(|(unit, factor)| text.strip_suffix(unit)?.parse::<f64>().ok().map(|n| n * factor))
}

/// Returns what a live object has at a place of the model.
pub fn at<'a>(live: &'a Value, pointer: &str) -> Option<&'a Value> {
    keys(pointer).iter().try_fold(live, |here, key| match key.strip_prefix('@') {
        Some(name) => here.as_array()?.iter().find(|item| is_called(item, name)),
        None => here.get(key),
    })
}

/// Returns a live object as far as a write that changes nothing leaves it alone.
pub fn settled(object: &Value) -> Value {
    let mut object = object.clone();
    let Some(map) = object.as_object_mut() else { return object };
    drop(map.remove("status"));
    let Some(metadata) = map.get_mut("metadata").and_then(Value::as_object_mut) else { return object };
    drop(metadata.remove("resourceVersion"));
    // Of some kinds it counts up where an empty list is written again, which is kept as none.
    drop(metadata.remove("generation"));
    let entries = metadata.get_mut("managedFields").and_then(Value::as_array_mut);
    for entry in entries.into_iter().flatten().filter_map(Value::as_object_mut) {
        drop(entry.remove("time"));
        // An explicit null owns an empty map only where there is one, which a controller may have made since.
        let owned = entry.get_mut("fieldsV1").and_then(|fields| fields.get_mut("f:metadata"));
        if let Some(owned) = owned.and_then(Value::as_object_mut) {
            owned.retain(|key, value| key != "f:annotations" || *value != json!({}));
        }
    }
    if let Some(Value::Array(entries)) = metadata.get_mut("managedFields") {
        // What controllers say of it may change between two looks.
        entries.retain(|entry| entry["subresource"] != "status");
        entries.sort_by_key(Value::to_string);
    }
    object
}

/// Returns where two objects differ, in words.
pub fn difference(one: &Value, other: &Value, path: &str) -> Vec<String> {
    match (one, other) {
        (Value::Object(a), Value::Object(b)) => {
            let all: std::collections::BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            let of = |map: &'_ Map<String, Value>, key: &str| map.get(key).cloned().unwrap_or_default();
            all.iter()
                .flat_map(|key| difference(&of(a, key), &of(b, key), &format!("{path}/{key}")))
                .collect()
        }
        _ if one == other => Vec::new(),
        _ => vec![format!("{path}: {one} or {other}")],
    }
}

/// Returns a manifest as it is to be applied: with the label of the application's set, and with what a Secret says in
/// plain as its data, whose owner the server notes.
pub fn applicable(manifest: &Value, set: &str) -> Value {
    let mut manifest = manifest.clone();
    if !manifest["metadata"]["labels"].is_object() {
        manifest["metadata"]["labels"] = json!({});
    }
    manifest["metadata"]["labels"][PART_OF] = json!(set);
    let plain = manifest.as_object_mut().and_then(|map| map.remove("stringData"));
    for (key, text) in plain.as_ref().and_then(Value::as_object).into_iter().flatten() {
        let encoded = STANDARD.encode(text.as_str().unwrap_or_default());
        if !manifest["data"].is_object() {
            manifest["data"] = json!({});
        }
        manifest["data"][key] = json!(encoded);
    }
    manifest
}
