//! Taking an object over from the tool that applied it before.
//!
//! A server takes a field away when the last manager that applied it no longer does. While the former tool's entry is
//! there, none of its fields ever goes, so its entries become ours before the first apply; that apply then removes what
//! the manifest does not set. The source of the rule is how kubectl moves from client-side to server-side apply.

use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::member;

/// The managers that are taken over, with what they do: kubectl, Flux, Argo CD and Helm, each as it writes.
const FORMER: [(&str, &str); 13] = [
    ("kubectl-client-side-apply", "Update"),
    ("kubectl-last-applied", "Update"),
    ("kubectl", "Apply"),
    ("before-first-apply", "Update"),
    ("kustomize-controller", "Apply"),
    ("kustomize-controller", "Update"),
    ("helm-controller", "Apply"),
    ("helm-controller", "Update"),
    ("helm", "Apply"),
    ("helm", "Update"),
    ("argocd-controller", "Apply"),
    ("argocd-controller", "Update"),
    ("argocd-application-controller", "Update"),
];

/// From whom an object is taken over.
#[derive(Clone, Copy, Debug)]
pub struct Taken<'a> {
    /// From former tools, and from these managers beside them?
    pub tools: Option<&'a [String]>,
    /// From this manager: that of the application that it moves from.
    pub owner: Option<&'a str>,
}

impl Taken<'_> {
    fn takes(&self, entry: &Value) -> bool {
        self.tools.is_some_and(|others| is_former(entry, others))
            || self.owner.is_some_and(|owner| is_applied_by(entry, owner))
    }
}

/// Returns the merge patch that makes the entries of former tools in the object `live` those of `manager`; `None` where
/// there is nothing to take, or where the object says no version. The patch names the version that it was made from, so that the server
/// refuses it with a conflict once the object changed.
///
/// An entry of a subresource stays, and so does every other manager's. One manager applies in one version: the fields of
/// an entry in another version than the first are only let go, since they may be called otherwise there.
#[must_use]
pub fn takeover(live: &Value, manager: &str, from: Taken<'_>) -> Option<Value> {
    let version = live.pointer("/metadata/resourceVersion")?.as_str()?;
    let entries = live.pointer("/metadata/managedFields")?.as_array()?;
    let (taken, mut left): (Vec<&Value>, Vec<&Value>) = entries.iter().partition(|entry| from.takes(entry));
    let first = *taken.first()?;
    let ours = left.iter().position(|entry| is_applied_by(entry, manager)).map(|at| left.remove(at));
    let ours = moved(ours.unwrap_or(first), &taken, manager)?;
    let entries: Vec<_> = left.into_iter().cloned().chain([ours]).collect();
    Some(json!({ "metadata": { "managedFields": entries, "resourceVersion": version } }))
}

/// Returns whether all that a manager has in the object `live` is taken over, and nothing of it stays that could conflict.
#[must_use]
pub fn takes_all_of(live: &Value, manager: &str, from: Taken<'_>) -> bool {
    let entries = live.pointer("/metadata/managedFields").and_then(Value::as_array);
    let of_manager = |entry: &&Value| entry.get("manager").and_then(Value::as_str) == Some(manager);
    let mut theirs =
        entries.into_iter().flatten().filter(of_manager).filter(|entry| is_whole(entry)).peekable();
    theirs.peek().is_some() && theirs.all(|entry| from.takes(entry))
}

/// Returns the merge patch by which the object `live` belongs to nobody any more: the label of its set goes, and so do the
/// entries of `manager`, while every field stays as it is. `None` where the object says no version, which the patch names.
#[must_use]
pub fn release(live: &Value, manager: &str) -> Option<Value> {
    let version = live.pointer("/metadata/resourceVersion")?.as_str()?;
    let entries = live.pointer("/metadata/managedFields").and_then(Value::as_array);
    let is_ours = |entry: &&Value| entry.get("manager").and_then(Value::as_str) == Some(manager);
    let mut left: Vec<Value> =
        entries.into_iter().flatten().filter(|entry| !is_ours(entry)).cloned().collect();
    if left.is_empty() {
        // An empty list changes nothing; one empty entry takes all away.
        left.push(json!({}));
    }
    let labels = json!({ member::PART_OF: null });
    Some(json!({ "metadata": { "labels": labels, "managedFields": left, "resourceVersion": version } }))
}

