//! The writes, stage by stage.

use std::collections::BTreeMap;

use futures::StreamExt;
use futures::stream;
use serde_json::Value;

use crate::annotation::Stage;
use crate::annotation::Turn;
use crate::annotation::Wish;
use crate::clock;
use crate::cluster::Cluster;
use crate::drift;
use crate::drift::Sight;
use crate::drift::Sum;
use crate::fault::Fault;
use crate::health::Health;
use crate::health::Rules;
use crate::object::Live;
use crate::object::Manifest;
use crate::object::ObjectId;
use crate::outcome::Action;
use crate::outcome::Change;
use crate::outcome::Problem;
use crate::plan;
use crate::plan::Left;

use super::Error;
use super::Fenced;
use super::Reconciler;
use super::check::Checked;
use super::check::Checker;
use super::check::Verdict;
use super::check::refusal;
use super::conflicts::told;
use super::crds;
use super::crds::Declared;
use super::drifted;
use super::drifted::unhealed;
use super::turns::Ago;
use super::turns::Held;
use super::turns::Waiting;
use super::write::By;
use super::write::Written;

/// A pass that wrote its objects, or ran into a refusal half-way.
#[derive(Debug)]
pub struct Applied {
    pub(super) fenced: Fenced,
    pub(super) changes: Vec<Change>,
    /// The objects that are not healthy yet.
    pub(super) waiting: Vec<Waiting>,
    pub(super) problems: Vec<Problem>,
    pub(super) held: Held,
    /// What is not written yet, with its turn, and what it comes to as it is.
    pub(super) unwritten: BTreeMap<ObjectId, (Turn, Sum)>,
    /// What all else comes to that is there.
    sum: Sum,
    pub(super) rules: Rules,
    /// The objects that count as healthy only because nothing was reported of them.
    pub(super) unreported: Vec<Waiting>,
    /// What comes once what left the commit is pruned.
    pub(super) later: Vec<Checked>,
    /// What was written and works, where that has to last.
    pub(super) written: Vec<Waiting>,
    /// The hooks that were made in this rollout.
    pub(super) hooks: Vec<Live>,
}

/// By how many milliseconds may the clocks of the API server and of windlass differ without harm?
const CLOCKS_MS: u64 = 5_000;

impl Applied {
    fn new(fenced: Fenced, rules: Rules) -> Self {
        let (changes, waiting, problems, unreported) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let (held, later, written, hooks) = (Held::default(), Vec::new(), Vec::new(), Vec::new());
        let set = fenced.ready.begun.parent.id();
        let sum_of = |live: &Live| Sum::of(live, &set, &fenced.manager);
        // What is being deleted is counted too: where it goes only when nobody waits for it any more, it is missed then.
        let unwritten = fenced.ready.writes.iter().chain(&fenced.ready.leaving).map(|one| {
            let sum = one.write.live.as_ref().map(sum_of).unwrap_or_default();
            (one.write.manifest.id.clone(), (one.turn().0, sum))
        });
        let unwritten = unwritten.collect();
        let left = fenced.ready.left.iter().filter_map(|left| left.live.as_ref());
        let sum = left.fold(fenced.ready.sum, |sum, live| sum.and(sum_of(live)));
        Self {
            fenced,
            changes,
            waiting,
            problems,
            held,
            unwritten,
            sum,
            rules,
            unreported,
            later,
            written,
            hooks,
        }
    }

    /// Returns whether anything has to be waited for.
    pub(super) fn waits(&self) -> bool {
        !self.waiting.is_empty() || !self.written.is_empty()
    }

    /// Has what was written to work for a while?
    fn lasts(&self) -> bool {
        self.fenced.ready.begun.job.application.stable_for_ms.is_some()
    }

    /// Returns what all members come to that this pass leaves behind.
    pub(super) fn sum(&self) -> Sum {
        self.unwritten.values().fold(self.sum, |sum, (_, one)| sum.and(*one))
    }

    /// Counts an object that stays.
    pub(super) fn count(&mut self, live: &Live) {
        self.sum = self.sum.and(Sum::of(live, &self.fenced.parent.id(), &self.fenced.manager));
    }

    /// Notes an object that is left as it is.
    fn leave(&mut self, left: Left) {
        let Left { id: object, live, why: note } = left;
        self.unwritten.remove(&object);
        live.iter().for_each(|live| self.count(live));
        self.changes.push(Change { object, action: Action::Unchanged, note });
    }

