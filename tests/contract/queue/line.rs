//! Order, places, bounds and dead letters.

use std::time::Duration;

use crate::contract::queue::A_WHILE;
use crate::contract::queue::AT_ONCE;
use crate::contract::queue::SOON;
use crate::contract::queue::draft;
use crate::contract::queue::lane;
use crate::contract::queue::nothing_is_left;
use crate::contract::queue::publish;
use crate::contract::queue::take;
use tokio::time::Instant;
use windlass::queue::BODY_BYTES;
use windlass::queue::DRAFTS;
use windlass::queue::Dead;
use windlass::queue::Depth;
use windlass::queue::Draft;
use windlass::queue::Error;
use windlass::queue::LANE_BYTES;
use windlass::queue::LEASE_FOR;
use windlass::queue::Lane;
use windlass::queue::NAME_BYTES;
use windlass::queue::Queue;
use windlass::queue::Settled;
use windlass::trace::Trace;

pub async fn a_partition_is_delivered_in_order_and_one_at_a_time(make: impl AsyncFn(Duration) -> Queue) {
    let queue = make(LEASE_FOR).await;
    publish(&queue, &[("shop", "1"), ("shop", "2")]).await;
    publish(&queue, &[("shop", "3")]).await;
    for id in ["1", "2", "3"] {
        let lease = take(&queue).await;
        assert_eq!((&*lease.id, &*lease.partition, lease.deliveries), (id, "shop", 1));
        assert_eq!(lease.body, format!("body of {id}"));
        nothing_is_left(&queue).await;
        assert_eq!(queue.ack(&lease).await.unwrap(), Settled::Done);
    }
    nothing_is_left(&queue).await;
}

pub async fn partitions_do_not_wait_for_each_other(make: impl AsyncFn(Duration) -> Queue) {
    let queue = make(LEASE_FOR).await;
    publish(&queue, &[("a", "a1"), ("a", "a2"), ("b", "b1"), ("b", "b2"), ("f", "f1")]).await;
    let mut held = [take(&queue).await, take(&queue).await, take(&queue).await];
    // Which partition comes first is not promised.
    held.sort_by_key(|lease| lease.id.clone());
    assert_eq!([&*held[0].id, &*held[1].id, &*held[2].id], ["a1", "b1", "f1"]);
    nothing_is_left(&queue).await;
    assert_eq!(queue.ack(&held[1]).await.unwrap(), Settled::Done);
    assert_eq!(take(&queue).await.id, "b2");
    nothing_is_left(&queue).await;
}

pub async fn lanes_know_nothing_of_each_other(make: impl AsyncFn(Duration) -> Queue) {
    let queue = make(LEASE_FOR).await;
    let lanes = [Lane::events(), Lane::jobs("eu"), Lane::watch("eu"), Lane::jobs("us"), Lane::reports()];
    for lane in &lanes {
        let same = Draft { lane: lane.clone(), id: lane.to_string(), ..draft("same", "") };
        queue.publish(vec![same]).await.unwrap();
    }
    for lane in &lanes {
        let lease = queue.next(lane, SOON).await.unwrap().expect("a message of each lane");
        assert_eq!(lease.id, lane.to_string());
        assert_eq!(queue.next(lane, AT_ONCE).await.unwrap(), None);
    }
}

pub async fn a_retried_message_gives_up_its_place(make: impl AsyncFn(Duration) -> Queue) {
    let queue = make(LEASE_FOR).await;
    publish(&queue, &[("shop", "bad"), ("shop", "good"), ("shop", "better")]).await;
    let bad = take(&queue).await;
    assert_eq!(queue.retry(&bad, AT_ONCE).await.unwrap(), Settled::Done);
    for (id, deliveries) in [("good", 1), ("better", 1), ("bad", 2)] {
        let lease = take(&queue).await;
        assert_eq!((&*lease.id, lease.deliveries), (id, deliveries));
        assert_eq!(queue.ack(&lease).await.unwrap(), Settled::Done);
    }
    nothing_is_left(&queue).await;
}

