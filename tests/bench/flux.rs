//! Flux with a repository and two namespaces, one for its objects and one for what it applies, and what a push to it
//! costs.

use std::collections::BTreeSet;
use std::pin::pin;
use std::time::Duration;

use futures::StreamExt;
use kube::Api;
use kube::api::ApiResource;
use kube::api::DynamicObject;
use kube::api::GroupVersionKind;
use kube::api::ListParams;
use kube::api::WatchEvent;
use kube::api::WatchParams;
use serde_json::json;
use tokio::time::Instant;
use windlass::commit::CommitId;

use crate::controllers;
use crate::controllers::AT_ONCE;
use crate::controllers::Controllers;
use crate::floor;
use crate::scene::Cost;
use crate::shapes::Files;
use crate::world::bed;
use crate::world::git::Repo;
use crate::world::kube::Kube;
use crate::world::unique;

/// How long may one push take until all is at it?
const PATIENCE: Duration = Duration::from_secs(1200);

/// How many seconds does one watch last, before it is begun again?
const WATCH: u32 = 290;

/// How the repository and its secret are called.
const SOURCE: &str = "source";

/// Everything around one Flux.
pub struct Flux {
    repo: Repo,
    kube: Kube,
    controllers: Controllers,
    /// The namespace of Flux's own objects, which also tells its requests from others'.
    installation: String,
    /// The namespace of what it applies.
    namespace: String,
    applications: Vec<String>,
    watched: Api<DynamicObject>,
}

/// How far the applications have come.
struct Progress {
    /// The version of the last change that was seen.
    version: String,
    /// Those that are ready at the commit.
    at: BTreeSet<String>,
}

impl Flux {
    /// Starts Flux with these applications, each of which reads the folder of its name, and waits until all of them have
    /// applied a first commit that declares nothing: a push then finds it at rest.
    pub async fn new(applications: &[String]) -> Self {
        let (repo, kube) = tokio::join!(Repo::create(), Kube::connect("east"));
        let id = unique();
        let (namespace, installation) = (format!("engine-flux-{id}"), format!("flux-{id}"));
        for namespace in [&namespace, &installation] {
            kube.make_namespace(namespace).await;
        }
        let begun: Vec<_> = applications.iter().map(|name| format!("{name}/begin.yaml")).collect();
        let begun: Vec<_> = begun.iter().map(|path| (path.as_str(), "# nothing\n")).collect();
        let commit = repo.commit("begin", &begun);
        repo.push("refs/heads/main");
        let controllers = Controllers::start(&kube, &installation).await;
        let kind = GroupVersionKind::gvk("kustomize.toolkit.fluxcd.io", "v1", "Kustomization");
        let client = floor::client().await;
        let watched = Api::namespaced_with(client, &installation, &ApiResource::from_gvk(&kind));
        let applications = applications.to_vec();
        let flux = Self { repo, kube, controllers, installation, namespace, applications, watched };
        let mut progress = flux.progress().await;
        flux.declare().await;
        flux.applied(&mut progress, &commit, flux.applications.len()).await;
        flux
    }

