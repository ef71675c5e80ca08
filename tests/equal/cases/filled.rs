//! A definition that fills in another key than before: what was declared means another item now.

use serde_json::Value;
use serde_json::json;
use windlass::application::Conflicts;
use windlass::drift;
use windlass::manifest;
use windlass::manifest::Text;
use windlass::object::Manifest;

use crate::MANAGER;
use crate::Scene;
use crate::world::until;

const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

impl Scene {
    /// Returns what the server's dry-run changes of an object, after its definition fills in another key of its items, and
    /// whether windlass knows without asking that nothing changes.
    pub async fn filled_in_otherwise(&mut self) -> (Vec<String>, bool) {
        let group = format!("filled.{}.windlass.dev", self.namespace);
        let path = format!("{DEFINITIONS}/keyeds.{group}");
        self.fill(&path, &group, "TCP").await;
        let folder = format!("/apis/{group}/v1/namespaces/{}/keyeds", self.namespace);
        until("the kind is served", async || self.kube.find(&folder).await).await;
        self.kinds = self.cluster.discover().await.unwrap();
        let declared = self.keyed(&group, "one");
        self.cluster.apply(&self.kinds, (MANAGER, Conflicts::Take), &declared, None, "").await.unwrap();
        self.fill(&path, &group, "UDP").await;
        let other = self.keyed(&group, "other");
        until("the definition fills in UDP", async || {
            let new = self.cluster.dry_run(&self.kinds, MANAGER, &other, Conflicts::Take).await.ok()?;
            (new.pointer("/spec/ports/0/protocol") == Some(&json!("UDP"))).then_some(())
        })
        .await;
        let live = self.live(&declared).await.unwrap();
        let merged = self.cluster.dry_run(&self.kinds, MANAGER, &declared, Conflicts::Take).await.unwrap();
        let known = drift::is_as_declared(&live.value, &declared.value, MANAGER, true);
        self.kube.delete(&path).await;
        (drift::between(&live.value, &merged, MANAGER), known)
    }

    /// Makes or changes the definition.
    async fn fill(&self, path: &str, group: &str, protocol: &str) {
        let definition = definition(group, protocol);
        let path = format!("{path}?fieldManager=equal&force=true");
        self.kube.ask("PATCH", &path, "application/apply-patch+yaml", &definition).await.unwrap();
    }

    fn keyed(&self, group: &str, name: &str) -> Manifest {
        let text = format!(
            "{{ apiVersion: {group}/v1, kind: Keyed, metadata: {{ name: {name}, namespace: {} }}, spec: {{ ports: [{{ port: 80 }}] }} }}",
            self.namespace
        );
        let file = Text { file: "keyed.yaml", bytes: text.as_bytes() };
        manifest::read(&[file]).unwrap().pop().unwrap()
    }
}

fn definition(group: &str, protocol: &str) -> Value {
    let item = json!({ "type": "object", "required": ["port"], "properties": {
        "port": { "type": "integer" }, "protocol": { "type": "string", "default": protocol } } });
    let ports = json!({ "type": "array", "items": item, "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["port", "protocol"] });
    let schema = json!({ "type": "object", "properties": {
        "spec": { "type": "object", "properties": { "ports": ports } } } });
    json!({ "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": { "name": format!("keyeds.{group}") },
        "spec": { "group": group, "scope": "Namespaced", "names": { "kind": "Keyed", "plural": "keyeds" },
            "versions": [{ "name": "v1", "served": true, "storage": true, "schema": { "openAPIV3Schema": schema } }] } })
}
