//! What a pass means to do: which objects it writes, in which order, and which ones left the commit.

use std::collections::BTreeMap;

use serde_json::Value;
use serde_json::json;

use crate::member;
use crate::member::Owner;
use crate::object::GroupKind;
use crate::object::Live;
use crate::object::Manifest;
use crate::object::ObjectId;
use crate::outcome::Problem;

/// An object to be held against the cluster, and written where it differs.
#[derive(Clone, Debug, PartialEq)]
pub struct Write {
    /// What the commit declares, with the membership label.
    pub manifest: Manifest,
    /// What the cluster holds, where it holds it.
    pub live: Option<Live>,
}

/// What a pass means to do.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// Every object of the commit.
    pub writes: Vec<Write>,
    /// The members that the commit no longer declares and that may be pruned when the guard agrees.
    pub leaving: Vec<Live>,
    /// What cannot be done.
    pub problems: Vec<Problem>,
}

/// Plans for the set `set` of the manager `manager`: holds `manifests` against the live `members` and against the
/// objects that were found by name only, `named`.
///
/// An object of another set is a problem. A member that windlass never applied (controllers copy labels, so an
/// EndpointSlice carries its Service's) is neither written nor pruned.
#[must_use]
pub fn plan(
    set: &str,
    manager: &str,
    manifests: Vec<Manifest>,
    members: Vec<Live>,
    named: Vec<Live>,
) -> Plan {
    let mut plan = Plan::default();
    let mut members: BTreeMap<ObjectId, Live> =
        members.into_iter().map(|live| (live.id.clone(), live)).collect();
    let mut named: BTreeMap<ObjectId, Live> = named.into_iter().map(|live| (live.id.clone(), live)).collect();
    for mut manifest in manifests {
        let live = members.remove(&manifest.id).or_else(|| named.remove(&manifest.id));
        if let Some(Owner::Other(name)) = live.as_ref().map(|live| member::owner(live, set)) {
            plan.problems.push(Problem {
                object: Some(manifest.id.clone()),
                place: Some(manifest.place.clone()),
                message: format!("it belongs to {name}; remove it there first, or here"),
            });
            continue;
        }
        label(&mut manifest.value, set);
        plan.writes.push(Write { manifest, live });
    }
    plan.leaving = members.into_values().filter(|live| is_ours(live, manager)).collect();
    plan
}

fn is_ours(live: &Live, manager: &str) -> bool {
    live.managers().any(|(name, operation)| name == manager && operation == "Apply")
}

fn label(value: &mut Value, set: &str) {
    let labels = value.get_mut("metadata").and_then(Value::as_object_mut).map(|metadata| {
        let labels = metadata.entry("labels").or_insert_with(|| json!({}));
        if labels.is_null() {
            *labels = json!({});
        }
        labels
    });
    if let Some(labels) = labels.and_then(Value::as_object_mut) {
        labels.insert(member::PART_OF.to_owned(), json!(set));
    }
}

/// Returns when in a pass an object of a kind is written: lower ranks first, equal ranks together, and pruning the
/// other way round. What others need to exist comes early; what could refuse the others comes last.
#[must_use]
pub fn rank(kind: &GroupKind) -> u8 {
    match (kind.group.as_str(), kind.kind.as_str()) {
        ("apiextensions.k8s.io", "CustomResourceDefinition") | ("", "Namespace") => FIRST,
        ("scheduling.k8s.io", "PriorityClass")
        | ("storage.k8s.io", "StorageClass" | "CSIDriver")
        | ("node.k8s.io", "RuntimeClass")
        | ("networking.k8s.io", "IngressClass")
        | ("gateway.networking.k8s.io", "GatewayClass") => 1,
        ("", "ResourceQuota" | "LimitRange" | "ServiceAccount" | "PersistentVolume")
        | ("rbac.authorization.k8s.io", "ClusterRole" | "Role") => 2,
        ("rbac.authorization.k8s.io", _) => 3,
        ("", "ConfigMap" | "Secret" | "PersistentVolumeClaim") | ("networking.k8s.io", "NetworkPolicy") => 4,
        ("", "Service" | "Endpoints") => 5,
        ("autoscaling" | "policy" | "networking.k8s.io", _) => 8,
        ("", _) | ("apps" | "batch", _) => 6,
        ("admissionregistration.k8s.io" | "apiregistration.k8s.io", _) => 9,
        _ => 7,
    }
}