    fn note(
        &mut self,
        live: &Value,
        manifest_id: &ObjectId,
        api_version: &str,
        action: Action,
        fields: &[String],
    ) {
        let changed = action != Action::Unchanged;
        let health = self.rules.health(live);
        let past = if changed { None } else { told_of_past(manifest_id, &health) };
        let note = past.clone().or_else(|| (!fields.is_empty()).then(|| fields.join(", ")));
        self.changes.push(Change { object: manifest_id.clone(), action, note });
        self.sum.add(manifest_id, &Sight::of(live, &self.fenced.manager));
        let wish = Wish::of(live);
        if wish.is_made_anew() {
            self.hooks.extend(Live::read(live.clone()));
        }
        let applied_at = drift::applied_at(live, &self.fenced.manager);
        let has_failed = !changed && !wish.is_made_anew() && matches!(health, Health::Failed(_));
        let failed = has_failed.then(|| self.failed_since(applied_at)).flatten();
        let (api_version, id, within_ms) = (api_version.to_owned(), manifest_id.clone(), within(&wish));
        let (turn, version, going) = (wish.turn(), None, false);
        let waiting = Waiting { api_version, id, turn, version, within_ms, going, failed };
        match health {
            _ if past.is_some() => {}
            Health::Waiting(_) | Health::Failed(_) => {
                // What was only read may have changed since.
                let written = changed.then(|| live.pointer("/metadata/resourceVersion"));
                let version = written.flatten().and_then(Value::as_str).map(str::to_owned);
                self.waiting.push(Waiting { version, ..waiting });
            }
            Health::Healthy if self.rules.is_unreported(live) => {
                let created = live.pointer("/metadata/creationTimestamp").and_then(Value::as_str);
                if changed || !self.is_settled(created) {
                    self.unreported.push(waiting);
                }
            }
            Health::Healthy if changed && !wish.is_made_anew() && self.lasts() => self.written.push(waiting),
            Health::Healthy => {}
        }
    }

    /// Returns how long ago an object was applied that has failed since and that this run leaves as it is; nothing where it
    /// may have been for the event that this run answers, by a try or a part of the run before this one.
    fn failed_since(&self, applied_at: Option<&str>) -> Option<Ago> {
        if self.is_settled(applied_at) {
            return Some(Ago::Long);
        }
        let received_at = self.fenced.ready.begun.job.received_at;
        let ago = received_at.since(applied_at.and_then(clock::read)?);
        (ago > CLOCKS_MS).then_some(Ago::Short)
    }

    /// Returns whether so much time has passed since, as the server writes times, that whatever came of it is not this
    /// run's: as much as a commit waits for health.
    fn is_settled(&self, since: Option<&str>) -> bool {
        let within = self.fenced.ready.begun.job.application.health_deadline_ms;
        since.and_then(clock::read).is_some_and(|since| clock::now().since(since) > within)
    }
}

/// Returns what is told of a schedule that the commit leaves as it was, and whose last run did not succeed: the commit
/// neither brought that about nor could mend it before the next run.
fn told_of_past(id: &ObjectId, health: &Health) -> Option<String> {
    match health {
        Health::Failed(why) if id.group == "batch" && id.kind == "CronJob" => Some(why.clone()),
        Health::Healthy | Health::Waiting(_) | Health::Failed(_) => None,
    }
}

/// Returns for how long an object is waited for, where it says so: only hooks do.
fn within(wish: &Wish) -> Option<u64> {
    wish.hook_deadline_ms.filter(|_| wish.hook.is_some())
}

impl Reconciler {
    /// Writes what differs, stage by stage. A refusal ends it after its stage; everything that is said is said.
    ///
    /// # Errors
    /// Another run that took the fence; the cluster, where the next try may find it otherwise.
    #[tracing::instrument(skip_all)]
    pub async fn apply(&self, fenced: Fenced) -> Result<Applied, Error> {
        let cluster = self.cluster_of(&fenced.ready.begun)?;
        let mut applied = Applied::new(fenced, self.hands.health.clone());
        for live in std::mem::take(&mut applied.fenced.ready.unchanged) {
            applied.note(&live.value, &live.id, &live.api_version, Action::Unchanged, &[]);
        }
        let left = applied.fenced.ready.left.iter();
        let left = left.map(|Left { id, why, .. }| Change {
            object: id.clone(),
            action: Action::Unchanged,
            note: why.clone(),
        });
        applied.changes.extend(left.collect::<Vec<_>>());
        let writes = std::mem::take(&mut applied.fenced.ready.writes);
        let declared = Declared::of(&writes.iter().map(|c| c.write.manifest.clone()).collect::<Vec<_>>());
        let (first, rest): (Vec<_>, Vec<_>) = writes.into_iter().partition(is_first);
        self.write_stage(&cluster, &mut applied, first).await?;
        if !applied.problems.is_empty() {
            return Ok(applied);
        }
        let Some(rest) = self.check_late(&cluster, &mut applied, &declared, rest).await? else {
            return Ok(applied);
        };
        let (rest, later) = rest.into_iter().partition(|checked| checked.turn().0.stage < Stage::After);
        applied.later = later;
        let leaving = std::mem::take(&mut applied.fenced.ready.leaving);
        applied.waiting.extend(leaving.iter().filter_map(Waiting::returning));
        self.write_turns(&cluster, &mut applied, rest).await?;
        applied.held.until_gone(leaving);
        if applied.held.next.is_some() {
            let later = std::mem::take(&mut applied.later);
            applied.held.writes.extend(later);
        }
        Ok(applied)
    }

