//! Descriptions of APIs, cut down to what a test asks for: the whole of GitHub's takes Prism half a minute to read.

use std::collections::BTreeSet;

use serde_json::Map;
use serde_json::Value;

/// Keeps the paths that begin so, and of all else what they refer to.
pub fn cut(whole: &Value, begin: &[&str]) -> Value {
    let mut kept = whole.clone();
    let paths = kept["paths"].as_object_mut().unwrap();
    paths.retain(|path, _| begin.iter().any(|begin| path.starts_with(begin)));
    assert!(paths.len() >= begin.len(), "the description has no {begin:?}");
    let needed = needed(whole, &kept["paths"]);
    for shelf in ["/components/schemas", "/components/examples", "/components/parameters", "/definitions"] {
        if let Some(Value::Object(entries)) = kept.pointer_mut(shelf) {
            entries.retain(|name, _| needed.contains(&format!("{shelf}/{}", name.replace('/', "~1"))));
        }
    }
    kept.as_object_mut().unwrap().remove("x-webhooks");
    kept
}

/// Returns all that a part of a description refers to, directly or through others.
fn needed(whole: &Value, part: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut open = Vec::new();
    references(part, &mut open);
    // What every answer may share is kept as it is, and so is all that it needs.
    for shared in ["/components/responses", "/components/headers", "/responses"] {
        whole.pointer(shared).into_iter().for_each(|shared| references(shared, &mut open));
    }
    while let Some(pointer) = open.pop() {
        let target = whole.pointer(&pointer).unwrap_or_else(|| panic!("the description has no {pointer}"));
        if found.insert(pointer) {
            references(target, &mut open);
        }
    }
    found
}

fn references(part: &Value, into: &mut Vec<String>) {
    if let Value::Object(fields) = part {
        into.extend(reference(fields));
        fields.values().for_each(|value| references(value, into));
    }
    if let Value::Array(items) = part {
        items.iter().for_each(|value| references(value, into));
    }
}

fn reference(fields: &Map<String, Value>) -> Option<String> {
    fields.get("$ref")?.as_str()?.strip_prefix('#').map(str::to_owned)
}
