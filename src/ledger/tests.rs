//! How rows move, in whatever order reports come.

use super::Row;
use super::advance;
use super::aggregate;
use crate::commit::CommitId;
use crate::outcome::Counts;
use crate::outcome::Phase;
use crate::outcome::Rollback;
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
fn the_rows_of_both_commits_of_a_rollback_end_alike_in_any_order() {
    let [x, y] = ["a", "b"].map(|digit| CommitId::parse(&digit.repeat(40)).unwrap());
    let from =
        |phase, dispatch: &str| Row { rollback: Some(Rollback::From(y.clone())), ..row(phase, dispatch) };
    let to = |dispatch: &str| Row::rolled_back(dispatch, &x, "it failed");
    let back = |row: Row| Row { dispatch: "2".into(), rollback: Some(Rollback::To(x.clone())), ..row };
    // what is told of a commit, each by a dispatch that is called by its time → what its row says
    let cases: [(Vec<Row>, Row); 8] = [
        // What was healthy once says how that went the second time.
        (
            vec![Row::pending("1"), row(Healthy, "1"), Row::pending("2"), from(Healthy, "2")],
            from(Healthy, "2"),
        ),
        (vec![row(Healthy, "1"), Row::pending("2"), row(Running, "2"), from(Failed, "2")], from(Failed, "2")),
        (vec![row(Failed, "1"), from(Healthy, "2")], from(Healthy, "2")),
        // What failed says why, and that it is there no more.
        (vec![Row::pending("1"), row(Applied, "1"), row(Failed, "1"), to("2")], back(row(Failed, "1"))),
        (vec![row(Error, "1"), to("2")], back(row(Error, "1"))),
        // What worked, or was not through, is there no more, until it is made true again.
        (vec![Row::pending("1"), row(Healthy, "1"), to("2")], to("2")),
        (vec![row(Healthy, "1"), to("2"), Row::pending("3"), row(Healthy, "3")], row(Healthy, "3")),
        (vec![row(Failed, "1"), to("2"), row(Running, "3"), row(Healthy, "3")], row(Healthy, "3")),
    ];
    for (mut reports, expected) in cases {
        orders(&mut reports, 0, &|reports| {
            let left =
                reports.iter().chain(reports).cloned().fold(None, |row, news| Some(advance(row, news)));
            assert_eq!(left.as_ref(), Some(&expected), "{reports:#?}");
        });
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
