//! Targets that go back to an earlier commit: by themselves after a failure, and because a person wants it so.

use windlass::application::Name;
use windlass::application::Target;
use windlass::commit::CommitId;
use windlass::dispatch;
use windlass::outcome::Phase;
use windlass::pause::Audited;
use windlass::pause::Order;
use windlass::pause::Pause;
use windlass::pause::Pin;
use windlass::pause::Scope;
use windlass::reconcile;
use windlass::reconcile::Ended;

use crate::world::manifests::config_map;
use crate::world::manifests::deployment;
use crate::world::manifests::stuck_deployment;
use crate::world::setup::App;
use crate::world::setup::Setup;
use crate::world::until;
use crate::world::windlass::World;
use crate::world::windlass::now;
use crate::world::windlass::source;

/// `shop` comes back from what does not work within two seconds.
fn setup() -> Setup {
    let lines = "health_deadline = \"2s\"\non_failure = \"rollback\"";
    Setup::default().applications([App::named("shop").with(lines)])
}

fn scope() -> Scope {
    Scope { application: Some(Name::parse("shop").unwrap()), cluster: None }
}

fn target() -> Target {
    Target { application: Name::parse("shop").unwrap(), cluster: Name::parse("east").unwrap() }
}

fn order(order: Order) -> Audited {
    Audited { at: now(), by: "ana".into(), order, scope: scope(), why: "it is slow".into() }
}

async fn ship(w: &mut World, web: &str, value: &str) -> CommitId {
    w.ship(&[("shop/web.yaml", web), ("shop/one.yaml", &config_map("one", value))]).await
}

/// Ships what works, and sees it work.
async fn ship_good(w: &mut World, value: &str) -> CommitId {
    let commit = ship(w, &deployment("web"), value).await;
    w.settle().await;
    w.expect(&commit, "shop@east", "success", &["healthy"]).await;
    commit
}

/// Ships what does not work, and sees it fail.
async fn ship_bad(w: &mut World, value: &str) -> CommitId {
    let commit = ship(w, &stuck_deployment("web"), value).await;
    w.settle().await;
    w.expect(&commit, "shop@east", "failure", &["not healthy by the deadline"]).await;
    commit
}

/// Ships `db` too.
async fn ship_both(w: &mut World, db: &str, web: &str, value: &str) -> CommitId {
    let one = config_map("one", value);
    w.ship(&[("db/db.yaml", db), ("shop/web.yaml", web), ("shop/one.yaml", &one)]).await
}

async fn value(w: &World) -> Option<String> {
    w.value("one").await
}

/// Says that the rows of two commits told once more what became of them, as those of a rollback do.
fn both_have_a_second_verdict(w: &mut World, one: &CommitId, other: &CommitId) {
    w.expect_healed(one);
    w.expect_healed(other);
}

/// Keeps `shop` at a commit, as `windlass rollback` does.
async fn keep(w: &mut World, commit: &CommitId) {
    let (by, why, since) = ("ana".to_owned(), "it is slow".to_owned(), now());
    let pin = Pin { target: target(), commit: commit.clone(), by, why, since };
    w.store().pin(&[pin], &order(Order::Rollback)).await.unwrap();
    assert_eq!(w.opener().step(now()).await.unwrap().asked, 1);
}

