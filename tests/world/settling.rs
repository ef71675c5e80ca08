//! Running all roles until nothing is left to do.

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use windlass::line::Line;
use windlass::queue::Lane;

use super::LOOK_EVERY;
use super::PATIENCE;
use super::crew::Works;
use super::windlass::World;
use super::windlass::now;

/// How long does a role wait for a message before it looks whether it is still needed?
const TURN: Duration = Duration::from_millis(20);

/// Returns every lane, in the order in which work flows.
pub fn lanes() -> [Lane; 5] {
    let shared = "shared";
    [Lane::events(), Lane::jobs(shared), Lane::watch(shared), Lane::reports(), Lane::reports_of(shared)]
}

impl World {
    /// Lets all roles work until everything is idle and the forge has every status.
    pub async fn settle(&self) {
        let (stop, stopped) = watch::channel(false);
        let mut roles = self.start_roles(&stopped);
        let idle = async {
            let mut looks = 0;
            while looks < self.crew.looks() {
                looks = if self.is_idle().await { looks + 1 } else { 0 };
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        let ended = tokio::time::timeout(PATIENCE, idle).await;
        stop.send_replace(true);
        if ended.is_err() {
            roles.abort_all();
            panic!("not settled within {} s:\n{}", PATIENCE.as_secs(), self.dump().await);
        }
        while let Some(ended) = roles.join_next().await {
            ended.unwrap();
        }
    }

    /// Starts all roles but the sweep, until they are told to stop.
    fn start_roles(&self, stopped: &watch::Receiver<bool>) -> JoinSet<()> {
        let mut set = JoinSet::new();
        for line in self.crew.workers() {
            start_work(&mut set, line, stopped);
        }
        // One of them posts, as in a windlass that runs by itself.
        let line = self.crew.worker();
        let (poster, store) = (Arc::clone(&line.report().poster), line.history().clone());
        let stopped = stopped.clone();
        set.spawn(async move {
            while !*stopped.borrow() {
                poster.step(now()).await.unwrap();
                store.wait_due(now(), TURN).await.unwrap();
            }
        });
        set
    }

    /// Returns whether no message and no status is left. Asked along the flow, so that nothing slips past.
    async fn is_idle(&self) -> bool {
        // Twice: what waited for health may have had a job made.
        for lane in lanes().iter().chain(&lanes()) {
            if self.crew.depth(lane).await.0 > 0 {
                return false;
            }
        }
        self.store().next_due().await.unwrap().is_none()
    }

    /// Returns everything that this windlass remembers, for people.
    pub async fn dump(&self) -> String {
        let mut text = String::new();
        for lane in lanes() {
            let (count, dead) = self.crew.depth(&lane).await;
            writeln!(text, "lane {lane}: {count} waiting, {dead} dead").unwrap();
        }
        for dead in self.queue().dead(100).await.unwrap() {
            writeln!(text, "dead in {}: {}", dead.lane, dead.why).unwrap();
        }
        for run in self.runs().await {
            let (commit, phase) = (run.commit.short(), run.phase);
            writeln!(text, "run of {commit} in {}: {phase} {:?} {:?}", run.target, run.tally, run.problems)
                .unwrap();
        }
        for commit in &self.delivered {
            for verdict in self.verdicts(commit).await {
                let (phase, words) = (verdict.row.phase, &verdict.description);
                writeln!(text, "{} in {}: {phase}: {words}", commit.short(), verdict.target).unwrap();
            }
            for status in self.repo.statuses(commit).await {
                writeln!(text, "{} at the forge: {status}", commit.short()).unwrap();
            }
        }
        text
    }
}

/// Starts dispatch, reconcile and the recording half of report of one process.
fn start_work(set: &mut JoinSet<()>, line: &Line, stopped: &watch::Receiver<bool>) {
    let goes_on = || {
        let stopped = stopped.clone();
        move || !*stopped.borrow()
    };
    let (dispatcher, going) = (Arc::clone(&line.dispatch().dispatcher), goes_on());
    set.spawn(async move {
        while going() {
            dispatcher.step(TURN).await.unwrap();
        }
    });
    for _ in 0..line.roles.reconcile[0].slots() {
        let (reconciler, going) = (line.roles.reconcile[0].clone(), goes_on());
        set.spawn(async move {
            while going() {
                reconciler.step(TURN).await.unwrap();
            }
        });
    }
    let (reconciler, going) = (line.roles.reconcile[0].clone(), goes_on());
    set.spawn(async move {
        let mut waits = JoinSet::new();
        while going() {
            if let Some(lease) = reconciler.queue().next(&reconciler.watches(), TURN).await.unwrap() {
                let reconciler = reconciler.clone();
                waits.spawn(async move { reconciler.watch_through(lease).await.unwrap() });
            }
        }
    });
    for reporter in &line.report().reporters {
        let (reporter, going) = (Arc::clone(reporter), goes_on());
        set.spawn(async move {
            while going() {
                reporter.gather(TURN).await.unwrap();
            }
        });
    }
}
