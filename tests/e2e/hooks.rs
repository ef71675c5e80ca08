//! What each rollout makes anew: before all others, and after them.

use serde_json::Value;
use serde_json::json;
use windlass::commit::CommitId;
use windlass::job::Reason;
use windlass::outcome::Action;
use windlass::queue::Draft;
use windlass::reconcile;

use crate::world::manifests::config_map;
use crate::world::manifests::definition;
use crate::world::manifests::widget;
use crate::world::setup::Setup;
use crate::world::unique;
use crate::world::until;
use crate::world::windlass::World;

/// Returns a Job with annotations, whose pod the bed's node completes at once, or which waits to be scheduled.
fn job(name: &str, annotations: &str, gates: &str) -> String {
    format!(
        "apiVersion: batch/v1\nkind: Job\nmetadata:\n  name: {name}\n  annotations: {{ {annotations} }}\nspec:\n\
         \x20 backoffLimit: 0\n  template:\n    spec:\n      restartPolicy: Never\n      schedulingGates: {gates}\n\
         \x20     containers: [{{ name: work, image: example.org/work:1 }}]\n"
    )
}

const GATED: &str = "[{ name: bed.example.org/wait }]";

fn path_of(w: &World, name: &str) -> String {
    format!("/apis/batch/v1/namespaces/{}/jobs/{name}", w.namespace)
}

async fn uid(w: &World, name: &str) -> Option<String> {
    let found = w.east.find(&path_of(w, name)).await?;
    found["metadata"]["uid"].as_str().map(str::to_owned)
}

/// Returns the one pod of a Job.
async fn pod(w: &World, job: &str) -> (String, Value) {
    let path = format!("/api/v1/namespaces/{}/pods", w.namespace);
    let owned = async || {
        let pods = w.east.list(&path).await;
        pods.into_iter().find(|pod| pod["metadata"]["labels"]["job-name"] == job)
    };
    let pod = until("the Job has its pod", owned).await;
    (format!("{path}/{}", pod["metadata"]["name"].as_str().unwrap()), pod)
}

/// Ships a Job that comes before a ConfigMap, until the pass is through.
async fn ship_gated(w: &mut World, value: &str) -> CommitId {
    ship_gated_with(w, value, &[]).await
}

