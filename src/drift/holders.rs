//! Who beside an application set a field of a live object.

use serde_json::Value;

use super::ceded::others_of;
use super::declared::Absent;
use super::declared::Path;
use super::field;
use super::is_leaf;

/// Returns the managers other than `manager` that own a field of a live object, by the name that
/// [`super::between`] gives the field; without those who write only the status.
#[must_use]
pub fn holders<'a>(live: &'a Value, name: &str, manager: &str) -> Vec<&'a str> {
    let Some(pointer) = field::pointer(name) else { return Vec::new() };
    let steps: Vec<String> =
        pointer.split('/').skip(1).map(|step| step.replace("~1", "/").replace("~0", "~")).collect();
    let mut found: Vec<&str> = others_of(live, manager)
        .filter(|(_, fields)| owns(fields, live, &steps))
        .map(|(name, _)| name)
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// Returns whether these fields hold the one at the end of some steps from a live value.
fn owns(fields: &Value, live: &Value, steps: &[String]) -> bool {
    // Of what is owned in parts, the others may keep theirs.
    let Some((step, rest)) = steps.split_first() else { return is_leaf(fields) };
    match live {
        Value::Object(map) => {
            let Some(within) = fields.get(format!("f:{step}")) else { return false };
            // What is owned as a whole is owned in each part.
            is_leaf(within) || map.get(step).is_some_and(|live| owns(within, live, rest))
        }
        Value::Array(items) => {
            let item = step.parse().ok().and_then(|at: usize| items.get(at));
            item.is_some_and(|item| {
                of_item(fields, item).any(|within| is_leaf(within) || owns(within, item, rest))
            })
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// Returns what these fields say of an item of a list.
fn of_item<'a>(fields: &'a Value, item: &Value) -> impl Iterator<Item = &'a Value> {
    let named = fields.as_object().into_iter().flatten();
    named
        .filter(|(key, _)| Path::read(key).is_some_and(|path| path.fits(item, Absent::Differs)))
        .map(|(_, within)| within)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::holders;

    #[test]
    fn whose_a_field_is_by_table() {
        let entry = |manager: &str, subresource: &str, fields: serde_json::Value| json!({ "manager": manager, "operation": "Update", "subresource": subresource, "fieldsV1": fields });
        let port = r#"k:{"containerPort":80,"protocol":"TCP"}"#;
        let live = json!({
            "metadata": { "annotations": { "a.b/c": "1" }, "managedFields": [
                { "manager": "windlass:shop", "operation": "Apply", "fieldsV1": { "f:spec": { "f:replicas": {} } } },
                entry("kubectl-edit", "", json!({ "f:spec": { "f:replicas": {}, "f:whole": {} },
                    "f:metadata": { "f:annotations": { ".": {}, "f:a.b/c": {} } } })),
                entry("scaler", "scale", json!({ "f:spec": { "f:replicas": {} } })),
                entry("kubelet", "status", json!({ "f:spec": { "f:replicas": {} } })),
                entry("injector", "", json!({ "f:spec": { "f:ports": { port: { ".": {}, "f:name": {} } } } })),
            ] },
            "spec": { "replicas": 3, "whole": { "x": 1 }, "alone": 1,
                "ports": [ { "containerPort": 1, "protocol": "TCP" }, { "containerPort": 80, "protocol": "TCP", "name": "web" } ] },
        });
        let cases: [(&str, &[&str]); 10] = [
            ("spec.replicas", &["kubectl-edit", "scaler"]),
            ("spec.whole", &["kubectl-edit"]),
            ("spec.whole.x", &["kubectl-edit"]),
            ("spec.alone", &[]),
            ("spec.missing", &[]),
            ("metadata.annotations[a.b/c]", &["kubectl-edit"]),
            ("spec.ports[1].name", &["injector"]),
            ("spec.ports[0].name", &[]),
            ("spec.ports", &[]),
            ("", &[]),
        ];
        for (name, expected) in cases {
            assert_eq!(holders(&live, name, "windlass:shop"), expected, "{name}");
        }
    }
}
