//! The loops: each role takes one step after the other until it is told to stop.
//!
//! A loop decides nothing. A step that fails is logged and tried again; a step that panics is logged as the defect it
//! is, and its loop goes on. Stopping means: take nothing new, finish what was taken, for as long as the door's grace.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::application::Name;
use crate::dispatch::Dispatcher;
use crate::fault::chain;
use crate::opening::Opener;
use crate::patrol::Patrol;
use crate::queue::Queue;
use crate::reconcile::Reconciler;
use crate::recover::Recovered;
use crate::recover::Recoverer;
use crate::report::Poster;
use crate::report::Reporter;
use crate::sweep::Sweeper;

mod duty;

/// How long does an idle loop wait for a message before it looks whether it shall stop?
const LOOK_UP: Duration = Duration::from_secs(1);

/// How long does a loop rest after a step that failed?
const REST: Duration = Duration::from_secs(1);

/// How often is looked after what is overdue, in error or dead?
const TEND_EVERY: Duration = Duration::from_secs(300);

/// How long after the start are deliveries that failed first looked after?
const RECOVER_FIRST: Duration = Duration::from_secs(15);

/// How often are deliveries that failed looked after?
const RECOVER_EVERY: Duration = Duration::from_secs(300);

/// How many waits for health may be under way at once?
const WATCHES: usize = 256;

/// By how many percent is a sweep's interval stretched or shortened, so that sources do not beat in time?
const JITTER_PERCENT: u64 = 10;

/// The duty to look after what nobody else would start or end.
pub const SWEEP: &str = "sweep";

/// The duty to tell forges what is due.
pub const POST: &str = "post";

/// Returns the name of the duty to watch the clusters of a lane for drift.
#[must_use]
pub fn patrol(lane: &str) -> String {
    format!("patrol.{lane}")
}

/// Tells loops to stop.
pub type Stop = watch::Receiver<bool>;

/// The roles of one process, without the door.
pub struct Roles {
    /// The queue that they work on.
    pub queue: Queue,
    /// Dispatch.
    pub dispatch: Option<Dispatch>,
    /// Reconcile, for each lane that is served.
    pub reconcile: Vec<Reconciler>,
    /// The patrol of each lane that is served.
    pub patrols: Vec<Arc<Patrol>>,
    /// Report.
    pub report: Option<Report>,
    /// How many dispatches may be under way at once?
    pub parallel: usize,
}

/// What makes the role dispatch.
pub struct Dispatch {
    /// It finds what events touch.
    pub dispatcher: Arc<Dispatcher>,
    /// It asks for what waits once its target opens.
    pub opener: Arc<Opener>,
    /// The sweep.
    pub sweeper: Arc<Sweeper>,
    /// How often each source is swept; `None` only at the start.
    pub polls: Vec<(Name, Option<Duration>)>,
}

/// What makes the role report.
pub struct Report {
    /// The recording half, for each lane of reports.
    pub reporters: Vec<Arc<Reporter>>,
    /// The posting half.
    pub poster: Arc<Poster>,
    /// Those who look after deliveries that failed, by forge.
    pub recoverers: Vec<(Name, Arc<Recoverer>)>,
}

/// Runs all roles until `stop` says so, and waits for what was taken to end.
pub async fn run(roles: Roles, stop: Stop) {
    let mut loops = JoinSet::new();
    let Roles { queue, dispatch, reconcile, patrols, report, parallel } = roles;
    if let Some(dispatch) = dispatch {
        begin_dispatch(&mut loops, dispatch, queue.clone(), parallel, &stop);
    }
    for reconciler in reconcile {
        begin_reconcile(&mut loops, &reconciler, &stop);
    }
    for one in patrols {
        let (name, patrolled) = (patrol(one.lane()), stop.clone());
        loops.spawn(duty::hold(name, queue.clone(), patrolled, move |stop| {
            let one = Arc::clone(&one);
            supervise("patrol", stop, move || {
                let one = Arc::clone(&one);
                async move { one.run().await }
            })
        }));
    }
    if let Some(report) = report {
        begin_report(&mut loops, report, queue, &stop);
    }
    while loops.join_next().await.is_some() {}
}

