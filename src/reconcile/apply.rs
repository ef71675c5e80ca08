//! The writes, stage by stage.

use std::sync::Arc;

use futures::StreamExt;
use futures::stream;
use serde_json::Value;

use crate::application::Target;
use crate::applyset::Parent;
use crate::cluster::Answer;
use crate::cluster::Cluster;
use crate::cluster::Kinds;
use crate::fault::Fault;
use crate::health::Health;
use crate::health::health;
use crate::member;
use crate::member::Owner;
use crate::object::Live;
use crate::object::Manifest;
use crate::object::ObjectId;
use crate::outcome::Action;
use crate::outcome::Change;
use crate::outcome::Problem;
use crate::plan;

use super::Error;
use super::Fenced;
use super::Reconciler;
use super::check::Checked;
use super::check::check;
use super::check::refusal;
use super::crds;
use super::crds::Declared;

/// How often is a write tried when others write the same object at the same time?
const CONFLICTS: usize = 3;

/// A pass that wrote its objects, or ran into a refusal half-way.
#[derive(Debug)]
pub struct Applied {
    pub(super) fenced: Fenced,
    pub(super) changes: Vec<Change>,
    /// The objects that are not healthy yet, with what they lack.
    pub(super) waiting: Vec<(String, ObjectId, Health)>,
    pub(super) problems: Vec<Problem>,
}

impl Applied {
    fn note(
        &mut self,
        live: &Value,
        manifest_id: &ObjectId,
        api_version: &str,
        action: Action,
        fields: &[String],
    ) {
        let note = (!fields.is_empty()).then(|| fields.join(", "));
        self.changes.push(Change { object: manifest_id.clone(), action, note });
        let health = health(live);
        if health != Health::Healthy {
            self.waiting.push((api_version.to_owned(), manifest_id.clone(), health));
        }
    }
}

impl Reconciler {
    /// Writes what differs, stage by stage. A refusal ends it after its stage; everything that is said is said.
    ///
    /// # Errors
    /// Another run that took the fence; the cluster, where the next try may find it otherwise.
    #[tracing::instrument(skip_all)]
    pub async fn apply(&self, fenced: Fenced) -> Result<Applied, Error> {
        let cluster = self.cluster_of(&fenced.ready.begun)?;
        let mut applied = Applied { fenced, changes: Vec::new(), waiting: Vec::new(), problems: Vec::new() };
        for live in std::mem::take(&mut applied.fenced.ready.unchanged) {
            applied.note(&live.value, &live.id, &live.api_version, Action::Unchanged, &[]);
        }
        let writes = std::mem::take(&mut applied.fenced.ready.writes);
        let declared = Declared::of(&writes.iter().map(|c| c.write.manifest.clone()).collect::<Vec<_>>());
        let (first, rest): (Vec<_>, Vec<_>) = writes.into_iter().partition(is_first);
        self.write_stage(&cluster, &mut applied, first).await?;
        if !applied.problems.is_empty() {
            return Ok(applied);
        }
        let Some(rest) = self.check_late(&cluster, &mut applied, &declared, rest).await? else {
            return Ok(applied);
        };
        for stage in staged(rest) {
            self.write_stage(&cluster, &mut applied, stage).await?;
            if !applied.problems.is_empty() {
                return Ok(applied);
            }
        }
        Ok(applied)
    }

    /// Checks what could not be checked before its kind or namespace was there; `None` when that found problems.
    async fn check_late(
        &self,
        cluster: &Cluster,
        applied: &mut Applied,
        declared: &Declared,
        rest: Vec<Checked>,
    ) -> Result<Option<Vec<Checked>>, Error> {
        if rest.iter().all(|checked| checked.checked) {
            return Ok(Some(rest));
        }
        let late: Vec<_> = rest.iter().filter(|c| !c.checked).map(|c| &c.write.manifest).collect();
        match crds::established(cluster, declared, &late).await? {
            Ok(kinds) => applied.fenced.ready.begun.kinds = kinds,
            Err(problems) => {
                applied.problems.extend(problems);
                return Ok(None);
            }
        }
        let kinds = applied.fenced.ready.begun.kinds.clone();
        let manager = applied.fenced.manager.clone();
        let none = Declared::default();
        let checks = rest.into_iter().map(|checked| {
            let (kinds, manager, none) = (&kinds, &manager, &none);
            async move {
                if checked.checked {
                    Ok(Ok(checked))
                } else {
                    check(cluster, kinds, manager, none, checked.write).await
                }
            }
        });
        let answers: Vec<_> =
            stream::iter(checks.collect::<Vec<_>>()).buffered(cluster.requests()).collect().await;
        let mut rest = Vec::new();
        for answer in answers {
            match answer? {
                Ok(checked) => rest.push(checked),
                Err(problem) => applied.problems.push(problem),
            }
        }
        Ok(applied.problems.is_empty().then_some(rest))
    }

