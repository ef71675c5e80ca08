//! Brokers that are not as they should be: too old, with other queues, with none, or not for this user.

use std::time::Duration;

use serde_json::json;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use windlass::fault::Fault;
use windlass::queue::Draft;
use windlass::queue::Error;
use windlass::queue::Lane;
use windlass::queue::Queue;
use windlass::queue::Settled;
use windlass::queue::rabbit::Options;
use windlass::secret::Secret;

use crate::contract::queue::A_WHILE;
use crate::contract::queue::draft;
use crate::contract::queue::lane;
use crate::contract::queue::publish;
use crate::contract::queue::take;
use crate::world::bed;
use crate::world::broker::Ground;
use crate::world::until;

/// The queue in which the messages of the partition `a` stand.
const OF_A: &str = "windlass.jobs.shared.4";

async fn refused(options: Options) -> Error {
    let refused = Queue::connect(options).await.unwrap_err();
    assert_eq!(refused.fault(), Fault::Ours, "{refused}");
    assert!(!format!("{refused} {refused:?}").contains("swordfish"), "{refused:?}");
    refused
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_before_4_0_is_refused_by_name() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let authority = listener.local_addr().unwrap();
    let greeting = b"\x00\x0a\x00\x0a\x00\x09\x00\x00\x00\x13\x07versionS\x00\x00\x00\x063.10.8";
    let served = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut header = [0; 8];
        stream.read_exact(&mut header).await.unwrap();
        let mut frame = vec![1, 0, 0];
        frame.extend(u32::try_from(greeting.len()).unwrap().to_be_bytes());
        frame.extend(greeting);
        frame.push(0xce);
        stream.write_all(&frame).await.unwrap();
        // Nothing more is said to a broker that is too old.
        assert_eq!(stream.read(&mut [0; 1]).await.unwrap_or_default(), 0);
    });
    let url = Secret::new(&format!("amqp://me:swordfish@{authority}/v")).unwrap();
    let refused = refused(Options::new(url, "one")).await;
    assert!(matches!(&refused, Error::TooOld { found } if found == "3.10.8"), "{refused}");
    assert!(refused.to_string().contains("4.0 or newer"), "{refused}");
    served.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_is_told_so() {
    let ground = Ground::new().await;
    let authority = ground.admin.authority();
    for url in [
        format!("amqp://{}:swordfish-and-more@{authority}/{}", ground.admin.user, ground.vhost),
        ground.url(None).replace(&ground.vhost, "no-such-host"),
    ] {
        let refused = refused(Options::new(Secret::new(&url).unwrap(), "one")).await;
        assert!(matches!(refused, Error::Refused { .. }), "{refused:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_was_made_in_another_way_is_named() {
    let ground = Ground::new().await;
    let path = format!("queues/{}/{OF_A}", ground.vhost);
    ground
        .admin
        .ask("PUT", &path, Some(json!({"durable": true, "arguments": {"x-queue-type": "classic"}})))
        .await;
    let refused = refused(ground.options("one")).await;
    assert!(matches!(&refused, Error::Conflict { name, .. } if name == OF_A), "{refused:?}");
    ground.admin.ask("DELETE", &path, None).await;
    Queue::connect(ground.options("one")).await.unwrap().close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_queue_takes_is_kept_and_a_consumer_makes_the_queue_again() {
    let ground = Ground::new().await;
    let queue = Queue::connect(ground.options("one")).await.unwrap();
    ground.admin.ask("DELETE", &format!("queues/{}/{OF_A}", ground.vhost), None).await;
    publish(&queue, &[("a", "1"), ("b", "2")]).await;
    until("the message is kept", async || {
        let found =
            ground.admin.ask("GET", &format!("queues/{}/windlass.unrouted", ground.vhost), None).await;
        (found["messages"] == 1).then_some(())
    })
    .await;
    let lease = take(&queue).await;
    assert_eq!(lease.id, "2");
    until("the queue is there again", async || {
        publish(&queue, &[("a", "3")]).await;
        queue.next(&lane(), A_WHILE).await.unwrap().filter(|lease| lease.id == "3")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_is_deleted_loses_its_leases() {
    let ground = Ground::new().await;
    let queue = Queue::connect(ground.options("one")).await.unwrap();
    publish(&queue, &[("a", "1"), ("b", "2")]).await;
    let mut leases = [take(&queue).await, take(&queue).await];
    leases.sort_by_key(|lease| lease.id.clone());
    ground.admin.ask("DELETE", &format!("queues/{}/{OF_A}", ground.vhost), None).await;
    until("the lease is lost", async || {
        (queue.extend(&leases[0]).await.unwrap() == Settled::Lost).then_some(())
    })
    .await;
    assert_eq!(queue.ack(&leases[0]).await.unwrap(), Settled::Lost);
    assert_eq!(queue.ack(&leases[1]).await.unwrap(), Settled::Done);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_the_broker_returns_fails_and_no_other_does() {
    let ground = Ground::new().await;
    let queue = Queue::connect(ground.options("one")).await.unwrap();
    for gone in [OF_A, "windlass.unrouted"] {
        ground.admin.ask("DELETE", &format!("queues/{}/{gone}", ground.vhost), None).await;
    }
    let publishes = (0..2_000).map(|number| {
        let (partition, queue) = (if number % 10 == 0 { "a" } else { "b" }, queue.clone());
        async move { (partition, number, queue.publish(vec![draft(partition, &number.to_string())]).await) }
    });
    let mut stored = 0;
    for (partition, number, result) in futures::future::join_all(publishes).await {
        match (partition, result) {
            ("a", Err(Error::Unstored { id })) => assert_eq!(id, number.to_string()),
            ("b", Ok(())) => stored += 1,
            (_, result) => panic!("{partition} {number}: {result:?}"),
        }
    }
    assert_eq!(stored, 1_800);
    // The queue of the other partition holds exactly those.
    let mut found = 0;
    while let Some(lease) = queue.next(&lane(), Duration::from_secs(1)).await.unwrap() {
        assert_eq!((&*lease.partition, queue.ack(&lease).await.unwrap()), ("b", Settled::Done));
        found += 1;
    }
    assert_eq!(found, stored);
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_is_checked_against_the_authority_that_is_named() {
    let ground = Ground::new().await;
    let url = ground.tls_url();
    let ca = Some(std::fs::read_to_string(bed("WINDLASS_BED_CA")).unwrap());
    let options = || Options::new(Secret::new(&url).unwrap(), "one");
    let queue = Queue::connect(Options { ca, ..options() }).await.unwrap();
    let draft = Draft { lane: Lane::reports(), ..draft("a", "1") };
    queue.publish(vec![draft]).await.unwrap();
    queue.close().await;
    let refused = Queue::connect(options()).await.unwrap_err();
    assert!(matches!(refused, Error::Broker { .. }), "{refused:?}");
    assert!(windlass::fault::chain(&refused).contains("certificate"), "{}", windlass::fault::chain(&refused));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_shows_the_password() {
    let ground = Ground::new().await;
    let options = ground.options("one");
    let shown = format!("{options:?} {:?}", Queue::connect(options.clone()).await.unwrap());
    assert!(!shown.contains(ground.password()), "{shown}");
}
