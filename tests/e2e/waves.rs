//! Objects that are written once what comes before them is healthy.

use std::time::Duration;

use serde_json::json;
use windlass::application::Name;
use windlass::commit::CommitId;
use windlass::outcome::Phase;
use windlass::pause::Pause;
use windlass::pause::Scope;
use windlass::queue::Draft;

use crate::annotations::annotated;
use crate::world::manifests::config_map;
use crate::world::manifests::definition;
use crate::world::manifests::definition_path;
use crate::world::manifests::deployment;
use crate::world::manifests::secret;
use crate::world::manifests::stuck_deployment;
use crate::world::manifests::widget;
use crate::world::setup::App;
use crate::world::setup::Setup;
use crate::world::unique;
use crate::world::until;
use crate::world::windlass::World;
use crate::world::windlass::now;

/// Returns a manifest that is of a wave.
fn of_wave(wave: &str, text: &str) -> String {
    annotated(text, ("windlass.dev/wave", wave))
}

/// Returns a Deployment whose pod is only scheduled once [`let_go`] was called.
pub fn gated(name: &str) -> String {
    format!("{}      schedulingGates: [{{ name: bed.example.org/wait }}]\n", deployment(name))
}

/// Has the pods of gated Deployments scheduled.
pub async fn let_go(w: &World) {
    let path = format!("/api/v1/namespaces/{}/pods", w.namespace);
    let pods = async || Some(w.east.list(&path).await).filter(|pods| !pods.is_empty());
    for pod in until("there are pods", pods).await {
        let name = pod["metadata"]["name"].as_str().unwrap();
        w.east.change(&format!("{path}/{name}"), &json!({ "spec": { "schedulingGates": null } })).await;
    }
}

