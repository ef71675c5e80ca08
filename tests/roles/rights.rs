//! What each user of the broker can reach, by table: everything that its role needs, and nothing else.

use std::time::Duration;

use lapin::BasicProperties;
use lapin::Connection;
use lapin::ConnectionProperties;
use lapin::options::BasicConsumeOptions;
use lapin::options::BasicPublishOptions;
use lapin::options::ConfirmSelectOptions;
use lapin::options::QueueDeclareOptions;
use lapin::options::QueueDeleteOptions;
use lapin::options::QueuePurgeOptions;
use lapin::types::FieldTable;

use crate::house::House;

/// How long may the broker take to refuse?
const SOON: Duration = Duration::from_secs(10);

/// What a user may publish to: exchanges.
const WRITES: &[(&str, &[&str])] = &[
    ("door", &["events", "reports"]),
    (
        "dispatch",
        &[
            "events",
            "reports",
            "jobs.shared",
            "jobs.prod-eu",
            "duty.sweep",
            "retry.events.10s",
            "dead.events",
            "retry.asks.prod-eu.1s",
            "dead.asks.prod-eu",
            "retry.duty.sweep.1s",
            "dead.duty.sweep",
        ],
    ),
    (
        "reconcile",
        &[
            "jobs.shared",
            "watch.shared",
            "reports.shared",
            "asks.shared",
            "retry.jobs.shared.60s",
            "dead.jobs.shared",
            "retry.watch.shared.1s",
            "dead.watch.shared",
            "duty.patrol.shared",
            "retry.duty.patrol.shared.1s",
            "dead.duty.patrol.shared",
            "jobs.prod-eu",
            "watch.prod-eu",
            "reports.prod-eu",
            "asks.prod-eu",
            "retry.jobs.prod-eu.60s",
            "dead.jobs.prod-eu",
            "retry.watch.prod-eu.1s",
            "dead.watch.prod-eu",
            "duty.patrol.prod-eu",
            "retry.duty.patrol.prod-eu.1s",
            "dead.duty.patrol.prod-eu",
        ],
    ),
    (
        "report",
        &[
            "duty.post",
            "reports",
            "reports.shared",
            "reports.prod-eu",
            "retry.reports.10s",
            "retry.reports.prod-eu.10s",
            "dead.reports",
            "dead.reports.prod-eu",
            "retry.duty.post.1s",
            "dead.duty.post",
        ],
    ),
    (
        "agent-prod-eu",
        &[
            "jobs.prod-eu",
            "watch.prod-eu",
            "reports.prod-eu",
            "asks.prod-eu",
            "retry.jobs.prod-eu.60s",
            "dead.jobs.prod-eu",
            "retry.watch.prod-eu.1s",
            "dead.watch.prod-eu",
            "duty.patrol.prod-eu",
            "retry.duty.patrol.prod-eu.1s",
            "dead.duty.patrol.prod-eu",
        ],
    ),
];

/// What a user may take from: queues.
const READS: &[(&str, &[&str])] = &[
    ("door", &[]),
    (
        "dispatch",
        &[
            "events.3",
            "asks.shared",
            "asks.prod-eu",
            "duty.sweep",
            "dead.events",
            "dead.jobs.shared",
            "dead.jobs.prod-eu",
            "dead.watch.shared",
            "dead.watch.prod-eu",
            "dead.reports",
            "dead.reports.prod-eu",
            "dead.asks.prod-eu",
            "dead.duty.sweep",
            "dead.duty.post",
            "dead.duty.patrol.shared",
            "dead.duty.patrol.prod-eu",
        ],
    ),
    (
        "reconcile",
        &[
            "jobs.shared.7",
            "watch.shared",
            "duty.patrol.shared",
            "jobs.prod-eu.7",
            "watch.prod-eu",
            "duty.patrol.prod-eu",
        ],
    ),
    ("report", &["reports", "reports.shared", "reports.prod-eu", "duty.post"]),
    ("agent-prod-eu", &["jobs.prod-eu.7", "watch.prod-eu", "duty.patrol.prod-eu"]),
];

