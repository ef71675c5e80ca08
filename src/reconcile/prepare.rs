//! Everything that is found out before the first write: render, list, plan, dry-run, guard.

use std::collections::BTreeSet;

use futures::StreamExt;
use futures::stream;
use tracing::Instrument;

use crate::application::SelfHeal;
use crate::cluster::Cluster;
use crate::drift::Sum;
use crate::job::Reason;
use crate::member;
use crate::object::GroupKind;
use crate::object::Live;
use crate::object::Manifest;
use crate::outcome::Action;
use crate::outcome::Change;
use crate::outcome::Drifted;
use crate::outcome::Fight;
use crate::outcome::Problem;
use crate::plan;
use crate::plan::Left;
use crate::plan::Plan;
use crate::plan::Write;

use super::Begun;
use super::Ended;
use super::Error;
use super::Reconciler;
use super::check::Checked;
use super::check::Checker;
use super::check::Verdict;
use super::crds::DEFINITION;
use super::crds::Declared;
use super::drifted;

/// A pass of which everything is known good: only what this plan itself creates room for is still unchecked.
#[derive(Debug)]
pub struct Ready {
    pub(super) begun: Begun,
    /// What somebody else changed and this pass makes as declared, where it is about that.
    pub(super) drifted: Vec<Drifted>,
    /// What somebody else changed and is only to be told.
    pub(super) reported: Vec<Drifted>,
    /// Over what of that this pass gives way to somebody else.
    pub(super) fights: Vec<Fight>,
    /// What is written, with the fields that differ where the object exists.
    pub(super) writes: Vec<Checked>,
    /// What is being deleted, and is written by a later part of the run, once it is gone.
    pub(super) leaving: Vec<Checked>,
    /// What is as declared already.
    pub(super) unchanged: Vec<Live>,
    /// What is left as it is, whatever its manifest says.
    pub(super) left: Vec<Left>,
    pub(super) prune: Vec<Live>,
    pub(super) kept: Vec<Change>,
    /// What those that are kept come to.
    pub(super) sum: Sum,
    /// What the guard kept although the commit dropped it: the commit is not wholly true while it stays.
    pub(super) unmet: Vec<Problem>,
    /// The kinds and namespaces that members are of and in, once the pass is through.
    pub(super) extent: Extent,
    /// Kinds in the parent that the cluster does not know at present.
    pub(super) unknown: Vec<GroupKind>,
}

impl Ready {
    /// Returns whether a pass after drift has only to tell of some, or has nothing to do with it.
    pub(super) fn is_only_told(&self) -> bool {
        let corrects = self.begun.job.self_heal(None) == SelfHeal::Correct;
        self.writes.is_empty() && self.prune.is_empty() && (!corrects || !self.reported.is_empty())
    }
}

/// A pass whose commit cannot be made true, and why.
pub(super) type Refused = (Begun, Vec<Problem>);

