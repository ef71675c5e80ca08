//! Leases, waiting, crashes and many consumers.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use crate::contract::queue::A_WHILE;
use crate::contract::queue::AT_ONCE;
use crate::contract::queue::SOON;
use crate::contract::queue::draft;
use crate::contract::queue::lane;
use crate::contract::queue::nothing_is_left;
use crate::contract::queue::publish;
use crate::contract::queue::take;
use windlass::queue::DELIVERY_LIMIT;
use windlass::queue::Depth;
use windlass::queue::LEASE_FOR;
use windlass::queue::Queue;
use windlass::queue::Settled;

pub async fn a_lease_ends_and_the_late_holder_is_told(make: impl AsyncFn(Duration) -> Queue) {
    let queue = make(Duration::from_millis(400)).await;
    publish(&queue, &[("shop", "1"), ("shop", "2")]).await;
    let zombie = take(&queue).await;
    let successor = take(&queue).await;
    assert_eq!((&*successor.id, successor.deliveries), ("1", 2));
    for late in [
        queue.extend(&zombie).await,
        queue.ack(&zombie).await,
        queue.retry(&zombie, AT_ONCE).await,
        queue.bury(&zombie, "late").await,
    ] {
        assert_eq!(late.unwrap(), Settled::Lost);
    }
    assert_eq!(queue.ack(&successor).await.unwrap(), Settled::Done);
    assert_eq!(queue.dead(1).await.unwrap(), []);
    assert_eq!(take(&queue).await.id, "2");
}

pub async fn a_sign_of_life_keeps_the_lease(make: impl AsyncFn(Duration) -> Queue) {
    let queue = make(Duration::from_secs(2)).await;
    publish(&queue, &[("shop", "1")]).await;
    let lease = take(&queue).await;
    for _ in 0..2 {
        assert_eq!(queue.next(&lane(), Duration::from_millis(1_200)).await.unwrap(), None);
        assert_eq!(queue.extend(&lease).await.unwrap(), Settled::Done);
    }
    assert_eq!(queue.ack(&lease).await.unwrap(), Settled::Done);
    assert_eq!(queue.extend(&lease).await.unwrap(), Settled::Lost);
}

pub async fn a_crash_loses_nothing_that_was_confirmed(make: impl AsyncFn(Duration) -> Queue + Sync) {
    let crashed = crash(async || {
        let queue = make(LEASE_FOR).await;
        publish(&queue, &[("a", "a1"), ("b", "b1"), ("f", "f1"), ("d", "d1")]).await;
        let mut leases = [take(&queue).await, take(&queue).await, take(&queue).await, take(&queue).await];
        leases.sort_by_key(|lease| lease.id.clone());
        assert_eq!(queue.retry(&leases[1], Duration::from_millis(50)).await.unwrap(), Settled::Done);
        assert_eq!(queue.bury(&leases[3], "no").await.unwrap(), Settled::Done);
        assert_eq!(queue.ack(&leases[2]).await.unwrap(), Settled::Done);
        publish(&queue, &[("a", "a2"), ("e", "e1")]).await;
        queue
    });
    let queue = make(LEASE_FOR).await;
    assert_eq!(queue.dead(10).await.unwrap()[0].id, "f1");
    let mut seen = BTreeMap::new();
    for _ in 0..4 {
        let lease = take(&queue).await;
        assert_eq!(queue.ack(&lease).await.unwrap(), Settled::Done);
        seen.insert(lease.id, lease.deliveries);
    }
    assert_eq!(seen.keys().collect::<Vec<_>>(), ["a1", "a2", "b1", "e1"]);
    // What nobody had taken may count as delivered where the queue cannot tell.
    assert_eq!((seen["a1"], seen["a2"]), (2, 1));
    nothing_is_left(&queue).await;
    drop(crashed);
}

/// Runs the first life of a queue in a runtime of its own, which ends with everything in it.
fn crash(life: impl AsyncFn() -> Queue + Sync) -> Queue {
    std::thread::scope(|threads| {
        let thread = threads.spawn(|| tokio::runtime::Runtime::new().unwrap().block_on(life()));
        thread.join().unwrap()
    })
}

pub async fn a_message_that_is_never_settled_is_buried_in_the_end(make: impl AsyncFn(Duration) -> Queue) {
    let queue = make(LEASE_FOR).await;
    publish(&queue, &[("shop", "poison"), ("shop", "good")]).await;
    for deliveries in 1..=DELIVERY_LIMIT {
        let lease = take(&queue).await;
        if lease.id == "good" {
            assert_eq!((deliveries, queue.ack(&lease).await.unwrap()), (2, Settled::Done));
            break;
        }
        assert_eq!(queue.retry(&lease, AT_ONCE).await.unwrap(), Settled::Done);
    }
    for deliveries in 2..=DELIVERY_LIMIT {
        let lease = take(&queue).await;
        assert_eq!((&*lease.id, lease.deliveries), ("poison", deliveries));
        assert_eq!(queue.retry(&lease, AT_ONCE).await.unwrap(), Settled::Done);
    }
    assert_eq!(queue.next(&lane(), A_WHILE).await.unwrap(), None);
    let dead = queue.dead(10).await.unwrap();
    assert_eq!((&*dead[0].id, dead[0].deliveries, dead.len()), ("poison", DELIVERY_LIMIT, 1));
    assert!(dead[0].why.contains("delivered 20 times"), "{}", dead[0].why);
    publish(&queue, &[("shop", "after")]).await;
    assert_eq!(take(&queue).await.id, "after");
}

