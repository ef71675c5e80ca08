//! `windlass health`, as a person calls it.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::path::Path;
use std::process::Command;

/// Returns the exit code, what is printed, and what is complained about.
fn health(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_windlass"));
    let output = command.current_dir(folder).arg("health").args(arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

const MAP: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: a, namespace: shop }\n";
const WEB: &str =
    "apiVersion: apps/v1\nkind: Deployment\nmetadata: { name: web, namespace: shop, generation: 2 }\n";
const WIDGET: &str = "apiVersion: example.org/v1\nkind: Widget\nmetadata: { name: w }\n";
const DEFINITION: &str = r#"{ "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
    "metadata": { "name": "widgets.example.org" },
    "spec": { "group": "example.org", "names": { "kind": "Widget" }, "versions": [{ "name": "v1", "schema": {
        "openAPIV3Schema": { "properties": { "status": { "properties": { "conditions": {} } } } } } }] },
    "status": { "conditions": [{ "type": "Established", "status": "True" }] } }"#;

#[test]
fn the_exit_code_is_that_of_the_worst_verdict() {
    let failed = format!(
        "{WEB}status: {{ observedGeneration: 2, conditions: [{{ type: Progressing, status: 'False', reason: ProgressDeadlineExceeded }}] }}\n"
    );
    let list = format!("apiVersion: v1\nkind: List\nitems:\n- {}", MAP.replace('\n', "\n  "));
    let folder = folder(&[
        ("map.yaml", MAP),
        ("web.yaml", &format!("{MAP}---\n{WEB}")),
        ("failed.yaml", &format!("{failed}---\n{WEB}")),
        ("list.yaml", &list),
        ("none.yaml", "a: [\n"),
    ]);
    let run = |file: &str| health(folder.path(), &[file]);
    assert_eq!(run("map.yaml").1, "ConfigMap/shop/a healthy\n");
    assert_eq!(run("map.yaml").0, 0);
    assert_eq!(run("list.yaml").1, "ConfigMap/shop/a healthy\n");
    let web = "Deployment/shop/web waiting its controller has not seen it yet\n";
    assert_eq!(run("web.yaml").1, format!("ConfigMap/shop/a healthy\n{web}"));
    assert_eq!(run("web.yaml").0, 1);
    assert_eq!(run("failed.yaml").1, format!("Deployment/shop/web failed ProgressDeadlineExceeded\n{web}"));
    assert_eq!(run("failed.yaml").0, 2);
    assert_eq!(run("none.yaml").0, 3);
    assert!(run("absent.yaml").2.contains("absent.yaml"));
    let (_, json, _) = health(folder.path(), &["--json", "map.yaml"]);
    assert!(json.contains(r#""health":"healthy""#) && json.contains(r#""namespace":"shop""#), "{json}");
}

#[test]
fn definitions_and_rules_are_heard() {
    let rule = "[[health_rules]]\ngroup = \"example.org\"\nkind = \"Widget\"\n";
    let folder = folder(&[
        ("widget.yaml", WIDGET),
        ("definition.json", DEFINITION),
        ("silent.toml", &format!("{rule}silent = true\n")),
        ("says.toml", &format!("{rule}healthy = \"has(status.phase)\"\n")),
        ("wrong.toml", &format!("{rule}healthy = \"status.phase ==\"\n")),
    ]);
    let run = |arguments: &[&str]| health(folder.path(), arguments);
    assert_eq!(run(&["widget.yaml"]).1, "Widget/w healthy\n");
    let both = &["widget.yaml", "definition.json"];
    assert!(run(both).1.starts_with("Widget/w waiting its controller has reported nothing yet\n"));
    assert_eq!(run(both).0, 1);
    let with = |config: &str| run(&["--config", config, "widget.yaml", "definition.json"]);
    assert_eq!(with("silent.toml").0, 0);
    assert!(with("says.toml").1.starts_with("Widget/w waiting its health rule does not call it healthy yet"));
    let (code, _, why) = with("wrong.toml");
    assert!(code == 3 && why.contains("health_rules[0].healthy: is no CEL at line 1"), "{code}: {why}");
}
