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
use crate::mask::mask;
use crate::object::Live;
use crate::object::Manifest;

/// The name that stands in for an object's own in a namespace that is not its own, where its own may be taken.
const STAND_IN: &str = "windlass-stand-in";

impl Cluster {
    /// Asks the server what applying a manifest would make of it, without writing; in the namespace `stand_in` where
    /// the manifest's own does not exist yet.
    ///
    /// # Errors
    /// The server's refusal, in its words; no answer.
    pub async fn dry_run(
        &self,
        known: &Kinds,
        manager: &str,
        manifest: &Manifest,
        stand_in: Option<&str>,
    ) -> Result<Value, Error> {
        let params = PatchParams::apply(manager).force().dry_run().validation_strict();
        let answer = match stand_in {
            None => {
                self.patch(known, manifest, &manifest.value, manifest.id.namespace.as_deref(), &params).await
            }
            Some(namespace) => {
                let mut value = manifest.value.clone();
                if let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut) {
                    metadata.insert("namespace".to_owned(), json!(namespace));
                    metadata.insert("name".to_owned(), json!(STAND_IN));
                }
                let mut stand_in = manifest.clone();
                stand_in.id.name = STAND_IN.to_owned();
                let answer = self.patch(known, &stand_in, &value, Some(namespace), &params).await;
                answer.map_err(|answer| renamed(answer, &manifest.id.name))
            }
        };
        answer.map_err(|answer| Error::DryRun {
            what: manifest.id.to_string(),
            answer: masked(answer, manifest),
        })
    }

    /// Applies a manifest, and returns the object as the server then holds it.
    ///
    /// Where `live` is given the write carries its uid and version, so that it fails with a conflict when the object
    /// changed or is gone.
    ///
    /// # Errors
    /// A conflict; the server's refusal, in its words; no answer.
    pub async fn apply(
        &self,
        known: &Kinds,
        manager: &str,
        manifest: &Manifest,
        live: Option<&Live>,
    ) -> Result<Value, Error> {
        let params = PatchParams::apply(manager).force().validation_strict();
        let namespace = manifest.id.namespace.as_deref();
        let answer = match live {
            None => self.patch(known, manifest, &manifest.value, namespace, &params).await,
            Some(live) => {
                let mut value = manifest.value.clone();
                if let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut) {
                    metadata.insert("uid".to_owned(), json!(live.uid()));
                    metadata.insert("resourceVersion".to_owned(), json!(live.resource_version()));
                }
                self.patch(known, manifest, &value, namespace, &params).await
            }
        };
        answer.map_err(|answer| Error::Apply {
            what: manifest.id.to_string(),
            answer: masked(answer, manifest),
        })
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
            let message = format!("the cluster does not know the kind {} of {api_version}", id.kind);
            return Err(Answer::Refused { code: 404, message });
        };
        let url = DynamicObject::url_path(&entry.resource, namespace);
        let request = Request::new(url).patch(&id.name, params, &Patch::Apply(body));
        self.send(request).await
    }

    /// Deletes an object, if it still is the one that was read. One that is gone already counts as deleted.
    ///
    /// # Errors
    /// A conflict when another object took its name; the server's refusal; no answer.
    pub async fn delete(&self, known: &Kinds, live: &Live) -> Result<(), Error> {
        let failed = |answer| Error::Delete { what: live.id.to_string(), answer };
        let Some(entry) = known.known(&live.api_version, &live.id.kind) else {
            let message =
                format!("the cluster does not know the kind {} of {}", live.id.kind, live.api_version);
            return Err(failed(Answer::Refused { code: 404, message }));
        };
        let params = DeleteParams {
            propagation_policy: Some(PropagationPolicy::Background),
            preconditions: Some(Preconditions { uid: Some(live.uid().to_owned()), resource_version: None }),
            ..DeleteParams::default()
        };
        let url = DynamicObject::url_path(&entry.resource, live.id.namespace.as_deref());
        let request = Request::new(url).delete(&live.id.name, &params);
        match self.send(request).await {
            Ok(_) => Ok(()),
            Err(answer) if answer.is_not_found() => Ok(()),
            Err(answer) => Err(failed(answer)),
        }
    }
}

/// Takes what a Secret holds out of the server's words, here where they come in.
fn masked(answer: Answer, manifest: &Manifest) -> Answer {
    match answer {
        Answer::Refused { code, message } => Answer::Refused { code, message: mask(&message, manifest) },
        Answer::Unreachable(why) => Answer::Unreachable(mask(&why, manifest)),
    }
}

/// Speaks of the object by its own name where a stand-in was refused.
fn renamed(answer: Answer, name: &str) -> Answer {
    match answer {
        Answer::Refused { code, message } => {
            Answer::Refused { code, message: message.replace(STAND_IN, name) }
        }
        Answer::Unreachable(why) => Answer::Unreachable(why),
    }
}
