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
