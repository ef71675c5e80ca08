//! What dispatch says of commits that lead to no job, so that no row stays open and none is left out of the sum.

use crate::clock::now;
use crate::commit::CommitId;
use crate::event::Event;
use crate::outcome::Report;
use crate::outcome::Told;
use crate::queue::Draft;

use super::Dispatcher;
use super::Error;
use super::Question;

impl Dispatcher {
    /// Says that the tip touches nothing more: a run may have made it true already, and its rows may be summed up now.
    pub(super) async fn call_off(&self, event: &Event, commits: &[CommitId]) -> Result<(), Error> {
        let Some(tip) = commits.last() else { return Ok(()) };
        let what = Told::Roster {
            dispatch: event.id.clone(),
            source: event.source.clone(),
            commit: tip.clone(),
            targets: Vec::new(),
            received_at: event.received_at,
        };
        let report = Report { version: crate::outcome::VERSION, at: now(), what };
        Ok(self.queue.publish(vec![Draft::report(&report)]).await?)
    }

    /// Ends the row of an overdue commit that the repository no longer has: nobody could answer for it any more.
    pub(super) async fn end_overdue(
        &self,
        question: &Question<'_>,
        tip: Option<&CommitId>,
    ) -> Result<(), Error> {
        let (Some(commit), Some(target)) = (question.after, question.only) else { return Ok(()) };
        let (dispatch, source) = (String::new(), question.event.source.clone());
        let (commit, target) = (commit.clone(), target.clone());
        let what = match tip {
            Some(by) => Told::Superseded { dispatch, source, commit, target, by: by.clone() },
            None => {
                let why = format!("{} no longer exists; nothing was deleted", question.reference);
                Told::Buried { dispatch, source, commit, target, why }
            }
        };
        let report = Report { version: crate::outcome::VERSION, at: now(), what };
        Ok(self.queue.publish(vec![Draft::report(&report)]).await?)
    }
}
