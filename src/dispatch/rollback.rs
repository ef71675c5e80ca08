//! The way back: an earlier commit of a target is made true again, because its last one does not work or because a person
//! wants it so.

use crate::application::Application;
use crate::application::OnFailure;
use crate::application::Target;
use crate::commit::CommitId;
use crate::commit::Inputs;
use crate::event::Event;
use crate::explanation::Considered;
use crate::job::Reason;
use crate::outcome::Told;
use crate::pause::Pin;
use crate::reference::Reference;
use crate::select::Memory;
use crate::select::State;
use crate::select::Touched;
use crate::window;

use super::Dispatcher;
use super::Error;
use super::Step;
use super::messages::Made;
use super::question;
use super::question::Question;

/// What is made true again, and how.
struct Back<'a> {
    application: &'a Application,
    target: &'a Target,
    /// The commit that is made true again.
    to: &'a CommitId,
    /// The commit that is there no more, and why.
    from: Option<(CommitId, String)>,
    /// Whatever windows and pauses say?
    regardless: bool,
}

impl Dispatcher {
    /// Makes the last commit true again that was healthy, after `failed` was written and did not work, where the application
    /// wants it so and nothing newer was dispatched since. What is closed stays as it is.
    pub(super) async fn roll_back(
        &self,
        event: &Event,
        target: &Target,
        (failed, inputs): (&CommitId, &Inputs),
        notes: &mut Considered,
    ) -> Result<Step, Error> {
        let nothing = |why: String| Ok(Step::Nothing { why });
        let Some(application) = self.configured(event, target) else {
            return nothing(question::nobody(event));
        };
        if application.on_failure != OnFailure::Rollback {
            return nothing("the application keeps what failed".to_owned());
        }
        if self.last(event, target).await?.is_none_or(|last| last.inputs != *inputs) {
            return nothing("another commit was dispatched since".to_owned());
        }
        if let window::State::Closed(closed) = self.gate().await?.push(target) {
            return nothing(format!("it is not rolled back: {}", closed.why));
        }
        let Some(to) = self.store.last_healthy(&event.source, target, inputs).await? else {
            return nothing("it is not rolled back: no commit is known that was healthy before".to_owned());
        };
        let from = Some((failed.clone(), "it did not work".to_owned()));
        let back = Back { application, target, to: &to, from, regardless: false };
        self.go_back(event, back, notes).await
    }

    /// Makes the commit true again at which a person keeps a target.
    pub(super) async fn keep(
        &self,
        event: &Event,
        application: &Application,
        pin: &Pin,
        notes: &mut Considered,
    ) -> Result<Step, Error> {
        let Pin { target, commit, by, why, .. } = pin;
        // One that is under way or waits has no verdict yet that this could take back.
        let last = self.last(event, target).await?;
        let from = last.filter(|last| last.commit != *commit && last.state != State::Open);
        let from = from.map(|last| (last.commit, format!("by {by}: {why}")));
        let back = Back { application, target, to: commit, from, regardless: true };
        self.go_back(event, back, notes).await
    }

    async fn go_back(&self, event: &Event, back: Back<'_>, notes: &mut Considered) -> Result<Step, Error> {
        let Back { application, target, to, from, regardless } = back;
        let source =
            self.sources.get(&event.source).ok_or_else(|| Error::UnknownSource(event.source.clone()))?;
        let reference = Reference::Commit(to.clone());
        if source.resolve(&reference, &[]).await?.tip.is_none() {
            return Ok(Step::Nothing { why: format!("{}: nothing is changed", reference.absence()) });
        }
        let gate = self.gate().await?;
        let mut made = Made::new(event, &self.lanes, &gate, notes);
        made.regardless = regardless;
        if let Some((from, why)) = from {
            let (dispatch, source) = (uuid::Uuid::now_v7().to_string(), event.source.clone());
            made.rollback_from = Some(from.clone());
            let (commit, target, to) = (from, target.clone(), to.clone());
            made.report(Told::RolledBack { dispatch, source, commit, target, to, why });
        }
        let candidates =
            self.candidates(source, &[application], std::slice::from_ref(to), |one| one == target).await?;
        let fixed = Application { reference, ..application.clone() };
        let question =
            Question { event, reference: &fixed.reference, before: None, after: None, only: Some(target) };
        for one in candidates {
            let Some(inputs) = one.inputs.into_iter().next() else { continue };
            let (target, definition, reason) = (one.target, one.definition, Reason::Unsure);
            let touched = Touched { target, definition, commit: 0, inputs, reason, overtaken: false };
            made.add(&question, to, to, &[&touched], &[&fixed]);
        }
        self.publish(made).await
    }

    /// Returns what was dispatched last to a target.
    async fn last(&self, event: &Event, target: &Target) -> Result<Option<Memory>, Error> {
        let memory = self.store.memory(&event.source).await?;
        Ok(memory.into_iter().find(|row| row.target == *target))
    }
}