/// The same, with other files in the commit.
async fn ship_gated_with(w: &mut World, value: &str, others: &[(&str, &str)]) -> CommitId {
    let before = job("migrate", "argocd.argoproj.io/hook: PreSync", GATED);
    let one = config_map("one", value);
    let files = [("shop/a.yaml", before.as_str()), ("shop/one.yaml", &one)];
    let commit = w.ship(&[&files[..], others].concat()).await;
    w.dispatch_step().await;
    w.reconcile_step().await;
    w.report_all().await;
    w.post_step().await;
    w.expect(&commit, "shop@east", "pending", &["1 object applied, waiting for health before 1 more"]).await;
    commit
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_rollout_makes_its_hooks_anew_before_and_after_the_others() {
    World::run(async |w| {
        let before = job("migrate", "windlass.dev/hook: before", "[]");
        let after = "helm.sh/hook: \"post-install,post-delete\", helm.sh/hook-delete-policy: hook-succeeded";
        let (after, never) = (job("smoke", after, "[]"), job("test", "helm.sh/hook: test", "[]"));
        let files = [("shop/a.yaml", &*before), ("shop/b.yaml", &after), ("shop/c.yaml", &never)];
        let first = w.ship(&[&files[..], &[("shop/one.yaml", &config_map("one", "1"))]].concat()).await;
        let mark = w.east.mark();
        w.settle().await;
        w.expect(&first, "shop@east", "success", &["3 created, healthy in"]).await;
        let made = uid(w, "migrate").await.unwrap();
        assert_eq!((uid(w, "smoke").await, uid(w, "test").await), (None, None));
        assert_eq!(w.runs().await.len(), 1);
        let created = w.east.asked_since(mark, &w.installation).await;
        let written: Vec<_> = created.iter().filter(|one| one.is_write() && one.verb != "delete").collect();
        let order = ["/jobs/migrate", "/configmaps/one", "/jobs/smoke"]
            .map(|name| written.iter().position(|one| one.uri.contains(name)));
        assert!(order.is_sorted() && order[0].is_some(), "{order:?}");
        // Nobody pushes anything: no hook is made for drift, nor when the same is looked at again.
        let (_patrol, mark) = (w.patrol(), w.east.mark());
        w.east.delete(&w.path_of("one")).await;
        w.drift_is_seen().await;
        w.settle().await;
        assert_eq!(w.value("one").await.as_deref(), Some("1"));
        w.ask_again("shop").await;
        w.settle().await;
        let asked = w.east.asked_since(mark, &w.installation).await;
        let hooks: Vec<_> = asked.iter().filter(|one| one.is_write() && one.uri.contains("/jobs/")).collect();
        assert!(hooks.is_empty() && uid(w, "migrate").await.as_ref() == Some(&made), "{hooks:?}");
        let second = w.ship(&[("shop/one.yaml", &config_map("one", "2"))]).await;
        w.settle().await;
        w.expect(&second, "shop@east", "success", &["healthy in"]).await;
        assert!(
            uid(w, "migrate").await.is_some_and(|uid| uid != made),
            "it is made anew for the next commit"
        );
        assert_eq!((w.value("one").await.as_deref(), uid(w, "smoke").await), (Some("2"), None));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hook_that_fails_holds_up_all_others_and_runs_again_when_somebody_asks() {
    World::run(async |w| {
        let first = ship_gated(w, "1").await;
        let made = uid(w, "migrate").await.unwrap();
        let (path, _) = pod(w, "migrate").await;
        w.east.change(&format!("{path}/status"), &json!({ "status": { "phase": "Failed" } })).await;
        w.settle().await;
        w.expect(&first, "shop@east", "failure", &["Job/", "/migrate"]).await;
        assert_eq!(w.value("one").await, None);
        w.expect_healed(&first);
        w.ask_again("shop").await;
        w.dispatch_step().await;
        w.reconcile_step().await;
        assert!(uid(w, "migrate").await.is_some_and(|uid| uid != made));
        let (path, _) = pod(w, "migrate").await;
        w.east.change(&path, &json!({ "spec": { "schedulingGates": null } })).await;
        w.settle().await;
        w.expect(&first, "shop@east", "success", &["healthy in"]).await;
        assert_eq!(w.value("one").await.as_deref(), Some("1"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hook_runs_once_for_a_commit_whatever_happens_meanwhile() {
    World::run(async |w| {
        let first = ship_gated(w, "1").await;
        let made = uid(w, "migrate").await;
        w.restart().await;
        w.ask_again("shop").await;
        w.dispatch_step().await;
        w.reconcile_step().await;
        assert_eq!(uid(w, "migrate").await, made, "it runs still");
        let (path, _) = pod(w, "migrate").await;
        w.east.change(&path, &json!({ "spec": { "schedulingGates": null } })).await;
        w.settle().await;
        w.expect(&first, "shop@east", "success", &["healthy in"]).await;
        assert_eq!((uid(w, "migrate").await, w.value("one").await.as_deref()), (made, Some("1")));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hook_takes_nothing_that_is_there_already() {
    World::run(async |w| {
        let theirs = json!({ "metadata": { "name": "mine" }, "data": { "key": "theirs" } });
        w.east.create(&format!("/api/v1/namespaces/{}/configmaps", w.namespace), &theirs).await;
        let hook = config_map("mine", "1")
            .replace("metadata:\n", "metadata:\n  annotations: { windlass.dev/hook: before }\n");
        let first = w.ship(&[("shop/a.yaml", &hook), ("shop/one.yaml", &config_map("one", "1"))]).await;
        w.settle().await;
        w.expect(&first, "shop@east", "failure", &["ConfigMap", "mine", "rename the hook"]).await;
        assert_eq!((w.value("mine").await.as_deref(), w.value("one").await), (Some("theirs"), None));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_after_all_others_comes_with_the_commit_that_heals() {
    Setup::default()
        .section("[guard]\nleast = 1\npercent = 1")
        .run(async |w| {
            let maps: Vec<_> =
                ["a", "b", "c"].map(|name| (format!("shop/{name}.yaml"), config_map(name, "1"))).into();
            let maps: Vec<_> = maps.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
            w.ship(&maps).await;
            w.settle().await;
            w.repo.remove(&["shop/b.yaml", "shop/c.yaml"]);
            let after = job("smoke", "windlass.dev/hook: after", "[]");
            let second = w.ship(&[("shop/smoke.yaml", &after)]).await;
            w.settle().await;
            w.expect(&second, "shop@east", "failure", &["kept by the prune guard"]).await;
            assert_eq!(uid(w, "smoke").await, None, "not all is as declared yet");
            let third = w.commit_saying("prune\n\nWindlass-Allow-Prune: shop", &[]);
            w.push(&third).await;
            w.settle().await;
            w.expect(&third, "shop@east", "success", &["1 created, 2 pruned"]).await;
            assert!(uid(w, "smoke").await.is_some());
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_fails_for_now_forgets_no_hook_that_has_run() {
    Setup::proxied()
        .run(async |w| {
            let first = ship_gated(w, "1").await;
            let (path, _) = pod(w, "migrate").await;
            w.east.change(&path, &json!({ "spec": { "schedulingGates": null } })).await;
            w.watch_step().await;
            // As a Job goes that has a time to live. The next write then meets a server in trouble.
            w.east.delete(&format!("{}?propagationPolicy=Background", path_of(w, "migrate"))).await;
            let proxy = w.before_east();
            proxy.refuse(1, 503, |line| {
                line.starts_with("PATCH") && line.contains("/configmaps/one") && !line.contains("dryRun")
            });
            let tried = w.reconcile_step().await;
            assert!(matches!(tried, reconcile::Step::Retried { .. }), "{tried:?}");
            let parent = format!("/api/v1/namespaces/{}/configmaps/windlass-shop", w.installation);
            let parent = w.east.find(&parent).await.unwrap();
            assert_eq!(
                (&parent["data"]["done"], &parent["data"]["next"]),
                (&json!("false"), &json!("sync 0"))
            );
            w.settle().await;
            w.expect(&first, "shop@east", "success", &["healthy in"]).await;
            assert_eq!((uid(w, "migrate").await, w.value("one").await.as_deref()), (None, Some("1")));
        })
        .await;
}

/// Returns a ConfigMap that is made where a rollout failed, in Argo CD's word for it.
fn alarm() -> String {
    let annotated = "metadata:\n  annotations: { argocd.argoproj.io/hook: SyncFail }\n";
    config_map("alarm", "1").replace("metadata:\n", annotated)
}

/// Fails the Job that was shipped by [`ship_gated`].
async fn fail(w: &World) {
    let (path, _) = pod(w, "migrate").await;
    w.east.change(&format!("{path}/status"), &json!({ "status": { "phase": "Failed" } })).await;
}

async fn uid_of_alarm(w: &World) -> Option<String> {
    let found = w.east.find(&w.path_of("alarm")).await?;
    found["metadata"]["uid"].as_str().map(str::to_owned)
}

/// Returns what history says that was done to the hook for a failure, and why.
async fn told_of_alarm(w: &World, run: usize) -> Vec<(Action, Option<String>)> {
    let run = w.runs().await.into_iter().nth(run).unwrap();
    let of = run.changes.into_iter().filter(|change| change.object.name == "alarm");
    of.map(|change| (change.action, change.note)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hook_for_failures_is_made_once_for_each() {
    World::run(async |w| {
        let first = ship_gated_with(w, "1", &[("shop/alarm.yaml", &alarm())]).await;
        assert_eq!(uid_of_alarm(w).await, None, "nothing failed yet");
        fail(w).await;
        w.settle().await;
        w.expect(&first, "shop@east", "failure", &["Job/", "/migrate"]).await;
        let made = uid_of_alarm(w).await.expect("it is made for the failure");
        let told = told_of_alarm(w, 0).await;
        assert_eq!(told, [(Action::Created, Some("its commit failed".to_owned()))]);
        assert_eq!((w.value("one").await, w.runs().await.len()), (None, 1));
        w.expect_healed(&first);
        // The next try fails too, while nobody is there to see it.
        w.ask_again("shop").await;
        w.dispatch_step().await;
        w.reconcile_step().await;
        assert_eq!(uid_of_alarm(w).await.as_ref(), Some(&made), "what is tried again has not failed again");
        fail(w).await;
        w.watch_step().await;
        w.restart().await;
        w.settle().await;
        let again = uid_of_alarm(w).await.expect("it is made for the second failure");
        assert_ne!(again, made);
        // What is looked at and left is no drift, and no rollout that works makes it.
        let second = w.ship(&[("shop/a.yaml", &config_map("two", "1"))]).await;
        w.settle().await;
        w.expect(&second, "shop@east", "success", &["healthy in"]).await;
        assert_eq!(uid_of_alarm(w).await, Some(again));
        w.repo.remove(&["shop/alarm.yaml"]);
        let third = w.ship(&[]).await;
        w.settle().await;
        w.expect(&third, "shop@east", "success", &["1 pruned"]).await;
        assert_eq!(uid_of_alarm(w).await, None, "it left the commit");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hook_for_failures_follows_a_pass_that_broke_off() {
    World::run(async |w| {
        let group = format!("bed-{}.example.org", unique());
        let files = [
            ("shop/alarm.yaml", &*alarm()),
            ("shop/definition.yaml", &definition(&group)),
            ("shop/widget.yaml", &widget(&group, "w", "many")),
        ];
        let first = w.ship(&files).await;
        w.settle().await;
        w.expect(&first, "shop@east", "failure", &["spec.size"]).await;
        assert_eq!(w.value("alarm").await.as_deref(), Some("1"), "the definition was written");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hook_for_failures_that_would_be_refused_is_refused_at_once() {
    World::run(async |w| {
        let wrong =
            job("alarm", "windlass.dev/hook: failed", "[]").replace("backoffLimit: 0", "backoffLimit: -1");
        let files = [("shop/alarm.yaml", &*wrong), ("shop/one.yaml", &config_map("one", "1"))];
        let first = w.ship(&files).await;
        w.settle().await;
        w.expect(&first, "shop@east", "failure", &["backoffLimit"]).await;
        assert_eq!((w.value("one").await, uid(w, "alarm").await), (None, None));
        // A commit of which nothing is written asks for no hook.
        let refused = config_map("one", "1").replace("key:", "no key!:");
        let files = [("shop/alarm.yaml", &*alarm()), ("shop/one.yaml", &refused)];
        let second = w.ship(&files).await;
        w.settle().await;
        w.expect(&second, "shop@east", "failure", &["no key!"]).await;
        assert_eq!(w.value("alarm").await, None);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hook_for_failures_is_not_made_where_a_newer_commit_is_there() {
    World::run(async |w| {
        let first = ship_gated_with(w, "1", &[("shop/alarm.yaml", &alarm())]).await;
        fail(w).await;
        w.watch_step().await;
        let (lease, job) = w.take_job().await;
        assert_eq!(job.reason, Reason::Failed);
        w.crew.ack(&lease).await;
        let second = w.ship(&[("shop/a.yaml", &config_map("two", "1"))]).await;
        w.settle().await;
        // As a message comes that was put back.
        w.queue().publish(vec![Draft::job("shared", &job)]).await.unwrap();
        w.settle().await;
        w.expect(&first, "shop@east", "failure", &["Job/", "/migrate"]).await;
        w.expect(&second, "shop@east", "success", &["healthy in"]).await;
        assert_eq!(w.value("alarm").await, None);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hook_that_failed_goes_where_it_says_so_after_its_own_deadline() {
    World::run(async |w| {
        let annotations = "helm.sh/hook: pre-upgrade, helm.sh/hook-delete-policy: hook-failed";
        let failing = job("migrate", annotations, GATED);
        let first = w.ship(&[("shop/a.yaml", &failing), ("shop/one.yaml", &config_map("one", "1"))]).await;
        w.dispatch_step().await;
        w.reconcile_step().await;
        fail(w).await;
        w.settle().await;
        w.expect(&first, "shop@east", "failure", &["Job/", "/migrate"]).await;
        let gone = async || uid(w, "migrate").await.is_none().then_some(());
        until("the hook is gone", gone).await;
        // One that takes longer than it may fails its rollout, whatever the application allows.
        let slow = job("migrate", "windlass.dev/hook: before, windlass.dev/hook-deadline: 1s", GATED);
        let second = w.ship(&[("shop/a.yaml", &slow)]).await;
        w.settle().await;
        w.expect(&second, "shop@east", "failure", &["migrate: not healthy by the deadline"]).await;
        assert_eq!(w.value("one").await, None);
    })
    .await;
}