    /// Checks what could not be checked before its kind or namespace was there; `None` when that found problems.
    async fn check_late(
        &self,
        cluster: &Cluster,
        applied: &mut Applied,
        declared: &Declared,
        rest: Vec<Checked>,
    ) -> Result<Option<Vec<Checked>>, Error> {
        if rest.iter().all(|checked| checked.checked) {
            return Ok(Some(rest));
        }
        let late: Vec<_> = rest.iter().filter(|c| !c.checked).map(|c| &c.write.manifest).collect();
        match crds::established(cluster, declared, &late).await? {
            Ok(kinds) => applied.fenced.ready.begun.kinds = kinds,
            Err(problems) => {
                applied.problems.extend(problems);
                return Ok(None);
            }
        }
        let (set, manager) = (applied.fenced.parent.id(), applied.fenced.manager.as_str());
        let checker = Checker::new(self, cluster, &applied.fenced.ready.begun, (&set, manager), declared);
        let checks = rest.into_iter().map(|checked| {
            let checker = &checker;
            async move {
                if checked.checked {
                    Ok(Ok(Verdict::Fine(Box::new(checked))))
                } else {
                    crds::check(checker, checked.write).await
                }
            }
        });
        let answers: Vec<_> =
            stream::iter(checks.collect::<Vec<_>>()).buffered(cluster.requests()).collect().await;
        let mut rest = Vec::new();
        for answer in answers {
            match answer? {
                Ok(Verdict::Fine(checked)) if checked.contested => {
                    drifted::only_told(&mut applied.fenced.ready, &checked, &applied.fenced.manager);
                    applied.leave(unhealed(*checked));
                }
                Ok(Verdict::Fine(checked)) => rest.push(*checked),
                Ok(Verdict::Left(left)) => applied.leave(left),
                Ok(Verdict::Doubtful(_, problem) | Verdict::Early(problem)) | Err(problem) => {
                    applied.problems.push(problem)
                }
            }
        }
        Ok(applied.problems.is_empty().then_some(rest))
    }

    pub(super) async fn write_stage(
        &self,
        cluster: &Cluster,
        applied: &mut Applied,
        stage: Vec<Checked>,
    ) -> Result<(), Error> {
        let by = By::of(&applied.fenced.ready.begun, applied.fenced.parent.clone());
        let writes = stage.into_iter().map(|checked| {
            let by = &by;
            async move {
                let answer = self.write(cluster, by, &checked).await;
                (checked, answer)
            }
        });
        // The whole stage is seen to its end, so that every refusal is reported and no write is cut off.
        let answers: Vec<_> =
            stream::iter(writes.collect::<Vec<_>>()).buffered(cluster.requests()).collect().await;
        let mut passing = None;
        for (checked, answer) in answers {
            let Manifest { id, api_version, .. } = &checked.write.manifest;
            match answer {
                Ok(Written::Applied(value)) => {
                    self.shown.wrote(&checked.write, &value, &applied.fenced.manager);
                    let action =
                        if checked.write.live.is_some() { Action::Configured } else { Action::Created };
                    let told = told(&checked, &applied.fenced.parent, &by.application);
                    applied.unwritten.remove(id);
                    applied.note(&value, id, api_version, action, &told);
                }
                Ok(Written::Left(left)) => applied.leave(*left),
                Err(error) if error.fault() == Fault::Theirs => {
                    applied.problems.push(refused(&error, &checked.write.manifest));
                }
                Err(error) => passing = Some(error),
            }
        }
        passing.map_or(Ok(()), Err)
    }
}

fn refused(error: &Error, manifest: &Manifest) -> Problem {
    if let Error::Cluster(error) = error {
        return refusal(error, manifest);
    }
    Problem { place: Some(manifest.place.clone()), ..error.problem() }
}

fn is_first(checked: &Checked) -> bool {
    checked.write.wish.hook.is_none() && checked.turn().1 == plan::FIRST
}
