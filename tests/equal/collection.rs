//! The manifests of others, made fit for one namespace of the bed; and two kinds of the test's own.

use serde_json::Value;
use serde_json::json;
use windlass::cluster::Kinds;
use windlass::manifest;
use windlass::manifest::Text;
use windlass::object::Manifest;
use windlass::object::Scope;

use crate::world::bed;
use crate::world::kube::Kube;
use crate::world::until;

/// Kinds that would do something to others: the bed's node gets company, each definition makes the server describe its API
/// anew, and a service of the aggregation layer that nobody answers hides its group from all. The table of cases has the
/// latter two.
const NOT_TRIED: [&str; 3] = ["Node", "CustomResourceDefinition", "APIService"];

/// The most bytes that a file may have to be of use here.
const FILE_BYTES: u64 = 64 << 10;

/// Returns the manifests of others that the cluster knows the kinds of, and some of the test's own.
pub fn manifests(kinds: &Kinds, namespace: &str) -> Vec<Manifest> {
    let mut texts = vec![OWN.replace("GROUP", &group(namespace)).into_bytes()];
    let mut folders = vec![std::path::PathBuf::from(bed("WINDLASS_BED_MATERIAL")).join("manifests")];
    while let Some(folder) = folders.pop() {
        let entries = std::fs::read_dir(&folder)
            .unwrap_or_else(|error| panic!("{}: {error}: run scripts/bed up", folder.display()));
        let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        for path in paths {
            if path.is_dir() {
                folders.push(path);
            } else if path.metadata().unwrap().len() <= FILE_BYTES {
                texts.push(std::fs::read(path).unwrap());
            }
        }
    }
    let mut found = Vec::new();
    for text in texts {
        // Not each file is a manifest, nor YAML: some are templates.
        let Ok(read) = manifest::read(&[Text { file: "a.yaml", bytes: &text }]) else { continue };
        found.extend(read.into_iter().filter_map(|manifest| fit(manifest, kinds, namespace)));
    }
    assert!(found.len() > 1_000, "the collection has only {} manifests: run scripts/bed up", found.len());
    found
}

/// Makes a manifest fit for the namespace, and sees to it that nothing runs because of it.
fn fit(mut manifest: Manifest, kinds: &Kinds, namespace: &str) -> Option<Manifest> {
    let scope = kinds.scope(&manifest.api_version, &manifest.id.kind)?;
    if NOT_TRIED.contains(&manifest.id.kind.as_str()) {
        return None;
    }
    manifest.id.namespace = (scope == Scope::Namespaced).then(|| namespace.to_owned());
    let value = &mut manifest.value;
    value.as_object_mut()?.remove("status");
    let name = value["metadata"]["name"].clone();
    let metadata = value["metadata"].as_object_mut()?;
    metadata.retain(|key, _| ["labels", "annotations"].contains(&key.as_str()));
    metadata.insert("name".to_owned(), name);
    if let Some(namespace) = &manifest.id.namespace {
        metadata.insert("namespace".to_owned(), json!(namespace));
    }
    idle(&manifest.id.kind, value);
    Some(manifest)
}

/// Sees to it that nothing runs because of an object, and that it is in nobody's way.
fn idle(kind: &str, value: &mut Value) {
    match kind {
        "ValidatingWebhookConfiguration" | "MutatingWebhookConfiguration" => {
            let nowhere = json!([{ "apiGroups": ["nowhere.windlass.dev"], "apiVersions": ["v1"], "operations": ["CREATE"],
                "resources": ["things"] }]);
            let hooks = value["webhooks"].as_array_mut().into_iter().flatten();
            hooks.for_each(|hook| hook["rules"] = nowhere.clone());
        }
        // An event is in the namespace of what it is about.
        "Event" => {
            let namespace = value["metadata"]["namespace"].clone();
            for about in ["involvedObject", "regarding"] {
                if let Some(about) = value.get_mut(about) {
                    about["namespace"] = namespace.clone();
                }
            }
        }
        _ => {}
    }
    let Some(spec) = value.get_mut("spec").filter(|spec| spec.is_object()) else { return };
    match kind {
        "Deployment" | "StatefulSet" | "ReplicaSet" | "ReplicationController" => spec["replicas"] = json!(0),
        "Job" | "CronJob" => spec["suspend"] = json!(true),
        "DaemonSet" => spec["template"]["spec"]["nodeSelector"] = json!({ "nowhere": "true" }),
        "Pod" => spec["nodeSelector"] = json!({ "nowhere": "true" }),
        "Service" => drop(spec.as_object_mut().map(|spec| spec.remove("clusterIP"))),
        // No request is of this flow, and no policy of that name is there.
        "FlowSchema" => spec["rules"] = json!([]),
        "ValidatingAdmissionPolicyBinding" | "MutatingAdmissionPolicyBinding" => {
            spec["policyName"] = json!("nowhere.windlass.dev");
        }
        _ => {}
    }
}

/// Gives a manifest a name that no other has: those of objects of the whole cluster are everybody's.
pub fn renamed(mut manifest: Manifest, id: &str, place: &str) -> Manifest {
    let name = format!("{id}-{place}").to_lowercase();
    manifest.value["metadata"]["name"] = json!(name);
    manifest.id.name = name;
    manifest
}

