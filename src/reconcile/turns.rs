//! Turns: what is written once all before it is healthy.

use std::collections::BTreeMap;

use crate::annotation::Stage;
use crate::annotation::Turn;
use crate::cluster::Cluster;
use crate::job::Reason;
use crate::object::Live;
use crate::object::ObjectId;

use super::Applied;
use super::Error;
use super::Reconciler;
use super::check::Checked;

/// An object that is not healthy yet, or not gone.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) api_version: String,
    pub(super) id: ObjectId,
    pub(super) turn: Turn,
    /// The version in which it was written, where it was not healthy then.
    pub(super) version: Option<String>,
    /// For how long may it be waited for, where that is less than its application allows?
    pub(super) within_ms: Option<u64>,
    /// Is it waited for to be gone? It is being deleted, since it left the commit or somebody wants it so.
    pub(super) going: bool,
    /// Had it failed when the run began, which leaves it as it is?
    pub(super) failed: Option<Ago>,
}

/// How long ago an object was last written that has failed since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ago {
    /// By a commit that may not have had its time.
    Short,
    /// By one that had.
    Long,
}

impl Waiting {
    /// Returns whether what comes in a later turn waits for it. A claim may wait for a pod of a later wave that uses it
    /// (`WaitForFirstConsumer`), so no wave waits for a claim.
    pub(super) fn holds_up(&self, next: Turn) -> bool {
        let is_claim = self.id.kind == "PersistentVolumeClaim" && self.id.group.is_empty();
        self.going || !is_claim || next.stage > Stage::Sync
    }

    /// Waits until an object is gone that is then written again, in its turn.
    pub(super) fn returning(checked: &Checked) -> Option<Self> {
        let live = checked.write.live.as_ref()?;
        Some(Self { turn: checked.turn().0, ..Self::going(live) })
    }

    /// Waits until an object is gone, which comes after all that is written and before what is to come later.
    pub(super) fn going(live: &Live) -> Self {
        Self {
            api_version: live.api_version.clone(),
            id: live.id.clone(),
            turn: Turn::LEAVING,
            version: None,
            within_ms: None,
            going: true,
            failed: None,
        }
    }
}

impl Held {
    /// Leaves what is being deleted to the part of the run that comes when it is gone. All else of its turn is written, and
    /// drift of that is corrected.
    pub(super) fn until_gone(&mut self, leaving: Vec<Checked>) {
        if !leaving.is_empty() {
            self.next = Some(self.next.map_or(Turn::LEAVING, |next| next.min(Turn::LEAVING)));
            self.writes.extend(leaving);
        }
    }
}

/// What is left to later parts of the run, since what comes before it is not healthy yet.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// The first turn that waits.
    pub(super) next: Option<Turn>,
    /// What would have been written in it and in those after it.
    pub(super) writes: Vec<Checked>,
    /// Does the run end here all the same? What is left of it is made by the pass that heals it.
    pub(super) stopped: bool,
}

impl Reconciler {
    /// Writes what comes once all else is healthy and what left the commit is pruned. A pass with hooks has its end waited
    /// for: only then are they known to have done their work.
    ///
    /// # Errors
    /// As [`Reconciler::apply`].
    #[tracing::instrument(skip_all)]
    pub async fn conclude(&self, mut applied: Applied) -> Result<Applied, Error> {
        let later = std::mem::take(&mut applied.later);
        let over = !applied.problems.is_empty() || applied.held.next.is_some();
        if over || (later.is_empty() && applied.hooks.is_empty()) {
            return Ok(applied);
        }
        if !applied.fenced.ready.unmet.is_empty() {
            let next = later.iter().map(|checked| checked.turn().0).min();
            applied.held.next = Some(next.unwrap_or(Turn::END));
            applied.held.stopped = true;
            return Ok(applied);
        }
        let cluster = self.cluster_of(&applied.fenced.ready.begun)?;
        self.write_turns(&cluster, &mut applied, later).await?;
        if applied.problems.is_empty() && applied.held.next.is_none() && applied.waits() {
            applied.held.next = Some(Turn::END);
        }
        Ok(applied)
    }

    /// Writes turn by turn, each once all before it are healthy. What has to wait is held.
    pub(super) async fn write_turns(
        &self,
        cluster: &Cluster,
        applied: &mut Applied,
        rest: Vec<Checked>,
    ) -> Result<(), Error> {
        let mut turns = in_turns(rest);
        while let Some(first) = turns.first_entry() {
            let (turn, _) = *first.key();
            if self.has_to_wait(cluster, applied, turn).await? {
                applied.held.next = Some(turn);
                applied.held.writes = turns.into_values().flatten().collect();
                return Ok(());
            }
            self.write_stage(cluster, applied, first.remove()).await?;
            if !applied.problems.is_empty() {
                return Ok(());
            }
        }
        self.hear(cluster, applied).await
    }

    /// Returns whether something of a turn before `turn` is not healthy yet. Drift is of what was written before, so it
    /// waits for nothing.
    async fn has_to_wait(&self, cluster: &Cluster, applied: &mut Applied, turn: Turn) -> Result<bool, Error> {
        if applied.fenced.ready.begun.job.reason == Reason::Drifted {
            return Ok(false);
        }
        // Without waves nothing is asked here.
        if applied.unreported.iter().any(|one| one.turn < turn) {
            self.hear(cluster, applied).await?;
        }
        Ok(applied.waiting.iter().chain(&applied.written).any(|one| one.turn < turn && one.holds_up(turn)))
    }

    /// Has that waited for which is healthy only as far as nothing was reported of it, where its definition promises
    /// a report.
    async fn hear(&self, cluster: &Cluster, applied: &mut Applied) -> Result<(), Error> {
        let kinds = applied.fenced.ready.begun.kinds.clone();
        for one in std::mem::take(&mut applied.unreported) {
            if cluster.reports(&kinds, &one.api_version, &one.id.kind).await? {
                applied.waiting.push(one);
            }
        }
        Ok(())
    }
}

fn in_turns(writes: Vec<Checked>) -> BTreeMap<(Turn, u8), Vec<Checked>> {
    let mut turns = BTreeMap::<(Turn, u8), Vec<Checked>>::new();
    for checked in writes {
        turns.entry(checked.turn()).or_default().push(checked);
    }
    turns
}