/// Every exchange and every queue that may matter to one of them.
const EXCHANGES: &[&str] = &[
    "events",
    "reports",
    "unrouted",
    "jobs.shared",
    "watch.shared",
    "reports.shared",
    "asks.shared",
    "jobs.prod-eu",
    "watch.prod-eu",
    "reports.prod-eu",
    "asks.prod-eu",
    "duty.sweep",
    "duty.post",
    "duty.patrol.shared",
    "duty.patrol.prod-eu",
    "retry.events.10s",
    "retry.reports.10s",
    "retry.reports.prod-eu.10s",
    "retry.jobs.shared.60s",
    "retry.jobs.prod-eu.60s",
    "retry.watch.shared.1s",
    "retry.watch.prod-eu.1s",
    "retry.asks.prod-eu.1s",
    "retry.duty.sweep.1s",
    "retry.duty.post.1s",
    "retry.duty.patrol.shared.1s",
    "retry.duty.patrol.prod-eu.1s",
    "dead.events",
    "dead.reports",
    "dead.reports.prod-eu",
    "dead.jobs.shared",
    "dead.jobs.prod-eu",
    "dead.watch.shared",
    "dead.watch.prod-eu",
    "dead.asks.prod-eu",
    "dead.duty.patrol.shared",
    "dead.duty.patrol.prod-eu",
    "dead.duty.sweep",
    "dead.duty.post",
];
const QUEUES: &[&str] = &[
    "events.3",
    "reports",
    "unrouted",
    "jobs.shared.7",
    "watch.shared",
    "reports.shared",
    "asks.shared",
    "jobs.prod-eu.7",
    "watch.prod-eu",
    "reports.prod-eu",
    "asks.prod-eu",
    "duty.sweep",
    "duty.post",
    "duty.patrol.shared",
    "duty.patrol.prod-eu",
    "retry.events.10s",
    "retry.jobs.prod-eu.60s",
    "dead.events",
    "dead.reports",
    "dead.reports.prod-eu",
    "dead.jobs.shared",
    "dead.jobs.prod-eu",
    "dead.watch.shared",
    "dead.watch.prod-eu",
    "dead.asks.prod-eu",
    "dead.duty.sweep",
    "dead.duty.post",
    "dead.duty.patrol.shared",
    "dead.duty.patrol.prod-eu",
];

/// What is tried with a name.
#[derive(Clone, Copy, Debug)]
enum Try {
    Publish,
    Consume,
    Declare,
    Purge,
    Delete,
}

/// Tries something on a channel of its own, which the broker closes when it refuses; says whether it was done.
async fn may(connection: &Connection, what: Try, name: &str) -> bool {
    let name = format!("windlass.{name}");
    let channel = connection.create_channel().await.unwrap();
    let table = FieldTable::default;
    let tried = async {
        match what {
            Try::Publish => {
                channel.confirm_select(ConfirmSelectOptions::default()).await?;
                let options = BasicPublishOptions::default();
                let key = "no such key".into();
                channel
                    .basic_publish(name.as_str().into(), key, options, b"", BasicProperties::default())
                    .await?
                    .await
                    .map(drop)
            }
            Try::Consume => {
                let options = BasicConsumeOptions::default();
                channel.basic_consume(name.as_str().into(), "".into(), options, table()).await.map(drop)
            }
            Try::Declare => {
                let options = QueueDeclareOptions::durable();
                channel.queue_declare(name.as_str().into(), options, table()).await.map(drop)
            }
            Try::Purge => {
                channel.queue_purge(name.as_str().into(), QueuePurgeOptions::default()).await.map(drop)
            }
            Try::Delete => {
                channel.queue_delete(name.as_str().into(), QueueDeleteOptions::default()).await.map(drop)
            }
        }
    };
    let done = tokio::time::timeout(SOON, tried).await.expect("the broker answers").is_ok();
    if done {
        channel.close(200, "done".into()).await.unwrap();
    }
    done
}

#[tokio::test(flavor = "multi_thread")]
async fn each_user_reaches_what_its_role_needs_and_nothing_else() {
    let house = House::build().await;
    house.furnish().await;
    for ((user, writes), (_, reads)) in WRITES.iter().zip(READS) {
        let properties = ConnectionProperties::default();
        let connection = Connection::connect(&house.url(user), properties).await.unwrap();
        let mut wrong = Vec::new();
        for exchange in EXCHANGES {
            if may(&connection, Try::Publish, exchange).await != writes.contains(exchange) {
                wrong.push(format!("publish to {exchange}: it should be {}", writes.contains(exchange)));
            }
        }
        for queue in QUEUES {
            if may(&connection, Try::Consume, queue).await != reads.contains(queue) {
                wrong.push(format!("consume {queue}: it should be {}", reads.contains(queue)));
            }
        }
        for name in ["events.3", "reports", "jobs.prod-eu.7", "new"] {
            for what in [Try::Declare, Try::Delete] {
                if may(&connection, what, name).await {
                    wrong.push(format!("{what:?} {name}: nobody but the operator may"));
                }
            }
            if !reads.contains(&name) && may(&connection, Try::Purge, name).await {
                wrong.push(format!("purge {name}"));
            }
        }
        assert!(wrong.is_empty(), "{user}: {wrong:#?}");
        connection.close(200, "done".into()).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_queues_a_user_who_may_make_none_is_told_who_makes_them() {
    let house = House::build().await;
    let options = windlass::queue::rabbit::Options {
        lanes: vec![windlass::queue::Lane::events()],
        ..house.options("door", "door")
    };
    let refused = windlass::queue::Queue::connect(options).await.unwrap_err().to_string();
    assert!(refused.contains("run `windlass queue apply` with one who may"), "{refused}");
}
