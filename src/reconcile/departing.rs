//! An application while it is deleted: what of it is still there, and the fence under which it goes.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;

use futures::StreamExt;
use futures::stream;
use tokio::time::Instant;

use crate::annotation::Turn;
use crate::application::Propagation;
use crate::application::Target;
use crate::applyset;
use crate::applyset::Fence;
use crate::applyset::Parent;
use crate::cluster::Answer;
use crate::cluster::Cluster;
use crate::cluster::Deleted;
use crate::cluster::Kinds;
use crate::member;
use crate::object::Live;
use crate::object::ObjectId;
use crate::plan;
use crate::takeover::release;

use super::Error;
use super::Reconciler;
use super::delete::Departed;
use super::delete::Fate;
use super::delete::Order;
use super::delete::Undeleted;
use super::gone::await_gone;
use super::prepare::Extent;
use super::write::RACES;

/// Who is told what became of each object.
type Tell<'a> = &'a mut (dyn FnMut(&ObjectId, &Fate) + Send);

/// An application that is being deleted.
pub(super) struct Departing<'a> {
    reconciler: &'a Reconciler,
    order: Order<'a>,
    tell: Tell<'a>,
    cluster: Cluster,
    kinds: Arc<Kinds>,
    pub(super) manager: String,
    /// The parent as this run wrote it last.
    parent: Parent,
    /// The kinds and namespaces that members could be of and in when this began.
    extent: Extent,
    /// What stays, or is still there.
    pub(super) left: Vec<Live>,
    until: Instant,
}

impl<'a> Departing<'a> {
    /// Takes the fence, where there is one to take.
    pub(super) async fn begin(
        reconciler: &'a Reconciler,
        order: Order<'a>,
        tell: Tell<'a>,
    ) -> Result<Self, Undeleted> {
        let target = order.target;
        let run = uuid::Uuid::now_v7().to_string();
        let cluster = reconciler.cluster(&target.cluster)?.in_run(&run);
        let mut parent = cluster.parent(&target.application).await?;
        if parent.resource_version.is_none() {
            let parents = cluster.parents().await?;
            let known = parents.iter().filter_map(|parent| applyset::application(&parent.name)).collect();
            return Err(Undeleted::Absent { target: target.clone(), known });
        }
        reconciler.is_ours(&target.cluster, &parent).map_err(|error| not_ours(error, target))?;
        let before = parent.fence;
        parent.fence = Fence {
            installation: reconciler.hands.installation.clone(),
            cluster: target.cluster.to_string(),
            run,
            generation: before.generation + 1,
            done: false,
            again: false,
            owned: None,
            since: before.made_true().cloned(),
            // Should it come back, nothing of it is known to be written.
            next: Some(Turn::NONE_YET),
            withheld: BTreeSet::new(),
            unwritten: BTreeSet::new(),
            ..before
        };
        let extent = Extent { kinds: parent.group_kinds.clone(), namespaces: parent.namespaces.clone() };
        let parent =
            reconciler.take(&target.cluster, &parent).await.map_err(|error| not_ours(error, target))?;
        let (kinds, until) = (cluster.discover().await?, Instant::now() + order.within);
        let manager = member::manager(&target.application);
        let left = Vec::new();
        Ok(Self { reconciler, order, tell, cluster, kinds, manager, parent, extent, left, until })
    }

    /// Lists the members. All kinds must be known, and all lists answered: what is not seen would stay for good.
    pub(super) async fn members(&self) -> Result<Vec<Live>, Undeleted> {
        let (namespaces, versions) = (self.namespaces(), BTreeMap::new());
        let kinds = self.extent.kinds.iter();
        let found = self.cluster.members(&self.parent.id(), &self.kinds, kinds, &versions, &namespaces).await;
        let place = format!("ConfigMap/{}/{}", self.parent.namespace, self.parent.name);
        let unknown = found.unknown.iter().map(|kind| {
            format!(
                "the cluster does not know the kind {kind} at present; bring it back, or, where it is gone for good, \
                 take it out of the annotation {} of {place}",
                applyset::GROUP_KINDS
            )
        });
        let failed = found.errors.iter().map(|error| format!("failed to {error}"));
        let why: Vec<String> = unknown.chain(failed).collect();
        if why.is_empty() {
            return Ok(found.found);
        }
        Err(Undeleted::Unlisted { target: self.order.target.clone(), why: why.join("; ") })
    }

