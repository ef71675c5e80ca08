//! Kubernetes objects by name, and the manifests that declare them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What an object is called within its cluster.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ObjectId {
    /// The API group; empty for the core group.
    pub group: String,
    /// The kind, such as `Deployment`.
    pub kind: String,
    /// The namespace; `None` where the manifest names none.
    pub namespace: Option<String>,
    /// The name.
    pub name: String,
}

impl fmt::Display for ObjectId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(out, "{}/{}/{}", self.kind, namespace, self.name),
            None => write!(out, "{}/{}", self.kind, self.name),
        }
    }
}

impl ObjectId {
    /// Returns the group and the kind.
    #[must_use]
    pub fn group_kind(&self) -> GroupKind {
        GroupKind { group: self.group.clone(), kind: self.kind.clone() }
    }
}

impl GroupKind {
    /// Returns whether deleting an object of this kind deletes more than the object.
    #[must_use]
    pub fn holds_data(&self) -> bool {
        matches!(
            (self.group.as_str(), self.kind.as_str()),
            ("", "Namespace" | "PersistentVolume" | "PersistentVolumeClaim")
                | ("apiextensions.k8s.io", "CustomResourceDefinition")
                | ("snapshot.storage.k8s.io", "VolumeSnapshot" | "VolumeSnapshotContent")
        )
    }
}

/// What a server has against one field of an object that it refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// The field, such as `spec.selector`; empty where it names none.
    pub field: String,
    /// Its words.
    pub message: String,
}

/// A kind with its group, without a version.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct GroupKind {
    /// The API group; empty for the core group.
    pub group: String,
    /// The kind.
    pub kind: String,
}

impl fmt::Display for GroupKind {
    /// Writes `Deployment.apps`, or `ConfigMap` for the core group, as the ApplySet specification does.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.group.is_empty() {
            out.write_str(&self.kind)
        } else {
            write!(out, "{}.{}", self.kind, self.group)
        }
    }
}

/// Whether the objects of a kind live in namespaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Each is in a namespace.
    Namespaced,
    /// They belong to the whole cluster.
    Cluster,
}

/// Splits an `apiVersion` into its group and its version; the core group is empty.
#[must_use]
pub fn group_and_version(api_version: &str) -> (&str, &str) {
    api_version.split_once('/').unwrap_or(("", api_version))
}

/// The groups of Kubernetes's own kinds, which have no definitions.
const KUBERNETES: [&str; 22] = [
    "",
    "admissionregistration.k8s.io",
    "apiextensions.k8s.io",
    "apiregistration.k8s.io",
    "apps",
    "authentication.k8s.io",
    "authorization.k8s.io",
    "autoscaling",
    "batch",
    "certificates.k8s.io",
    "coordination.k8s.io",
    "discovery.k8s.io",
    "events.k8s.io",
    "flowcontrol.apiserver.k8s.io",
    "networking.k8s.io",
    "node.k8s.io",
    "policy",
    "rbac.authorization.k8s.io",
    "resource.k8s.io",
    "scheduling.k8s.io",
    "storage.k8s.io",
    "storagemigration.k8s.io",
];

/// Returns whether the kinds of a group are Kubernetes's own, which have no definitions.
#[must_use]
pub fn is_kubernetes(group: &str) -> bool {
    KUBERNETES.contains(&group)
}

/// Where in a commit a manifest stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Place {
    /// The file, relative to the application's path.
    pub file: String,
    /// The document in the file, from 1.
    pub document: usize,
    /// The line at which the document starts, from 1.
    pub line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{} (document {})", self.file, self.line, self.document)
    }
}

/// One object as a commit declares it.
#[derive(Clone, Debug, PartialEq)]
pub struct Manifest {
    /// What it is called.
    pub id: ObjectId,
    /// Its `apiVersion`, such as `apps/v1`.
    pub api_version: String,
    /// All of it.
    pub value: serde_json::Value,
    /// Where it was read.
    pub place: Place,
}

/// Returns whether an object goes by itself once it has ended: a Job with a time to live.
#[must_use]
pub fn passes_away(object: &serde_json::Value) -> bool {
    let text = |key: &str| object.get(key).and_then(serde_json::Value::as_str).unwrap_or_default();
    object.pointer("/spec/ttlSecondsAfterFinished").is_some_and(serde_json::Value::is_u64)
        && text("kind") == "Job"
        && text("apiVersion").starts_with("batch/")
}

/// One object as a cluster holds it.
#[derive(Clone, Debug, PartialEq)]
pub struct Live {
    /// What it is called.
    pub id: ObjectId,
    /// The `apiVersion` that it was read at.
    pub api_version: String,
    /// All of it.
    pub value: serde_json::Value,
}

impl Live {
    /// Reads an object that an API server sent; `None` when it has no kind or no name.
    #[must_use]
    pub fn read(value: serde_json::Value) -> Option<Self> {
        let text =
            |pointer: &str| value.pointer(pointer).and_then(serde_json::Value::as_str).map(str::to_owned);
        let api_version = text("/apiVersion")?;
        let group = group_and_version(&api_version).0.to_owned();
        let (kind, name) = (text("/kind")?, text("/metadata/name")?);
        let id = ObjectId { group, kind, namespace: text("/metadata/namespace"), name };
        Some(Self { id, api_version, value })
    }

    fn metadata(&self, field: &str) -> &str {
        self.value
            .get("metadata")
            .and_then(|metadata| metadata.get(field))
            .and_then(serde_json::Value::as_str)
            .unwrap_or_default()
    }

    /// Returns its uid; empty when the server sent none.
    #[must_use]
    pub fn uid(&self) -> &str {
        self.metadata("uid")
    }

    /// Returns its resource version; empty when the server sent none.
    #[must_use]
    pub fn resource_version(&self) -> &str {
        self.metadata("resourceVersion")
    }

    /// Returns whether it is being deleted.
    #[must_use]
    pub fn is_terminating(&self) -> bool {
        !self.metadata("deletionTimestamp").is_empty()
    }

    /// Returns one of its labels.
    #[must_use]
    pub fn label(&self, name: &str) -> Option<&str> {
        self.value.get("metadata")?.get("labels")?.get(name)?.as_str()
    }

    /// Returns the field managers that it names, with what they did (`Apply` or `Update`).
    pub fn managers(&self) -> impl Iterator<Item = (&str, &str)> {
        let entries = self.value.pointer("/metadata/managedFields").and_then(serde_json::Value::as_array);
        entries.into_iter().flatten().filter_map(|entry| {
            let manager = entry.get("manager")?.as_str()?;
            Some((manager, entry.get("operation").and_then(serde_json::Value::as_str).unwrap_or_default()))
        })
    }
}
