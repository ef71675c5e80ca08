//! What is planned, case by case.

use serde_json::Value;
use serde_json::json;

use super::foreign;
use super::plan;
use super::rank;
use super::stages_in_reverse;
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
    let value =
        json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": name, "namespace": "shop" } });
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
    let plan = plan("us", "windlass:shop", vec![manifest("stays"), manifest("new")], members);
    let leaving: Vec<_> = plan.leaving.iter().map(|live| live.id.name.as_str()).collect();
    assert_eq!(leaving, ["leaves"]);
    assert_eq!(plan.writes.len(), 2);
    assert!(plan.writes.iter().all(|write| write.manifest.value["metadata"]["labels"][PART_OF] == "us"));
}

#[test]
fn a_foreign_object_is_refused_by_its_owners_name() {
    let said = foreign(&live("web", Some("them"), "windlass:blog"), &manifest("web"), "us", "windlass:shop")
        .unwrap()
        .to_string();
    assert!(said.contains("ConfigMap/shop/web") && said.contains("application blog"), "{said}");
    let lost = foreign(&live("web", None, "windlass:blog"), &manifest("web"), "us", "windlass:shop");
    assert!(lost.is_some_and(|problem| problem.to_string().contains("application blog")));
    for (label, manager) in [
        (None, "kubectl"),
        (None, "windlass:shop"),
        (Some("us"), "windlass:shop"),
        (Some("them"), "windlass:shop"),
    ] {
        let live = live("web", label, manager);
        assert_eq!(foreign(&live, &manifest("web"), "us", "windlass:shop"), None, "{label:?}");
    }
}

#[test]
fn a_member_in_another_version_of_its_kind_is_read_once_more() {
    let mut other = manifest("web");
    other.api_version = "v2".to_owned();
    let plan = plan("us", "windlass:shop", vec![other], vec![live("web", Some("us"), "windlass:shop")]);
    assert!(plan.writes[0].live.is_none() && plan.leaving.is_empty());
}

/// The live object or the manifest `web` with an annotation.
fn annotated(mut value: Value, (key, says): (&str, &str)) -> Value {
    value["metadata"]["annotations"] = json!({ key: says });
    value
}

#[test]
fn what_an_annotation_keeps_is_not_for_the_guard_to_judge() {
    let member = || value("web", Some("us"), "windlass:shop");
    let cases = [
        ("windlass.dev/prune", "disabled", true),
        ("windlass.dev/prune", "confirm", false),
        ("windlass.dev/sync", "disabled", true),
        ("windlass.dev/sync", "create-only", false),
        ("kustomize.toolkit.fluxcd.io/prune", "disabled", true),
        ("kustomize.toolkit.fluxcd.io/reconcile", "disabled", true),
        ("kustomize.toolkit.fluxcd.io/ssa", "Ignore", true),
        ("argocd.argoproj.io/sync-options", "Prune=false", true),
    ];
    for (key, says, kept) in cases {
        let members = vec![Live::read(annotated(member(), (key, says))).unwrap()];
        let plan = plan("us", "windlass:shop", Vec::new(), members);
        assert_eq!(
            (plan.kept.len(), plan.leaving.len()),
            (usize::from(kept), usize::from(!kept)),
            "{key}: {says}"
        );
    }
}

#[test]
fn what_is_left_as_it_is() {
    let member = || value("web", Some("us"), "windlass:shop");
    let none = ("none", "none");
    let (off, once) = (("windlass.dev/sync", "disabled"), ("windlass.dev/sync", "create-only"));
    let brake = ("kustomize.toolkit.fluxcd.io/reconcile", "disabled");
    // The manifest's annotation, the live object's where there is one: written, left, created.
    let cases = [
        (none, Some(none), [1, 0, 0]),
        (off, None, [0, 1, 0]),
        (off, Some(none), [0, 1, 0]),
        (none, Some(brake), [0, 1, 0]),
        (none, Some(off), [1, 0, 0]),
        (once, None, [1, 0, 0]),
        (once, Some(none), [0, 0, 1]),
    ];
    for (asked, live, expected) in cases {
        let mut wanted = manifest("web");
        wanted.value = annotated(wanted.value, asked);
        let members = live.map(|note| Live::read(annotated(member(), note)).unwrap()).into_iter().collect();
        let plan = plan("us", "windlass:shop", vec![wanted], members);
        assert_eq!([plan.writes.len(), plan.left.len(), plan.created.len()], expected, "{asked:?} {live:?}");
        assert!(plan.left.iter().all(|left| left.live.is_some() == live.is_some()));
    }
}

#[test]
fn pruning_goes_by_waves_from_the_last_and_leaves_what_others_live_in_to_the_end() {
    let of = |kind: &str, name: &str, wave: &str| {
        let annotations = json!({ "windlass.dev/wave": wave });
        let value = json!({ "apiVersion": "v1", "kind": kind, "metadata": { "name": name, "annotations": annotations } });
        Live::read(value).unwrap()
    };
    let prune = vec![
        of("ConfigMap", "a", "0"),
        of("Namespace", "n", "5"),
        of("Service", "b", "-1"),
        of("Pod", "c", "3"),
        of("Pod", "d", "0"),
    ];
    let names = |stage: Vec<Live>| stage.into_iter().map(|live| live.id.name).collect::<String>();
    let stages: Vec<String> = stages_in_reverse(prune).into_iter().map(names).collect();
    assert_eq!(stages, ["c", "d", "a", "b", "n"]);
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
