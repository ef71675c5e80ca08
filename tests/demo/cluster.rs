//! The cluster as the demo sees it: what it holds of the application, and every change of that.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use futures::StreamExt;
use kube::Api;
use kube::api::ApiResource;
use kube::api::DeleteParams;
use kube::api::DynamicObject;
use kube::api::GroupVersionKind;
use kube::api::ListParams;
use kube::api::Patch;
use kube::api::PatchParams;
use kube::api::PostParams;
use kube::api::WatchEvent;
use kube::api::WatchParams;
use kube::config::KubeConfigOptions;
use kube::config::Kubeconfig;
use serde_json::Value;
use serde_json::json;

use crate::news::Mark;
use crate::news::News;
use crate::news::Sender;

/// The kinds that the demo's commits declare.
const KINDS: [(&str, &str, &str); 4] = [
    ("", "v1", "ConfigMap"),
    ("", "v1", "Service"),
    ("", "v1", "ServiceAccount"),
    ("apps", "v1", "Deployment"),
];

/// Who changes a live object by hand.
const HAND: &str = "somebodys-hand";

/// How long may a namespace take to be gone?
const GONE_WITHIN: Duration = Duration::from_secs(60);

/// A namespace of a cluster.
pub struct Cluster {
    client: kube::Client,
    namespace: String,
    /// What its API says it is.
    pub version: String,
}

/// An object as far as the demo compares it.
pub type Held = BTreeMap<String, Value>;

impl Cluster {
    /// Connects, and asks what the cluster is.
    pub async fn connect(kubeconfig: &Path, namespace: &str) -> Self {
        let kubeconfig = Kubeconfig::read_from(kubeconfig).unwrap();
        let config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
        let client = kube::Client::try_from(config.unwrap()).unwrap();
        let asked = client.apiserver_version().await;
        let version = asked
            .unwrap_or_else(|error| panic!("the cluster does not answer: {}", words(&error)))
            .git_version;
        Self { client, namespace: namespace.to_owned(), version }
    }

    fn api(&self, (group, version, kind): (&str, &str, &str)) -> Api<DynamicObject> {
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        Api::namespaced_with(self.client.clone(), &self.namespace, &resource)
    }

    fn namespaces(&self) -> Api<DynamicObject> {
        Api::all_with(
            self.client.clone(),
            &ApiResource::from_gvk(&GroupVersionKind::gvk("", "v1", "Namespace")),
        )
    }

    /// Makes the namespace.
    pub async fn make_namespace(&self) {
        let body = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": self.namespace } });
        let made =
            self.namespaces().create(&PostParams::default(), &serde_json::from_value(body).unwrap()).await;
        made.unwrap_or_else(|error| {
            panic!("making the namespace {} failed: {}", self.namespace, words(&error))
        });
    }