/// Returns the path of an object.
pub fn path(manifest: &Manifest) -> String {
    let kind = manifest.id.kind.to_lowercase();
    let plural = match kind.as_bytes() {
        [.., b's', b's'] => format!("{kind}es"),
        [.., b's'] => kind,
        [.., b'y'] if kind != "gateway" => format!("{}ies", kind.trim_end_matches('y')),
        _ => format!("{kind}s"),
    };
    let api = if manifest.api_version.contains('/') { "apis" } else { "api" };
    let namespace =
        manifest.id.namespace.as_ref().map_or_else(String::new, |name| format!("/namespaces/{name}"));
    format!("/{api}/{}{namespace}/{plural}/{}", manifest.api_version, manifest.id.name)
}

/// Returns the group of a test's own kinds; each has its own, since a definition that goes would take the next one along.
pub fn group(namespace: &str) -> String {
    format!("{namespace}.windlass.dev")
}

/// Where kinds are defined.
const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

/// Objects of them.
const OWN: &str = "
apiVersion: GROUP/v1
kind: Strict
metadata: { name: strict }
spec:
  size: 2
  whole: { a: x, b: y }
  ports: [{ port: 80 }, { port: 81, protocol: UDP, note: n }]
  tags: [a, b, c]
  parts: { one: { weight: 1 }, two: { weight: 2 } }
  list: [1, 2, 3]
  any: { deep: [{ a: 1 }, { b: [2, 3] }], empty: {}, none: [] }
---
apiVersion: GROUP/v1
kind: Loose
metadata: { name: loose }
spec: { size: 2, list: [{ a: 1 }, { a: 2 }], deep: { deeper: { deepest: [1, 'two', 3.5, true] } }, empty: {} }
anything: [1, 2]
---
apiVersion: v1
kind: Secret
metadata: { name: told-in-the-clear }
stringData: { user: somebody, word: nothing }
data: { other: c2VjcmV0 }
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: plain }
spec:
  replicas: 0
  selector: { matchLabels: { app: plain } }
  template:
    metadata: { labels: { app: plain } }
    spec:
      containers:
        - name: one
          image: example.org/one:1
          ports: [{ containerPort: 80 }, { containerPort: 81, name: more, protocol: TCP }]
          env: [{ name: A, value: '1' }, { name: B, valueFrom: { fieldRef: { fieldPath: metadata.name } } }]
          resources: { requests: { cpu: 1000m, memory: 1Gi }, limits: { cpu: '1', memory: 1024Mi } }
        - { name: two, image: 'example.org/two:1', args: [a, b], securityContext: {} }
      volumes: [{ name: tmp, emptyDir: {} }]
";

/// Defines the test's own kinds: one with a schema that has every kind of list and map, and one without.
pub async fn define(kube: &Kube, namespace: &str) {
    let group = group(namespace);
    let item = json!({ "type": "object", "required": ["port"], "properties": {
        "port": { "type": "integer" }, "note": { "type": "string" },
        "protocol": { "type": "string", "default": "TCP" } } });
    let weight = json!({ "type": "object", "properties": { "weight": { "type": "integer" } } });
    let spec = json!({ "type": "object", "properties": {
        "size": { "type": "integer" }, "amount": { "x-kubernetes-int-or-string": true }, "filled": { "type": "string", "default": "in" },
        "whole": { "type": "object", "x-kubernetes-map-type": "atomic", "additionalProperties": { "type": "string" } },
        "ports": { "type": "array", "x-kubernetes-list-type": "map", "items": item,
            "x-kubernetes-list-map-keys": ["port", "protocol"] },
        "tags": { "type": "array", "x-kubernetes-list-type": "set", "items": { "type": "string" } },
        "parts": { "type": "object", "additionalProperties": weight },
        "list": { "type": "array", "items": { "type": "integer" } },
        "any": { "type": "object", "x-kubernetes-preserve-unknown-fields": true } } });
    let strict = json!({ "type": "object", "properties": { "spec": spec } });
    let loose = json!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true });
    for (kind, schema) in [("Strict", strict), ("Loose", loose)] {
        let plural = format!("{}s", kind.to_lowercase());
        let version =
            json!({ "name": "v1", "served": true, "storage": true, "schema": { "openAPIV3Schema": schema } });
        let definition = json!({ "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": { "name": format!("{plural}.{group}") },
            "spec": { "group": group, "scope": "Namespaced", "names": { "kind": kind, "plural": plural },
                "versions": [version] } });
        let path = format!("{DEFINITIONS}/{plural}.{group}?fieldManager=equal&force=true");
        kube.ask("PATCH", &path, "application/apply-patch+yaml", &definition).await.unwrap();
    }
    for plural in ["stricts", "looses"] {
        until("the kind is served", async || {
            kube.find(&format!("/apis/{group}/v1/namespaces/default/{plural}")).await
        })
        .await;
    }
}

/// Takes them away again.
pub async fn undefine(kube: &Kube, namespace: &str) {
    let group = group(namespace);
    for plural in ["stricts", "looses"] {
        kube.delete(&format!("{DEFINITIONS}/{plural}.{group}")).await;
    }
}