pub async fn who_waits_is_woken_by_whatever_frees_a_message(make: impl AsyncFn(Duration) -> Queue) {
    let queue = make(LEASE_FOR).await;
    let waiting = |queue: &Queue| {
        let queue = queue.clone();
        tokio::spawn(async move { take(&queue).await })
    };
    let waiter = waiting(&queue);
    assert_eq!(queue.next(&lane(), A_WHILE).await.unwrap(), None);
    publish(&queue, &[("shop", "1"), ("shop", "2")]).await;
    let first = waiter.await.unwrap();
    let waiter = waiting(&queue);
    assert_eq!(queue.next(&lane(), A_WHILE).await.unwrap(), None);
    assert_eq!(queue.ack(&first).await.unwrap(), Settled::Done);
    let second = waiter.await.unwrap();
    let waiter = waiting(&queue);
    assert_eq!(queue.next(&lane(), A_WHILE).await.unwrap(), None);
    assert_eq!(queue.retry(&second, AT_ONCE).await.unwrap(), Settled::Done);
    let again = waiter.await.unwrap();
    assert_eq!((&*first.id, &*second.id, &*again.id), ("1", "2", "2"));
    let waiter = waiting(&queue);
    assert_eq!(queue.bury(&again, "no").await.unwrap(), Settled::Done);
    assert!(queue.replay(&lane(), "2").await.unwrap());
    assert_eq!(waiter.await.unwrap().deliveries, 1);
}

pub async fn many_who_wait_are_woken_together(make: impl AsyncFn(Duration) -> Queue) {
    let queue = make(LEASE_FOR).await;
    let waiters: Vec<_> = (0..16)
        .map(|_| {
            let queue = queue.clone();
            tokio::spawn(async move {
                let lease = take(&queue).await;
                // Partitions may stand in one line.
                assert_eq!(queue.ack(&lease).await.unwrap(), Settled::Done);
                lease.id
            })
        })
        .collect();
    assert_eq!(queue.next(&lane(), A_WHILE).await.unwrap(), None);
    let drafts = (0..16).map(|number| draft(&number.to_string(), &number.to_string())).collect();
    queue.publish(drafts).await.unwrap();
    let ids: BTreeSet<String> =
        futures::future::join_all(waiters).await.into_iter().map(|id| id.unwrap()).collect();
    assert_eq!(ids.len(), 16);
}

pub async fn a_call_that_is_dropped_takes_nothing(make: impl AsyncFn(Duration) -> Queue) {
    let queue = make(LEASE_FOR).await;
    let shared = lane();
    let mut waiting = Box::pin(queue.next(&shared, SOON));
    assert!(tokio::time::timeout(A_WHILE, &mut waiting).await.is_err());
    publish(&queue, &[("shop", "1")]).await;
    // What was asked after the publish is answered: by now the message is on its way to the one who waits.
    assert!(!queue.replay(&shared, "unknown").await.unwrap());
    nothing_is_left(&queue).await;
    drop(waiting);
    let lease = take(&queue).await;
    assert_eq!(lease.deliveries, 1);
    assert_eq!(queue.ack(&lease).await.unwrap(), Settled::Done);
}

pub async fn a_thousand_messages_of_eight_consumers_are_all_accounted_for(
    make: impl AsyncFn(Duration) -> Queue,
) {
    let queue = make(LEASE_FOR).await;
    let done: Arc<Mutex<BTreeMap<String, Vec<u32>>>> = Arc::default();
    let busy: Arc<Mutex<BTreeSet<String>>> = Arc::default();
    let consumers: Vec<_> =
        (0..8).map(|_| tokio::spawn(consume(queue.clone(), done.clone(), busy.clone()))).collect();
    for chunk in 0..100 {
        let numbers = chunk * 10..chunk * 10 + 10;
        let drafts = numbers.map(|number| draft(&format!("p{}", number % 37), &number.to_string()));
        queue.publish(drafts.collect()).await.unwrap();
    }
    for consumer in consumers {
        consumer.await.unwrap();
    }
    let mut all: Vec<u32> = Vec::new();
    for (partition, numbers) in done.lock().unwrap().iter() {
        // What was retried came later; the others kept their order.
        let kept: Vec<_> = numbers.iter().copied().filter(|number| number % 10 != 0).collect();
        assert!(kept.is_sorted(), "{partition}: {kept:?}");
        all.extend(numbers);
    }
    all.sort_unstable();
    assert_eq!(all, (0..1_000).collect::<Vec<_>>());
    assert_eq!(queue.depth(&lane()).await.unwrap(), Depth::default());
}

/// Works until the lane is empty; every tenth message succeeds only the second time.
async fn consume(
    queue: Queue,
    done: Arc<Mutex<BTreeMap<String, Vec<u32>>>>,
    busy: Arc<Mutex<BTreeSet<String>>>,
) {
    while done.lock().unwrap().values().map(Vec::len).sum::<usize>() < 1_000 {
        let Some(lease) = queue.next(&lane(), A_WHILE).await.unwrap() else { continue };
        assert!(busy.lock().unwrap().insert(lease.partition.clone()), "two leases of {}", lease.partition);
        let number: u32 = lease.id.parse().unwrap();
        tokio::task::yield_now().await;
        busy.lock().unwrap().remove(&lease.partition);
        let settled = if number.is_multiple_of(10) && lease.deliveries == 1 {
            queue.retry(&lease, Duration::from_millis(5)).await
        } else {
            done.lock().unwrap().entry(lease.partition.clone()).or_default().push(number);
            queue.ack(&lease).await
        };
        assert_eq!(settled.unwrap(), Settled::Done);
    }
}
