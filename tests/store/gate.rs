//! What keeps targets closed, what waits for them, and what people ordered.

use windlass::moment::Moment;
use windlass::outcome::Told;
use windlass::pause::Audited;
use windlass::pause::Order;
use windlass::pause::Pause;
use windlass::pause::Scope;
use windlass::store::Held;

use crate::desk::Desk;
use crate::desk::LATER;
use crate::desk::commit;
use crate::desk::name;
use crate::desk::target;
use crate::place::Place;
use crate::place::on_both;

fn scope(application: Option<&str>, cluster: Option<&str>) -> Scope {
    Scope { application: application.map(name), cluster: cluster.map(name) }
}

fn pause(scope: Scope, why: &str, at: i64) -> Pause {
    Pause { scope, by: "ana".into(), why: why.into(), since: Moment(at) }
}

fn held(text: &str, commits: bool, drift: bool, at: i64) -> Held {
    Held {
        target: target(text),
        source: name("git"),
        commits,
        drift,
        since: Moment(at),
        noted_at: Moment(at),
        until: Some(Moment(at + 10)),
        why: format!("closed at {at}"),
    }
}

async fn pauses_last_until_the_same_scope_is_resumed(place: Place) {
    let desk = Desk::new(&place).await;
    let all = [
        pause(scope(None, None), "all", 1),
        pause(scope(None, Some("east")), "east", 2),
        pause(scope(Some("shop"), None), "shop", 3),
        pause(scope(Some("shop"), Some("east")), "both", 4),
    ];
    for one in &all {
        desk.store.pause(one).await.unwrap();
    }
    let desk = desk.reopen().await;
    assert_eq!(desk.store.pauses().await.unwrap(), all);
    let again = pause(scope(Some("shop"), None), "longer", 5);
    desk.store.pause(&again).await.unwrap();
    assert_eq!(desk.store.pauses().await.unwrap()[2], again);
    let resume = async |scope: &Scope| desk.store.resume(scope, "bob", "done", Moment(6)).await.unwrap();
    assert!(!resume(&scope(Some("blog"), None)).await, "there is no such pause");
    for one in &all {
        assert!(resume(&one.scope).await);
        assert!(!resume(&one.scope).await);
    }
    assert!(desk.store.pauses().await.unwrap().is_empty());
    let orders = desk.store.orders(100).await.unwrap();
    assert_eq!(orders.len(), 9, "what changed nothing is no order: {orders:?}");
    let last = Audited {
        at: Moment(6),
        by: "bob".into(),
        order: Order::Resume,
        scope: scope(Some("shop"), Some("east")),
        why: "done".into(),
    };
    assert_eq!((&orders[0], orders[8].order), (&last, Order::Pause));
}

async fn wishes_stay_until_they_are_granted(place: Place) {
    let desk = Desk::new(&place).await;
    let targets = [target("shop@east"), target("shop@west")];
    for (at, order) in [(1, Order::Sync), (2, Order::Override)] {
        let scope = scope(Some("shop"), None);
        let order = Audited { at: Moment(at), by: "ana".into(), order, scope, why: "now".into() };
        desk.store.wish(&targets, &order, None).await.unwrap();
    }
    let wishes = desk.reopen().await.store.wishes().await.unwrap();
    let told: Vec<_> = wishes.iter().map(|one| (one.target.to_string(), one.regardless)).collect();
    let of = |target: &str, regardless| (target.to_owned(), regardless);
    assert_eq!(
        told,
        [of("shop@east", false), of("shop@west", false), of("shop@east", true), of("shop@west", true)]
    );
}

async fn a_wish_is_granted_once(place: Place) {
    let desk = Desk::new(&place).await;
    let (at, by, why) = (Moment(1), "ana".to_owned(), "now".to_owned());
    let order = Audited { at, by, order: Order::Sync, scope: scope(Some("shop"), None), why };
    desk.store.wish(&[target("shop@east"), target("shop@west")], &order, None).await.unwrap();
    let wishes = desk.store.wishes().await.unwrap();
    desk.store.grant(&wishes[0]).await.unwrap();
    desk.store.grant(&wishes[0]).await.unwrap();
    assert_eq!(desk.store.wishes().await.unwrap(), wishes[1..]);
    assert_eq!(desk.store.orders(10).await.unwrap(), [order]);
}

