//! What a cluster withholds for a time (a right, a kind, itself) is waited for, and neither forgotten nor taken for gone.

use std::time::Duration;

use serde_json::Value;
use serde_json::json;
use tokio::time::Instant;
use windlass::commit::CommitId;
use windlass::reconcile::Step;

use crate::world::manifests::config_map;
use crate::world::manifests::definition;
use crate::world::manifests::widget;
use crate::world::setup::App;
use crate::world::setup::Setup;
use crate::world::unique;
use crate::world::until;
use crate::world::windlass::World;

/// Lets the limited user do some things with the ConfigMaps of a namespace.
async fn grant(w: &World, namespace: &str, verbs: &[&str]) {
    let path = format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}");
    let role = json!({ "metadata": { "name": "limited" }, "rules": rules(verbs) });
    w.east.create(&format!("{path}/roles"), &role).await;
    let user = json!({ "kind": "User", "name": "limited", "apiGroup": "rbac.authorization.k8s.io" });
    let binding = json!({ "metadata": { "name": "limited" }, "subjects": [user],
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "limited" } });
    w.east.create(&format!("{path}/rolebindings"), &binding).await;
}

fn rules(verbs: &[&str]) -> Value {
    json!([{ "apiGroups": [""], "resources": ["configmaps"], "verbs": verbs }])
}

