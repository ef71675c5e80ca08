//! The real program is killed with SIGKILL before and after every step of its work, and started again: nothing is
//! lost, nothing is orphaned, and every commit has one verdict. Proxies hold the step; windlass itself knows nothing
//! of these tests.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test ends where it fails"
)]

mod away;
#[allow(dead_code, reason = "the faults use the rest of it")]
mod crew;
#[allow(dead_code, reason = "the faults use the rest of it")]
mod rig;
mod rounds;
mod storm;
#[path = "../world/mod.rs"]
mod world;
mod zombies;

use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rig::Rig;
use world::proxy::Held;
use world::until;

/// A request by which a step is known.
type Fits = Box<dyn Fn(&str) -> bool + Send>;

/// What is killed between, and when.
pub struct Step {
    /// What the step is.
    name: &'static str,
    /// Is it a request to the API server, or to Gitea?
    to_east: bool,
    /// Which of the requests that begin so and contain this?
    request: (&'static str, &'static str),
    /// Is it a dry-run?
    dry: bool,
    /// Which one, from 1?
    which: usize,
}

impl Step {
    const fn east(name: &'static str, method: &'static str, path: &'static str, which: usize) -> Self {
        Self { name, to_east: true, request: (method, path), dry: false, which }
    }

    const fn gitea(name: &'static str, method: &'static str, path: &'static str, which: usize) -> Self {
        Self { name, to_east: false, request: (method, path), dry: false, which }
    }

    const fn dry(self) -> Self {
        Self { dry: true, ..self }
    }

    /// Returns what recognises its request.
    fn fits(&self) -> Fits {
        let ((method, path), dry, which) = (self.request, self.dry, self.which);
        let seen = AtomicUsize::new(0);
        Box::new(move |line| {
            let fits = line.starts_with(method) && line.contains(path) && line.contains("dryRun") == dry;
            fits && seen.fetch_add(1, Ordering::Relaxed) + 1 == which
        })
    }

    /// Does it change something in a cluster?
    fn is_write(&self) -> bool {
        self.to_east && !self.dry && self.request.0 != "GET"
    }

    fn hold(&self, rig: &Rig, answer: bool) -> Held {
        let proxy = if self.to_east { &rig.east } else { &rig.gitea };
        if answer { proxy.hold_answer(self.fits()) } else { proxy.hold(self.fits()) }
    }
}

/// Is windlass killed after the step, or before it? And was the next push accepted already?
type Case = (bool, bool);

/// All that matter; before a step nothing of it is left that the same push could trip over.
const ALL: &[Case] = &[(false, true), (true, false), (true, true)];

/// Those for steps that write nothing to the cluster.
const SOME: &[Case] = &[(false, true), (true, false)];

