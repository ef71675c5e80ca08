//! Connections that are held open and ask for nothing.

use std::process::Command;

use futures::StreamExt;
use futures::stream;

use crate::Busy;
use crate::world::wire;
use crate::world::wire::Wire;

/// How many connections are held open?
const CONNECTIONS: usize = 10_000;

/// How many are opened at once? As many wait to be accepted at most.
const AT_ONCE: usize = 64;

/// How many descriptors need windlass and this process beside those of the connections?
const OTHERS: usize = 200;

/// How much memory may a connection take, in KiB? A buffer of each direction, the state of its request and its watch;
/// twice that, since what an allocator was given back does not fit the next connection at once. A leak of half of it
/// shows after the rounds.
const CONNECTION_KIB: usize = 24;

/// How often do all of them go and as many others come?
const ROUNDS: usize = 3;

/// How much more may deliveries take, in KiB? What allocators and SQLite keep for later.
const DELIVERIES_KIB: usize = 8 << 10;

/// How many deliveries are sent while they are held?
const DELIVERIES: usize = 300;

/// Raises how many descriptors this process may have, as far as it may, and returns how many windlass may have.
fn descriptors() -> usize {
    let own = std::process::id().to_string();
    let wanted = 2 * CONNECTIONS + OTHERS;
    let raise = |limit: &str| {
        let mut command = Command::new("prlimit");
        command.args(["--pid", &own, &format!("--nofile={limit}")]).output().unwrap().status.success()
    };
    // Only who administers the machine raises the hard limit.
    if raise(&format!("{wanted}:{wanted}")) {
        return wanted;
    }
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let hard: usize = line.split_whitespace().nth(4).unwrap().parse().unwrap();
    assert!(raise(&format!("{hard}:{hard}")), "prlimit");
    hard.min(wanted)
}

/// Opens connections, on each of which something was asked and answered.
async fn open(busy: &Busy, count: usize) -> Vec<Wire> {
    let one = async |_| {
        let mut wire = Wire::to(busy.address).await.unwrap();
        look(&mut wire).await;
        wire
    };
    stream::iter(0..count).map(one).buffer_unordered(AT_ONCE).collect().await
}

async fn look(wire: &mut Wire) {
    wire.send(&wire::request("GET", "/healthz", &[], b"")).await;
    assert_eq!(wire.reply().await.expect("an answer").status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_idle_connections_keep_nobody_out_and_take_a_bounded_memory() {
    let descriptors = descriptors();
    let count = (descriptors - OTHERS) / 2;
    let lines = format!("connections = {}\nidle_within = \"600s\"", count + OTHERS / 4);
    let busy = Busy::start(&lines, descriptors).await;
    let alone = busy.deliver(DELIVERIES).await;
    let before = busy.kib("VmRSS");
    let mut held = open(&busy, count).await;
    let with = busy.kib("VmRSS");
    let slowest = busy.deliver(DELIVERIES).await;
    let after = busy.kib("VmRSS");
    for wire in held.iter_mut().step_by(100) {
        look(wire).await;
    }
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        drop(held);
        held = open(&busy, count).await;
        busy.deliver(DELIVERIES).await;
        rounds.push(busy.kib("VmRSS"));
    }
    eprintln!(
        "{count} connections: KiB before {before}, with them {with}, after {DELIVERIES} deliveries {after}, with as many new \
         ones {rounds:?}; {} a connection; slowest delivery {alone:?} alone, {slowest:?} beside them",
        (with - before) / count
    );
    assert_eq!(held.len(), count);
    let most = before + count * CONNECTION_KIB;
    assert!(with <= most && rounds.iter().all(|kib| *kib <= most), "{with} {rounds:?}, not {most}");
    assert!(after <= with + DELIVERIES_KIB, "{after} KiB after {with}");
}
