//! Success is told when objects work, not when they are written.

use serde_json::json;

use crate::world::manifests::config_map;
use crate::world::manifests::definition;
use crate::world::manifests::definition_path;
use crate::world::manifests::deployment;
use crate::world::manifests::stuck_deployment;
use crate::world::manifests::widget;
use crate::world::setup::App;
use crate::world::setup::Setup;
use crate::world::unique;
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_custom_resource_that_reports_nothing_is_no_success_unless_it_is_to_be_ignored() {
    let setup = Setup::default().applications([App::named("shop").with("health_deadline = \"2s\"")]);
    setup
        .run(async |w| {
            let group = format!("bed-{}.example.org", unique());
            let status = "status: { type: object, properties: { conditions: { type: array, items: { type: object } } } }";
            let definition = format!("{}          {status}\n", definition(&group));
            let silent = widget(&group, "one", "1");
            let first = w.ship(&[("shop/crd.yaml", &definition), ("shop/a.yaml", &silent)]).await;
            w.settle().await;
            let words = ["Widget", "one", "not healthy by the deadline: its controller has reported nothing yet"];
            w.expect(&first, "shop@east", "failure", &words).await;
            // It had its time, and whoever changes something else need not wait for it again.
            let other = w.ship(&[("shop/b.yaml", &config_map("b", "1"))]).await;
            w.settle().await;
            w.expect(&other, "shop@east", "success", &["1 created", "healthy in"]).await;
            let ignored =
                silent.replace("  name: one\n", "  name: one\n  annotations: { windlass.dev/health: ignore }\n");
            let second = w.ship(&[("shop/a.yaml", &ignored)]).await;
            w.settle().await;
            w.expect(&second, "shop@east", "success", &["1 configured"]).await;
            w.east.delete(&definition_path(&group)).await;
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rule_of_the_settings_says_when_a_custom_resource_works() {
    let group = format!("bed-{}.example.org", unique());
    let rule =
        "healthy = \"status.phase == 'On'\"\nfailed = \"has(status.phase) && status.phase == 'Broken'\"";
    let setup = Setup::default()
        .applications([App::named("shop").with("health_deadline = \"20s\"")])
        .section(&format!("[[health_rules]]\ngroup = \"{group}\"\nkind = \"Widget\"\n{rule}\n"));
    setup
        .run(async |w| {
            let status = "status: { type: object, properties: { phase: { type: string } } }";
            let definition = format!("{}          {status}\n", definition(&group));
            let report = async |phase: &str| {
                let path =
                    format!("/apis/{group}/v1/namespaces/{}/widgets/one?fieldManager=its", w.namespace);
                w.east.change(&path, &json!({ "status": { "phase": phase } })).await;
            };
            let files =
                [("shop/crd.yaml", definition.as_str()), ("shop/a.yaml", &widget(&group, "one", "1"))];
            let first = w.commit(&files);
            assert_eq!(w.deliver(None, Some(&first)).await, 202);
            w.dispatch_step().await;
            w.reconcile_step().await;
            report("Off").await;
            let waited = std::cell::Cell::new(true);
            let wait = async {
                w.watch_step().await;
                waited.set(false);
            };
            tokio::join!(wait, async {
                // why: nothing tells that the wait has seen what is to be waited for.
                tokio::time::sleep(std::time::Duration::from_millis(300)).await;
                assert!(waited.get(), "it is off");
                report("On").await;
            });
            w.settle().await;
            w.expect(&first, "shop@east", "success", &["2 created", "healthy in"]).await;

            report("Off").await;
            let second = w.commit(&[("shop/a.yaml", &widget(&group, "one", "2"))]);
            assert_eq!(w.deliver(Some(&first), Some(&second)).await, 202);
            w.dispatch_step().await;
            w.reconcile_step().await;
            report("Broken").await;
            w.settle().await;
            w.expect(&second, "shop@east", "failure", &["Widget", "its health rule calls it failed"]).await;
            w.east.delete(&definition_path(&group)).await;
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_has_to_stay_healthy_is_no_success_before_it_did() {
    let setup = Setup::default().applications([App::named("shop").with("stable_for = \"1s\"")]);
    setup
        .run(async |w| {
            let group = format!("bed-{}.example.org", unique());
            let status = "status: { type: object, properties: { conditions: { type: array, items: { type: object, \
                          x-kubernetes-preserve-unknown-fields: true } } } }";
            let definition = format!("{}          {status}\n", definition(&group));
            let first =
                w.ship(&[("shop/crd.yaml", &definition), ("shop/a.yaml", &widget(&group, "one", "1"))]).await;
            w.dispatch_step().await;
            w.reconcile_step().await;
            let report = async |works: &str| {
                let path = format!("/apis/{group}/v1/namespaces/{}/widgets/one?fieldManager=its", w.namespace);
                let conditions = json!([{ "type": "Ready", "status": works, "reason": "Said", "message": "said" }]);
                w.east.change(&path, &json!({ "status": { "conditions": conditions } })).await;
            };
            report("True").await;
            let flaps = async {
                for works in ["False", "True", "False", "True", "False", "True"] {
                    // why: the object works for a shorter time than it must, again and again.
                    tokio::time::sleep(std::time::Duration::from_millis(400)).await;
                    report(works).await;
                }
                tokio::time::Instant::now()
            };
            let (step, calm) = tokio::join!(async {
                w.watch_step().await;
                tokio::time::Instant::now()
            }, flaps);
            assert!(step >= calm + std::time::Duration::from_millis(900), "it was unstable until then");
            w.settle().await;
            w.expect(&first, "shop@east", "success", &["2 created", "healthy in"]).await;
            w.east.delete(&definition_path(&group)).await;
        })
        .await;
}
