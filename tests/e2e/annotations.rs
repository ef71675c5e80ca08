//! What single objects ask for by their annotations, in windlass's words and in those of Flux and Argo CD.

use serde_json::Value;
use serde_json::json;
use windlass::application::SelfHeal;

use crate::world::manifests::config_map;
use crate::world::setup::Setup;
use crate::world::windlass::World;

pub const ARGO_OPTIONS: &str = "argocd.argoproj.io/sync-options";
const FLUX_SSA: &str = "kustomize.toolkit.fluxcd.io/ssa";
const FLUX_RECONCILE: &str = "kustomize.toolkit.fluxcd.io/reconcile";

/// Returns a manifest with an annotation.
pub fn annotated(text: &str, (key, value): (&str, &str)) -> String {
    text.replacen("metadata:\n", &format!("metadata:\n  annotations: {{ \"{key}\": \"{value}\" }}\n"), 1)
}

/// Ships one ConfigMap for each annotation of a table, called `n0`, `n1` and so on.
async fn ship_table(w: &mut World, table: &[(&str, &str)], value: &str) -> windlass::commit::CommitId {
    let files: Vec<(String, String)> = table
        .iter()
        .enumerate()
        .map(|(n, one)| (format!("shop/n{n}.yaml"), annotated(&config_map(&format!("n{n}"), value), *one)))
        .collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    w.ship(&files).await
}

async fn members(w: &World) -> String {
    let path = format!("/api/v1/namespaces/{}/configmaps/windlass-shop", w.installation);
    w.east.find(&path).await.unwrap()["data"]["members"].as_str().unwrap().to_owned()
}