pub async fn what_is_put_off_comes_back_in_time_and_holds_nobody_up(make: impl AsyncFn(Duration) -> Queue) {
    let queue = make(LEASE_FOR).await;
    let after = Duration::from_millis(700);
    publish(&queue, &[("shop", "bad")]).await;
    let bad = take(&queue).await;
    let put_off = Instant::now();
    assert_eq!(queue.retry(&bad, after).await.unwrap(), Settled::Done);
    assert_eq!(queue.ack(&bad).await.unwrap(), Settled::Lost);
    publish(&queue, &[("shop", "newer")]).await;
    let newer = take(&queue).await;
    assert_eq!(newer.id, "newer");
    assert_eq!(queue.ack(&newer).await.unwrap(), Settled::Done);
    assert_eq!(take(&queue).await.id, "bad");
    assert!(put_off.elapsed() >= after, "{:?}", put_off.elapsed());
}

pub async fn what_is_postponed_was_not_tried(make: impl AsyncFn(Duration) -> Queue) {
    let queue = make(LEASE_FOR).await;
    publish(&queue, &[("shop", "one")]).await;
    let tried = take(&queue).await;
    assert_eq!(queue.retry(&tried, AT_ONCE).await.unwrap(), Settled::Done);
    for _ in 0..3 {
        let lease = take(&queue).await;
        assert_eq!((&*lease.id, lease.deliveries), ("one", 2));
        assert_eq!(queue.postpone(&lease, AT_ONCE).await.unwrap(), Settled::Done);
        assert_eq!(queue.ack(&lease).await.unwrap(), Settled::Lost);
    }
    assert_eq!(queue.ack(&take(&queue).await).await.unwrap(), Settled::Done);
    nothing_is_left(&queue).await;
}

pub async fn what_is_postponed_gives_up_its_place(make: impl AsyncFn(Duration) -> Queue) {
    let queue = make(LEASE_FOR).await;
    publish(&queue, &[("shop", "one"), ("shop", "newer")]).await;
    let one = take(&queue).await;
    assert_eq!(queue.postpone(&one, A_WHILE).await.unwrap(), Settled::Done);
    let newer = take(&queue).await;
    assert_eq!((&*one.id, &*newer.id), ("one", "newer"));
    assert_eq!(queue.ack(&newer).await.unwrap(), Settled::Done);
    let last = take(&queue).await;
    assert_eq!((&*last.id, last.deliveries), ("one", 1));
    assert_eq!(queue.ack(&last).await.unwrap(), Settled::Done);
    nothing_is_left(&queue).await;
}

pub async fn a_publish_is_all_or_nothing(make: impl AsyncFn(Duration) -> Queue) {
    let queue = make(LEASE_FOR).await;
    let mut drafts = vec![draft("shop", "1"), draft("shop", "2"), draft("shop", "3")];
    drafts[2].body = "x".repeat(BODY_BYTES + 1);
    assert!(matches!(queue.publish(drafts.clone()).await, Err(Error::TooLarge { .. })));
    assert_eq!(queue.depth(&lane()).await.unwrap(), Depth::default());
    drafts[2].body = "\u{0}".repeat(BODY_BYTES);
    queue.publish(drafts.clone()).await.unwrap();
    assert_eq!(queue.depth(&lane()).await.unwrap().count, 3);
    for draft in drafts {
        let lease = take(&queue).await;
        assert!(lease.body == draft.body && lease.id == draft.id);
        assert_eq!(queue.ack(&lease).await.unwrap(), Settled::Done);
    }
}

pub async fn what_is_too_long_or_too_much_is_refused(make: impl AsyncFn(Duration) -> Queue) {
    let queue = make(LEASE_FOR).await;
    let long = "x".repeat(NAME_BYTES + 1);
    for draft in [
        Draft { id: long.clone(), ..draft("a", "1") },
        Draft { partition: long.clone(), ..draft("a", "1") },
        Draft { lane: Lane::jobs(&"x".repeat(LANE_BYTES)), ..draft("a", "1") },
    ] {
        assert!(matches!(queue.publish(vec![draft]).await, Err(Error::TooLong { .. })));
    }
    let many = vec![draft("a", "1"); DRAFTS + 1];
    assert!(matches!(queue.publish(many).await, Err(Error::TooMany { .. })));
    queue.publish(Vec::new()).await.unwrap();
    nothing_is_left(&queue).await;
    let longest = "x".repeat(NAME_BYTES);
    publish(&queue, &[(&longest, &longest)]).await;
    assert_eq!(take(&queue).await.id, longest);
}

