//! Makes a commit true in a cluster.
//!
//! Comes in: jobs, each a pointer to a target and the ref whose tip it shall hold, and watches, each a wait for
//! health. Goes out: objects in the cluster and reports. A pass is stateless and level-triggered: whatever was done
//! before, by whomever, it starts from what the repository and the cluster hold now. It never deploys what a payload
//! named or what nobody signed who must, never writes before the server has accepted all of it dry, and never writes
//! without the fence.

mod apply;
mod awaited;
mod begin;
mod check;
mod close;
mod conflicts;
mod consent;
mod crds;
mod delete;
mod departing;
mod drifted;
mod error;
mod failed;
mod fence;
mod finish;
mod gate;
mod gone;
mod hooks;
mod leaving;
mod look;
mod moves;
mod overview;
mod policy;
mod prepare;
mod preview;
mod prune;
mod recreate;
mod render;
mod room;
mod settle;
mod shown;
mod stays;
mod turns;
mod wait;
mod write;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::application::Application;
use crate::application::Name;
use crate::clock::now;
use crate::cluster::Cluster;
use crate::guard::Limits;
use crate::health::Rules;
use crate::job::Job;
use crate::job::Reason;
use crate::job::Watch;
use crate::moment::Moment;
use crate::outcome::Phase;
use crate::pause::Pause;
use crate::pause::Pin;
use crate::queue::Lane;
use crate::queue::Lease;
use crate::queue::Queue;
use crate::source::Source;
use crate::store::Store;
use crate::trail;

use moves::Declarations;
use overview::Overview;
use room::Room;
use shown::Shown;

pub use apply::Applied;
pub use begin::Begun;
pub use begin::Start;
pub use delete::Behind;
pub use delete::Departed;
pub use delete::Fate;
pub use delete::GONE_WITHIN;
pub use delete::Order;
pub use delete::Undeleted;
pub use error::Error;
pub use fence::Fenced;
pub use finish::Ended;
pub use policy::Policy;
pub use policy::Required;
pub use prepare::Ready;
pub use preview::Preview;

/// For how many clusters has one process a full set of passes under way at once?
const CLUSTERS_AT_ONCE: usize = 8;

/// What passes are made with.
pub struct Hands {
    /// The queue.
    pub queue: Queue,
    /// The applications, as far as this process knows them: only where an object moves from one to another it is asked.
    pub applications: Vec<Application>,
    /// The sources, by name.
    pub sources: BTreeMap<Name, Source>,
    /// The clusters, by name.
    pub clusters: BTreeMap<Name, Cluster>,
    /// The lane of jobs and watches that is served.
    pub lane: String,
    /// What this installation of windlass is called in the parents that it writes.
    pub installation: String,
    /// How much may be pruned without consent.
    pub guard: Limits,
    /// What is healthy.
    pub health: Rules,
    /// Whose commits are made true.
    pub policy: Policy,
    /// The history, where this process has it: pauses are looked up there.
    pub store: Option<Store>,
    /// How many passes may be under way at once in each cluster?
    pub parallel: usize,
}

/// The reconcile role. Cheap to clone.
#[derive(Clone)]
pub struct Reconciler {
    hands: Arc<Hands>,
    /// Is no pass to begin to write any more?
    winding_down: Arc<AtomicBool>,
    /// The pauses and the pins that were last seen.
    orders: Arc<Mutex<(Vec<Pause>, Vec<Pin>)>>,
    shown: Arc<Shown>,
    declarations: Arc<Declarations>,
    rooms: Arc<BTreeMap<Name, Room>>,
    overviews: Arc<BTreeMap<Name, Overview>>,
}

/// What a step did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// There was nothing to do.
    Idle,
    /// A message was worked through.
    Done(Ended),
    /// A message was put back for later.
    Retried {
        /// Why.
        why: String,
        /// For how long.
        after: Duration,
    },
    /// A message was buried.
    Buried {
        /// Why.
        why: String,
    },
    /// The message had been given to somebody else meanwhile.
    Lost,
}

