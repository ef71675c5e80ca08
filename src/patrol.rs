//! Watches what applications hold in the clusters of a lane, and asks for a pass where somebody else changed it.
//!
//! Comes in: the parents in each cluster, which say what there is to watch, and the metadata of their members. Goes out:
//! events that say that a target drifted. What was changed, and what is done about it, the pass finds out.

mod members;
mod pace;
mod watchlist;

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio::time::sleep;
use tokio::time::sleep_until;

use crate::application::Name;
use crate::application::Target;
use crate::clock::now;
use crate::cluster::Cluster;
use crate::cluster::Error;
use crate::cluster::Kinds;
use crate::cluster::Place;
use crate::cluster::SIGHTINGS;
use crate::cluster::Seen;
use crate::cluster::Selector;
use crate::event::Event;
use crate::event::What;
use crate::member;
use crate::object::GroupKind;
use crate::object::Scope;
use crate::queue::Draft;
use crate::queue::Queue;

pub use watchlist::Suspicion;
pub use watchlist::Watchlist;

/// How many namespaces of one kind are watched each by itself? Beyond that, the kind is watched in the whole cluster.
const NAMESPACES: usize = 8;

/// How long is waited for more drift of a target before a pass is asked for? Many objects often go at once.
const GATHER: Duration = Duration::from_millis(100);

/// How long is waited before a cluster that does not answer is asked again?
const AGAIN_AFTER: Duration = Duration::from_secs(5);

/// How often are kinds looked for that the cluster did not know yet?
const DISCOVER_EVERY: Duration = Duration::from_secs(30);

/// The patrol of the clusters of one lane.
pub struct Patrol {
    queue: Queue,
    lane: String,
    installation: String,
    clusters: BTreeMap<Name, Cluster>,
    /// The targets of the settings, where this process knows them.
    declared: Option<BTreeSet<Target>>,
    /// Those that were told to be left behind.
    behind: Mutex<BTreeSet<Target>>,
}

impl Patrol {
    /// Takes the queue that is asked, and the clusters of a lane.
    #[must_use]
    pub fn new(queue: Queue, lane: String, installation: String, clusters: BTreeMap<Name, Cluster>) -> Self {
        Self { queue, lane, installation, clusters, declared: None, behind: Mutex::default() }
    }

    /// Says which targets the settings have, so that it is told once of each other one that is still in a cluster.
    #[must_use]
    pub fn knowing(self, declared: BTreeSet<Target>) -> Self {
        Self { declared: Some(declared), ..self }
    }

    /// Returns the lane whose clusters it watches.
    #[must_use]
    pub fn lane(&self) -> &str {
        &self.lane
    }

    /// Watches all clusters until it is dropped.
    pub async fn run(&self) {
        let rounds = self.clusters.values().map(|cluster| async move {
            loop {
                if let Err(error) = self.round(cluster).await {
                    tracing::warn!(cluster.name = %cluster.name(), %error, "drift is not seen for now: failed to {error}");
                }
                sleep(AGAIN_AFTER).await;
            }
        });
        futures::future::join_all(rounds).await;
    }

    /// Watches one cluster until it fails to say what there is to watch.
    async fn round(&self, cluster: &Cluster) -> Result<(), Error> {
        let mut round = Round::begin(self, cluster).await?;
        loop {
            round.step().await?;
        }
    }
}

/// The patrol of one cluster.
struct Round<'a> {
    patrol: &'a Patrol,
    cluster: &'a Cluster,
    kinds: std::sync::Arc<Kinds>,
    discovered: Instant,
    list: Watchlist,
    parents: mpsc::Receiver<Seen>,
    members: mpsc::Receiver<Seen>,
    sender: mpsc::Sender<Seen>,
    /// What is watched: a kind, in one namespace or in the whole cluster.
    watched: BTreeSet<(GroupKind, Option<String>)>,
    /// Does the cluster not know some kind that is to be watched?
    unknown: bool,
    due: BTreeMap<Target, Due>,
}

/// A pass that is to be asked for.
#[derive(Clone)]
struct Due {
    at: Instant,
    source: Name,
    /// Does one of the objects say itself that its drift is looked at?
    own: bool,
    because: Suspicion,
}

impl<'a> Round<'a> {
    async fn begin(patrol: &'a Patrol, cluster: &'a Cluster) -> Result<Self, Error> {
        let kinds = cluster.discover().await?;
        let (of_parents, parents) = mpsc::channel(SIGHTINGS);
        let (sender, members) = mpsc::channel(SIGHTINGS);
        let place = Place { api_version: "v1", kind: "ConfigMap", namespace: Some(cluster.namespace()) };
        cluster.follow(&kinds, &place, Selector::Label(member::SET.to_owned()), None, of_parents);
        let (watched, due, list) = (BTreeSet::new(), BTreeMap::new(), Watchlist::default());
        let discovered = Instant::now();
        Ok(Self {
            patrol,
            cluster,
            kinds,
            discovered,
            list,
            parents,
            members,
            sender,
            watched,
            unknown: false,
            due,
        })
    }

    /// Takes in one thing that was seen, or asks for the passes that are due.
    async fn step(&mut self) -> Result<(), Error> {
        let next = self.due.values().map(|due| due.at).min();
        let look = self.unknown.then(|| self.discovered + DISCOVER_EVERY);
        let until = next.into_iter().chain(look).min().unwrap_or_else(|| Instant::now() + DISCOVER_EVERY);
        tokio::select! {
            // Parents come first: they say whose a member is, and whether a pass is under way.
            biased;
            Some(seen) = self.parents.recv() => self.parent(seen).await,
            Some(seen) = self.members.recv() => { self.member(seen); Ok(()) }
            () = sleep_until(until) => { self.ask().await; self.look_again().await; Ok(()) }
        }
    }

