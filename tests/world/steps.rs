//! One step of one role at a time, whichever process makes it.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use windlass::dispatch;
use windlass::job::Job;
use windlass::line::Line;
use windlass::queue::Lane;
use windlass::queue::Lease;
use windlass::reconcile;
use windlass::report;

use super::crew::Crew;
use super::crew::Works;
use super::windlass::STEP;
use super::windlass::World;
use super::windlass::now;

/// How long does one reporter look for a report before the next one does?
const TURN: Duration = Duration::from_millis(20);

impl World {
    /// Takes the next event.
    pub async fn dispatch_step(&self) -> dispatch::Step {
        let step = async |line: &Line, wait| {
            busy(line.dispatch().dispatcher.step(wait).await.unwrap(), &dispatch::Step::Idle)
        };
        self.crew.first(STEP, step).await.unwrap_or(dispatch::Step::Idle)
    }

    /// Takes the next job.
    pub async fn reconcile_step(&self) -> reconcile::Step {
        next_job(&self.crew).await
    }

    /// Takes the next job off the queue, as a worker does that then works on it by itself.
    pub async fn take_job(&self) -> (Lease, Job) {
        let lease = self.crew.next(&Lane::jobs("shared"), STEP).await.expect("a job");
        let job = serde_json::from_str(&lease.body).unwrap();
        (lease, job)
    }

    /// Takes the next job in the background.
    pub fn reconcile_beside(&self) -> JoinHandle<reconcile::Step> {
        let crew = Arc::clone(&self.crew);
        tokio::spawn(async move { next_job(&crew).await })
    }

    /// Takes the next wait for health and sees it to its end.
    pub async fn watch_step(&self) -> reconcile::Step {
        let step = async |line: &Line, wait| {
            busy(line.roles.reconcile[0].watch_step(wait).await.unwrap(), &reconcile::Step::Idle)
        };
        self.crew.first(STEP, step).await.unwrap_or(reconcile::Step::Idle)
    }

    /// Takes the next report.
    pub async fn report_step(&self) -> report::Step {
        self.report_within(STEP).await
    }

    /// Takes every report that is there.
    pub async fn report_all(&self) {
        while !self.crew.has_no_reports().await {
            self.report_within(TURN).await;
        }
    }

    async fn report_within(&self, wait: Duration) -> report::Step {
        let end = tokio::time::Instant::now() + wait;
        loop {
            let step = async |line: &Line, _| {
                for reporter in &line.report().reporters {
                    let step = busy(reporter.step(TURN).await.unwrap(), &report::Step::Idle);
                    if step.is_some() {
                        return step;
                    }
                }
                None
            };
            match self.crew.first(TURN, step).await {
                None if tokio::time::Instant::now() < end => {}
                found => return found.unwrap_or(report::Step::Idle),
            }
        }
    }

    /// Posts the statuses that are due.
    pub async fn post_step(&self) -> report::Posted {
        self.crew.worker().report().poster.step(now()).await.unwrap()
    }
}

/// Returns a step that did something.
fn busy<S: PartialEq>(step: S, idle: &S) -> Option<S> {
    (step != *idle).then_some(step)
}

/// Takes the next job, whichever worker gets it.
async fn next_job(crew: &Crew) -> reconcile::Step {
    let step = async |line: &Line, wait| {
        busy(line.roles.reconcile[0].step(wait).await.unwrap(), &reconcile::Step::Idle)
    };
    crew.first(STEP, step).await.unwrap_or(reconcile::Step::Idle)
}
