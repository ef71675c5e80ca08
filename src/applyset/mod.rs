//! Membership, by the ApplySet specification (KEP-3659): which objects are an application's, and the parent object
//! that says so, fences its writers and remembers what must outlive every process.

mod behind;

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use base64::Engine;
use serde_json::Value;
use serde_json::json;
use sha2::Digest;
use sha2::Sha256;

use crate::annotation::Turn;
use crate::application::Application;
use crate::application::Name;
use crate::commit::CommitId;
use crate::commit::Inputs;
use crate::member;
use crate::object::GroupKind;
use crate::object::Live;
use crate::object::ObjectId;
use crate::reference::Reference;

pub use behind::left_behind;

const TOOLING: &str = "applyset.kubernetes.io/tooling";
/// The annotation that names the kinds which members may have.
pub const GROUP_KINDS: &str = "applyset.kubernetes.io/contains-group-kinds";
const NAMESPACES: &str = "applyset.kubernetes.io/additional-namespaces";
/// Returns the name of an application's parent object, a ConfigMap in windlass's namespace.
#[must_use]
pub fn parent_name(application: &Name) -> String {
    format!("{}{application}", member::RECORD)
}

/// Returns the application that a live object belongs to, where its parent is in `namespace`.
#[must_use]
pub fn owning_application(live: &Live, namespace: &str) -> Option<Name> {
    member::owning_application(live, |name| id(&parent_name(name), namespace))
}

/// Returns the application of a parent object, by its name.
#[must_use]
pub fn application(parent_name: &str) -> Option<Name> {
    Name::parse(parent_name.strip_prefix(member::RECORD)?).ok()
}

/// Returns the id of the set whose parent is the ConfigMap `name` in `namespace`.
///
/// `applyset-<base64url(sha256("<name>.<namespace>.<kind>.<group>"))>-v1`, as KEP-3659 prescribes.
#[must_use]
pub fn id(name: &str, namespace: &str) -> String {
    let digest = Sha256::digest(format!("{name}.{namespace}.ConfigMap."));
    format!("applyset-{}-v1", base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(digest))
}

/// Where an application finds what it declares, for others that look at it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reads {
    /// The reference that it follows.
    pub reference: Reference,
    /// The folder, for this cluster.
    pub path: String,
    /// The namespace of objects that name none, for this cluster.
    pub namespace: String,
}

impl Reads {
    /// Returns where an application finds it, for one cluster.
    #[must_use]
    pub fn of(application: &Application, cluster: &Name) -> Self {
        Self {
            reference: application.reference.clone(),
            path: application.path_in(cluster),
            namespace: application.namespace_in(cluster),
        }
    }
}

/// What the parent remembers of the last pass that wrote: the fence.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fence {
    /// The installation of windlass that writes here; another one keeps off.
    pub installation: String,
    /// What that installation calls the cluster; the same cluster under two names would be two writers.
    pub cluster: String,
    /// The run that wrote it.
    pub run: String,
    /// How often a run took the fence.
    pub generation: u64,
    /// The source of the application.
    pub source: Option<Name>,
    /// What of it the application reads.
    pub reads: Option<Reads>,
    /// The commit that the run makes true.
    pub commit: Option<CommitId>,
    /// What the target read at that commit.
    pub inputs: Option<Inputs>,
    /// The number of the definition that the run worked by.
    pub definition: u64,
    /// Did the run get to its end? Where nothing is to come either, the cluster holds what the commit declares.
    pub done: bool,
    /// How many members there were when a run last got to its end.
    pub members: u64,
    /// What the application owned of them then, as the sum of their marks; `None` where that is not known.
    pub owned: Option<u64>,
    /// Did the run correct drift? Then no verdict was told of it, and none can be shared.
    pub again: bool,
    /// The commit that was true last before this one, where one was: what leads from it to this one is not applied yet.
    pub since: Option<CommitId>,
    /// The first turn of which nothing is written yet: those before it are waited for. Where there is none, all is written.
    pub next: Option<Turn>,
    /// What the prune guard kept since it was all that was there: it is not pruned later for being few.
    pub withheld: BTreeSet<ObjectId>,
    /// What the run did not write, where it was refused half-way: nothing of that can drift.
    pub unwritten: BTreeSet<ObjectId>,
}