/// Kills windlass before and after each step.
async fn kill_around(steps: &[Step], cases: &[Case]) {
    let mut rig = Rig::settled("").await;
    for step in steps {
        for &(answer, overtaken) in cases {
            let when = if answer { "after" } else { "before" };
            eprintln!("killed {when} {}, overtaken: {overtaken}", step.name);
            let held = step.hold(&rig, answer);
            rig.push().await;
            held.arrived().await;
            if overtaken {
                rig.push().await;
            }
            rig.kill(held);
            rig.start().await;
            rig.check().await;
        }
    }
    rig.clear().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_around_a_fetch() {
    kill_around(
        &[
            Step::gitea("the look at the refs for dispatch", "GET", "info/refs", 1),
            Step::gitea("the fetch", "POST", "git-upload-pack", 1),
            Step::gitea("the look at the refs for the pass", "GET", "info/refs", 2),
        ],
        SOME,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_around_what_comes_before_the_first_write() {
    kill_around(
        &[
            Step::east("the look at the parent", "GET", "/configmaps/windlass-shop", 1),
            Step::east("the list of members", "GET", "/serviceaccounts?", 1),
            Step::east("a dry-run", "PATCH", "/configmaps/change", 1).dry(),
            Step::east("the fence", "PUT", "/configmaps/windlass-shop", 1),
        ],
        SOME,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_around_each_apply() {
    kill_around(
        &[
            Step::east("the apply that creates in the first stage", "PATCH", "/serviceaccounts/account-", 1),
            Step::east("the apply that changes", "PATCH", "/configmaps/change", 1),
            Step::east("the apply that creates", "PATCH", "/configmaps/own-", 1),
            Step::east("the apply of the last stage", "PATCH", "/deployments/web", 1),
        ],
        ALL,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_around_the_prune_and_the_end() {
    kill_around(
        &[
            Step::east("the fence before the prune", "PUT", "/configmaps/windlass-shop", 2),
            Step::east("the first prune", "DELETE", "/", 1),
            Step::east("the second prune", "DELETE", "/", 2),
            Step::east("the parent's word that it is done", "PUT", "/configmaps/windlass-shop", 3),
        ],
        ALL,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_around_the_first_statuses() {
    kill_around(
        &[
            Step::gitea("the first pending status", "POST", "/statuses/", 1),
            Step::gitea("the second pending status", "POST", "/statuses/", 2),
        ],
        SOME,
    )
    .await;
}

/// Holds the wait for health, so that every status but the last ones has been told.
async fn waiting_for_health(rig: &mut Rig) -> Held {
    // The wait begins with the same list as the pass, but after the object was written. The patrol asks for the members
    // of all sets at once.
    let written = AtomicBool::new(false);
    let health = rig.east.hold(move |line| {
        if world::proxy::is_write(line) && line.contains("/deployments/web") {
            written.store(true, Ordering::Relaxed);
        }
        let members =
            line.starts_with("GET") && line.contains("/deployments?") && line.contains("part-of%3D");
        members && written.load(Ordering::Relaxed)
    });
    let commit = rig.push().await;
    health.arrived().await;
    let repo = &rig.repo;
    until("the status says what is waited for", async || {
        let last = repo.statuses(&commit).await.into_iter().rfind(|one| one.context != "windlass")?;
        last.description.contains("waiting for health").then_some(())
    })
    .await;
    health
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_while_health_is_waited_for() {
    let mut rig = Rig::settled("").await;
    for overtaken in [false, true] {
        let held = waiting_for_health(&mut rig).await;
        if overtaken {
            rig.push().await;
        }
        rig.kill(held);
        rig.start().await;
        rig.check().await;
    }
    rig.clear().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_around_the_verdict_and_the_verdict_of_the_whole() {
    let mut rig = Rig::settled("").await;
    for (which, answer) in [(1, false), (1, true), (2, false), (2, true)] {
        let health = waiting_for_health(&mut rig).await;
        let held = Step::gitea("a final status", "POST", "/statuses/", which).hold(&rig, answer);
        health.release();
        held.arrived().await;
        rig.kill(held);
        rig.start().await;
        rig.check().await;
    }
    rig.clear().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_in_the_very_first_pass() {
    let cases = [
        (Step::east("the first try to write a parent", "POST", "/configmaps", 1), true),
        (Step::east("the making of its namespace", "POST", "/api/v1/namespaces?", 1), false),
        (Step::east("the making of its namespace", "POST", "/api/v1/namespaces?", 1), true),
        (Step::east("the making of the parent", "POST", "/configmaps", 2), true),
        (Step::east("the first apply", "PATCH", "/serviceaccounts/account-", 1), true),
    ];
    for (step, answer) in cases {
        let mut rig = Rig::new("").await;
        eprintln!("killed before or after ({answer}) {}", step.name);
        let held = step.hold(&rig, answer);
        rig.push().await;
        held.arrived().await;
        rig.kill(held);
        rig.start().await;
        rig.check().await;
        rig.clear().await;
    }
}

/// A write that the dead process had sent reaches the API server only after its successor has done everything.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_of_the_dead_comes_late_and_changes_nothing() {
    let mut rig = Rig::settled("").await;
    let held = Step::east("an apply", "PATCH", "/configmaps/change", 1).hold(&rig, false);
    rig.push().await;
    held.arrived().await;
    rig.push().await;
    rig.kill(held);
    rig.start().await;
    rig.check().await;
    let mark = rig.kube.mark();
    rig.graves.clear();
    let rig_now = &rig;
    let late = until("the late write is answered", async || {
        rig_now.asked_since(mark).await.into_iter().find(|asked| asked.verb == "patch")
    });
    assert_eq!(late.await.code, 409, "the write of the dead is refused");
    rig.check().await;
    rig.clear().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_any_time_at_all() {
    let seed = std::env::var("WINDLASS_SEED").ok().and_then(|seed| seed.parse().ok());
    let mut seed: u64 = seed.unwrap_or_else(|| jiff::Timestamp::now().as_millisecond().unsigned_abs());
    eprintln!("WINDLASS_SEED={seed} repeats the times of this run");
    let mut rig = Rig::settled("").await;
    for _ in 0..4 {
        // A linear congruential generator (Knuth, MMIX); its upper bits are random enough.
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let after = Duration::from_millis((seed >> 33) % 1_500);
        rig.push().await;
        rig.push().await;
        // why: the kill comes at a time of chance.
        tokio::time::sleep(after).await;
        let nothing = rig.east.hold(|_| false);
        rig.kill(nothing);
        rig.start().await;
        rig.check().await;
    }
    rig.clear().await;
}
