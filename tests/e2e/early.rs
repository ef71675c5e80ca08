//! What another application may bring yet: a commit that needs it waits for it, for a while.

use serde_json::json;
use windlass::reconcile;

use crate::world::manifests::config_map;
use crate::world::manifests::definition;
use crate::world::manifests::widget;
use crate::world::setup::App;
use crate::world::setup::Setup;
use crate::world::unique;
use crate::world::windlass::World;

fn elsewhere(name: &str, namespace: &str, value: &str) -> String {
    let metadata = format!("metadata:\n  namespace: {namespace}\n");
    config_map(name, value).replace("metadata:\n", &metadata)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_namespace_that_is_not_there_yet_is_waited_for() {
    World::run(async |w| {
        let namespace = format!("bed-{}", unique());
        let commit = w.ship(&[("shop/one.yaml", &elsewhere("one", &namespace, "1"))]).await;
        w.dispatch_step().await;
        let tried = w.reconcile_step().await;
        assert!(
            matches!(&tried, reconcile::Step::Retried { why, .. } if why.contains("not found")),
            "{tried:?}"
        );
        w.report_all().await;
        w.post_step().await;
        w.expect(&commit, "shop@east", "pending", &[&namespace, "not found"]).await;
        w.east.make_namespace(&namespace).await;
        w.settle().await;
        w.expect(&commit, "shop@east", "success", &["1 created"]).await;
        w.east.delete(&format!("/api/v1/namespaces/{namespace}")).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kind_that_is_not_there_yet_is_waited_for_and_one_of_kubernetes_is_not() {
    World::run(async |w| {
        let group = format!("bed-{}.example.org", unique());
        let wrong = "apiVersion: apps/v1\nkind: Deploiment\nmetadata:\n  name: web\n";
        let files = [("shop/a.yaml", &*widget(&group, "a", "1")), ("shop/web.yaml", wrong)];
        let first = w.ship(&files).await;
        w.settle().await;
        w.expect(&first, "shop@east", "failure", &["does not know the kind"]).await;
        w.repo.remove(&["shop/web.yaml"]);
        let second = w.ship(&[("shop/one.yaml", &config_map("one", "1"))]).await;
        w.dispatch_step().await;
        let tried = w.reconcile_step().await;
        assert!(matches!(tried, reconcile::Step::Retried { .. }), "{tried:?}");
        let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
        w.east.apply(&format!("{path}/widgets.{group}?fieldManager=bed"), &definition(&group)).await;
        w.settle().await;
        w.expect(&second, "shop@east", "success", &["2 created"]).await;
        w.east.delete(&format!("{path}/widgets.{group}")).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_come_is_refused_in_the_end() {
    let setup = Setup::default().applications([App::named("shop").with("health_deadline = \"1s\"")]);
    setup
        .run(async |w| {
            let commit = w.ship(&[("shop/one.yaml", &elsewhere("one", "bed-nowhere", "1"))]).await;
            w.settle().await;
            w.expect(&commit, "shop@east", "failure", &["bed-nowhere", "not found"]).await;
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_namespace_that_is_being_deleted_is_waited_for() {
    World::run(async |w| {
        let namespace = format!("bed-{}", unique());
        w.east.make_namespace(&namespace).await;
        let one = format!("/api/v1/namespaces/{namespace}/configmaps");
        let metadata = json!({ "name": "held", "finalizers": ["bed.example.org/hold"] });
        w.east.create(&one, &json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata })).await;
        w.east.delete(&format!("/api/v1/namespaces/{namespace}")).await;
        let commit = w.ship(&[("shop/one.yaml", &elsewhere("one", &namespace, "1"))]).await;
        w.dispatch_step().await;
        let tried = w.reconcile_step().await;
        assert!(
            matches!(&tried, reconcile::Step::Retried { why, .. } if why.contains("terminated")),
            "{tried:?}"
        );
        w.east.change(&format!("{one}/held"), &json!({ "metadata": { "finalizers": null } })).await;
        let gone =
            async || w.east.find(&format!("/api/v1/namespaces/{namespace}")).await.is_none().then_some(());
        crate::world::until("the namespace is gone", gone).await;
        w.east.make_namespace(&namespace).await;
        w.settle().await;
        w.expect(&commit, "shop@east", "success", &["1 created"]).await;
        w.east.delete(&format!("/api/v1/namespaces/{namespace}")).await;
    })
    .await;
}
