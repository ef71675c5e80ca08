//! What windlass needs is away for a while, or windlass itself is told to stop in the middle of its work.

use std::process::Command;
use std::time::Duration;

use crate::rig::Rig;
use crate::rig::STOP_WITHIN;
use crate::world::until;

/// For how long is something away? A minute in the promise; what is put off meanwhile comes back by the same steps.
const AWAY_FOR: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_api_server_that_is_away_delays_and_loses_nothing() {
    let mut rig = Rig::settled("").await;
    let held = rig.east.hold_answer(|line| line.starts_with("PATCH") && !line.contains("dryRun"));
    rig.push().await;
    held.arrived().await;
    rig.east.cut(usize::MAX, |_| true);
    held.release();
    rig.push().await;
    tokio::time::sleep(AWAY_FOR).await;
    rig.east.heal();
    rig.check().await;
    rig.clear().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forge_that_is_away_delays_and_loses_nothing() {
    let mut rig = Rig::settled("").await;
    // One push is caught when its statuses are due, the other before it is fetched.
    let held = rig.gitea.hold(|line| line.contains("/statuses/"));
    rig.push().await;
    held.arrived().await;
    rig.gitea.cut(usize::MAX, |_| true);
    held.release();
    rig.push().await;
    tokio::time::sleep(AWAY_FOR).await;
    rig.gitea.heal();
    rig.check().await;
    rig.clear().await;
}

/// How many commits are pushed while the forge takes no status? Each has two verdicts, for its target and the whole.
const UNANSWERED: usize = 25;
/// How many of them are pushed only when the one before is worked off?
const ONE_BY_ONE: usize = 5;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_verdicts_that_a_forge_does_not_take_are_told_once_each_after_a_kill() {
    let mut rig = Rig::settled("").await;
    rig.gitea.refuse(usize::MAX, 502, |line| line.starts_with("POST") && line.contains("/statuses/"));
    for number in 0..UNANSWERED {
        rig.push().await;
        // Those that are worked off by themselves have passes of their own; of the others most are overtaken.
        if number < ONE_BY_ONE {
            rig.worked_off().await;
        }
    }
    rig.worked_off().await;
    assert_eq!(rig.untold().await, 2 * i64::try_from(UNANSWERED).unwrap());
    // Nothing was under way that the forge took, so nothing may be told twice.
    rig.process().kill();
    rig.start().await;
    assert_eq!(rig.untold().await, 2 * i64::try_from(UNANSWERED).unwrap());
    rig.gitea.heal();
    rig.check().await;
    rig.clear().await;
}

/// Limits the size of the files that windlass may write: with 0, every write fails, as on a disk that is full.
fn limit(rig: &mut Rig, bytes: &str) {
    let pid = rig.process().pid().to_string();
    let limited =
        Command::new("prlimit").args(["--pid", &pid, &format!("--fsize={bytes}:unlimited")]).status();
    assert!(limited.unwrap().success(), "prlimit");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_deliveries_and_loses_none() {
    let mut rig = Rig::settled("").await;
    let held = rig.east.hold_answer(|line| line.starts_with("PATCH") && !line.contains("dryRun"));
    rig.push().await;
    held.arrived().await;
    limit(&mut rig, "0");
    let commit = rig.commit();
    assert_eq!(rig.deliver(&commit).await, 503, "what cannot be stored is not accepted");
    held.release();
    tokio::time::sleep(AWAY_FOR / 4).await;
    assert_eq!(rig.deliver(&commit).await, 503);
    limit(&mut rig, "unlimited");
    // The forge delivers again.
    assert_eq!(
        until("the door accepts", async || (rig.deliver(&commit).await == 202).then_some(202)).await,
        202
    );
    rig.check().await;
    rig.clear().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_on_a_full_disk() {
    let mut rig = Rig::settled("").await;
    let held = rig.east.hold_answer(|line| line.starts_with("PATCH") && !line.contains("dryRun"));
    rig.push().await;
    held.arrived().await;
    limit(&mut rig, "0");
    rig.kill(held);
    rig.start().await;
    rig.check().await;
    rig.clear().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn told_to_stop_it_finishes_the_pass() {
    let mut rig = Rig::settled("").await;
    for signal in ["TERM", "INT"] {
        let held = rig.east.hold_answer(|line| line.starts_with("PATCH") && !line.contains("dryRun"));
        rig.push().await;
        held.arrived().await;
        rig.process().signal(signal);
        let stopping = rig.process().until(STOP_WITHIN, |line| {
            line["message"].as_str().is_some_and(|message| message.starts_with("stopping"))
        });
        assert!(stopping.await.is_some(), "it says that it stops");
        held.release();
        let ended = rig.process().ended(STOP_WITHIN).await;
        assert!(
            ended.is_some_and(|status| status.success()),
            "{signal}: {ended:?}\n{}",
            rig.process().said()
        );
        let change = format!("/api/v1/namespaces/{}/configmaps/change", rig.namespace);
        let held = rig.kube.find(&change).await.unwrap();
        assert_eq!(held["data"]["key"], rig.state.to_string().as_str(), "the pass was not finished");
        rig.start().await;
        rig.check().await;
    }
    rig.clear().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn told_to_stop_it_waits_for_nobody_for_ever() {
    let mut rig = Rig::settled("").await;
    rig.process().signal("TERM");
    assert!(rig.process().ended(STOP_WITHIN).await.is_some_and(|status| status.success()));
    rig.restart_with("stop_within = \"2s\"\n").await;
    for (to_east, what) in [
        (true, "/configmaps/change"),
        (false, "info/refs"),
        (false, "git-upload-pack"),
        (false, "/statuses/"),
    ] {
        let proxy = if to_east { &rig.east } else { &rig.gitea };
        let held = proxy.hold_answer(move |line| line.contains(what));
        rig.push().await;
        held.arrived().await;
        rig.process().signal("TERM");
        let ended = rig.process().ended(STOP_WITHIN).await;
        assert!(ended.is_some_and(|status| status.success()), "{what}: {ended:?}\n{}", rig.process().said());
        rig.kill(held);
        rig.start().await;
        rig.check().await;
    }
    rig.clear().await;
}
