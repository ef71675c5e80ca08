//! The queue keeps its contract in every form, and what only the embedded one can break.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that panics has failed"
)]
#![allow(clippy::print_stdout, reason = "the child process tells its parent what was confirmed")]

use std::io::BufRead;
use std::io::BufReader;
use std::path::PathBuf;
use std::process::Command;
use std::process::Stdio;
use std::time::Duration;

use windlass::fault::Fault;
use windlass::queue::Draft;
use windlass::queue::Error;
use windlass::queue::LEASE_FOR;
use windlass::queue::Lane;
use windlass::queue::Queue;
use windlass::queue::Settled;
use windlass::queue::sqlite::Options;
use windlass::queue::sqlite::Sqlite;
use windlass::trace::Trace;

mod contract;

/// A file of its own for each test.
struct Ground {
    folder: tempfile::TempDir,
}

impl Ground {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("queue.db")
    }

    async fn open(&self, lease_for: Duration) -> Queue {
        let options = Options { lease_for, ..Options::default() };
        Queue::Sqlite(Sqlite::open(&self.path(), options).await.unwrap())
    }
}

macro_rules! sqlite_keeps {
    ($part:ident: $($case:ident)*) => {$(
        #[tokio::test(flavor = "multi_thread")]
        async fn $case() {
            let ground = Ground::new();
            contract::queue::$part::$case(async |lease_for| ground.open(lease_for).await).await;
        }
    )*};
}

contract::queue::every_case!(sqlite_keeps);

fn draft(partition: &str, id: &str, bytes: usize) -> Draft {
    Draft {
        lane: Lane::events(),
        id: id.to_owned(),
        partition: partition.to_owned(),
        body: "x".repeat(bytes),
        trace: None,
    }
}

#[tokio::test]
async fn the_oldest_of_all_partitions_comes_first() {
    let ground = Ground::new();
    let queue = Queue::open(&ground.path()).await.unwrap();
    for (partition, id) in [("c", "1"), ("a", "2"), ("c", "3"), ("b", "4")] {
        queue.publish(vec![draft(partition, id, 10)]).await.unwrap();
    }
    for id in ["1", "2", "4"] {
        assert_eq!(queue.next(&Lane::events(), LEASE_FOR).await.unwrap().unwrap().id, id);
    }
}

#[tokio::test]
async fn a_second_process_is_refused_until_the_first_lets_go() {
    let ground = Ground::new();
    let queue = Queue::open(&ground.path()).await.unwrap();
    let refused = Queue::open(&ground.path()).await.unwrap_err();
    assert!(matches!(refused, Error::Held { .. }), "{refused}");
    assert_eq!(refused.fault(), Fault::Ours);
    queue.close().await;
    Queue::open(&ground.path()).await.unwrap().close().await;
}

#[tokio::test]
async fn a_full_queue_refuses_more_and_can_be_worked_off() {
    let ground = Ground::new();
    let options = Options { most_bytes: 512 * 1024, ..Options::default() };
    let queue = Queue::Sqlite(Sqlite::open(&ground.path(), options).await.unwrap());
    let mut stored = 0;
    let refused = loop {
        match queue.publish(vec![draft(&format!("p{}", stored % 7), &stored.to_string(), 1_000)]).await {
            Ok(()) => stored += 1,
            Err(error) => break error,
        }
        assert!(stored < 1_000);
    };
    assert!(matches!(refused, Error::Full { .. }), "{refused}");
    assert_eq!(refused.fault(), Fault::Passing);
    // Together with others it fails alone.
    let big = draft("big", "big", 100_000);
    let lease = queue.next(&Lane::events(), LEASE_FOR).await.unwrap().unwrap();
    let (publish, ack) = tokio::join!(queue.publish(vec![big]), queue.ack(&lease));
    assert!(matches!(publish, Err(Error::Full { .. })));
    assert_eq!(ack.unwrap(), Settled::Done);
    for _ in 1..stored {
        let lease = queue.next(&Lane::events(), LEASE_FOR).await.unwrap().unwrap();
        assert_eq!(queue.retry(&lease, Duration::ZERO).await.unwrap(), Settled::Done);
    }
    for _ in 1..stored {
        let lease = queue.next(&Lane::events(), LEASE_FOR).await.unwrap().unwrap();
        assert_eq!(lease.deliveries, 2);
        assert_eq!(queue.ack(&lease).await.unwrap(), Settled::Done);
    }
    queue.publish(vec![draft("p0", "after", 1_000)]).await.unwrap();
}