    async fn write_stage(
        &self,
        cluster: &Cluster,
        applied: &mut Applied,
        stage: Vec<Checked>,
    ) -> Result<(), Error> {
        let by = By {
            kinds: applied.fenced.ready.begun.kinds.clone(),
            manager: applied.fenced.manager.clone(),
            parent: applied.fenced.parent.clone(),
            target: applied.fenced.ready.begun.job.target.clone(),
        };
        let writes = stage.into_iter().map(|checked| {
            let by = &by;
            async move {
                let answer = self.write(cluster, by, &checked).await;
                (checked, answer)
            }
        });
        // The whole stage is seen to its end, so that every refusal is reported and no write is cut off.
        let answers: Vec<_> =
            stream::iter(writes.collect::<Vec<_>>()).buffered(cluster.requests()).collect().await;
        let mut passing = None;
        for (checked, answer) in answers {
            let Manifest { id, api_version, .. } = &checked.write.manifest;
            match answer {
                Ok(value) => {
                    let action =
                        if checked.write.live.is_some() { Action::Configured } else { Action::Created };
                    applied.note(&value, id, api_version, action, &checked.fields);
                }
                Err(error) if error.fault() == Fault::Theirs => {
                    applied.problems.push(refused(&error, &checked.write.manifest));
                }
                Err(error) => passing = Some(error),
            }
        }
        passing.map_or(Ok(()), Err)
    }

    /// Writes one object. Where it changed since it was read, the fence is looked at, then the object, three times.
    async fn write(&self, cluster: &Cluster, by: &By, checked: &Checked) -> Result<Value, Error> {
        let manifest = &checked.write.manifest;
        let mut live = checked.write.live.clone();
        let mut tries = 0;
        loop {
            tries += 1;
            match cluster.apply(&by.kinds, &by.manager, manifest, live.as_ref()).await {
                Ok(value) => return unshared(value, by, manifest),
                Err(error) if error.answer().is_some_and(Answer::is_conflict) && tries < CONFLICTS => {
                    self.still_ours(&by.target, &by.parent).await?;
                    live = reread(cluster, by, manifest).await?;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// By whom objects are written.
struct By {
    kinds: Arc<Kinds>,
    manager: String,
    parent: Parent,
    target: Target,
}

fn refused(error: &Error, manifest: &Manifest) -> Problem {
    if let Error::Cluster(error) = error {
        return refusal(error, manifest);
    }
    Problem { place: Some(manifest.place.clone()), ..error.problem() }
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
async fn reread(cluster: &Cluster, by: &By, manifest: &Manifest) -> Result<Option<Live>, Error> {
    let found = cluster.read(&by.kinds, &[(manifest.api_version.as_str(), &manifest.id)]).await;
    let live = match found {
        Ok(found) => found.into_iter().next(),
        Err(errors) => match errors.into_iter().next() {
            Some(error) => return Err(error.into()),
            None => None,
        },
    };
    match live.as_ref().map(|live| member::owner(live, &by.parent.id())) {
        Some(Owner::Other(owner)) => Err(Error::Owned(manifest.id.clone(), owner)),
        Some(Owner::Us | Owner::Nobody) | None => Ok(live),
    }
}

fn is_first(checked: &Checked) -> bool {
    plan::rank(&checked.write.manifest.id.group_kind()) == plan::FIRST
}

fn staged(writes: Vec<Checked>) -> Vec<Vec<Checked>> {
    let mut stages = std::collections::BTreeMap::<u8, Vec<Checked>>::new();
    for checked in writes {
        stages.entry(plan::rank(&checked.write.manifest.id.group_kind())).or_default().push(checked);
    }
    stages.into_values().collect()
}
