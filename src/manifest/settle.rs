//! Which namespace each manifest is for, and that none is declared twice.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::manifest::Problems;
use crate::object::Manifest;
use crate::object::ObjectId;
use crate::object::Place;
use crate::object::Scope;
use crate::outcome::Problem;

/// Gives `namespace` to every manifest that names none but needs one, and looks for objects that are declared twice.
/// `scope` says where the objects of an `apiVersion` and kind live; a kind that it does not know stays as it is.
///
/// # Errors
/// Every object of a cluster-scoped kind that names a namespace, and every object that is declared again, with both
/// places; up to 100.
pub fn settle(
    manifests: Vec<Manifest>,
    namespace: &str,
    scope: &dyn Fn(&str, &str) -> Option<Scope>,
) -> Result<Vec<Manifest>, Vec<Problem>> {
    let mut problems = Problems::default();
    let mut settled = Vec::with_capacity(manifests.len());
    for mut manifest in manifests {
        match (scope(&manifest.api_version, &manifest.id.kind), &manifest.id.namespace) {
            (Some(Scope::Namespaced), None) => give(&mut manifest, namespace),
            (Some(Scope::Cluster), Some(_)) => {
                let message = "belongs to no namespace: take metadata.namespace away".to_owned();
                let Manifest { id, place, .. } = manifest;
                problems.tell(Problem { object: Some(id), place: Some(place), message });
                continue;
            }
            (Some(Scope::Namespaced), Some(_)) | (Some(Scope::Cluster), None) | (None, _) => {}
        }
        settled.push(manifest);
    }
    tell_twins(&settled, &mut problems);
    problems.or(settled)
}

fn give(manifest: &mut Manifest, namespace: &str) {
    manifest.id.namespace = Some(namespace.to_owned());
    if let Some(metadata) = manifest.value.get_mut("metadata").and_then(Value::as_object_mut) {
        drop(metadata.insert("namespace".to_owned(), Value::String(namespace.to_owned())));
    }
}

fn tell_twins(manifests: &[Manifest], problems: &mut Problems) {
    let mut first: BTreeMap<&ObjectId, &Place> = BTreeMap::new();
    for Manifest { id, place, .. } in manifests {
        match first.get(id) {
            None => drop(first.insert(id, place)),
            Some(other) => {
                let message = format!("is declared twice: also in {other}");
                problems.tell(Problem { object: Some(id.clone()), place: Some(place.clone()), message });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::settle;
    use crate::manifest::Text;
    use crate::manifest::read;
    use crate::object::Manifest;
    use crate::object::Scope;

    fn read_one(text: &str) -> Vec<Manifest> {
        read(&[Text { file: "a.yaml", bytes: text.as_bytes() }]).unwrap()
    }

    fn scope(api_version: &str, kind: &str) -> Option<Scope> {
        match (api_version, kind) {
            ("v1", "ConfigMap") => Some(Scope::Namespaced),
            ("v1", "Namespace") => Some(Scope::Cluster),
            _ => None,
        }
    }

    fn of(kind: &str, metadata: &str) -> String {
        format!("apiVersion: v1\nkind: {kind}\nmetadata: {metadata}\n")
    }

    #[test]
    fn namespaces_are_given_where_they_are_needed() {
        let text = [
            of("ConfigMap", "{name: a}"),
            of("ConfigMap", "{name: b, namespace: other}"),
            of("Namespace", "{name: c}"),
            of("Thing", "{name: d}"),
        ];
        let manifests = read_one(&text.join("---\n"));
        let settled = settle(manifests, "shop", &scope).unwrap();
        let ids: Vec<String> = settled.iter().map(|m| m.id.to_string()).collect();
        assert_eq!(ids, ["ConfigMap/shop/a", "ConfigMap/other/b", "Namespace/c", "Thing/d"]);
        assert_eq!(settled[0].value["metadata"]["namespace"], "shop");
        assert_eq!(settled[3].value["metadata"], json!({"name": "d"}));
    }

    #[test]
    fn an_object_is_declared_once_and_in_its_place() {
        let text = [
            of("ConfigMap", "{name: a}"),
            of("Namespace", "{name: c, namespace: shop}"),
            of("ConfigMap", "{name: a, namespace: shop}"),
        ];
        let manifests = read_one(&text.join("---\n"));
        let problems = settle(manifests, "shop", &scope).unwrap_err();
        let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "Namespace/shop/c: belongs to no namespace: take metadata.namespace away (a.yaml:5 (document 2))",
                "ConfigMap/shop/a: is declared twice: also in a.yaml:1 (document 1) (a.yaml:9 (document 3))",
            ]
        );
    }
}
