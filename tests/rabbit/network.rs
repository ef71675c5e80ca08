//! What becomes of leases and publishes when the line to the broker breaks, or falls silent.

use tokio::time::Duration;
use tokio::time::Instant;

use windlass::fault::Fault;
use windlass::queue::Error;
use windlass::queue::PUBLISH_WITHIN;
use windlass::queue::Queue;
use windlass::queue::Settled;
use windlass::queue::rabbit::Options;
use windlass::secret::Secret;

use crate::contract::queue::draft;
use crate::contract::queue::lane;
use crate::contract::queue::nothing_is_left;
use crate::contract::queue::publish;
use crate::contract::queue::take;
use crate::world::PATIENCE;
use crate::world::broker::Ground;
use crate::world::toxic::Toxic;
use crate::world::until;

async fn through(ground: &Ground, toxic: &Toxic, worker: &str) -> Queue {
    let url = Secret::new(&ground.url(Some(&toxic.authority))).unwrap();
    Queue::connect(Options { lanes: vec![lane()], ..Options::new(url, worker) }).await.unwrap()
}

/// Waits until the queue takes messages again.
async fn published(queue: &Queue, partition: &str, id: &str) {
    until("a publish is confirmed", async || queue.publish(vec![draft(partition, id)]).await.ok()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_line_loses_its_leases_and_their_messages_come_again() {
    let ground = Ground::new().await;
    let toxic = Toxic::before(ground.admin.authority()).await;
    let queue = through(&ground, &toxic, "one").await;
    publish(&queue, &[("shop", "1"), ("shop", "2")]).await;
    let lost = take(&queue).await;
    toxic.cut().await;
    until("the lease is lost", async || (queue.extend(&lost).await.unwrap() == Settled::Lost).then_some(()))
        .await;
    assert_eq!(queue.ack(&lost).await.unwrap(), Settled::Lost);
    assert_eq!(queue.bury(&lost, "late").await.unwrap(), Settled::Lost);
    toxic.mend().await;
    let again = queue.next(&lane(), PATIENCE).await.unwrap().unwrap();
    assert_eq!((&*again.id, again.deliveries), ("1", 2));
    assert_eq!(queue.ack(&again).await.unwrap(), Settled::Done);
    let second = take(&queue).await;
    assert_eq!((&*second.id, second.deliveries), ("2", 1));
    assert_eq!(queue.ack(&second).await.unwrap(), Settled::Done);
    published(&queue, "shop", "3").await;
    assert_eq!(queue.dead(1).await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_away_is_said_in_time_and_comes_back_by_itself() {
    let ground = Ground::new().await;
    let toxic = Toxic::before(ground.admin.authority()).await;
    let queue = through(&ground, &toxic, "one").await;
    publish(&queue, &[("shop", "1")]).await;
    toxic.cut().await;
    for _ in 0..3 {
        let asked = Instant::now();
        let refused = queue.publish(vec![draft("shop", "lost")]).await.unwrap_err();
        assert!(
            asked.elapsed() < PUBLISH_WITHIN + Duration::from_secs(1),
            "{refused}: {:?}",
            asked.elapsed()
        );
        assert_eq!(refused.fault(), Fault::Passing, "{refused}");
    }
    let refused = queue.next(&lane(), Duration::from_secs(2)).await.unwrap_err();
    assert!(refused.to_string().contains("see that it runs and can be reached"), "{refused}");
    assert!(queue.depth(&lane()).await.is_err());
    toxic.mend().await;
    published(&queue, "shop", "2").await;
    for id in ["1", "2"] {
        let lease = queue.next(&lane(), PATIENCE).await;
        // The first answers may still tell of the trouble.
        let lease = match lease {
            Ok(Some(lease)) => lease,
            Ok(None) | Err(_) => take(&queue).await,
        };
        assert_eq!(lease.id, id);
        assert_eq!(queue.ack(&lease).await.unwrap(), Settled::Done);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_broker_confirms_nothing_and_holds_nobody_up() {
    let ground = Ground::new().await;
    let toxic = Toxic::before(ground.admin.authority()).await;
    let queue = through(&ground, &toxic, "one").await;
    publish(&queue, &[("shop", "1")]).await;
    toxic.silence().await;
    let asked = Instant::now();
    let refused = queue.publish(vec![draft("shop", "unknown")]).await.unwrap_err();
    assert!(matches!(refused, Error::Unconfirmed), "{refused}");
    assert!(asked.elapsed() < PUBLISH_WITHIN + Duration::from_secs(1), "{:?}", asked.elapsed());
    toxic.speak().await;
    published(&queue, "other", "2").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_cut_off_is_followed_by_another_and_told_when_it_comes_back() {
    let ground = Ground::new().await;
    let toxic = Toxic::before(ground.admin.authority()).await;
    let zombie = through(&ground, &toxic, "zombie").await;
    publish(&zombie, &[("shop", "1"), ("shop", "2")]).await;
    let late = take(&zombie).await;
    let successor = Queue::connect(ground.options("successor")).await.unwrap();
    nothing_is_left(&successor).await;
    toxic.silence().await;
    let lease = successor.next(&lane(), PATIENCE).await.unwrap().expect("the broker gives the silent one up");
    assert_eq!((&*lease.id, lease.deliveries), ("1", 2));
    toxic.speak().await;
    until("the zombie is told", async || {
        (zombie.extend(&late).await.unwrap() == Settled::Lost).then_some(())
    })
    .await;
    for settled in
        [zombie.ack(&late).await, zombie.retry(&late, Duration::ZERO).await, zombie.bury(&late, "no").await]
    {
        assert_eq!(settled.unwrap(), Settled::Lost);
    }
    assert_eq!(successor.ack(&lease).await.unwrap(), Settled::Done);
    assert_eq!(successor.dead(1).await.unwrap(), []);
    assert_eq!(take(&successor).await.id, "2");
}
