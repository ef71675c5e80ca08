//! What left the commit is pruned when it is gone, and not when somebody was told to let it go.

use serde_json::json;
use windlass::commit::CommitId;

use crate::world::manifests::config_map;
use crate::world::manifests::deployment;
use crate::world::setup::App;
use crate::world::setup::Setup;
use crate::world::windlass::World;

/// Returns a ConfigMap that a finalizer holds.
fn held(value: &str) -> String {
    config_map("held", value).replace("metadata:\n", "metadata:\n  finalizers: [bed.example.org/hold]\n")
}

/// Ships it beside another one.
async fn ship_both(w: &mut World) {
    w.ship(&[("shop/held.yaml", &held("1")), ("shop/one.yaml", &config_map("one", "1"))]).await;
    w.settle().await;
}

/// Ships both, and has the one that is held deleted.
async fn ship_and_delete(w: &mut World) {
    ship_both(w).await;
    w.east.delete(&w.path_of("held")).await;
}

/// Ships both, and then the commit that it has left.
async fn ship_and_drop(w: &mut World) -> CommitId {
    ship_both(w).await;
    w.repo.remove(&["shop/held.yaml"]);
    w.ship(&[("shop/one.yaml", &config_map("one", "2"))]).await
}

async fn let_go(w: &World) {
    w.east.change(&w.path_of("held"), &json!({ "metadata": { "finalizers": null } })).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_is_true_when_what_left_it_is_gone() {
    World::run(async |w| {
        let second = ship_and_drop(w).await;
        w.dispatch_step().await;
        w.reconcile_step().await;
        w.report_all().await;
        w.post_step().await;
        w.expect(&second, "shop@east", "pending", &["waiting for health"]).await;
        let_go(w).await;
        w.settle().await;
        w.expect(&second, "shop@east", "success", &["1 configured, 1 pruned, healthy in"]).await;
        assert_eq!(w.value("held").await, None);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_finalizer_holds_past_the_deadline_fails_the_commit_and_is_tried_again_by_the_next() {
    let setup = Setup::default().applications([App::named("shop").with("health_deadline = \"2s\"")]);
    setup
        .run(async |w| {
            let second = ship_and_drop(w).await;
            w.settle().await;
            let why = [
                "ConfigMap/",
                "/held: not gone by the deadline",
                "finalizer bed.example.org/hold has to let it go",
            ];
            w.expect(&second, "shop@east", "failure", &why).await;
            let third = w.ship(&[("shop/one.yaml", &config_map("one", "3"))]).await;
            w.dispatch_step().await;
            w.reconcile_step().await;
            let_go(w).await;
            w.settle().await;
            w.expect(&third, "shop@east", "success", &["1 configured, 1 pruned"]).await;
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_being_deleted_holds_up_nothing_else_and_is_there_again_once_it_is_gone() {
    World::run(async |w| {
        ship_and_delete(w).await;
        let second =
            w.ship(&[("shop/held.yaml", &held("2")), ("shop/one.yaml", &config_map("one", "2"))]).await;
        w.dispatch_step().await;
        w.reconcile_step().await;
        w.report_all().await;
        w.post_step().await;
        w.expect(&second, "shop@east", "pending", &["waiting for health before 1 more"]).await;
        assert_eq!(w.value("one").await.as_deref(), Some("2"));
        assert_eq!(w.value("held").await.as_deref(), Some("1"), "it is still there");
        let_go(w).await;
        w.settle().await;
        w.expect(&second, "shop@east", "success", &["1 configured, 1 created, healthy in"]).await;
        assert_eq!(w.value("held").await.as_deref(), Some("2"));
        let_go(w).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_would_be_refused_once_it_is_there_again_is_refused_before_anything_is_written() {
    let setup = Setup::default().applications([App::named("shop").with("health_deadline = \"1s\"")]);
    setup
        .run(async |w| {
            ship_and_delete(w).await;
            let wrong = held("1").replace("\ndata:\n", "\ndata:\n  \"no key\": \"2\"\n");
            let second =
                w.ship(&[("shop/held.yaml", &wrong), ("shop/one.yaml", &config_map("one", "2"))]).await;
            w.settle().await;
            w.expect(&second, "shop@east", "failure", &["ConfigMap/", "/held", "a valid config key"]).await;
            assert_eq!(w.value("one").await.as_deref(), Some("1"));
            let_go(w).await;
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_somebody_deletes_and_a_finalizer_holds_comes_back_when_it_is_gone() {
    World::run(async |w| {
        ship_both(w).await;
        let _patrol = w.patrol();
        w.east.delete(&w.path_of("held")).await;
        let one = format!("{}?fieldManager=somebody", w.path_of("one"));
        w.east.change(&one, &json!({ "data": { "key": "2" } })).await;
        w.drift_is_seen().await;
        w.settle().await;
        assert_eq!(w.value("one").await.as_deref(), Some("1"), "it holds up no other");
        let_go(w).await;
        w.drift_is_seen().await;
        w.settle().await;
        assert_eq!(w.value("held").await.as_deref(), Some("1"));
        let_go(w).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn drift_of_the_others_is_corrected_while_something_is_being_deleted() {
    World::run(async |w| {
        ship_and_delete(w).await;
        let second = w.ship(&[("shop/one.yaml", &config_map("one", "2"))]).await;
        w.dispatch_step().await;
        w.reconcile_step().await;
        let _patrol = w.patrol();
        let one = format!("{}?fieldManager=somebody", w.path_of("one"));
        w.east.change(&one, &json!({ "data": { "key": "3" } })).await;
        w.drift_is_seen().await;
        w.dispatch_step().await;
        w.reconcile_step().await;
        assert_eq!(w.value("one").await.as_deref(), Some("2"));
        let_go(w).await;
        w.settle().await;
        w.expect(&second, "shop@east", "success", &["healthy in"]).await;
        assert_eq!(w.value("held").await.as_deref(), Some("1"));
        let_go(w).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_object_owns_goes_before_it_or_stays_where_that_is_wanted() {
    for (propagation, left) in [("foreground", 0), ("orphan", 1)] {
        let app = App::named("shop").with(&format!("propagation = \"{propagation}\""));
        let setup = Setup::default().applications([app]);
        setup
            .run(async |w| {
                let files = [("shop/web.yaml", deployment("web")), ("shop/one.yaml", config_map("one", "1"))];
                w.ship(&files.each_ref().map(|(path, text)| (*path, text.as_str()))).await;
                w.settle().await;
                w.repo.remove(&["shop/web.yaml"]);
                let second = w.ship(&[]).await;
                w.settle().await;
                w.expect(&second, "shop@east", "success", &["1 pruned"]).await;
                let sets =
                    w.east.list(&format!("/apis/apps/v1/namespaces/{}/replicasets", w.namespace)).await;
                assert_eq!(sets.len(), left, "{propagation}");
                assert!(sets.iter().all(|set| set["metadata"].get("ownerReferences").is_none()));
            })
            .await;
    }
}
