//! What waits for a window to open, or for a pause to end.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use windlass::application::Name;
use windlass::application::SelfHeal;
use windlass::application::Target;
use windlass::commit::CommitId;
use windlass::dispatch;
use windlass::moment::Moment;
use windlass::outcome::Drift;
use windlass::outcome::Phase;
use windlass::pause::Audited;
use windlass::pause::Order;
use windlass::pause::Pause;
use windlass::pause::Scope;
use windlass::reconcile;
use windlass::reconcile::Ended;
use windlass::window::Cron;
use windlass::window::Kind;
use windlass::window::OnDrift;
use windlass::window::Schedule;
use windlass::window::Window;
use windlass::window::Zone;

use crate::world::crew::Works;
use crate::world::manifests::config_map;
use crate::world::setup::App;
use crate::world::setup::Setup;
use crate::world::until;
use crate::world::windlass::World;
use crate::world::windlass::now;

/// A window that is always closed.
const FREEZE: &str = "[[windows]]\nname = \"freeze\"\nkind = \"deny\"\nschedule = \"* * * * *\"\nduration = \"1h\"\n\
                      time_zone = \"UTC\"\napplications = [\"shop\"]\n";

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn shop() -> Scope {
    Scope { application: Some(name("shop")), cluster: None }
}

fn target() -> Target {
    Target { application: name("shop"), cluster: name("east") }
}

async fn pause(w: &World) {
    let pause = Pause { scope: shop(), by: "ana".into(), why: "the disk is full".into(), since: now() };
    w.store().pause(&pause).await.unwrap();
}

/// Ends the pause, and asks for what waits.
async fn resume(w: &World) {
    assert!(w.store().resume(&shop(), "ana", "there is room", now()).await.unwrap());
    assert_eq!(w.opener().step(now()).await.unwrap().asked, 1);
}

pub async fn order(w: &World, order: Order) {
    let audited = Audited { at: now(), by: "ana".into(), order, scope: shop(), why: "outage".into() };
    w.store().wish(&[target()], &audited, None).await.unwrap();
    assert_eq!(w.opener().step(now()).await.unwrap().asked, 1);
}

async fn ship(w: &mut World, value: &str) -> CommitId {
    w.ship(&[("shop/one.yaml", &config_map("one", value))]).await
}

/// Returns all drift that is recorded, the newest first.
async fn drifts(w: &World) -> Vec<Drift> {
    w.store().drifts(None, 100).await.unwrap().into_iter().map(|(_, drift)| drift).collect()
}

/// Changes the value of a ConfigMap, as somebody with `kubectl edit` would.
async fn edit(w: &World, value: &str) {
    let path = format!("{}?fieldManager=somebody", w.path_of("one"));
    w.east.change(&path, &serde_json::json!({ "data": { "key": value } })).await;
}