/// Changes the value of a ConfigMap, as somebody with `kubectl edit` would.
async fn edit(w: &World, name: &str, value: &str) {
    let path = format!("{}?fieldManager=somebody", w.path_of(name));
    w.east.change(&path, &json!({ "data": { "key": value } })).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_to_be_pruned_stays_is_told_and_does_not_trip_the_guard() {
    let table = [
        ("windlass.dev/prune", "disabled"),
        ("kustomize.toolkit.fluxcd.io/prune", "disabled"),
        (ARGO_OPTIONS, "Replace=true,Prune=false"),
    ];
    Setup::default()
        .section("[guard]\nleast = 1\npercent = 1")
        .run(async |w| {
            ship_table(w, &table, "1").await;
            w.ship(&[("shop/a.yaml", &config_map("a", "1")), ("shop/b.yaml", &config_map("b", "1"))]).await;
            w.settle().await;
            w.repo.remove(&["shop/n0.yaml", "shop/n1.yaml", "shop/n2.yaml", "shop/a.yaml"]);
            let second = w.ship(&[("shop/b.yaml", &config_map("b", "2"))]).await;
            w.settle().await;
            w.expect(&second, "shop@east", "success", &["1 configured, 1 pruned, 3 kept, healthy"]).await;
            assert_eq!(w.east.config_maps(&w.namespace).await, ["b", "n0", "n1", "n2"]);
            let run = w.runs().await.pop().unwrap();
            let notes: Vec<_> = run.changes.iter().filter_map(|change| change.note.as_deref()).collect();
            assert!(notes.contains(&"its annotation says that it is not pruned"), "{notes:?}");
            // It stays a member, so that whoever takes the annotation away has it pruned.
            w.east
                .change(&w.path_of("n0"), &json!({ "metadata": { "annotations": { table[0].0: null } } }))
                .await;
            let third = w.ship(&[("shop/b.yaml", &config_map("b", "3"))]).await;
            w.settle().await;
            w.expect(&third, "shop@east", "success", &["1 configured, 1 pruned, 2 kept, healthy"]).await;
            assert_eq!((w.value("n0").await, members(w).await.as_str()), (None, "3"));
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_to_be_confirmed_is_pruned_with_consent() {
    World::run(async |w| {
        let table = [("windlass.dev/prune", "confirm"), (ARGO_OPTIONS, "Prune=confirm")];
        ship_table(w, &table, "1").await;
        w.ship(&[("shop/b.yaml", &config_map("b", "1"))]).await;
        w.settle().await;
        w.repo.remove(&["shop/n0.yaml", "shop/n1.yaml"]);
        let second = w.ship(&[("shop/b.yaml", &config_map("b", "2"))]).await;
        w.settle().await;
        w.expect(&second, "shop@east", "failure", &["its annotation asks for consent"]).await;
        assert_eq!(w.east.config_maps(&w.namespace).await, ["b", "n0", "n1"]);
        let third =
            w.commit_saying("go\n\nWindlass-Allow-Prune: shop", &[("shop/b.yaml", &config_map("b", "3"))]);
        w.push(&third).await;
        w.settle().await;
        w.expect(&third, "shop@east", "success", &["2 pruned"]).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_only_to_be_created_is_written_once() {
    World::run(async |w| {
        let table = [("windlass.dev/sync", "create-only"), (FLUX_SSA, "IfNotPresent")];
        // One was there before, with what cannot be changed.
        let there = json!({ "apiVersion": "v1", "kind": "ConfigMap", "immutable": true,
            "metadata": { "name": "n1", "namespace": w.namespace }, "data": { "key": "theirs" } });
        w.east.create(&format!("/api/v1/namespaces/{}/configmaps", w.namespace), &there).await;
        let first = ship_table(w, &table, "1").await;
        w.settle().await;
        w.expect(&first, "shop@east", "success", &["1 created, healthy"]).await;
        let second = ship_table(w, &table, "2").await;
        w.settle().await;
        w.expect(&second, "shop@east", "success", &["2 unchanged, healthy"]).await;
        assert_eq!(w.value("n0").await.as_deref(), Some("1"));
        assert_eq!(w.value("n1").await.as_deref(), Some("theirs"));
        assert_eq!(members(w).await, "1", "what windlass never wrote is no member");
        w.east.delete(&w.path_of("n0")).await;
        ship_table(w, &table, "3").await;
        w.settle().await;
        assert_eq!(w.value("n0").await.as_deref(), Some("3"), "what is gone is created again");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_disabled_is_neither_created_nor_changed() {
    World::run(async |w| {
        let table = [
            ("windlass.dev/sync", "disabled"),
            (FLUX_SSA, "Ignore"),
            (FLUX_RECONCILE, "disabled"),
            ("argocd.argoproj.io/hook", "Skip"),
        ];
        let usual = table.map(|_| ("example.org/none", ""));
        let first = ship_table(w, &usual[..3], "1").await;
        w.settle().await;
        w.expect(&first, "shop@east", "success", &["3 created"]).await;
        let second = ship_table(w, &table, "2").await;
        w.settle().await;
        w.expect(&second, "shop@east", "success", &["4 unchanged"]).await;
        for (n, value) in [Some("1"), Some("1"), Some("1"), None].into_iter().enumerate() {
            assert_eq!(w.value(&format!("n{n}")).await.as_deref(), value, "{:?}", table[n]);
        }
        assert_eq!(members(w).await, "3");
        let run = w.runs().await.pop().unwrap();
        assert_eq!(run.changes.iter().filter(|change| change.note.is_some()).count(), 4, "{:?}", run.changes);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flux_s_brake_on_a_live_object_holds_until_it_is_taken_away() {
    World::run(async |w| {
        w.ship(&[("shop/one.yaml", &config_map("one", "1"))]).await;
        w.settle().await;
        let brake = |value: Value| json!({ "metadata": { "annotations": { FLUX_RECONCILE: value } } });
        w.east.change(&w.path_of("one"), &brake(json!("disabled"))).await;
        let second = w
            .ship(&[("shop/one.yaml", &config_map("one", "2")), ("shop/b.yaml", &config_map("b", "2"))])
            .await;
        w.settle().await;
        w.expect(&second, "shop@east", "success", &["1 created"]).await;
        assert_eq!(w.value("one").await.as_deref(), Some("1"));
        w.repo.remove(&["shop/one.yaml"]);
        let third = w.ship(&[("shop/b.yaml", &config_map("b", "3"))]).await;
        w.settle().await;
        w.expect(&third, "shop@east", "success", &["1 configured, 1 kept"]).await;
        w.east.change(&w.path_of("one"), &brake(Value::Null)).await;
        w.ship(&[("shop/one.yaml", &config_map("one", "4"))]).await;
        w.settle().await;
        assert_eq!(w.value("one").await.as_deref(), Some("4"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn merging_keeps_what_others_own() {
    World::run(async |w| {
        let table = [("windlass.dev/sync", "merge"), (FLUX_SSA, "Merge"), (FLUX_SSA, "Override")];
        for n in 0..table.len() {
            let object = json!({ "apiVersion": "v1", "kind": "ConfigMap", "data": { "key": "theirs" },
                "metadata": { "name": format!("n{n}"), "namespace": w.namespace } });
            w.east.create(&format!("/api/v1/namespaces/{}/configmaps", w.namespace), &object).await;
        }
        let first = ship_table(w, &table, "1\"\n  more: \"1").await;
        w.settle().await;
        w.expect(&first, "shop@east", "success", &["3 configured"]).await;
        for (n, key) in ["theirs", "theirs", "1"].into_iter().enumerate() {
            let live = w.east.find(&w.path_of(&format!("n{n}"))).await.unwrap();
            assert_eq!(live["data"], json!({ "key": key, "more": "1" }), "{:?}", table[n]);
        }
        // What somebody sets otherwise is theirs from then on.
        let path = format!("{}?fieldManager=somebody", w.path_of("n0"));
        w.east.change(&path, &json!({ "data": { "more": "9" } })).await;
        let second = ship_table(w, &table, "2\"\n  more: \"2").await;
        w.settle().await;
        w.expect(&second, "shop@east", "success", &["2 configured"]).await;
        let live = w.east.find(&w.path_of("n0")).await.unwrap();
        assert_eq!(live["data"], json!({ "key": "theirs", "more": "9" }));
    })
    .await;
}

/// Lets somebody change three objects, one of which nobody looks after, and returns what is made of it: each value, and
/// what is told of drift.
async fn after_drift(
    w: &mut World,
    usual: SelfHeal,
    says: [&str; 3],
) -> ([String; 3], Vec<(bool, Vec<String>)>) {
    w.change_settings(|settings| settings.applications.iter_mut().for_each(|one| one.self_heal = usual));
    w.restart().await;
    ship_table(w, &says.map(|says| ("windlass.dev/self-heal", says)), "1").await;
    w.settle().await;
    let before = w.store().drifts(None, 100).await.unwrap().len();
    for name in ["n2", "n1", "n0"] {
        edit(w, name, "2").await;
    }
    // All of them are seen at once, and one pass is asked for.
    let patrol = w.patrol();
    w.drift_is_seen().await;
    w.settle().await;
    drop(patrol);
    let mut values = Vec::new();
    for name in ["n0", "n1", "n2"] {
        values.push(w.value(name).await.unwrap());
    }
    let drifts = w.store().drifts(None, 100).await.unwrap();
    let told = drifts[..drifts.len() - before].iter().map(|(_, drift)| {
        (drift.corrected, drift.objects.iter().map(|one| one.object.name.clone()).collect::<Vec<_>>())
    });
    let mut told: Vec<_> = told.collect();
    told.sort();
    (values.try_into().unwrap(), told)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_says_itself_what_is_done_about_its_drift() {
    World::run(async |w| {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let says = ["correct", "report", "off"];
        for usual in [SelfHeal::Correct, SelfHeal::Report, SelfHeal::Off] {
            let (values, told) = after_drift(w, usual, says).await;
            assert_eq!(values, ["1", "2", "2"], "{usual:?}");
            assert_eq!(told, [(false, names(&["n1"])), (true, names(&["n0"]))], "{usual:?}");
            // The next commit makes all as declared again.
            ship_table(w, &says.map(|says| ("windlass.dev/self-heal", says)), "3").await;
            w.settle().await;
            assert_eq!(w.value("n2").await.as_deref(), Some("3"));
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fields_that_are_left_to_others_are_set_once_and_never_fought_over() {
    World::run(async |w| {
        let manifest = |value: &str, more: &str| {
            let text = format!("{}  more: \"{more}\"\n", config_map("one", value));
            annotated(&text, ("windlass.dev/ignore", "/data/key, /data/gone"))
        };
        w.ship(&[("shop/one.yaml", &manifest("1", "1"))]).await;
        w.settle().await;
        w.ship(&[("shop/one.yaml", &manifest("2", "2"))]).await;
        w.settle().await;
        let live = w.east.find(&w.path_of("one")).await.unwrap();
        assert_eq!(
            live["data"],
            json!({ "key": "1", "more": "2" }),
            "it is set when the object is created, and not again"
        );
        let patrol = w.patrol();
        edit(w, "one", "9").await;
        w.drift_is_seen().await;
        w.settle().await;
        drop(patrol);
        assert_eq!(w.value("one").await.as_deref(), Some("9"));
        assert!(w.store().drifts(None, 100).await.unwrap().is_empty(), "that is no drift");
        let mark = w.east.mark();
        w.ask_again("shop").await;
        w.settle().await;
        let asked = w.east.asked_since(mark, &w.installation).await;
        let patches = asked.iter().filter(|asked| asked.verb == "patch" && asked.uri.contains(&w.namespace));
        assert_eq!(patches.count(), 0, "what is left to others is known without asking");
        let third = w.ship(&[("shop/one.yaml", &manifest("3", "3"))]).await;
        w.settle().await;
        w.expect(&third, "shop@east", "success", &["1 configured"]).await;
        let live = w.east.find(&w.path_of("one")).await.unwrap();
        assert_eq!(live["data"], json!({ "key": "9", "more": "3" }));
        let fields = live["metadata"]["managedFields"].as_array().unwrap();
        let ours = fields.iter().find(|one| one["manager"] == "windlass:shop").unwrap();
        assert_eq!(ours["fieldsV1"]["f:data"], json!({ "f:more": {} }), "windlass does not own it");
        // What the manifest no longer sets is not deleted either.
        w.ship(&[("shop/one.yaml", &manifest("3", "3").replace("  key: \"3\"\n", ""))]).await;
        w.settle().await;
        assert_eq!(w.value("one").await.as_deref(), Some("9"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_annotation_that_is_none_refuses_the_commit_and_says_where() {
    World::run(async |w| {
        let good = config_map("good", "1");
        let bad =
            format!("{good}---\n{}", annotated(&config_map("bad", "1"), ("windlass.dev/prune", "never")));
        let key = annotated(&config_map("key", "1"), ("windlass.dev/prun", "disabled"));
        let theirs = annotated(&config_map("theirs", "1"), ("kustomize.toolkit.fluxcd.io/prune", "never"));
        let first =
            w.ship(&[("shop/bad.yaml", &bad), ("shop/key.yaml", &key), ("shop/theirs.yaml", &theirs)]).await;
        w.settle().await;
        let words =
            ["bad.yaml:8", "windlass.dev/prune", "it may be disabled, confirm, enabled", "(and 1 more)"];
        w.expect(&first, "shop@east", "failure", &words).await;
        assert!(w.east.config_maps(&w.namespace).await.is_empty());
    })
    .await;
}
