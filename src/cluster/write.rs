//! Writing objects: dry-runs, applies and deletes.

use kube::core::DynamicObject;
use kube::core::Request;
use kube::core::Resource;
use kube::core::params::DeleteParams;
use kube::core::params::Patch;
use kube::core::params::PatchParams;
use kube::core::params::Preconditions;
use kube::core::params::PropagationPolicy;
use serde_json::Value;
use serde_json::json;

use super::Answer;
use super::Cluster;
use super::Error;
use super::Kinds;
use crate::application::Conflicts;
use crate::application::Propagation;
use crate::mask::mask;
use crate::object::Cause;
use crate::object::Live;
use crate::object::Manifest;
use crate::object::Place;

/// The name that stands in for an object's own where that is taken, or may be.
const STAND_IN: &str = "windlass-stand-in";

impl Cluster {
    /// Asks the server what applying a manifest would make of it, without writing.
    ///
    /// # Errors
    /// The server's refusal, in its words; no answer.
    pub async fn dry_run(
        &self,
        known: &Kinds,
        manager: &str,
        manifest: &Manifest,
        conflicts: Conflicts,
    ) -> Result<Value, Error> {
        let (namespace, params) = (manifest.id.namespace.as_deref(), dry(manager, conflicts));
        let answer = self.patch(known, manifest, &manifest.value, namespace, &params).await;
        answer.map_err(|answer| refused_dry(answer, manifest))
    }

    /// Asks the same under another name in the namespace `stand_in`, where the manifest's own does not exist yet.
    ///
    /// # Errors
    /// As [`Cluster::dry_run`].
    pub async fn dry_run_in(
        &self,
        known: &Kinds,
        manager: &str,
        manifest: &Manifest,
        stand_in: &str,
    ) -> Result<Value, Error> {
        self.dry_run_as(known, manager, manifest, Some(stand_in)).await
    }

    /// Asks the server whether it would take a manifest as a new object, without writing: under another name in the
    /// manifest's own namespace, since its own is taken.
    ///
    /// # Errors
    /// As [`Cluster::dry_run`].
    pub async fn dry_run_anew(
        &self,
        known: &Kinds,
        manager: &str,
        manifest: &Manifest,
    ) -> Result<Value, Error> {
        self.dry_run_as(known, manager, manifest, manifest.id.namespace.as_deref()).await
    }

    /// Asks about a manifest under another name, in a namespace or in none.
    async fn dry_run_as(
        &self,
        known: &Kinds,
        manager: &str,
        manifest: &Manifest,
        namespace: Option<&str>,
    ) -> Result<Value, Error> {
        let mut other = manifest.clone();
        if let Some(metadata) = other.value.get_mut("metadata").and_then(Value::as_object_mut) {
            if let Some(namespace) = namespace {
                metadata.insert("namespace".to_owned(), json!(namespace));
            }
            metadata.insert("name".to_owned(), json!(STAND_IN));
        }
        other.id.name = STAND_IN.to_owned();
        let params = dry(manager, Conflicts::Take);
        let answer = self.patch(known, &other, &other.value, namespace, &params).await;
        answer.map_err(|answer| refused_dry(renamed(answer, &manifest.id.name), manifest))
    }

