//! Everything that is found out before the first write: render, list, plan, dry-run, guard.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::StreamExt;
use futures::stream;
use tracing::Instrument;

use crate::application::SelfHeal;
use crate::clock::now;
use crate::drift::Sum;
use crate::guard::Known;
use crate::job::Reason;
use crate::member;
use crate::object::GroupKind;
use crate::object::Live;
use crate::object::Manifest;
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
use super::leaving::is_going;
use super::leaving::is_timed;
use super::leaving::parted;
use super::look::look;
use super::render::Unrendered;
use super::stays;
use super::stays::Stays;

/// For how long after its event is a pass tried again whose objects lack something that another application may bring, such as their
/// namespace or their kind?
const YET_FOR: Duration = Duration::from_mins(2);

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
    /// What the guard keeps since all that was there would have gone, of this pass and those before.
    pub(super) withheld: BTreeSet<crate::object::ObjectId>,
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
pub(super) struct Refused {
    pub(super) begun: Begun,
    pub(super) problems: Vec<Problem>,
    /// Is all of that something which another application may mend?
    early: bool,
}

impl Refused {
    /// Refuses for good.
    fn new(begun: Begun, problems: Vec<Problem>) -> Self {
        Self { begun, problems, early: false }
    }

    /// Returns what is waited for, as long as there is hope that it comes.
    fn hope(&self) -> Option<&Problem> {
        self.problems.first().filter(|_| self.early && may_wait(&self.begun))
    }
}

/// Returns whether a commit may still wait for what another application may bring.
fn may_wait(begun: &Begun) -> bool {
    let job = &begun.job;
    let since = Duration::from_millis(now().since(job.received_at));
    let within = YET_FOR.min(Duration::from_millis(job.application.health_deadline_ms));
    job.reason != Reason::Drifted && since < within
}

/// The objects of a commit, held against the cluster.
#[derive(Debug, Default)]
pub(super) struct Sorted {
    pub(super) writes: Vec<Checked>,
    pub(super) leaving: Vec<Checked>,
    pub(super) unchanged: Vec<Live>,
    pub(super) left: Vec<Left>,
    pub(super) problems: Vec<Problem>,
    /// What stands in the way and may go by itself.
    pub(super) early: Vec<Problem>,
}

impl Sorted {
    /// Takes all that stands in the way, where something does, and whether all of that may go by itself.
    fn refusal(&mut self) -> Option<(Vec<Problem>, bool)> {
        let early = self.problems.is_empty();
        let mut problems = std::mem::take(&mut self.problems);
        problems.append(&mut self.early);
        (!problems.is_empty()).then_some((problems, early))
    }
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
            Err(refused) => match refused.hope() {
                Some(problem) => Err(Error::Early(Box::new(problem.clone()))),
                None => self.refuse(&refused.begun, refused.problems).await.map(Err),
            },
        }
    }

    /// Does all of that but telling of a commit that cannot be made true.
    pub(super) async fn weigh(&self, begun: Begun) -> Result<Result<Ready, Refused>, Error> {
        let cluster = self.cluster_of(&begun)?;
        let mut begun = begun;
        let manifests = match self.render(&mut begun, &cluster).await? {
            Ok(manifests) => manifests,
            Err(Unrendered { problems, early }) => return Ok(Err(Refused { begun, problems, early })),
        };
        let declared = Declared::of(&manifests);
        let (mut extent, set) = (Extent::default(), begun.parent.id());
        manifests.iter().for_each(|manifest| extent.add(&manifest.id));
        let wanted = manifests.len();
        let found = match look(&cluster, &mut begun, &manifests, &extent).await? {
            Ok(found) => found,
            Err(problems) => return Ok(Err(Refused::new(begun, problems))),
        };
        let manager = member::manager(&begun.job.target.application);
        let members = found.members.iter().filter(|live| plan::is_ours(live, &manager)).count();
        let withheld = stays::still_withheld(&begun, &manifests, &found);
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
        if let Some((problems, early)) = sorted.refusal() {
            return Ok(Err(Refused { begun, problems, early }));
        }
        sorted.left.extend(left);
        sorted.unchanged.extend(created);
        let known = Known { members, staying: kept.len(), wanted, withheld: &withheld };
        let Stays { prune, kept, unmet, sum, withheld } =
            self.part((&begun, &set, &manager), (leaving, kept), known, &mut extent).await?;
        let Sorted { writes, leaving, unchanged, left, .. } = sorted;
        let ready = Ready {
            begun,
            drifted: Vec::new(),
            reported: Vec::new(),
            fights: Vec::new(),
            writes,
            leaving,
            unchanged,
            left,
            prune,
            kept,
            withheld,
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
                Ok(Verdict::Early(problem)) => sorted.early.push(problem),
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
                sorted.writes.push(Checked::new(write, Vec::new(), false));
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
    let timed = plan.writes.iter().filter(|write| is_timed(begun, write));
    if let Some(write) = first.chain(&plan.hooks).chain(timed).find(|write| is_going(write)) {
        return Err(Error::Leaving(write.manifest.id.clone()));
    }
    for write in &mut plan.writes {
        write.wish.heed(rules, &write.manifest.id);
    }
    Ok(plan)
}
