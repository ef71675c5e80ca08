//! From a JSON value to the objects that it declares.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Map;
use serde_json::Value;

use crate::annotation;
use crate::manifest::Problems;
use crate::manifest::problem;
use crate::object::Manifest;
use crate::object::ObjectId;
use crate::object::Place;

/// How long may a name be? The API server's own limit.
const NAME: usize = 253;
/// How long may a namespace, a kind and a version be? The API server's own limit for labels.
const LABEL: usize = 63;

/// What of `metadata` only a server sets. Applying it would fail or claim what is not windlass's.
const SERVERS: [&str; 6] =
    ["managedFields", "resourceVersion", "uid", "creationTimestamp", "generation", "selfLink"];

/// Takes the objects of a document, or tells what is wrong with it. An empty document declares nothing.
pub(super) fn take(value: Value, place: &Place, into: &mut Vec<Manifest>, problems: &mut Problems) {
    let map = match value {
        Value::Null => return,
        Value::Object(map) => map,
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            return problems
                .tell(problem(place, "is no mapping; an object has apiVersion, kind and metadata"));
        }
    };
    match items(map) {
        Err(map) => match manifest(map, place) {
            Ok(manifest) => into.push(manifest),
            Err(why) => problems.tell(problem(place, why)),
        },
        Ok(items) => {
            for item in items {
                if item.is_null() {
                    problems.tell(problem(place, "has an item that is empty"));
                }
                take(item, place, into, problems);
            }
        }
    }
}

/// Takes the objects of a document as they are.
pub(super) fn whole(value: Value, place: &Place, into: &mut Vec<Value>, problems: &mut Problems) {
    match value {
        Value::Null => {}
        Value::Object(map) => match items(map) {
            Err(map) => into.push(Value::Object(map)),
            Ok(items) => items.into_iter().for_each(|item| whole(item, place, into, problems)),
        },
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            problems.tell(problem(place, "is no mapping; an object has apiVersion, kind and metadata"));
        }
    }
}

/// Takes a list apart; gives anything else back.
fn items(mut map: Map<String, Value>) -> Result<Vec<Value>, Map<String, Value>> {
    let Some(kind) = map.get("kind").and_then(Value::as_str).map(str::to_owned) else { return Err(map) };
    let Some(item_kind) = kind.strip_suffix("List") else { return Err(map) };
    let empty = item_kind.is_empty() && map.get("items").is_some_and(Value::is_null);
    if map.contains_key("sops") || !(empty || map.get("items").is_some_and(Value::is_array)) {
        return Err(map);
    }
    let version = map.remove("apiVersion");
    let Some(Value::Array(mut items)) = map.remove("items") else { return Ok(Vec::new()) };
    if !item_kind.is_empty() {
        // The items of a list of one kind, such as a ConfigMapList, need not repeat what they are.
        for item in items.iter_mut().filter_map(Value::as_object_mut) {
            if !item.contains_key("kind") && !item.contains_key("apiVersion") {
                let _kind = item.insert("kind".to_owned(), Value::String(item_kind.to_owned()));
                let _version = item.insert("apiVersion".to_owned(), version.clone().unwrap_or_default());
            }
        }
    }
    Ok(items)
}

fn manifest(mut map: Map<String, Value>, place: &Place) -> Result<Manifest, String> {
    let refuse = str::to_owned;
    if map.contains_key("sops") {
        return Err(refuse(
            "is encrypted with SOPS, and SOPS is not supported yet: keep it out of the application's path",
        ));
    }
    let api_version = text(&map, "apiVersion").ok_or_else(|| refuse("has no apiVersion, such as apps/v1"))?;
    let kind = text(&map, "kind").ok_or_else(|| refuse("has no kind, such as Deployment"))?;
    let group =
        group(&api_version).ok_or_else(|| refuse("has an apiVersion that is none, such as apps/v1"))?;
    if group == "kustomize.config.k8s.io" {
        return Err(refuse(
            "is for kustomize, which is not supported yet: commit what kustomize makes of it",
        ));
    }
    if !is_kind(&kind) {
        return Err(refuse("has a kind that is none: a kind has letters and digits, such as Deployment"));
    }
    let metadata = map.get_mut("metadata").and_then(Value::as_object_mut);
    let metadata = metadata.ok_or_else(|| format!("({kind}) has no metadata with a name"))?;
    let (name, namespace) = named(metadata).map_err(|why| format!("({kind}) {why}"))?;
    for field in SERVERS {
        drop(metadata.remove(field));
    }
    drop(map.remove("status"));
    if group.is_empty() && kind == "Secret" {
        encode(&mut map);
    }
    let value = Value::Object(map);
    let wrong = annotation::problems(&value);
    if !wrong.is_empty() {
        return Err(format!("({kind} {name}) {}", wrong.join("; ")));
    }
    let id = ObjectId { group, kind, namespace, name };
    Ok(Manifest { id, api_version, value, place: place.clone() })
}