/// Returns the names of the former tools, and of those of `others`, that are taken over with a live object.
pub fn former<'a>(live: &'a Value, others: &'a [String]) -> impl Iterator<Item = &'a str> {
    let entries = live.pointer("/metadata/managedFields").and_then(Value::as_array);
    let taken = entries.into_iter().flatten().filter(|entry| is_former(entry, others));
    taken.filter_map(|entry| entry.get("manager")?.as_str())
}

/// Returns the entry `to` as one that `manager` applied, with the fields of those taken.
fn moved(to: &Value, taken: &[&Value], manager: &str) -> Option<Value> {
    let mut ours = to.clone();
    let version = ours.get("apiVersion").cloned();
    let entry = ours.as_object_mut()?;
    entry.insert("manager".to_owned(), json!(manager));
    entry.insert("operation".to_owned(), json!("Apply"));
    let fields = entry.entry("fieldsV1").or_insert_with(|| json!({}));
    let alike = taken.iter().filter(|entry| entry.get("apiVersion") == version.as_ref());
    for theirs in alike.filter_map(|entry| entry.get("fieldsV1")?.as_object()) {
        unite(fields, theirs);
    }
    Some(ours)
}

/// Adds the fields of one set to another. The depth is that of what was read.
fn unite(fields: &mut Value, theirs: &Map<String, Value>) {
    let Some(fields) = fields.as_object_mut() else { return };
    for (key, value) in theirs {
        let within = fields.entry(key.clone()).or_insert_with(|| json!({}));
        if let Some(value) = value.as_object() {
            unite(within, value);
        }
    }
}

fn is_former(entry: &Value, others: &[String]) -> bool {
    let former = FORMER.iter().any(|(manager, operation)| is(entry, manager, operation));
    let named =
        || others.iter().any(|name| entry.get("manager").and_then(Value::as_str) == Some(name.as_str()));
    (former || named()) && is_whole(entry)
}

fn is_applied_by(entry: &Value, manager: &str) -> bool {
    is(entry, manager, "Apply") && is_whole(entry)
}

fn is(entry: &Value, manager: &str, operation: &str) -> bool {
    let says = |key| entry.get(key).and_then(Value::as_str);
    says("manager") == Some(manager) && says("operation") == Some(operation)
}

