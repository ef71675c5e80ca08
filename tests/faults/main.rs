//! The real servers that windlass meets at fail, one after the other, under a stream of pushes: afterwards nothing is
//! lost, every accepted delivery has its one verdict, and the cluster holds the tip. These tests stop servers that all
//! tests share, so they are a program of their own, and one test at a time.
//!
//! `WINDLASS_FAULTS=long` lets each fault last as long as it may in earnest; a word that is part of the names of some
//! faults runs those alone.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test ends where it fails"
)]

#[allow(dead_code, reason = "the crashes use the rest of it")]
#[path = "../crash/crew.rs"]
mod crew;
mod fault;
#[allow(dead_code, reason = "the crashes use the rest of it")]
#[path = "../crash/rig.rs"]
mod rig;
#[path = "../world/mod.rs"]
mod world;

use std::time::Duration;

use fault::FAULTS;
use fault::Fault;
use fault::Nurse;
use fault::bed_does;
use rig::Rig;
use tokio::time::Instant;
use world::until;

/// How long between two pushes?
const PUSH_EVERY: Duration = Duration::from_secs(1);

/// How long may the door take to say that it cannot keep a delivery? Three seconds are its own; the rest is the machine's.
const REFUSED_WITHIN: Duration = Duration::from_secs(6);

/// How long may a job take that is under way when the broker's alarm begins?
const FINISHED_WITHIN: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_while_a_server_fails() {
    let asked = std::env::var("WINDLASS_FAULTS").unwrap_or_default();
    let long = asked == "long";
    let _nurse = Nurse;
    let mut rig = Rig::spread_on_lines("[sweep]\npoll = \"10s\"\n").await;
    if long || "alarm".contains(&asked) {
        a_broker_in_alarm_stops_only_the_door(&mut rig).await;
    }
    for &(name, fault, short, earnest) in FAULTS {
        if long || name.contains(&asked) {
            let last = Duration::from_secs(if long { earnest } else { short });
            suffer(&mut rig, name, fault, last).await;
        }
    }
    rig.clear().await;
}

/// Lets a fault last under pushes, mends it and checks everything.
async fn suffer(rig: &mut Rig, name: &str, fault: Fault, last: Duration) {
    eprintln!("{name}, for {} s", last.as_secs());
    let (mut taken, mut refused) = (0, 0);
    let end = Instant::now() + last;
    fault.begin(rig).await;
    while Instant::now() < end {
        let next = Instant::now() + PUSH_EVERY;
        if rig.try_push().await == Some(202) {
            taken += 1
        } else {
            refused += 1
        }
        // why: the stream of pushes has its pace, and the fault its length.
        tokio::time::sleep_until(next.min(end)).await;
    }
    fault.end(rig).await;
    let mended = Instant::now();
    rig.crew.reached().await;
    rig.start().await;
    until("the door takes a delivery", async || (rig.try_push().await == Some(202)).then_some(())).await;
    let open = mended.elapsed().as_secs();
    rig.check().await;
    let well = mended.elapsed().as_secs();
    eprintln!(
        "  pushes taken {taken}, refused {refused}, lost 0; the door took one after {open} s, all was well after {well} s"
    );
}

/// A pass that began to write goes on; the door says at once that it cannot keep a delivery. Before its first write and
/// for its verdict a pass must publish, so what has come no further is put back and waits for the end of the alarm.
async fn a_broker_in_alarm_stops_only_the_door(rig: &mut Rig) {
    eprintln!("the broker is in alarm");
    let held = rig.east.hold_answer(|line| {
        line.starts_with("PATCH /api/v1/") && line.contains("/serviceaccounts/") && !line.contains("dryRun")
    });
    let commit = rig.push().await;
    held.arrived().await;
    bed_does(&["alarm", "on"]).await;
    let begun = Instant::now();
    let answer = rig.deliver(&commit).await;
    let took = begun.elapsed();
    held.release();
    let finished = tokio::time::timeout(FINISHED_WITHIN, changed(rig)).await;
    bed_does(&["alarm", "off"]).await;
    assert!(
        finished.is_ok(),
        "the job that was under way is not finished; windlass said:\n{}",
        rig.crew.said()
    );
    assert_eq!(answer, 503, "what the broker does not confirm is not accepted");
    assert!(took < REFUSED_WITHIN, "the door took {took:?}");
    until("the door takes a delivery", async || (rig.try_push().await == Some(202)).then_some(())).await;
    rig.check().await;
    eprintln!("  the door refused after {} ms", took.as_millis());
}

/// Waits until the cluster shows the state that was pushed last.
async fn changed(rig: &Rig) {
    let path = format!("/api/v1/namespaces/{}/configmaps/change", rig.namespace);
    let wanted = rig.state.to_string();
    until("the cluster shows the state", async || {
        (rig.kube.find(&path).await?["data"]["key"] == wanted.as_str()).then_some(())
    })
    .await;
}
