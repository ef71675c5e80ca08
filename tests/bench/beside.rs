//! How many deliveries a second are accepted over RabbitMQ, beside the least that could do it, in turns on the same
//! broker.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use serde_json::json;
use windlass::queue::Lane;
use windlass::queue::Queue;
use windlass::queue::rabbit::Options;
use windlass::secret::Secret;

use crate::bare::Bare;
use crate::door::CONNECTIONS;
use crate::door::SECRET;
use crate::door::knock;
use crate::door::settings;
use crate::numbers::Times;
use crate::say;
use crate::world::broker::Ground;
use crate::world::process::Home;
use crate::world::process::Process;
use crate::world::process::part;

/// How often do both have their turn? The median counts.
const TURNS: usize = 3;

/// Measures so many seconds each turn, prints a table and returns the numbers.
pub async fn measure(program: &Path, seconds: u64) -> Value {
    say(
        "deliveries of 8 KB, accepted in a second and confirmed by RabbitMQ; milliseconds; medians of three turns\n",
    );
    say(&format!(
        "{:<13}{:>10}{:>8}{:>8}{:>10}{:>12}{:>8}{:>8}{:>8}   goal",
        "connections", "windlass", "p50", "p99", "peak MiB", "bare", "p50", "p99", "ratio"
    ));
    let time = Duration::from_secs(seconds);
    let mut numbers = Vec::new();
    for connections in CONNECTIONS {
        let (mut ours, mut bare) = (Vec::new(), Vec::new());
        for _ in 0..TURNS {
            ours.push(windlass(program, connections, time).await);
            bare.push(least(connections, time).await);
        }
        let (ours, bare) = (median(ours), median(bare));
        let ratio = ours.rate / bare.rate;
        let [a, b, c, d] = [(&ours, 50), (&ours, 99), (&bare, 50), (&bare, 99)]
            .map(|(one, percent)| one.times.percentile(percent));
        let (our, peak, their) = (ours.rate, ours.peak as f64 / 1024.0, bare.rate);
        say(&format!(
            "{connections:<13}{our:>10.0}{a:>8.1}{b:>8.1}{peak:>10.1}{their:>12.0}{c:>8.1}{d:>8.1}{ratio:>8.2}   0.8"
        ));
        numbers.push(
            json!({ "connections": connections, "per_second": ours.rate, "answers": ours.times.json(),
            "peak_memory_kib": ours.peak, "bare_per_second": bare.rate, "bare_answers": bare.times.json(),
            "ratio": ratio }),
        );
    }
    Value::Array(numbers)
}

struct One {
    times: Times,
    rate: f64,
    peak: u64,
}

fn median(mut turns: Vec<One>) -> One {
    turns.sort_by(|a, b| a.rate.total_cmp(&b.rate));
    turns.swap_remove(TURNS / 2)
}

/// Knocks at `windlass serve`, and counts what is in the queue when it is killed.
async fn windlass(program: &Path, connections: usize, time: Duration) -> One {
    let ground = Ground::new().await;
    let home = Home::new(&settings("127.0.0.1:1"));
    let url = ground.url(None);
    let environment =
        [("SECRET", SECRET), ("WINDLASS__DOOR__SOURCE_RATE", "0"), ("WINDLASS__QUEUE__URL", url.as_str())];
    let mut process = Process::launch(&mut part(program, "serve", &home.config(), &environment)).await;
    let (times, rate) = knock(&process.door, connections, time).await;
    let peak = process.peak_memory();
    process.kill();
    let options =
        Options { lanes: vec![Lane::events()], ..Options::new(Secret::new(&url).unwrap(), "bench") };
    let queue = Queue::connect(options).await.unwrap();
    let depth = queue.depth(&Lane::events()).await.unwrap();
    queue.close().await;
    assert_eq!((depth.count, depth.dead), (times.count() as u64, 0), "accepted deliveries are missing");
    One { times, rate, peak }
}

/// Knocks at the handler that does the least.
async fn least(connections: usize, time: Duration) -> One {
    let ground = Ground::new().await;
    let bare = Bare::start(&ground.url(None), SECRET);
    let (times, rate) = knock(&bare.door, connections, time).await;
    One { times, rate, peak: 0 }
}