    fn namespaces(&self) -> Vec<String> {
        self.extent.namespaces.iter().cloned().collect()
    }

    pub(super) fn tell(&mut self, id: &ObjectId, fate: &Fate) {
        (self.tell)(id, fate);
    }

    /// Notes that an object is still there.
    pub(super) fn keep(&mut self, live: Live, fate: Fate) {
        self.tell(&live.id, &fate);
        self.left.push(live);
    }

    /// Replaces the parent, which nobody else may have written meanwhile, by one that names the kinds and namespaces of
    /// what is still there alone: a kind whose definition goes next is not looked for again.
    pub(super) async fn hold_fence<'b>(
        &mut self,
        there: impl Iterator<Item = &'b Live>,
    ) -> Result<(), Undeleted> {
        let mut extent = Extent::default();
        there.for_each(|live| extent.add(&live.id));
        self.left.iter().for_each(|live| extent.add(&live.id));
        self.parent.group_kinds = extent.kinds;
        self.parent.namespaces = extent.namespaces;
        let taken = self.reconciler.take(&self.order.target.cluster, &self.parent).await;
        self.parent = taken.map_err(|error| not_ours(error, self.order.target))?;
        Ok(())
    }

    /// Deletes the objects of one stage, and waits until they are gone; returns whether they were in time.
    pub(super) async fn delete(&mut self, stage: Vec<Live>) -> Result<bool, Undeleted> {
        let (stage, held): (Vec<_>, Vec<_>) =
            stage.into_iter().partition(|live| !self.left.iter().any(|one| plan::holds(live, one)));
        for live in held {
            self.keep(live, Fate::Held("it holds what is still there".to_owned()));
        }
        let (reconciler, cluster, kinds) = (self.reconciler, &self.cluster, &self.kinds);
        let (target, parent, how) = (self.order.target, &self.parent, Propagation::Background);
        let deletes = stage.into_iter().map(|live| async move {
            let answer = reconciler.delete(cluster, kinds, (target, parent), live.clone(), how).await;
            (live, answer)
        });
        let deletes: Vec<_> = deletes.collect();
        let answers: Vec<_> = stream::iter(deletes).buffered(self.cluster.requests()).collect().await;
        let mut going = Vec::new();
        for (live, answer) in answers {
            match answer {
                Ok(Deleted::Gone) => self.tell(&live.id, &Fate::Deleted),
                Ok(Deleted::Going) => going.push(live),
                Err(Error::Overtaken(_)) => return Err(Undeleted::Overtaken(target.clone())),
                Err(error) => {
                    let why = format!("failed to {}", crate::fault::chain(&error));
                    self.keep(live, Fate::Failed(why));
                }
            }
        }
        let going_by = (&self.cluster, self.kinds.as_ref(), self.parent.id());
        let mut waiting = await_gone(going_by, &going, self.until).await;
        let is_in_time = waiting.is_empty();
        for live in going {
            match waiting.remove(&live.id) {
                Some(why) => self.keep(live, Fate::Going(why)),
                None => self.tell(&live.id, &Fate::Deleted),
            }
        }
        Ok(is_in_time)
    }

    /// Lets go of what stays, and deletes the parent, once nothing else is there.
    pub(super) async fn finish(
        mut self,
        released: Vec<(Live, Option<String>)>,
    ) -> Result<Departed, Undeleted> {
        self.hold_fence(released.iter().map(|(live, _)| live)).await?;
        let known: BTreeSet<&ObjectId> = released.iter().map(|(live, _)| &live.id).collect();
        let unseen = self.unseen(&known).await?;
        for live in unseen {
            let why = "it was written meanwhile, by a pass that was under way: run this again";
            self.keep(live, Fate::Held(why.to_owned()));
        }
        if self.left.is_empty() {
            self.release_all(&released).await?;
        }
        if self.left.is_empty() {
            let gone = self.cluster.delete_parent(&self.parent).await.map_err(Error::from);
            gone.map_err(|error| not_ours(error, self.order.target))?;
            return Ok(Departed { done: true, untouched: 0 });
        }
        self.hold_fence(released.iter().map(|(live, _)| live)).await?;
        Ok(Departed::default())
    }

    /// Lists what is a member by now that was not known of. Kinds whose definitions went have none.
    async fn unseen(&self, known: &BTreeSet<&ObjectId>) -> Result<Vec<Live>, Undeleted> {
        let (set, kinds) = (self.parent.id(), self.extent.kinds.iter());
        let found =
            self.cluster.members(&set, &self.kinds, kinds, &BTreeMap::new(), &self.namespaces()).await;
        if let Some(error) = found.errors.into_iter().next() {
            return Err(error.into());
        }
        let ours = found.found.into_iter().filter(|live| plan::is_ours(live, &self.manager));
        Ok(ours.filter(|live| !known.contains(&live.id)).collect())
    }

    async fn release_all(&mut self, released: &[(Live, Option<String>)]) -> Result<(), Undeleted> {
        let releases = released.iter().map(|(live, why)| {
            let this = &*self;
            async move { (live, why, this.release(live).await) }
        });
        let releases: Vec<_> = releases.collect();
        let answers: Vec<_> = stream::iter(releases).buffered(self.cluster.requests()).collect().await;
        for (live, why, answer) in answers {
            match (answer, why) {
                (Ok(()), None) => self.tell(&live.id, &Fate::Orphaned),
                (Ok(()), Some(why)) => {
                    self.tell(&live.id, &Fate::Kept(format!("{why}; it belongs to nobody from now on")));
                }
                (Err(Error::Overtaken(_)), _) => {
                    return Err(Undeleted::Overtaken(self.order.target.clone()));
                }
                (Err(error), _) => {
                    let why = format!("failed to {}", crate::fault::chain(&error));
                    self.keep(live.clone(), Fate::Failed(why));
                }
            }
        }
        Ok(())
    }

    /// Lets go of one object. Where it changed since it was read, the fence is looked at, then the object, three times.
    async fn release(&self, live: &Live) -> Result<(), Error> {
        let mut live = live.clone();
        let mut tries = 0;
        loop {
            tries += 1;
            let Some(patch) = release(&live.value, &self.manager) else { return Ok(()) };
            let error = match self.cluster.release(&self.kinds, &live, &patch).await {
                Err(error) if error.answer().is_some_and(Answer::is_conflict) && tries < RACES => error,
                Err(error) if error.answer().is_some_and(Answer::is_not_found) => return Ok(()),
                answer => return answer.map_err(Error::from),
            };
            self.reconciler.still_ours(self.order.target, &self.parent).await?;
            let found = self.cluster.read(&self.kinds, &[(live.api_version.as_str(), &live.id)]).await;
            let found = found.map_err(|errors| errors.into_iter().next().unwrap_or(error))?;
            match found.into_iter().next().filter(|now| now.uid() == live.uid()) {
                Some(now) => live = now,
                None => return Ok(()),
            }
        }
    }
}

/// Returns why a target could not be deleted, where it turned out to be another's.
fn not_ours(error: Error, target: &Target) -> Undeleted {
    let is_conflict =
        matches!(&error, Error::Cluster(error) if error.answer().is_some_and(Answer::is_conflict));
    match error {
        Error::Foreign(owner) => Undeleted::Foreign(target.clone(), owner),
        Error::Twice(_, name) => Undeleted::Twice(target.clone(), name),
        Error::Overtaken(_) => Undeleted::Overtaken(target.clone()),
        _ if is_conflict => Undeleted::Overtaken(target.clone()),
        Error::UnknownCluster(_)
        | Error::UnknownSource(_)
        | Error::Owned(..)
        | Error::Moving(_)
        | Error::Leaving(_)
        | Error::Early(_)
        | Error::Signature { .. }
        | Error::Lagging
        | Error::WindingDown
        | Error::Source(_)
        | Error::Cluster(_)
        | Error::Queue(_) => Undeleted::Other(error),
    }
}