async fn parent(w: &World) -> Value {
    let path = format!("/api/v1/namespaces/{}/configmaps/windlass-shop", w.installation);
    w.east.find(&path).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_prune_that_is_forbidden_is_told_remembered_and_made_once_it_is_allowed() {
    Setup::limited()
        .run(async |w| {
            w.east.make_namespace(&w.installation).await;
            grant(w, &w.installation, &["*"]).await;
            grant(w, &w.namespace, &["get", "list", "watch", "create", "patch"]).await;
            let files =
                [("shop/one.yaml", &*config_map("one", "1")), ("shop/two.yaml", &config_map("two", "1"))];
            w.ship(&files).await;
            w.settle().await;
            w.repo.remove(&["shop/two.yaml"]);
            let second = w.ship(&[("shop/one.yaml", &config_map("one", "2"))]).await;
            // Nobody forgets it by asking again.
            for pass in 1..=2_u64 {
                w.settle().await;
                w.expect(
                    &second,
                    "shop@east",
                    "failure",
                    &["failed to delete ConfigMap/", "/two", "is forbidden"],
                )
                .await;
                assert_eq!(w.east.config_maps(&w.namespace).await, ["one", "two"]);
                assert_eq!(w.value("one").await.as_deref(), Some("2"), "what could be written is");
                let (parent, run) = (parent(w).await, w.runs().await.pop().unwrap());
                assert_eq!(parent["data"]["run"], run.run, "the fence is that of the run");
                assert!(!parent["data"]["next"].is_null(), "and says that not all is done");
                assert!(parent["data"]["generation"].as_str().unwrap().parse::<u64>().unwrap() > pass);
                w.ask_again("shop").await;
            }
            let role = format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{}/roles/limited", w.namespace);
            w.east.change(&role, &json!({ "rules": rules(&["*"]) })).await;
            w.settle().await;
            w.expect(&second, "shop@east", "success", &["1 pruned"]).await;
            assert_eq!(w.east.config_maps(&w.namespace).await, ["one"]);
            let parent = parent(w).await;
            assert_eq!(
                (&parent["data"]["done"], &parent["data"]["next"]),
                (&"true".into(), &serde_json::Value::Null)
            );
            w.expect_healed(&second);
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_kind_that_is_not_served_for_a_time_nothing_is_pruned_and_nothing_forgotten() {
    World::run(async |w| {
        let (group, other) = (format!("bed-{}.example.org", unique()), format!("{}-2", w.namespace));
        let crd = format!("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.{group}");
        let widgets = format!("/apis/{group}/v1/namespaces/{other}/widgets");
        let serve = async |w: &World, served: bool| {
            let text = definition(&group).replace("served: true", &format!("served: {served}"));
            w.east.apply(&format!("{crd}?fieldManager=bed"), &text).await;
            let look = async || (w.east.find(&widgets).await.is_some() == served).then_some(());
            until("the kind is served or is not", look).await;
        };
        w.east.make_namespace(&other).await;
        serve(w, true).await;
        // It is all that this application has in its namespace.
        let far = widget(&group, "far", "1")
            .replace("  name: far\n", &format!("  name: far\n  namespace: {other}\n"));
        let first = w.ship(&[("shop/far.yaml", &far), ("shop/one.yaml", &config_map("one", "1"))]).await;
        w.settle().await;
        w.expect(&first, "shop@east", "success", &["2 created"]).await;
        serve(w, false).await;
        w.repo.remove(&["shop/far.yaml"]);
        for value in ["2", "3"] {
            let next = w.ship(&[("shop/one.yaml", &config_map("one", value))]).await;
            w.settle().await;
            w.expect(&next, "shop@east", "success", &["1 configured, healthy"]).await;
            let remembered = parent(w).await["metadata"]["annotations"].clone();
            let says = |key: &str| remembered[format!("applyset.kubernetes.io/{key}")].as_str().unwrap();
            assert!(says("contains-group-kinds").contains(&format!("Widget.{group}")), "{remembered}");
            assert!(says("additional-namespaces").contains(&other), "{remembered}");
        }
        serve(w, true).await;
        assert_eq!(w.east.list(&widgets).await.len(), 1, "it is still there");
        let last = w.ship(&[("shop/one.yaml", &config_map("one", "4"))]).await;
        w.settle().await;
        w.expect(&last, "shop@east", "success", &["1 configured, 1 pruned"]).await;
        assert!(w.east.list(&widgets).await.is_empty());
        w.east.delete(&crd).await;
        w.east.delete(&format!("/api/v1/namespaces/{other}")).await;
    })
    .await;
}

/// The applications of the cluster that is cut off.
const EAST: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

/// Ships a value in all applications, of which one is in `west`.
async fn ship_all(w: &mut World, value: &str) -> CommitId {
    let all = EAST.iter().chain(&["blog"]);
    let files: Vec<_> = all.map(|name| (format!("{name}/one.yaml"), config_map(name, value))).collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    w.ship(&files).await
}

/// Cuts `east` off, ships a value, and looks how often `east` is asked before it is back.
async fn ship_while_cut_off(w: &mut World, value: &str) {
    w.before_east().cut(usize::MAX, |_| true);
    w.before_east().break_off();
    w.before_east().asked();
    let commit = ship_all(w, value).await;
    w.dispatch_step().await;
    let (begun, mut put_off) = (Instant::now(), 0);
    for _ in 0..=EAST.len() {
        let step = w.reconcile_step().await;
        put_off += usize::from(matches!(step, Step::Retried { .. }));
    }
    let rests = [2, 6, 14].into_iter().filter(|end| begun.elapsed() >= Duration::from_secs(*end)).count();
    let asked = w.before_east().asked();
    // Each process that works finds out by itself, and a pass may begin with two questions at once.
    let most = w.crew.workers().count() * (4 + rests);
    assert!(asked.len() <= most, "more than {most}: {asked:#?}");
    assert_eq!(put_off, EAST.len());
    w.report_all().await;
    w.post_step().await;
    let live = w.west.find(&w.path_of("blog")).await.unwrap();
    assert_eq!(live["data"]["key"], value, "the other cluster waits for nothing");
    w.before_east().heal();
    w.settle().await;
    for target in EAST.map(|name| format!("{name}@east")).iter().chain(&["blog@west".to_owned()]) {
        w.expect(&commit, target, "success", &["1 con"]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_that_is_cut_off_is_given_a_rest_and_holds_up_no_other() {
    Setup::proxied()
        .applications(EAST.map(App::named).into_iter().chain([App::named("blog").on(&["west"])]))
        .run(async |w| {
            ship_all(w, "1").await;
            w.settle().await;
            ship_while_cut_off(w, "2").await;
            // Nor is its discovery asked for more often.
            w.restart().await;
            ship_while_cut_off(w, "3").await;
        })
        .await;
}