fn begin_dispatch(loops: &mut JoinSet<()>, dispatch: Dispatch, queue: Queue, parallel: usize, stop: &Stop) {
    let Dispatch { dispatcher, opener, sweeper, polls } = dispatch;
    // Events of one source stay in order, and a source that is slow holds up no other.
    for _ in 0..parallel.max(1) {
        let dispatcher = Arc::clone(&dispatcher);
        loops.spawn(repeat("dispatch", stop.clone(), move || {
            let dispatcher = Arc::clone(&dispatcher);
            async move { dispatcher.step(LOOK_UP).await.map(drop).map_err(|error| chain(&error)) }
        }));
    }
    for lane in dispatcher.lanes() {
        let dispatcher = Arc::clone(&dispatcher);
        loops.spawn(repeat("ask", stop.clone(), move || {
            let (dispatcher, lane) = (Arc::clone(&dispatcher), lane.clone());
            async move { dispatcher.ask_step(&lane, LOOK_UP).await.map(drop).map_err(|error| chain(&error)) }
        }));
    }
    loops.spawn(duty::hold(SWEEP.to_owned(), queue, stop.clone(), move |stop| {
        let (opener, sweeper, polls) = (Arc::clone(&opener), Arc::clone(&sweeper), polls.clone());
        sweeps(opener, sweeper, polls, stop)
    }));
}

fn begin_reconcile(loops: &mut JoinSet<()>, reconciler: &Reconciler, stop: &Stop) {
    for _ in 0..reconciler.slots() {
        let reconciler = reconciler.clone();
        loops.spawn(repeat("reconcile", stop.clone(), move || {
            let reconciler = reconciler.clone();
            async move { reconciler.step(LOOK_UP).await.map(drop).map_err(|error| chain(&error)) }
        }));
    }
    let (watched, stopped) = (reconciler.clone(), stop.clone());
    loops.spawn(supervise("watch", stop.clone(), move || watches(watched.clone(), stopped.clone())));
    let (winding, mut stopped) = (reconciler.clone(), stop.clone());
    loops.spawn(async move {
        told(&mut stopped).await;
        winding.wind_down();
    });
}

fn begin_report(loops: &mut JoinSet<()>, report: Report, queue: Queue, stop: &Stop) {
    let Report { reporters, poster, recoverers } = report;
    for reporter in reporters {
        loops.spawn(repeat("report", stop.clone(), move || {
            let reporter = Arc::clone(&reporter);
            async move { reporter.gather(LOOK_UP).await.map(drop).map_err(|error| chain(&error)) }
        }));
    }
    // One process writes to forges, so that their limits are kept.
    loops.spawn(duty::hold(POST.to_owned(), queue, stop.clone(), move |stop| {
        let (poster, recoverers) = (Arc::clone(&poster), recoverers.clone());
        posts(poster, recoverers, stop)
    }));
}

/// Sweeps all sources, opens targets, and looks after what nobody else would end.
async fn sweeps(
    opener: Arc<Opener>,
    sweeper: Arc<Sweeper>,
    polls: Vec<(Name, Option<Duration>)>,
    stop: Stop,
) {
    let mut loops = JoinSet::new();
    loops.spawn(supervise("open", stop.clone(), move || open(Arc::clone(&opener))));
    let tended = Arc::clone(&sweeper);
    loops.spawn(supervise("tend", stop.clone(), move || tend(Arc::clone(&tended))));
    for (source, poll) in polls {
        let sweeper = Arc::clone(&sweeper);
        loops.spawn(supervise("sweep", stop.clone(), move || {
            sweep(Arc::clone(&sweeper), source.clone(), poll)
        }));
    }
    while loops.join_next().await.is_some() {}
}

/// Tells forges what is due, and looks after deliveries that failed.
async fn posts(poster: Arc<Poster>, recoverers: Vec<(Name, Arc<Recoverer>)>, stop: Stop) {
    let mut loops = JoinSet::new();
    loops.spawn(supervise("post", stop.clone(), move || {
        let poster = Arc::clone(&poster);
        async move {
            poster.run().await;
        }
    }));
    for (forge, recoverer) in recoverers {
        loops.spawn(supervise("recover", stop.clone(), move || {
            recover(Arc::clone(&recoverer), forge.clone())
        }));
    }
    while loops.join_next().await.is_some() {}
}

/// Takes steps until told to stop. Each runs in a task of its own, so that a panic costs one step and not the role.
async fn repeat<F, S>(role: &'static str, stop: Stop, step: F)
where
    F: Fn() -> S + Send + 'static,
    S: Future<Output = Result<(), String>> + Send + 'static,
{
    while !*stop.borrow() {
        match tokio::spawn(step()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::error!(role, error, "failed to {error}");
                tokio::time::sleep(REST).await;
            }
            Err(defect) => {
                tracing::error!(role, error = %defect, "a defect in windlass ended a step; please report it");
                tokio::time::sleep(REST).await;
            }
        }
    }
}

/// Waits for the word to stop; a sender that is gone means the same.
async fn told(stop: &mut Stop) {
    drop(stop.wait_for(|stopped| *stopped).await);
}

