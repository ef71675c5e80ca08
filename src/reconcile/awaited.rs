//! What a wait for health makes of what it sees.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use crate::applyset;
use crate::clock::now;
use crate::cluster::Listed;
use crate::cluster::Place;
use crate::health::Health;
use crate::job::Watch;
use crate::moment::Moment;
use crate::object::Live;
use crate::object::ObjectId;
use crate::outcome::Problem;

/// How long is a single object looked at at least, also when its own deadline has passed already?
const LOOK_FOR_ONE: Duration = Duration::from_secs(1);

/// How many finalizers of an object are named at most?
const FINALIZERS: usize = 5;

/// How many objects are named at most when a deadline has passed?
const NAMED: usize = 20;

/// What is still waited for.
#[derive(Debug)]
pub(super) struct Lacking<'a> {
    /// Each object, with what it lacks.
    pub(super) why: BTreeMap<&'a ObjectId, String>,
    /// Those of them that failed before the commit, and will not work again as they are.
    over: BTreeSet<&'a ObjectId>,
}

impl<'a> Lacking<'a> {
    /// Begins to wait for all of a watch.
    pub(super) fn all(watch: &'a Watch) -> Self {
        let unseen = if watch.versions.is_empty() {
            "not seen yet"
        } else {
            "nothing was reported since it was written"
        };
        let all = watch.objects.iter().chain(&watch.going).map(|(_, id)| (id, unseen.to_owned()));
        Self { why: all.collect(), over: BTreeSet::new() }
    }

    /// Returns whether nothing is waited for any more.
    pub(super) fn is_empty(&self, watch: &Watch) -> bool {
        if watch.until_gone { !self.why.keys().any(|id| is_going(watch, id)) } else { self.why.is_empty() }
    }

    /// Returns whether all that is left had failed before the commit, and time will not mend it.
    pub(super) fn is_over(&self, watch: &Watch) -> bool {
        !watch.until_gone && !self.why.is_empty() && self.why.keys().all(|id| self.over.contains(id))
    }

    /// Notes what an object lacks.
    pub(super) fn lacks(&mut self, id: &'a ObjectId, why: impl Into<String>) {
        self.over.remove(id);
        self.why.insert(id, why.into());
    }

    /// Notes that an object lacks nothing.
    pub(super) fn is_done(&mut self, id: &ObjectId) {
        self.over.remove(id);
        self.why.remove(id);
    }

    /// Notes the health of an object; returns why it ends the wait, where it does. What failed before the commit may work
    /// again by what the commit changed, and says nothing of it otherwise: so it does not end the wait of the others.
    pub(super) fn note(&mut self, watch: &Watch, id: &'a ObjectId, health: Health) -> Option<Problem> {
        match health {
            Health::Healthy => self.is_done(id),
            Health::Waiting(why) => self.lacks(id, why),
            Health::Failed(why) if is_from_before(watch, id) => {
                self.lacks(
                    id,
                    format!("it failed already when this run began, which leaves it as it is: {why}"),
                );
                // What runs to its end does so once.
                if id.group == "batch" && id.kind == "Job" {
                    self.over.insert(id);
                }
            }
            Health::Failed(why) => {
                return Some(Problem { object: Some(id.clone()), place: None, message: why });
            }
        }
        None
    }

    /// Names what will not work.
    pub(super) fn problems(&self) -> Vec<Problem> {
        let problem = |(id, why): (&&ObjectId, &String)| Problem {
            object: Some((*id).clone()),
            place: None,
            message: why.clone(),
        };
        self.why.iter().take(NAMED).map(problem).collect()
    }
}

/// Returns until when single objects are waited for, where that is said of them.
pub(super) fn sooner(watch: &Watch) -> Vec<(&ObjectId, Instant)> {
    let end = |moment: Moment| Instant::now() + Duration::from_millis(moment.since(now())).max(LOOK_FOR_ONE);
    watch.sooner.iter().map(|(id, moment)| (id, end(*moment))).collect()
}

/// Returns the version since which all changes of what is waited for in a place are to be told; nothing where that is not
/// known, or where something is waited for to be gone. Versions are numbers that only grow (KEP-5504).
pub(super) fn since(watch: &Watch, place: &Place<'_>) -> Option<String> {
    let is_here = |(api_version, id): &(String, ObjectId)| {
        let namespace = id.namespace.as_deref();
        Place { api_version, kind: &id.kind, namespace } == *place
    };
    if watch.versions.len() != watch.objects.len() || watch.going.iter().any(is_here) {
        return None;
    }
    let here = watch.objects.iter().zip(&watch.versions).filter(|(object, _)| is_here(object));
    let versions: Option<Vec<u64>> = here.map(|(_, version)| version.parse().ok()).collect();
    versions?.into_iter().min().map(|version| version.to_string())
}