/// Lets all windows be gone at the next start.
async fn restart_without_windows(w: &mut World) {
    w.change_settings(|settings| settings.windows.clear());
    w.restart().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_pushed_during_a_pause_waits_and_the_tip_is_made_true_after_it() {
    World::run(async |w| {
        ship(w, "1").await;
        w.settle().await;
        pause(w).await;
        let second = ship(w, "2").await;
        assert_eq!(w.dispatch_step().await, dispatch::Step::Held { targets: 1 });
        let third = ship(w, "3").await;
        w.settle().await;
        let why = ["waiting: shop is paused by ana since", "the disk is full"];
        for commit in [&second, &third] {
            w.expect(commit, "shop@east", "pending", &why).await;
        }
        assert_eq!(w.value("one").await.as_deref(), Some("1"), "nothing is written");
        assert_eq!(w.opener().step(now()).await.unwrap().asked, 0);
        resume(w).await;
        w.settle().await;
        assert_eq!(w.value("one").await.as_deref(), Some("3"));
        w.expect(&second, "shop@east", "warning", &["superseded by", third.short()]).await;
        w.expect(&third, "shop@east", "success", &["healthy"]).await;
        assert!(w.store().held().await.unwrap().is_empty());
        assert_eq!(w.opener().step(now()).await.unwrap().asked, 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_was_taken_back_during_a_pause_is_superseded_and_the_older_state_kept() {
    World::run(async |w| {
        ship(w, "1").await;
        w.settle().await;
        pause(w).await;
        let second = ship(w, "2").await;
        assert_eq!(w.dispatch_step().await, dispatch::Step::Held { targets: 1 });
        let third = ship(w, "1").await;
        w.settle().await;
        resume(w).await;
        w.settle().await;
        assert_eq!(w.value("one").await.as_deref(), Some("1"));
        w.expect(&second, "shop@east", "warning", &["superseded by", third.short()]).await;
        w.expect(&third, "shop@east", "success", &["1 unchanged", "healthy"]).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_of_a_pause_is_seen_at_once_by_whichever_process_opens() {
    World::run(async |w| {
        pause(w).await;
        let first = ship(w, "1").await;
        w.settle().await;
        // The first worker opens; the pause is ended in the process of the last one.
        let opener = Arc::clone(&w.crew.workers().next().unwrap().dispatch().opener);
        let mut opening = JoinSet::new();
        opening.spawn(async move {
            loop {
                opener.look().await.unwrap();
            }
        });
        assert_eq!(w.dispatch_step().await, dispatch::Step::Idle, "it is looked at, and closed");
        assert!(w.store().resume(&shop(), "ana", "", now()).await.unwrap());
        // Far sooner than the next look without a word.
        assert!(matches!(w.dispatch_step().await, dispatch::Step::Dispatched { jobs: 1, .. }));
        w.settle().await;
        w.expect(&first, "shop@east", "success", &["healthy"]).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_survives_a_crash_and_is_not_called_lost() {
    World::run(async |w| {
        pause(w).await;
        let first = ship(w, "1").await;
        w.settle().await;
        w.restart().await;
        let overdue = w.store().overdue(Moment(i64::MAX), 10).await.unwrap();
        assert_eq!(overdue, [], "it has its reason");
        let swept = w.sweep().await;
        assert_eq!((swept.again, swept.closed), (0, 0), "{swept:?}");
        w.settle().await;
        w.expect(&first, "shop@east", "pending", &["waiting: shop is paused"]).await;
        assert_eq!(w.value("one").await, None);
        resume(w).await;
        w.restart().await;
        w.settle().await;
        w.expect(&first, "shop@east", "success", &["healthy"]).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_closed_window_holds_its_targets_only_until_the_settings_open_it() {
    let apps = [App::named("shop"), App::named("blog")];
    Setup::default()
        .section(FREEZE)
        .applications(apps)
        .run(async |w| {
            let blog = ("blog/two.yaml", config_map("two", "1"));
            let first = w.ship(&[("shop/one.yaml", &config_map("one", "1")), (blog.0, &blog.1)]).await;
            w.settle().await;
            w.expect(&first, "shop@east", "pending", &["no opening is in sight by window freeze"]).await;
            w.expect(&first, "blog@east", "success", &["healthy"]).await;
            assert_eq!((w.value("one").await, w.value("two").await.as_deref()), (None, Some("1")));
            restart_without_windows(w).await;
            assert_eq!(w.opener().step(now()).await.unwrap().asked, 1);
            w.settle().await;
            w.expect(&first, "shop@east", "success", &["healthy"]).await;
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_is_asked_for_when_it_opens_and_dispatch_decides_by_its_own_clock() {
    // Open on New Year's Day only; if this is one, on the day after.
    let day = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).day_of_year();
    let day = if day == 1 { 2 } else { 1 };
    let yearly = format!(
        "[[windows]]\nname = \"yearly\"\nkind = \"allow\"\nschedule = \"0 0 {day} 1 *\"\nduration = \"24h\"\n\
         time_zone = \"UTC\"\nclusters = [\"ea*\"]\n"
    );
    Setup::default()
        .section(&yearly)
        .run(async |w| {
            let first = ship(w, "1").await;
            w.settle().await;
            let opens = w.store().held().await.unwrap()[0].until.expect("it is known when it opens");
            let said = format!("-01-0{day} 00:00 UTC, outside window yearly");
            w.expect(&first, "shop@east", "pending", &["waiting: closed until 2", &said]).await;
            let just_before = w.opener().step(Moment(opens.0 - 1_500)).await.unwrap();
            assert_eq!((just_before.asked, just_before.wait), (0, Duration::from_millis(1_500)));
            assert_eq!(w.opener().step(opens).await.unwrap().asked, 1);
            assert_eq!(w.opener().step(opens).await.unwrap().asked, 0, "it is under way");
            // It was asked too early, by a clock that is ahead.
            assert_eq!(w.dispatch_step().await, dispatch::Step::Held { targets: 1 });
            let soon = Moment(opens.0 + 1_000);
            assert_eq!(w.opener().step(soon).await.unwrap().asked, 1, "so it is asked for again");
            w.settle().await;
            assert_eq!(w.value("one").await, None);
            restart_without_windows(w).await;
            assert_eq!(w.opener().step(now()).await.unwrap().asked, 1);
            w.settle().await;
            w.expect(&first, "shop@east", "success", &["healthy"]).await;
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_has_not_begun_to_write_when_a_pause_comes_is_handed_back() {
    World::run(async |w| {
        let first = ship(w, "1").await;
        assert!(matches!(w.dispatch_step().await, dispatch::Step::Dispatched { jobs: 1, .. }));
        pause(w).await;
        let step = w.reconcile_step().await;
        assert!(matches!(&step, reconcile::Step::Done(Ended::HandedBack { .. })), "{step:?}");
        w.wish_is_handed_on("the job comes back").await;
        w.settle().await;
        assert_eq!(w.value("one").await, None);
        w.expect(&first, "shop@east", "pending", &["waiting: shop is paused"]).await;
        resume(w).await;
        w.settle().await;
        w.expect(&first, "shop@east", "success", &["healthy"]).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_has_not_begun_to_write_when_a_window_closes_is_handed_back() {
    World::run(async |w| {
        let first = ship(w, "1").await;
        // Open since the minute began, and for a little while.
        let begun = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC);
        let seconds = i64::from(begun.second()) + 10;
        let hourly = window(Kind::Allow, &format!("{} * * * *", begun.minute()), seconds);
        let closes = Moment(now().0.div_euclid(60_000) * 60_000 + seconds * 1_000);
        w.change_settings(|settings| settings.windows = vec![hourly.clone()]);
        w.restart().await;
        assert!(matches!(w.dispatch_step().await, dispatch::Step::Dispatched { jobs: 1, .. }));
        // why: the clock has to come to the end of the window.
        tokio::time::sleep(Duration::from_millis(closes.since(now()) + 50)).await;
        let step = w.reconcile_step().await;
        assert!(matches!(&step, reconcile::Step::Done(Ended::HandedBack { .. })), "{step:?}");
        w.wish_is_handed_on("the job comes back").await;
        w.settle().await;
        assert_eq!(w.value("one").await, None);
        w.expect(&first, "shop@east", "pending", &["waiting: closed until", "outside window hour"]).await;
        restart_without_windows(w).await;
        assert_eq!(w.opener().step(now()).await.unwrap().asked, 1);
        w.settle().await;
        w.expect(&first, "shop@east", "success", &["healthy"]).await;
    })
    .await;
}

/// Returns a window in UTC.
fn window(kind: Kind, cron: &str, seconds: i64) -> Window {
    let schedule = Schedule::new(Cron::parse(cron).unwrap(), Zone::utc()).unwrap();
    let (applications, clusters, drift) = (Vec::new(), Vec::new(), OnDrift::Correct);
    Window { name: "hour".into(), kind, schedule, seconds, applications, clusters, drift }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_may_have_one_pass_made_all_the_same_and_the_audit_says_who() {
    World::run(async |w| {
        pause(w).await;
        let first = ship(w, "1").await;
        w.settle().await;
        order(w, Order::Sync).await;
        w.settle().await;
        w.expect(&first, "shop@east", "pending", &["waiting: shop is paused"]).await;
        order(w, Order::Override).await;
        w.settle().await;
        assert_eq!(w.value("one").await.as_deref(), Some("1"));
        w.expect(&first, "shop@east", "success", &["healthy"]).await;
        let second = ship(w, "2").await;
        w.settle().await;
        w.expect(&second, "shop@east", "pending", &["waiting: shop is paused"]).await;
        assert_eq!(w.value("one").await.as_deref(), Some("1"), "it was one pass");
        resume(w).await;
        w.settle().await;
        let orders = w.store().orders(10).await.unwrap();
        let told: Vec<_> = orders.iter().map(|one| (one.order, one.by.as_str(), one.why.as_str())).collect();
        let expected = [
            (Order::Resume, "ana", "there is room"),
            (Order::Override, "ana", "outage"),
            (Order::Sync, "ana", "outage"),
            (Order::Pause, "ana", "the disk is full"),
        ];
        assert_eq!(told, expected);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pass_is_made_when_a_person_asks_for_it() {
    World::run(async |w| {
        let first = ship(w, "1").await;
        w.settle().await;
        edit(w, "2").await;
        order(w, Order::Sync).await;
        w.settle().await;
        assert_eq!(w.value("one").await.as_deref(), Some("1"));
        w.expect(&first, "shop@east", "success", &["healthy"]).await;
    })
    .await;
}

/// Lets somebody change the ConfigMap, which says `1`, during a pause: it is left so until that ends.
async fn drift_waits_for_the_end_of_a_pause(w: &World) {
    pause(w).await;
    let _patrol = w.patrol();
    edit(w, "2").await;
    w.drift_is_seen().await;
    w.settle().await;
    assert_eq!(w.value("one").await.as_deref(), Some("2"));
    let found = drifts(w).await;
    assert_eq!((found.len(), found[0].corrected), (1, false), "{found:?}");
    resume(w).await;
    w.settle().await;
    assert_eq!(w.value("one").await.as_deref(), Some("1"));
    assert!(drifts(w).await[0].corrected);
    assert!(w.store().held().await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn drift_during_a_pause_is_recorded_and_corrected_after_it() {
    World::run(async |w| {
        ship(w, "1").await;
        w.settle().await;
        drift_waits_for_the_end_of_a_pause(w).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_that_asks_for_correction_itself_waits_for_the_end_of_a_pause_too() {
    World::run(async |w| {
        w.change_settings(|settings| {
            settings.applications.iter_mut().for_each(|one| one.self_heal = SelfHeal::Off)
        });
        w.restart().await;
        let asks = "metadata:\n  annotations:\n    windlass.dev/self-heal: correct\n";
        w.ship(&[("shop/one.yaml", &config_map("one", "1").replace("metadata:\n", asks))]).await;
        w.settle().await;
        drift_waits_for_the_end_of_a_pause(w).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_freeze_is_about_commits_and_what_was_applied_is_kept_so() {
    World::run(async |w| {
        ship(w, "1").await;
        w.settle().await;
        let freeze = window(Kind::Deny, "* * * * *", 3_600);
        w.change_settings(|settings| settings.windows = vec![freeze.clone()]);
        w.restart().await;
        let second = ship(w, "2").await;
        w.settle().await;
        let _patrol = w.patrol();
        edit(w, "3").await;
        w.drift_is_seen().await;
        w.settle().await;
        assert_eq!(w.value("one").await.as_deref(), Some("1"), "as it was applied, and not as it was pushed");
        assert!(drifts(w).await[0].corrected);
        let verdicts = w.verdicts(&second).await;
        assert_eq!(verdicts[0].row.phase, Phase::Pending);
        restart_without_windows(w).await;
        assert_eq!(w.opener().step(now()).await.unwrap().asked, 1);
        w.settle().await;
        assert_eq!(w.value("one").await.as_deref(), Some("2"));
        w.expect(&second, "shop@east", "success", &["healthy"]).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pass_that_waited_for_its_cluster_does_not_write_during_a_pause() {
    Setup::proxied()
        .run(async |w| {
            w.before_east().cut(1_000, |_| true);
            let first = ship(w, "1").await;
            w.dispatch_step().await;
            let step = w.reconcile_step().await;
            assert!(matches!(step, reconcile::Step::Retried { .. }), "{step:?}");
            pause(w).await;
            w.before_east().heal();
            let step = until("the job comes again", async || {
                Some(w.reconcile_step().await).filter(|step| !matches!(step, reconcile::Step::Retried { .. }))
            });
            let step = step.await;
            assert!(matches!(&step, reconcile::Step::Done(Ended::HandedBack { .. })), "{step:?}");
            w.wish_is_handed_on("the job comes back").await;
            w.settle().await;
            w.expect(&first, "shop@east", "pending", &["waiting: shop is paused"]).await;
            resume(w).await;
            w.settle().await;
            w.expect(&first, "shop@east", "success", &["healthy"]).await;
        })
        .await;
}
