//! Everything that is found out before the first write: render, list, plan, dry-run, guard.

use std::collections::BTreeSet;

use futures::StreamExt;
use futures::stream;
use tracing::Instrument;

use crate::cluster::Cluster;
use crate::guard;
use crate::member;
use crate::object::GroupKind;
use crate::object::Live;
use crate::object::Manifest;
use crate::outcome::Action;
use crate::outcome::Change;
use crate::outcome::Problem;
use crate::plan;
use crate::plan::Write;

use super::Begun;
use super::Ended;
use super::Error;
use super::Reconciler;
use super::check::Checked;
use super::check::check;
use super::crds::Declared;

/// A pass of which everything is known good: only what this plan itself creates room for is still unchecked.
#[derive(Debug)]
pub struct Ready {
    pub(super) begun: Begun,
    /// What is written, with the fields that differ where the object exists.
    pub(super) writes: Vec<Checked>,
    /// What is as declared already.
    pub(super) unchanged: Vec<Live>,
    pub(super) prune: Vec<Live>,
    pub(super) kept: Vec<Change>,
    /// What the guard kept although the commit dropped it: the commit is not wholly true while it stays.
    pub(super) unmet: Vec<Problem>,
    /// The kinds and namespaces that members are of and in, once the pass is through.
    pub(super) extent: Extent,
    /// Kinds in the parent that the cluster does not know at present.
    pub(super) unknown: Vec<GroupKind>,
}

/// Kinds and namespaces.
#[derive(Clone, Debug, Default)]
pub(super) struct Extent {
    pub(super) kinds: BTreeSet<GroupKind>,
    pub(super) namespaces: BTreeSet<String>,
}

impl Extent {
    pub(super) fn add(&mut self, id: &crate::object::ObjectId) {
        self.kinds.insert(id.group_kind());
        self.namespaces.extend(id.namespace.clone());
    }
}

impl Reconciler {
    /// Renders the tip, reads what the cluster holds of it, plans, and lets the server check all of it dry.
    ///
    /// The inner error is a pass that ended here because the commit cannot be made true; nothing was written.
    ///
    /// # Errors
    /// The source or the cluster, where the next try may find it otherwise.
    #[tracing::instrument(skip_all)]
    pub async fn prepare(&self, begun: Begun) -> Result<Result<Ready, Ended>, Error> {
        let cluster = self.cluster_of(&begun)?;
        let mut begun = begun;
        let manifests = match self.render(&mut begun, &cluster).await? {
            Ok(manifests) => manifests,
            Err(problems) => return self.refuse(&begun, problems).await.map(Err),
        };
        let declared = Declared::of(&manifests);
        let (mut extent, set) = (Extent::default(), begun.parent.id());
        manifests.iter().for_each(|manifest| extent.add(&manifest.id));
        let wanted = manifests.len();
        let found = match look(&cluster, &mut begun, &manifests, &extent).await? {
            Ok(found) => found,
            Err(problems) => return self.refuse(&begun, problems).await.map(Err),
        };
        let manager = member::manager(&begun.job.target.application);
        let (members, unknown) = (found.members.len(), found.unknown);
        let plan = plan::plan(&set, &manager, manifests, found.members, found.named);
        let mut problems = plan.problems;
        let leaving = plan.writes.iter().find(|write| write.live.as_ref().is_some_and(Live::is_terminating));
        if let Some(write) = leaving {
            return Err(Error::Leaving(write.manifest.id.clone()));
        }
        let checks: Vec<_> = plan
            .writes
            .into_iter()
            .map(|write| check(&cluster, &begun.kinds, &manager, &declared, write))
            .collect();
        let span = tracing::info_span!("dry_run", objects = checks.len());
        let checks = stream::iter(checks).buffered(cluster.requests()).collect::<Vec<_>>();
        let checks = checks.instrument(span).await;
        let (mut writes, mut unchanged) = (Vec::new(), Vec::new());
        for checked in checks {
            match checked? {
                Ok(Checked { write: Write { live: Some(live), .. }, fields, .. }) if fields.is_empty() => {
                    unchanged.push(live);
                }
                Ok(checked) => writes.push(checked),
                Err(problem) => problems.push(problem),
            }
        }
        if !problems.is_empty() {
            return self.refuse(&begun, problems).await.map(Err);
        }
        let judged = self.judge(&begun, plan.leaving, members, wanted).await?;
        let (kept, unmet) = told_of_kept(judged.kept, begun.job.application.prune, &mut extent);
        Ok(Ok(Ready { begun, writes, unchanged, prune: judged.prune, kept, unmet, extent, unknown }))
    }

