//! Whether a live object is known to be as declared, without asking the server.
//!
//! The server notes for each manager which fields it applied (`managedFields`, in the form `fieldsV1`). Where those are
//! exactly the fields that the manifest sets, and the live object has the manifest's value at each of them, then applying
//! the manifest again sets nothing, removes nothing and takes nothing over. Whatever is not as plain as that (values that
//! the server writes in another way, lists in another order, defaults within what is owned as a whole) is left to a
//! dry-run.

use serde_json::Map;
use serde_json::Value;

/// What a manifest says that no manager owns: it names the object.
pub(super) const NAMES: [&str; 2] = ["apiVersion", "kind"];

/// What a manifest's metadata says that no manager owns.
pub(super) const METADATA_NAMES: [&str; 2] = ["name", "namespace"];

/// Returns whether applying `manifest` as `manager` would leave `live` as it is, for certain. False says nothing: only
/// the server's dry-run knows then.
///
/// `same` says that this manifest was the last one that `manager` applied. Of a map that is owned without its keys, nobody
/// can tell otherwise whether all of it is owned, or an empty one was declared and others filled it.
#[must_use]
pub fn is_as_declared(live: &Value, manifest: &Value, manager: &str, same: bool) -> bool {
    let Some(version) = manifest.get("apiVersion").and_then(Value::as_str) else { return false };
    if live.get("apiVersion").and_then(Value::as_str) != Some(version) {
        return false;
    }
    if super::leaves_out_keys(live, manifest, manager) {
        return false;
    }
    let entry = super::entry(live, manager);
    let entry = entry.filter(|entry| entry.get("apiVersion").and_then(Value::as_str) == Some(version));
    let objects = (entry.and_then(|entry| entry.get("fieldsV1")), manifest, live);
    let (Some(Value::Object(fields)), Value::Object(manifest), Value::Object(live)) = objects else {
        return false;
    };
    let nothing = Value::Object(Map::new());
    let metadata = [("metadata", manifest), ("metadata", live), ("f:metadata", fields)];
    let [Value::Object(told), Value::Object(held), Value::Object(owned)] =
        metadata.map(|(key, object)| object.get(key).unwrap_or(&nothing))
    else {
        return false;
    };
    Both { manifest, live, fields, same }.are_same(&|key| NAMES.contains(&key) || key == "metadata")
        && Both { manifest: told, live: held, fields: owned, same }
            .are_same(&|key| METADATA_NAMES.contains(&key))
}

/// A map of the manifest, the same one of the live object, and the fields of it that are owned.
struct Both<'a> {
    manifest: &'a Map<String, Value>,
    live: &'a Map<String, Value>,
    fields: &'a Map<String, Value>,
    same: bool,
}

impl Both<'_> {
    /// Returns whether all that the manifest sets here is owned and as declared, and nothing else is owned. `passed`
    /// says which keys do not count.
    fn are_same(&self, passed: &dyn Fn(&str) -> bool) -> bool {
        let mut told = 0;
        for (key, manifest) in self.manifest.iter().filter(|(key, _)| !passed(key)) {
            told += 1;
            let (Some(live), Some(fields)) = (self.live.get(key), self.fields.get(&format!("f:{key}")))
            else {
                return false;
            };
            if !is_same(manifest, live, fields, self.same) {
                return false;
            }
        }
        let owned =
            self.fields.keys().filter(|key| *key != "." && !key.strip_prefix("f:").is_some_and(passed));
        owned.count() == told
    }
}

/// Compares one value, of which these fields are owned: none means all of it.
fn is_same(manifest: &Value, live: &Value, fields: &Value, same: bool) -> bool {
    let Some(fields) = fields.as_object() else { return false };
    if fields.keys().all(|key| key == ".") {
        let tells = same || manifest.as_object().is_none_or(Map::is_empty);
        return manifest == live && tells;
    }
    match (manifest, live) {
        (Value::Object(manifest), Value::Object(live)) => {
            Both { manifest, live, fields, same }.are_same(&|_| false)
        }
        (Value::Array(manifest), Value::Array(live)) => are_same_items(manifest, live, fields, same),
        _ => false,
    }
}

/// Compares lists whose items are owned one by one: by their keys, or as a set of values. The items of the manifest must
/// be in the live list in the same order, since applying puts them into it.
fn are_same_items(manifest: &[Value], live: &[Value], fields: &Map<String, Value>, same: bool) -> bool {
    let owned = fields.iter().filter(|(key, _)| *key != ".");
    let Some(mut owned) =
        owned.map(|(key, fields)| Some((Path::read(key)?, fields))).collect::<Option<Vec<_>>>()
    else {
        return false;
    };
    let mut after = 0;
    for item in manifest {
        let Some(at) = owned.iter().position(|(path, _)| path.fits(item, Absent::Fits)) else { return false };
        let (path, fields) = owned.swap_remove(at);
        let mut rest = live.iter().enumerate().skip(after);
        let Some((at, held)) = rest.find(|(_, held)| path.fits(held, Absent::Differs)) else { return false };
        after = at + 1;
        let equal = match path {
            Path::Value(_) => true,
            Path::Keys(_) => is_same(item, held, fields, same),
        };
        if !equal {
            return false;
        }
    }
    owned.is_empty()
}

/// How an item of a list is named in `fieldsV1`.
pub(super) enum Path {
    /// `k:{…}`: by the values of its keys.
    Keys(Map<String, Value>),
    /// `v:…`: by itself.
    Value(Value),
}

/// Does an item that lacks a key have it? In a manifest the server fills it in by default.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Absent {
    Fits,
    Differs,
}

impl Path {
    pub(super) fn read(key: &str) -> Option<Self> {
        if let Some(keys) = key.strip_prefix("k:") {
            return serde_json::from_str(keys).ok().map(Self::Keys);
        }
        serde_json::from_str(key.strip_prefix("v:")?).ok().map(Self::Value)
    }

    /// Returns the keys by which items are named; nothing where they are values of a set.
    pub(super) fn keys(&self) -> Option<Vec<String>> {
        match self {
            Self::Keys(keys) => Some(keys.keys().cloned().collect()),
            Self::Value(_) => None,
        }
    }

    pub(super) fn fits(&self, item: &Value, absent: Absent) -> bool {
        match self {
            Self::Value(value) => value == item,
            Self::Keys(keys) => keys.iter().all(|(key, value)| match item.get(key) {
                Some(found) => found == value,
                None => absent == Absent::Fits,
            }),
        }
    }
}

#[cfg(test)]
mod tests;
