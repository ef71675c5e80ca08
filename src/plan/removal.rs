//! What becomes of an application's objects when the application itself is deleted.

use serde_json::Value;

use crate::object::Live;

use super::is_ours;
use super::stages_in_reverse;
use super::stays;

/// How an application is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// Its objects are deleted; with `data`, also those that take more with them.
    Delete {
        /// Do those go that hold data?
        data: bool,
    },
    /// Its objects stay as they are, and belong to nobody.
    Orphan,
}

/// What becomes of the objects.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Removal {
    /// Those that are deleted, the last written first.
    pub stages: Vec<Vec<Live>>,
    /// Those that are let go as they are, with the reason where they are only exceptions.
    pub released: Vec<(Live, Option<String>)>,
    /// Those that may not be deleted this time, each with the reason. The application is not gone while they are there.
    pub held: Vec<(Live, String)>,
}

/// Decides what becomes of the live `members` of an application that `manager` applied. What only carries the label is no
/// member, and is not touched.
#[must_use]
pub fn removal(manager: &str, members: Vec<Live>, how: How) -> Removal {
    let ours = members.into_iter().filter(|live| is_ours(live, manager));
    let How::Delete { data } = how else {
        return Removal { released: ours.map(|live| (live, None)).collect(), ..Removal::default() };
    };
    let mut removal = Removal::default();
    let mut leaving = Vec::new();
    for live in ours {
        match stays(&live) {
            Some(why) => removal.released.push((live, Some(why.to_owned()))),
            None if live.id.group_kind().holds_data() && !data => {
                let why =
                    format!("a {} takes what it holds with it: it is deleted with --data only", live.id.kind);
                removal.held.push((live, why));
            }
            None => leaving.push(live),
        }
    }
    // What stays would go with what it lives in or is an instance of.
    let kept: Vec<Live> = removal.released.iter().map(|(live, _)| live.clone()).collect();
    leaving.retain(|live| {
        let within = kept.iter().find(|one| holds(live, one));
        let why = within.map(|one| format!("it holds {}, which stays", one.id));
        removal.released.extend(why.iter().map(|why| (live.clone(), Some(why.clone()))));
        why.is_none()
    });
    removal.stages = stages_in_reverse(leaving);
    removal
}

/// Returns whether one object goes with another: it lives in that namespace, or is of the kind that the other defines.
#[must_use]
pub fn holds(outer: &Live, inner: &Live) -> bool {
    let says = |pointer: &str| outer.value.pointer(pointer).and_then(Value::as_str);
    match (outer.id.group.as_str(), outer.id.kind.as_str()) {
        ("", "Namespace") => inner.id.namespace.as_ref() == Some(&outer.id.name),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => {
            says("/spec/group") == Some(&inner.id.group) && says("/spec/names/kind") == Some(&inner.id.kind)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use serde_json::json;

    use super::How;
    use super::holds;
    use super::removal;
    use crate::object::Live;

    const US: &str = "windlass:shop";

    fn live(version: &str, kind: &str, name: &str, more: &Value) -> Live {
        let manager = more["manager"].as_str().unwrap_or(US);
        let managers = json!([{ "manager": manager, "operation": "Apply" }]);
        let metadata = json!({ "name": name, "namespace": more["namespace"], "managedFields": managers,
            "annotations": more["annotations"] });
        let value =
            json!({ "apiVersion": version, "kind": kind, "metadata": metadata, "spec": more["spec"] });
        Live::read(value).unwrap()
    }

    fn members() -> Vec<Live> {
        let stays = json!({ "namespace": "kept", "annotations": { "windlass.dev/prune": "disabled" } });
        let flux = json!({ "namespace": "shop",
            "annotations": { "kustomize.toolkit.fluxcd.io/prune": "disabled" } });
        let late = json!({ "namespace": "shop", "annotations": { "windlass.dev/wave": "3" } });
        let shop = json!({ "namespace": "shop" });
        vec![
            live("v1", "Namespace", "room", &json!({})),
            live("v1", "Namespace", "kept", &json!({})),
            live("v1", "ConfigMap", "settings", &shop),
            live("v1", "ConfigMap", "late", &late),
            live("apps/v1", "Deployment", "web", &shop),
            live("v1", "PersistentVolumeClaim", "disk", &shop),
            live("v1", "Secret", "stays", &stays),
            live("v1", "Secret", "flux", &flux),
            live("v1", "ConfigMap", "copied", &json!({ "namespace": "shop", "manager": "somebody" })),
        ]
    }

    fn names<'a>(all: impl Iterator<Item = &'a Live>) -> Vec<&'a str> {
        all.map(|live| live.id.name.as_str()).collect()
    }

    #[test]
    fn what_becomes_of_objects_by_table() {
        // how → the stages, those that are let go, those that are held
        let cases = [
            (
                How::Delete { data: false },
                vec![vec!["late"], vec!["web"], vec!["settings"]],
                vec!["stays", "flux"],
                vec!["room", "kept", "disk"],
            ),
            (
                How::Delete { data: true },
                vec![vec!["late"], vec!["web"], vec!["settings", "disk"], vec!["room"]],
                vec!["stays", "flux", "kept"],
                vec![],
            ),
            (
                How::Orphan,
                vec![],
                vec!["room", "kept", "settings", "late", "web", "disk", "stays", "flux"],
                vec![],
            ),
        ];
        for (how, stages, released, held) in cases {
            let found = removal(US, members(), how);
            let of: Vec<_> = found.stages.iter().map(|stage| names(stage.iter())).collect();
            assert_eq!(of, stages, "{how:?}");
            assert_eq!(names(found.released.iter().map(|(live, _)| live)), released, "{how:?}");
            assert_eq!(names(found.held.iter().map(|(live, _)| live)), held, "{how:?}");
            assert!(found.released.iter().all(|(_, why)| why.is_some() != (how == How::Orphan)));
        }
    }

    #[test]
    fn a_definition_holds_its_instances() {
        let names = json!({ "spec": { "group": "example.org", "names": { "kind": "Widget" } } });
        let definition =
            live("apiextensions.k8s.io/v1", "CustomResourceDefinition", "widgets.example.org", &names);
        for (version, kind, expected) in
            [("example.org/v1", "Widget", true), ("example.org/v1", "Gadget", false), ("v1", "Widget", false)]
        {
            assert_eq!(
                holds(&definition, &live(version, kind, "one", &json!({}))),
                expected,
                "{version} {kind}"
            );
        }
    }
}
