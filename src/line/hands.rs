//! The hands of a process: its queue, its history, and the way to repositories and clusters.

use std::collections::BTreeMap;
use std::path::Path;

use crate::application::Name;
use crate::cluster;
use crate::cluster::Cluster;
use crate::dial::Reach;
use crate::queue::Lane;
use crate::queue::Queue;
use crate::queue::rabbit;
use crate::reconcile::Required;
use crate::role::Part;
use crate::role::Role;
use crate::settings::Access;
use crate::settings::Settings;
use crate::source;
use crate::source::Source;
use crate::store::Store;
use crate::worker::POST;
use crate::worker::SWEEP;
use crate::worker::patrol;

use super::Error;
use super::forges::Apps;
use super::reader::Reader;

/// The user that a read token goes with; every forge takes any, and this one says what it is.
const TOKEN_USER: &str = "x-access-token";

/// How many characters of a host's name go into the name of a worker?
const HOST_CHARACTERS: usize = 64;

/// Opens the queue: a file in the data folder, or the broker that the settings name.
///
/// # Errors
/// The file or the broker.
pub async fn queue(settings: &Settings) -> Result<Queue, Error> {
    match broker(settings) {
        Some(options) => Ok(Queue::connect(options).await?),
        None => Ok(Queue::open(&queue_path(&settings.data)).await?),
    }
}

/// Returns a name that no other process has, and that says where this one is.
fn worker() -> String {
    let host = std::env::var("HOSTNAME").unwrap_or_else(|_| "windlass".to_owned());
    let host: String = host.chars().take(HOST_CHARACTERS).collect();
    format!("{host}-{}", uuid::Uuid::now_v7().simple())
}

/// Returns by what the broker is reached, where the settings name one.
#[must_use]
pub fn broker(settings: &Settings) -> Option<rabbit::Options> {
    let url = settings.queue.url.clone()?;
    let (ca, lanes) = (settings.queue.ca.clone(), lanes(settings));
    Some(rabbit::Options { ca, lanes, ..rabbit::Options::new(url, &worker()) })
}

/// Returns where the embedded queue of a data folder is.
#[must_use]
pub fn queue_path(data: &Path) -> std::path::PathBuf {
    data.join("queue.db")
}

/// Returns the lanes that a process publishes to or takes from; for who looks after the queue, all of them.
#[must_use]
pub fn lanes(settings: &Settings) -> Vec<Lane> {
    let whole = Part::whole();
    let part = if settings.part.operates() { &whole } else { &settings.part };
    let all = settings.lanes();
    let mut lanes = Vec::new();
    if part.has_any(&[Role::Door, Role::Dispatch, Role::Report]) {
        lanes.push(Lane::reports());
    }
    lanes.extend(part.has(Role::Dispatch).then(|| Lane::duty(SWEEP)));
    lanes.extend(part.has(Role::Report).then(|| Lane::duty(POST)));
    if part.has_any(&[Role::Door, Role::Dispatch]) {
        lanes.push(Lane::events());
    }
    for lane in all.all() {
        let served = Name::parse(lane).is_ok_and(|lane| part.reconciles(&lane));
        if part.has(Role::Dispatch) || served {
            lanes.extend([Lane::jobs(lane), Lane::asks(lane)]);
        }
        if served {
            lanes.extend([Lane::watch(lane), Lane::duty(&patrol(lane))]);
        }
        if part.has(Role::Report) || served {
            lanes.push(Lane::reports_of(lane));
        }
    }
    lanes
}

/// Opens the history, where this process keeps or reads it.
///
/// # Errors
/// The file or the database.
pub async fn store(settings: &Settings) -> Result<Option<Store>, Error> {
    let part = &settings.part;
    match &settings.store.url {
        Some(url) => Ok(Some(Store::connect(url).await?)),
        None if part.is_none() || part.has_any(&[Role::Dispatch, Role::Report]) => {
            Ok(Some(Store::open(&store_path(&settings.data)).await?))
        }
        None => Ok(None),
    }
}

/// Returns where the history of a data folder is.
#[must_use]
pub fn store_path(data: &Path) -> std::path::PathBuf {
    data.join("store.db")
}

/// Opens the caches of all repositories.
///
/// # Errors
/// A cache that cannot be made or opened.
pub fn sources(settings: &Settings, apps: &Apps) -> Result<BTreeMap<Name, Source>, Error> {
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

/// Returns who must have signed the commits of each source, as far as this process applies them.
#[must_use]
pub fn required(settings: &Settings) -> Required {
    settings.sources.iter().map(|(name, one)| (name.clone(), one.signed_by.clone())).collect()
}

/// Prepares the way to the clusters that this process reconciles, those of one lane. Nothing is sent to them.
///
/// # Errors
/// A kubeconfig that cannot be used.
pub async fn clusters(settings: &Settings, lane: &str) -> Result<BTreeMap<Name, Cluster>, Error> {
    let mut clusters = BTreeMap::new();
    for (name, one) in settings.clusters.iter().filter(|(_, one)| one.lane.as_str() == lane) {
        let (kubeconfig, context) = match &one.access {
            Some(Access::Kubeconfig { file, context }) => (Some(file.clone()), context.clone()),
            Some(Access::InCluster) => (None, None),
            None => continue,
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