impl Fence {
    /// Returns whether all of its commit is written.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.done && self.next.is_none()
    }

    /// Returns whether the run was refused half-way.
    #[must_use]
    pub fn broke_off(&self) -> bool {
        !self.unwritten.is_empty() || self.next == Some(Turn::LEAVING)
    }

    /// Returns the last commit that was wholly true, where one was.
    #[must_use]
    pub fn made_true(&self) -> Option<&CommitId> {
        if self.is_whole() { self.commit.as_ref() } else { self.since.as_ref() }
    }
}

/// The parent object of an application in a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parent {
    /// Its name.
    pub name: String,
    /// Its namespace: windlass's own in that cluster.
    pub namespace: String,
    /// The version that was read; `None` when the cluster has none yet.
    pub resource_version: Option<String>,
    /// The kinds that members may have.
    pub group_kinds: BTreeSet<GroupKind>,
    /// The namespaces that members may be in.
    pub namespaces: BTreeSet<String>,
    /// The fence.
    pub fence: Fence,
}

impl Parent {
    /// Returns the parent that a cluster without one is given.
    #[must_use]
    pub fn absent(application: &Name, namespace: &str) -> Self {
        Self {
            name: parent_name(application),
            namespace: namespace.to_owned(),
            resource_version: None,
            group_kinds: BTreeSet::new(),
            namespaces: BTreeSet::new(),
            fence: Fence::default(),
        }
    }

    /// Returns the id of the set.
    #[must_use]
    pub fn id(&self) -> String {
        id(&self.name, &self.namespace)
    }

    /// Reads a parent from the cluster's object. What is not understood counts as absent: the next pass writes it anew,
    /// and members are found by their label all the same.
    #[must_use]
    pub fn read(live: &Live) -> Self {
        let annotation = |name: &str| {
            let text = live.value.pointer("/metadata/annotations").and_then(|all| all.get(name));
            text.and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let data =
            |key: &str| live.value.pointer("/data").and_then(|data| data.get(key)).and_then(Value::as_str);
        let fence = Fence {
            installation: data("installation").unwrap_or_default().to_owned(),
            cluster: data("cluster").unwrap_or_default().to_owned(),
            run: data("run").unwrap_or_default().to_owned(),
            generation: data("generation").and_then(|text| text.parse().ok()).unwrap_or_default(),
            source: data("source").and_then(|text| Name::parse(text).ok()),
            reads: data("reference").and_then(|text| Reference::parse(text).ok()).map(|reference| Reads {
                reference,
                path: data("path").unwrap_or_default().to_owned(),
                namespace: data("namespace").unwrap_or_default().to_owned(),
            }),
            commit: data("commit").and_then(|text| CommitId::parse(text).ok()),
            inputs: data("inputs").map(|text| Inputs(text.to_owned())),
            definition: data("definition").and_then(|text| text.parse().ok()).unwrap_or_default(),
            done: data("done") == Some("true"),
            members: data("members").and_then(|text| text.parse().ok()).unwrap_or_default(),
            owned: data("owned").and_then(|text| u64::from_str_radix(text, 16).ok()),
            again: data("again") == Some("true"),
            since: data("since").and_then(|text| CommitId::parse(text).ok()),
            next: data("next").and_then(Turn::parse),
            withheld: data("withheld").and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default(),
            unwritten: data("unwritten").and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default(),
        };
        Self {
            name: live.id.name.clone(),
            namespace: live.id.namespace.clone().unwrap_or_default(),
            resource_version: Some(live.resource_version().to_owned()),
            group_kinds: words(&annotation(GROUP_KINDS)).map(group_kind).collect(),
            namespaces: words(&annotation(NAMESPACES)).map(str::to_owned).collect(),
            fence,
        }
    }

    /// Returns the object to write, at the version that was read.
    #[must_use]
    pub fn write(&self) -> Value {
        let mut metadata = json!({
            "name": self.name,
            "namespace": self.namespace,
            "labels": { member::SET: self.id(), "app.kubernetes.io/managed-by": "windlass" },
            "annotations": {
                TOOLING: concat!("windlass/v", env!("CARGO_PKG_VERSION")),
                GROUP_KINDS: joined(self.group_kinds.iter()),
                NAMESPACES: joined(self.namespaces.iter()),
            },
        });
        if let (Some(version), Some(fields)) = (&self.resource_version, metadata.as_object_mut()) {
            fields.insert("resourceVersion".to_owned(), json!(version));
        }
        json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": self.data() })
    }

    fn data(&self) -> BTreeMap<&'static str, String> {
        let fence = &self.fence;
        let mut data = BTreeMap::from([
            ("installation", fence.installation.clone()),
            ("cluster", fence.cluster.clone()),
            ("run", fence.run.clone()),
            ("generation", fence.generation.to_string()),
            ("definition", fence.definition.to_string()),
            ("done", fence.done.to_string()),
            ("members", fence.members.to_string()),
        ]);
        if let Some(owned) = fence.owned {
            data.insert("owned", format!("{owned:x}"));
        }
        if fence.again {
            data.insert("again", fence.again.to_string());
        }
        if let Some(commit) = &fence.since {
            data.insert("since", commit.to_string());
        }
        if let Some(turn) = fence.next {
            data.insert("next", turn.to_string());
        }
        if !fence.withheld.is_empty() {
            data.insert("withheld", json!(fence.withheld).to_string());
        }
        if !fence.unwritten.is_empty() {
            data.insert("unwritten", json!(fence.unwritten).to_string());
        }
        if let Some(source) = &fence.source {
            data.insert("source", source.to_string());
        }
        if let Some(reads) = &fence.reads {
            data.insert("reference", reads.reference.to_string());
            data.insert("path", reads.path.clone());
            data.insert("namespace", reads.namespace.clone());
        }
        if let Some(commit) = &fence.commit {
            data.insert("commit", commit.to_string());
        }
        if let Some(inputs) = &fence.inputs {
            data.insert("inputs", inputs.to_string());
        }
        data
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|word| !word.is_empty())
}

