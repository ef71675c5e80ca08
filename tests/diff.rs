//! `windlass diff --offline`, as a person calls it.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::path::Path;
use std::process::Command;

use serde_json::Value;
use serde_json::json;

/// Returns the exit code, what is printed, and what is complained about.
fn diff(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_windlass"));
    let output = command.current_dir(folder).args(["diff", "--offline"]).args(arguments).output().unwrap();
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

/// Returns an object as the application `shop` applied it, with one field `data.key` of this value.
fn live(kind: &str, name: &str, manager: &str, value: &str) -> Value {
    let fields = json!({ "f:metadata": { "f:labels": { "f:applyset.kubernetes.io/part-of": {} } }, "f:data": { "f:key": {} } });
    json!({ "apiVersion": "v1", "kind": kind, "data": { "key": value },
        "metadata": { "name": name, "namespace": "shop", "uid": "u", "labels": { "applyset.kubernetes.io/part-of": "set" },
            "managedFields": [{ "manager": manager, "operation": "Apply", "apiVersion": "v1", "fieldsV1": fields }] } })
}

fn list(items: &[Value]) -> String {
    json!({ "apiVersion": "v1", "kind": "List", "items": items }).to_string()
}

fn declared(kind: &str, name: &str, value: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: {kind}\nmetadata: {{ name: {name}, namespace: shop }}\ndata: {{ key: {value} }}\n"
    )
}

#[test]
fn each_manifest_has_its_verdict_and_the_worst_is_the_exit_code() {
    let us = "windlass:shop";
    let off = "---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: idle\n  namespace: shop\n  annotations: { windlass.dev/sync: disabled }\n";
    let folder = folder(&[
        (
            "live.json",
            &list(&[
                live("ConfigMap", "a", us, "x"),
                live("ConfigMap", "b", us, "x"),
                live("ConfigMap", "q", us, "1"),
            ]),
        ),
        ("same.yaml", &declared("ConfigMap", "a", "x")),
        ("other.yaml", &declared("ConfigMap", "b", "z")),
        ("notation.yaml", &declared("ConfigMap", "q", "\"1.0\"")),
        ("new.yaml", &declared("ConfigMap", "c", "x")),
        ("off.yaml", off),
        ("hook.yaml", &off.replace("sync: disabled", "hook: before")),
        (
            "all.yaml",
            &(declared("ConfigMap", "a", "x")
                + &declared("ConfigMap", "q", "\"1.0\"")
                + &declared("ConfigMap", "b", "z")),
        ),
        ("broken.yaml", "a: [\n"),
    ]);
    let undecided =
        "ConfigMap/shop/q undecided data.key \"1\" -> \"1.0\" (only the API server's dry-run can tell)\n";
    let changed = "ConfigMap/shop/b changed data.key \"x\" -> \"z\"\n";
    for (file, code, printed) in [
        ("same.yaml", 0, "ConfigMap/shop/a unchanged\n".to_owned()),
        (
            "off.yaml",
            0,
            "ConfigMap/shop/idle kept left as it is: its manifest's annotation disables its sync\n"
                .to_owned(),
        ),
        ("hook.yaml", 0, "ConfigMap/shop/idle kept it is a hook: each rollout makes it anew\n".to_owned()),
        ("notation.yaml", 1, undecided.to_owned()),
        ("other.yaml", 2, changed.to_owned()),
        ("new.yaml", 2, "ConfigMap/shop/c absent not in LIVE: it would be created\n".to_owned()),
        ("all.yaml", 2, format!("ConfigMap/shop/a unchanged\n{undecided}{changed}")),
        ("broken.yaml", 3, String::new()),
        ("nowhere.yaml", 3, String::new()),
    ] {
        let (found, text, why) = diff(folder.path(), &["live.json", file]);
        assert_eq!((found, text), (code, printed), "{file}: {why}");
        assert_eq!(why.is_empty(), code != 3, "{why}");
    }
    let (_, text, _) = diff(folder.path(), &["--json", "live.json", "other.yaml"]);
    let told: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        told.pointer("/fields/0").unwrap(),
        &json!({ "field": "data.key", "live": "x", "declared": "z" })
    );
    assert_eq!(told.get("diff").unwrap(), "changed");
}

