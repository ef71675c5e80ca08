//! Every commit that touched a target ends in exactly one verdict for it, however often something was down.
//! That each has exactly one is checked at the end of every test.

use serde_json::json;
use windlass::outcome::Phase;
use windlass::queue::Lane;
use windlass::reconcile::Ended;
use windlass::reconcile::Step;

use crate::world::manifests::config_map;
use crate::world::manifests::deployment;
use crate::world::manifests::stuck_deployment;
use crate::world::setup::App;
use crate::world::setup::Setup;
use crate::world::windlass::STEP;
use crate::world::windlass::World;

/// Returns whether a line of a request is that of a status.
fn is_status(line: &str) -> bool {
    line.starts_with("POST") && line.contains("/statuses/")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_6_the_whole_is_as_bad_as_its_worst_target() {
    let setup = Setup::default().applications(["blog", "mail", "shop"].map(App::named));
    setup
        .run(async |w| {
            let files =
                ["blog", "mail", "shop"].map(|name| (format!("{name}/a.yaml"), config_map(name, "1")));
            let files = files.each_ref().map(|(path, text)| (path.as_str(), text.as_str()));
            let first = w.ship(&files).await;
            w.settle().await;
            w.expect(&first, "", "success", &["3 targets healthy"]).await;
            let second =
                w.ship(&[("blog/a.yaml", &config_map("blog", "2")), ("mail/a.yaml", "kind: [\n")]).await;
            w.settle().await;
            w.expect(&second, "blog@east", "success", &["1 configured"]).await;
            w.expect(&second, "mail@east", "failure", &["a.yaml"]).await;
            assert_eq!(w.status(&second, "shop@east").await, None, "it was not touched");
            w.expect(&second, "", "failure", &["1 of 2 targets healthy, 1 failed: mail@east"]).await;
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_6_a_forge_that_is_away_hears_each_verdict_once_it_is_back() {
    Setup::proxied()
        .run(async |w| {
            w.before_gitea().refuse(2, 503, is_status);
            w.before_gitea().cut(1, is_status);
            let mut commits = Vec::new();
            for value in ["1", "2"] {
                commits.push(w.ship(&[("shop/one.yaml", &config_map("one", value))]).await);
                w.dispatch_step().await;
                w.reconcile_step().await;
            }
            assert_eq!(w.value("one").await.as_deref(), Some("2"), "the cluster waits for no forge");
            // What is due now are the verdicts.
            w.report_all().await;
            w.settle().await;
            for commit in &commits {
                w.expect(commit, "shop@east", "success", &["healthy in"]).await;
            }
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_6_a_status_whose_answer_was_lost_is_told_again_and_the_same() {
    Setup::proxied()
        .run(async |w| {
            w.expect_repeated();
            let first = w.ship(&[("shop/one.yaml", &config_map("one", "1"))]).await;
            w.dispatch_step().await;
            w.reconcile_step().await;
            w.before_gitea().cut_answer(2, is_status);
            w.settle().await;
            w.expect(&first, "shop@east", "success", &["1 created"]).await;
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_6_a_cluster_with_two_names_is_written_under_one_of_them() {
    World::run(async |w| {
        w.expect_dead();
        w.east.make_namespace(&w.installation).await;
        let path = format!("/api/v1/namespaces/{}/configmaps", w.installation);
        let parent = json!({ "metadata": { "name": "windlass-shop" },
            "data": { "installation": w.installation, "cluster": "orient" } });
        w.east.create(&path, &parent).await;
        let first = w.ship(&[("shop/one.yaml", &config_map("one", "1"))]).await;
        w.settle().await;
        w.expect(&first, "shop@east", "error", &["as cluster `orient` already"]).await;
        assert_eq!(w.value("one").await, None);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_6_a_target_of_another_installation_ends_in_error() {
    World::run(async |w| {
        w.expect_dead();
        w.east.make_namespace(&w.installation).await;
        let path = format!("/api/v1/namespaces/{}/configmaps", w.installation);
        let parent =
            json!({ "metadata": { "name": "windlass-shop" }, "data": { "installation": "elsewhere" } });
        w.east.create(&path, &parent).await;
        let first = w.ship(&[("shop/one.yaml", &config_map("one", "1"))]).await;
        w.settle().await;
        w.expect(&first, "shop@east", "error", &["belongs to the installation `elsewhere`"]).await;
        w.expect(&first, "", "error", &["1 in error: shop@east"]).await;
        assert_eq!(w.value("one").await, None);
        w.east.delete(&format!("{path}/windlass-shop")).await;
        w.expect_healed(&first);
        w.ask_again("shop").await;
        w.settle().await;
        w.expect(&first, "shop@east", "success", &["1 created"]).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_6_a_job_that_died_without_a_word_ends_in_error_with_the_next_sweep() {
    World::run(async |w| {
        w.expect_dead();
        let first = w.ship(&[("shop/one.yaml", &config_map("one", "1"))]).await;
        w.dispatch_step().await;
        let lease = w.crew.next(&Lane::jobs("shared"), STEP).await.unwrap();
        w.crew.bury(&lease, "delivered 20 times").await;
        w.settle().await;
        assert_eq!(w.verdicts(&first).await[0].row.phase, Phase::Pending);
        assert_eq!(w.sweep().await.closed, 1);
        w.settle().await;
        w.expect(&first, "shop@east", "error", &["delivered 20 times"]).await;
        // And the next event finds the target open, so that it is made true all the same.
        w.expect_healed(&first);
        w.push(&first).await;
        w.settle().await;
        w.expect(&first, "shop@east", "success", &["1 created"]).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_6_a_wait_for_health_survives_a_crash_and_keeps_its_deadline() {
    let setup = Setup::default().applications([App::named("shop").with("health_deadline = \"3s\"")]);
    setup
        .run(async |w| {
            let first = w.ship(&[("shop/web.yaml", &stuck_deployment("web"))]).await;
            w.dispatch_step().await;
            w.reconcile_step().await;
            assert!(w.crew.next(&Lane::watch("shared"), STEP).await.is_some());
            w.restart().await;
            w.settle().await;
            w.expect(&first, "shop@east", "failure", &["Deployment/", "not healthy by the deadline"]).await;
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_6_a_wait_for_health_that_is_overtaken_ends_as_superseded() {
    World::run(async |w| {
        let first = w.ship(&[("shop/web.yaml", &stuck_deployment("web"))]).await;
        w.dispatch_step().await;
        w.reconcile_step().await;
        let reconciler = w.reconciler().clone();
        let waiting = tokio::spawn(async move { reconciler.watch_step(STEP).await.unwrap() });
        let second = w.ship(&[("shop/web.yaml", &deployment("web"))]).await;
        w.dispatch_step().await;
        w.reconcile_step().await;
        let ended = waiting.await.unwrap();
        assert!(matches!(ended, Step::Done(Ended::Run { phase: Phase::Superseded, .. })), "{ended:?}");
        w.settle().await;
        w.expect(&first, "shop@east", "warning", &["superseded by"]).await;
        w.expect(&second, "shop@east", "success", &["1 configured"]).await;
    })
    .await;
}