/// Keeps a loop going until told to stop; one that ends in a panic begins anew.
async fn supervise<F, S>(role: &'static str, mut stop: Stop, work: F)
where
    F: Fn() -> S + Send + 'static,
    S: Future<Output = ()> + Send + 'static,
{
    loop {
        let mut task = JoinSet::new();
        task.spawn(work());
        tokio::select! {
            ended = task.join_next() => match ended {
                Some(Err(defect)) => {
                    tracing::error!(role, error = %defect, "a defect in windlass ended a loop, which begins anew; please report it");
                    tokio::time::sleep(REST).await;
                }
                Some(Ok(())) | None => return,
            },
            () = told(&mut stop) => return,
        }
    }
}

/// Takes waits for health and sees many through at once. At the stop they are dropped: their messages come back.
async fn watches(reconciler: Reconciler, stop: Stop) {
    let slots = Arc::new(Semaphore::new(WATCHES));
    let mut under_way = JoinSet::new();
    while !*stop.borrow() {
        while let Some(ended) = under_way.try_join_next() {
            if let Err(defect) = ended {
                tracing::error!(error = %defect, "a defect in windlass ended a wait for health; please report it");
            }
        }
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
        match reconciler.queue().next(&reconciler.watches(), LOOK_UP).await {
            Ok(Some(lease)) => {
                let reconciler = reconciler.clone();
                under_way.spawn(async move {
                    if let Err(error) = reconciler.watch_through(lease).await {
                        tracing::error!(%error, "failed to settle a wait for health");
                    }
                    drop(slot);
                });
            }
            Ok(None) => {}
            Err(error) => {
                tracing::error!(%error, "failed to take a wait for health");
                tokio::time::sleep(REST).await;
            }
        }
    }
}

/// Asks for what waits once its target opens, for ever.
async fn open(opener: Arc<Opener>) {
    loop {
        match opener.look().await {
            Ok(opened) => tracing::debug!(asked = opened.asked, "looked at what is closed"),
            Err(error) => {
                tracing::warn!("what waits is looked at again: failed to {}", chain(&error));
                tokio::time::sleep(REST).await;
            }
        }
    }
}

/// Looks after what nobody else would end, for ever.
async fn tend(sweeper: Arc<Sweeper>) {
    loop {
        match sweeper.tend().await {
            Ok(swept) => tracing::debug!(again = swept.again, closed = swept.closed, "tended"),
            Err(error) => tracing::warn!("failed to tend, it is tried again: failed to {}", chain(&error)),
        }
        forget(&sweeper).await;
        tokio::time::sleep(TEND_EVERY).await;
    }
}

/// Forgets history that is not kept any longer.
async fn forget(sweeper: &Sweeper) {
    match sweeper.forget(crate::clock::now()).await {
        Ok(forgotten) => tracing::debug!(?forgotten, "forgot old history"),
        Err(error) => {
            tracing::warn!("failed to forget old history, it is tried again: failed to {}", chain(&error))
        }
    }
}

/// Looks after the deliveries of a forge that failed, for ever. The door has to be up before they come again.
async fn recover(recoverer: Arc<Recoverer>, forge: Name) {
    tokio::time::sleep(RECOVER_FIRST).await;
    loop {
        let step = recoverer.step(crate::clock::now()).await;
        match &step {
            Ok(Recovered { hooks, asked, off }) => {
                tracing::debug!(%forge, hooks, asked, off, "looked after deliveries");
            }
            Err(error) => tracing::warn!(%forge, "it is tried again: failed to {}", chain(error)),
        }
        tokio::time::sleep(RECOVER_EVERY).await;
    }
}

/// Sweeps a source at the start and then every `poll`.
async fn sweep(sweeper: Arc<Sweeper>, source: Name, poll: Option<Duration>) {
    let mut first = true;
    loop {
        match sweeper.step(&source, first).await {
            Ok(swept) => {
                first = false;
                tracing::debug!(%source, moved = swept.moved, "swept");
            }
            Err(error) => tracing::warn!(%source, "the next sweep tries again: failed to {}", chain(&error)),
        }
        match (poll, first) {
            (Some(poll), _) => tokio::time::sleep(jittered(poll, &source)).await,
            (None, true) => tokio::time::sleep(REST * 60).await,
            (None, false) => return,
        }
    }
}

/// Returns an interval a little off, the same for the same source at the same time only.
fn jittered(poll: Duration, source: &Name) -> Duration {
    let mut hash = 0_u64;
    let now = crate::clock::now().0.unsigned_abs();
    for byte in source.as_str().bytes().map(u64::from).chain([now]) {
        hash = hash.wrapping_mul(31).wrapping_add(byte);
    }
    let percent = 100 - JITTER_PERCENT + hash % (2 * JITTER_PERCENT + 1);
    poll.saturating_mul(u32::try_from(percent).unwrap_or(100)) / 100
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::jittered;
    use crate::application::Name;

    #[test]
    fn sweeps_stay_near_their_interval() {
        let interval = jittered(Duration::from_secs(300), &Name::parse("code").unwrap());
        assert!((270..=330).contains(&interval.as_secs()), "{interval:?}");
    }
}