    async fn judge(
        &self,
        begun: &Begun,
        leaving: Vec<Live>,
        members: usize,
        wanted: usize,
    ) -> Result<guard::Judged, Error> {
        let job = &begun.job;
        if !job.application.prune {
            let why = "the application does not prune".to_owned();
            let kept = leaving.into_iter().map(|live| (live, why.clone())).collect();
            return Ok(guard::Judged { prune: Vec::new(), kept });
        }
        if leaving.is_empty() {
            return Ok(guard::Judged::default());
        }
        let message = self.source(&job.application.source)?.message(&begun.tip).await?;
        let consent = guard::consents(&message, job.target.application.as_str());
        Ok(guard::judge(leaving, members, wanted, self.hands.guard, consent))
    }
}

/// Returns the changes and the problems that kept objects make, and widens the extent by them.
fn told_of_kept(
    kept: Vec<(Live, String)>,
    guarded: bool,
    extent: &mut Extent,
) -> (Vec<Change>, Vec<Problem>) {
    let (mut changes, mut problems) = (Vec::new(), Vec::new());
    for (live, why) in kept {
        extent.add(&live.id);
        if guarded {
            let message = format!(
                "left the commit but was kept by the prune guard: {why}; to consent, add the trailer \
                 Windlass-Allow-Prune with the application's name to the newest commit"
            );
            problems.push(Problem { object: Some(live.id.clone()), place: None, message });
        }
        changes.push(Change { object: live.id, action: Action::Kept, note: Some(why) });
    }
    (changes, problems)
}

/// What the cluster holds of an application.
struct Found {
    members: Vec<Live>,
    named: Vec<Live>,
    unknown: Vec<GroupKind>,
}

/// Lists the members, and reads by name what is wanted but not among them.
#[tracing::instrument(skip_all)]
async fn look(
    cluster: &Cluster,
    begun: &mut Begun,
    manifests: &[Manifest],
    extent: &Extent,
) -> Result<Result<Found, Vec<Problem>>, Error> {
    let kinds: BTreeSet<_> = begun.parent.group_kinds.union(&extent.kinds).collect();
    let namespaces: Vec<String> = begun.parent.namespaces.union(&extent.namespaces).cloned().collect();
    let set = begun.parent.id();
    let mut members = cluster.members(&set, &begun.kinds, kinds.iter().copied(), &namespaces).await;
    if members.unknown.iter().any(|kind| begun.parent.group_kinds.contains(kind)) {
        // It may be known since the kinds were discovered, and what is not listed is not pruned.
        begun.kinds = cluster.discover().await?;
        if members.unknown.iter().any(|kind| begun.kinds.api_version(kind).is_some()) {
            members = cluster.members(&set, &begun.kinds, kinds.iter().copied(), &namespaces).await;
        }
    }
    let mut problems = refusals(members.errors)?;
    let present: BTreeSet<_> = members.found.iter().map(|live| &live.id).collect();
    let absent: Vec<_> = manifests
        .iter()
        .filter(|manifest| !present.contains(&manifest.id))
        .map(|manifest| (manifest.api_version.as_str(), &manifest.id))
        .collect();
    let named = match cluster.read(&begun.kinds, &absent).await {
        Ok(named) => named,
        Err(errors) => {
            problems.extend(refusals(errors)?);
            Vec::new()
        }
    };
    // A kind that this very commit brings is not unknown in the sense that matters for pruning.
    let unknown =
        members.unknown.into_iter().filter(|kind| begun.parent.group_kinds.contains(kind)).collect();
    if problems.is_empty() {
        Ok(Ok(Found { members: members.found, named, unknown }))
    } else {
        Ok(Err(problems))
    }
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