/// The rank of what other objects of the same commit may live in or be instances of.
pub const FIRST: u8 = 0;

/// Returns the objects to prune as stages, the last written first.
#[must_use]
pub fn stages_in_reverse(prune: Vec<Live>) -> Vec<Vec<Live>> {
    let mut ranks: BTreeMap<u8, Vec<Live>> = BTreeMap::new();
    for live in prune {
        ranks.entry(rank(&live.id.group_kind())).or_default().push(live);
    }
    ranks.into_values().rev().collect()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use serde_json::json;

    use super::plan;
    use super::rank;
    use crate::member::PART_OF;
    use crate::object::GroupKind;
    use crate::object::Live;
    use crate::object::Manifest;
    use crate::object::ObjectId;
    use crate::object::Place;

    fn value(name: &str, label: Option<&str>, manager: &str) -> Value {
        let labels = label.map_or_else(|| json!({}), |label| json!({ PART_OF: label }));
        let managers = json!([{ "manager": manager, "operation": "Apply" }]);
        json!({ "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": { "name": name, "namespace": "shop", "labels": labels, "managedFields": managers } })
    }

    fn live(name: &str, label: Option<&str>, manager: &str) -> Live {
        Live::read(value(name, label, manager)).unwrap()
    }

    fn manifest(name: &str) -> Manifest {
        let id = ObjectId {
            group: String::new(),
            kind: "ConfigMap".into(),
            namespace: Some("shop".into()),
            name: name.into(),
        };
        let value = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": name, "namespace": "shop" } });
        let place = Place { file: "a.yaml".into(), document: 1, line: 1 };
        Manifest { id, api_version: "v1".into(), value, place }
    }

    #[test]
    fn what_left_the_commit_leaves_only_when_windlass_applied_it() {
        let members = vec![
            live("stays", Some("us"), "windlass:shop"),
            live("leaves", Some("us"), "windlass:shop"),
            live("copied", Some("us"), "endpointslice-controller"),
        ];
        let plan = plan("us", "windlass:shop", vec![manifest("stays"), manifest("new")], members, vec![]);
        let leaving: Vec<_> = plan.leaving.iter().map(|live| live.id.name.as_str()).collect();
        assert_eq!(leaving, ["leaves"]);
        assert_eq!(plan.writes.len(), 2);
        assert!(plan.writes.iter().all(|write| write.manifest.value["metadata"]["labels"][PART_OF] == "us"));
        assert!(plan.problems.is_empty());
    }

    #[test]
    fn a_foreign_object_is_refused_by_its_owners_name() {
        let named = vec![live("web", Some("them"), "windlass:blog"), live("free", None, "kubectl")];
        let plan = plan("us", "windlass:shop", vec![manifest("web"), manifest("free")], vec![], named);
        assert_eq!(plan.problems.len(), 1);
        let said = plan.problems[0].to_string();
        assert!(said.contains("ConfigMap/shop/web") && said.contains("application blog"), "{said}");
        assert_eq!(plan.writes.len(), 1, "an object that nobody owns is taken over");
        assert!(plan.writes[0].live.is_some());
    }

    #[test]
    fn ranks_put_needed_things_first_and_gatekeepers_last() {
        let order = [
            ("", "Namespace"),
            ("storage.k8s.io", "StorageClass"),
            ("", "ServiceAccount"),
            ("rbac.authorization.k8s.io", "RoleBinding"),
            ("", "ConfigMap"),
            ("", "Service"),
            ("apps", "Deployment"),
            ("example.org", "Widget"),
            ("autoscaling", "HorizontalPodAutoscaler"),
            ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"),
        ];
        let ranks = order.map(|(group, kind)| rank(&GroupKind { group: group.into(), kind: kind.into() }));
        assert!(ranks.is_sorted_by(|a, b| a < b), "{ranks:?}");
    }
}
