//! Success is told when objects work, not when they are written.

use crate::world::manifests::deployment;
use crate::world::manifests::stuck_deployment;
use crate::world::setup::App;
use crate::world::setup::Setup;
use crate::world::windlass::World;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deployment_turns_green_when_its_pods_are_ready() {
    World::run(async |w| {
        let first = w.ship(&[("shop/web.yaml", &deployment("web"))]).await;
        w.dispatch_step().await;
        w.reconcile_step().await;
        // Everything is written, and nobody has waited for it yet.
        w.report_all().await;
        w.post_step().await;
        w.expect(&first, "shop@east", "pending", &["1 object applied, waiting for health"]).await;
        w.expect(&first, "", "pending", &["rolling out to 1 target"]).await;
        w.settle().await;
        let path = format!("/apis/apps/v1/namespaces/{}/deployments/web", w.namespace);
        assert_eq!(w.east.find(&path).await.unwrap()["status"]["readyReplicas"], 1);
        w.expect(&first, "shop@east", "success", &["1 created", "healthy in"]).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deployment_that_never_becomes_ready_fails_by_name_at_the_deadline() {
    let setup = Setup::default().applications([App::named("shop").with("health_deadline = \"2s\"")]);
    setup
        .run(async |w| {
            let first = w.ship(&[("shop/web.yaml", &stuck_deployment("web"))]).await;
            w.settle().await;
            let name = format!("Deployment/{}/web", w.namespace);
            w.expect(&first, "shop@east", "failure", &[&name, "not healthy by the deadline"]).await;
            w.expect(&first, "", "failure", &["1 failed: shop@east"]).await;
            // The wait held nothing up, and the cure is the next push.
            let second = w.ship(&[("shop/web.yaml", &deployment("web"))]).await;
            w.settle().await;
            w.expect(&second, "shop@east", "success", &["1 configured"]).await;
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_changes_only_a_comment_during_a_rollout_gets_the_rollouts_verdict() {
    let setup = Setup::default().applications([App::named("shop").with("health_deadline = \"2s\"")]);
    setup
        .run(async |w| {
            let stuck = stuck_deployment("web");
            let first = w.ship(&[("shop/web.yaml", &stuck)]).await;
            w.dispatch_step().await;
            w.reconcile_step().await;
            let second = w.ship(&[("shop/web.yaml", &format!("# a comment\n{stuck}"))]).await;
            w.settle().await;
            w.expect(&first, "shop@east", "warning", &["superseded"]).await;
            w.expect(&second, "shop@east", "failure", &["not healthy by the deadline"]).await;
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_became_healthy_while_windlass_was_away_past_the_deadline_is_green() {
    let setup = Setup::default().applications([App::named("shop").with("health_deadline = \"1s\"")]);
    setup
        .run(async |w| {
            let first = w.ship(&[("shop/web.yaml", &deployment("web"))]).await;
            w.dispatch_step().await;
            w.reconcile_step().await;
            // why: only time can pass a deadline that is a time of the wall clock.
            tokio::time::sleep(std::time::Duration::from_millis(1_200)).await;
            w.settle().await;
            w.expect(&first, "shop@east", "success", &["1 created", "healthy in"]).await;
        })
        .await;
}