/// The objects of a commit, held against the cluster.
#[derive(Debug, Default)]
pub(super) struct Sorted {
    pub(super) writes: Vec<Checked>,
    pub(super) leaving: Vec<Checked>,
    pub(super) unchanged: Vec<Live>,
    pub(super) left: Vec<Left>,
    pub(super) problems: Vec<Problem>,
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
        match self.weigh(begun).await? {
            Ok(ready) => Ok(Ok(ready)),
            Err((begun, problems)) => self.refuse(&begun, problems).await.map(Err),
        }
    }

    /// Does all of that but telling of a commit that cannot be made true.
    pub(super) async fn weigh(&self, begun: Begun) -> Result<Result<Ready, Refused>, Error> {
        let cluster = self.cluster_of(&begun)?;
        let mut begun = begun;
        let manifests = match self.render(&mut begun, &cluster).await? {
            Ok(manifests) => manifests,
            Err(problems) => return Ok(Err((begun, problems))),
        };
        let declared = Declared::of(&manifests);
        let (mut extent, set) = (Extent::default(), begun.parent.id());
        manifests.iter().for_each(|manifest| extent.add(&manifest.id));
        let wanted = manifests.len();
        let found = match look(&cluster, &mut begun, &manifests, &extent).await? {
            Ok(found) => found,
            Err(problems) => return Ok(Err((begun, problems))),
        };
        let manager = member::manager(&begun.job.target.application);
        let members = found.members.iter().filter(|live| plan::is_ours(live, &manager)).count();
        let unknown = found.unknown;
        let Plan { mut writes, hooks, mut left, created, kept, leaving } =
            planned(&begun, &set, &manager, manifests, found.members)?;
        left.extend(drifted::unwritten(&begun, &mut writes));
        let going = parted(&begun, &mut writes, &mut left);
        let answers = |hook: &Write| hook.wish.answers_failure || hook.wish.is_cleared_failed;
        begun.answers_failure = hooks.iter().any(answers);
        let checker = Checker::new(self, &cluster, &begun, (&set, &manager), &declared);
        let same = begun.is_known_done();
        let mut sorted = self.sort(&checker, writes, same).await?;
        self.sort_leaving(&checker, going, &mut sorted).await?;
        self.sort_hooks(&checker, &begun, hooks, &mut sorted).await?;
        if !sorted.problems.is_empty() {
            return Ok(Err((begun, sorted.problems)));
        }
        sorted.left.extend(left);
        sorted.unchanged.extend(created);
        let (leaving, moved) = self.moved_on(&begun, leaving).await?;
        let judged = self.judge(&begun, leaving, members, wanted).await?;
        let others = kept.into_iter().chain(moved).collect();
        let stays = Stays::of(&begun, (&set, &manager), (judged.kept, others), &mut extent);
        let Stays { kept, unmet, sum } = stays;
        let Sorted { writes, leaving, unchanged, left, .. } = sorted;
        let prune = judged.prune;
        let (drifted, reported, fights) = (Vec::new(), Vec::new(), Vec::new());
        let ready = Ready {
            begun,
            drifted,
            reported,
            fights,
            writes,
            leaving,
            unchanged,
            left,
            prune,
            kept,
            sum,
            unmet,
            extent,
            unknown,
        };
        Ok(Ok(drifted::sorted_out(ready, &manager)))
    }

    /// Tells what is as declared from what is to be written, with a dry-run of whatever is not known to be the former.
    async fn sort(&self, checker: &Checker<'_>, writes: Vec<Write>, same: bool) -> Result<Sorted, Error> {
        let manager = checker.manager;
        let (known, unsure): (Vec<_>, Vec<_>) =
            writes.into_iter().partition(|write| self.shown.is_equal(write, manager, same));
        let unchanged = known.into_iter().filter_map(|write| write.live).collect();
        let (mut sorted, mut doubtful) = (Sorted { unchanged, ..Sorted::default() }, Vec::new());
        let span = tracing::info_span!("dry_run", objects = unsure.len());
        let checks: Vec<_> = unsure.into_iter().map(|write| checker.check(write)).collect();
        let checks = stream::iter(checks).buffered(checker.cluster.requests()).collect::<Vec<_>>();
        for checked in checks.instrument(span).await {
            match checked? {
                Ok(Verdict::Left(left)) => sorted.left.push(left),
                Ok(Verdict::Doubtful(write, problem)) => doubtful.push((*write, problem)),
                Ok(Verdict::Fine(checked)) if checked.is_as_declared() => {
                    self.shown.note(&checked.write, manager);
                    sorted.unchanged.extend(checked.write.live);
                }
                Ok(Verdict::Fine(checked)) => sorted.writes.push(*checked),
                Err(problem) => sorted.problems.push(problem),
            }
        }
        for (write, problem) in doubtful {
            // What this pass changes of the definition is not asked of the server before it is there.
            if redefined(checker.declared, &sorted.writes, &write) {
                let (fields, checked, anew) = (Vec::new(), false, false);
                sorted.writes.push(Checked { write, fields, checked, anew });
            } else {
                sorted.problems.push(problem);
            }
        }
        Ok(sorted)
    }
}

