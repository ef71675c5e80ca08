//! The wait for health: by watch, never by poll, until every object works or the deadline has come.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::applyset;
use crate::applyset::Parent;
use crate::clock::now;
use crate::cluster::Listed;
use crate::cluster::Place;
use crate::cluster::SIGHTINGS;
use crate::cluster::Seen;
use crate::cluster::Selector;
use crate::health::Health;
use crate::job::Watch;
use crate::member;
use crate::moment::Moment;
use crate::object::Live;
use crate::object::ObjectId;
use crate::outcome::Phase;
use crate::outcome::Problem;
use crate::queue::Draft;

use super::Error;
use super::Reconciler;

/// How long is looked at least, also when the deadline has passed already?
const LOOK_FOR: Duration = Duration::from_secs(5);

/// The same for a single object.
const LOOK_FOR_ONE: Duration = Duration::from_secs(1);

/// How many finalizers of an object are named at most?
const FINALIZERS: usize = 5;

/// How many objects are named at most when a deadline has passed?
const NAMED: usize = 20;

impl Reconciler {
    /// Waits for the objects of a watch, until those that stay are healthy and the others gone, and reports how it ended.
    pub(super) async fn wait(&self, watch: &Watch) -> Result<Phase, Error> {
        let mut seen = self.follow_all(watch).await?;
        let all = watch.objects.iter().chain(&watch.going);
        let unseen = if watch.versions.is_empty() {
            "not seen yet"
        } else {
            "nothing was reported since it was written"
        };
        let mut waiting: BTreeMap<&ObjectId, String> = all.map(|(_, id)| (id, unseen.to_owned())).collect();
        // Windlass may have been away past the deadline, while the objects became healthy: one look is always taken.
        let left = Duration::from_millis(watch.deadline.since(now())).max(LOOK_FOR);
        let until = Instant::now() + left;
        let sooner = sooner(watch);
        let mut calm_since = None;
        loop {
            let end = match (waiting.is_empty(), watch.stable_for()) {
                (true, None) => break,
                (true, Some(window)) => *calm_since.get_or_insert_with(Instant::now) + window,
                (false, _) => {
                    calm_since = None;
                    let waits = sooner.iter().filter(|(id, _)| waiting.contains_key(id));
                    waits.map(|(_, end)| *end).min().map_or(until, |end| end.min(until))
                }
            };
            let Ok(Some(event)) = tokio::time::timeout_at(end, seen.recv()).await else {
                if waiting.is_empty() {
                    break;
                }
                return self.end(watch, Phase::Failed, too_late(watch, &waiting)).await;
            };
            if let Some(ended) = self.take_in(watch, event, &mut waiting).await? {
                return Ok(ended);
            }
        }
        self.end(watch, Phase::Healthy, Vec::new()).await
    }

