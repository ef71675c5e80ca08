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
/// with one exception: what failed may be healed by *another* dispatch, since the cluster was then brought to hold
/// that commit after all.
#[must_use]
pub fn advance(row: Option<Row>, news: Row) -> Row {
    match row {
        None => news,
        Some(row) if moves(&row, &news) => news,
        Some(row) => row,
    }
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
    heals || waits || holds || goes_on || rank(row.phase) < rank(news.phase)
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
mod tests {
    use super::Row;
    use super::advance;
    use super::aggregate;
    use crate::commit::CommitId;
    use crate::outcome::Counts;
    use crate::outcome::Phase;
    use crate::outcome::Tally;

    use Phase::{Applied, Error, Failed, Healthy, Pending, Running, Superseded};

    fn row(phase: Phase, dispatch: &str) -> Row {
        Row { phase, run: Some(format!("run-of-{dispatch}")), ..Row::pending(dispatch) }
    }

    #[test]
    fn a_run_that_goes_from_wave_to_wave_moves_its_row_and_never_back() {
        let with = |run: &str, held| Row {
            run: Some(run.to_owned()),
            tally: Tally { held, ..Tally::default() },
            ..row(Applied, "d")
        };
        for (before, news, moves) in [
            (with("r", 3), with("r", 1), true),
            (with("r", 1), with("r", 0), true),
            (with("r", 1), with("r", 1), false),
            (with("r", 1), with("r", 3), false),
            (with("r", 3), with("other", 1), false),
        ] {
            let expected = if moves { news.clone() } else { before.clone() };
            assert_eq!(advance(Some(before.clone()), news.clone()), expected, "{before:?} {news:?}");
        }
    }

    #[test]
    fn news_of_the_same_dispatch_only_moves_a_row_forward() {
        let finals = [Healthy, Failed, Error, Superseded];
        for (rank, phase) in [Pending, Running, Applied].into_iter().enumerate() {
            for (other, news) in [Pending, Running, Applied].into_iter().enumerate() {
                let expected = if other > rank { news } else { phase };
                assert_eq!(advance(Some(row(phase, "d")), row(news, "d")).phase, expected, "{phase} {news}");
            }
            for news in finals {
                assert_eq!(advance(Some(row(phase, "d")), row(news, "d")).phase, news);
                assert_eq!(advance(Some(row(news, "d")), row(phase, "d")).phase, news);
            }
        }
        for phase in finals {
            for news in finals {
                assert_eq!(advance(Some(row(phase, "d")), row(news, "d")).phase, phase, "{phase} {news}");
            }
        }
    }

    #[test]
    fn another_dispatch_may_heal_what_failed_and_nothing_else() {
        let cases = [
            (Failed, Healthy, Healthy),
            (Error, Healthy, Healthy),
            (Superseded, Healthy, Superseded),
            (Healthy, Failed, Healthy),
            (Failed, Error, Failed),
            (Failed, Pending, Failed),
            (Error, Applied, Error),
            (Healthy, Pending, Healthy),
            (Applied, Running, Applied),
            (Applied, Failed, Failed),
        ];
        for (phase, news, expected) in cases {
            assert_eq!(advance(Some(row(phase, "one")), row(news, "two")).phase, expected, "{phase} {news}");
        }
    }

    #[test]
    fn what_is_held_is_pending_until_a_pass_begins() {
        let held = |why: &str| Row::held("d", why);
        for phase in [Pending, Running, Applied] {
            assert_eq!(advance(Some(row(phase, "d")), held("closed")), held("closed"), "{phase}");
        }
        for phase in [Healthy, Failed, Error, Superseded] {
            assert_eq!(advance(Some(row(phase, "d")), held("closed")), row(phase, "d"), "{phase}");
        }
        assert_eq!(advance(Some(held("closed")), held("paused")), held("paused"));
        assert_eq!(advance(Some(held("closed")), Row::pending("e")), held("closed"), "it is still held");
        for phase in [Running, Applied, Healthy, Failed, Error, Superseded] {
            assert_eq!(advance(Some(held("closed")), row(phase, "d")), row(phase, "d"));
        }
    }

    #[test]
    fn a_row_is_made_by_whatever_comes_first() {
        for phase in [Pending, Running, Applied, Healthy, Failed, Error, Superseded] {
            assert_eq!(advance(None, row(phase, "d")), row(phase, "d"));
        }
    }

    /// Calls `check` with every order of `items`.
    fn orders(items: &mut Vec<Row>, at: usize, check: &impl Fn(&[Row])) {
        if at == items.len() {
            check(items);
        }
        for other in at..items.len() {
            items.swap(at, other);
            orders(items, at + 1, check);
            items.swap(at, other);
        }
    }

    #[test]
    fn any_order_and_number_of_the_reports_of_a_run_leave_the_same_row() {
        for end in [Healthy, Failed, Error, Superseded] {
            let last = row(end, "d");
            let once = [Row::pending("d"), row(Running, "d"), row(Applied, "d"), last.clone()];
            let mut twice: Vec<Row> = once.iter().cloned().chain([once[1].clone(), last.clone()]).collect();
            orders(&mut twice, 0, &|reports| {
                let left = reports.iter().cloned().fold(None, |row, news| Some(advance(row, news)));
                assert_eq!(left.as_ref(), Some(&last), "{reports:?}");
            });
        }
    }

    #[test]
    fn a_failure_and_the_dispatch_that_heals_it_may_come_in_any_order() {
        let mut reports = vec![
            Row::pending("one"),
            row(Failed, "one"),
            Row::pending("two"),
            row(Running, "two"),
            row(Healthy, "two"),
        ];
        orders(&mut reports, 0, &|reports| {
            let left = reports.iter().cloned().fold(None, |row, news| Some(advance(row, news)));
            assert_eq!(left, Some(row(Healthy, "two")));
        });
    }

    #[test]
    fn the_whole_is_open_while_a_part_is_and_then_as_bad_as_its_worst_part() {
        let cases: [(&[Phase], Phase); 11] = [
            (&[], Healthy),
            (&[Healthy], Healthy),
            (&[Healthy, Pending], Pending),
            (&[Error, Running], Pending),
            (&[Failed, Applied], Pending),
            (&[Healthy, Failed, Error], Error),
            (&[Healthy, Failed], Failed),
            (&[Superseded, Failed], Failed),
            (&[Superseded, Superseded], Superseded),
            (&[Superseded, Healthy], Healthy),
            (&[Healthy, Healthy], Healthy),
        ];
        for (phases, expected) in cases {
            assert_eq!(aggregate(&Counts::of(phases.iter().copied())), expected, "{phases:?}");
        }
    }

    #[test]
    fn a_buried_job_is_an_error_that_says_why() {
        let buried = Row::buried("d", "the job came 20 times without an end");
        assert_eq!(buried.phase, Error);
        assert_eq!(buried.problem.unwrap().message, "the job came 20 times without an end");
        let by = CommitId::parse(&"b".repeat(40)).unwrap();
        assert_eq!(Row::superseded("d", &by).by, Some(by));
    }
}
