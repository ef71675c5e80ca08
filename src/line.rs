//! Puts the line together: from settings to the roles of a process.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use crate::application::Application;
use crate::application::Name;
use crate::application::Target;
use crate::cluster;
use crate::cluster::Cluster;
use crate::courier::App;
use crate::courier::Courier;
use crate::courier::Credential;
use crate::dial::Reach;
use crate::dispatch::Dispatcher;
use crate::guard;
use crate::intake::Intake;
use crate::intake::Keys;
use crate::intake::Known;
use crate::queue::Queue;
use crate::reconcile::Hands;
use crate::reconcile::Reconciler;
use crate::recover::Hooks;
use crate::recover::Recoverer;
use crate::report::Address;
use crate::report::Poster;
use crate::report::Reporter;
use crate::server::Guests;
use crate::settings::Access;
use crate::settings::Settings;
use crate::source;
use crate::source::Source;
use crate::store::Store;
use crate::sweep::Sweeper;
use crate::worker::Roles;

mod reader;

use self::reader::Reader;

/// The lane of every cluster, until clusters have lanes of their own.
pub const LANE: &str = "shared";

/// The user that a read token goes with; every forge takes any, and this one says what it is.
const TOKEN_USER: &str = "x-access-token";

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

/// The line, ready to run in one process.
pub struct Line {
    /// The way in.
    pub intake: Arc<Intake>,
    /// The roles behind it.
    pub roles: Roles,
    /// The queue between them.
    pub queue: Queue,
    /// The history.
    pub store: Store,
}

impl Line {
    /// Opens the queue, the store and the caches in the data folder, and prepares the way to every forge and cluster.
    /// Nothing is sent to any of them.
    ///
    /// # Errors
    /// Whatever cannot be opened, naming it and what to do.
    pub async fn build(settings: &Settings) -> Result<Self, Error> {
        let data = settings.data.as_path();
        let failed = |error| Error::Data(data.display().to_string(), error);
        tokio::fs::create_dir_all(data).await.map_err(failed)?;
        let queue = Queue::open(&data.join("queue.db")).await?;
        let store = Store::open(&store_path(data)).await?;
        let near = settings.forges.values().filter(|forge| forge.private).map(|forge| forge.api.as_str());
        let courier = Courier::new()?.near(near);
        let apps = apps(settings, &courier);
        let sources = sources(settings, &apps)?;
        let hands = Hands {
            queue: queue.clone(),
            sources: sources.clone(),
            clusters: clusters(settings).await?,
            lane: LANE.to_owned(),
            installation: settings.installation.to_string(),
            guard: guard::Limits { least: settings.guard.least, percent: settings.guard.percent },
        };
        let applications = settings.applications.clone();
        let dispatcher = Dispatcher::new(
            queue.clone(),
            store.clone(),
            sources.clone(),
            applications.clone(),
            LANE.to_owned(),
        );
        let recoverers = recoverers(settings, &apps, &courier);
        let link = settings.report.link.clone();
        let poster = Poster::new(store.clone(), courier, addresses(settings, &apps), link);
        let roles = Roles {
            dispatcher: Arc::new(dispatcher),
            reconciler: Reconciler::new(hands),
            reporter: Arc::new(Reporter::new(queue.clone(), store.clone())),
            poster: Arc::new(poster),
            sweeper: Arc::new(Sweeper::new(queue.clone(), store.clone(), sources, applications)),
            recoverers,
            polls: settings.sources.iter().map(|(name, source)| (name.clone(), source.poll)).collect(),
            parallel: settings.reconcile.parallel,
        };
        let intake = Intake::new(gates(settings), queue.clone()).at_most(settings.door.about_a_source);
        let intake = Arc::new(intake);
        Ok(Self { intake, roles, queue, store })
    }
}

/// Returns where the history of a data folder is.
#[must_use]
pub fn store_path(data: &Path) -> std::path::PathBuf {
    data.join("store.db")
}

/// The Apps of the forges that have one.
type Apps = BTreeMap<Name, App>;

fn apps(settings: &Settings, courier: &Courier) -> Apps {
    let of = |forge: &crate::settings::Forge| {
        let app = forge.app.as_ref()?;
        Some(App::new(courier.clone(), forge.api.clone(), app.id.clone(), app.key.clone()))
    };
    settings.forges.iter().filter_map(|(name, forge)| Some((name.clone(), of(forge)?))).collect()
}

