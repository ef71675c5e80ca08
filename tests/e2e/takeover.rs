//! Objects that another tool applied before become an application's, with all that the tool set.

use serde_json::Value;
use serde_json::json;

use crate::annotations::annotated;
use crate::world::manifests::config_map;
use crate::world::windlass::World;

const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// How each tool writes: its name, whether it applies on the server's side, and what it notes on the object.
const TOOLS: [(&str, &str, bool, &str); 5] = [
    ("kubectl", "kubectl-client-side-apply", false, LAST_APPLIED),
    ("flux", "kustomize-controller", true, "kustomize.toolkit.fluxcd.io/checksum"),
    ("argo", "argocd-controller", true, "argocd.argoproj.io/tracking-id"),
    ("helm", "helm", false, "meta.helm.sh/release-name"),
    ("helm-ssa", "helm-controller", true, "meta.helm.sh/release-name"),
];

/// Makes a ConfigMap as a tool does, and lets somebody else set a key of it.
async fn make(w: &World, (name, manager, applies, note): (&str, &str, bool, &str)) {
    let object = json!({ "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": { "name": name, "annotations": { note: "something" } },
        "data": { "key": "old", "extra": "old" } });
    let path = format!("/api/v1/namespaces/{}/configmaps", w.namespace);
    if applies {
        w.east.apply(&format!("{path}/{name}?fieldManager={manager}&force=true"), &object.to_string()).await;
    } else {
        w.east.create(&format!("{path}?fieldManager={manager}"), &object).await;
    }
    let theirs = json!({ "data": { "theirs": "kept" } });
    w.east.change(&format!("{path}/{name}?fieldManager=somebody"), &theirs).await;
}

fn managers(object: &Value) -> Vec<&str> {
    let entries = object["metadata"]["managedFields"].as_array().unwrap();
    let mut names: Vec<_> = entries.iter().map(|entry| entry["manager"].as_str().unwrap()).collect();
    names.sort_unstable();
    names
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_another_tool_set_goes_with_it_and_what_others_set_stays() {
    World::run(async |w| {
        for tool in TOOLS {
            make(w, tool).await;
        }
        let files = TOOLS.map(|(name, ..)| (format!("shop/{name}.yaml"), config_map(name, "1")));
        let files = files.each_ref().map(|(path, text)| (path.as_str(), text.as_str()));
        let first = w.ship(&files).await;
        w.settle().await;
        w.expect(&first, "shop@east", "success", &["5 configured, healthy"]).await;
        let run = w.runs().await.pop().unwrap();
        let mut versions = Vec::new();
        for (name, manager, _, note) in TOOLS {
            let object = w.east.find(&w.path_of(name)).await.unwrap();
            assert_eq!(object["data"], json!({ "key": "1", "theirs": "kept" }), "{name}");
            assert_eq!(object["metadata"]["annotations"].get(note), None, "{name}");
            assert_eq!(managers(&object), ["somebody", "windlass:shop"], "{name}");
            let change = run.changes.iter().find(|change| change.object.name == name).unwrap();
            assert!(
                change.note.as_ref().unwrap().contains(&format!("taken over from {manager}")),
                "{change:?}"
            );
            versions.push(object["metadata"]["resourceVersion"].clone());
        }
        let second = w.ship(&[("shop/one.yaml", &config_map("one", "1"))]).await;
        w.settle().await;
        w.expect(&second, "shop@east", "success", &["1 created, healthy"]).await;
        for ((name, ..), version) in TOOLS.iter().zip(versions) {
            let object = w.east.find(&w.path_of(name)).await.unwrap();
            assert_eq!(object["metadata"]["resourceVersion"], version, "{name} is taken over once");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_others_keep_what_they_own_nothing_is_taken_from_them() {
    World::run(async |w| {
        make(w, TOOLS[0]).await;
        let manifest = annotated(&config_map("kubectl", "1"), ("windlass.dev/sync", "merge"));
        w.ship(&[("shop/kubectl.yaml", &manifest)]).await;
        w.settle().await;
        let object = w.east.find(&w.path_of("kubectl")).await.unwrap();
        assert_eq!(object["data"], json!({ "key": "old", "extra": "old", "theirs": "kept" }));
    })
    .await;
}
