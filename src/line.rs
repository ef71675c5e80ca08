//! Puts the line together: from settings to the roles of a process.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::application::Application;
use crate::application::Name;
use crate::courier::Courier;
use crate::dispatch::Dispatcher;
use crate::guard;
use crate::intake::Intake;
use crate::lanes::Lanes;
use crate::opening::Opener;
use crate::patrol::Patrol;
use crate::queue::Queue;
use crate::reconcile::Hands;
use crate::reconcile::Policy;
use crate::reconcile::Reconciler;
use crate::report::Poster;
use crate::report::Reporter;
use crate::role::Role;
use crate::settings::Guard;
use crate::settings::Settings;
use crate::source::Source;
use crate::store::Store;
use crate::sweep::Sweeper;
use crate::worker::Dispatch;
use crate::worker::Report;
use crate::worker::Roles;

mod forges;
mod hands;
mod reader;

pub use self::forges::guests;
pub use self::forges::keys;
pub use self::hands::broker;
pub use self::hands::lanes;
pub use self::hands::queue;
pub use self::hands::queue_path;
pub use self::hands::required;
pub use self::hands::store;
pub use self::hands::store_path;

use self::forges::Apps;

/// Why the line cannot be put together; each message reads on after "failed to".
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The data folder.
    #[error("make the data folder {0}: {1}; set data.dir to a folder that windlass may write")]
    Data(String, std::io::Error),
    /// The queue.
    #[error(transparent)]
    Queue(#[from] crate::queue::Error),
    /// The store.
    #[error(transparent)]
    Store(#[from] crate::store::Error),
    /// A source.
    #[error(transparent)]
    Source(#[from] crate::source::Error),
    /// A cluster.
    #[error(transparent)]
    Cluster(#[from] crate::cluster::Error),
    /// The courier.
    #[error(transparent)]
    Courier(#[from] crate::courier::Error),
}

/// The line, or a part of it, ready to run in one process.
pub struct Line {
    /// The way in; without the door, one that knows no forge.
    pub intake: Arc<Intake>,
    /// The roles behind it.
    pub roles: Roles,
    /// Whose commits are made true.
    pub policy: Policy,
    /// The queue between them.
    pub queue: Queue,
    /// The history, where this process keeps it.
    pub store: Option<Store>,
}

/// What roles are made of.
struct Parts<'a> {
    settings: &'a Settings,
    queue: Queue,
    courier: Courier,
    apps: Apps,
    sources: BTreeMap<Name, Source>,
    lanes: Arc<Lanes>,
    policy: Policy,
}

impl Line {
    /// Opens the queue, the history and the caches, and prepares the way to every forge and cluster, as far as this part
    /// of the line has to do with them. Nothing is sent to any of them.
    ///
    /// # Errors
    /// Whatever cannot be opened, naming it and what to do.
    pub async fn build(settings: &Settings) -> Result<Self, Error> {
        let data = settings.data.as_path();
        let failed = |error| Error::Data(data.display().to_string(), error);
        tokio::fs::create_dir_all(data).await.map_err(failed)?;
        let queue = hands::queue(settings).await?;
        let store = hands::store(settings).await?;
        let near = settings.forges.values().filter(|forge| forge.private).map(|forge| forge.api.as_str());
        let courier = Courier::new()?.near(near);
        let apps = forges::apps(settings, &courier);
        let reads = settings.part.has_any(&[Role::Dispatch, Role::Reconcile]);
        let sources = if reads { hands::sources(settings, &apps)? } else { BTreeMap::new() };
        let lanes = Arc::new(settings.lanes());
        let policy = Policy::new(hands::required(settings));
        let parts =
            Parts { settings, queue: queue.clone(), courier, apps, sources, lanes, policy: policy.clone() };
        let gates = if settings.part.has(Role::Door) { forges::gates(settings) } else { BTreeMap::new() };
        let intake = Intake::new(gates, queue.clone()).at_most(settings.door.about_a_source);
        let (reconcile, patrols) = parts.reconcile(store.as_ref()).await?;
        let roles = Roles {
            dispatch: store.as_ref().and_then(|store| parts.dispatch(store)),
            reconcile,
            patrols,
            report: store.as_ref().and_then(|store| parts.report(store)),
            parallel: settings.reconcile.parallel,
            queue: queue.clone(),
        };
        Ok(Self { intake: Arc::new(intake), roles, policy, queue, store })
    }
}

/// Returns reconcilers that are there to look: they tell their words to a queue of their own in the data folder, which
/// nobody reads, and have no history. Nothing is sent to repositories or clusters yet.
///
/// # Errors
/// As [`Line::build`].
pub async fn lookers(settings: &Settings) -> Result<Vec<Reconciler>, Error> {
    let queue = Queue::open(&queue_path(&settings.data)).await?;
    let near = settings.forges.values().filter(|forge| forge.private).map(|forge| forge.api.as_str());
    let courier = Courier::new()?.near(near);
    let apps = forges::apps(settings, &courier);
    let sources = hands::sources(settings, &apps)?;
    let (lanes, policy) = (Arc::new(settings.lanes()), Policy::new(hands::required(settings)));
    let parts = Parts { settings, queue, courier, apps, sources, lanes, policy };
    Ok(parts.reconcile(None).await?.0)
}

impl Parts<'_> {
    fn dispatch(&self, store: &Store) -> Option<Dispatch> {
        let (settings, applications) = (self.settings, self.settings.applications.clone());
        let dispatcher = Dispatcher::new(
            self.queue.clone(),
            store.clone(),
            self.sources.clone(),
            applications.clone(),
            Lanes::clone(&self.lanes),
        );
        let (queue, sources, lanes) = (self.queue.clone(), self.sources.clone(), Lanes::clone(&self.lanes));
        let windows = settings.windows.clone();
        let opener = Opener::new(queue.clone(), store.clone(), applications.clone(), windows.clone());
        let sweeper = Sweeper::new(queue, store.clone(), sources, applications, lanes);
        let polls = settings.sources.iter().map(|(name, source)| (name.clone(), source.poll));
        settings.part.has(Role::Dispatch).then(|| Dispatch {
            dispatcher: Arc::new(dispatcher.behind(windows)),
            opener: Arc::new(opener),
            sweeper: Arc::new(sweeper.keeping(settings.store.keep)),
            polls: polls.collect(),
        })
    }

    /// Makes a reconciler and a patrol for each lane that is served, with the clusters of that lane only.
    async fn reconcile(&self, store: Option<&Store>) -> Result<(Vec<Reconciler>, Vec<Arc<Patrol>>), Error> {
        let settings = self.settings;
        let (mut reconcilers, mut patrols) = (Vec::new(), Vec::new());
        for lane in self.lanes.all() {
            let clusters = hands::clusters(settings, lane).await?;
            if clusters.is_empty() {
                continue;
            }
            let (queue, installation) = (self.queue.clone(), settings.installation.to_string());
            let patrol = Patrol::new(queue, lane.to_owned(), installation, clusters.clone());
            // A process without the applications cannot tell which ones left the settings.
            let knows = settings.part.has_any(&[Role::Dispatch, Role::Report]);
            let declared = || settings.applications.iter().flat_map(Application::targets).collect();
            patrols.push(Arc::new(if knows { patrol.knowing(declared()) } else { patrol }));
            reconcilers.push(Reconciler::new(Hands {
                queue: self.queue.clone(),
                applications: settings.applications.clone(),
                sources: self.sources.clone(),
                clusters,
                lane: lane.to_owned(),
                installation: settings.installation.to_string(),
                guard: limits(&settings.guard),
                health: settings.health.clone(),
                policy: self.policy.clone(),
                store: store.cloned(),
                parallel: settings.reconcile.parallel,
            }));
        }
        Ok((reconcilers, patrols))
    }

    fn report(&self, store: &Store) -> Option<Report> {
        let settings = self.settings;
        let reporter = |lane: &str| {
            let lanes = Arc::clone(&self.lanes);
            Arc::new(Reporter::of_lane(self.queue.clone(), store.clone(), lane, lanes))
        };
        let own = Arc::new(Reporter::new(self.queue.clone(), store.clone()));
        let addresses = forges::addresses(settings, &self.apps);
        let link = settings.report.link.clone();
        settings.part.has(Role::Report).then(|| Report {
            reporters: std::iter::once(own).chain(self.lanes.all().into_iter().map(reporter)).collect(),
            poster: Arc::new(Poster::new(store.clone(), self.courier.clone(), addresses, link)),
            recoverers: forges::recoverers(settings, &self.apps, &self.courier),
        })
    }
}

/// Returns what the guard allows.
fn limits(guard: &Guard) -> guard::Limits {
    let Guard { least, percent, kinds } = guard.clone();
    guard::Limits { least, percent, kinds }
}
