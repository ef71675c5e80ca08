//! Jobs with a time to live: they go by themselves.

use crate::world::manifests::config_map;
use crate::world::setup::Setup;
use crate::world::until;
use crate::world::windlass::World;

/// Returns a Job that is gone `seconds` after it has ended.
fn timed(seconds: u32) -> String {
    format!(
        "apiVersion: batch/v1\nkind: Job\nmetadata:\n  name: timed\nspec:\n  ttlSecondsAfterFinished: {seconds}\n\
         \x20 template:\n    spec:\n      restartPolicy: Never\n\
         \x20     containers: [{{ name: work, image: example.org/work:1 }}]\n"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_is_gone_once_it_has_ended_is_healthy_and_no_drift() {
    World::run(async |w| {
        let files = [("shop/job.yaml", &*timed(0)), ("shop/one.yaml", &*config_map("one", "1"))];
        let first = w.ship(&files).await;
        w.dispatch_step().await;
        w.reconcile_step().await;
        let path = format!("/apis/batch/v1/namespaces/{}/jobs/timed", w.namespace);
        let _patrol = w.patrol();
        until("the Job is gone", async || w.east.find(&path).await.is_none().then_some(())).await;
        w.settle().await;
        w.expect(&first, "shop@east", "success", &["2 created", "healthy in"]).await;
        // A pass after drift of something else leaves it gone, too.
        let one = format!("{}?fieldManager=somebody", w.path_of("one"));
        w.east.change(&one, &serde_json::json!({ "data": { "key": "2" } })).await;
        w.drift_is_seen().await;
        w.settle().await;
        assert_eq!(w.value("one").await.as_deref(), Some("1"));
        assert!(w.east.find(&path).await.is_none(), "it would do its work once more");
        let drifts = w.store().drifts(None, 100).await.unwrap();
        let objects: Vec<&str> =
            drifts.iter().flat_map(|(_, drift)| &drift.objects).map(|one| one.object.kind.as_str()).collect();
        assert_eq!(objects, ["ConfigMap"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_is_gone_before_the_next_wave_is_made_once() {
    Setup::proxied()
        .run(async |w| {
            let late = config_map("late", "1")
                .replace("  name: late\n", "  name: late\n  annotations: { windlass.dev/wave: \"2\" }\n");
            let first = w.ship(&[("shop/job.yaml", &*timed(0)), ("shop/late.yaml", &*late)]).await;
            w.settle().await;
            w.expect(&first, "shop@east", "success", &["2 created", "healthy in"]).await;
            let made = |line: &str| {
                line.starts_with("PATCH") && line.contains("/jobs/timed") && !line.contains("dryRun")
            };
            assert_eq!(w.before_east().count(made), 1);
            // Nor does it come again because somebody asks for the same once more.
            w.ask_again("shop").await;
            w.settle().await;
            assert_eq!(w.before_east().count(made), 1);
        })
        .await;
}

/// Returns an object that is being deleted.
async fn going(w: &World, path: &str) -> Option<serde_json::Value> {
    w.east.find(path).await.filter(|job| job["metadata"]["deletionTimestamp"].is_string())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_is_being_deleted_when_the_next_commit_comes_is_made_for_that() {
    Setup::proxied()
        .run(async |w| {
            let held = timed(0).replace("metadata:\n", "metadata:\n  finalizers: [bed.example.org/hold]\n");
            w.ship(&[("shop/job.yaml", &*held)]).await;
            w.settle().await;
            let path = format!("/apis/batch/v1/namespaces/{}/jobs/timed", w.namespace);
            let first = until("its time is over", async || going(w, &path).await).await;
            let second = w.ship(&[("shop/one.yaml", &*config_map("one", "1"))]).await;
            w.dispatch_step().await;
            let tried = w.reconcile_step().await;
            assert!(matches!(tried, windlass::reconcile::Step::Retried { .. }), "{tried:?}");
            w.east.change(&path, &serde_json::json!({ "metadata": { "finalizers": null } })).await;
            w.settle().await;
            w.expect(&second, "shop@east", "success", &["2 created", "healthy in"]).await;
            let other = until("its time is over too", async || going(w, &path).await).await;
            assert_ne!(other["metadata"]["uid"], first["metadata"]["uid"]);
            w.east.change(&path, &serde_json::json!({ "metadata": { "finalizers": null } })).await;
        })
        .await;
}
