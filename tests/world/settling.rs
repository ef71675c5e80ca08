//! Running all roles until nothing is left to do.

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use windlass::line::Line;
use windlass::queue::Lane;

use super::LOOK_EVERY;
use super::PATIENCE;
use super::crew::Works;
use super::windlass::World;
use super::windlass::now;

/// How long does a role wait for a message at a time?
const WAIT: Duration = Duration::from_secs(1);

/// How long between two looks at the queues of a broker?
const LOOK_AT_BROKER: Duration = Duration::from_millis(40);

/// How long does the poster wait for a status at a time? Other processes may have made it.
const TURN: Duration = Duration::from_millis(20);

/// Returns every lane, in the order in which work flows.
pub fn lanes() -> [Lane; 5] {
    let shared = "shared";
    [Lane::events(), Lane::jobs(shared), Lane::watch(shared), Lane::reports(), Lane::reports_of(shared)]
}

impl World {
    /// Lets all roles work until everything is idle and the forge has every status.
    pub async fn settle(&self) {
        let settled = tokio::time::timeout(PATIENCE, async {
            loop {
                let mut roles = self.start_roles();
                tokio::select! {
                    () = self.idle() => {}
                    Some(ended) = roles.join_next() => panic!("a role ended: {ended:?}"),
                }
                // Where nothing is left to do, nothing is broken off. What came last of all is begun again.
                roles.abort_all();
                while let Some(ended) = roles.join_next().await {
                    assert!(ended.is_err_and(|error| error.is_cancelled()), "a role ended by itself");
                }
                if self.is_idle().await {
                    return;
                }
            }
        });
        if settled.await.is_err() {
            panic!("not settled within {} s:\n{}", PATIENCE.as_secs(), self.dump().await);
        }
    }

    async fn idle(&self) {
        let mut looks = 0;
        while looks < self.crew.looks() {
            looks = if self.is_idle().await { looks + 1 } else { 0 };
            // why: the broker does not tell when a queue is empty, and each look costs it a hundred answers.
            tokio::time::sleep(if self.servers.is_some() { LOOK_AT_BROKER } else { LOOK_EVERY }).await;
        }
    }

    /// Starts all roles but the sweep.
    fn start_roles(&self) -> JoinSet<()> {
        let mut set = JoinSet::new();
        for line in self.crew.workers() {
            start_work(&mut set, line);
        }
        // One of them posts, as in a windlass that runs by itself.
        let line = self.crew.worker();
        let (poster, store) = (Arc::clone(&line.report().poster), line.history().clone());
        set.spawn(async move {
            loop {
                poster.step(now()).await.unwrap();
                store.wait_due(now(), TURN).await.unwrap();
            }
        });
        set
    }

    /// Returns whether no message and no status is left. Asked along the flow, so that nothing slips past.
    async fn is_idle(&self) -> bool {
        for lane in lanes() {
            if !self.crew.hold_none(&lane).await {
                return false;
            }
        }
        for lane in lanes() {
            if self.crew.depth(&lane).await.0 > 0 {
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
fn start_work(set: &mut JoinSet<()>, line: &Line) {
    let dispatcher = Arc::clone(&line.dispatch().dispatcher);
    set.spawn(async move {
        loop {
            dispatcher.step(WAIT).await.unwrap();
        }
    });
    for _ in 0..line.roles.reconcile[0].slots() {
        let reconciler = line.roles.reconcile[0].clone();
        set.spawn(async move {
            loop {
                reconciler.step(WAIT).await.unwrap();
            }
        });
    }
    let reconciler = line.roles.reconcile[0].clone();
    set.spawn(async move {
        let mut waits = JoinSet::new();
        loop {
            if let Some(lease) = reconciler.queue().next(&reconciler.watches(), WAIT).await.unwrap() {
                let reconciler = reconciler.clone();
                waits.spawn(async move { reconciler.watch_through(lease).await.unwrap() });
            }
        }
    });
    for reporter in &line.report().reporters {
        let reporter = Arc::clone(reporter);
        set.spawn(async move {
            loop {
                reporter.gather(WAIT).await.unwrap();
            }
        });
    }
}