pub async fn the_depth_counts_what_is_not_settled(make: impl AsyncFn(Duration) -> Queue) {
    let queue = make(LEASE_FOR).await;
    assert_eq!(queue.depth(&lane()).await.unwrap(), Depth::default());
    publish(&queue, &[("a", "1"), ("a", "2"), ("b", "3"), ("f", "4"), ("d", "5")]).await;
    let leases = [take(&queue).await, take(&queue).await, take(&queue).await, take(&queue).await];
    assert_eq!(queue.retry(&leases[1], SOON).await.unwrap(), Settled::Done);
    assert_eq!(queue.bury(&leases[2], "no").await.unwrap(), Settled::Done);
    assert_eq!(queue.ack(&leases[3]).await.unwrap(), Settled::Done);
    let depth = queue.depth(&lane()).await.unwrap();
    assert_eq!(depth, Depth { count: 3, oldest: Some(leases[0].published_at), dead: 1 });
    assert_eq!(queue.depth(&Lane::events()).await.unwrap(), Depth::default());
}

pub async fn what_is_held_is_what_was_taken_and_did_not_end(make: impl AsyncFn(Duration) -> Queue) {
    let queue = make(LEASE_FOR).await;
    let held = async || queue.held(&lane()).await.unwrap();
    assert_eq!(held().await, 0);
    publish(&queue, &[("a", "1"), ("b", "2")]).await;
    let leases = [take(&queue).await, take(&queue).await];
    assert_eq!(held().await, 2);
    assert_eq!(queue.ack(&leases[0]).await.unwrap(), Settled::Done);
    assert_eq!(held().await, 1);
    assert_eq!(queue.bury(&leases[1], "no").await.unwrap(), Settled::Done);
    assert_eq!(held().await, 0);
}

pub async fn a_closed_queue_answers_and_opens_again(make: impl AsyncFn(Duration) -> Queue) {
    let queue = make(LEASE_FOR).await;
    publish(&queue, &[("shop", "1")]).await;
    let lease = take(&queue).await;
    let waiter = {
        let queue = queue.clone();
        tokio::spawn(async move { queue.next(&lane(), SOON).await })
    };
    assert_eq!(queue.next(&lane(), A_WHILE).await.unwrap(), None);
    queue.clone().close().await;
    assert!(matches!(waiter.await.unwrap(), Err(Error::Closed)));
    assert!(matches!(queue.publish(vec![draft("a", "1")]).await, Err(Error::Closed)));
    assert!(matches!(queue.next(&lane(), SOON).await, Err(Error::Closed)));
    assert!(matches!(queue.ack(&lease).await, Err(Error::Closed)));
    assert!(matches!(queue.dead(1).await, Err(Error::Closed)));
    let queue = make(LEASE_FOR).await;
    assert_eq!(take(&queue).await.deliveries, 2);
}

pub async fn a_buried_message_is_listed_with_its_reason(make: impl AsyncFn(Duration) -> Queue) {
    let queue = make(LEASE_FOR).await;
    publish(&queue, &[("shop", "bad"), ("shop", "good")]).await;
    let bad = take(&queue).await;
    let long = "é".repeat(10_000);
    assert_eq!(queue.bury(&bad, &long).await.unwrap(), Settled::Done);
    assert_eq!(queue.bury(&bad, "again").await.unwrap(), Settled::Lost);
    assert_eq!(take(&queue).await.id, "good");
    let dead = queue.dead(10).await.unwrap();
    assert_eq!(dead.len(), 1);
    let first = &dead[0];
    assert_eq!((&first.lane, &*first.id, &*first.partition, first.deliveries), (&lane(), "bad", "shop", 1));
    assert_eq!(first.body, "body of bad");
    assert!(long.starts_with(&first.why) && first.why.len() > 1_000 && first.why.len() < 10_000);
}

