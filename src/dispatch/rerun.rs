//! The button that runs checks again: which targets are asked for.

use crate::application::Target;
use crate::clock::now;
use crate::commit::CommitId;
use crate::event::Event;
use crate::event::What;
use crate::outcome::Report;
use crate::outcome::Told;
use crate::queue::DRAFTS;
use crate::queue::Draft;

use super::Dispatcher;
use super::Error;
use super::Step;

impl Dispatcher {
    /// Asks for one target of a commit again, or for all that it touched, and has what is known of them told once more:
    /// GitHub shows a commit as waiting from the press of the button until it hears of its checks. A pass deploys the tip of the ref, whichever
    /// commit the button is at.
    pub(super) async fn rerun(
        &self,
        event: &Event,
        commit: &CommitId,
        only: Option<&Target>,
    ) -> Result<Step, Error> {
        let rows = self.store.verdicts(&event.source, commit).await?;
        let mine = |target: &Target| self.configured(event, target).is_some();
        let asked = |target: &Target| only.is_none_or(|only| only == target);
        let targets: Vec<Target> =
            rows.into_iter().map(|row| row.target).filter(|one| asked(one) && mine(one)).collect();
        if targets.is_empty() {
            let why = format!("commit {} touched no target that is configured", commit.short());
            return Ok(Step::Nothing { why });
        }
        let (source, commit_again) = (event.source.clone(), commit.clone());
        let what = Told::Rerun { source, commit: commit_again, targets: targets.clone() };
        let told = Report::new(now(), what);
        let asked = targets.iter().map(|target| again(event, commit, target));
        let drafts: Vec<Draft> = std::iter::once(Draft::report(&told)).chain(asked).collect();
        for part in drafts.chunks(DRAFTS) {
            self.queue.publish(part.to_vec()).await?;
        }
        Ok(Step::Asked { targets: targets.len() })
    }
}

/// Makes the event that asks for a target. It is called by what it says, so that whoever looks at the queue sees where it
/// comes from; a rerun that is dispatched twice asks twice, which costs a pass.
fn again(event: &Event, commit: &CommitId, target: &Target) -> Draft {
    let name = format!("{}/{}/{target}", event.source, event.id);
    let id = uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_URL, name.as_bytes()).to_string();
    let what = What::Again { target: target.clone(), commit: Some(commit.clone()) };
    Draft::event(&Event::new(id, event.source.clone(), what, event.received_at))
}