fn joined<T: ToString>(items: impl Iterator<Item = T>) -> String {
    items.map(|item| item.to_string()).collect::<Vec<_>>().join(",")
}

fn group_kind(text: &str) -> GroupKind {
    let (kind, group) = text.split_once('.').unwrap_or((text, ""));
    GroupKind { group: group.to_owned(), kind: kind.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::Fence;
    use super::Parent;
    use super::Reads;
    use crate::annotation::Turn;
    use crate::application::Name;
    use crate::commit::CommitId;
    use crate::commit::Inputs;
    use crate::object::GroupKind;
    use crate::object::Live;
    use crate::object::ObjectId;
    use crate::reference::Reference;

    #[test]
    fn ids_are_those_of_the_specification() {
        // echo -n "windlass-shop.windlass.ConfigMap." | openssl dgst -sha256 -binary | basenc --base64url
        let id = super::id("windlass-shop", "windlass");
        assert!(id.starts_with("applyset-") && id.ends_with("-v1") && id.len() == 9 + 43 + 3, "{id}");
        assert!(!id.contains('=') && id.len() <= 63, "fits a label value: {id}");
    }

    #[test]
    fn a_parent_reads_back_as_it_was_written() {
        let mut parent = Parent::absent(&Name::parse("shop").unwrap(), "windlass");
        parent.group_kinds.insert(GroupKind { group: "apps".into(), kind: "Deployment".into() });
        parent.group_kinds.insert(GroupKind { group: String::new(), kind: "ConfigMap".into() });
        parent.namespaces.insert("shop".into());
        parent.resource_version = Some("7".into());
        parent.fence = Fence {
            installation: "home".into(),
            cluster: "east".into(),
            run: "r1".into(),
            generation: 3,
            source: Some(Name::parse("code").unwrap()),
            reads: Some(Reads {
                reference: Reference::parse("refs/heads/main").unwrap(),
                path: "shop".into(),
                namespace: "shop".into(),
            }),
            commit: Some(CommitId::parse(&"a".repeat(40)).unwrap()),
            inputs: Some(Inputs("tree".into())),
            definition: 2,
            done: true,
            members: 5,
            owned: Some(u64::MAX),
            withheld: [GroupKind { group: String::new(), kind: "ConfigMap".to_owned() }]
                .map(|kind| ObjectId {
                    group: kind.group,
                    kind: kind.kind,
                    namespace: None,
                    name: "a".to_owned(),
                })
                .into(),
            again: true,
            since: Some(CommitId::parse(&"b".repeat(40)).unwrap()),
            next: Some(Turn::END),
            unwritten: [ObjectId {
                group: "apps".into(),
                kind: "Deployment".into(),
                namespace: None,
                name: "web".into(),
            }]
            .into(),
        };
        assert_eq!(Parent::read(&Live::read(parent.write()).unwrap()), parent);
    }
}
