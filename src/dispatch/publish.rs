//! What a dispatch has made goes out.

use std::collections::BTreeSet;

use crate::application::Target;
use crate::clock::now;
use crate::event::Event;
use crate::queue::DRAFTS;
use crate::queue::Draft;
use crate::store::Held;

use super::Dispatcher;
use super::Error;
use super::Step;
use super::ends;
use super::messages::Made;

impl Dispatcher {
    /// Remembers the touched targets as open, those that are closed as held, and only then publishes: rosters first, then
    /// what is superseded or held, then the jobs. Where references led is remembered last, so that a crash makes the sweep
    /// look again.
    pub(super) async fn publish(&self, made: Made<'_>) -> Result<Step, Error> {
        let Made { event, reports, jobs, memory, superseded, held, quiet, led, why, .. } = made;
        self.store.open_targets(&memory).await?;
        let held: Vec<Held> = held.into_values().collect();
        self.store.hold(&held).await?;
        let number = jobs.len();
        let called_off = quiet.into_iter().map(|commit| ends::call_off(event, commit));
        let drafts: Vec<Draft> = reports.into_iter().chain(called_off).chain(jobs).collect();
        for part in drafts.chunks(DRAFTS) {
            self.queue.publish(part.to_vec()).await?;
        }
        let waits: BTreeSet<&Target> = held.iter().map(|held| &held.target).collect();
        let begun = memory.iter().map(|row| &row.target).filter(|target| !waits.contains(target));
        self.release(begun.collect()).await?;
        for (reference, tip) in led {
            self.store.saw(&event.source, &reference, tip.as_ref()).await?;
        }
        Ok(published(event, number, superseded, &held, &why))
    }

    /// Notes that nothing waits any more in targets that have a job now.
    async fn release(&self, targets: BTreeSet<&Target>) -> Result<(), Error> {
        if targets.is_empty() {
            return Ok(());
        }
        for held in self.store.held().await?.into_iter().filter(|held| targets.contains(&held.target)) {
            self.store.release(&held.target).await?;
        }
        Ok(())
    }
}

/// Says what became of an event whose messages were published.
fn published(event: &Event, jobs: usize, superseded: usize, held: &[Held], why: &[String]) -> Step {
    if let (0, Some(first)) = (jobs, held.first()) {
        let (targets, why) = (held.len(), &first.why);
        tracing::info!(event.id = event.id, source = %event.source, targets, why, "held");
        return Step::Held { targets };
    }
    if jobs == 0 && superseded == 0 {
        let why = why.join("; ");
        tracing::info!(event.id = event.id, source = %event.source, why, "nothing touched");
        return Step::Nothing { why };
    }
    tracing::info!(event.id = event.id, source = %event.source, jobs, superseded, held = held.len(),
        since_delivery_ms = now().since(event.received_at), "dispatched");
    Step::Dispatched { jobs, superseded }
}
