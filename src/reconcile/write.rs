//! One write, as the object is at that moment.

use std::sync::Arc;

use serde_json::Value;

use crate::application::Application;
use crate::application::Target;
use crate::applyset::Parent;
use crate::cluster;
use crate::cluster::Answer;
use crate::cluster::Cluster;
use crate::cluster::Kinds;
use crate::member;
use crate::member::Owner;
use crate::object::Live;
use crate::object::Manifest;
use crate::plan;
use crate::plan::Left;
use crate::plan::Write;
use crate::takeover::Taken;
use crate::takeover::takeover;

use super::Begun;
use super::Error;
use super::Reconciler;
use super::check::Checked;
use super::check::body;
use super::conflicts::conflicts;
use super::conflicts::former_owner;

/// How often is a write tried when others write the same object at the same time?
pub(super) const RACES: usize = 3;

impl Reconciler {
    /// Writes one object. Where it changed since it was read, the fence is looked at, then the object, three times.
    pub(super) async fn write(
        &self,
        cluster: &Cluster,
        by: &By,
        checked: &Checked,
    ) -> Result<Written, Error> {
        let (write, manifest) = (&checked.write, &checked.write.manifest);
        let mut live = write.live.clone();
        if let Some(old) = live.take_if(|_| checked.anew) {
            self.remove(cluster, by, &old).await?;
        }
        let mut tries = 0;
        loop {
            tries += 1;
            match put(cluster, by, write, live.clone()).await {
                Ok(value) => return unshared(value, by, manifest).map(Written::Applied),
                Err(error) if error.answer().is_some_and(Answer::is_conflict) && tries < RACES => {
                    self.still_ours(&by.target, &by.parent).await?;
                    live = reread(cluster, by, write).await?;
                    // Somebody else created it first.
                    if let Some(live) = live.take_if(|live| plan::stays_as_created(&write.wish, live)) {
                        let why = Some("left as it is: it was there before".to_owned());
                        let left = Left { id: manifest.id.clone(), live: Some(live), why };
                        return Ok(Written::Left(Box::new(left)));
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Applies an object once. What another tool applied before becomes ours first, so that what the manifest does not set goes
/// with it; a crash in between leaves an object of which the next pass finds nothing more to take.
async fn put(
    cluster: &Cluster,
    by: &By,
    write: &Write,
    mut live: Option<Live>,
) -> Result<Value, cluster::Error> {
    let patch = live.as_ref().and_then(|live| taking(write, live, &by.parent, &by.application));
    if let Some(patch) = patch {
        live = Live::read(cluster.hand_over(&by.kinds, &write.manifest, &patch).await?);
    }
    let before = by.parent.resource_version.as_deref().unwrap_or_default();
    let body = body(write, live.as_ref(), &by.manager);
    let manager = (by.manager.as_str(), conflicts(&write.wish, &by.application));
    cluster.apply(&by.kinds, manager, &body, live.as_ref(), before).await
}

/// Returns the patch by which what others applied of an object becomes ours, where there is any.
pub(super) fn taking(
    write: &Write,
    live: &Live,
    parent: &Parent,
    application: &Application,
) -> Option<Value> {
    let owner = former_owner(live, parent).as_ref().map(member::manager);
    let tools = plan::takes_over(write, live, &parent.id()).then_some(application.takes_over.as_slice());
    takeover(&live.value, &member::manager(&application.name), Taken { tools, owner: owner.as_deref() })
}

/// By whom objects are written.
pub(super) struct By {
    pub(super) kinds: Arc<Kinds>,
    pub(super) manager: String,
    pub(super) parent: Parent,
    pub(super) target: Target,
    pub(super) application: Application,
}

impl By {
    /// Returns who writes in a pass that holds the fence by this parent.
    pub(super) fn of(begun: &Begun, parent: Parent) -> Self {
        let (target, application) = (begun.job.target.clone(), begun.job.application.clone());
        let manager = member::manager(&target.application);
        Self { kinds: begun.kinds.clone(), manager, parent, target, application }
    }
}

/// What became of a write.
pub(super) enum Written {
    /// The object is as the server then holds it.
    Applied(Value),
    /// It is left as it is.
    Left(Box<Left>),
}

/// Refuses an object that another application applied too, in the time since it was looked for by name.
fn unshared(value: Value, by: &By, manifest: &Manifest) -> Result<Value, Error> {
    let other = Live::read(value.clone()).and_then(|live| {
        let applied = live.managers().filter(|(_, operation)| *operation == "Apply");
        let mut others = applied.filter_map(|(manager, _)| manager.strip_prefix(member::MANAGER));
        others.find(|name| *name != by.target.application.as_str()).map(str::to_owned)
    });
    match other {
        Some(name) => Err(Error::Owned(manifest.id.clone(), format!("application {name}"))),
        None => Ok(value),
    }
}

/// Reads an object again that changed since it was read.
async fn reread(cluster: &Cluster, by: &By, write: &Write) -> Result<Option<Live>, Error> {
    let manifest = &write.manifest;
    let owner = write.live.as_ref().and_then(|live| live.label(member::PART_OF));
    let found = cluster.read(&by.kinds, &[(manifest.api_version.as_str(), &manifest.id)]).await;
    let live = match found {
        Ok(found) => found.into_iter().next(),
        Err(errors) => match errors.into_iter().next() {
            Some(error) => return Err(error.into()),
            None => None,
        },
    };
    let Some(now) = live.as_ref().filter(|now| !plan::is_ours(now, &by.manager)) else { return Ok(live) };
    match member::owner(now, &by.parent.id()) {
        Owner::Other(name) if now.label(member::PART_OF) != owner => {
            Err(Error::Owned(manifest.id.clone(), name))
        }
        // Its owner wrote it meanwhile, and may declare it again.
        Owner::Other(_) => Err(Error::Moving(manifest.id.clone())),
        Owner::Us | Owner::Nobody => Ok(live),
    }
}
