//! Moves of objects from one application to another: nothing is deleted, and nothing created anew.
//!
//! Both sides look at what the other declares, and neither waits for the other. Whoever no longer declares an object
//! leaves it where it is as long as another application of the same repository declares it. Whoever declares it takes it
//! once its owner does so no longer at the tip of its own reference.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use tokio::sync::OnceCell;

use crate::application::Name;
use crate::applyset;
use crate::applyset::Reads;
use crate::commit::CommitId;
use crate::commit::Inputs;
use crate::fault::chain;
use crate::member;
use crate::object::Live;
use crate::object::ObjectId;

use super::Begun;
use super::Error;
use super::Reconciler;

/// What an application declares, as far as it can be read.
type Ids = Option<Arc<BTreeSet<ObjectId>>>;

/// What applications declared when they were last looked at, with what they read then: an entry for each target at most.
#[derive(Debug, Default)]
pub(super) struct Declarations(Mutex<BTreeMap<(Name, Name), Declaration>>);

/// What was read, and what that declares.
type Declaration = (Inputs, Reads, Ids);

impl Declarations {
    fn known(&self, key: &(Name, Name), inputs: &Inputs, reads: &Reads) -> Option<Ids> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (then, read, ids) = all.get(key)?;
        ((then, read) == (inputs, reads)).then(|| ids.clone())
    }

    fn note(&self, key: (Name, Name), inputs: Inputs, reads: Reads, ids: Ids) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key, (inputs, reads, ids));
    }
}

/// What the owners of objects declare at their own tips, looked up once in a pass.
#[derive(Debug, Default)]
pub(super) struct Owners(Mutex<BTreeMap<Name, Arc<OnceCell<Ids>>>>);

impl Owners {
    fn of(&self, name: &Name) -> Arc<OnceCell<Ids>> {
        Arc::clone(self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(name.clone()).or_default())
    }
}

impl Reconciler {
    /// Splits off those of `leaving` that another application of the same reference declares by now, each with the reason
    /// why it stays.
    ///
    /// # Errors
    /// The cluster, which knows the applications.
    pub(super) async fn moved_on(
        &self,
        begun: &Begun,
        leaving: Vec<Live>,
    ) -> Result<(Vec<Live>, Vec<(Live, String)>), Error> {
        if leaving.is_empty() {
            return Ok((leaving, Vec::new()));
        }
        let (mut leaving, mut moved) = (leaving, Vec::new());
        let neighbours = self.neighbours(begun).await?;
        let paths: Vec<String> = neighbours.iter().map(|(_, reads)| reads.path.clone()).collect();
        let source = self.source(&begun.job.application.source)?;
        let inputs = source.inputs_of(&begun.tip, &paths).await?;
        for ((name, reads), inputs) in neighbours.into_iter().zip(inputs) {
            let ids = self.declared_by(begun, &name, (&begun.tip, inputs, reads)).await;
            let (theirs, others): (Vec<_>, Vec<_>) =
                leaving.into_iter().partition(|live| ids.as_ref().is_some_and(|ids| ids.contains(&live.id)));
            let why = format!("application {name} declares it by now, and takes it");
            moved.extend(theirs.into_iter().map(|live| (live, why.clone())));
            leaving = others;
        }
        Ok((leaving, moved))
    }

    /// Returns whether the application that a live object belongs to declares it no longer. Where that cannot be found
    /// out, it does.
    ///
    /// # Errors
    /// The cluster or the repository, where the next try may find it otherwise.
    pub(super) async fn lets_go(&self, begun: &Begun, owners: &Owners, live: &Live) -> Result<bool, Error> {
        let Some(owner) = applyset::owning_application(live, &begun.parent.namespace) else {
            return Ok(false);
        };
        let cluster = self.cluster(&begun.job.target.cluster)?;
        // Of an application that is gone, what lost its label was left behind.
        if live.label(member::PART_OF).is_none() && cluster.parent(&owner).await?.resource_version.is_none() {
            return Ok(true);
        }
        let cell = owners.of(&owner);
        let ids = cell.get_or_try_init(|| self.declared_at_its_tip(begun, &owner)).await?;
        Ok(ids.as_ref().is_some_and(|ids| !ids.contains(&live.id)))
    }

    /// Returns what another application declares at the tip of its own reference, as far as its parent says where that is.
    async fn declared_at_its_tip(&self, begun: &Begun, owner: &Name) -> Result<Ids, Error> {
        let fence = self.cluster(&begun.job.target.cluster)?.parent(owner).await?.fence;
        // A parent of an older windlass does not say what its application reads.
        let configured = self.hands.applications.iter().find(|one| one.name == *owner);
        let reads = configured.map(|one| Reads::of(one, &begun.job.target.cluster)).or(fence.reads);
        let (Some(reads), Some(source)) = (reads, fence.source) else { return Ok(None) };
        let pinned = self.keeps(owner, &begun.job.target.cluster).await;
        let ours = fence.installation == self.hands.installation && source == begun.job.application.source;
        if pinned || !ours {
            return Ok(None);
        }
        let Some(tip) = self.source(&source)?.resolve(&reads.reference, &[]).await?.tip else {
            return Ok(None);
        };
        let Some(inputs) = self.inputs_of(begun, &tip, &reads).await else { return Ok(None) };
        Ok(self.declared_by(begun, owner, (&tip, inputs, reads)).await)
    }

    /// Returns the other applications of this one's reference in its cluster, with what they read: those of the settings, or
    /// in a process without applications those of which the cluster has a parent.
    async fn neighbours(&self, begun: &Begun) -> Result<Vec<(Name, Reads)>, Error> {
        let (own, cluster) = (&begun.job.application, &begun.job.target.cluster);
        let configured = &self.hands.applications;
        let found: Vec<(Name, Reads)> = if configured.iter().any(|one| one.name == own.name) {
            let here =
                configured.iter().filter(|one| one.source == own.source && one.clusters.contains(cluster));
            here.map(|one| (one.name.clone(), Reads::of(one, cluster))).collect()
        } else {
            let parents = self.cluster(cluster)?.parents().await?.into_iter();
            let here = parents.filter(|parent| parent.fence.source.as_ref() == Some(&own.source));
            here.filter_map(|parent| Some((applyset::application(&parent.name)?, parent.fence.reads?)))
                .collect()
        };
        let is_other = |(name, reads): &(Name, Reads)| *name != own.name && reads.reference == own.reference;
        Ok(found.into_iter().filter(is_other).collect())
    }

    /// Returns what is read in a folder at a commit of this pass's source; nothing where there is none to read.
    async fn inputs_of(&self, begun: &Begun, commit: &CommitId, reads: &Reads) -> Option<Inputs> {
        let source = self.source(&begun.job.application.source).ok()?;
        source.inputs(commit, &reads.path).await.ok()
    }

    async fn declared_by(
        &self,
        begun: &Begun,
        name: &Name,
        (tip, inputs, reads): (&CommitId, Inputs, Reads),
    ) -> Ids {
        let key = (begun.job.target.cluster.clone(), name.clone());
        if let Some(ids) = self.declarations.known(&key, &inputs, &reads) {
            return ids;
        }
        let ids = match self.ids_at(begun, tip, &reads).await {
            Ok(ids) => ids.map(Arc::new),
            Err(error) => {
                tracing::warn!(target.name = %begun.job.target, application = %name, "what it declares is not known: failed to {}", chain(&error));
                return None;
            }
        };
        self.declarations.note(key, inputs, reads, ids.clone());
        ids
    }
}
