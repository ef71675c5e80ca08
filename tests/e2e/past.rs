//! What had failed before a commit, which leaves it as it was.

use serde_json::json;
use windlass::commit::CommitId;

use crate::world::manifests::config_map;
use crate::world::manifests::definition;
use crate::world::manifests::widget;
use crate::world::setup::App;
use crate::world::setup::Setup;
use crate::world::unique;
use crate::world::windlass::World;

fn setup(deadline: &str) -> Setup {
    let lines = format!("health_deadline = \"{deadline}\"\non_failure = \"rollback\"");
    Setup::default().applications([App::named("shop").with(&lines)])
}

/// What an object is that says itself how it is.
struct Told {
    group: String,
}

impl Told {
    /// Ships an object of a kind that tells of itself, beside another, until both are healthy.
    async fn ship(w: &mut World) -> (Self, CommitId) {
        let told = Self { group: format!("bed-{}.example.org", unique()) };
        let status = "status: { type: object, x-kubernetes-preserve-unknown-fields: true }";
        let definition = format!("{}          {status}\n", definition(&told.group));
        let files = [
            ("shop/crd.yaml", &*definition),
            ("shop/a.yaml", &*widget(&told.group, "a", "1")),
            ("shop/one.yaml", &*config_map("one", "1")),
        ];
        let commit = w.ship(&files).await;
        w.settle().await;
        w.expect(&commit, "shop@east", "success", &["healthy"]).await;
        (told, commit)
    }

    /// Waits until what was applied can only have failed by other causes.
    async fn settles(deadline: u64) {
        // why: how long ago something was applied is a time of the wall clock, and the server writes whole seconds.
        tokio::time::sleep(std::time::Duration::from_secs(deadline + 1)).await;
    }

    async fn tells(&self, w: &World, stalled: &str) {
        let path = format!("/apis/{}/v1/namespaces/{}/widgets/a?fieldManager=its", self.group, w.namespace);
        let conditions =
            json!([{ "type": "Stalled", "status": stalled, "reason": "Said", "message": "no disk" }]);
        w.east.change(&path, &json!({ "status": { "conditions": conditions } })).await;
    }

    async fn remove(self, w: &World) {
        let definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
        w.east.delete(&format!("{definitions}/widgets.{}", self.group)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_had_failed_before_a_commit_may_work_again_by_it() {
    setup("4s")
        .run(async |w| {
            let (told, _) = Told::ship(w).await;
            Told::settles(4).await;
            told.tells(w, "True").await;
            let second = w.ship(&[("shop/one.yaml", &config_map("one", "2"))]).await;
            w.dispatch_step().await;
            w.reconcile_step().await;
            w.report_all().await;
            w.post_step().await;
            w.expect(&second, "shop@east", "pending", &["waiting for health"]).await;
            let mends = async {
                // why: the wait has seen by then that it fails.
                tokio::time::sleep(std::time::Duration::from_millis(700)).await;
                told.tells(w, "False").await;
            };
            tokio::join!(w.watch_step(), mends);
            w.settle().await;
            w.expect(&second, "shop@east", "success", &["1 configured, healthy in"]).await;
            told.remove(w).await;
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_is_not_gone_back_from_for_what_had_failed_before_it() {
    setup("2s")
        .run(async |w| {
            let (told, _) = Told::ship(w).await;
            Told::settles(2).await;
            told.tells(w, "True").await;
            let second = w.ship(&[("shop/one.yaml", &config_map("one", "2"))]).await;
            w.settle().await;
            let why = ["Widget/", "/a: not healthy by the deadline", "it failed already when this run began"];
            w.expect(&second, "shop@east", "failure", &why).await;
            assert!(!w.is_asked().await, "nobody asks for the commit before");
            assert_eq!(w.value("one").await.as_deref(), Some("2"), "the commit itself works");
            told.remove(w).await;
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_breaks_something_itself_is_gone_back_from_whatever_had_failed_before() {
    setup("2s")
        .run(async |w| {
            let (told, first) = Told::ship(w).await;
            w.expect_healed(&first);
            Told::settles(2).await;
            told.tells(w, "True").await;
            let stuck = crate::world::manifests::stuck_deployment("web");
            let files = [("shop/one.yaml", &*config_map("one", "2")), ("shop/web.yaml", &*stuck)];
            let second = w.ship(&files).await;
            w.expect_healed(&second);
            w.dispatch_step().await;
            w.reconcile_step().await;
            w.watch_step().await;
            w.report_all().await;
            w.post_step().await;
            w.expect(&second, "shop@east", "failure", &["Deployment/", "/web: not healthy by the deadline"])
                .await;
            w.wish_is_handed_on("the failure").await;
            told.tells(w, "False").await;
            w.settle().await;
            assert_eq!(w.value("one").await.as_deref(), Some("1"));
            told.remove(w).await;
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schedule_whose_last_run_failed_is_told_and_fails_no_commit_that_leaves_it() {
    setup("10s")
        .run(async |w| {
            let nightly = "apiVersion: batch/v1\nkind: CronJob\nmetadata:\n  name: nightly\nspec:\n  schedule: \"0 3 1 1 *\"\n\
                           \x20 jobTemplate: { spec: { template: { spec: { restartPolicy: Never, containers: \
                           [{ name: work, image: example.org/work:1 }] } } } }\n";
            let files = [("shop/n.yaml", nightly), ("shop/one.yaml", &*config_map("one", "1"))];
            let first = w.ship(&files).await;
            w.settle().await;
            w.expect(&first, "shop@east", "success", &["2 created"]).await;
            let path = format!("/apis/batch/v1/namespaces/{}/cronjobs/nightly/status", w.namespace);
            // A run that began after the last change of the schedule.
            let status = json!({ "lastScheduleTime": "2099-01-01T03:00:00Z" });
            w.east.change(&path, &json!({ "status": status })).await;
            let second = w.ship(&[("shop/one.yaml", &config_map("one", "2"))]).await;
            w.settle().await;
            w.expect(&second, "shop@east", "success", &["1 configured, healthy in"]).await;
            let run = w.runs().await.pop().unwrap();
            let note = run.changes.iter().find(|change| change.object.kind == "CronJob").unwrap().note.clone();
            assert!(note.unwrap().contains("did not succeed"));
        })
        .await;
}