#[tokio::test]
async fn somebody_who_locks_the_file_delays_the_queue_and_does_not_end_it() {
    let ground = Ground::new();
    let queue = Queue::open(&ground.path()).await.unwrap();
    queue.publish(vec![draft("a", "1", 10)]).await.unwrap();
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(ground.path());
    let mut shell = sqlx::ConnectOptions::connect(&options).await.unwrap();
    sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut shell).await.unwrap();
    let refused = queue.publish(vec![draft("a", "2", 10)]).await.unwrap_err();
    assert_eq!(refused.fault(), Fault::Passing, "{refused}");
    assert!(queue.next(&Lane::events(), Duration::ZERO).await.is_err());
    assert_eq!(queue.depth(&Lane::events()).await.unwrap().count, 1);
    sqlx::raw_sql("ROLLBACK").execute(&mut shell).await.unwrap();
    queue.publish(vec![draft("a", "3", 10)]).await.unwrap();
    for id in ["1", "3"] {
        let lease = queue.next(&Lane::events(), LEASE_FOR).await.unwrap().unwrap();
        assert_eq!((&*lease.id, queue.ack(&lease).await.unwrap()), (id, Settled::Done));
    }
}

#[tokio::test]
async fn damage_says_to_move_the_file_away() {
    let ground = Ground::new();
    std::fs::write(ground.path(), "not a database, ".repeat(1_000)).unwrap();
    let refused = Queue::open(&ground.path()).await.unwrap_err();
    assert!(matches!(refused, Error::Corrupt { .. }), "{refused:?}");
    assert!(refused.to_string().contains("move it away"), "{refused}");
    assert_eq!(refused.fault(), Fault::Ours);
}

#[tokio::test]
async fn a_newer_schema_and_foreign_databases_are_refused() {
    let ground = Ground::new();
    Queue::open(&ground.path()).await.unwrap().close().await;
    tell(&ground, "PRAGMA user_version = 99").await;
    let refused = Queue::open(&ground.path()).await.unwrap_err();
    assert!(matches!(refused, Error::Newer { found: 99, known: 2, .. }), "{refused}");
    tell(&ground, "PRAGMA application_id = 7").await;
    let refused = Queue::open(&ground.path()).await.unwrap_err();
    assert!(matches!(refused, Error::Foreign { .. }), "{refused}");
}

#[tokio::test]
async fn a_queue_of_the_first_form_is_brought_up_with_what_waits_in_it() {
    let ground = Ground::new();
    let queue = Queue::open(&ground.path()).await.unwrap();
    queue.publish(vec![draft("shop", "1", 10)]).await.unwrap();
    queue.close().await;
    tell(&ground, "ALTER TABLE messages DROP COLUMN trace; PRAGMA user_version = 1").await;
    let queue = Queue::open(&ground.path()).await.unwrap();
    let trace = Trace::of(3, 4);
    queue.publish(vec![Draft { trace, ..draft("other", "2", 10) }]).await.unwrap();
    for expected in [("1", None), ("2", trace)] {
        let lease = queue.next(&Lane::events(), LEASE_FOR).await.unwrap().unwrap();
        assert_eq!((&*lease.id, lease.trace), expected);
    }
}

async fn tell(ground: &Ground, statement: &'static str) {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(ground.path());
    let mut connection = sqlx::ConnectOptions::connect(&options).await.unwrap();
    sqlx::raw_sql(statement).execute(&mut connection).await.unwrap();
    sqlx::Connection::close(connection).await.unwrap();
}

#[tokio::test]
async fn a_missing_folder_is_said() {
    let ground = Ground::new();
    let refused = Queue::open(&ground.folder.path().join("missing/queue.db")).await.unwrap_err();
    assert!(refused.to_string().contains("see that its directory exists"), "{refused}");
}

/// Names the file in which a child process publishes.
const CHILD: &str = "WINDLASS_TEST_QUEUE";
/// How many messages does the child publish at once?
const AT_ONCE: usize = 3;

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_process_loses_nothing_that_was_confirmed_and_leaves_nothing_half() {
    let ground = Ground::new();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_child_publishes_until_it_is_killed", "--nocapture"])
        .env(CHILD, ground.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let confirmed: Vec<String> = lines
        .map_while(Result::ok)
        .filter_map(|line| line.strip_prefix("confirmed ").map(str::to_owned))
        .take(100)
        .collect();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(confirmed.len(), 100);

    let queue = ground.open(LEASE_FOR).await;
    let mut found = std::collections::BTreeMap::<String, usize>::new();
    while let Some(lease) = queue.next(&Lane::events(), Duration::ZERO).await.unwrap() {
        *found.entry(lease.id.clone()).or_default() += 1;
        assert_eq!(queue.ack(&lease).await.unwrap(), Settled::Done);
    }
    for id in &confirmed {
        assert!(found.contains_key(id), "{id} was confirmed");
    }
    assert!(found.values().all(|count| *count == AT_ONCE), "{found:?}");
}

/// Does nothing by itself: it is the child of the test above.
#[tokio::test(flavor = "multi_thread")]
async fn a_child_publishes_until_it_is_killed() {
    let Some(path) = std::env::var_os(CHILD) else { return };
    let queue = Queue::open(path.as_ref()).await.unwrap();
    let publishers = (0..4).map(|publisher| publish_for_ever(queue.clone(), publisher));
    futures::future::join_all(publishers).await;
}

async fn publish_for_ever(queue: Queue, publisher: usize) {
    for number in 0.. {
        let id = format!("{publisher}.{number}");
        queue.publish(vec![draft(&id, &id, 1_000); AT_ONCE]).await.unwrap();
        println!("confirmed {id}");
    }
}
