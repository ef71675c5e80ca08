//! The wait for health: by watch, never by poll, until every object works or the deadline has come.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::applyset;
use crate::applyset::Parent;
use crate::clock::now;
use crate::cluster::Place;
use crate::cluster::SIGHTINGS;
use crate::cluster::Seen;
use crate::cluster::Selector;
use crate::health::Health;
use crate::job::Watch;
use crate::member;
use crate::object::Live;
use crate::object::passes_away;
use crate::outcome::Phase;
use crate::outcome::Problem;
use crate::queue::Draft;

use super::Error;
use super::Reconciler;
use super::awaited::Lacking;
use super::awaited::held_by;
use super::awaited::is_going;
use super::awaited::is_old;
use super::awaited::is_parent;
use super::awaited::lost_ones;
use super::awaited::since;
use super::awaited::sooner;
use super::awaited::too_late;
use super::awaited::waited_for;

/// How long is looked at least, also when the deadline has passed already?
const LOOK_FOR: Duration = Duration::from_secs(5);

/// What is said of an object that is to be healthy and is not there any more.
const DELETED: &str = "it was deleted";

impl Reconciler {
    /// Waits for the objects of a watch, until those that stay are healthy and the others gone, and reports how it ended.
    pub(super) async fn wait(&self, watch: &Watch) -> Result<Phase, Error> {
        let mut seen = self.follow_all(watch).await?;
        let mut waiting = Lacking::all(watch);
        // Windlass may have been away past the deadline, while the objects became healthy: one look is always taken.
        let left = Duration::from_millis(watch.deadline.since(now())).max(LOOK_FOR);
        let until = Instant::now() + left;
        let sooner = sooner(watch);
        let mut calm_since = None;
        loop {
            if waiting.is_over(watch) {
                return self.end(watch, Phase::Failed, waiting.problems()).await;
            }
            let end = match (waiting.is_empty(watch), watch.stable_for()) {
                (true, None) => break,
                (true, Some(window)) => *calm_since.get_or_insert_with(Instant::now) + window,
                (false, _) => {
                    calm_since = None;
                    let waits = sooner.iter().filter(|(id, _)| waiting.why.contains_key(id));
                    waits.map(|(_, end)| *end).min().map_or(until, |end| end.min(until))
                }
            };
            let Ok(Some(event)) = tokio::time::timeout_at(end, seen.recv()).await else {
                if waiting.is_empty(watch) {
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
        waiting: &mut Lacking<'a>,
    ) -> Result<Option<Phase>, Error> {
        match event {
            Seen::There(live) | Seen::Gone(live) if is_old(watch, &live) => {}
            Seen::There(live) if is_parent(&live.id, watch) => {
                return self.overtaken(watch, &Parent::read(&live)).await;
            }
            // Somebody made another one meanwhile.
            Seen::There(live) if is_going(watch, &live.id) && !live.is_terminating() => {
                waiting.is_done(&live.id);
            }
            Seen::There(live) if is_going(watch, &live.id) => {
                if let Some(why) = waiting.why.get_mut(&live.id) {
                    *why = held_by(&live);
                }
            }
            Seen::There(live) => {
                let Some(id) = waited_for(watch, &live.id) else { return Ok(None) };
                let health = self.health_of(watch, &live).await?;
                if let Some(problem) = waiting.note(watch, id, health) {
                    return self.end(watch, Phase::Failed, vec![problem]).await.map(Some);
                }
            }
            // It may have ended, and its time been over, before it was seen to have ended.
            Seen::Gone(live) if passes_away(&live.value) && !is_going(watch, &live.id) => {
                let Some(id) = waited_for(watch, &live.id) else { return Ok(None) };
                match self.hands.health.health(&live.value) {
                    Health::Waiting(_) => waiting.lacks(id, DELETED),
                    ended @ (Health::Healthy | Health::Failed(_)) => {
                        if let Some(problem) = waiting.note(watch, id, ended) {
                            return self.end(watch, Phase::Failed, vec![problem]).await.map(Some);
                        }
                    }
                }
            }
            Seen::Gone(live) => {
                if let Some(id) = waited_for(watch, &live.id) {
                    waiting.lacks(id, DELETED);
                } else if is_going(watch, &live.id) {
                    waiting.is_done(&live.id);
                }
            }
            Seen::Listed(listed) => {
                for id in lost_ones(&listed, waiting) {
                    if is_going(watch, id) {
                        waiting.is_done(id);
                    } else {
                        waiting.lacks(id, DELETED);
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