/// Lets `shop` follow its ref again, as `windlass release` does.
async fn release(w: &mut World) {
    assert_eq!(w.store().unpin(&order(Order::Release)).await.unwrap(), [target()]);
    assert_eq!(w.opener().step(now()).await.unwrap().asked, 1);
    w.settle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_failure_the_last_commit_that_was_healthy_is_made_true_again() {
    setup()
        .run(async |w| {
            ship_good(w, "0").await;
            let first = ship_good(w, "1").await;
            let second = ship_bad(w, "2").await;
            assert_eq!(value(w).await.as_deref(), Some("2"));
            w.wish_is_handed_on("the failure").await;
            w.settle().await;
            assert_eq!(value(w).await.as_deref(), Some("1"));
            let to = format!("rolled back to {}: Deployment/", first.short());
            w.expect(&second, "shop@east", "failure", &[&to, "not healthy by the deadline"]).await;
            let from = format!("rolled back from {}: 2 configured, healthy in", second.short());
            w.expect(&first, "shop@east", "success", &[&from]).await;
            both_have_a_second_verdict(w, &first, &second);
            // It stays so, whoever looks, pushes something else, or tells of the push once more; and drift is corrected to it.
            let elsewhere = w.ship(&[("elsewhere/one.yaml", "# nothing\n")]).await;
            w.restart().await;
            w.sweeper().step(&source(), true).await.unwrap();
            assert_eq!(w.deliver(Some(&first), Some(&second)).await, 202);
            w.settle().await;
            assert_eq!(value(w).await.as_deref(), Some("1"));
            assert_eq!(w.status(&elsewhere, "shop@east").await.map(|status| status.state), None);
            let _patrol = w.patrol();
            let path = format!("{}?fieldManager=somebody", w.path_of("one"));
            w.east.change(&path, &serde_json::json!({ "data": { "key": "3" } })).await;
            w.drift_is_seen().await;
            w.settle().await;
            assert_eq!(value(w).await.as_deref(), Some("1"));
            // Until the ref moves.
            let third = ship_good(w, "4").await;
            assert_eq!(value(w).await.as_deref(), Some("4"));
            w.expect(&third, "shop@east", "success", &["healthy"]).await;
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_made_true_again_and_fails_too_is_not_gone_back_from() {
    setup()
        .run(async |w| {
            // Of the first commit nothing that worked is known.
            let zero = ship_bad(w, "0").await;
            w.wish_is_handed_on("the failure").await;
            assert!(matches!(w.dispatch_step().await, dispatch::Step::Nothing { .. }));
            w.expect(&zero, "shop@east", "failure", &["not healthy by the deadline"]).await;
            let first = ship_good(w, "1").await;
            w.repo.remove(&["shop/web.yaml"]);
            let second = w.ship(&[("shop/other.yaml", &stuck_deployment("other"))]).await;
            w.settle().await;
            w.expect(&second, "shop@east", "failure", &["not healthy by the deadline"]).await;
            // What ran before cannot be made anew by now.
            let quota = serde_json::json!({ "apiVersion": "v1", "kind": "ResourceQuota",
                "metadata": { "name": "none" }, "spec": { "hard": { "pods": "0" } } });
            w.east.create(&format!("/api/v1/namespaces/{}/resourcequotas", w.namespace), &quota).await;
            w.wish_is_handed_on("the failure").await;
            w.settle().await;
            let from = format!("rolled back from {}: Deployment/", second.short());
            w.expect(&first, "shop@east", "failure", &[&from]).await;
            both_have_a_second_verdict(w, &first, &second);
            assert_eq!(value(w).await.as_deref(), Some("1"));
            assert_eq!(w.dispatch_step().await, dispatch::Step::Idle);
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_healthy_once_and_is_looked_at_in_an_outage_stays() {
    setup()
        .run(async |w| {
            ship_good(w, "1").await;
            let second = ship_good(w, "2").await;
            let quota = serde_json::json!({ "apiVersion": "v1", "kind": "ResourceQuota",
                "metadata": { "name": "none" }, "spec": { "hard": { "pods": "0" } } });
            w.east.create(&format!("/api/v1/namespaces/{}/resourcequotas", w.namespace), &quota).await;
            let pods = format!("/api/v1/namespaces/{}/pods", w.namespace);
            // Until the quota is known everywhere, another one may still come.
            let gone = async || {
                let there = w.east.list(&pods).await;
                for pod in &there {
                    w.east.delete(&format!("{pods}/{}", pod["metadata"]["name"].as_str().unwrap())).await;
                }
                there.is_empty().then_some(())
            };
            until("nothing runs", gone).await;
            w.ask_again("shop").await;
            w.settle().await;
            let run = w.runs().await.pop().unwrap();
            assert_eq!((run.phase, &run.commit), (Phase::Failed, &second));
            w.wish_is_handed_on("the failure").await;
            let step = w.dispatch_step().await;
            assert!(
                matches!(&step, dispatch::Step::Nothing { why } if why.contains("healthy last")),
                "{step:?}"
            );
            assert_eq!(value(w).await.as_deref(), Some("2"));
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consent_of_its_time_lets_a_rollback_delete_nothing() {
    setup()
        .run(async |w| {
            let files = [("shop/web.yaml", &*deployment("web")), ("shop/one.yaml", &*config_map("one", "1"))];
            let first = w.commit_saying("Windlass-Allow-Prune: shop", &files);
            w.push(&first).await;
            w.settle().await;
            w.expect(&first, "shop@east", "success", &["healthy"]).await;
            // It is bound by nobody, so it does not become healthy; and it holds data.
            let claim = "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: { name: data }\nspec: \
                         { accessModes: [ReadWriteOnce], storageClassName: none, resources: { requests: { storage: 1Mi } } }\n";
            let second = w.ship(&[("shop/claim.yaml", claim)]).await;
            w.settle().await;
            w.expect(&second, "shop@east", "failure", &["PersistentVolumeClaim"]).await;
            w.wish_is_handed_on("the failure").await;
            w.settle().await;
            let path = format!("/api/v1/namespaces/{}/persistentvolumeclaims/data", w.namespace);
            let claim = w.east.find(&path).await.expect("it is kept");
            assert_eq!(claim["metadata"]["deletionTimestamp"], serde_json::Value::Null);
            let from = format!("rolled back from {}: PersistentVolumeClaim/", second.short());
            w.expect(&first, "shop@east", "failure", &[&from, "kept by the prune guard"]).await;
            both_have_a_second_verdict(w, &first, &second);
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_waits_for_others_keeps_nothing_that_failed_in_its_place() {
    let deadline = "health_deadline = \"2s\"";
    let shop = App::named("shop").with(deadline).with("on_failure = \"rollback\"\ndepends_on = [\"db\"]");
    Setup::default()
        .applications([shop, App::named("db").with(deadline)])
        .run(async |w| {
            let first = ship_both(w, &config_map("db", "1"), &deployment("web"), "1").await;
            w.settle().await;
            assert_eq!(w.opener().step(now()).await.unwrap().asked, 1);
            w.settle().await;
            let second = ship(w, &stuck_deployment("web"), "2").await;
            assert!(matches!(w.dispatch_step().await, dispatch::Step::Dispatched { jobs: 1, .. }));
            w.reconcile_step().await;
            // What is not healthy yet is given out while the one before it fails.
            let third = ship_both(w, &stuck_deployment("db"), &deployment("web"), "3").await;
            w.settle().await;
            w.expect(&third, "shop@east", "pending", &["waiting: db@east"]).await;
            w.wish_is_handed_on("the failure").await;
            w.settle().await;
            assert_eq!(value(w).await.as_deref(), Some("1"));
            both_have_a_second_verdict(w, &first, &second);
            ship_both(w, &config_map("db", "1"), &deployment("web"), "4").await;
            w.settle().await;
            assert_eq!(w.opener().step(now()).await.unwrap().asked, 1);
            w.settle().await;
            assert_eq!(value(w).await.as_deref(), Some("4"));
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_gone_back_from_what_was_not_written_or_is_paused_or_overtaken() {
    setup()
        .run(async |w| {
            ship_good(w, "1").await;
            // What is refused changed nothing.
            let refused = w.ship(&[("shop/web.yaml", "kind: [")]).await;
            w.settle().await;
            w.expect(&refused, "shop@east", "failure", &[]).await;
            assert_eq!(w.dispatch_step().await, dispatch::Step::Idle);
            let second = ship_bad(w, "2").await;
            let pause = Pause { scope: scope(), by: "ana".into(), why: "hands off".into(), since: now() };
            w.store().pause(&pause).await.unwrap();
            w.wish_is_handed_on("the failure").await;
            let step = w.dispatch_step().await;
            assert!(
                matches!(&step, dispatch::Step::Nothing { why } if why.contains("hands off")),
                "{step:?}"
            );
            assert!(w.store().resume(&scope(), "ana", "", now()).await.unwrap());
            assert_eq!(value(w).await.as_deref(), Some("2"));
            w.expect(&second, "shop@east", "failure", &["Deployment"]).await;
            // A newer commit is dispatched before dispatch hears that the one before it failed.
            ship_bad(w, "3").await;
            let fourth = ship_good(w, "4").await;
            w.wish_is_handed_on("the failure").await;
            assert!(matches!(w.dispatch_step().await, dispatch::Step::Nothing { .. }));
            w.settle().await;
            w.expect(&fourth, "shop@east", "success", &["healthy"]).await;
            assert_eq!(value(w).await.as_deref(), Some("4"));
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_person_keeps_at_a_commit_stays_there_until_it_is_released() {
    World::run(async |w| {
        let first = ship_good(w, "1").await;
        let second = ship_good(w, "2").await;
        keep(w, &first).await;
        w.settle().await;
        assert_eq!(value(w).await.as_deref(), Some("1"));
        let to = format!("rolled back to {}: by ana: it is slow", first.short());
        w.expect(&second, "shop@east", "warning", &[&to]).await;
        let from = format!("rolled back from {}: 1 configured, healthy in", second.short());
        w.expect(&first, "shop@east", "success", &[&from]).await;
        both_have_a_second_verdict(w, &first, &second);
        // What is pushed waits, over restarts too.
        let third = ship(w, &deployment("web"), "3").await;
        w.settle().await;
        w.restart().await;
        w.sweep().await;
        w.settle().await;
        assert_eq!(w.opener().step(now()).await.unwrap().asked, 0);
        let kept = format!("waiting: shop@east is kept at {} by ana since", first.short());
        w.expect(&third, "shop@east", "pending", &[&kept, "it is slow"]).await;
        assert_eq!(value(w).await.as_deref(), Some("1"));
        // Drift is corrected to it.
        let patrol = w.patrol();
        let path = format!("{}?fieldManager=somebody", w.path_of("one"));
        w.east.change(&path, &serde_json::json!({ "data": { "key": "9" } })).await;
        w.drift_is_seen().await;
        w.settle().await;
        drop(patrol);
        assert_eq!(value(w).await.as_deref(), Some("1"));
        release(w).await;
        assert_eq!(value(w).await.as_deref(), Some("3"));
        w.expect(&third, "shop@east", "success", &["healthy"]).await;
        let orders: Vec<_> = w.store().orders(10).await.unwrap().into_iter().map(|one| one.order).collect();
        assert_eq!(orders, [Order::Release, Order::Rollback]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_without_a_push_makes_the_tip_true_again_and_says_so() {
    World::run(async |w| {
        let first = ship_good(w, "1").await;
        let second = ship_good(w, "2").await;
        keep(w, &first).await;
        w.settle().await;
        w.expect(&second, "shop@east", "warning", &["rolled back to"]).await;
        both_have_a_second_verdict(w, &first, &second);
        release(w).await;
        assert_eq!(value(w).await.as_deref(), Some("2"));
        w.expect(&second, "shop@east", "success", &["1 configured", "healthy"]).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_was_given_out_before_is_handed_back() {
    World::run(async |w| {
        let first = ship_good(w, "1").await;
        let second = ship(w, &deployment("web"), "2").await;
        assert!(matches!(w.dispatch_step().await, dispatch::Step::Dispatched { jobs: 1, .. }));
        keep(w, &first).await;
        let step = w.reconcile_step().await;
        assert!(matches!(step, reconcile::Step::Done(Ended::HandedBack { .. })), "{step:?}");
        w.wish_is_handed_on("the pass that was handed back").await;
        w.settle().await;
        assert_eq!(value(w).await.as_deref(), Some("1"));
        w.expect(&second, "shop@east", "pending", &["waiting: shop@east is kept at"]).await;
        release(w).await;
        w.expect(&second, "shop@east", "success", &["1 configured", "healthy"]).await;
    })
    .await;
}