/// Ships a gated Deployment, and two objects that wait for it, until they do.
async fn ship_and_wait(w: &mut World) -> CommitId {
    let database = annotated(&gated("db"), ("argocd.argoproj.io/sync-wave", "-1"));
    let (one, late) = (config_map("one", "1"), of_wave("2", &config_map("late", "1")));
    let files = [("shop/db.yaml", &*database), ("shop/one.yaml", &*one), ("shop/late.yaml", &*late)];
    let commit = w.ship(&files).await;
    w.dispatch_step().await;
    w.reconcile_step().await;
    w.report_all().await;
    w.post_step().await;
    w.expect(&commit, "shop@east", "pending", &["1 object applied, waiting for health before 2 more"]).await;
    assert_eq!(w.east.config_maps(&w.namespace).await, Vec::<String>::new());
    commit
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wave_is_written_when_all_before_it_is_healthy() {
    World::run(async |w| {
        let first = ship_and_wait(w).await;
        let_go(w).await;
        w.settle().await;
        w.expect(&first, "shop@east", "success", &["3 created", "healthy in"]).await;
        let runs = w.runs().await;
        let [run] = runs.as_slice() else { panic!("one run is told of: {runs:?}") };
        assert_eq!((run.changes.len(), run.phase), (3, Phase::Healthy));
        // What is healthy holds nothing up.
        let second = w.ship(&[("shop/late.yaml", &of_wave("2", &config_map("late", "2")))]).await;
        w.dispatch_step().await;
        w.reconcile_step().await;
        w.settle().await;
        w.expect(&second, "shop@east", "success", &["1 configured, healthy in"]).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_between_two_waves_loses_none() {
    World::run(async |w| {
        let first = ship_and_wait(w).await;
        w.restart().await;
        let_go(w).await;
        w.settle().await;
        w.expect(&first, "shop@east", "success", &["3 created", "healthy in"]).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wave_that_does_not_become_healthy_holds_up_the_later_ones_and_the_prune() {
    let setup = Setup::default().applications([App::named("shop").with("health_deadline = \"2s\"")]);
    setup
        .run(async |w| {
            let (zero, one) = (config_map("zero", "1"), of_wave("1", &config_map("one", "1")));
            // The only one of its kind.
            let old = secret("old", "1");
            w.ship(&[("shop/zero.yaml", &zero), ("shop/one.yaml", &one), ("shop/old.yaml", &old)]).await;
            w.settle().await;
            w.repo.remove(&["shop/old.yaml"]);
            let (stuck, one) = (stuck_deployment("web"), of_wave("1", &config_map("one", "2")));
            let second = w.ship(&[("shop/web.yaml", &stuck), ("shop/one.yaml", &one)]).await;
            w.settle().await;
            let name = format!("Deployment/{}/web: not healthy by the deadline", w.namespace);
            w.expect(&second, "shop@east", "failure", &[&name]).await;
            assert_eq!(w.value("one").await.as_deref(), Some("1"), "its wave did not come");
            let old_one = format!("/api/v1/namespaces/{}/secrets/old", w.namespace);
            assert!(w.east.find(&old_one).await.is_some(), "nothing is pruned before all is written");
            // Drift of what was written is corrected; the rest is still to come.
            let _patrol = w.patrol();
            let path = format!("{}?fieldManager=somebody", w.path_of("zero"));
            w.east.change(&path, &json!({ "data": { "key": "3" } })).await;
            w.drift_is_seen().await;
            w.settle().await;
            let values = [w.value("zero").await, w.value("one").await];
            assert_eq!(values, [Some("1".into()), Some("1".into())]);
            assert!(w.east.find(&old_one).await.is_some());
            let third = w.ship(&[("shop/web.yaml", &deployment("web"))]).await;
            w.settle().await;
            w.expect(&third, "shop@east", "success", &["2 configured, 1 pruned", "healthy in"]).await;
            assert_eq!((w.value("one").await.as_deref(), w.east.find(&old_one).await), (Some("2"), None));
        })
        .await;
}

/// Lets a custom resource report that it works, or does not.
async fn report(w: &World, group: &str, works: &str) {
    let path =
        format!("/apis/{group}/v1/namespaces/{}/widgets/lead?fieldManager=its-controller", w.namespace);
    let conditions = json!([{ "type": "Ready", "status": works, "reason": "Said", "message": "said" }]);
    w.east.change(&path, &json!({ "status": { "conditions": conditions } })).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn drift_is_corrected_whatever_the_waves_before_it_have_come_to() {
    World::run(async |w| {
        let group = format!("bed-{}.example.org", unique());
        let status = "status: { type: object, properties: { conditions: { type: array, items: { type: object, \
                      x-kubernetes-preserve-unknown-fields: true } } } }";
        let definition = format!("{}          {status}\n", definition(&group));
        let (lead, one) = (widget(&group, "lead", "1"), of_wave("1", &config_map("one", "1")));
        w.ship(&[("shop/crd.yaml", &definition), ("shop/lead.yaml", &lead), ("shop/one.yaml", &one)]).await;
        w.dispatch_step().await;
        w.reconcile_step().await;
        assert_eq!(w.value("one").await, None, "nothing was reported of what it waits for");
        report(w, &group, "True").await;
        w.settle().await;
        assert_eq!(w.value("one").await.as_deref(), Some("1"));
        report(w, &group, "False").await;
        let _patrol = w.patrol();
        let path = format!("{}?fieldManager=somebody", w.path_of("one"));
        w.east.change(&path, &json!({ "data": { "key": "3" } })).await;
        w.drift_is_seen().await;
        w.settle().await;
        assert_eq!(w.value("one").await.as_deref(), Some("1"));
        w.east.delete(&definition_path(&group)).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_nobody_told_of_is_made_true_between_two_waves() {
    World::run(async |w| {
        let first = ship_and_wait(w).await;
        let second = w.commit(&[("shop/one.yaml", &config_map("one", "2"))]);
        let_go(w).await;
        w.settle().await;
        assert_eq!(
            (w.value("one").await.as_deref(), w.value("late").await.as_deref()),
            (Some("2"), Some("1"))
        );
        w.expect(&first, "shop@east", "warning", &["superseded by", second.short()]).await;
        let phases: Vec<Phase> = w.runs().await.iter().map(|run| run.phase).collect();
        assert_eq!(phases, [Phase::Superseded, Phase::Healthy]);
        w.push(&second).await;
        w.settle().await;
        w.expect(&second, "shop@east", "success", &["healthy"]).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tip_that_a_pass_came_upon_is_made_true_by_one_run() {
    World::run(async |w| {
        let database = of_wave("-1", &gated("db"));
        let first = w.ship(&[("shop/db.yaml", &database), ("shop/one.yaml", &config_map("one", "1"))]).await;
        let second = w.commit(&[("shop/one.yaml", &config_map("one", "2"))]);
        w.dispatch_step().await;
        w.reconcile_step().await;
        let_go(w).await;
        w.settle().await;
        w.expect(&first, "shop@east", "warning", &["superseded by", second.short()]).await;
        let runs = w.runs().await;
        let [run] = runs.as_slice() else { panic!("one run is told of: {runs:?}") };
        assert_eq!((&run.commit, run.phase, run.tally.created), (&second, Phase::Healthy, 2));
        w.push(&second).await;
        w.settle().await;
        w.expect(&second, "shop@east", "success", &["healthy"]).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_whose_work_another_has_done_meanwhile_comes_to_an_end_of_its_own() {
    World::run(async |w| {
        let database = of_wave("-1", &gated("db"));
        w.ship(&[("shop/db.yaml", &database), ("shop/one.yaml", &config_map("one", "0"))]).await;
        w.dispatch_step().await;
        let (lease, job) = w.take_job().await;
        w.crew.ack(&lease).await;
        let first = w.ship(&[("shop/one.yaml", &config_map("one", "1"))]).await;
        w.dispatch_step().await;
        // The pass comes upon a commit that nobody told of yet, and the commit of its job shares that run's fate.
        let second = w.commit(&[("elsewhere", "1")]);
        w.reconcile_step().await;
        let_go(w).await;
        w.watch_step().await;
        let (lease, goes_on) = w.take_job().await;
        assert!(goes_on.rollout.is_some(), "{goes_on:?}");
        // A job of an earlier commit, which was put back, is worked off before it.
        w.queue().publish(vec![Draft::job("shared", &job)]).await.unwrap();
        w.crew.retry(&lease, Duration::from_millis(500)).await;
        w.settle().await;
        w.expect(&first, "shop@east", "success", &["healthy in"]).await;
        w.push(&second).await;
        w.settle().await;
        w.expect(&second, "shop@east", "success", &["healthy in"]).await;
        assert_eq!(w.value("one").await.as_deref(), Some("1"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_between_two_waves_holds_the_next_one() {
    World::run(async |w| {
        let first = ship_and_wait(w).await;
        let scope = Scope { application: Some(Name::parse("shop").unwrap()), cluster: None };
        let pause = Pause { scope: scope.clone(), by: "ana".into(), why: "no".into(), since: now() };
        w.store().pause(&pause).await.unwrap();
        let_go(w).await;
        w.watch_step().await;
        w.reconcile_step().await;
        w.wish_is_handed_on("the rest comes back").await;
        w.settle().await;
        w.expect(&first, "shop@east", "pending", &["waiting: shop is paused by ana"]).await;
        assert_eq!(w.value("one").await, None);
        assert!(w.store().resume(&scope, "ana", "yes", now()).await.unwrap());
        assert_eq!(w.opener().step(now()).await.unwrap().asked, 1);
        w.settle().await;
        w.expect(&first, "shop@east", "success", &["2 created", "healthy in"]).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_that_waits_for_its_first_pod_holds_up_no_later_wave() {
    World::run(async |w| {
        let claim = "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata:\n  name: data\nspec:\n  storageClassName: none\n\
                     \x20 accessModes: [ReadWriteOnce]\n  resources: { requests: { storage: 1Gi } }\n";
        let late = of_wave("2", &config_map("late", "1"));
        let commit = w.ship(&[("shop/data.yaml", claim), ("shop/late.yaml", &late)]).await;
        w.dispatch_step().await;
        w.reconcile_step().await;
        w.report_all().await;
        w.post_step().await;
        assert_eq!(w.value("late").await.as_deref(), Some("1"));
        w.expect(&commit, "shop@east", "pending", &["2 objects applied, waiting for health"]).await;
        let path = format!("/api/v1/namespaces/{}/persistentvolumeclaims/data/status", w.namespace);
        w.east.change(&path, &json!({ "status": { "phase": "Bound" } })).await;
        w.settle().await;
        w.expect(&commit, "shop@east", "success", &["2 created", "healthy in"]).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_has_to_stay_healthy_holds_up_the_next_wave_once() {
    let setup = Setup::default().applications([App::named("shop").with("stable_for = \"1s\"")]);
    setup
        .run(async |w| {
            let late = of_wave("2", &config_map("late", "1"));
            let commit =
                w.ship(&[("shop/one.yaml", &config_map("one", "1")), ("shop/late.yaml", &late)]).await;
            let begun = tokio::time::Instant::now();
            w.settle().await;
            w.expect(&commit, "shop@east", "success", &["2 created", "healthy in"]).await;
            let runs = w.runs().await;
            assert_eq!(runs.len(), 1, "{runs:?}");
            assert!(begun.elapsed() < Duration::from_secs(30), "each wave is watched once");
        })
        .await;
}
