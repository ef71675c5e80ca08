//! The kinds that a cluster knows, from its discovery documents.

use std::collections::HashMap;
use std::sync::Arc;

use kube::discovery::ApiResource;
use kube::discovery::Discovery;
use kube::discovery::Scope as KubeScope;
use kube::discovery::verbs;

use super::Answer;
use super::Cluster;
use super::Error;
use crate::object::GroupKind;
use crate::object::Scope;

/// The kinds of a cluster at one time.
#[derive(Debug, Default)]
pub struct Kinds {
    exact: HashMap<(String, String), Known>,
    preferred: HashMap<GroupKind, String>,
}

#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) resource: ApiResource,
    pub(super) scope: Scope,
}

impl Kinds {
    /// Returns the scope of a kind; `None` when the cluster does not know it.
    #[must_use]
    pub fn scope(&self, api_version: &str, kind: &str) -> Option<Scope> {
        self.known(api_version, kind).map(|known| known.scope)
    }

    /// Returns the `apiVersion` by which a kind is best read; `None` when the cluster does not know it.
    #[must_use]
    pub fn api_version(&self, kind: &GroupKind) -> Option<&str> {
        self.preferred.get(kind).map(String::as_str)
    }

    pub(super) fn known(&self, api_version: &str, kind: &str) -> Option<&Known> {
        self.exact.get(&(api_version.to_owned(), kind.to_owned()))
    }

    fn of(discovery: &Discovery) -> Self {
        let mut kinds = Self::default();
        for group in discovery.groups() {
            // The preferred version comes first, so the first entry of a kind stays.
            let preferred = group.preferred_version_or_latest().to_owned();
            let mut versions: Vec<&str> = group.versions().collect();
            versions.sort_by_key(|version| *version != preferred);
            for version in versions {
                for (resource, able) in group.versioned_resources(version) {
                    if !able.supports_operation(verbs::LIST) || resource.plural.contains('/') {
                        continue;
                    }
                    let scope = match able.scope {
                        KubeScope::Cluster => Scope::Cluster,
                        KubeScope::Namespaced => Scope::Namespaced,
                    };
                    let kind = GroupKind { group: resource.group.clone(), kind: resource.kind.clone() };
                    kinds.preferred.entry(kind).or_insert_with(|| resource.api_version.clone());
                    let key = (resource.api_version.clone(), resource.kind.clone());
                    kinds.exact.entry(key).or_insert(Known { resource, scope });
                }
            }
        }
        kinds
    }
}

impl Cluster {
    /// Returns the kinds as they were last discovered, discovering them at the first call.
    ///
    /// # Errors
    /// A server that does not answer, or that answers without the core group.
    pub async fn kinds(&self) -> Result<Arc<Kinds>, Error> {
        if let Some(kinds) = self.kinds.read().await.as_ref() {
            return Ok(Arc::clone(kinds));
        }
        self.discover().await
    }

    /// Lets the next call discover the kinds anew.
    pub(super) async fn forget_kinds(&self) {
        *self.kinds.write().await = None;
    }

    /// Discovers the kinds anew: after a CRD was applied, or when a kind is missing.
    ///
    /// # Errors
    /// As [`Cluster::kinds`].
    pub async fn discover(&self) -> Result<Arc<Kinds>, Error> {
        let failed = |answer| Error::Discover { cluster: self.name().to_string(), answer };
        self.may_be_asked().map_err(failed)?;
        let ask = async {
            let kinds = Kinds::of(&Discovery::new(self.client()).run_aggregated().await?);
            // An old server answers the aggregated question with nothing at all, and says that this is fine.
            if kinds.known("v1", "ConfigMap").is_some() {
                return Ok(kinds);
            }
            Ok::<_, kube::Error>(Kinds::of(&Discovery::new(self.client()).run().await?))
        };
        let late = || Answer::Unreachable("discovery took too long".to_owned());
        let answer = tokio::time::timeout(super::ANSWER_WITHIN, ask).await;
        let answer = answer.map_or_else(|_| Err(late()), |answer| answer.map_err(Answer::from));
        self.note(!matches!(answer, Err(Answer::Unreachable(_))));
        let kinds = answer.map_err(failed)?;
        if kinds.known("v1", "ConfigMap").is_none() {
            let message = "its discovery document lacks the core group".to_owned();
            return Err(failed(Answer::Unreachable(message)));
        }
        let kinds = Arc::new(kinds);
        *self.kinds.write().await = Some(Arc::clone(&kinds));
        self.reports.write().await.clear();
        Ok(kinds)
    }
}