    /// Takes in what was seen; returns how the wait ended, where it did.
    async fn take_in<'a>(
        &self,
        watch: &'a Watch,
        event: Seen,
        waiting: &mut BTreeMap<&'a ObjectId, String>,
    ) -> Result<Option<Phase>, Error> {
        match event {
            Seen::There(live) | Seen::Gone(live) if is_old(watch, &live) => {}
            Seen::There(live) if is_parent(&live.id, watch) => {
                return self.overtaken(watch, &Parent::read(&live)).await;
            }
            Seen::There(live) if is_going(watch, &live.id) => {
                if let Some(why) = waiting.get_mut(&live.id) {
                    *why = held_by(&live);
                }
            }
            Seen::There(live) => {
                let Some(id) = waited_for(watch, &live.id) else { return Ok(None) };
                match self.health_of(watch, &live).await? {
                    Health::Healthy => drop(waiting.remove(id)),
                    Health::Waiting(why) => drop(waiting.insert(id, why)),
                    Health::Failed(why) => {
                        let problem = Problem { object: Some(id.clone()), place: None, message: why };
                        return self.end(watch, Phase::Failed, vec![problem]).await.map(Some);
                    }
                }
            }
            Seen::Gone(live) if is_going(watch, &live.id) => drop(waiting.remove(&live.id)),
            Seen::Gone(live) => {
                if let Some(id) = waited_for(watch, &live.id) {
                    waiting.insert(id, "it was deleted".to_owned());
                }
            }
            Seen::Listed(listed) => {
                for id in lost_ones(&listed, waiting) {
                    if is_going(watch, id) {
                        waiting.remove(id);
                    } else {
                        waiting.insert(id, "it was deleted".to_owned());
                    }
                }
            }
            Seen::Lost(error) => tracing::warn!(run.id = watch.run, %error, "a watch begins anew"),
        }
        Ok(None)
    }

    /// Ends the wait, and has the next wave written where there is one; unless the objects that were seen are those of
    /// another commit by now: what is told of the parent and of the objects comes in no order, and this may be the watch of
    /// a run that was overtaken long ago.
    async fn end(&self, watch: &Watch, phase: Phase, problems: Vec<Problem>) -> Result<Phase, Error> {
        let parent = self.cluster(&watch.target.cluster)?.parent(&watch.target.application).await?;
        if let Some(phase) = self.overtaken(watch, &parent).await? {
            return Ok(phase);
        }
        if let Some(next) = watch.next.as_ref().filter(|_| phase == Phase::Healthy) {
            self.hands.queue.publish(vec![Draft::job(&self.hands.lane, next)]).await?;
            return Ok(Phase::Applied);
        }
        self.tell_watch(watch, phase, problems).await?;
        Ok(phase)
    }

    /// Returns the health of an object; one that nothing was reported of is waited for where its definition promises it.
    async fn health_of(&self, watch: &Watch, live: &Live) -> Result<Health, Error> {
        let rules = &self.hands.health;
        let health = rules.health(&live.value);
        if health != Health::Healthy || !rules.is_unreported(&live.value) {
            return Ok(health);
        }
        let cluster = self.cluster(&watch.target.cluster)?;
        let kinds = cluster.kinds().await?;
        let reports = cluster.reports(&kinds, &live.api_version, &live.id.kind).await?;
        Ok(if reports { Health::unreported() } else { Health::Healthy })
    }

    async fn follow_all(&self, watch: &Watch) -> Result<mpsc::Receiver<Seen>, Error> {
        let cluster = self.cluster(&watch.target.cluster)?;
        let kinds = cluster.kinds().await?;
        let (sender, seen) = mpsc::channel(SIGHTINGS);
        let parent = applyset::parent_name(&watch.target.application);
        let set = applyset::id(&parent, cluster.namespace());
        let places: BTreeSet<Place> = watch
            .objects
            .iter()
            .chain(&watch.going)
            .map(|(api_version, id)| Place {
                api_version,
                kind: &id.kind,
                namespace: id.namespace.as_deref(),
            })
            .collect();
        for place in &places {
            let members = Selector::Label(format!("{}={set}", member::PART_OF));
            cluster.follow(&kinds, place, members, since(watch, place), sender.clone());
        }
        let place = Place { api_version: "v1", kind: "ConfigMap", namespace: Some(cluster.namespace()) };
        cluster.follow(&kinds, &place, Selector::Named(parent), watch.parent.clone(), sender);
        Ok(seen)
    }

    /// Ends the wait when the target has gone on to read something else, whoever made it do so.
    async fn overtaken(&self, watch: &Watch, parent: &Parent) -> Result<Option<Phase>, Error> {
        if parent.fence.inputs.as_ref().is_none_or(|inputs| *inputs == watch.inputs) {
            return Ok(None);
        }
        let by = parent.fence.commit.as_ref().map_or("another commit", |commit| commit.short());
        let message = format!("superseded by {by} before it was healthy");
        let problem = Problem { object: None, place: None, message };
        self.tell_watch(watch, Phase::Superseded, vec![problem]).await?;
        Ok(Some(Phase::Superseded))
    }
}

/// Returns until when single objects are waited for, where that is said of them.
fn sooner(watch: &Watch) -> Vec<(&ObjectId, Instant)> {
    let end = |moment: Moment| Instant::now() + Duration::from_millis(moment.since(now())).max(LOOK_FOR_ONE);
    watch.sooner.iter().map(|(id, moment)| (id, end(*moment))).collect()
}

/// Returns the version since which all changes of what is waited for in a place are to be told; nothing where that is not
/// known, or where something is waited for to be gone. Versions are numbers that only grow (KEP-5504).
fn since(watch: &Watch, place: &Place<'_>) -> Option<String> {
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
fn is_old(watch: &Watch, live: &Live) -> bool {
    if watch.versions.len() != watch.objects.len() {
        return false;
    }
    let mut all = watch.objects.iter().zip(&watch.versions);
    let written =
        all.find(|((_, id), _)| *id == live.id).and_then(|(_, version)| version.parse::<u64>().ok());
    let seen = live.resource_version().parse::<u64>().ok();
    written.zip(seen).is_some_and(|(written, seen)| seen < written)
}

/// Names what is still waited for when the deadline has passed.
fn too_late(watch: &Watch, waiting: &BTreeMap<&ObjectId, String>) -> Vec<Problem> {
    let problems = waiting.iter().take(NAMED).map(|(id, why)| {
        let what = if is_going(watch, id) { "gone" } else { "healthy" };
        let message = format!("not {what} by the deadline: {why}");
        Problem { object: Some((*id).clone()), place: None, message }
    });
    problems.collect()
}

/// Returns what is waited for, was seen, and is not in a list any more that would have it.
fn lost_ones<'a>(listed: &Listed, waiting: &BTreeMap<&'a ObjectId, String>) -> Vec<&'a ObjectId> {
    let here = |id: &&&ObjectId| {
        id.group_kind() == listed.kind
            && (listed.namespace.is_none() || id.namespace == listed.namespace)
            && !listed.objects.contains(**id)
    };
    waiting.keys().filter(here).copied().collect()
}

/// Returns the object of a watch that is to be healthy, by its id.
fn waited_for<'a>(watch: &'a Watch, id: &ObjectId) -> Option<&'a ObjectId> {
    watch.objects.iter().map(|(_, one)| one).find(|one| *one == id)
}

fn is_going(watch: &Watch, id: &ObjectId) -> bool {
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

fn is_parent(id: &ObjectId, watch: &Watch) -> bool {
    id.group.is_empty()
        && id.kind == "ConfigMap"
        && id.name == applyset::parent_name(&watch.target.application)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::is_old;
    use super::since;
    use crate::cluster::Place;
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
}