pub async fn a_dead_message_can_be_replayed(make: impl AsyncFn(Duration) -> Queue) {
    let queue = make(LEASE_FOR).await;
    publish(&queue, &[("shop", "bad"), ("shop", "good")]).await;
    assert_eq!(queue.bury(&take(&queue).await, "no").await.unwrap(), Settled::Done);
    let good = take(&queue).await;
    assert!(!queue.replay(&lane(), "unknown").await.unwrap());
    assert!(!queue.replay(&Lane::events(), "bad").await.unwrap());
    assert!(queue.replay(&lane(), "bad").await.unwrap());
    assert!(!queue.replay(&lane(), "bad").await.unwrap());
    assert_eq!(queue.dead(10).await.unwrap(), []);
    nothing_is_left(&queue).await;
    assert_eq!(queue.ack(&good).await.unwrap(), Settled::Done);
    let back = take(&queue).await;
    assert_eq!((&*back.id, back.deliveries), ("bad", 1));
}

pub async fn the_trace_of_a_message_rides_with_it_whatever_becomes_of_it(
    make: impl AsyncFn(Duration) -> Queue,
) {
    let queue = make(LEASE_FOR).await;
    let trace = Trace::parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    assert!(trace.is_some());
    let drafts = [Draft { trace, ..draft("shop", "traced") }, draft("shop", "plain")];
    queue.publish(drafts.to_vec()).await.unwrap();
    let traced = take(&queue).await;
    assert_eq!((&*traced.id, traced.trace), ("traced", trace));
    assert_eq!(queue.retry(&traced, AT_ONCE).await.unwrap(), Settled::Done);
    let plain = take(&queue).await;
    assert_eq!((&*plain.id, plain.trace), ("plain", None));
    assert_eq!(queue.ack(&plain).await.unwrap(), Settled::Done);
    let retried = take(&queue).await;
    assert_eq!((&*retried.id, retried.deliveries, retried.trace), ("traced", 2, trace));
    assert_eq!(queue.bury(&retried, "no").await.unwrap(), Settled::Done);
    assert!(queue.replay(&lane(), "traced").await.unwrap());
    assert_eq!(take(&queue).await.trace, trace);
}

pub async fn a_dead_message_can_be_discarded_for_good(make: impl AsyncFn(Duration) -> Queue) {
    let queue = make(LEASE_FOR).await;
    publish(&queue, &[("shop", "bad"), ("shop", "bad"), ("shop", "worse"), ("shop", "good")]).await;
    for why in ["the first", "the second", "another"] {
        assert_eq!(queue.bury(&take(&queue).await, why).await.unwrap(), Settled::Done);
    }
    let left = |dead: Vec<Dead>| dead.into_iter().map(|dead| dead.why).collect::<Vec<_>>();
    for (lane, id, found, expected) in [
        // It is not dead.
        (lane(), "good", false, &["another", "the second", "the first"][..]),
        (Lane::events(), "bad", false, &["another", "the second", "the first"]),
        // Of two with the same id, the oldest.
        (lane(), "bad", true, &["another", "the second"]),
        (lane(), "bad", true, &["another"]),
        (lane(), "bad", false, &["another"]),
    ] {
        assert_eq!(queue.discard(&lane, id).await.unwrap(), found, "{lane} {id}");
        assert_eq!(left(queue.dead(10).await.unwrap()), expected, "{lane} {id}");
    }
    assert!(!queue.replay(&lane(), "bad").await.unwrap());
    queue.close().await;
    let queue = make(LEASE_FOR).await;
    assert_eq!(take(&queue).await.id, "good");
    assert_eq!(left(queue.dead(10).await.unwrap()), ["another"]);
}

pub async fn the_latest_dead_come_first_and_no_more_than_asked(make: impl AsyncFn(Duration) -> Queue) {
    let queue = make(LEASE_FOR).await;
    publish(&queue, &[("a", "1"), ("b", "2"), ("f", "3")]).await;
    let mut buried = Vec::new();
    for _ in 0..3 {
        let lease = take(&queue).await;
        assert_eq!(queue.bury(&lease, "no").await.unwrap(), Settled::Done);
        buried.insert(0, lease.id);
    }
    let ids = |dead: Vec<Dead>| dead.into_iter().map(|dead| dead.id).collect::<Vec<_>>();
    assert_eq!(ids(queue.dead(2).await.unwrap()), buried[..2]);
    assert_eq!(ids(queue.dead(u32::MAX).await.unwrap()), buried);
}