impl Reconciler {
    /// Takes its hands.
    #[must_use]
    pub fn new(hands: Hands) -> Self {
        let room = |name: &Name| (name.clone(), Room::for_passes(hands.parallel));
        Self {
            rooms: Arc::new(hands.clusters.keys().map(room).collect()),
            overviews: Arc::new(
                hands.clusters.keys().map(|name| (name.clone(), Overview::default())).collect(),
            ),
            hands: Arc::new(hands),
            winding_down: Arc::default(),
            orders: Arc::default(),
            shown: Arc::default(),
            declarations: Arc::default(),
        }
    }

    /// Has every pass that has not begun to write handed back before it does, since this process is about to end. Those
    /// that have begun go on to their end.
    pub fn wind_down(&self) {
        self.winding_down.store(true, Ordering::Relaxed);
    }

    /// Takes one job, waiting for it up to `wait`, and works it through.
    ///
    /// # Errors
    /// Only those of the queue; everything else becomes a report, a retry or a burial.
    pub async fn step(&self, wait: Duration) -> Result<Step, crate::queue::Error> {
        let Some(lease) = self.hands.queue.next(&Lane::jobs(&self.hands.lane), wait).await? else {
            return Ok(Step::Idle);
        };
        let job: Job = match lease.read(crate::job::VERSION) {
            Ok(job) => job,
            Err(unread) => return self.unread(&lease, &unread).await,
        };
        let span = |trace: &str| {
            tracing::info_span!("job", trace.id = trace, target.name = %job.target, commit.id = %job.commit,
                dispatch.id = job.dispatch, attempt = lease.deliveries)
        };
        trail::step(lease.trace, span, self.work(&lease, &job)).await
    }

    async fn work(&self, lease: &Lease, job: &Job) -> Result<Step, crate::queue::Error> {
        let _place = match self.rooms.get(&job.target.cluster) {
            Some(room) => match room.enter().await {
                Some(place) => Some(place),
                None => return self.postpone(lease, job).await,
            },
            // The pass says that this process does not know it.
            None => None,
        };
        tracing::info!("job taken");
        let ended = self.hands.queue.holding(lease, self.pass(job)).await;
        if let Some(overview) = self.overviews.get(&job.target.cluster) {
            overview.note_end(&job.target.application);
        }
        let Some(ended) = ended? else { return Ok(Step::Lost) };
        self.settle_job(lease, job, ended).await
    }

    /// Takes one wait for health, waiting for it up to `wait`, and sees it to its end.
    ///
    /// # Errors
    /// As [`Reconciler::step`].
    pub async fn watch_step(&self, wait: Duration) -> Result<Step, crate::queue::Error> {
        let Some(lease) = self.hands.queue.next(&Lane::watch(&self.hands.lane), wait).await? else {
            return Ok(Step::Idle);
        };
        self.watch_through(lease).await
    }

    /// Sees one wait for health to its end; many are seen through at once.
    ///
    /// # Errors
    /// As [`Reconciler::step`].
    pub async fn watch_through(&self, lease: Lease) -> Result<Step, crate::queue::Error> {
        let watch: Watch = match lease.read(crate::job::WATCH_VERSION) {
            Ok(watch) => watch,
            Err(unread) => return self.unread(&lease, &unread).await,
        };
        let span = |trace: &str| tracing::info_span!("watch", trace.id = trace, run.id = watch.run, target.name = %watch.target);
        let work = async {
            let Some(ended) = self.hands.queue.holding(&lease, self.wait(&watch)).await? else {
                return Ok(Step::Lost);
            };
            self.settle_watch(&lease, &watch, ended).await
        };
        trail::step(lease.trace, span, work).await
    }

    /// Returns how many steps may be under way at once: as many passes as are allowed in each of its clusters.
    #[must_use]
    pub fn slots(&self) -> usize {
        self.hands.parallel.max(1).saturating_mul(self.hands.clusters.len().clamp(1, CLUSTERS_AT_ONCE))
    }