fn sources(settings: &Settings, apps: &Apps) -> Result<BTreeMap<Name, Source>, Error> {
    let limits = source::Limits {
        files: settings.limits.files,
        file_bytes: settings.limits.file_bytes,
        total_bytes: settings.limits.total_bytes,
        depth: settings.limits.depth,
        fetch_bytes: settings.limits.fetch_bytes,
        fetch_for: settings.limits.fetch_within,
    };
    let opened = settings.sources.iter().map(|(name, one)| {
        let forge = settings.forges.get(&one.forge);
        let token = forge.and_then(|forge| forge.read_token.clone());
        let app = apps.get(&one.forge).filter(|_| token.is_none());
        let opened = source::Settings {
            name: name.clone(),
            url: one.url.clone(),
            token,
            user: TOKEN_USER.to_owned(),
            reach: forge.map_or(Reach::Public, |forge| forge.reach()),
            cache: settings.data.join("sources"),
            limits: limits.clone(),
        };
        let tokens = app.map(|app| Reader::of(app, &one.repository));
        Ok((name.clone(), Source::open_by(opened, tokens)?))
    });
    opened.collect()
}

async fn clusters(settings: &Settings) -> Result<BTreeMap<Name, Cluster>, Error> {
    let mut clusters = BTreeMap::new();
    for (name, one) in &settings.clusters {
        let (kubeconfig, context) = match &one.access {
            Access::Kubeconfig { file, context } => (Some(file.clone()), context.clone()),
            Access::InCluster => (None, None),
        };
        let cluster = Cluster::connect(cluster::Settings {
            name: name.clone(),
            kubeconfig,
            context,
            namespace: one.namespace.clone(),
            requests: settings.reconcile.requests,
            installation: settings.installation.clone(),
        });
        clusters.insert(name.clone(), cluster.await?);
    }
    Ok(clusters)
}

/// Returns by what right a forge is written to.
fn credential(name: &Name, forge: &crate::settings::Forge, apps: &Apps) -> Option<Credential> {
    let app = apps.get(name).cloned().map(Credential::App);
    app.or_else(|| forge.token.clone().map(Credential::Token))
}

fn recoverers(settings: &Settings, apps: &Apps, courier: &Courier) -> Vec<(Name, Arc<Recoverer>)> {
    let of = |name: &Name, forge: &crate::settings::Forge| {
        let held = settings.sources.values().filter(|source| source.forge == *name);
        let hooks = Hooks {
            forge: name.clone(),
            kind: forge.kind,
            api: forge.api.clone(),
            url: forge.hook_url.clone()?,
            credential: credential(name, forge, apps)?,
            repositories: held.map(|source| source.repository.clone()).collect(),
        };
        Some((name.clone(), Arc::new(Recoverer::new(courier.clone(), hooks))))
    };
    settings.forges.iter().filter_map(|(name, forge)| of(name, forge)).collect()
}

fn addresses(settings: &Settings, apps: &Apps) -> BTreeMap<Name, Address> {
    let folders = |source: &Name| {
        let own = settings.applications.iter().filter(|application| application.source == *source);
        let read = |one: &Application, target: Target| (target.clone(), one.path_in(&target.cluster));
        own.flat_map(|one| one.targets().map(move |target| read(one, target))).collect()
    };
    let of = |name: &Name, one: &crate::settings::Source| {
        let forge = settings.forges.get(&one.forge)?;
        Some(Address {
            forge: forge.kind.rules(),
            api: forge.api.clone(),
            repository: one.repository.clone(),
            credential: credential(&one.forge, forge, apps),
            folders: folders(name),
        })
    };
    settings.sources.iter().filter_map(|(name, one)| Some((name.clone(), of(name, one)?))).collect()
}

fn gates(settings: &Settings) -> BTreeMap<Name, Known> {
    let mut keys = keys(settings);
    let of = |(name, forge): (&Name, &crate::settings::Forge)| {
        let held = settings.sources.iter().filter(|(_, source)| source.forge == *name);
        let sources = held.map(|(name, source)| (name.clone(), source.repository.clone())).collect();
        let known = Known { kind: forge.kind, keys: keys.remove(name).unwrap_or_default(), sources };
        (name.clone(), known)
    };
    settings.forges.iter().map(of).collect()
}

/// Returns the secrets of the webhooks of each forge.
#[must_use]
pub fn keys(settings: &Settings) -> BTreeMap<Name, Keys> {
    let of = |(name, forge): (&Name, &crate::settings::Forge)| {
        let held = settings.sources.iter().filter(|(_, source)| source.forge == *name);
        let own = held.filter(|(_, source)| !source.webhook_secrets.is_empty());
        let own = own.map(|(name, source)| (name.clone(), source.webhook_secrets.clone())).collect();
        (name.clone(), Keys { shared: forge.webhook_secrets.clone(), own })
    };
    settings.forges.iter().map(of).collect()
}

/// Returns who may knock at the door, and how often.
#[must_use]
pub fn guests(settings: &Settings) -> Guests {
    let listed = settings.forges.iter().filter(|(_, forge)| !forge.allowed_from.is_empty());
    let allowed = listed.map(|(name, forge)| (name.clone(), forge.allowed_from.clone())).collect();
    Guests::new(settings.door.trusted_proxies.clone(), allowed, settings.door.unsigned)
}
