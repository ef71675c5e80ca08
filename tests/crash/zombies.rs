//! A process stands still in the middle of a step for longer than its lease, and goes on after its successor has done
//! the work: nothing of what the late one does stays, and nothing of its successor's is overwritten.
//!
//! `WINDLASS_FAULTS=long` tries all steps; a word that is part of the names of some tries those.

use std::time::Duration;

use crate::Step;
use crate::rig::Rig;
use crate::world::until;

/// What is held of a step, and what is pushed while it stands still.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Case {
    /// Is it the answer that is held, and not the request?
    answer: bool,
    /// Is there a newer commit by the time that it goes on?
    overtaken: bool,
}

/// The steps in which a process may stand still.
const STEPS: &[Step] = &[
    Step::east("the apply that changes", "PATCH", "/configmaps/change", 1),
    Step::east("the first prune", "DELETE", "/", 1),
    Step::east("the parent's word that it is done", "PUT", "/configmaps/windlass-shop", 3),
    Step::east("the fence", "PUT", "/configmaps/windlass-shop", 1),
    Step::gitea("the first pending status", "POST", "/statuses/", 1),
    Step::gitea("the fetch", "POST", "git-upload-pack", 1),
    Step::east("a dry-run", "PATCH", "/configmaps/change", 1).dry(),
    Step::east("the apply that creates", "PATCH", "/configmaps/own-", 1),
    Step::east("the fence before the prune", "PUT", "/configmaps/windlass-shop", 2),
    Step::east("the second prune", "DELETE", "/", 2),
    Step::gitea("a later status", "POST", "/statuses/", 3),
    Step::gitea("a still later status", "POST", "/statuses/", 4),
];

/// How many of the steps are tried where `WINDLASS_FAULTS` is not set?
const SHORT: usize = 1;

/// For how long is one that goes on watched, at least? What it still has in hand it does at once.
const GOES_ON_FOR: Duration = Duration::from_secs(3);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_stood_still_before_a_step_past_its_lease_changes_nothing_any_more() {
    all_that(false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_stood_still_after_a_step_past_its_lease_changes_nothing_any_more() {
    all_that(true).await;
}

/// Tries the steps that are asked for, with their requests or their answers held.
async fn all_that(answer: bool) {
    let asked = std::env::var("WINDLASS_FAULTS").ok();
    let long = asked.is_some();
    let word = asked.filter(|asked| asked != "long").unwrap_or_default();
    let steps = if long { STEPS } else { &STEPS[..SHORT] };
    for step in steps.iter().filter(|step| step.name.contains(&word)) {
        for overtaken in if long { &[true, false][..] } else { &[true] } {
            stand_still(step, Case { answer, overtaken: *overtaken }).await;
        }
    }
}

/// Lets the process that makes a step stand still in it until others have made everything true, and go on then.
async fn stand_still(step: &Step, case: Case) {
    let what = format!("{} ({case:?})", step.name);
    let mut rig = Rig::spread("").await;
    let held = step.hold(&rig, case.answer);
    rig.push().await;
    held.arrived().await;
    let frozen = rig.freeze(&held);
    if case.overtaken && frozen.is_worker {
        rig.push().await;
    }
    eprintln!("{what}: {} stands still", frozen.pid);
    if frozen.is_worker {
        rig.check().await;
    } else {
        // The door stood still too, so that nobody may have done its work.
        tokio::time::sleep(GOES_ON_FOR).await;
    }
    let mark = rig.kube.mark();
    frozen.go_on();
    held.release();
    // why: it does what it has in hand in its own time, and what it is refused leaves no other trace.
    tokio::time::sleep(GOES_ON_FOR).await;
    rig.check().await;
    let late = rig.asked_since(mark).await;
    let refused = |code: u64| code == 409 || code == 404;
    let written = late.iter().filter(|asked| asked.is_write() && asked.code < 300 && frozen.is_worker);
    let written: Vec<_> = written.collect();
    assert!(written.is_empty(), "{what}: the late one wrote {written:?}");
    if frozen.is_worker && !case.answer && step.is_write() {
        let is_late = async || {
            let late = rig.asked_since(mark).await;
            late.into_iter().find(|asked| asked.is_write() && refused(asked.code))
        };
        until("the late write is refused", is_late).await;
    }
    rig.clear().await;
}
