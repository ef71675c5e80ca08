//! What manifests declare, as plain values: which objects there may be, and which fields each may have.
//!
//! A field is one of a small table, so that what was added is often changed, taken away and added again. In the values
//! of the model, a list of named items is a map whose keys begin with `@`; it becomes a list when it is written down.

use serde_json::Map;
use serde_json::Value;
use serde_json::json;

/// The kinds of objects that a branch may declare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    ConfigMap,
    Secret,
    ServiceAccount,
    Service,
    Deployment,
    Role,
    RoleBinding,
    ResourceQuota,
    NetworkPolicy,
    Namespace,
    Definition,
    Widget,
}

/// Those that any branch may declare; the others come in a sequence that is about them.
pub const ORDINARY: &[Kind] = &[
    Kind::ConfigMap,
    Kind::ConfigMap,
    Kind::Secret,
    Kind::ServiceAccount,
    Kind::Service,
    Kind::Service,
    Kind::Deployment,
    Kind::Role,
    Kind::RoleBinding,
    Kind::ResourceQuota,
    Kind::NetworkPolicy,
];

impl Kind {
    /// Returns its `apiVersion`, its `kind`, and its name in paths.
    pub fn words(self) -> (&'static str, &'static str, &'static str) {
        let rbac = "rbac.authorization.k8s.io/v1";
        match self {
            Self::ConfigMap => ("v1", "ConfigMap", "configmaps"),
            Self::Secret => ("v1", "Secret", "secrets"),
            Self::ServiceAccount => ("v1", "ServiceAccount", "serviceaccounts"),
            Self::Service => ("v1", "Service", "services"),
            Self::Deployment => ("apps/v1", "Deployment", "deployments"),
            Self::Role => (rbac, "Role", "roles"),
            Self::RoleBinding => (rbac, "RoleBinding", "rolebindings"),
            Self::ResourceQuota => ("v1", "ResourceQuota", "resourcequotas"),
            Self::NetworkPolicy => ("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies"),
            Self::Namespace => ("v1", "Namespace", "namespaces"),
            Self::Definition => {
                ("apiextensions.k8s.io/v1", "CustomResourceDefinition", "customresourcedefinitions")
            }
            Self::Widget => ("", "Widget", "widgets"),
        }
    }

    /// Is there but one such object, which others live in or are instances of?
    pub fn is_ground(self) -> bool {
        matches!(self, Self::Namespace | Self::Definition)
    }
}

/// Where an object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// The application's namespace, which a manifest need not name.
    Home,
    /// Another one.
    Annex,
    /// One that the branch itself declares.
    Own,
    /// The cluster.
    Cluster,
}

/// Which object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    pub kind: Kind,
    pub place: Place,
    pub name: &'static str,
}

/// One that is always declared, so that no branch is empty by chance.
pub const KEEP: Key = Key { kind: Kind::ConfigMap, place: Place::Home, name: "keep" };

/// The same of the second application.
pub const KEPT: Key = Key { kind: Kind::ConfigMap, place: Place::Home, name: "kept" };

/// The names that objects of a kind may have.
pub const NAMES: &[&str] = &["a", "b", "c"];

/// What no other sequence has.
#[derive(Clone, Debug)]
pub struct Names {
    pub home: String,
    pub annex: String,
    pub own: String,
    /// The group of the branch's own kind.
    pub group: String,
    /// Windlass's own namespace.
    pub installation: String,
}

impl Names {
    pub fn new(id: &str) -> Self {
        Self {
            home: format!("home-{id}"),
            annex: format!("annex-{id}"),
            own: format!("own-{id}"),
            group: format!("g{id}.example.org"),
            installation: format!("windlass-{id}"),
        }
    }

    /// Returns the namespace of a place.
    pub fn namespace(&self, place: Place) -> Option<&str> {
        match place {
            Place::Home => Some(&self.home),
            Place::Annex => Some(&self.annex),
            Place::Own => Some(&self.own),
            Place::Cluster => None,
        }
    }
}

impl Key {
    fn api_version(&self, names: &Names) -> String {
        let version = self.kind.words().0;
        if self.kind == Kind::Widget { format!("{}/v1", names.group) } else { version.to_owned() }
    }

    /// Is it one that is always declared?
    pub fn is_kept(self) -> bool {
        self == KEEP || self == KEPT
    }

    /// May it belong to any application? What lives in others, or has others in it, stays with the first one.
    pub fn is_free(self) -> bool {
        matches!(self.place, Place::Home | Place::Annex) && self.kind != Kind::Widget
    }

    /// Returns its name in the cluster.
    pub fn name(&self, names: &Names) -> String {
        if self.kind == Kind::Namespace {
            return names.own.clone();
        }
        if self.kind == Kind::Definition { format!("widgets.{}", names.group) } else { self.name.to_owned() }
    }

