//! What follows a rollout that failed: its hooks for that case, and nothing else.
//!
//! The verdict is told by then, and nothing here changes it: what was made, or why it could not be, stands with what the
//! run did.

use std::sync::atomic::Ordering;

use crate::annotation::Wish;
use crate::application::Propagation;
use crate::applyset::Parent;
use crate::clock::now;
use crate::cluster::Cluster;
use crate::fault::Fault;
use crate::health::Health;
use crate::job::Job;
use crate::job::Rollout;
use crate::member;
use crate::object::Live;
use crate::object::Manifest;
use crate::object::ObjectId;
use crate::outcome::Action;
use crate::outcome::Change;
use crate::outcome::Phase;
use crate::outcome::Problem;
use crate::outcome::Progress;
use crate::outcome::Tally;
use crate::outcome::Told;
use crate::plan;
use crate::plan::Due;
use crate::plan::Write;

use super::Begun;
use super::Ended;
use super::Error;
use super::Reconciler;
use super::check::Checked;
use super::check::Checker;
use super::check::Verdict;
use super::crds::Declared;
use super::finish::cut;
use super::finish::of_job;
use super::hooks;
use super::render::Unrendered;
use super::write::By;
use super::write::Written;

impl Reconciler {
    /// Returns the job that follows a run's failure, where its commit has hooks for that.
    pub(super) fn job_after_failure(&self, begun: &Begun, tally: Tally) -> Option<Job> {
        let rollout = Rollout { run: begun.run.clone(), since: now(), tally };
        let (commit, inputs) = (begun.tip.clone(), begun.inputs.clone());
        begun.answers_failure.then(|| Job { commit, inputs, ..begun.job.after_failure(rollout) })
    }

    /// Makes the hooks for a failure, each once for it, and deletes those that failed where they say so; adds that to what
    /// the run did.
    ///
    /// # Errors
    /// Another run that took the fence; the source or the cluster, where the next try may find it otherwise.
    #[tracing::instrument(skip_all)]
    pub(super) async fn after_failure(&self, mut begun: Begun) -> Result<Ended, Error> {
        let cluster = self.cluster_of(&begun)?;
        let manager = member::manager(&begun.job.target.application);
        let Concerned { due, failed } = self.due_after_failure(&mut begun, &cluster).await?;
        let (set, declared) = (begun.parent.id(), Declared::default());
        let checker = Checker::new(self, &cluster, &begun, (&set, &manager), &declared);
        let (mut checked, mut changes) = (Vec::new(), Vec::new());
        for hook in due {
            let id = hook.manifest.id.clone();
            match check(&checker, hook).await? {
                Ok(Verdict::Fine(one)) => checked.push(*one),
                Ok(Verdict::Left(left)) => changes.push(not_made(id, left.why)),
                Ok(Verdict::Doubtful(_, problem) | Verdict::Early(problem)) | Err(problem) => {
                    changes.push(not_made(id, Some(problem.message)));
                }
            }
        }
        if self.winding_down.load(Ordering::Relaxed) {
            return Err(Error::WindingDown);
        }
        if let Some(why) = self.forbidden(&begun).await? {
            let unmade = checked.drain(..).map(|one| not_made(one.write.manifest.id, Some(why.clone())));
            changes.extend(unmade);
        } else if !checked.is_empty() || !failed.is_empty() {
            let parent = self.take_once_more(&begun).await?;
            let (by, how) = (By::of(&begun, parent), Propagation::Foreground);
            for one in checked {
                changes.push(self.make(&cluster, &by, &one).await?);
            }
            for live in failed {
                let object = live.id.clone();
                let _deleted = self.delete(&cluster, &by.kinds, (&by.target, &by.parent), live, how).await?;
                tracing::info!(run.id = begun.run, %object, "deleted a hook that failed, as it says");
            }
        }
        let run = begun.run.clone();
        if !changes.is_empty() {
            let tally = begun.rollout().map(|rollout| rollout.tally).unwrap_or_default();
            // It is no news of where the run stands, which ended: only of what was done in its name.
            let told = of_job(&begun.job, Phase::Running, Vec::new());
            self.tell(vec![Told::Run(Progress { run: run.clone(), changes, tally, ..told })]).await?;
        }
        Ok(Ended::Run { run, phase: Phase::Failed })
    }

