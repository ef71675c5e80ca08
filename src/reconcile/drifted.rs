//! Passes after drift: what somebody else changed is found, made as declared again, and told to history alone.

use crate::annotation::Stage;
use crate::application::SelfHeal;
use crate::applyset::Fence;
use crate::drift;
use crate::job::Reason;
use crate::object::Live;
use crate::object::passes_away;
use crate::outcome::Drift;
use crate::outcome::Drifted;
use crate::outcome::Fight;
use crate::outcome::Problem;
use crate::outcome::Told;
use crate::plan::Left;
use crate::plan::Write;

use super::Applied;
use super::Begun;
use super::DRIFTS;
use super::Ended;
use super::Error;
use super::Ready;
use super::Reconciler;
use super::check::Checked;
use super::finish::PROBLEMS;
use super::finish::cut;

/// How many objects does one report of drift name?
const OBJECTS: usize = 500;

/// Sorts out, in a pass after drift, what is made as declared, what is only told, and what is left as it is: an object's
/// own annotation decides, and where it has none, its application's setting. What is fought over is only told. All that is
/// not about drift stays as it is.
pub(super) fn sorted_out(mut ready: Ready, manager: &str) -> Ready {
    let job = &ready.begun.job;
    let usual = job.self_heal(None);
    if job.reason != Reason::Drifted {
        return ready;
    }
    let Fence { next, unwritten, .. } = &ready.begun.parent.fence;
    // What a pass did not write was not even looked at, and the rest of its turn is written.
    let (next, broke_off) = (*next, !unwritten.is_empty());
    let (mut corrected, mut reported) = (Vec::new(), Vec::new());
    for one in std::mem::take(&mut ready.writes) {
        // What no pass has written yet did not drift.
        let to_come = !broke_off && next.is_some_and(|turn| one.write.wish.turn() >= turn);
        let fight = fought_over(&ready.begun, &one, manager);
        match (ready.begun.job.self_heal(one.write.wish.self_heal), fight) {
            _ if to_come || is_over(&one) => ready.left.push(unhealed(one)),
            (SelfHeal::Correct, None) if one.contested => reported.push(one),
            (SelfHeal::Correct, None) => corrected.push(one),
            (SelfHeal::Correct, Some(fight)) => {
                ready.fights.push(fight);
                reported.push(one);
            }
            (SelfHeal::Report, _) => reported.push(one),
            (SelfHeal::Off, _) => ready.left.push(unhealed(one)),
        }
    }
    // And before all is written, what leaves the commit is still to be there.
    let pruned = next.is_none_or(|turn| turn.stage > Stage::Sync);
    let usual = if pruned { usual } else { SelfHeal::Off };
    let (extra, told) = match usual {
        SelfHeal::Correct => (std::mem::take(&mut ready.prune), Vec::new()),
        SelfHeal::Report => (Vec::new(), std::mem::take(&mut ready.prune)),
        SelfHeal::Off => (Vec::new(), Vec::new()),
    };
    ready.drifted = found(&corrected, &extra, manager);
    ready.reported = found(&reported, &told, manager);
    // What is not pruned now is still a member, and a later pass has to look for it.
    for live in std::mem::take(&mut ready.prune).into_iter().chain(told) {
        ready.extent.add(&live.id);
        ready.left.push(Left { id: live.id.clone(), live: Some(live), why: None });
    }
    ready.left.extend(reported.into_iter().map(unhealed));
    (ready.writes, ready.prune) = (corrected, extra);
    ready
}

/// Takes out of the writes of a pass after drift what the pass before it did not write, and returns it.
pub(super) fn unwritten(begun: &Begun, writes: &mut Vec<Write>) -> Vec<Left> {
    let unwritten = &begun.parent.fence.unwritten;
    if begun.job.reason != Reason::Drifted || unwritten.is_empty() {
        return Vec::new();
    }
    let taken = writes.extract_if(.., |write| unwritten.contains(&write.manifest.id));
    taken.map(|write| Left { id: write.manifest.id, live: write.live, why: None }).collect()
}

/// Returns the fight over an object, where it was about the commit that is applied and that manager has written last again.
fn fought_over(begun: &Begun, one: &Checked, manager: &str) -> Option<Fight> {
    let live = one.write.live.as_ref()?;
    let (by, _) = drift::latest_other(&live.value, manager)?;
    let fits =
        |fight: &&Fight| fight.object == one.write.manifest.id && fight.commit == begun.tip && fight.by == by;
    begun.job.fights.iter().find(fits).cloned()
}

/// Returns whether an object that is gone went by itself: a Job with a time to live is no drift once that is over.
fn is_over(one: &Checked) -> bool {
    one.write.live.is_none() && passes_away(&one.write.manifest.value)
}