    /// Applies a manifest, and returns the object as the server then holds it.
    ///
    /// Where `live` is given the write carries its uid and version, so that it fails with a conflict when the object
    /// changed or is gone. Else it carries the version `before`, which is another object's, so that it fails with a conflict
    /// when there is such an object by now: the server takes any version for one that it is to create.
    ///
    /// # Errors
    /// A conflict; the server's refusal, in its words; no answer.
    pub async fn apply(
        &self,
        known: &Kinds,
        (manager, conflicts): (&str, Conflicts),
        manifest: &Manifest,
        live: Option<&Live>,
        before: &str,
    ) -> Result<Value, Error> {
        let params = apply(manager, conflicts);
        let namespace = manifest.id.namespace.as_deref();
        let mut value = manifest.value.clone();
        if let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut) {
            let version = live.map_or(before, Live::resource_version);
            metadata.insert("resourceVersion".to_owned(), json!(version));
            if let Some(live) = live {
                metadata.insert("uid".to_owned(), json!(live.uid()));
            }
        }
        let answer = self.patch(known, manifest, &value, namespace, &params).await;
        answer.map_err(|answer| Error::Apply {
            what: manifest.id.to_string(),
            answer: masked(answer, manifest),
        })
    }

    /// Changes who is noted to have applied an object, by a merge patch that names the version which was read, and returns
    /// the object as the server then holds it.
    ///
    /// # Errors
    /// As [`Cluster::apply`].
    pub async fn hand_over(&self, known: &Kinds, manifest: &Manifest, patch: &Value) -> Result<Value, Error> {
        let failed =
            |answer| Error::Apply { what: manifest.id.to_string(), answer: masked(answer, manifest) };
        let Some(entry) = known.known(&manifest.api_version, &manifest.id.kind) else {
            return Err(failed(Answer::unknown_kind(&manifest.api_version, &manifest.id.kind)));
        };
        let url = DynamicObject::url_path(&entry.resource, manifest.id.namespace.as_deref());
        let request =
            Request::new(url).patch(&manifest.id.name, &PatchParams::default(), &Patch::Merge(patch));
        self.send(request).await.map_err(failed)
    }

    /// Lets go of an object by a merge patch, as [`Cluster::hand_over`] hands it over.
    ///
    /// # Errors
    /// As [`Cluster::apply`].
    pub async fn release(&self, known: &Kinds, live: &Live, patch: &Value) -> Result<(), Error> {
        let (id, api_version, value) = (live.id.clone(), live.api_version.clone(), live.value.clone());
        // It stands for the live object, so that what a Secret holds is told from the server's words.
        let place = Place { file: String::new(), document: 0, line: 0 };
        match self.hand_over(known, &Manifest { id, api_version, value, place }, patch).await {
            Err(Error::Apply { what, answer }) => Err(Error::Release { what, answer }),
            answer => answer.map(drop),
        }
    }

    async fn patch(
        &self,
        known: &Kinds,
        manifest: &Manifest,
        body: &Value,
        namespace: Option<&str>,
        params: &PatchParams,
    ) -> Result<Value, Answer> {
        let (api_version, id) = (&manifest.api_version, &manifest.id);
        let Some(entry) = known.known(api_version, &id.kind) else {
            return Err(Answer::unknown_kind(api_version, &id.kind));
        };
        let url = DynamicObject::url_path(&entry.resource, namespace);
        let request = Request::new(url).patch(&id.name, params, &Patch::Apply(body));
        self.send(request).await
    }

    /// Deletes an object, if it still is as it was read, and returns what became of it. One that was gone already is gone.
    ///
    /// # Errors
    /// A conflict when it changed, or another object took its name; the server's refusal; no answer.
    pub async fn delete(&self, known: &Kinds, live: &Live, how: Propagation) -> Result<Deleted, Error> {
        let failed = |answer| Error::Delete { what: live.id.to_string(), answer };
        let Some(entry) = known.known(&live.api_version, &live.id.kind) else {
            return Err(failed(Answer::unknown_kind(&live.api_version, &live.id.kind)));
        };
        let params = DeleteParams {
            propagation_policy: Some(match how {
                Propagation::Background => PropagationPolicy::Background,
                Propagation::Foreground => PropagationPolicy::Foreground,
                Propagation::Orphan => PropagationPolicy::Orphan,
            }),
            preconditions: Some(Preconditions {
                uid: Some(live.uid().to_owned()),
                resource_version: Some(live.resource_version().to_owned()),
            }),
            ..DeleteParams::default()
        };
        let url = DynamicObject::url_path(&entry.resource, live.id.namespace.as_deref());
        let request = Request::new(url).delete(&live.id.name, &params);
        match self.send(request).await {
            Ok(answer) if is_going(&answer) => Ok(Deleted::Going),
            Ok(_) => Ok(Deleted::Gone),
            Err(answer) if answer.is_not_found() => Ok(Deleted::Gone),
            Err(answer) => Err(failed(answer)),
        }
    }
}

/// What became of an object that was deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deleted {
    /// It is gone.
    Gone,
    /// It goes once its finalizers let it, or its time of grace is over.
    Going,
}

/// Returns whether the answer to a deletion is the object itself, which is still there, and not that it is gone. Where an
/// object goes at once, the answer may be the object as it was, without the time of its deletion.
fn is_going(answer: &Value) -> bool {
    answer.pointer("/metadata/deletionTimestamp").is_some_and(Value::is_string)
}

fn apply(manager: &str, conflicts: Conflicts) -> PatchParams {
    let force = conflicts == Conflicts::Take;
    PatchParams { force, ..PatchParams::apply(manager).validation_strict() }
}

fn dry(manager: &str, conflicts: Conflicts) -> PatchParams {
    apply(manager, conflicts).dry_run()
}

fn refused_dry(answer: Answer, manifest: &Manifest) -> Error {
    Error::DryRun { what: manifest.id.to_string(), answer: masked(answer, manifest) }
}

/// Takes what a Secret holds out of the server's words, here where they come in.
fn masked(answer: Answer, manifest: &Manifest) -> Answer {
    reworded(answer, |words| mask(words, manifest))
}

/// Speaks of the object by its own name where a stand-in was refused.
fn renamed(answer: Answer, name: &str) -> Answer {
    reworded(answer, |words| words.replace(STAND_IN, name))
}

fn reworded(answer: Answer, word: impl Fn(&str) -> String) -> Answer {
    match answer {
        Answer::Refused { code, message, causes } => {
            let again = |cause: Cause| Cause { message: word(&cause.message), ..cause };
            Answer::Refused { code, message: word(&message), causes: causes.into_iter().map(again).collect() }
        }
        Answer::Unreachable(why) => Answer::Unreachable(word(&why)),
    }
}