    /// Returns the clusters that this role writes to.
    pub fn clusters(&self) -> impl Iterator<Item = &Cluster> {
        self.hands.clusters.values()
    }

    /// Returns the queue that this role serves, for the loop that takes watches from it.
    #[must_use]
    pub fn queue(&self) -> &Queue {
        &self.hands.queue
    }

    /// Returns the lane of watches that this role serves.
    #[must_use]
    pub fn watches(&self) -> Lane {
        Lane::watch(&self.hands.lane)
    }

    /// Makes one whole pass.
    async fn pass(&self, job: &Job) -> Result<Ended, Error> {
        let begun = match self.begin(job).await? {
            Start::Go(begun) => *begun,
            Start::Ended(ended) => return Ok(ended),
        };
        if job.reason == Reason::Failed {
            return self.after_failure(begun).await;
        }
        let ready = match self.prepare(begun).await? {
            Ok(ready) => ready,
            Err(ended) => return Ok(ended),
        };
        if self.winding_down.load(Ordering::Relaxed) {
            return Err(Error::WindingDown);
        }
        if job.reason == Reason::Drifted && ready.is_only_told() {
            return self.report_drift(ready).await;
        }
        if let Some(why) = self.forbidden(&ready.begun).await? {
            return self.hand_back(job, why).await;
        }
        let fenced = self.fence(ready).await?;
        let applied = self.apply(fenced).await?;
        let pruned = self.prune(applied).await?;
        let concluded = self.conclude(pruned).await?;
        self.finish(concluded).await
    }

    fn cluster(&self, name: &Name) -> Result<&Cluster, Error> {
        self.hands.clusters.get(name).ok_or_else(|| Error::UnknownCluster(name.clone()))
    }

    /// Returns the cluster of a run, which is asked in its name, and written in that of its application.
    fn cluster_of(&self, begun: &Begun) -> Result<Cluster, Error> {
        let (name, application) = (&begun.job.target.cluster, &begun.job.application);
        let cluster = self.cluster(name)?.in_run(&begun.run);
        Ok(cluster.written_by(application.user_in(name).as_deref())?)
    }

    fn source(&self, name: &Name) -> Result<&Source, Error> {
        self.hands.sources.get(name).ok_or_else(|| Error::UnknownSource(name.clone()))
    }
}

/// Counts jobs and waits that were put back, by `fault`.
pub const RETRIES: &str = "windlass_reconcile_retries_total";

/// Counts jobs that had to come again later since their `cluster` had as many passes under way as it may, and none came to
/// an end.
pub const POSTPONED: &str = "windlass_reconcile_postponed_total";

/// Counts passes that found drift, by `outcome`.
pub const DRIFTS: &str = "windlass_drifts_total";

/// The seconds from a delivery until its objects are written.
pub const APPLIED_SECONDS: &str = "windlass_applied_seconds";

/// The seconds from a delivery until the verdict of a run, by `phase`.
pub const VERDICT_SECONDS: &str = "windlass_verdict_seconds";

/// Says in one log line how a run ended.
fn log_end(run: &str, job: &Job, phase: Phase, tally: &crate::outcome::Tally) {
    tracing::info!(run.id = run, target.name = %job.target, commit.id = %job.commit, phase = phase.word(),
        created = tally.created, configured = tally.configured, unchanged = tally.unchanged, pruned = tally.pruned,
        since_delivery_ms = now().since(job.received_at), "run {phase}");
    if matches!(phase, Phase::Applied | Phase::Healthy) {
        metrics::histogram!(APPLIED_SECONDS).record(seconds_since(job.received_at));
    }
    note_phase(phase, job.received_at);
}

/// Notes how long a verdict took, where the phase is one.
fn note_phase(phase: Phase, received_at: Moment) {
    if phase.is_final() {
        metrics::histogram!(VERDICT_SECONDS, "phase" => phase.word()).record(seconds_since(received_at));
    }
}

fn seconds_since(moment: Moment) -> f64 {
    Duration::from_millis(now().since(moment)).as_secs_f64()
}
