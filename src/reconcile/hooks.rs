//! Hooks: what each rollout makes anew, such as the Job that migrates a database.

use futures::StreamExt;
use futures::stream;

use crate::annotation::Hook;
use crate::annotation::Wish;
use crate::application::Propagation;
use crate::application::Target;
use crate::applyset::Parent;
use crate::cluster::Cluster;
use crate::cluster::Kinds;
use crate::fault::chain;
use crate::health::Health;
use crate::job::Reason;
use crate::object::Live;
use crate::outcome::Problem;
use crate::plan;
use crate::plan::Due;
use crate::plan::Left;
use crate::plan::Write;

use super::Begun;
use super::Error;
use super::Reconciler;
use super::check::Checked;
use super::check::Checker;
use super::check::Verdict;
use super::prepare::Sorted;

impl Reconciler {
    /// Sorts hooks: those that this rollout made already are waited for, those that it is to make are checked dry. Where no
    /// rollout is under way none is looked at.
    pub(super) async fn sort_hooks(
        &self,
        checker: &Checker<'_>,
        begun: &Begun,
        hooks: Vec<Write>,
        sorted: &mut Sorted,
    ) -> Result<(), Error> {
        let over = begun.job.reason == Reason::Drifted || begun.is_known_done();
        let reached = begun.rollout().and(begun.parent.fence.next);
        let (mut checks, mut unmade) = (Vec::new(), Vec::new());
        for mut hook in hooks {
            if hook.wish.hook == Some(Hook::Failed) {
                if !over {
                    unmade.push(hook);
                }
                continue;
            }
            let mark = plan::mark(&mut hook, &begun.inputs);
            match plan::due(&hook, &mark, reached, |live| {
                matches!(self.hands.health.health(live), Health::Failed(_))
            }) {
                _ if over => sorted.left.push(passed(hook)),
                Due::Passed => sorted.left.push(passed(hook)),
                Due::Made => sorted.unchanged.extend(hook.live),
                Due::Missing => checks.push((hook, false)),
                Due::Stale if is_ours(&hook, checker) => checks.push((hook, true)),
                Due::Stale => sorted.problems.push(strange(&hook)),
            }
        }
        refused(checker, unmade, sorted).await?;
        let checks: Vec<_> = checks.into_iter().map(|(hook, anew)| check(checker, hook, anew)).collect();
        let checked = stream::iter(checks).buffered(checker.cluster.requests()).collect::<Vec<_>>().await;
        for checked in checked {
            match checked? {
                Ok(Verdict::Left(left)) => sorted.left.push(left),
                Ok(Verdict::Fine(checked)) => sorted.writes.push(*checked),
                Ok(Verdict::Early(problem)) => sorted.early.push(problem),
                Ok(Verdict::Doubtful(_, problem)) | Err(problem) => sorted.problems.push(problem),
            }
        }
        Ok(())
    }

    /// Deletes the hooks of a rollout that succeeded, where they say so. What stays is deleted by the next rollout.
    pub(super) async fn clear_away(
        &self,
        cluster: &Cluster,
        hooks: Vec<Live>,
        (target, kinds, parent): (&Target, &Kinds, &Parent),
    ) {
        for hook in hooks.into_iter().filter(|hook| Wish::of(&hook.value).is_cleared) {
            let id = hook.id.clone();
            if let Err(error) =
                self.delete(cluster, kinds, (target, parent), hook, Propagation::Foreground).await
            {
                tracing::warn!(target.name = %target, object = %id, error = chain(&error), "a hook that succeeded stays");
            }
        }
    }
}

/// Returns a hook that is not looked at. It is no member that counts.
fn passed(hook: Write) -> Left {
    Left { id: hook.manifest.id, live: None, why: None }
}

/// Lets the server check hooks dry that this pass makes none of, and adds what it would refuse of them: whoever needs one
/// for a failure is not to find out only then.
async fn refused(checker: &Checker<'_>, hooks: Vec<Write>, sorted: &mut Sorted) -> Result<(), Error> {
    for hook in hooks {
        let anew = hook.live.is_some();
        if anew && !is_ours(&hook, checker) {
            sorted.problems.push(strange(&hook));
            continue;
        }
        match check(checker, hook, anew).await? {
            Ok(Verdict::Early(problem)) => sorted.early.push(problem),
            Ok(Verdict::Doubtful(_, problem)) | Err(problem) => sorted.problems.push(problem),
            Ok(Verdict::Fine(_) | Verdict::Left(_)) => {}
        }
    }
    Ok(())
}

/// Lets the server check a hook dry, as a new object where an old one has to go first.
pub(super) async fn check(
    checker: &Checker<'_>,
    hook: Write,
    anew: bool,
) -> Result<Result<Verdict, Problem>, Error> {
    if anew {
        return checker.check_anew(hook).await;
    }
    let problem = strange(&hook);
    let verdict = checker.check(hook).await?;
    let there = matches!(&verdict, Ok(Verdict::Fine(checked)) if is_there(checked));
    if there { Ok(Err(problem)) } else { Ok(verdict) }
}

/// Returns whether windlass itself applied the object that is there: what only carries the label is not deleted.
pub(super) fn is_ours(hook: &Write, checker: &Checker<'_>) -> bool {
    hook.live.as_ref().is_some_and(|live| plan::is_ours(live, checker.manager))
}

pub(super) fn strange(hook: &Write) -> Problem {
    let (object, place) = (Some(hook.manifest.id.clone()), Some(hook.manifest.place.clone()));
    let message =
        "it is there already and nobody's hook: rename the hook, or delete what is there".to_owned();
    Problem { object, place, message }
}

fn is_there(checked: &Checked) -> bool {
    checked.write.live.is_some()
}
