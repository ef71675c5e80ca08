//! What others do to objects of the application in the cluster: other managers, and people.

use serde_json::Value;
use serde_json::json;
use windlass::member::PART_OF;

use crate::objects::Key;
use crate::objects::Names;
use crate::objects::keys;
use crate::objects::merge;
use crate::objects::set;
use crate::objects::written;
use crate::world::kube::Kube;

/// How somebody changes a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Applied on the server by another manager, with force.
    Applied,
    /// By a merge patch.
    Patched,
    /// Read, changed and written as a whole, as `kubectl edit` does.
    Edited,
}

pub const WAYS: &[Way] = &[Way::Applied, Way::Patched, Way::Edited];

/// The set that somebody may give an object to.
pub const ANOTHER: &str = "applyset-of-another";

const APPLY: &str = "application/apply-patch+yaml";
const MERGE: &str = "application/merge-patch+json";

/// Somebody at the cluster.
pub struct Hand<'a> {
    pub kube: &'a Kube,
    pub names: &'a Names,
}

impl Hand<'_> {
    /// Sends what may be refused: the object may be gone, or what is asked not be valid. Returns the object as it is then.
    async fn ask(&self, method: &str, path: &str, kind: &str, body: &Value) -> Option<Value> {
        match self.kube.ask(method, path, kind, body).await {
            Ok(value) => Some(value),
            Err((code, _)) if (400..500).contains(&code) => None,
            Err((code, words)) => panic!("{method} {path}: {code} {words}"),
        }
    }

    /// Gives a field a value, or takes it away.
    pub async fn change(&self, key: Key, way: Way, pointer: &str, to: Option<&Value>) -> Option<Value> {
        let path = key.path(self.names);
        let listed = keys(pointer).iter().any(|word| word.starts_with('@'));
        match (way, to) {
            (Way::Applied, Some(to)) => {
                let mut value = key.head(self.names, true);
                set(&mut value, pointer, to.clone());
                let path = format!("{path}?fieldManager=another&force=true");
                // Applying would make it anew where it is not there any more.
                let live = self.kube.find(&key.path(self.names)).await?;
                value["metadata"]["uid"] = live["metadata"]["uid"].clone();
                self.ask("PATCH", &path, APPLY, &written(&value)).await
            }
            (Way::Patched, to) if !listed => {
                let mut patch = json!({});
                set(&mut patch, pointer, to.cloned().unwrap_or_default());
                self.ask("PATCH", &format!("{path}?fieldManager=somebody"), MERGE, &patch).await
            }
            (Way::Applied | Way::Patched | Way::Edited, to) => {
                let mut live = self.kube.find(&path).await?;
                lay(&mut live, &keys(pointer), to)?;
                let path = format!("{path}?fieldManager=kubectl-edit");
                self.ask("PUT", &path, "application/json", &live).await
            }
        }
    }

    /// Deletes an object.
    pub async fn delete(&self, key: Key) {
        let path = key.path(self.names);
        drop(self.ask("DELETE", &path, "application/json", &Value::Null).await);
    }

    /// Makes an object that windlass has nothing to do with, where there is none of the name.
    pub async fn make(&self, key: Key) -> Option<Value> {
        let mut value = key.head(self.names, true);
        merge(&mut value, &key.base(self.names));
        merge(&mut value, &json!({ "metadata": { "annotations": { "theirs": "made by hand" } } }));
        let path = format!("{}?fieldManager=somebody", key.folder(self.names));
        self.ask("POST", &path, "application/json", &written(&value)).await
    }

    /// Changes an object by a merge patch.
    pub async fn patch(&self, key: Key, patch: &Value) {
        let path = format!("{}?fieldManager=somebody", key.path(self.names));
        drop(self.ask("PATCH", &path, MERGE, patch).await);
    }

    /// Labels an object again, where it is the one that was given to another set.
    pub async fn give_back(&self, key: Key, patch: &Value) {
        let live = self.kube.find(&key.path(self.names)).await.unwrap_or_default();
        if live["metadata"]["labels"][PART_OF] == ANOTHER {
            self.patch(key, patch).await;
        }
    }

    /// Makes an object that carries the application's label, as controllers do that copy labels.
    pub async fn copy_label(&self, key: Key, set: &str) -> Value {
        let mut value = key.head(self.names, true);
        value["metadata"]["labels"] = json!({ PART_OF: set });
        let path = format!("{}?fieldManager=copier", key.folder(self.names));
        self.kube.create(&path, &value).await
    }
}

/// Gives a field of a live object a value, or takes it away; nothing where it has no such place.
fn lay(value: &mut Value, keys: &[String], to: Option<&Value>) -> Option<()> {
    let (key, rest) = keys.split_first()?;
    let Some(name) = key.strip_prefix('@') else { return lay_in_map(value, key, rest, to) };
    if value.is_null() {
        *value = json!([]);
    }
    let items = value.as_array_mut()?;
    let at = items.iter().position(|item| is_called(item, name));
    match (at, rest.is_empty(), to) {
        (Some(at), true, None) => drop(items.remove(at)),
        (Some(at), true, Some(to)) => items[at] = to.clone(),
        (Some(at), false, to) => lay(&mut items[at], rest, to)?,
        (None, true, Some(to)) => items.push(to.clone()),
        (None, _, _) => return None,
    }
    Some(())
}

fn lay_in_map(value: &mut Value, key: &str, rest: &[String], to: Option<&Value>) -> Option<()> {
    if value.is_null() {
        *value = json!({});
    }
    let map = value.as_object_mut()?;
    match (rest.is_empty(), to) {
        (true, None) => drop(map.remove(key)?),
        (true, Some(to)) => drop(map.insert(key.to_owned(), to.clone())),
        (false, to) => lay(map.entry(key.to_owned()).or_insert(Value::Null), rest, to)?,
    }
    Some(())
}

/// Returns whether an item of a list is the one of that name: by its name, or by the port that it is about.
pub fn is_called(item: &Value, name: &str) -> bool {
    item["name"] == name || item["containerPort"].as_u64().is_some_and(|port| port.to_string() == name)
}
