//! The ledger's rule: how the row of a commit and a target moves as reports come in, in whatever order they do.
//!
//! A row and a piece of news have the same form. [`advance`] keeps the one that is further; so any order and any
//! number of the reports of a run leave the same row behind.

use serde::{Deserialize, Serialize};

use crate::commit::CommitId;
use crate::outcome::Counts;
use crate::outcome::Phase;
use crate::outcome::Problem;
use crate::outcome::Progress;
use crate::outcome::Rollback;
use crate::outcome::Tally;

/// Where the work for one commit and one target stands, and by whose word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// How far it has come.
    pub phase: Phase,
    /// The dispatch whose report said so.
    pub dispatch: String,
    /// The run that did the work, or that is waited for; `None` where no run is known.
    pub run: Option<String>,
    /// What was done to how many objects.
    pub tally: Tally,
    /// The first thing that stands in the way.
    pub problem: Option<Problem>,
    /// How many problems there are besides the first.
    pub others: u64,
    /// The commit that took this one's place, where it is known.
    pub by: Option<CommitId>,
    /// How long it took from the event's arrival to this report, in milliseconds; only of runs.
    pub took_ms: Option<u64>,
    /// That its target went back to an earlier commit: from this one, or to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback: Option<Rollback>,
}

impl Row {
    /// Returns the row of a target that was dispatched and not heard of since.
    #[must_use]
    pub fn pending(dispatch: &str) -> Self {
        Self {
            phase: Phase::Pending,
            dispatch: dispatch.to_owned(),
            run: None,
            tally: Tally::default(),
            problem: None,
            others: 0,
            by: None,
            took_ms: None,
            rollback: None,
        }
    }

    /// Returns what a run's report says, `took_ms` after the event's arrival.
    #[must_use]
    pub fn told(progress: &Progress, took_ms: u64) -> Self {
        let others = u64::try_from(progress.problems.len().saturating_sub(1)).unwrap_or(u64::MAX);
        Self {
            phase: progress.phase,
            run: Some(progress.run.clone()),
            tally: progress.tally,
            problem: progress.problems.first().cloned(),
            others,
            took_ms: Some(took_ms),
            rollback: progress.rollback_from.clone().map(Rollback::From),
            ..Self::pending(&progress.dispatch)
        }
    }

    /// Returns the row of a commit that `by` overtook.
    #[must_use]
    pub fn superseded(dispatch: &str, by: &CommitId) -> Self {
        Self { phase: Phase::Superseded, by: Some(by.clone()), ..Self::pending(dispatch) }
    }

    /// Returns the row of a job that was put back, and why it was.
    #[must_use]
    pub fn waiting(dispatch: &str, why: &str) -> Self {
        let problem = Problem { object: None, place: None, message: why.to_owned() };
        Self { phase: Phase::Running, problem: Some(problem), ..Self::pending(dispatch) }
    }

    /// Returns the row of a commit that waits for its target to open, and what closes that.
    #[must_use]
    pub fn held(dispatch: &str, why: &str) -> Self {
        let problem = Problem { object: None, place: None, message: why.to_owned() };
        Self { problem: Some(problem), ..Self::pending(dispatch) }
    }

    /// Returns whether it waits for its target to open.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.phase == Phase::Pending && self.problem.is_some()
    }

    /// Returns the row of a commit that was made true, where an earlier one is made true again in its place.
    #[must_use]
    pub fn rolled_back(dispatch: &str, to: &CommitId, why: &str) -> Self {
        let problem = Problem { object: None, place: None, message: why.to_owned() };
        let rollback = Some(Rollback::To(to.clone()));
        Self { phase: Phase::Superseded, problem: Some(problem), rollback, ..Self::pending(dispatch) }
    }

    /// Returns the row of a job that was buried, and why it was.
    #[must_use]
    pub fn buried(dispatch: &str, why: &str) -> Self {
        let problem = Problem { object: None, place: None, message: why.to_owned() };
        Self { phase: Phase::Error, problem: Some(problem), ..Self::pending(dispatch) }
    }

    /// Returns the same row as the answer to another dispatch, which shares the run's fate.
    #[must_use]
    pub fn shared_with(&self, dispatch: &str) -> Self {
        Self { dispatch: dispatch.to_owned(), ..self.clone() }
    }
}

