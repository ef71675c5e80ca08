//! Drift that was seen in a cluster: a pass of the applied commit, which no status tells of.

use crate::application::SelfHeal;
use crate::application::Target;
use crate::clock::now;
use crate::drift;
use crate::event::Event;
use crate::job::Job;
use crate::job::Permit;
use crate::job::Reason;
use crate::queue::Draft;
use crate::store::Held;
use crate::window;
use crate::window::Closed;

use super::Dispatcher;
use super::Error;
use super::Step;
use super::messages;
use super::question;

/// How many records of a target's drift are looked at for fights?
const RECORDS: u32 = 100;

impl Dispatcher {
    /// Publishes a job for a target that drifted, by what was dispatched last; also where that has no verdict yet, since its
    /// pass may have ended, or have looked before, and objects may take long to become healthy. In a target that is
    /// closed, drift is recorded and left as it is until that opens. `own` says that an object itself says what is done
    /// about its drift. What windlass and another manager fight over goes with the job, which gives way there.
    pub(super) async fn drift(&self, event: &Event, target: &Target, own: bool) -> Result<Step, Error> {
        let Some(application) = self.configured(event, target) else {
            return Ok(Step::Nothing { why: question::nobody(event) });
        };
        let nothing = |why: &str| Ok(Step::Nothing { why: why.to_owned() });
        if application.self_heal == SelfHeal::Off && !own {
            return nothing("the application leaves drift as it is");
        }
        let memory = self.store.memory(&event.source).await?;
        let Some(last) = memory.into_iter().find(|row| row.target == *target) else {
            return nothing("nothing was dispatched to the target yet");
        };
        let held = self.store.held().await?.into_iter().find(|held| held.target == *target);
        let corrects = own || application.self_heal == SelfHeal::Correct;
        let permit = match self.gate().await?.drift(target) {
            window::State::Open { until } => messages::permit(until),
            window::State::Closed(closed) => {
                if corrects {
                    self.store.hold(&[waits(event, target, closed)]).await?;
                }
                Permit::Never
            }
        };
        let fights = drift::fights(&self.store.drifts_of(target, RECORDS).await?, target, now());
        let job = Job {
            version: crate::job::version(Reason::Drifted, application, permit, &fights),
            target: target.clone(),
            dispatch: last.dispatch,
            application: application.clone(),
            definition: last.definition,
            commit: last.commit,
            inputs: last.inputs,
            before: None,
            reason: Reason::Drifted,
            received_at: event.received_at,
            permit,
            fights,
            rollout: None,
            back: None,
            prunes: None,
        };
        self.queue.publish(vec![Draft::job(self.lanes.of(&target.cluster), &job)]).await?;
        if held.is_some_and(|held| held.drift) && corrects && permit != Permit::Never {
            self.store.release_drift(target).await?;
        }
        Ok(Step::Dispatched { jobs: 1, superseded: 0 })
    }
}

fn waits(event: &Event, target: &Target, closed: Closed) -> Held {
    let (source, at) = (event.source.clone(), now());
    let Closed { until, why } = closed;
    Held { target: target.clone(), source, commits: false, drift: true, since: at, noted_at: at, until, why }
}