    /// Returns the hooks that a failure concerns, as the cluster holds them, in their order.
    async fn due_after_failure(&self, begun: &mut Begun, cluster: &Cluster) -> Result<Concerned, Error> {
        let manifests = match self.render(begun, cluster).await? {
            Ok(manifests) => manifests,
            Err(Unrendered { problems, .. }) => {
                let why = problems.first().map(|problem| problem.message.as_str());
                tracing::warn!(run.id = begun.run, why, "no hook for the failure can be read");
                return Ok(Concerned::default());
            }
        };
        let mut hooks: Vec<Write> = manifests.into_iter().filter_map(concerned).collect();
        hooks.sort_by_key(|hook| (hook.wish.wave, plan::rank(&hook.manifest.id.group_kind())));
        let objects: Vec<(&str, &ObjectId)> =
            hooks.iter().map(|hook| (hook.manifest.api_version.as_str(), &hook.manifest.id)).collect();
        let found = cluster.read(&begun.kinds, &objects).await;
        let mut found = match found {
            Ok(found) => found,
            Err(errors) => match errors.into_iter().next() {
                Some(error) => return Err(error.into()),
                None => Vec::new(),
            },
        };
        let (set, mut all) = (begun.parent.id(), Concerned::default());
        let manager = member::manager(&begun.job.target.application);
        for mut hook in hooks {
            let at = found.iter().position(|live| live.id == hook.manifest.id);
            hook.live = at.map(|at| found.swap_remove(at));
            if hook.live.as_ref().is_some_and(Live::is_terminating) {
                return Err(Error::Leaving(hook.manifest.id));
            }
            if !hook.wish.answers_failure {
                let gone = |live: &Live| {
                    let health = self.hands.health.health(&live.value);
                    plan::is_ours(live, &manager) && matches!(health, Health::Failed(_))
                };
                all.failed.extend(hook.live.filter(gone));
                continue;
            }
            plan::label(&mut hook.manifest.value, &set);
            let mark = plan::mark_failed(&mut hook, &begun.inputs, &begun.run);
            if plan::due(&hook, &mark, None, |_| false) != Due::Made {
                all.due.push(hook);
            }
        }
        Ok(all)
    }

    /// Takes the fence for what the run has still to do, and leaves what the parent says of it.
    async fn take_once_more(&self, begun: &Begun) -> Result<Parent, Error> {
        let mut parent = begun.parent.clone();
        parent.fence.run.clone_from(&begun.run);
        parent.fence.generation += 1;
        self.take(&begun.job.target.cluster, &parent).await
    }

    /// Makes one hook, and returns what is told of it.
    async fn make(&self, cluster: &Cluster, by: &By, checked: &Checked) -> Result<Change, Error> {
        let object = checked.write.manifest.id.clone();
        match self.write(cluster, by, checked).await {
            Ok(Written::Applied(_)) => {
                let note = Some("its commit failed".to_owned());
                let action = if checked.anew { Action::Configured } else { Action::Created };
                Ok(Change { object, action, note })
            }
            Ok(Written::Left(left)) => Ok(not_made(object, left.why)),
            Err(error) if error.fault() == Fault::Theirs => {
                Ok(not_made(object, Some(error.problem().message)))
            }
            Err(error) => Err(error),
        }
    }
}

/// The hooks that a failure concerns.
#[derive(Debug, Default)]
struct Concerned {
    /// Those that are to be made for it.
    due: Vec<Write>,
    /// Those that failed, and are to go then.
    failed: Vec<Live>,
}

/// Returns the write of a manifest that is a hook which a failure concerns.
fn concerned(manifest: Manifest) -> Option<Write> {
    let wish = Wish::of(&manifest.value);
    (wish.answers_failure || (wish.is_made_anew() && wish.is_cleared_failed)).then_some(Write {
        manifest,
        live: None,
        wish,
    })
}

/// Lets the server check a hook dry, which is made anew where an earlier failure left one.
async fn check(checker: &Checker<'_>, hook: Write) -> Result<Result<Verdict, Problem>, Error> {
    let anew = hook.live.is_some();
    if anew && !hooks::is_ours(&hook, checker) {
        return Ok(Err(hooks::strange(&hook)));
    }
    hooks::check(checker, hook, anew).await
}

/// Tells of a hook that was not made, and why.
fn not_made(object: ObjectId, why: Option<String>) -> Change {
    let why = why.unwrap_or_else(|| "it is left as it is".to_owned());
    let problem = Problem { object: None, place: None, message: format!("not made for the failure: {why}") };
    Change { object, action: Action::Unchanged, note: Some(cut(problem).message) }
}
