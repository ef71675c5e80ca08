//! The commit's manifests, read and settled for the cluster.

use std::collections::BTreeSet;

use crate::applyset::Reads;
use crate::cluster::Cluster;
use crate::cluster::Kinds;
use crate::commit::CommitId;
use crate::fault::Fault;
use crate::manifest;
use crate::member;
use crate::object::Manifest;
use crate::object::ObjectId;
use crate::object::is_kubernetes;
use crate::outcome::Problem;
use crate::source;
use crate::source::File;

use super::Begun;
use super::Error;
use super::Reconciler;
use super::crds::Declared;

/// Why a commit could not be read.
pub(super) struct Unrendered {
    pub(super) problems: Vec<Problem>,
    /// Is all of it about kinds that another application may bring?
    pub(super) early: bool,
}

impl From<Vec<Problem>> for Unrendered {
    fn from(problems: Vec<Problem>) -> Self {
        Self { problems, early: false }
    }
}

impl Reconciler {
    /// Reads the tip's manifests; the inner error is all that is wrong with them, and whether another application may mend
    /// it: a kind of Kubernetes itself that is not there will not come.
    #[tracing::instrument(skip_all)]
    pub(super) async fn render(
        &self,
        begun: &mut Begun,
        cluster: &Cluster,
    ) -> Result<Result<Vec<Manifest>, Unrendered>, Error> {
        let job = &begun.job;
        let path = job.application.path_in(&job.target.cluster);
        let namespace = job.application.namespace_in(&job.target.cluster);
        let files = match self.source(&job.application.source)?.read(&begun.tip, &path).await {
            Ok(files) => files,
            Err(error) if error.fault() == Fault::Theirs => {
                return Ok(Err(vec![Error::from(error).problem()].into()));
            }
            Err(error) => return Err(error.into()),
        };
        let manifests = match parse(files).await {
            Ok(manifests) => manifests,
            Err(problems) => return Ok(Err(problems.into())),
        };
        let declared = Declared::of(&manifests);
        if !unknown(&manifests, &begun.kinds, &declared).is_empty() {
            begun.kinds = cluster.discover().await?;
        }
        let problems = unknown(&manifests, &begun.kinds, &declared);
        if !problems.is_empty() {
            let mut objects = problems.iter().filter_map(|problem| problem.object.as_ref());
            let early = objects.all(|id| !is_kubernetes(&id.group));
            return Ok(Err(Unrendered { problems, early }));
        }
        let kinds = &begun.kinds;
        let scope = |api_version: &str, kind: &str| {
            kinds.scope(api_version, kind).or_else(|| declared.scope(api_version, kind))
        };
        let settled = manifest::settle(manifests, &namespace, &scope);
        Ok(settled.and_then(|all| without_records(all, cluster)).map_err(Unrendered::from))
    }

    /// Returns what an application declares at a commit of this pass's source; `None` where that cannot be read as it is.
    pub(super) async fn ids_at(
        &self,
        begun: &Begun,
        tip: &CommitId,
        reads: &Reads,
    ) -> Result<Option<BTreeSet<ObjectId>>, Error> {
        let files = match self.source(&begun.job.application.source)?.read(tip, &reads.path).await {
            Ok(files) => files,
            Err(source::Error::NoPath { .. }) => return Ok(Some(BTreeSet::new())),
            Err(error) if error.fault() == Fault::Theirs => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let Ok(manifests) = parse(files).await else { return Ok(None) };
        let declared = Declared::of(&manifests);
        let scope = |api_version: &str, kind: &str| {
            begun.kinds.scope(api_version, kind).or_else(|| declared.scope(api_version, kind))
        };
        let settled = manifest::settle(manifests, &reads.namespace, &scope).ok();
        Ok(settled.map(|all| all.into_iter().map(|manifest| manifest.id).collect()))
    }
}

/// Parses on a thread of its own: megabytes of YAML would hold up everything else.
async fn parse(files: Vec<File>) -> Result<Vec<Manifest>, Vec<Problem>> {
    let parsing = tokio::task::spawn_blocking(move || {
        let texts: Vec<_> =
            files.iter().map(|file| manifest::Text { file: &file.path, bytes: &file.bytes }).collect();
        manifest::read(&texts)
    });
    parsing.await.unwrap_or_else(|_| {
        let message = "reading the manifests ended in a defect of windlass; please report it".to_owned();
        Err(vec![Problem { object: None, place: None, message }])
    })
}

/// Returns a problem for each manifest of a kind that neither the cluster nor the commit itself knows.
fn unknown(manifests: &[Manifest], kinds: &Kinds, declared: &Declared) -> Vec<Problem> {
    let is_known = |manifest: &&Manifest| {
        let (api_version, kind) = (manifest.api_version.as_str(), manifest.id.kind.as_str());
        kinds.scope(api_version, kind).or_else(|| declared.scope(api_version, kind)).is_some()
    };
    let unknown = manifests.iter().filter(|manifest| !is_known(manifest));
    unknown
        .map(|manifest| {
            let message = format!(
                "the cluster does not know the kind {} of {}: install what defines it first, or correct the apiVersion",
                manifest.id.kind, manifest.api_version
            );
            about(manifest, message)
        })
        .collect()
}

/// Refuses manifests of windlass's own records: a commit could otherwise take over other applications.
fn without_records(manifests: Vec<Manifest>, cluster: &Cluster) -> Result<Vec<Manifest>, Vec<Problem>> {
    let is_record = |manifest: &&Manifest| {
        let (id, labels) = (&manifest.id, manifest.value.pointer("/metadata/labels"));
        let named = id.kind == "ConfigMap"
            && id.namespace.as_deref() == Some(cluster.namespace())
            && id.name.starts_with(member::RECORD);
        named || labels.is_some_and(|labels| labels.get(member::SET).is_some())
    };
    let records = manifests.iter().filter(is_record);
    let problems: Vec<_> = records
        .map(|manifest| {
            about(manifest, "windlass keeps its own records by this name and label: take another".into())
        })
        .collect();
    if problems.is_empty() { Ok(manifests) } else { Err(problems) }
}

fn about(manifest: &Manifest, message: String) -> Problem {
    Problem { object: Some(manifest.id.clone()), place: Some(manifest.place.clone()), message }
}
