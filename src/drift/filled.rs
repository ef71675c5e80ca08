//! Whether what a manifest means depends on what a definition fills in.
//!
//! The items of a list may be told from each other by keys that have a default. Where a manifest leaves such a key out, the
//! definition of its kind says which item it declares, and another definition may say another one: the same manifest, and
//! the same live object, are then as declared no more. Kubernetes's own kinds always fill in the same.

use serde_json::Value;

use super::declared::Path;
use crate::object::group_and_version;
use crate::object::is_kubernetes;

/// Returns whether a manifest leaves out keys of items that `manager` applied before, and that a definition fills in. Of
/// such an object, nothing that was known of it stays known.
#[must_use]
pub fn leaves_out_keys(live: &Value, manifest: &Value, manager: &str) -> bool {
    let version = manifest.get("apiVersion").and_then(Value::as_str).unwrap_or_default();
    let (group, _) = group_and_version(version);
    !is_kubernetes(group) && super::owned(live, manager).is_some_and(|fields| lacks_keys(manifest, fields))
}

/// Walks what is declared and owned alike.
fn lacks_keys(manifest: &Value, fields: &Value) -> bool {
    match manifest {
        Value::Object(map) => map.iter().any(|(key, value)| {
            fields.get(format!("f:{key}")).is_some_and(|fields| lacks_keys(value, fields))
        }),
        Value::Array(items) => {
            let all = fields.as_object().into_iter().flatten();
            let mut named = all.filter_map(|(key, fields)| Some((Path::read(key)?.keys()?, fields)));
            named.any(|(keys, fields)| {
                items
                    .iter()
                    .any(|item| keys.iter().any(|key| item.get(key).is_none()) || lacks_keys(item, fields))
            })
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use serde_json::json;

    use super::leaves_out_keys;

    #[test]
    fn a_key_that_only_a_definition_fills_in_is_found() {
        let fields = json!({ "f:spec": { "f:parts": { "k:{\"name\":\"a\"}": { ".": {}, "f:name": {}, "f:ports": {
            "k:{\"port\":80,\"protocol\":\"TCP\"}": { ".": {}, "f:port": {} } } } } } });
        let live = json!({ "metadata": { "managedFields": [
            { "manager": "us", "operation": "Apply", "fieldsV1": fields } ] } });
        let of = |version: &str, port: Value| json!({ "apiVersion": version, "spec": { "parts": [{ "name": "a", "ports": [port] }], "other": [{}] } });
        let (short, whole) = (json!({ "port": 80 }), json!({ "port": 80, "protocol": "TCP" }));
        for (manifest, manager, found) in [
            (of("example.org/v1", short.clone()), "us", true),
            (of("example.org/v1", json!(80)), "us", true),
            (of("example.org/v1", whole), "us", false),
            (of("example.org/v1", short.clone()), "them", false),
            (of("apps/v1", short.clone()), "us", false),
            (of("v1", short), "us", false),
            (json!({ "apiVersion": "example.org/v1", "spec": null }), "us", false),
        ] {
            assert_eq!(leaves_out_keys(&live, &manifest, manager), found, "{manifest}");
        }
    }
}
