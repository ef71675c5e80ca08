//! The way back: an earlier commit of a target is made true again, because its last one does not work or because a person
//! wants it so.

use crate::application::Application;
use crate::application::OnFailure;
use crate::application::Target;
use crate::commit::CommitId;
use crate::commit::Inputs;
use crate::event::Event;
use crate::explanation::Considered;
use crate::job::Back;
use crate::job::Reason;
use crate::pause::Pin;
use crate::reference::Reference;
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
struct Again<'a> {
    application: &'a Application,
    target: &'a Target,
    /// The commit that is made true again.
    to: &'a CommitId,
    back: Back,
    /// Whatever windows and pauses say?
    regardless: bool,
}

impl Dispatcher {
    /// Makes the last commit true again that was healthy, after `failed` was written and did not work, where the application
    /// wants it so and nothing newer was given out since. What is closed stays as it is.
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
        if let Some(why) = self.is_past(event, target, inputs).await? {
            return nothing(why.to_owned());
        }
        if let window::State::Closed(closed) = self.gate().await?.push(target) {
            return nothing(format!("it is not rolled back: {}", closed.why));
        }
        let last = self.store.last_healthy(&event.source, target).await?;
        let Some((to, _)) = last.filter(|(_, healthy)| healthy != inputs) else {
            let why = "it is not rolled back: what it reads is what was healthy last, or nothing is known to have been";
            return nothing(why.to_owned());
        };
        let back = Back { from: Some((failed.clone(), inputs.clone())), why: "it did not work".to_owned() };
        let again = Again { application, target, to: &to, back, regardless: false };
        self.go_back(event, again, notes).await
    }

    /// Returns why a failure is not what counts any more: what failed worked after all, or another commit was given out.
    async fn is_past(
        &self,
        event: &Event,
        target: &Target,
        inputs: &Inputs,
    ) -> Result<Option<&'static str>, Error> {
        let memory = self.store.memory(&event.source).await?;
        let last = memory.into_iter().find(|row| row.target == *target);
        let Some(last) = last else { return Ok(Some("nothing was dispatched to the target yet")) };
        if last.inputs == *inputs {
            return Ok((last.state == State::Closed).then_some("it was healthy since"));
        }
        // One that waits has not taken its place yet.
        let waits = self.store.held().await?.iter().any(|held| held.commits && held.target == *target);
        Ok((!waits).then_some("another commit was dispatched since"))
    }

    /// Makes the commits true again at which people keep targets, of those of some targets where others wait: whatever was to
    /// be made true there finds it as it is to be.
    pub(super) async fn keep_all(
        &self,
        event: &Event,
        held: &[Target],
        notes: &mut Considered,
    ) -> Result<(), Error> {
        if held.is_empty() {
            return Ok(());
        }
        for pin in self.store.pins().await?.iter().filter(|pin| held.contains(&pin.target)) {
            if let Some(application) = self.configured(event, &pin.target) {
                self.keep(event, application, pin, notes).await?;
            }
        }
        Ok(())
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
        let from = self.store.last_begun(&event.source, target).await?.filter(|(last, _)| last != commit);
        let back = Back { from, why: format!("by {by}: {why}") };
        let again = Again { application, target, to: commit, back, regardless: true };
        self.go_back(event, again, notes).await
    }

    /// Gives a job out for an earlier commit, and only then remembers that what was there is not to be tried again: whoever
    /// comes in between gives it out twice.
    async fn go_back(&self, event: &Event, again: Again<'_>, notes: &mut Considered) -> Result<Step, Error> {
        let Again { application, target, to, mut back, regardless } = again;
        let source =
            self.sources.get(&event.source).ok_or_else(|| Error::UnknownSource(event.source.clone()))?;
        let reference = Reference::Commit(to.clone());
        if source.resolve(&reference, &[]).await?.tip.is_none() {
            return Ok(Step::Nothing { why: format!("{}: nothing is changed", reference.absence()) });
        }
        let candidates =
            self.candidates(source, &[application], std::slice::from_ref(to), |one| one == target).await?;
        let gate = self.gate().await?;
        let mut made = Made::new(event, &self.lanes, &gate, notes);
        made.regardless = regardless;
        let fixed = Application { reference, ..application.clone() };
        let question =
            Question { event, reference: &fixed.reference, before: None, after: None, only: Some(target) };
        let mut left = None;
        for one in candidates {
            let Some(inputs) = one.inputs.into_iter().next() else { continue };
            back.from = back.from.filter(|(_, from)| *from != inputs);
            left = back.from.clone();
            made.back = Some(back.clone());
            let (target, definition, reason) = (one.target, one.definition, Reason::Unsure);
            let touched = Touched { target, definition, commit: 0, inputs, reason, overtaken: false };
            made.add(&question, to, to, &[&touched], &[&fixed]);
        }
        // What the reference leads to stays what was dispatched last.
        made.memory.clear();
        let step = self.publish(made).await?;
        if let Some((_, inputs)) = left {
            self.store.rolled_back(target, &inputs).await?;
        }
        Ok(step)
    }
}
