//! Windlass against a model: random sequences of what can happen to it, and afterwards the cluster holds what the model
//! says.
//!
//! A sequence edits manifests and pushes them, one by one, several at once, with force, without a delivery, and such as
//! are refused. Meanwhile other managers change what was applied, people delete it or take its label away, rights are
//! lost, a person keeps an earlier commit for a while, the API server and the forge fail, and the process is killed. In the end everything works again, and then live
//! equals the tip in every field that the manifests set; what was removed has left nothing behind; nothing was deleted
//! but what left the branch, also where it went from one application to another; each object belongs to the application
//! that declares it; nothing of a later wave was written before something of an earlier one, and hooks were made once
//! by each rollout; what others set or made is as it was; one more pass writes nothing; and every commit has
//! one verdict.
//!
//! What the model grants windlass, since it is not promised: an object that lost its label, or that somebody else made
//! anew, is not the application's when it leaves the branch, and may stay; what a commit did wrong, or was forbidden, is
//! tried again with the next push only; a field that somebody else set as well stays when its manifest drops it; and
//! the status of all targets together may be told again where a further delivery touches another one of them.
//!
//! Each sequence has a seed of its own: `WINDLASS_SEED` is that of the first one (the same in each run where it is not set),
//! and each further one adds 1; `WINDLASS_SEQUENCES` says how many there are. So 5,000 of them may be run in parts, and a failed one alone.
//! `WINDLASS_STEPS` bounds the steps of each, to find the one that matters.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test ends where it fails"
)]
#![allow(clippy::wildcard_enum_match_arm, reason = "a rule names the kinds and steps that it is about")]

mod apps;
mod branch;
#[allow(dead_code, reason = "the crashes use the rest of it")]
#[path = "../crash/crew.rs"]
mod crew;
mod drifts;
mod ending;
mod faults;
mod fields;
mod flavour;
mod hands;
mod hooks;
mod judge;
mod objects;
mod order;
mod pins;
mod play;
mod same;
mod ships;
mod stage;
mod steps;
mod verdicts;
#[path = "../world/mod.rs"]
mod world;

use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::FutureExt;
use futures::StreamExt;
use futures::stream;
use play::Play;
use play::Story;
use tokio::time::Instant;

/// The seed of the first sequence where nobody says one: a sequence that fails then is news of what was changed, and not
/// of chance. Others are played by hand.
const SEED: u64 = 20_000;

/// How many sequences are there where nobody says?
const SEQUENCES: u64 = 100;

/// How many are under way at once? They wait for others most of the time.
const AT_ONCE: usize = 6;

/// How many steps has one at least, and how many more may it have?
const STEPS: (usize, usize) = (5, 11);

/// After how many failures is no further sequence begun?
const FAILURES: usize = 5;

/// How long may one sequence take altogether, before it counts as stuck?
const SEQUENCE_WITHIN: Duration = Duration::from_secs(300);

/// Where files are that need not outlive this machine: a killed process leaves behind what it wrote there as elsewhere,
/// and nobody waits for a disk.
const MEMORY: &str = "/dev/shm";

fn asked(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|value| value.parse().ok())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn live_equals_the_tip_after_random_sequences() {
    if Path::new(MEMORY).is_dir() {
        drop(tempfile::env::override_temp_dir(Path::new(MEMORY)));
    }
    let first = asked("WINDLASS_SEED").unwrap_or(SEED);
    let count = asked("WINDLASS_SEQUENCES").unwrap_or(SEQUENCES);
    let (begun, failed) = (Instant::now(), Arc::new(AtomicUsize::new(0)));
    let sequences = (first..first + count).map(|seed| {
        let failed = Arc::clone(&failed);
        async move {
            if failed.load(Ordering::Relaxed) >= FAILURES {
                return false;
            }
            // On a thread of its own, since `git` is waited for there.
            let runtime = tokio::runtime::Handle::current();
            let played = tokio::task::spawn_blocking(move || runtime.block_on(sequence(seed)));
            let ended = played.await.is_ok_and(|ended| ended);
            failed.fetch_add(usize::from(!ended), Ordering::Relaxed);
            ended
        }
    });
    let ended: Vec<bool> = stream::iter(sequences).buffer_unordered(AT_ONCE).collect().await;
    let good = ended.iter().filter(|ended| **ended).count();
    eprintln!(
        "{good} of {count} sequences from seed {first} on are good, in {} s",
        begun.elapsed().as_secs()
    );
    assert_eq!(
        failed.load(Ordering::Relaxed),
        0,
        "sequences failed; their seeds and steps are printed above"
    );
}

/// Plays one sequence, and says how it went.
async fn sequence(seed: u64) -> bool {
    eprintln!("sequence {seed} begins");
    let (story, begun) = (Story::default(), Instant::now());
    let mut play = None;
    let played = AssertUnwindSafe(async {
        let play = play.insert(Play::begin(seed, Arc::clone(&story)).await);
        let steps = STEPS.0 + play.chance.below(STEPS.1);
        let steps = asked("WINDLASS_STEPS").map_or(steps, |most| steps.min(usize::try_from(most).unwrap()));
        for _ in 0..steps {
            play.step().await;
        }
        play.end().await;
    });
    let ended = tokio::time::timeout(SEQUENCE_WITHIN, played.catch_unwind()).await;
    let good = matches!(ended, Ok(Ok(())));
    if !good {
        let why = match ended {
            Ok(Err(panic)) => {
                let text = panic.downcast_ref::<String>().cloned();
                text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
                    .unwrap_or_default()
            }
            _ => "it took too long".to_owned(),
        };
        let said = play.as_ref().map(|play| play.stage.crew.said()).unwrap_or_default();
        let steps = story.lock().unwrap().join("\n  ");
        eprintln!(
            "sequence {seed} FAILED: {why}\n  {steps}\nwindlass said:\n{said}WINDLASS_SEED={seed} WINDLASS_SEQUENCES=1 repeats it"
        );
    }
    if let Some(play) = play {
        play.stage.clear().await;
    }
    if good {
        eprintln!("sequence {seed} is good, in {} ms", begun.elapsed().as_millis());
    }
    good
}