/// Returns whether an object is seen as it was before it was written: others of its kind were written before it, and all
/// that came since is told.
pub(super) fn is_old(watch: &Watch, live: &Live) -> bool {
    if watch.versions.len() != watch.objects.len() {
        return false;
    }
    let mut all = watch.objects.iter().zip(&watch.versions);
    let written =
        all.find(|((_, id), _)| *id == live.id).and_then(|(_, version)| version.parse::<u64>().ok());
    let seen = live.resource_version().parse::<u64>().ok();
    written.zip(seen).is_some_and(|(written, seen)| seen < written)
}

/// Names what is still waited for when the deadline has passed: first what came with the commit.
pub(super) fn too_late(watch: &Watch, waiting: &Lacking<'_>) -> Vec<Problem> {
    let (before, new): (Vec<_>, Vec<_>) = waiting.why.iter().partition(|(id, _)| is_from_before(watch, id));
    let problems = new.into_iter().chain(before).take(NAMED).map(|(id, why)| {
        let what = if is_going(watch, id) { "gone" } else { "healthy" };
        let message = format!("not {what} by the deadline: {why}");
        Problem { object: Some((*id).clone()), place: None, message }
    });
    problems.collect()
}

/// Returns whether an object had failed when the run began, which left it as it was.
pub(super) fn is_from_before(watch: &Watch, id: &ObjectId) -> bool {
    watch.failed_before.contains(id)
}

/// Returns whether a wait failed by what came with the commit or the one before, and not only by what had failed long
/// before.
pub(super) fn is_by_the_commit(watch: &Watch, problems: &[Problem]) -> bool {
    let before = &watch.failed_long_before;
    problems.iter().any(|problem| problem.object.as_ref().is_none_or(|id| !before.contains(id)))
}

/// Returns what is waited for, was seen, and is not in a list any more that would have it.
pub(super) fn lost_ones<'a>(listed: &Listed, waiting: &Lacking<'a>) -> Vec<&'a ObjectId> {
    let here = |id: &&&ObjectId| {
        id.group_kind() == listed.kind
            && (listed.namespace.is_none() || id.namespace == listed.namespace)
            && !listed.objects.contains(**id)
    };
    waiting.why.keys().filter(here).copied().collect()
}

/// Returns the object of a watch that is to be healthy, by its id.
pub(super) fn waited_for<'a>(watch: &'a Watch, id: &ObjectId) -> Option<&'a ObjectId> {
    watch.objects.iter().map(|(_, one)| one).find(|one| *one == id)
}

pub(super) fn is_going(watch: &Watch, id: &ObjectId) -> bool {
    watch.going.iter().any(|(_, going)| going == id)
}

/// Says what keeps an object that is deleted.
pub(super) fn held_by(live: &Live) -> String {
    let finalizers = live.value.pointer("/metadata/finalizers").and_then(Value::as_array);
    let names: Vec<&str> =
        finalizers.into_iter().flatten().filter_map(Value::as_str).take(FINALIZERS).collect();
    if names.is_empty() {
        return "it is being deleted".to_owned();
    }
    format!("it was deleted, and who set its finalizer {} has to let it go", names.join(", "))
}

