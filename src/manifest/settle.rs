//! Which namespace each manifest is for, and that none is declared twice.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::manifest::Problems;
use crate::object::Manifest;
use crate::object::ObjectId;
use crate::object::Place;
use crate::outcome::Problem;

/// Where objects of a kind live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// In a namespace.
    Namespaced,
    /// In the cluster itself.
    Cluster,
}

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