    /// Makes the repository's object with its secret, and one for each application.
    async fn declare(&self) {
        let path = |group: &str, plural: &str| format!("{group}/namespaces/{}/{plural}", self.installation);
        let (user, token) = (bed("WINDLASS_BED_GITEA_BOT"), bed("WINDLASS_BED_GITEA_BOT_TOKEN"));
        let secret = json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": SOURCE },
            "stringData": { "username": user, "password": token } });
        self.kube.create(&path("/api/v1", "secrets"), &secret).await;
        let repository = json!({ "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository",
            "metadata": { "name": SOURCE }, "spec": { "url": self.repo.url, "interval": "1h",
            "ref": { "branch": "main" }, "secretRef": { "name": SOURCE } } });
        self.kube.create(&path("/apis/source.toolkit.fluxcd.io/v1", "gitrepositories"), &repository).await;
        let path = path("/apis/kustomize.toolkit.fluxcd.io/v1", "kustomizations");
        let made = self.applications.iter().map(async |name| {
            let application = json!({ "apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
                "metadata": { "name": name }, "spec": { "path": format!("./{name}"), "interval": "1h",
                "prune": true, "wait": true, "targetNamespace": self.namespace,
                "sourceRef": { "kind": "GitRepository", "name": SOURCE } } });
            self.kube.create(&path, &application).await
        });
        futures::stream::iter(made).buffer_unordered(AT_ONCE).collect::<Vec<_>>().await;
    }

    /// Commits and pushes files, tells Flux, and waits until the first so many applications are ready at it, which is the
    /// time that counts; Flux applies all others anew as well, and its requests and seconds of a core are those of all.
    pub async fn push(&self, files: &Files, touched: usize) -> Cost {
        let files: Vec<_> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
        let commit = self.repo.commit("change", &files);
        self.repo.push("refs/heads/main");
        let mut progress = self.progress().await;
        let (mark, cpu, started) = (self.kube.mark(), self.controllers.cpu(), Instant::now());
        self.knock(&commit).await;
        self.applied(&mut progress, &commit, touched).await;
        let seconds = started.elapsed().as_secs_f64();
        self.applied(&mut progress, &commit, self.applications.len()).await;
        let cpu = self.controllers.cpu() - cpu;
        let requests = self.kube.asked_by(mark, |agent| agent.starts_with(&self.installation)).await.len();
        Cost { seconds, requests, cpu }
    }

    /// Asks for the repository to be looked at now. This stands for Flux's Receiver, which does just that after it has
    /// verified a delivery: what the Receiver itself costs is left out, in favour of Flux.
    async fn knock(&self, commit: &CommitId) {
        let path = format!(
            "/apis/source.toolkit.fluxcd.io/v1/namespaces/{}/gitrepositories/{SOURCE}",
            self.installation
        );
        let asked = json!({ "reconcile.fluxcd.io/requestedAt": commit.as_str() });
        self.kube.change(&path, &json!({ "metadata": { "annotations": asked } })).await;
    }

    /// Returns a place in the history of the applications from which [`Flux::applied`] goes on.
    async fn progress(&self) -> Progress {
        let list = self.watched.list(&ListParams::default().limit(1)).await.unwrap();
        Progress { version: list.metadata.resource_version.unwrap(), at: BTreeSet::new() }
    }

    /// Waits until the first so many applications are ready at a commit.
    async fn applied(&self, progress: &mut Progress, commit: &CommitId, number: usize) {
        let all = async {
            while !self.applications.iter().take(number).all(|name| progress.at.contains(name)) {
                self.follow(progress, commit, number).await;
            }
        };
        tokio::time::timeout(PATIENCE, all).await.expect("all is applied in time");
    }

    /// Follows the applications until the first so many are ready at a commit, or the watch ends.
    async fn follow(&self, progress: &mut Progress, commit: &CommitId, number: usize) {
        let wanted = self.applications.iter().take(number);
        let mut missing: BTreeSet<_> = wanted.filter(|name| !progress.at.contains(*name)).collect();
        let lasts = WatchParams::default().timeout(WATCH);
        let mut events = pin!(self.watched.watch(&lasts, &progress.version).await.unwrap());
        while !missing.is_empty()
            && let Some(event) = events.next().await
        {
            match event.unwrap() {
                WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                    progress.version = object.metadata.resource_version.clone().unwrap();
                    if is_at(&object, commit) {
                        let name = object.metadata.name.unwrap();
                        missing.remove(&name);
                        progress.at.insert(name);
                    }
                }
                WatchEvent::Bookmark(mark) => progress.version = mark.metadata.resource_version,
                WatchEvent::Deleted(object) => panic!("{:?} was deleted", object.metadata.name),
                WatchEvent::Error(error) => panic!("the watch ends: {error:?}"),
            }
        }
    }

    /// Returns the most memory that the controllers held, in KiB.
    pub fn peak_memory(&self) -> u64 {
        self.controllers.peak_memory()
    }

    /// Stops Flux and deletes what was made.
    pub async fn clear(self) {
        drop(self.controllers);
        controllers::withdraw(&self.kube).await;
        for namespace in [&self.namespace, &self.installation] {
            self.kube.delete(&format!("/api/v1/namespaces/{namespace}")).await;
        }
        self.repo.discard().await;
    }
}

/// Returns whether an application is ready at a commit; panics where Flux has given it up.
fn is_at(object: &DynamicObject, commit: &CommitId) -> bool {
    let status = &object.data["status"];
    let at = |key: &str| status[key].as_str().is_some_and(|revision| revision.ends_with(commit.as_str()));
    let mut conditions = status["conditions"].as_array().into_iter().flatten();
    let Some(ready) = conditions.find(|one| one["type"] == "Ready") else { return false };
    // Where the artifact was not there yet, Flux comes again by itself.
    let gave_up = ready["status"] == "False" && ready["reason"] != "ArtifactFailed";
    assert!(!(at("lastAttemptedRevision") && gave_up), "{:?}: {ready}", object.metadata.name);
    at("lastAppliedRevision") && ready["status"] == "True"
}
