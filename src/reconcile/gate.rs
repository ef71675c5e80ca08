//! The last look before the first write: may this target still be written to?

use std::sync::PoisonError;

use crate::application::Name;
use crate::application::SelfHeal;
use crate::clock::now;
use crate::event::Event;
use crate::event::What;
use crate::fault::chain;
use crate::job::Job;
use crate::job::Permit;
use crate::job::Reason;
use crate::moment::Moment;
use crate::pause::Pause;
use crate::pause::Pin;
use crate::queue::Draft;
use crate::reference::Reference;
use crate::window;

use super::Begun;
use super::Ended;
use super::Error;
use super::Reconciler;
use super::begin::LAG_MS;

impl Reconciler {
    /// Returns what forbids a job to begin to write: the window that has closed since it was dispatched, a pause or a pin
    /// that was made since, or a commit that came since, for which others must be healthy first.
    ///
    /// # Errors
    /// The repository may lag behind what was dispatched.
    pub(super) async fn forbidden(&self, begun: &Begun) -> Result<Option<String>, Error> {
        let job = &begun.job;
        let goes_on = job.rollout.as_ref().map(|_| begun.rollout().is_some());
        if let Some(why) = ended(job.permit, goes_on, now()) {
            return Ok(Some(why));
        }
        if job.permit == Permit::Regardless {
            return Ok(None);
        }
        let depends = job.reason != Reason::Drifted && !job.application.depends_on.is_empty();
        if depends && job.inputs != begun.inputs {
            // Dispatch has seen another tip just now, where this is not the first try: it may be an older one that is seen here.
            if job.reason == Reason::Unsure && now().since(job.received_at) < LAG_MS {
                return Err(Error::Lagging);
            }
            return Ok(Some(format!("what it depends on must be healthy at {} first", begun.tip.short())));
        }
        let kept_at = |pin: &&Pin| job.application.reference != Reference::Commit(pin.commit.clone());
        let (pauses, pins) = self.orders().await;
        let paused = pauses.iter().find(|pause| pause.scope.covers(&job.target)).map(window::paused);
        let pin = pins.iter().filter(|_| job.reason != Reason::Drifted).find(|pin| pin.target == job.target);
        Ok(paused.or_else(|| pin.filter(kept_at).map(window::pinned)))
    }

    /// Returns whether an earlier commit was to be made true again, and something else came in the meantime: what is there is
    /// neither that nor what did not work, or the person who wanted it has released the target.
    pub(super) async fn is_late(&self, begun: &Begun) -> bool {
        let Some(back) = &begun.job.back else { return false };
        if begun.job.permit == Permit::Regardless {
            let kept = |pin: &Pin| pin.target == begun.job.target && pin.commit == begun.tip;
            return self.hands.store.is_some() && !self.orders().await.1.iter().any(kept);
        }
        let from = back.from.as_ref().map(|(_, inputs)| inputs);
        let there = begun.parent.fence.inputs.as_ref();
        there.is_some_and(|there| *there != begun.inputs && Some(there) != from)
    }

    /// Returns whether a person keeps a target at a commit, as far as this process knows.
    pub(super) async fn keeps(&self, application: &Name, cluster: &Name) -> bool {
        let of = |pin: &Pin| pin.target.application == *application && pin.target.cluster == *cluster;
        self.orders().await.1.iter().any(of)
    }

    /// Returns the pauses and the pins. A process without the store knows none, and goes by what dispatch decided. Where the store does
    /// not answer, those count that were last seen.
    async fn orders(&self) -> (Vec<Pause>, Vec<Pin>) {
        let Some(store) = &self.hands.store else { return (Vec::new(), Vec::new()) };
        let orders = futures::try_join!(store.pauses(), store.pins());
        let mut seen = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        match orders {
            Ok(orders) => *seen = orders,
            Err(error) => tracing::warn!("the pauses and pins last seen count: failed to {}", chain(&error)),
        }
        seen.clone()
    }

    /// Ends a job without a write: dispatch is asked again, and has its commit wait.
    pub(super) async fn hand_back(&self, job: &Job, why: String) -> Result<Ended, Error> {
        let (id, target) = (uuid::Uuid::now_v7().to_string(), job.target.clone());
        let from = job.back.as_ref().and_then(|back| back.from.clone());
        let what = match (job.reason, from) {
            (Reason::Moved | Reason::Unsure | Reason::Failed, Some((commit, inputs))) => {
                What::Failed { target, commit, inputs }
            }
            (Reason::Moved | Reason::Unsure | Reason::Failed, None) => {
                What::Again { target, commit: Some(job.commit.clone()) }
            }
            (Reason::Drifted, _) => What::Drift { target, own: job.application.self_heal == SelfHeal::Off },
        };
        let event = Event::new(id, job.application.source.clone(), what, job.received_at);
        self.hands.queue.publish(vec![Draft::ask(&self.hands.lane, &event)]).await?;
        tracing::info!(target.name = %job.target, commit.id = %job.commit, why, "handed back before the first write");
        Ok(Ended::HandedBack { why })
    }
}

/// Returns why a permit has ended, if it has. `goes_on` says of a job that was to go on with a run whether it does: what has
/// begun goes on to its end, but where the target reads something else by now, that has not begun.
fn ended(permit: Permit, goes_on: Option<bool>, now: Moment) -> Option<String> {
    match permit {
        Permit::Until(_) if goes_on == Some(true) => None,
        Permit::Regardless if goes_on == Some(false) => {
            Some("it was let through for another commit".to_owned())
        }
        Permit::Until(until) if now >= until => Some("a window has closed its target".to_owned()),
        Permit::Never => Some("its target is closed".to_owned()),
        Permit::Until(_) | Permit::Usual | Permit::Regardless => None,
    }
}

#[cfg(test)]
mod tests {
    use super::ended;
    use crate::job::Permit;
    use crate::moment::Moment;

    #[test]
    fn a_permit_ends_at_its_moment() {
        for (permit, over) in [
            (Permit::Usual, false),
            (Permit::Regardless, false),
            (Permit::Never, true),
            (Permit::Until(Moment(1_001)), false),
            (Permit::Until(Moment(1_000)), true),
            (Permit::Until(Moment(999)), true),
        ] {
            assert_eq!(ended(permit, None, Moment(1_000)).is_some(), over, "{permit:?}");
        }
        for (permit, goes_on, over) in [
            (Permit::Usual, true, false),
            (Permit::Usual, false, false),
            (Permit::Regardless, true, false),
            (Permit::Regardless, false, true),
            (Permit::Never, true, true),
            (Permit::Until(Moment(999)), true, false),
            (Permit::Until(Moment(999)), false, true),
            (Permit::Until(Moment(1_001)), false, false),
        ] {
            assert_eq!(ended(permit, Some(goes_on), Moment(1_000)).is_some(), over, "{permit:?} {goes_on}");
        }
    }
}
