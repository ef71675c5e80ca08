//! How many deliveries a second are accepted, each of them durable, while nothing is done with them.
//!
//! The forge that holds the source takes connections and never answers, so dispatch is held up by its first event and
//! everything else stays in the queue, where it is counted after `kill -9`.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::time::Instant;
use windlass::commit::CommitId;
use windlass::commit::RefName;
use windlass::event::Push;
use windlass::queue::Lane;
use windlass::queue::Queue;

use crate::knock::Delivery;
use crate::knock::Knocker;
use crate::numbers::Times;
use crate::say;
use crate::world::bed;
use crate::world::process::Home;
use crate::world::process::Process;

/// The secret of the webhook; nobody else knows of it.
pub const SECRET: &str = "the bench signs with this";

/// How large is a delivery's body, in bytes?
const BODY_BYTES: usize = 8 << 10;

/// At how many connections is measured?
pub const CONNECTIONS: [usize; 3] = [1, 64, 256];

/// Measures so many seconds at each number of connections, prints a table and returns the numbers.
pub async fn measure(program: &Path, seconds: u64) -> Value {
    say("deliveries of 8 KB, accepted in a second and found in the queue after kill -9; milliseconds\n");
    say(&format!(
        "{:<13}{:>11}{:>9}{:>9}{:>9}{:>11}{:>11}{:>11}   goal",
        "connections", "a second", "p50", "p95", "p99", "accepted", "in queue", "peak MiB"
    ));
    let mut numbers = Vec::new();
    for connections in CONNECTIONS {
        let one = measure_one(program, connections, Duration::from_secs(seconds)).await;
        let (times, rate, peak) = (&one.times, one.rate, one.peak as f64 / 1024.0);
        let [a, b, c] = [50, 95, 99].map(|percent| times.percentile(percent));
        let goal = if connections == 64 { "5000 a second, 64 MiB" } else { "64 MiB" };
        let (accepted, queued) = (times.count(), one.queued);
        say(&format!(
            "{connections:<13}{rate:>11.0}{a:>9.1}{b:>9.1}{c:>9.1}{accepted:>11}{queued:>11}{peak:>11.1}   {goal}"
        ));
        numbers.push(json!({ "connections": connections, "per_second": rate, "answers": times.json(),
            "accepted": accepted, "in_queue": queued, "peak_memory_kib": one.peak }));
    }
    Value::Array(numbers)
}

struct One {
    times: Times,
    rate: f64,
    queued: u64,
    peak: u64,
}

async fn measure_one(program: &Path, connections: usize, time: Duration) -> One {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let home = Home::new("");
    home.write(&settings(&silent.local_addr().unwrap().to_string()));
    let mut process =
        Process::start(program, &home.config(), &[("SECRET", SECRET), ("WINDLASS__DOOR__SOURCE_RATE", "0")])
            .await;
    let (times, rate) = knock(&process.door, connections, time).await;
    let peak = process.peak_memory();
    process.kill();
    let queue = Queue::open(&home.data().join("queue.db")).await.unwrap();
    let depth = queue.depth(&Lane::events()).await.unwrap();
    queue.close().await;
    // The sweep at the start may have said something, too; but its look at the forge is not over yet.
    assert_eq!((depth.count, depth.dead), (times.count() as u64, 0), "accepted deliveries are missing");
    One { times, rate, queued: depth.count, peak }
}

/// Posts deliveries of 8 KB to a door over so many connections until the time is over; returns how long each took, and
/// how many there were in a second.
pub async fn knock(door: &str, connections: usize, time: Duration) -> (Times, f64) {
    let push = Push {
        repository: "team/shop".to_owned(),
        reference: RefName::parse("refs/heads/main").unwrap(),
        before: None,
        after: Some(CommitId::parse(&"a".repeat(40)).unwrap()),
        forced: false,
    };
    let delivery = Arc::new(Delivery::new(&push, SECRET, BODY_BYTES));
    let mut knockers = Vec::new();
    for _ in 0..connections {
        knockers.push(Knocker::connect(door).await);
    }
    let started = Instant::now();
    let until = started + time;
    let tasks = knockers.into_iter().map(|knocker| tokio::spawn(knock_on(knocker, delivery.clone(), until)));
    let mut times = Times::default();
    for task in tasks.collect::<Vec<_>>() {
        times.extend(task.await.unwrap());
    }
    let rate = times.count() as f64 / started.elapsed().as_secs_f64();
    (times, rate)
}

/// Posts one delivery after the other.
async fn knock_on(mut knocker: Knocker, delivery: Arc<Delivery>, until: Instant) -> Times {
    let mut times = Times::default();
    while Instant::now() < until {
        let started = Instant::now();
        let status = knocker.knock(&delivery).await;
        assert_eq!(status, 202, "the door does not accept");
        times.add(started.elapsed());
    }
    times
}

/// Settings of one source at a forge at `forge`.
pub fn settings(forge: &str) -> String {
    let kubeconfig = bed("WINDLASS_BED_EAST_KUBECONFIG");
    format!(
        r#"
[[forges]]
name = "gitea"
kind = "gitea"
private = true
url = "http://{forge}"
webhook_secrets = [{{ env = "SECRET" }}]

[[sources]]
name = "shop"
forge = "gitea"
repository = "team/shop"

[[clusters]]
name = "east"
kubeconfig = "{kubeconfig}"

[[applications]]
name = "shop"
source = "shop"
ref = "refs/heads/main"
clusters = ["east"]
"#
    )
}