pub(super) fn is_parent(id: &ObjectId, watch: &Watch) -> bool {
    id.group.is_empty()
        && id.kind == "ConfigMap"
        && id.name == applyset::parent_name(&watch.target.application)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Lacking;
    use super::is_by_the_commit;
    use super::is_old;
    use super::since;
    use super::too_late;
    use crate::cluster::Place;
    use crate::health::Health;
    use crate::job::Watch;
    use crate::object::Live;

    fn watch(versions: &[&str]) -> Watch {
        let id = |kind: &str, name: &str| json!({ "group": "apps", "kind": kind, "namespace": "shop", "name": name });
        let objects = [
            json!(["apps/v1", id("Deployment", "a")]),
            json!(["apps/v1", id("Deployment", "b")]),
            json!(["apps/v1", id("StatefulSet", "c")]),
        ];
        serde_json::from_value(json!({ "version": 1, "target": { "application": "shop", "cluster": "east" },
            "dispatch": "d", "run": "r", "source": "code", "commit": "a".repeat(40), "inputs": "i",
            "objects": objects, "versions": versions, "deadline": 0, "received_at": 0,
            "tally": { "created": 0, "configured": 0, "unchanged": 0, "pruned": 0, "kept": 0 } }))
        .unwrap()
    }

    fn deployment(name: &str, version: &str) -> Live {
        let metadata = json!({ "name": name, "namespace": "shop", "resourceVersion": version });
        Live::read(json!({ "apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata })).unwrap()
    }

    #[test]
    fn a_place_is_watched_from_the_first_of_its_writes_on() {
        let place = |kind| Place { api_version: "apps/v1", kind, namespace: Some("shop") };
        let cases = [
            (&["9", "10", "7"][..], Some("9"), Some("7")),
            (&["x", "10", "7"], None, Some("7")),
            (&["", "10", "7"], None, Some("7")),
            (&["9", "10"], None, None),
            (&[], None, None),
        ];
        for (versions, deployments, sets) in cases {
            let watch = watch(versions);
            assert_eq!(since(&watch, &place("Deployment")).as_deref(), deployments, "{versions:?}");
            assert_eq!(since(&watch, &place("StatefulSet")).as_deref(), sets, "{versions:?}");
        }
    }

    #[test]
    fn what_was_before_its_own_write_is_passed_over() {
        let written = watch(&["9", "20", "7"]);
        let cases = [
            ("a", "9", false),
            ("a", "10", false),
            ("b", "10", true),
            ("b", "19", true),
            ("b", "20", false),
            ("b", "100", false),
            ("other", "1", false),
        ];
        for (name, version, old) in cases {
            assert_eq!(is_old(&written, &deployment(name, version)), old, "{name} {version}");
            assert!(!is_old(&watch(&[]), &deployment(name, version)), "nothing is known of {name}");
        }
    }

    #[test]
    fn what_failed_before_does_not_end_the_wait_of_the_others() {
        let failed = || Health::Failed("late".to_owned());
        let mut watch = watch(&[]);
        let ids: Vec<_> = watch.objects.iter().map(|(_, id)| id.clone()).collect();
        watch.failed_before = vec![ids[0].clone()];
        watch.failed_long_before = watch.failed_before.clone();
        let mut waiting = Lacking::all(&watch);
        assert_eq!(waiting.note(&watch, &watch.objects[0].1, failed()), None);
        let ended = waiting.note(&watch, &watch.objects[1].1, failed()).unwrap();
        assert_eq!((ended.object, ended.message.as_str()), (Some(ids[1].clone()), "late"));
        waiting.note(&watch, &watch.objects[1].1, Health::Healthy);
        assert!(is_by_the_commit(&watch, &too_late(&watch, &waiting)));
        assert_eq!(too_late(&watch, &waiting)[0].object, Some(ids[2].clone()), "what is new comes first");
        waiting.note(&watch, &watch.objects[2].1, Health::Healthy);
        assert!(!waiting.is_empty(&watch) && !waiting.is_over(&watch), "a Deployment may work again");
        assert!(!is_by_the_commit(&watch, &too_late(&watch, &waiting)));
        waiting.note(&watch, &watch.objects[0].1, Health::Healthy);
        assert!(waiting.is_empty(&watch));
    }

    #[test]
    fn a_wait_for_what_is_to_be_gone_can_fail_by_the_others_and_does_not_wait_for_them() {
        let mut watch = watch(&[]);
        let going = watch.objects.remove(0);
        watch.going = vec![going.clone()];
        watch.until_gone = true;
        let mut waiting = Lacking::all(&watch);
        assert!(!waiting.is_empty(&watch));
        assert!(waiting.note(&watch, &watch.objects[0].1, Health::Failed("why".to_owned())).is_some());
        waiting.is_done(&going.1);
        assert!(waiting.is_empty(&watch));
    }

    #[test]
    fn a_job_that_failed_before_is_not_waited_for_once_all_else_is_healthy() {
        let mut watch = watch(&[]);
        watch.objects[0].1.group = "batch".to_owned();
        watch.objects[0].1.kind = "Job".to_owned();
        watch.failed_before = vec![watch.objects[0].1.clone()];
        watch.failed_long_before = watch.failed_before.clone();
        let mut waiting = Lacking::all(&watch);
        waiting.note(&watch, &watch.objects[0].1, Health::Failed("why".to_owned()));
        assert!(!waiting.is_over(&watch));
        waiting.is_done(&watch.objects[1].1);
        waiting.is_done(&watch.objects[2].1);
        assert!(waiting.is_over(&watch));
        assert!(!is_by_the_commit(&watch, &waiting.problems()));
        waiting.lacks(&watch.objects[0].1, "it was deleted");
        assert!(!waiting.is_over(&watch));
    }
}