    /// Returns the path of its kind in its place.
    pub fn folder(&self, names: &Names) -> String {
        let version = self.api_version(names);
        let api = if version.contains('/') { "apis" } else { "api" };
        let within = names.namespace(self.place).map(|name| format!("/namespaces/{name}"));
        format!("/{api}/{version}{}/{}", within.unwrap_or_default(), self.kind.words().2)
    }

    /// Returns its path in the API.
    pub fn path(&self, names: &Names) -> String {
        format!("{}/{}", self.folder(names), self.name(names))
    }

    /// Returns what every manifest of it says.
    pub fn head(&self, names: &Names, namespace: bool) -> Value {
        let mut metadata = json!({ "name": self.name(names) });
        if let Some(name) = names.namespace(self.place).filter(|_| namespace) {
            metadata["namespace"] = json!(name);
        }
        json!({ "apiVersion": self.api_version(names), "kind": self.kind.words().1, "metadata": metadata })
    }

    /// Returns the fields that it always has.
    pub fn base(&self, names: &Names) -> Value {
        let name = self.name;
        match self.kind {
            Kind::Service => json!({ "spec": { "ports": { "@a": { "name": "a", "port": 80 } } } }),
            Kind::Deployment => {
                json!({ "spec": { "replicas": 0, "selector": { "matchLabels": { "app": name } },
                "template": { "metadata": { "labels": { "app": name } }, "spec": { "containers": {
                    "@web": { "name": "web", "image": "example.org/web:1" } } } } } })
            }
            Kind::RoleBinding => {
                let group = "rbac.authorization.k8s.io";
                json!({ "roleRef": { "apiGroup": group, "kind": "Role", "name": name } })
            }
            Kind::NetworkPolicy => json!({ "spec": { "podSelector": {} } }),
            Kind::Definition => definition(&names.group),
            Kind::ConfigMap
            | Kind::Secret
            | Kind::ServiceAccount
            | Kind::Role
            | Kind::ResourceQuota
            | Kind::Namespace
            | Kind::Widget => json!({}),
        }
    }
}

fn definition(group: &str) -> Value {
    let part = json!({ "type": "object", "required": ["name"], "properties": {
        "name": { "type": "string" }, "size": { "type": "integer", "default": 1 } } });
    let spec = json!({ "type": "object", "properties": { "size": { "type": "integer" },
        "mode": { "type": "string", "default": "fast" },
        "parts": { "type": "array", "items": part, "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name"] } } });
    let schema = json!({ "openAPIV3Schema": { "type": "object", "properties": { "spec": spec } } });
    let version =
        |name: &str| json!({ "name": name, "served": true, "storage": name == "v1", "schema": schema });
    json!({ "spec": { "group": group, "scope": "Namespaced", "names": { "plural": "widgets",
        "singular": "widget", "kind": "Widget" }, "versions": [version("v1"), version("v2")] } })
}

/// Sets a field of a value of the model, and makes what leads to it.
pub fn set(value: &mut Value, pointer: &str, to: Value) {
    let mut here = value;
    for key in keys(pointer) {
        if !here.is_object() {
            *here = json!({});
        }
        let Value::Object(map) = here else { return };
        here = map.entry(key.clone()).or_insert_with(|| match key.strip_prefix('@') {
            Some(name) => json!({ "name": name }),
            None => json!({}),
        });
    }
    *here = to;
}

/// Takes a field out of a value of the model; what led to it stays.
pub fn unset(value: &mut Value, pointer: &str) {
    let (parent, last) = pointer.rsplit_once('/').unwrap_or_default();
    let Some(found) = value.pointer_mut(parent) else { return };
    if let Value::Object(map) = found {
        drop(map.remove(&unescaped(last)));
        if map.is_empty() && last.starts_with('@') {
            *found = json!([]);
        }
    }
}

/// Returns the keys of a pointer.
pub fn keys(pointer: &str) -> Vec<String> {
    pointer.split('/').skip(1).map(unescaped).collect()
}

fn unescaped(key: &str) -> String {
    key.replace("~1", "/").replace("~0", "~")
}

/// Returns a value of the model as it is written down.
pub fn written(value: &Value) -> Value {
    match value {
        Value::Object(map) if !map.is_empty() && map.keys().all(|key| key.starts_with('@')) => {
            Value::Array(map.values().map(written).collect())
        }
        Value::Object(map) => {
            Value::Object(map.iter().map(|(key, value)| (key.clone(), written(value))).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(written).collect()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

/// Lays one map over another.
pub fn merge(into: &mut Value, from: &Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key.clone()).or_insert_with(|| Value::Object(Map::new())), value);
            }
        }
        (into, from) => *into = from.clone(),
    }
}
