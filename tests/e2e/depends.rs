//! Applications that are written once others are healthy.

use windlass::commit::CommitId;
use windlass::dispatch;
use windlass::pause::Order;
use windlass::reconcile;
use windlass::reconcile::Ended;

use crate::waves::gated;
use crate::waves::let_go;
use crate::window::order;
use crate::world::manifests::config_map;
use crate::world::manifests::deployment;
use crate::world::manifests::stuck_deployment;
use crate::world::setup::App;
use crate::world::setup::Setup;
use crate::world::windlass::World;
use crate::world::windlass::now;

/// `shop` depends on `db`, both in `east`.
fn setup() -> Setup {
    let db = App::named("db").with("health_deadline = \"2s\"");
    Setup::default().applications([App::named("shop").with("depends_on = [\"db\"]"), db])
}

/// Asks for what a verdict opened, and works it off.
async fn open(w: &mut World, targets: usize) {
    assert_eq!(w.opener().step(now()).await.unwrap().asked, targets);
    w.settle().await;
}

async fn value(w: &World) -> Option<String> {
    w.value("one").await
}

/// Ships both applications, and works both off as far as that goes.
async fn ship(w: &mut World, db: &str, value: &str) -> CommitId {
    w.ship(&[("db/db.yaml", db), ("shop/one.yaml", &config_map("one", value))]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_is_written_when_what_it_depends_on_is_healthy_at_the_same_commit() {
    let setup =
        Setup::default().applications([App::named("shop").with("depends_on = [\"db\"]"), App::named("db")]);
    setup
        .run(async |w| {
            let first = ship(w, &gated("db"), "1").await;
            assert!(matches!(w.dispatch_step().await, dispatch::Step::Dispatched { jobs: 1, .. }));
            w.reconcile_step().await;
            w.report_all().await;
            w.post_step().await;
            w.expect(&first, "shop@east", "pending", &["waiting: nothing was applied to db@east yet"]).await;
            assert_eq!(w.opener().step(now()).await.unwrap().asked, 0);
            assert_eq!(value(w).await, None);
            let_go(w).await;
            w.settle().await;
            w.expect(&first, "db@east", "success", &["healthy"]).await;
            assert_eq!(value(w).await, None);
            open(w, 1).await;
            w.expect(&first, "shop@east", "success", &["1 created", "healthy"]).await;
            assert!(w.store().held().await.unwrap().is_empty());
            // What it depends on is as it was: nothing is waited for.
            let second = w.ship(&[("shop/one.yaml", &config_map("one", "2"))]).await;
            w.settle().await;
            w.expect(&second, "shop@east", "success", &["1 configured", "healthy"]).await;
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_fails_holds_its_dependents_up_until_a_commit_mends_it() {
    setup()
        .run(async |w| {
            let first = ship(w, &stuck_deployment("db"), "1").await;
            w.settle().await;
            w.expect(&first, "db@east", "failure", &["not healthy by the deadline"]).await;
            assert_eq!(w.opener().step(now()).await.unwrap().asked, 0);
            assert_eq!(value(w).await, None);
            let second = w.ship(&[("db/db.yaml", &deployment("db"))]).await;
            w.settle().await;
            open(w, 1).await;
            w.expect(&second, "db@east", "success", &["healthy"]).await;
            w.expect(&first, "shop@east", "success", &["1 created", "healthy"]).await;
            assert_eq!(value(w).await.as_deref(), Some("1"));
            // One that fails later says so where it is waited for.
            let third = ship(w, &stuck_deployment("db"), "3").await;
            w.settle().await;
            w.expect(&third, "db@east", "failure", &[]).await;
            w.ask_again("shop").await;
            w.settle().await;
            let failed = format!("waiting: db@east failed at {}", third.short());
            w.expect(&third, "shop@east", "pending", &[&failed]).await;
            assert_eq!(value(w).await.as_deref(), Some("1"));
            w.ship(&[("db/db.yaml", &deployment("db"))]).await;
            w.settle().await;
            open(w, 1).await;
            w.expect(&third, "shop@east", "success", &["healthy"]).await;
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pass_does_not_run_ahead_to_a_commit_at_which_nothing_is_healthy_yet() {
    setup()
        .run(async |w| {
            ship(w, &config_map("db", "1"), "1").await;
            w.settle().await;
            open(w, 1).await;
            // It is dispatched, and before its pass a commit comes that changes both.
            let second = w.ship(&[("shop/one.yaml", &config_map("one", "2"))]).await;
            assert!(matches!(w.dispatch_step().await, dispatch::Step::Dispatched { jobs: 1, .. }));
            let third = ship(w, &stuck_deployment("db"), "3").await;
            let step = w.reconcile_step().await;
            assert!(matches!(step, reconcile::Step::Done(Ended::HandedBack { .. })), "{step:?}");
            assert_eq!(value(w).await.as_deref(), Some("1"));
            w.settle().await;
            w.expect(&third, "db@east", "failure", &[]).await;
            assert_eq!(value(w).await.as_deref(), Some("1"));
            w.expect(&third, "shop@east", "pending", &["waiting: db@east"]).await;
            let fourth = ship(w, &config_map("db", "1"), "4").await;
            w.settle().await;
            open(w, 1).await;
            w.wish_is_handed_on("the pass that was handed back").await;
            w.settle().await;
            assert_eq!(value(w).await.as_deref(), Some("4"));
            w.expect(&fourth, "shop@east", "success", &["healthy"]).await;
            w.expect(&second, "shop@east", "warning", &["superseded by"]).await;
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clusters_are_rolled_out_to_one_after_the_other() {
    let first = App::named("canary").following("ref = \"refs/heads/main\"").with("health_deadline = \"2s\"");
    let rest = App::named("shop").on(&["west"]).with("depends_on = [\"canary@east\"]");
    Setup::default()
        .applications([rest, first])
        .run(async |w| {
            let one = config_map("one", "1");
            let bad = w.ship(&[("canary/web.yaml", &stuck_deployment("web")), ("shop/one.yaml", &one)]).await;
            w.settle().await;
            w.expect(&bad, "canary@east", "failure", &[]).await;
            let why = "waiting: canary@east is to be made as the commit declares it first";
            let waits = w.status(&bad, "shop@west").await.unwrap();
            assert_eq!(waits.state, "pending", "{why}: {waits:?}");
            assert_eq!(w.opener().step(now()).await.unwrap().asked, 0);
            let good = w.ship(&[("canary/web.yaml", &deployment("web"))]).await;
            w.settle().await;
            open(w, 1).await;
            w.expect(&good, "canary@east", "success", &["healthy"]).await;
            w.expect(&bad, "shop@west", "success", &["1 created", "healthy"]).await;
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_may_have_it_written_before() {
    setup()
        .run(async |w| {
            let first = ship(w, &stuck_deployment("db"), "1").await;
            w.settle().await;
            order(w, Order::Override).await;
            w.settle().await;
            w.expect(&first, "shop@east", "success", &["1 created", "healthy"]).await;
        })
        .await;
}
