//! What the cluster holds of an application.

use std::collections::BTreeSet;

use crate::cluster::Cluster;
use crate::object::GroupKind;
use crate::object::Live;
use crate::object::Manifest;
use crate::outcome::Problem;

use super::Begun;
use super::Error;
use super::prepare::Extent;

/// What the cluster holds of an application.
pub(super) struct Found {
    pub(super) members: Vec<Live>,
    pub(super) unknown: Vec<GroupKind>,
}

/// Lists the members.
#[tracing::instrument(skip_all)]
pub(super) async fn look(
    cluster: &Cluster,
    begun: &mut Begun,
    manifests: &[Manifest],
    extent: &Extent,
) -> Result<Result<Found, Vec<Problem>>, Error> {
    let kinds: BTreeSet<_> = begun.parent.group_kinds.union(&extent.kinds).collect();
    let namespaces: Vec<String> = begun.parent.namespaces.union(&extent.namespaces).cloned().collect();
    let set = begun.parent.id();
    let versions = manifests.iter().map(|manifest| (manifest.id.group_kind(), manifest.api_version.as_str()));
    let versions = versions.collect();
    let mut members =
        cluster.members(&set, &begun.kinds, kinds.iter().copied(), &versions, &namespaces).await;
    if members.unknown.iter().any(|kind| begun.parent.group_kinds.contains(kind)) {
        // It may be known since the kinds were discovered, and what is not listed is not pruned.
        begun.kinds = cluster.discover().await?;
        if members.unknown.iter().any(|kind| begun.kinds.api_version(kind).is_some()) {
            members =
                cluster.members(&set, &begun.kinds, kinds.iter().copied(), &versions, &namespaces).await;
        }
    }
    let problems = refusals(members.errors)?;
    // A kind that this very commit brings is not unknown in the sense that matters for pruning.
    let unknown =
        members.unknown.into_iter().filter(|kind| begun.parent.group_kinds.contains(kind)).collect();
    if problems.is_empty() { Ok(Ok(Found { members: members.found, unknown })) } else { Ok(Err(problems)) }
}

/// Returns refusals as problems of the commit; any other error ends the pass.
fn refusals(errors: Vec<crate::cluster::Error>) -> Result<Vec<Problem>, Error> {
    let mut problems = Vec::new();
    for error in errors {
        if error.answer().is_some_and(crate::cluster::Answer::is_forbidden) {
            problems.push(Error::from(error).problem());
        } else {
            return Err(error.into());
        }
    }
    Ok(problems)
}
