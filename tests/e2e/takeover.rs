//! Objects that another tool applied before become an application's, with all that the tool set.

use std::process::Command;

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

/// Asks what a pass of `shop` would change; returns what is said, and the exit code.
fn adopt(w: &World, more: &[&str]) -> (String, Option<i32>) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_windlass"));
    let output =
        command.args(["adopt", "shop@east"]).args(more).arg("--config").arg(w.config()).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    (said, output.status.code())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_pass_would_take_over_is_shown_before_and_nothing_is_written() {
    World::run(async |w| {
        make(w, TOOLS[0]).await;
        let before = w.east.find(&w.path_of("kubectl")).await.unwrap();
        let files = [
            ("shop/kubectl.yaml", &*config_map("kubectl", "1")),
            ("shop/one.yaml", &*config_map("one", "1")),
        ];
        let first = w.ship(&files).await;
        let (said, code) = adopt(w, &[]);
        assert_eq!(code, Some(3), "{said}");
        let namespace = &w.namespace;
        for line in [
            format!("shop@east at {} of refs/heads/main\n", first.short()),
            format!("  change    ConfigMap/{namespace}/kubectl  taken over from kubectl-client-side-apply, "),
            "goes: data.extra, metadata.annotations\n".to_owned(),
            format!("  create    ConfigMap/{namespace}/one\n"),
            "  0 objects are as declared already; nothing was written.\n".to_owned(),
        ] {
            assert!(said.contains(&line), "{line:?} is not in {said}");
        }
        let (lines, _) = adopt(w, &["--json"]);
        let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let would: Vec<_> =
            lines.iter().map(|line| (line["would"].as_str(), line["name"].as_str())).collect();
        assert_eq!(would, [(Some("change"), Some("kubectl")), (Some("create"), Some("one"))]);
        assert_eq!(w.east.find(&w.path_of("kubectl")).await.unwrap(), before);
        assert_eq!(w.value("one").await, None);
        w.settle().await;
        let (said, code) = adopt(w, &[]);
        assert!(said.ends_with("  2 objects are as declared already; nothing was written.\n"), "{said}");
        assert_eq!(code, Some(0));
        // What cannot be made true is said as a commit would be told.
        let broken = w.ship(&[("shop/one.yaml", "kind: [")]).await;
        let (said, code) = adopt(w, &[]);
        let expected = format!("shop@east at {} of refs/heads/main\n  failed    ", broken.short());
        assert!(said.starts_with(&expected) && said.contains("(one.yaml:1"), "{said}");
        assert_eq!(code, Some(1));
        w.settle().await;
        w.expect(&broken, "shop@east", "failure", &[]).await;
    })
    .await;
}