/// Writes what a Secret says in `stringData` into its `data`, as the server does with what it stores. The server notes
/// nobody as the owner of what comes to be in `data` that way: a key that is taken out would stay for ever, and nobody
/// would see that somebody else changed it. What is no text is left for the server to refuse.
fn encode(map: &mut Map<String, Value>) {
    let texts = match map.get("stringData") {
        Some(Value::Object(plain)) => {
            plain.iter().map(|(key, text)| Some((key.clone(), text.as_str()?.to_owned())))
        }
        Some(Value::Null) => return drop(map.remove("stringData")),
        Some(Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) | None => return,
    };
    let Some(texts) = texts.collect::<Option<Vec<_>>>() else { return };
    let mut data = match map.get("data") {
        Some(Value::Object(data)) => data.clone(),
        Some(Value::Null) | None => Map::new(),
        Some(Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) => return,
    };
    drop(map.remove("stringData"));
    if texts.is_empty() {
        return;
    }
    data.extend(texts.into_iter().map(|(key, text)| (key, Value::String(STANDARD.encode(text)))));
    let _before = map.insert("data".to_owned(), Value::Object(data));
}

fn text(map: &Map<String, Value>, key: &str) -> Option<String> {
    map.get(key).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
}

/// Reads the name and the namespace, and leaves out an empty namespace.
fn named(metadata: &mut Map<String, Value>) -> Result<(String, Option<String>), &'static str> {
    if metadata.contains_key("generateName") {
        return Err(
            "has metadata.generateName: every pass would make another object; give it a metadata.name",
        );
    }
    let name = match metadata.get("name") {
        Some(Value::String(name)) if !name.is_empty() => name.clone(),
        None | Some(Value::Null | Value::String(_)) => return Err("has no metadata.name"),
        Some(_) => return Err("has a metadata.name that is no text; quote it"),
    };
    if !is_name(&name) {
        return Err("has a metadata.name that is none: letters, digits and -._:@, at most 253");
    }
    let namespace = match metadata.get("namespace") {
        None | Some(Value::Null) => None,
        Some(Value::String(namespace)) if namespace.is_empty() => None,
        Some(Value::String(namespace)) if is_label(namespace) => Some(namespace.clone()),
        Some(Value::String(_)) => {
            return Err(
                "has a metadata.namespace that is none: lowercase letters, digits and inner dashes, at most 63",
            );
        }
        Some(_) => return Err("has a metadata.namespace that is no text; quote it"),
    };
    if namespace.is_none() {
        drop(metadata.remove("namespace"));
    }
    Ok((name, namespace))
}

/// Returns the group of an `apiVersion`; it becomes part of a URL.
fn group(api_version: &str) -> Option<String> {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let version_fine = !version.is_empty()
        && version.len() <= LABEL
        && version.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let grouped = api_version.contains('/');
    let group_fine = group.len() <= NAME && group.split('.').all(is_label);
    (version_fine && (!grouped || group_fine)).then(|| group.to_owned())
}

fn is_kind(kind: &str) -> bool {
    kind.len() <= LABEL
        && kind.starts_with(|c: char| c.is_ascii_alphabetic())
        && kind.bytes().all(|b| b.is_ascii_alphanumeric())
}

/// Names of roles may hold colons and capitals, so this is wider than RFC 1123; the server knows each kind's own rule.
/// It becomes part of a URL.
fn is_name(name: &str) -> bool {
    name.len() <= NAME
        && name != "."
        && name != ".."
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._:@".contains(&b))
}

fn is_label(label: &str) -> bool {
    !label.is_empty()
        && label.len() <= LABEL
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::manifest::Text;
    use crate::manifest::read;
    use crate::object::Manifest;

    fn read_one(text: &str) -> Vec<Manifest> {
        read(&[Text { file: "a.yaml", bytes: text.as_bytes() }]).unwrap()
    }

    #[test]
    fn what_a_secret_says_in_plain_is_read_as_its_data() {
        let cases = [
            ("stringData: {a: b}", json!({ "data": { "a": "Yg==" } })),
            (
                "stringData: {a: b, c: ''}\ndata: {a: eA==, d: eA==}",
                json!({ "data": { "a": "Yg==", "c": "", "d": "eA==" } }),
            ),
            ("stringData: {a: b}\ndata:", json!({ "data": { "a": "Yg==" } })),
            ("stringData: {}", json!({})),
            ("stringData:\ndata: {d: eA==}", json!({ "data": { "d": "eA==" } })),
            // The server refuses these, in its own words.
            ("stringData: {a: 1}", json!({ "stringData": { "a": 1 } })),
            ("stringData: {a: b}\ndata: [x]", json!({ "stringData": { "a": "b" }, "data": ["x"] })),
            ("stringData: x", json!({ "stringData": "x" })),
        ];
        for (text, expected) in cases {
            let of = |kind: &str| read_one(&format!("apiVersion: {kind}\nmetadata: {{name: x}}\n{text}\n"));
            let mut value = of("v1\nkind: Secret")[0].value.clone();
            for key in ["apiVersion", "kind", "metadata"] {
                drop(value.as_object_mut().unwrap().remove(key));
            }
            assert_eq!(value, expected, "{text}");
            assert!(
                of("example.org/v1\nkind: Secret")[0].value.get("stringData").is_some(),
                "{text}: another's kind"
            );
        }
    }
}