/// Returns an object whose drift is not corrected.
pub(super) fn unhealed(one: Checked) -> Left {
    Left { id: one.write.manifest.id, live: one.write.live, why: None }
}

/// Has a pass after drift only tell of an object that it was to correct.
pub(super) fn only_told(ready: &mut Ready, one: &Checked, manager: &str) {
    ready.drifted.retain(|drifted| drifted.object != one.write.manifest.id);
    ready.reported.extend(found(std::slice::from_ref(one), &[], manager));
}

/// Returns what differs from the commit that was applied: objects that were changed or are gone, and some that should not
/// be there.
fn found(writes: &[Checked], extra: &[Live], manager: &str) -> Vec<Drifted> {
    let writes =
        writes.iter().map(|one| (&one.write.manifest.id, one.fields.clone(), one.write.live.as_ref()));
    let extra = extra.iter().map(|live| (&live.id, Vec::new(), Some(live)));
    let told = writes.chain(extra).map(|(object, fields, live)| {
        let other = live.and_then(|live| drift::latest_other(&live.value, manager));
        let (by, since) = other.map(|(by, since)| (by.to_owned(), since.to_owned())).unzip();
        Drifted { object: object.clone(), fields, by, since }
    });
    told.take(OBJECTS).collect()
}

/// What is told of a pass after drift.
struct Found {
    objects: Vec<Drifted>,
    fights: Vec<Fight>,
    corrected: bool,
    problems: Vec<Problem>,
}

impl Reconciler {
    /// Ends a pass of which nothing is to be written.
    pub(super) async fn report_drift(&self, ready: Ready) -> Result<Ended, Error> {
        let Ready { begun, reported, fights, .. } = ready;
        let found = Found { objects: reported, fights, corrected: false, problems: Vec::new() };
        self.tell_drift(&begun, begun.run.clone(), found).await
    }

    /// Ends a pass that made everything as declared again, or ran into a refusal.
    pub(super) async fn finish_drift(&self, applied: Applied) -> Result<Ended, Error> {
        let sum = applied.sum();
        let Applied { fenced, mut problems, .. } = applied;
        let (mut ready, parent) = (fenced.ready, fenced.parent);
        let whole = problems.is_empty();
        problems.append(&mut ready.unmet);
        let reported = std::mem::take(&mut ready.reported);
        if !reported.is_empty() {
            // A record of its own: what one record names was all corrected, or nothing of it was.
            let fights = std::mem::take(&mut ready.fights);
            let found = Found { objects: reported, fights, corrected: false, problems: Vec::new() };
            self.tell_drift(&ready.begun, format!("{}-reported", ready.begun.run), found).await?;
        }
        let objects = std::mem::take(&mut ready.drifted);
        let found = Found { objects, fights: Vec::new(), corrected: whole, problems };
        let ended = self.tell_drift(&ready.begun, ready.begun.run.clone(), found).await?;
        // What was refused waits for more drift, or for who asks; the rest is watched as before.
        self.close(ready, parent, sum).await?;
        Ok(ended)
    }

    /// Ends a pass before it wrote anything.
    pub(super) async fn end_drift(
        &self,
        begun: &Begun,
        objects: Vec<Drifted>,
        problems: Vec<Problem>,
    ) -> Result<Ended, Error> {
        let found = Found { objects, fights: Vec::new(), corrected: false, problems };
        self.tell_drift(begun, begun.run.clone(), found).await
    }

    /// Tells history of drift, where there is any, as that of this run.
    async fn tell_drift(&self, begun: &Begun, run: String, found: Found) -> Result<Ended, Error> {
        let Found { objects, fights, corrected, problems } = found;
        if objects.is_empty() && problems.is_empty() {
            return Ok(Ended::AsDeclared { run });
        }
        for one in &objects {
            tracing::warn!(run.id = run, target.name = %begun.job.target, object = %one.object, fields = one.fields.join(", "),
                by = one.by, since = one.since, corrected, "drift");
        }
        for one in &fights {
            tracing::warn!(run.id = run, target.name = %begun.job.target, object = %one.object, fields = one.fields.join(", "),
                by = one.by, times = one.times, "windlass gives way in a fight");
        }
        let drift = Drift {
            run: run.clone(),
            source: begun.job.application.source.clone(),
            target: begun.job.target.clone(),
            commit: begun.tip.clone(),
            objects,
            corrected,
            problems: problems.into_iter().take(PROBLEMS).map(cut).collect(),
            fights,
        };
        metrics::counter!(DRIFTS, "outcome" => drift.outcome()).increment(1);
        self.tell(vec![Told::Drift(drift)]).await?;
        Ok(Ended::Drift { run, corrected })
    }
}
