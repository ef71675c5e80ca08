//! What a commit itself brings into being: namespaces, and kinds by their definitions.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::mpsc;

use crate::cluster::Cluster;
use crate::cluster::Kinds;
use crate::cluster::Place;
use crate::cluster::SIGHTINGS;
use crate::cluster::Seen;
use crate::cluster::Selector;
use crate::health::Health;
use crate::health::health;
use crate::object::Manifest;
use crate::object::Scope;
use crate::outcome::Problem;
use crate::plan::Write;

use super::Error;
use super::check::Checker;
use super::check::Verdict;

/// How long may a definition take to be established and its kind to be discovered?
const ESTABLISHED_WITHIN: Duration = Duration::from_secs(60);

/// How long may the server take to go by a definition that was changed?
const TAKEN_UP_WITHIN: Duration = Duration::from_secs(3);

/// How long between two looks for a kind that its definition promises?
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// The group and the kind of definitions.
pub(super) const DEFINITION: (&str, &str) = ("apiextensions.k8s.io", "CustomResourceDefinition");

/// What the manifests of a commit bring into being.
#[derive(Debug, Default)]
pub(super) struct Declared {
    pub(super) namespaces: BTreeSet<String>,
    /// The kinds, as (group, kind), with their scope and the name of their definition.
    kinds: BTreeMap<(String, String), (Scope, String)>,
}

impl Declared {
    pub(super) fn of(manifests: &[Manifest]) -> Self {
        let mut declared = Self::default();
        for manifest in manifests {
            match (manifest.id.group.as_str(), manifest.id.kind.as_str()) {
                ("", "Namespace") => {
                    declared.namespaces.insert(manifest.id.name.clone());
                }
                ("apiextensions.k8s.io", "CustomResourceDefinition") => {
                    let text = |pointer: &str| manifest.value.pointer(pointer).and_then(Value::as_str);
                    let (Some(group), Some(kind)) = (text("/spec/group"), text("/spec/names/kind")) else {
                        continue;
                    };
                    let scope = if text("/spec/scope") == Some("Cluster") {
                        Scope::Cluster
                    } else {
                        Scope::Namespaced
                    };
                    let key = (group.to_owned(), kind.to_owned());
                    declared.kinds.insert(key, (scope, manifest.id.name.clone()));
                }
                _ => {}
            }
        }
        declared
    }

    /// Returns the scope of a kind that a definition of this commit brings.
    pub(super) fn scope(&self, api_version: &str, kind: &str) -> Option<Scope> {
        let group = crate::object::group_and_version(api_version).0;
        self.kinds.get(&(group.to_owned(), kind.to_owned())).map(|(scope, _)| *scope)
    }

    /// Returns the name of the definition that this commit has of a kind.
    pub(super) fn definition(&self, api_version: &str, kind: &str) -> Option<&str> {
        let group = crate::object::group_and_version(api_version).0;
        self.kinds.get(&(group.to_owned(), kind.to_owned())).map(|(_, name)| name.as_str())
    }
}

/// Waits until the definitions of the kinds of `manifests` are established and the kinds can be used.
///
/// # Errors
/// The cluster; the inner error says which kind does not come.
pub(super) async fn established(
    cluster: &Cluster,
    declared: &Declared,
    manifests: &[&Manifest],
) -> Result<Result<std::sync::Arc<Kinds>, Vec<Problem>>, Error> {
    let until = tokio::time::Instant::now() + ESTABLISHED_WITHIN;
    let kinds = cluster.kinds().await?;
    for manifest in manifests {
        let Some(name) = declared.definition(&manifest.api_version, &manifest.id.kind) else { continue };
        if let Err(why) = wait_for(cluster, &kinds, name, until).await {
            let message = format!("its definition {name} was not established: {why}");
            let place = Some(manifest.place.clone());
            return Ok(Err(vec![Problem { object: Some(manifest.id.clone()), place, message }]));
        }
    }
    loop {
        let kinds = cluster.discover().await?;
        let missing = manifests.iter().find(|m| kinds.scope(&m.api_version, &m.id.kind).is_none());
        let Some(manifest) = missing else { return Ok(Ok(kinds)) };
        if tokio::time::Instant::now() >= until {
            let message = format!("the cluster still does not know the kind {}", manifest.id.kind);
            let place = Some(manifest.place.clone());
            return Ok(Err(vec![Problem { object: Some(manifest.id.clone()), place, message }]));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Lets the server check a write dry by a definition that this pass has just written. Where it takes a moment until the
/// server goes by it, what it refuses is asked again.
///
/// # Errors
/// The cluster.
pub(super) async fn check(checker: &Checker<'_>, write: Write) -> Result<Result<Verdict, Problem>, Error> {
    let until = tokio::time::Instant::now() + TAKEN_UP_WITHIN;
    let mut write = write;
    loop {
        match checker.check(write).await? {
            Ok(Verdict::Doubtful(again, _)) if tokio::time::Instant::now() < until => write = *again,
            verdict => return Ok(verdict),
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn wait_for(
    cluster: &Cluster,
    kinds: &Kinds,
    name: &str,
    until: tokio::time::Instant,
) -> Result<(), String> {
    let (sender, mut seen) = mpsc::channel(SIGHTINGS);
    let (api_version, kind) = ("apiextensions.k8s.io/v1", "CustomResourceDefinition");
    let place = Place { api_version, kind, namespace: None };
    cluster.follow(kinds, &place, Selector::Named(name.to_owned()), None, sender);
    let mut last = "it did not show up".to_owned();
    while let Ok(Some(seen)) = tokio::time::timeout_at(until, seen.recv()).await {
        match seen {
            Seen::There(live) => match health(&live.value) {
                Health::Healthy => return Ok(()),
                Health::Waiting(why) => last = why,
                Health::Failed(why) => return Err(why),
            },
            Seen::Listed(_) => {}
            Seen::Gone(_) => last = "it is gone".to_owned(),
            Seen::Lost(error) => last = format!("failed to {error}"),
        }
    }
    Err(last)
}
