//! Fields that other managers have set to something else than a commit: whether they are taken, and what is said of it.

use serde_json::json;

use crate::annotations::annotated;
use crate::drift::drifts;
use crate::drift::edit;
use crate::world::manifests::config_map;
use crate::world::setup::App;
use crate::world::setup::Setup;
use crate::world::windlass::World;

fn refusing() -> Setup {
    Setup::default().applications([App::named("shop").with("conflicts = \"refuse\"")])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_field_that_is_taken_from_another_is_told_with_its_name() {
    World::run(async |w| {
        w.ship(&[("shop/one.yaml", &config_map("one", "1"))]).await;
        w.settle().await;
        edit(w, "one", "2").await;
        let second = w.ship(&[("shop/one.yaml", &config_map("one", "3"))]).await;
        w.settle().await;
        w.expect(&second, "shop@east", "success", &["1 configured"]).await;
        let run = w.runs().await.pop().unwrap();
        assert_eq!(run.changes[0].note.as_deref(), Some("data.key (taken from somebody)"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_would_take_a_field_is_refused_by_name_where_nothing_is_to_be_taken() {
    refusing()
        .run(async |w| {
            w.ship(&[("shop/one.yaml", &config_map("one", "1"))]).await;
            w.settle().await;
            edit(w, "one", "2").await;
            let files =
                [("shop/one.yaml", config_map("one", "3")), ("shop/two.yaml", config_map("two", "1"))];
            let files = files.each_ref().map(|(path, text)| (*path, text.as_str()));
            let second = w.ship(&files).await;
            w.settle().await;
            w.expect(&second, "shop@east", "failure", &["conflict with \"somebody\""]).await;
            let said = w.runs().await.pop().unwrap().problems[0].to_string();
            for word in ["ConfigMap", "one.yaml:1", ".data.key", "windlass.dev/conflicts: take"] {
                assert!(said.contains(word), "{word}: {said}");
            }
            assert_eq!(w.value("one").await.as_deref(), Some("2"));
            assert_eq!(w.value("two").await, None, "nothing was written");
            // What is declared as it is conflicts with nobody, and a field that nobody else set neither.
            let third = w.ship(&[("shop/one.yaml", &config_map("one", "2"))]).await;
            w.settle().await;
            w.expect(&third, "shop@east", "success", &["1 created"]).await;
            let note = ("windlass.dev/conflicts", "take");
            let fourth = w.ship(&[("shop/one.yaml", &annotated(&config_map("one", "4"), note))]).await;
            w.settle().await;
            w.expect(&fourth, "shop@east", "success", &["1 configured"]).await;
            assert_eq!(w.value("one").await.as_deref(), Some("4"));
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn drift_of_a_field_that_is_not_taken_is_recorded_and_the_rest_corrected() {
    refusing()
        .run(async |w| {
            let files =
                [("shop/one.yaml", config_map("one", "1")), ("shop/two.yaml", config_map("two", "1"))];
            w.ship(&files.each_ref().map(|(path, text)| (*path, text.as_str()))).await;
            w.settle().await;
            let _patrol = w.patrol();
            edit(w, "one", "2").await;
            w.drift_is_seen().await;
            w.settle().await;
            assert_eq!(w.value("one").await.as_deref(), Some("2"));
            w.east.delete(&w.path_of("two")).await;
            w.drift_is_seen().await;
            w.settle().await;
            assert_eq!(w.value("two").await.as_deref(), Some("1"));
            assert_eq!(w.value("one").await.as_deref(), Some("2"));
            let found = drifts(w).await;
            let of = |name: &str, corrected: bool| {
                found.iter().any(|one| {
                    one.corrected == corrected
                        && one.problems.is_empty()
                        && one.objects[0].object.name == name
                })
            };
            assert!(of("one", false) && of("two", true) && !of("one", true), "{found:?}");
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_named_tool_applied_is_taken_over_and_what_others_applied_is_not() {
    let app = App::named("shop").with("conflicts = \"refuse\"").with("takes_over = [\"terraform\"]");
    Setup::default()
        .applications([app])
        .run(async |w| {
            let path = format!("/api/v1/namespaces/{}/configmaps", w.namespace);
            for (name, manager) in
                [("one", "terraform"), ("two", "kubectl-client-side-apply"), ("three", "somebody")]
            {
                let object = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": name },
                    "data": { "key": "old", "extra": "old" } });
                w.east.create(&format!("{path}?fieldManager={manager}"), &object).await;
            }
            let files =
                [("shop/one.yaml", config_map("one", "1")), ("shop/two.yaml", config_map("two", "1"))];
            let first = w.ship(&files.each_ref().map(|(path, text)| (*path, text.as_str()))).await;
            w.settle().await;
            w.expect(&first, "shop@east", "success", &["2 configured"]).await;
            for name in ["one", "two"] {
                let object = w.east.find(&w.path_of(name)).await.unwrap();
                assert_eq!(object["data"], json!({ "key": "1" }), "{name}");
            }
            let run = w.runs().await.pop().unwrap();
            let note =
                run.changes.iter().find(|change| change.object.name == "one").unwrap().note.clone().unwrap();
            assert!(note.contains("taken over from terraform") && !note.contains("taken from"), "{note}");
            let second = w.ship(&[("shop/three.yaml", &config_map("three", "1"))]).await;
            w.settle().await;
            w.expect(&second, "shop@east", "failure", &["conflict with \"somebody\""]).await;
            assert_eq!(w.value("three").await.as_deref(), Some("old"));
        })
        .await;
}