/// Moves a row by a piece of news, and returns where it stands then.
///
/// News that is not further than the row changes nothing: it is late, or came twice. A final row stays as it is,
/// with two exceptions. What failed may be healed by *another* dispatch, since the cluster was then brought to hold that
/// commit after all. And where a target goes back to an earlier commit, the rows of both say so: the one says what
/// became of it now, the other that it is there no more, until a *later* dispatch makes it true after all; what failed
/// still says why.
#[must_use]
pub fn advance(row: Option<Row>, news: Row) -> Row {
    match row {
        None => news,
        // It was heard that it is there no more before it was heard why.
        Some(row) if failed_before(&row, &news) => {
            Row { dispatch: row.dispatch, rollback: row.rollback, ..news }
        }
        Some(row) if moves(&row, &news) => match (&news.rollback, row.phase) {
            (Some(Rollback::To(_)), Phase::Failed | Phase::Error) => {
                Row { dispatch: news.dispatch, rollback: news.rollback, ..row }
            }
            _ => news,
        },
        Some(row) => row,
    }
}

fn failed_before(row: &Row, news: &Row) -> bool {
    let there_no_more = row.phase == Phase::Superseded && matches!(row.rollback, Some(Rollback::To(_)));
    let failed = matches!(news.phase, Phase::Failed | Phase::Error) && news.rollback.is_none();
    there_no_more && failed && news.dispatch < row.dispatch
}

fn moves(row: &Row, news: &Row) -> bool {
    let heals = matches!(row.phase, Phase::Failed | Phase::Error)
        && news.phase == Phase::Healthy
        && row.dispatch != news.dispatch;
    // A job that waits may say so again, with another reason.
    let waits = row.phase == Phase::Running && news.phase == Phase::Running && news.problem.is_some();
    // Whatever was begun for it, nothing goes on until its target opens.
    let holds = news.is_held() && !row.phase.is_final();
    // A run that goes from wave to wave holds less and less back.
    let goes_on = row.phase == Phase::Applied
        && news.phase == Phase::Applied
        && row.run == news.run
        && news.tally.held < row.tally.held;
    let later = row.dispatch < news.dispatch;
    let rolls_back = news.rollback.is_some() && news.phase.is_final() && row.phase.is_final() && later;
    let returns = matches!(row.rollback, Some(Rollback::To(_))) && news.phase == Phase::Healthy && later;
    let heals = heals && (later || row.rollback.is_none());
    heals || rolls_back || returns || waits || holds || goes_on || rank(row.phase) < rank(news.phase)
}

/// Returns how far a phase is; all final phases are equally far.
#[must_use]
pub fn rank(phase: Phase) -> u8 {
    match phase {
        Phase::Pending => 0,
        Phase::Running => 1,
        Phase::Applied => 2,
        Phase::Healthy | Phase::Failed | Phase::Error | Phase::Superseded => 3,
    }
}

/// Returns what all targets of a commit come to: open while any is, then the worst of them. Superseded targets
/// beside healthy ones do not spoil the whole. A commit without targets is healthy.
#[must_use]
pub fn aggregate(counts: &Counts) -> Phase {
    if counts.open > 0 {
        Phase::Pending
    } else if counts.error > 0 {
        Phase::Error
    } else if counts.failed > 0 {
        Phase::Failed
    } else if counts.superseded > 0 && counts.healthy == 0 {
        Phase::Superseded
    } else {
        Phase::Healthy
    }
}

#[cfg(test)]
mod tests;
