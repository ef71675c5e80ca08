//! The commit's manifests, read and settled for the cluster.

use crate::cluster::Cluster;
use crate::cluster::Kinds;
use crate::fault::Fault;
use crate::manifest;
use crate::object::Manifest;
use crate::outcome::Problem;

use super::Begun;
use super::Error;
use super::Reconciler;
use super::crds::Declared;

impl Reconciler {
    /// Reads the tip's manifests; the inner error is all that is wrong with them.
    pub(super) async fn render(
        &self,
        begun: &mut Begun,
        cluster: &Cluster,
    ) -> Result<Result<Vec<Manifest>, Vec<Problem>>, Error> {
        let job = &begun.job;
        let path = job.application.path_in(&job.target.cluster);
        let files = match self.source(&job.application.source)?.read(&begun.tip, &path).await {
            Ok(files) => files,
            Err(error) if error.fault() == Fault::Theirs => {
                return Ok(Err(vec![Error::from(error).problem()]));
            }
            Err(error) => return Err(error.into()),
        };
        let texts: Vec<_> =
            files.iter().map(|file| manifest::Text { file: &file.path, bytes: &file.bytes }).collect();
        let manifests = match manifest::read(&texts) {
            Ok(manifests) => manifests,
            Err(problems) => return Ok(Err(problems)),
        };
        let declared = Declared::of(&manifests);
        let missing = |kinds: &Kinds| {
            let known = |m: &Manifest| {
                kinds.scope(&m.api_version, &m.id.kind).or_else(|| declared.scope(&m.api_version, &m.id.kind))
            };
            manifests
                .iter()
                .filter(|manifest| known(manifest).is_none())
                .map(unknown_kind)
                .collect::<Vec<_>>()
        };
        if !missing(&begun.kinds).is_empty() {
            begun.kinds = cluster.discover().await?;
        }
        let problems = missing(&begun.kinds);
        if !problems.is_empty() {
            return Ok(Err(problems));
        }
        let kinds = &begun.kinds;
        let scope = |api_version: &str, kind: &str| {
            kinds.scope(api_version, kind).or_else(|| declared.scope(api_version, kind))
        };
        Ok(manifest::settle(manifests.clone(), &job.application.namespace_in(&job.target.cluster), &scope))
    }
}

fn unknown_kind(manifest: &Manifest) -> Problem {
    Problem {
        object: Some(manifest.id.clone()),
        place: Some(manifest.place.clone()),
        message: format!(
            "the cluster does not know the kind {} of {}: install what defines it first, or correct the apiVersion",
            manifest.id.kind, manifest.api_version
        ),
    }
}
