//! What dispatch says of commits that lead to no job, so that no row stays open and none is left out of the sum.

use crate::application::Application;
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
use super::question::Question;

/// Says that a commit touches nothing more: a run may have made it true already, and its rows may be summed up now.
pub(super) fn call_off(event: &Event, commit: CommitId) -> Draft {
    report(Told::Roster {
        dispatch: event.id.clone(),
        source: event.source.clone(),
        commit,
        targets: Vec::new(),
        received_at: event.received_at,
    })
}

impl Dispatcher {
    /// Gives a pushed commit that cannot be read a verdict for every target that it could have touched.
    pub(super) async fn turn_down(
        &self,
        event: &Event,
        applications: &[&Application],
        why: &str,
    ) -> Result<(), crate::queue::Error> {
        let What::Push { after: Some(commit), .. } = &event.what else { return Ok(()) };
        let targets: Vec<_> = applications.iter().flat_map(|one| one.targets()).collect();
        let (dispatch, source) = (event.id.clone(), event.source.clone());
        let buried = targets.iter().map(|target| Told::Buried {
            dispatch: dispatch.clone(),
            source: source.clone(),
            commit: commit.clone(),
            target: target.clone(),
            why: why.to_owned(),
        });
        let buried: Vec<Told> = buried.collect();
        let roster = Told::Roster {
            dispatch,
            source,
            commit: commit.clone(),
            targets,
            received_at: event.received_at,
        };
        let drafts: Vec<Draft> = std::iter::once(roster).chain(buried).map(report).collect();
        for part in drafts.chunks(DRAFTS) {
            self.queue.publish(part.to_vec()).await?;
        }
        Ok(())
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
                let why = format!("{}; nothing was deleted", question.reference.absence());
                Told::Buried { dispatch, source, commit, target, why }
            }
        };
        Ok(self.queue.publish(vec![report(what)]).await?)
    }
}

fn report(what: Told) -> Draft {
    Draft::report(&Report::new(now(), what))
}
