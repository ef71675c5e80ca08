//! The wait for health: by watch, never by poll, until every object works or the deadline has come.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::applyset;
use crate::applyset::Parent;
use crate::clock::now;
use crate::cluster::Place;
use crate::cluster::SIGHTINGS;
use crate::cluster::Seen;
use crate::cluster::Selector;
use crate::health::Health;
use crate::health::health;
use crate::job::Watch;
use crate::member;
use crate::object::ObjectId;
use crate::outcome::Phase;
use crate::outcome::Problem;

use super::Error;
use super::Reconciler;

/// How long is looked at least, also when the deadline has passed already?
const LOOK_FOR: Duration = Duration::from_secs(5);

/// How many objects are named at most when a deadline has passed?
const NAMED: usize = 20;

impl Reconciler {
    /// Waits for the objects of a watch and reports how it ended.
    pub(super) async fn wait(&self, watch: &Watch) -> Result<Phase, Error> {
        let mut seen = self.follow_all(watch).await?;
        let mut waiting: BTreeMap<&ObjectId, String> =
            watch.objects.iter().map(|(_, id)| (id, "not seen yet".to_owned())).collect();
        // Windlass may have been away past the deadline, while the objects became healthy: one look is always taken.
        let left = Duration::from_millis(watch.deadline.since(now())).max(LOOK_FOR);
        let until = tokio::time::Instant::now() + left;
        while !waiting.is_empty() {
            let Ok(Some(event)) = tokio::time::timeout_at(until, seen.recv()).await else {
                return self.too_late(watch, &waiting).await;
            };
            match event {
                Seen::There(live) if is_parent(&live.id, watch) => {
                    if let Some(phase) = self.overtaken(watch, &Parent::read(&live)).await? {
                        return Ok(phase);
                    }
                }
                Seen::There(live) => {
                    match (watch.objects.iter().find(|(_, id)| *id == live.id), health(&live.value)) {
                        (Some((_, id)), Health::Healthy) => {
                            waiting.remove(id);
                        }
                        (Some((_, id)), Health::Waiting(why)) => {
                            waiting.insert(id, why);
                        }
                        (Some((_, id)), Health::Failed(why)) => return self.failed(watch, id, why).await,
                        (None, _) => {}
                    }
                }
                Seen::Gone(live) => {
                    if let Some((_, id)) = watch.objects.iter().find(|(_, id)| *id == live.id) {
                        waiting.insert(id, "it was deleted".to_owned());
                    }
                }
                Seen::Lost(error) => tracing::warn!(run.id = watch.run, %error, "a watch begins anew"),
            }
        }
        self.tell_watch(watch, Phase::Healthy, Vec::new()).await?;
        Ok(Phase::Healthy)
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
            .map(|(api_version, id)| Place {
                api_version,
                kind: &id.kind,
                namespace: id.namespace.as_deref(),
            })
            .collect();
        for place in &places {
            let members = Selector::Label(format!("{}={set}", member::PART_OF));
            cluster.follow(&kinds, place, members, sender.clone());
        }
        let place = Place { api_version: "v1", kind: "ConfigMap", namespace: Some(cluster.namespace()) };
        cluster.follow(&kinds, &place, Selector::Named(parent), sender);
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

    async fn failed(&self, watch: &Watch, id: &ObjectId, why: String) -> Result<Phase, Error> {
        let problem = Problem { object: Some(id.clone()), place: None, message: why };
        self.tell_watch(watch, Phase::Failed, vec![problem]).await?;
        Ok(Phase::Failed)
    }

    async fn too_late(&self, watch: &Watch, waiting: &BTreeMap<&ObjectId, String>) -> Result<Phase, Error> {
        let problems = waiting.iter().take(NAMED).map(|(id, why)| Problem {
            object: Some((*id).clone()),
            place: None,
            message: format!("not healthy by the deadline: {why}"),
        });
        self.tell_watch(watch, Phase::Failed, problems.collect()).await?;
        Ok(Phase::Failed)
    }
}

fn is_parent(id: &ObjectId, watch: &Watch) -> bool {
    id.group.is_empty()
        && id.kind == "ConfigMap"
        && id.name == applyset::parent_name(&watch.target.application)
}