/// Is it about the object itself, and not about a subresource?
fn is_whole(entry: &Value) -> bool {
    entry.get("subresource").and_then(Value::as_str).is_none_or(str::is_empty)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use serde_json::json;

    use super::Taken;
    use super::release;
    use super::takeover;
    use super::takes_all_of;

    const US: &str = "windlass:shop";

    fn entry(manager: &str, operation: &str, fields: Value) -> Value {
        json!({ "manager": manager, "operation": operation, "apiVersion": "apps/v1", "fieldsType": "FieldsV1",
            "time": "2026-01-01T00:00:00Z", "fieldsV1": fields })
    }

    fn taken(entries: &[Value]) -> Option<Vec<Value>> {
        let live = json!({ "metadata": { "resourceVersion": "7", "managedFields": entries } });
        let patch = takeover(&live, US, Taken { tools: Some(&[]), owner: None })?;
        assert_eq!(patch["metadata"]["resourceVersion"], "7");
        Some(patch["metadata"]["managedFields"].as_array().unwrap().clone())
    }

    #[test]
    fn what_moves_is_taken_from_its_owner_and_from_tools_only_where_that_is_meant() {
        let entries = [
            entry("windlass:blog", "Apply", json!({ "f:a": {} })),
            entry("helm", "Update", json!({ "f:b": {} })),
            entry("windlass:till", "Apply", json!({ "f:c": {} })),
        ];
        let live = json!({ "metadata": { "resourceVersion": "7", "managedFields": entries } });
        for (tools, owner, managers) in [
            (None, Some("windlass:blog"), &["helm", "windlass:till", US][..]),
            (Some(&[][..]), Some("windlass:blog"), &["windlass:till", US]),
            (Some(&[]), None, &["windlass:blog", "windlass:till", US]),
            (Some(&["windlass:till".to_owned()]), None, &["windlass:blog", US]),
        ] {
            let patch = takeover(&live, US, Taken { tools, owner }).unwrap();
            let entries = patch["metadata"]["managedFields"].as_array().unwrap();
            let found: Vec<_> = entries.iter().map(|entry| entry["manager"].as_str().unwrap()).collect();
            assert_eq!(found, managers, "{tools:?} {owner:?}");
        }
        assert_eq!(takeover(&live, US, Taken { tools: None, owner: None }), None);
        // What a tool wrote in a way that is not taken stays its own.
        let from = Taken { tools: Some(&[]), owner: Some("windlass:blog") };
        let both = [
            entry("kubectl", "Apply", json!({ "f:a": {} })),
            entry("kubectl", "Update", json!({ "f:b": {} })),
        ];
        let both = json!({ "metadata": { "managedFields": both } });
        for (live, manager, all) in [
            (&live, "windlass:blog", true),
            (&live, "helm", true),
            (&live, "windlass:till", false),
            (&live, "nobody", false),
            (&both, "kubectl", false),
        ] {
            assert_eq!(takes_all_of(live, manager, from), all, "{manager}");
        }
    }

    #[test]
    fn each_former_tool_is_taken_over() {
        for (manager, operation) in super::FORMER {
            let fields = json!({ "f:spec": { "f:paused": {} } });
            let entries = taken(&[entry(manager, operation, fields.clone())]).unwrap();
            assert_eq!(entries, [entry(US, "Apply", fields)], "{manager} {operation}");
        }
    }

    #[test]
    fn everybody_else_stays() {
        let mut status = entry("argocd-controller", "Update", json!({ "f:status": {} }));
        status["subresource"] = json!("status");
        let mut scale = entry("kubectl", "Apply", json!({ "f:spec": { "f:replicas": {} } }));
        scale["subresource"] = json!("scale");
        let edit = entry("kubectl-edit", "Update", json!({ "f:spec": {} }));
        let hpa = entry("kube-controller-manager", "Update", json!({ "f:spec": { "f:replicas": {} } }));
        let ours = entry(US, "Apply", json!({}));
        let others = [status, scale, edit, hpa, ours];
        assert_eq!(taken(&others), None);
        let flux = entry("kustomize-controller", "Apply", json!({ "f:spec": { "f:paused": {} } }));
        let all: Vec<_> = others[..4].iter().cloned().chain([flux]).collect();
        let entries = taken(&all).unwrap();
        assert_eq!(entries[..4], others[..4]);
        assert_eq!(entries.len(), 5);
    }

    #[test]
    fn fields_are_united_with_ours() {
        let helm = entry("helm", "Update", json!({ "f:spec": { ".": {}, "f:a": {} } }));
        let kubectl =
            entry("kubectl-client-side-apply", "Update", json!({ "f:spec": { "f:b": { "f:c": {} } } }));
        let ours = entry(US, "Apply", json!({ "f:spec": { "f:b": {} } }));
        let united = json!({ "f:spec": { ".": {}, "f:a": {}, "f:b": { "f:c": {} } } });
        assert_eq!(taken(&[helm, ours, kubectl]).unwrap(), [entry(US, "Apply", united)]);
    }

    #[test]
    fn fields_in_another_version_are_let_go() {
        let helm = entry("helm", "Update", json!({ "f:a": {} }));
        let mut old = entry("kubectl", "Apply", json!({ "f:b": {} }));
        old["apiVersion"] = json!("apps/v1beta1");
        assert_eq!(taken(&[helm, old]).unwrap(), [entry(US, "Apply", json!({ "f:a": {} }))]);
    }

    #[test]
    fn what_is_released_keeps_the_entries_of_others() {
        let mut scale = entry(US, "Update", json!({ "f:spec": { "f:replicas": {} } }));
        scale["subresource"] = json!("scale");
        let (ours, theirs) = (entry(US, "Apply", json!({})), entry("windlass:shop-2", "Apply", json!({})));
        for (entries, left) in [
            (vec![ours.clone(), theirs.clone(), scale], json!([theirs])),
            (vec![ours], json!([{}])),
            (vec![], json!([{}])),
        ] {
            let live = json!({ "metadata": { "resourceVersion": "7", "managedFields": entries } });
            let labels = json!({ crate::member::PART_OF: null });
            let metadata = json!({ "labels": labels, "managedFields": left, "resourceVersion": "7" });
            assert_eq!(release(&live, US), Some(json!({ "metadata": metadata })));
        }
        assert_eq!(release(&json!({ "metadata": {} }), US), None);
    }

    #[test]
    fn what_cannot_be_read_is_left() {
        for live in
            [json!(null), json!({}), json!({ "metadata": { "resourceVersion": "7", "managedFields": 1 } })]
        {
            assert_eq!(takeover(&live, US, Taken { tools: Some(&[]), owner: None }), None);
        }
        assert_eq!(taken(&[json!(1), json!({ "manager": "helm" })]), None);
        let odd = entry("helm", "Update", json!(1));
        assert_eq!(taken(std::slice::from_ref(&odd)).unwrap(), [entry(US, "Apply", json!(1))]);
    }
}
