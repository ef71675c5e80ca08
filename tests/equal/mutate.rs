//! Changes by chance of manifests and of live objects.

use serde_json::Value;
use serde_json::json;

use crate::world::chance::Chance;

/// What no change touches: it names the object.
const NAMES: [&str; 4] = ["apiVersion", "kind", "name", "namespace"];

/// Other ways to write a quantity, of which each pair means the same.
const QUANTITIES: [(&str, &str); 4] =
    [("1", "1000m"), ("500m", "0.5"), ("1Gi", "1024Mi"), ("100Mi", "104857600")];

/// Changes a manifest in one place.
pub fn manifest(value: &Value, chance: &mut Chance) -> Value {
    let mut value = value.clone();
    match chance.below(8) {
        0 => labels(&mut value, "labels")["changed"] = json!(chance.below(100).to_string()),
        1 => labels(&mut value, "annotations")["changed"] = json!(chance.below(100).to_string()),
        2 => labels(&mut value, "labels")["empty"] = json!(""),
        _ => one_place(&mut value, chance),
    }
    value
}

/// Changes a live object in one place, as another manager would.
pub fn live(value: &Value, chance: &mut Chance) -> Value {
    let mut value = value.clone();
    if chance.below(3) == 0 {
        labels(&mut value, "annotations")["meddled"] = json!(chance.below(100).to_string());
        return value;
    }
    value.as_object_mut().unwrap().remove("status");
    one_place(&mut value, chance);
    value
}

fn labels<'a>(value: &'a mut Value, which: &str) -> &'a mut Value {
    let found = &mut value["metadata"][which];
    if !found.is_object() {
        *found = json!({});
    }
    found
}

/// Changes one value somewhere below the names.
fn one_place(value: &mut Value, chance: &mut Chance) {
    let mut paths = Vec::new();
    walk(value, &mut String::new(), &mut paths);
    if paths.is_empty() {
        return;
    }
    let path = &paths[chance.below(paths.len())];
    let (parent, key) = path.rsplit_once('/').unwrap();
    match chance.below(5) {
        0 => remove(value.pointer_mut(parent).unwrap(), key),
        1 => add(value.pointer_mut(parent).unwrap(), chance),
        2 => *value.pointer_mut(path).unwrap() = Value::Null,
        _ => change(value.pointer_mut(path).unwrap(), chance),
    }
}

fn walk(value: &Value, path: &mut String, paths: &mut Vec<String>) {
    let children: Vec<(String, &Value)> = match value {
        Value::Object(fields) => fields.iter().map(|(key, value)| (key.clone(), value)).collect(),
        Value::Array(items) => items.iter().enumerate().map(|(i, value)| (i.to_string(), value)).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    };
    for (key, child) in children {
        let top = path.is_empty() || path == "/metadata";
        let server = path == "/metadata" && !["labels", "annotations"].contains(&key.as_str());
        if (top && NAMES.contains(&key.as_str())) || server {
            continue;
        }
        let length = path.len();
        path.push('/');
        path.push_str(&key.replace('~', "~0").replace('/', "~1"));
        if path != "/metadata" {
            paths.push(path.clone());
        }
        walk(child, path, paths);
        path.truncate(length);
    }
}

fn remove(parent: &mut Value, key: &str) {
    match parent {
        Value::Object(fields) => drop(fields.remove(&key.replace("~1", "/").replace("~0", "~"))),
        Value::Array(items) => drop(items.remove(key.parse().unwrap())),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn add(parent: &mut Value, chance: &mut Chance) {
    match parent {
        Value::Object(fields) => drop(fields.insert(format!("added{}", chance.below(3)), json!("new"))),
        Value::Array(items) => match chance.below(3) {
            0 => items.reverse(),
            1 => items.push(items[chance.below(items.len())].clone()),
            _ => items.push(json!("new")),
        },
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn change(value: &mut Value, chance: &mut Chance) {
    match value {
        Value::String(text) => {
            let other =
                QUANTITIES.iter().flat_map(|(a, b)| [(a, b), (b, a)]).find(|(a, _)| **a == text.as_str());
            match other {
                Some((_, other)) => (*other).clone_into(text),
                None => text.push_str("-x"),
            }
        }
        Value::Number(number) => {
            let number = number.as_i64().unwrap_or_default();
            *value = if chance.below(4) == 0 { json!(number.to_string()) } else { json!(number + 1) };
        }
        Value::Bool(yes) => *yes = !*yes,
        Value::Array(items) => items.reverse(),
        Value::Object(fields) => fields.clear(),
        Value::Null => *value = json!({}),
    }
}