async fn what_is_held_adds_up_and_is_let_go(place: Place) {
    let desk = Desk::new(&place).await;
    desk.store.hold(&[held("shop@east", false, true, 1), held("blog@east", true, false, 1)]).await.unwrap();
    desk.store.hold(&[held("shop@east", true, false, 2)]).await.unwrap();
    let both = Held { since: Moment(1), ..held("shop@east", true, true, 2) };
    assert_eq!(desk.store.held().await.unwrap(), [held("blog@east", true, false, 1), both.clone()]);
    desk.store.release_drift(&target("shop@east")).await.unwrap();
    assert_eq!(desk.store.held().await.unwrap()[1], Held { drift: false, ..both });
    desk.store.release(&target("shop@east")).await.unwrap();
    desk.store.release(&target("blog@east")).await.unwrap();
    desk.store.hold(&[held("shop@east", false, true, 3)]).await.unwrap();
    desk.store.release_drift(&target("shop@east")).await.unwrap();
    assert!(desk.store.held().await.unwrap().is_empty());
}

/// Opens the row of a commit, and holds it.
async fn open(desk: &Desk, digit: char, targets: &[&str], why: Option<&str>) {
    let targets: Vec<_> = targets.iter().copied().map(target).collect();
    let (dispatch, source, commit) = (format!("d{digit}"), name("git"), commit(digit));
    desk.hear(Told::Roster {
        dispatch: dispatch.clone(),
        source: source.clone(),
        commit: commit.clone(),
        targets: targets.clone(),
        received_at: Moment(i64::from(u32::from(digit))),
    })
    .await;
    for target in targets {
        let (dispatch, source, commit) = (dispatch.clone(), source.clone(), commit.clone());
        if let Some(why) = why.map(str::to_owned) {
            desk.hear(Told::Held { dispatch, source, commit, target, why }).await;
        }
    }
}

async fn what_is_held_says_so_and_is_not_overdue(place: Place) {
    let desk = Desk::new(&place).await;
    open(&desk, 'a', &["shop@east", "shop@west"], Some("closed until noon")).await;
    open(&desk, 'b', &["shop@east"], None).await;
    let due = desk.store.due(LATER, 100).await.unwrap();
    let mut told: Vec<_> = due.iter().map(|due| (due.context.as_str(), due.description.as_str())).collect();
    told.sort_unstable();
    let queued = ("windlass/shop@east", "queued");
    let expected = [
        ("windlass", "2 of 2 targets waiting: closed until noon"),
        ("windlass", "rolling out to 1 target"),
        queued,
        ("windlass/shop@east", "waiting: closed until noon"),
        ("windlass/shop@west", "waiting: closed until noon"),
    ];
    assert_eq!(told, expected);
    let pending = async |limit| desk.store.pending(&name("git"), &target("shop@east"), limit).await.unwrap();
    assert_eq!(pending(10).await, [commit('a'), commit('b')]);
    assert_eq!(pending(1).await, [commit('b')], "of many, the newest");
    assert_eq!(desk.store.overdue(LATER, 10).await.unwrap().len(), 3, "nothing is noted as held yet");
    desk.store.hold(&[held("shop@east", true, false, 1)]).await.unwrap();
    let overdue = desk.store.overdue(LATER, 10).await.unwrap();
    assert_eq!(overdue, [(name("git"), target("shop@west"), commit('a'))]);
}

on_both!(
    pauses_last_until_the_same_scope_is_resumed,
    wishes_stay_until_they_are_granted,
    a_wish_is_granted_once,
    what_is_held_adds_up_and_is_let_go,
    what_is_held_says_so_and_is_not_overdue,
);