    /// Deletes the namespace, and waits until it is gone when asked to.
    pub async fn delete_namespace(&self, wait: bool) {
        let namespaces = self.namespaces();
        namespaces.delete(&self.namespace, &DeleteParams::default()).await.unwrap();
        let gone = async {
            while namespaces.get_opt(&self.namespace).await.unwrap().is_some() {
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        };
        if wait && tokio::time::timeout(GONE_WITHIN, gone).await.is_err() {
            panic!("the namespace {} is being deleted, but is not gone yet: look after it", self.namespace);
        }
    }

    /// Returns all that the namespace holds of the application, and windlass's own record of it, by kind and name.
    pub async fn held(&self) -> Held {
        let mut held = Held::new();
        for kind in KINDS {
            for labels in ["applyset.kubernetes.io/part-of", "applyset.kubernetes.io/id"] {
                let listed = self.api(kind).list(&ListParams::default().labels(labels)).await.unwrap();
                for object in listed {
                    let name = object.metadata.name.clone().unwrap();
                    held.insert(format!("{}/{name}", kind.2), serde_json::to_value(object).unwrap());
                }
            }
        }
        held
    }

    /// Changes a value of a ConfigMap by hand, behind windlass's back.
    pub async fn tamper(&self, name: &str, key: &str, value: &str) {
        let params = PatchParams { field_manager: Some(HAND.to_owned()), ..PatchParams::default() };
        let patch = Patch::Merge(json!({ "data": { key: value } }));
        self.api(KINDS[0]).patch(name, &params, &patch).await.unwrap();
    }

    /// Tells of every change of the application's objects from now on. Returns when all kinds are being watched.
    pub async fn follow(&self, sender: &Sender) {
        for kind in KINDS {
            let api = self.api(kind);
            let listed =
                api.list(&ListParams::default().labels("applyset.kubernetes.io/part-of")).await.unwrap();
            let version = listed.metadata.resource_version.unwrap();
            tokio::spawn(watch(api, kind.2, version, sender.clone()));
        }
    }
}

/// Returns an error in the server's own words, where it is the server's.
fn words(error: &kube::Error) -> String {
    if let kube::Error::Api(status) = error { status.message.clone() } else { error.to_string() }
}

async fn watch(api: Api<DynamicObject>, kind: &'static str, mut version: String, sender: Sender) {
    let params = WatchParams::default().labels("applyset.kubernetes.io/part-of");
    let mut known = BTreeMap::new();
    loop {
        let Ok(stream) = api.watch(&params, &version).await else { return };
        let mut stream = std::pin::pin!(stream);
        while let Some(Ok(event)) = stream.next().await {
            let (object, gone) = match event {
                WatchEvent::Added(object) | WatchEvent::Modified(object) => (object, false),
                WatchEvent::Deleted(object) => (object, true),
                WatchEvent::Bookmark(_) | WatchEvent::Error(_) => continue,
            };
            version = object.metadata.resource_version.clone().unwrap_or(version);
            let name = object.metadata.name.clone().unwrap_or_default();
            let before = known.remove(&name);
            if gone {
                sender.tell(News::object("pruned", Mark::Step, kind, &name, ""));
                continue;
            }
            let now = serde_json::to_value(object).unwrap();
            tell(kind, &name, before.as_ref(), &now, &sender);
            known.insert(name, now);
        }
    }
}

/// Tells what an object's change comes to.
fn tell(kind: &str, name: &str, before: Option<&Value>, now: &Value, sender: &Sender) {
    let by_hand = now["metadata"]["managedFields"]
        .as_array()
        .is_some_and(|all| all.iter().any(|one| one["manager"] == HAND));
    match before {
        None => sender.tell(News::object("created", Mark::Step, kind, name, "")),
        Some(before) if declared(before) == declared(now) => {}
        Some(_) if by_hand => sender.tell(News::object("changed by hand", Mark::Hand, kind, name, "")),
        Some(_) => sender.tell(News::object("configured", Mark::Step, kind, name, "")),
    }
    if let (Some(ready), before) = (ready(now), before.and_then(ready))
        && before != Some(ready)
    {
        let more = format!(", {ready} of {ready} replicas available");
        sender.tell(News::object("healthy", Mark::Good, kind, name, &more));
    }
}

/// Returns what people declare of an object: neither its metadata nor its status.
fn declared(object: &Value) -> Value {
    let mut declared = object.clone();
    if let Some(fields) = declared.as_object_mut() {
        fields.retain(|key, _| !["metadata", "status"].contains(&key.as_str()));
    }
    declared
}

/// Returns the number of replicas of a Deployment whose rollout is complete.
fn ready(object: &Value) -> Option<i64> {
    let wanted = object["spec"]["replicas"].as_i64()?;
    let status = &object["status"];
    let seen = status["observedGeneration"] == object["metadata"]["generation"];
    let all = ["updatedReplicas", "availableReplicas", "replicas"].iter().all(|key| status[key] == wanted);
    (seen && all).then_some(wanted)
}