    async fn parent(&mut self, seen: Seen) -> Result<(), Error> {
        match seen {
            Seen::There(live) => {
                let suspected = self.list.parent(&live, &self.patrol.installation);
                suspected.into_iter().for_each(|one| self.suspect(one));
                self.watch().await?;
            }
            Seen::Gone(live) => self.list.parent_gone(&live),
            Seen::Listed(listed) => {
                self.list.parents_listed(&listed);
                self.tell_of_those_left_behind();
            }
            Seen::Lost(error) => self.lost(&error),
        }
        Ok(())
    }

    /// Tells, once in this process, of each application that left the settings and is still here.
    fn tell_of_those_left_behind(&self) {
        let Some(declared) = &self.patrol.declared else { return };
        let mut told = self.patrol.behind.lock().unwrap_or_else(PoisonError::into_inner);
        for target in self.list.left_behind(self.cluster.name(), declared) {
            if told.insert(target.clone()) {
                tracing::warn!(target.name = %target, "{target} left the settings, and what it applied is still in the \
                    cluster: put it back, or run windlass delete {target}");
            }
        }
    }

    fn member(&mut self, seen: Seen) {
        let suspicions: Vec<Suspicion> = match seen {
            Seen::There(live) => self.list.member(*live).into_iter().collect(),
            Seen::Gone(live) => self.list.member_gone(&live.id).into_iter().collect(),
            Seen::Listed(listed) => self.list.members_listed(&listed),
            Seen::Lost(error) => return self.lost(&error),
        };
        suspicions.into_iter().for_each(|one| self.suspect(one));
    }

    fn lost(&self, error: &Error) {
        tracing::debug!(cluster.name = %self.cluster.name(), "a watch begins anew: failed to {error}");
    }

    fn suspect(&mut self, because: Suspicion) {
        let now_ms = u64::try_from(now().0).unwrap_or_default();
        let Some((target, source, wait_ms)) = self.list.ask(&because, self.cluster.name(), now_ms) else {
            return;
        };
        let at = Instant::now() + GATHER.max(Duration::from_millis(wait_ms));
        let own = because.own;
        let due = Due { at, source, own, because };
        let known = self.due.entry(target).or_insert_with(|| due.clone());
        known.at = known.at.min(at);
        known.own |= own;
        // What was changed is certain; what is gone may turn out to be well.
        if known.because.gone && !due.because.gone {
            known.because = due.because;
        }
    }

    /// Asks for the passes that are due. What the queue does not take is asked for a little later.
    async fn ask(&mut self) {
        let now_here = Instant::now();
        let due: Vec<Target> =
            self.due.iter().filter(|(_, due)| due.at <= now_here).map(|(target, _)| target.clone()).collect();
        for target in due {
            let Some(Due { source, own, because, .. }) = self.due.remove(&target) else { continue };
            if !self.list.stands(&because) {
                continue;
            }
            tracing::info!(target.name = %target, object = %because.object, "somebody else changed what was applied");
            let id = uuid::Uuid::now_v7().to_string();
            let event = Event::new(id, source.clone(), What::Drift { target: target.clone(), own }, now());
            if let Err(error) = self.patrol.queue.publish(vec![Draft::ask(&self.patrol.lane, &event)]).await {
                tracing::warn!(target.name = %target, "a pass is asked for again later: failed to {error}");
                self.due.insert(target, Due { at: now_here + AGAIN_AFTER, source, own, because });
            }
        }
    }

    /// Looks whether the cluster knows by now what it did not. What is watched goes on, whatever it says.
    async fn look_again(&mut self) {
        if let Err(error) = self.watch().await {
            self.lost(&error);
            (self.unknown, self.discovered) = (true, Instant::now());
        }
    }

    /// Begins to watch what came to be watched, and what the cluster did not know before.
    async fn watch(&mut self) -> Result<(), Error> {
        let again = self.unknown && self.discovered.elapsed() >= DISCOVER_EVERY;
        let grew = self.list.grew();
        if !grew && !self.unknown {
            return Ok(());
        }
        if grew || again {
            self.list.recollect();
        }
        // A pass of this process that brought a definition had kinds discovered anew.
        self.kinds = self.cluster.kinds().await?;
        self.unknown = false;
        for (kind, namespaces) in self.list.places() {
            if self.kinds.api_version(kind).is_none() && self.discovered.elapsed() >= DISCOVER_EVERY {
                (self.kinds, self.discovered) = (self.cluster.discover().await?, Instant::now());
            }
            let Some(version) = self.kinds.api_version(kind).map(str::to_owned) else {
                self.unknown = true;
                continue;
            };
            let spread = self.kinds.scope(&version, &kind.kind) == Some(Scope::Cluster)
                || namespaces.len() > NAMESPACES;
            let places = if spread { vec![None] } else { namespaces.iter().cloned().map(Some).collect() };
            for namespace in places {
                if self.watched.contains(&(kind.clone(), None))
                    || !self.watched.insert((kind.clone(), namespace.clone()))
                {
                    continue;
                }
                let place =
                    Place { api_version: &version, kind: &kind.kind, namespace: namespace.as_deref() };
                let members = Selector::Label(member::PART_OF.to_owned());
                self.cluster.follow_metadata(&self.kinds, &place, members, self.sender.clone());
            }
        }
        Ok(())
    }
}
