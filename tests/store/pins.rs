//! The commits that people keep targets at, and which one was healthy before.

use windlass::commit::Inputs;
use windlass::moment::Moment;
use windlass::outcome::Phase;
use windlass::outcome::Progress;
use windlass::outcome::Told;
use windlass::pause::Audited;
use windlass::pause::Order;
use windlass::pause::Pin;
use windlass::pause::Scope;

use crate::desk::Desk;
use crate::desk::commit;
use crate::desk::name;
use crate::desk::progress;
use crate::desk::target;
use crate::place::Place;
use crate::place::on_both;

fn pin(of: &str, digit: char, at: i64) -> Pin {
    let (by, why) = ("ana".to_owned(), "slow".to_owned());
    Pin { target: target(of), commit: commit(digit), by, why, since: Moment(at) }
}

fn order(order: Order, cluster: Option<&str>, at: i64) -> Audited {
    let scope = Scope { application: Some(name("shop")), cluster: cluster.map(name) };
    Audited { at: Moment(at), by: "ana".into(), order, scope, why: "slow".into() }
}

async fn pins_last_until_their_targets_are_released(place: Place) {
    let desk = Desk::new(&place).await;
    let both = [pin("shop@east", 'a', 1), pin("shop@west", 'a', 1)];
    desk.store.pin(&both, &order(Order::Rollback, None, 1)).await.unwrap();
    let desk = desk.reopen().await;
    assert_eq!(desk.store.pins().await.unwrap(), both);
    let again = pin("shop@west", 'b', 2);
    desk.store.pin(std::slice::from_ref(&again), &order(Order::Rollback, Some("west"), 2)).await.unwrap();
    assert_eq!(desk.store.pins().await.unwrap(), [both[0].clone(), again]);
    let wishes = desk.store.wishes().await.unwrap();
    let wished: Vec<_> = wishes.iter().map(|one| (one.target.to_string(), one.regardless)).collect();
    let of = |target: &str| (target.to_owned(), false);
    assert_eq!(wished, [of("shop@east"), of("shop@west"), of("shop@west")]);
    let release = async |cluster, at| desk.store.unpin(&order(Order::Release, cluster, at)).await.unwrap();
    assert!(release(Some("north"), 3).await.is_empty(), "nothing is kept there");
    assert_eq!(release(Some("west"), 4).await, [target("shop@west")]);
    assert_eq!(release(None, 5).await, [target("shop@east")]);
    assert!(release(None, 6).await.is_empty());
    assert_eq!((desk.store.pins().await.unwrap().len(), desk.store.wishes().await.unwrap().len()), (0, 5));
    let orders: Vec<_> =
        desk.store.orders(10).await.unwrap().into_iter().map(|one| (one.order, one.at.0)).collect();
    let (rollback, release) = (Order::Rollback, Order::Release);
    assert_eq!(
        orders,
        [(release, 5), (release, 4), (rollback, 2), (rollback, 1)],
        "what changed nothing is none"
    );
}

async fn the_last_commit_that_was_healthy_is_known(place: Place) {
    let desk = Desk::new(&place).await;
    let run = |number: &str, digit: char, inputs: &str, on: &str, phase: Phase| {
        let inputs = Inputs(inputs.into());
        Told::Run(Progress { inputs, ..progress(number, number, &commit(digit), on, phase) })
    };
    for told in [
        run("1", 'a', "x", "shop@east", Phase::Healthy),
        run("2", 'b', "y", "shop@east", Phase::Healthy),
        run("3", 'c', "z", "shop@east", Phase::Failed),
        run("4", 'd', "w", "shop@west", Phase::Healthy),
        run("5", 'e', "v", "shop@east", Phase::Applied),
    ] {
        desk.hear(told).await;
    }
    let healthy = async |source: &str, on: &str| {
        desk.store.last_healthy(&name(source), &target(on)).await.unwrap().map(|(commit, _)| commit)
    };
    assert_eq!(healthy("git", "shop@east").await, Some(commit('b')));
    assert_eq!(healthy("git", "shop@west").await, Some(commit('d')));
    assert_eq!(healthy("other", "shop@east").await, None);
    let begun = desk.store.last_begun(&name("git"), &target("shop@east")).await.unwrap();
    assert_eq!(begun, Some((commit('e'), Inputs("v".into()))), "one that is under way counts");
}

on_both!(pins_last_until_their_targets_are_released, the_last_commit_that_was_healthy_is_known);
