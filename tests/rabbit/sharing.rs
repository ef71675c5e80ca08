//! Several processes at one broker.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

use windlass::queue::DELIVERY_LIMIT;
use windlass::queue::Draft;
use windlass::queue::Lane;
use windlass::queue::Queue;
use windlass::queue::Settled;
use windlass::queue::rabbit::Options;

use crate::contract::queue::A_WHILE;
use crate::contract::queue::SOON;
use crate::contract::queue::draft;
use crate::contract::queue::lane;
use crate::contract::queue::nothing_is_left;
use crate::contract::queue::publish;
use crate::contract::queue::take;
use crate::world::broker::Ground;
use crate::world::until;

/// How many partitions are there work for?
const PARTITIONS: usize = 128;
/// How many messages has each in one round?
const EACH: usize = 3;
/// How many messages has a round?
const ROUND: usize = PARTITIONS * EACH;
/// Within what time does a worker that joins or leaves change who does what?
const REBALANCED: Duration = Duration::from_secs(15);

/// Which worker did which message of which partition.
type Done = (&'static str, String, usize);

/// Who did what, in order, and what is being done.
#[derive(Clone, Default)]
struct Log {
    done: Arc<Mutex<Vec<Done>>>,
    busy: Arc<Mutex<BTreeSet<String>>>,
}

impl Log {
    /// Works until it is told to stop.
    fn work(&self, worker: &'static str, queue: &Queue) -> tokio::task::JoinHandle<()> {
        let (log, queue) = (self.clone(), queue.clone());
        tokio::spawn(async move {
            while let Ok(next) = queue.next(&lane(), A_WHILE).await {
                let Some(lease) = next else { continue };
                assert!(
                    log.busy.lock().unwrap().insert(lease.partition.clone()),
                    "two leases of {}",
                    lease.partition
                );
                // why: work takes a while, and meanwhile nobody else may have the partition.
                tokio::time::sleep(Duration::from_millis(1)).await;
                log.done.lock().unwrap().push((worker, lease.partition.clone(), lease.id.parse().unwrap()));
                log.busy.lock().unwrap().remove(&lease.partition);
                let Ok(settled) = queue.ack(&lease).await else { return };
                assert_eq!(settled, Settled::Done);
            }
        })
    }

    /// Publishes some messages for each partition, waits until all are done, and returns how many each worker did.
    async fn round(&self, queue: &Queue, number: usize) -> BTreeMap<&'static str, usize> {
        let before = self.done.lock().unwrap().len();
        for message in number * EACH..(number + 1) * EACH {
            let drafts =
                (0..PARTITIONS).map(|partition| draft(&format!("p{partition}"), &message.to_string()));
            queue.publish(drafts.collect()).await.unwrap();
        }
        let end = Instant::now() + SOON;
        while self.done.lock().unwrap().len() < before + ROUND {
            assert!(Instant::now() < end, "a round ends soon");
            // why: the workers log what they do, and nobody tells when the last one is done.
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let mut each = BTreeMap::new();
        for (worker, ..) in &self.done.lock().unwrap()[before..] {
            *each.entry(*worker).or_default() += 1;
        }
        each
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_that_join_and_leave_move_their_share_and_break_no_order() {
    let ground = Ground::new().await;
    let log = Log::default();
    let one = Queue::connect(ground.options("one")).await.unwrap();
    let first = log.work("one", &one);
    let mut round = 0;
    assert_eq!(log.round(&one, round).await, BTreeMap::from([("one", ROUND)]));

    let two = Queue::connect(ground.options("two")).await.unwrap();
    let second = log.work("two", &two);
    let joined = Instant::now();
    let fair = |each: &BTreeMap<_, usize>| {
        each.get("two").is_some_and(|share| (ROUND / 4..=ROUND / 4 * 3).contains(share))
    };
    loop {
        round += 1;
        let each = log.round(&one, round).await;
        if fair(&each) {
            break;
        }
        assert!(joined.elapsed() < REBALANCED, "{each:?}");
    }
    two.close().await;
    second.await.unwrap();
    round += 1;
    assert_eq!(log.round(&one, round).await, BTreeMap::from([("one", ROUND)]));
    one.close().await;
    first.await.unwrap();

    let mut orders = BTreeMap::<_, Vec<usize>>::new();
    for (_, partition, number) in log.done.lock().unwrap().iter() {
        orders.entry(partition.clone()).or_default().push(*number);
    }
    for (partition, order) in orders {
        assert_eq!(order, (0..(round + 1) * EACH).collect::<Vec<_>>(), "{partition}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_has_one_lease_among_all_processes() {
    let ground = Ground::new().await;
    let queues = [
        Queue::connect(ground.options("one")).await.unwrap(),
        Queue::connect(ground.options("two")).await.unwrap(),
    ];
    let jobs = lane();
    for queue in &queues {
        nothing_is_left(queue).await;
    }
    publish(&queues[0], &[("shop", "1"), ("shop", "2"), ("shop", "3")]).await;
    for id in ["1", "2", "3"] {
        let waits = queues.iter().map(|queue| queue.next(&jobs, REBALANCED));
        let (lease, holder, _) = futures::future::select_all(waits.map(Box::pin)).await;
        let lease = lease.unwrap().unwrap();
        assert_eq!(lease.id, id);
        for queue in &queues {
            assert_eq!(queue.next(&lane(), A_WHILE).await.unwrap(), None);
        }
        assert_eq!(
            queues[1 - holder].ack(&lease).await.unwrap(),
            Settled::Lost,
            "only the holder can settle it"
        );
        assert_eq!(queues[holder].ack(&lease).await.unwrap(), Settled::Done);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_ends_without_a_farewell_is_followed_by_another() {
    let ground = Ground::new().await;
    let one = Queue::connect(ground.options("one")).await.unwrap();
    publish(&one, &[("shop", "1")]).await;
    assert_eq!(take(&one).await.deliveries, 1);
    let two = Queue::connect(ground.options("two")).await.unwrap();
    nothing_is_left(&two).await;
    drop(one);
    let lease = take(&two).await;
    assert_eq!((&*lease.id, lease.deliveries), ("1", 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_ends_every_process_is_buried_and_takes_no_other_with_it() {
    let ground = Ground::new().await;
    let publisher = Queue::connect(ground.options("publisher")).await.unwrap();
    let good: Vec<String> = (0..30).map(|number| number.to_string()).collect();
    let drafts = good.iter().map(|id| draft(id, id)).chain([draft("poison", "poison")]);
    publisher.publish(drafts.collect()).await.unwrap();
    let mut done = BTreeSet::new();
    for _ in 0..=DELIVERY_LIMIT {
        let process = Queue::connect(ground.options("one")).await.unwrap();
        while let Some(lease) = process.next(&lane(), A_WHILE * 5).await.unwrap() {
            if lease.id == "poison" {
                break;
            }
            assert_eq!(process.ack(&lease).await.unwrap(), Settled::Done);
            done.insert(lease.id);
        }
        // Without a farewell.
        drop(process);
    }
    // A connection that stayed would keep what it was given.
    until("the connections of those processes are gone", async || {
        let open = ground.admin.ask("GET", &format!("vhosts/{}/connections", ground.vhost), None).await;
        let name = |open: &serde_json::Value| open["client_properties"]["connection_name"].to_string();
        open.as_array().unwrap().iter().all(|open| name(open).contains("publisher")).then_some(())
    })
    .await;
    let dead = publisher.dead(100).await.unwrap();
    let ids: Vec<&str> = dead.iter().map(|dead| &*dead.id).collect();
    assert_eq!((ids, dead[0].deliveries), (vec!["poison"], DELIVERY_LIMIT));
    assert_eq!(done, good.into_iter().collect());
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_of_different_commits_do_not_wait_for_each_other_and_those_of_one_keep_their_order() {
    let ground = Ground::new().await;
    let options = Options { lease_for: Duration::from_secs(2), ..ground.options("one") };
    let queue = Queue::connect(options).await.unwrap();
    let report = |partition: &str, id: &str| Draft { lane: Lane::reports(), ..draft(partition, id) };
    queue.publish(vec![report("a", "a1"), report("a", "a2"), report("b", "b1")]).await.unwrap();
    let reports = Lane::reports();
    let next = async || queue.next(&reports, SOON).await.unwrap().unwrap();
    let late = next().await;
    let other = next().await;
    assert_eq!((&*late.id, &*other.id), ("a1", "b1"));
    assert_eq!(queue.next(&Lane::reports(), A_WHILE).await.unwrap(), None);
    assert_eq!(queue.ack(&other).await.unwrap(), Settled::Done);
    // Its time ends, and it comes before the one that stood behind it.
    for (id, deliveries) in [("a1", 2), ("a2", 1)] {
        let lease = next().await;
        assert_eq!((&*lease.id, lease.deliveries), (id, deliveries));
        assert_eq!(queue.ack(&lease).await.unwrap(), Settled::Done);
    }
    assert_eq!(queue.ack(&late).await.unwrap(), Settled::Lost);
}

#[tokio::test(flavor = "multi_thread")]
async fn several_who_read_the_dead_at_once_all_see_all() {
    let ground = Ground::new().await;
    let one = Queue::connect(ground.options("one")).await.unwrap();
    let two = Queue::connect(ground.options("two")).await.unwrap();
    for number in 0..50 {
        publish(&one, &[("shop", &number.to_string())]).await;
        let lease = take(&one).await;
        assert_eq!(one.bury(&lease, "no").await.unwrap(), Settled::Done);
    }
    let readers = (0..8).map(|number| if number % 2 == 0 { one.dead(1_000) } else { two.dead(1_000) });
    let latest: Vec<String> = (0..50).rev().map(|number| number.to_string()).collect();
    for dead in futures::future::join_all(readers).await {
        assert_eq!(dead.unwrap().into_iter().map(|dead| dead.id).collect::<Vec<_>>(), latest);
    }
    assert!(two.replay(&lane(), "7").await.unwrap());
    assert_eq!((one.dead(1_000).await.unwrap().len(), two.depth(&lane()).await.unwrap().dead), (49, 49));
    assert_eq!(take(&one).await.id, "7");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_wait_goes_from_rung_to_rung_and_counts_as_one() {
    let ground = Ground::new().await;
    let queue = Queue::connect(ground.options("one")).await.unwrap();
    publish(&queue, &[("shop", "1")]).await;
    let wait = Duration::from_millis(2_500);
    let lease = take(&queue).await;
    let put_off = Instant::now();
    assert_eq!(queue.retry(&lease, wait).await.unwrap(), Settled::Done);
    // It counts while it waits, and nobody sees it in between.
    assert_eq!(queue.depth(&lane()).await.unwrap().count, 1);
    assert_eq!(queue.next(&lane(), Duration::from_millis(1_800)).await.unwrap(), None);
    let back = take(&queue).await;
    assert!(put_off.elapsed() >= wait && put_off.elapsed() < wait * 3, "{:?}", put_off.elapsed());
    assert_eq!((back.deliveries, back.published_at), (2, lease.published_at));
    nothing_is_left(&queue).await;
}