/// Returns whether the definition of the kind of a write is among what is written.
fn redefined(declared: &Declared, writes: &[Checked], write: &Write) -> bool {
    let Manifest { api_version, id, .. } = &write.manifest;
    let name = declared.definition(api_version, &id.kind);
    let is_it = |id: &crate::object::ObjectId| {
        (id.group.as_str(), id.kind.as_str()) == DEFINITION && Some(id.name.as_str()) == name
    };
    writes.iter().any(|checked| is_it(&checked.write.manifest.id))
}

/// Plans, with what the rules of the application leave to others.
fn planned(
    begun: &Begun,
    set: &str,
    manager: &str,
    manifests: Vec<Manifest>,
    members: Vec<Live>,
) -> Result<Plan, Error> {
    let mut plan = plan::plan(set, manager, manifests, members);
    let rules = &begun.job.application.ignore;
    // What others live in or are instances of, and what the rollout begins with, has to be there before all others.
    let first = plan.writes.iter().filter(|write| plan::rank(&write.manifest.id.group_kind()) == plan::FIRST);
    if let Some(write) = first.chain(&plan.hooks).find(|write| is_going(write)) {
        return Err(Error::Leaving(write.manifest.id.clone()));
    }
    for write in &mut plan.writes {
        write.wish.heed(rules, &write.manifest.id);
    }
    Ok(plan)
}

fn is_going(write: &Write) -> bool {
    write.live.as_ref().is_some_and(Live::is_terminating)
}

/// Parts what is being deleted from the writes. A pass after drift leaves it: that it is gone will be drift.
fn parted(begun: &Begun, writes: &mut Vec<Write>, left: &mut Vec<Left>) -> Vec<Write> {
    let going: Vec<Write> = writes.extract_if(.., |write| is_going(write)).collect();
    if begun.job.reason != Reason::Drifted {
        return going;
    }
    left.extend(going.into_iter().map(|write| Left { id: write.manifest.id, live: write.live, why: None }));
    Vec::new()
}

/// Says how to consent to what the guard keeps.
fn consent(begun: &Begun) -> String {
    let (target, tip) = (&begun.job.target, begun.tip.short());
    format!(
        "to consent, add the trailer Windlass-Allow-Prune with the application's name to the newest commit, or run \
         windlass sync {target} --allow-prune {tip}"
    )
}

/// What stays although the commit does not declare it.
#[derive(Default)]
struct Stays {
    kept: Vec<Change>,
    unmet: Vec<Problem>,
    sum: Sum,
}

impl Stays {
    /// Takes what the guard kept and what others' reasons keep, and widens the extent by it.
    fn of(
        begun: &Begun,
        (set, manager): (&str, &str),
        (guarded, others): (Vec<(Live, String)>, Vec<(Live, String)>),
        extent: &mut Extent,
    ) -> Self {
        let mut stays = Self::default();
        let consent = begun.job.application.prune.then(|| consent(begun));
        let guarded = guarded.into_iter().map(|kept| (kept, consent.as_deref()));
        for ((live, why), consent) in guarded.chain(others.into_iter().map(|kept| (kept, None))) {
            extent.add(&live.id);
            stays.sum = stays.sum.and(Sum::of(&live, set, manager));
            if let Some(consent) = consent {
                let message = format!("left the commit but was kept by the prune guard: {why}; {consent}");
                stays.unmet.push(Problem { object: Some(live.id.clone()), place: None, message });
            }
            stays.kept.push(Change { object: live.id, action: Action::Kept, note: Some(why) });
        }
        stays
    }
}

/// What the cluster holds of an application.
struct Found {
    members: Vec<Live>,
    unknown: Vec<GroupKind>,
}

/// Lists the members.
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