#[test]
fn what_a_secret_holds_is_not_printed() {
    let folder = folder(&[
        ("live.json", &live("Secret", "a", "windlass:shop", "aHVudGVyMg==").to_string()),
        ("secret.yaml", &declared("Secret", "a", "c2Vjb25k")),
    ]);
    for more in [&["live.json", "secret.yaml"][..], &["--json", "live.json", "secret.yaml"]] {
        let (code, text, why) = diff(folder.path(), more);
        assert!(code == 2 && text.contains("data.key") && text.contains("***"), "{text}{why}");
        assert!(!format!("{text}{why}").contains("aHVudGVyMg") && !text.contains("c2Vjb25k"), "{text}{why}");
    }
}

#[test]
fn whose_fields_count_is_said_or_seen() {
    let mut bare = live("ConfigMap", "b", "x", "x");
    bare.pointer_mut("/metadata").unwrap().as_object_mut().unwrap().remove("managedFields");
    let folder = folder(&[
        ("theirs.json", &live("ConfigMap", "a", "argocd-controller", "x").to_string()),
        ("bare.json", &bare.to_string()),
        (
            "a.yaml",
            &declared("ConfigMap", "a", "x")
                .replace("shop }", "shop, labels: { applyset.kubernetes.io/part-of: set } }"),
        ),
        ("b.yaml", &declared("ConfigMap", "b", "x")),
        ("c.yaml", &declared("ConfigMap", "b", "z")),
    ]);
    let run = |arguments: &[&str]| diff(folder.path(), arguments);
    assert_eq!(
        run(&["--manager", "argocd-controller", "theirs.json", "a.yaml"]).1,
        "ConfigMap/shop/a unchanged\n"
    );
    let (code, text, _) = run(&["--application", "shop", "theirs.json", "a.yaml"]);
    assert_eq!((code, text.as_str()), (2, "ConfigMap/shop/a changed metadata.managedFields\n"));
    let (code, text, _) = run(&["bare.json", "b.yaml"]);
    assert!(code == 1 && text.contains("--show-managed-fields"), "{text}");
    assert_eq!(run(&["bare.json", "c.yaml"]).1, "ConfigMap/shop/b changed data.key \"x\" -> \"z\"\n");
    let (code, _, why) = run(&["-", "-"]);
    assert!(code == 3 && why.contains("give LIVE or MANIFEST as a file"), "{why}");
}

#[test]
fn what_is_left_to_others_is_no_difference() {
    let rule = "[[sources]]\nname = \"code\"\n[[clusters]]\nname = \"east\"\n[[applications]]\nname = \"shop\"\nsource = \"code\"\n\
                ref = \"refs/heads/main\"\nclusters = [\"east\"]\n[[ignore_rules]]\nkind = \"ConfigMap\"\nfields = [\"/data/key\"]\n";
    let annotated = declared("ConfigMap", "a", "z")
        .replace("shop }", "shop, annotations: { windlass.dev/ignore: /data/key } }");
    let mut held = live("ConfigMap", "a", "windlass:shop", "x");
    let fields = json!({ "f:windlass.dev/ignore": {} });
    let mut with_annotation = held.clone();
    *with_annotation.pointer_mut("/metadata/managedFields/0/fieldsV1/f:metadata").unwrap() =
        json!({ "f:labels": { "f:applyset.kubernetes.io/part-of": {} }, "f:annotations": fields });
    with_annotation
        .pointer_mut("/metadata")
        .unwrap()
        .as_object_mut()
        .unwrap()
        .insert("annotations".to_owned(), json!({ "windlass.dev/ignore": "/data/key" }));
    held.as_object_mut().unwrap().remove("status");
    let folder = folder(&[
        ("live.json", &held.to_string()),
        ("annotated.json", &with_annotation.to_string()),
        ("a.yaml", &declared("ConfigMap", "a", "z")),
        ("annotated.yaml", &annotated),
        ("windlass.toml", rule),
    ]);
    let run = |arguments: &[&str]| diff(folder.path(), arguments);
    assert_eq!(run(&["live.json", "a.yaml"]).0, 2);
    let (code, text, why) =
        run(&["--application", "shop", "--config", "windlass.toml", "live.json", "a.yaml"]);
    assert_eq!((code, text.as_str()), (0, "ConfigMap/shop/a unchanged\n"), "{why}");
    let (code, text, _) = run(&["annotated.json", "annotated.yaml"]);
    assert_eq!((code, text.as_str()), (0, "ConfigMap/shop/a unchanged\n"));
    let (code, _, why) = run(&["--application", "blog", "--config", "windlass.toml", "live.json", "a.yaml"]);
    assert!(code == 3 && why.contains("find the application blog"), "{why}");
}
