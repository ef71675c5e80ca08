//! What history forgets, and what it never does.

use windlass::application::Name;
use windlass::commit::CommitId;
use windlass::explanation::Considered;
use windlass::moment::Moment;
use windlass::outcome::Phase;
use windlass::outcome::Told;
use windlass::reference::Reference;
use windlass::store::Keep;
use windlass::store::Pruned;
use windlass::store::Sought;

use crate::deliveries::heard;
use crate::deliveries::ignored;
use crate::desk::Desk;
use crate::desk::at;
use crate::desk::commit;
use crate::desk::covered;
use crate::desk::memory;
use crate::desk::name;
use crate::desk::progress;
use crate::desk::roster;
use crate::desk::run;
use crate::desk::target;
use crate::place::Place;
use crate::place::on_both;

const DAY: i64 = 24 * 60 * 60 * 1_000;
/// Everything is heard of at 5 s, so that it is a day old only after this.
const A_DAY_LATER: Moment = Moment(DAY + 5_001);
const ALL: Keep = Keep { days: 1, commits: 100, runs: 100, deliveries: 100 };

/// A commit that is through, and of which the forge was told.
async fn through(desk: &Desk, digit: char) -> CommitId {
    let own = commit(digit);
    desk.hear(roster(&format!("d{digit}"), &own, &["shop@east"])).await;
    desk.hear(run(&format!("r{digit}"), &format!("d{digit}"), &own, Phase::Applied)).await;
    desk.hear(run(&format!("r{digit}"), &format!("d{digit}"), &own, Phase::Healthy)).await;
    desk.post_all().await;
    own
}

async fn runs(desk: &Desk) -> Vec<String> {
    desk.store.runs(&Sought::default(), 1_000).await.unwrap().into_iter().map(|run| run.run).collect()
}

async fn commits(desk: &Desk) -> Vec<String> {
    let found = desk.store.commits("").await.unwrap();
    found.into_iter().map(|(_, commit)| commit.as_str()[..1].to_owned()).collect()
}

async fn what_is_old_goes_with_all_that_became_of_it(place: Place) {
    let desk = Desk::new(&place).await;
    let a = through(&desk, 'a').await;
    through(&desk, 'b').await;
    assert_eq!(desk.store.prune(Moment(DAY + 5_000), &ALL).await.unwrap(), Pruned::default());
    let pruned = desk.store.prune(A_DAY_LATER, &ALL).await.unwrap();
    assert_eq!(pruned, Pruned { commits: 2, runs: 1, ..Pruned::default() });
    assert!(!pruned.is_partial());
    assert_eq!(commits(&desk).await, Vec::<String>::new());
    assert_eq!(desk.store.statuses(&name("git"), &a).await.unwrap(), []);
    assert_eq!(desk.store.run("ra").await.unwrap(), None);
    // The last run of a target stays, with what it did.
    assert_eq!(desk.store.run("rb").await.unwrap().unwrap().changes.len(), 1);
    assert_eq!(desk.store.prune(A_DAY_LATER, &ALL).await.unwrap(), Pruned::default());
}

async fn a_report_that_comes_once_more_brings_back_what_it_says_and_nothing_else(place: Place) {
    let desk = Desk::new(&place).await;
    let (a, b) = (through(&desk, 'a').await, through(&desk, 'b').await);
    desk.hear(covered("dc", &commit('c'), "rb")).await;
    desk.post_all().await;
    desk.store.prune(A_DAY_LATER, &ALL).await.unwrap();
    for (id, own) in [("ra", &a), ("rb", &b)] {
        desk.hear(run(id, "d", own, Phase::Healthy)).await;
    }
    assert_eq!(desk.store.run("ra").await.unwrap().unwrap().changes, []);
    assert_eq!(commits(&desk).await, ["a", "b"]);
}

async fn what_somebody_waits_for_or_dispatch_needs_stays(place: Place) {
    let desk = Desk::new(&place).await;
    for digit in ['a', 'b', 'c', 'd', 'e'] {
        through(&desk, digit).await;
    }
    // One target of `a` is open, `b` has a status to be told, `c` is what dispatch made last, and a ref leads to `d`.
    desk.hear(roster("da", &commit('a'), &["shop@west"])).await;
    for due in desk.due_rows().await {
        desk.store.posted(&due, Moment(1)).await.unwrap();
    }
    let again = Told::Rerun { source: name("git"), commit: commit('b'), targets: vec![] };
    desk.hear(again).await;
    desk.store.open_targets(&[memory("dc", &commit('c'))]).await.unwrap();
    let main = Reference::parse("refs/heads/main").unwrap();
    desk.store.saw(&name("git"), &main, Some(&commit('d'))).await.unwrap();
    desk.store.prune(A_DAY_LATER, &ALL).await.unwrap();
    assert_eq!(commits(&desk).await, ["a", "b", "c", "d"]);
    assert_eq!(desk.store.memory(&name("git")).await.unwrap().len(), 1);
    assert_eq!(desk.store.seen(&name("git")).await.unwrap().len(), 1);
    assert_eq!(desk.due().await.len(), 1);
}

async fn a_run_stays_while_a_row_or_a_status_needs_it(place: Place) {
    let desk = Desk::new(&place).await;
    let (a, b, f) = (commit('a'), commit('b'), commit('f'));
    // The first run is not through; `b` waits for the second, whose own commit is; a status leads to the third.
    desk.hear(run("r1", "d1", &a, Phase::Applied)).await;
    desk.hear(run("r2", "d2", &f, Phase::Running)).await;
    let overtaken = Told::Superseded {
        dispatch: "d2".into(),
        source: name("git"),
        commit: f.clone(),
        target: target("shop@east"),
        by: a.clone(),
    };
    desk.hear(overtaken).await;
    desk.hear(covered("db", &b, "r2")).await;
    desk.post_all().await;
    desk.hear(Told::Run(progress("r3", "d3", &commit('c'), "shop@east", Phase::Healthy))).await;
    desk.hear(run("r4", "d4", &commit('d'), Phase::Healthy)).await;
    for due in desk.due_rows().await {
        if due.run.as_deref() == Some("r4") {
            desk.store.posted(&due, Moment(1)).await.unwrap();
        }
    }
    desk.hear(run("r5", "d5", &commit('e'), Phase::Healthy)).await;
    desk.store.prune(A_DAY_LATER, &ALL).await.unwrap();
    assert_eq!(runs(&desk).await, ["r5", "r3", "r2", "r1"]);
}

async fn a_run_is_forgotten_once_nobody_needs_it(place: Place) {
    let desk = Desk::new(&place).await;
    let (a, b) = (commit('a'), commit('b'));
    desk.hear(run("r1", "d1", &a, Phase::Applied)).await;
    desk.hear(covered("db", &b, "r1")).await;
    desk.hear(run("r2", "d2", &commit('c'), Phase::Healthy)).await;
    desk.post_all().await;
    desk.store.prune(A_DAY_LATER, &ALL).await.unwrap();
    assert_eq!(runs(&desk).await, ["r2", "r1"]);
    desk.hear(run("r1", "d1", &a, Phase::Healthy)).await;
    assert_eq!(desk.phases(&b).await, ["shop@east healthy"]);
    desk.post_all().await;
    desk.store.prune(A_DAY_LATER, &ALL).await.unwrap();
    assert_eq!(runs(&desk).await, ["r2"]);
    assert_eq!(commits(&desk).await, Vec::<String>::new());
}

async fn what_is_beyond_the_numbers_goes_the_oldest_first(place: Place) {
    let desk = Desk::new(&place).await;
    for (number, digit) in (1..).zip(['a', 'b', 'c', 'd']) {
        let told = [
            roster("d", &commit(digit), &["shop@east"]),
            run(&format!("r{digit}"), "d", &commit(digit), Phase::Healthy),
            Told::Run(progress(&format!("w{digit}"), "d", &commit(digit), "shop@west", Phase::Healthy)),
        ];
        for told in told {
            desk.store.record(&at(number * 1_000, told)).await.unwrap();
        }
    }
    desk.post_all().await;
    let keep = Keep { days: 1, commits: 3, runs: 2, deliveries: 100 };
    let pruned = desk.store.prune(Moment(5_000), &keep).await.unwrap();
    assert_eq!((pruned.commits, pruned.runs), (1, 4));
    assert_eq!(commits(&desk).await, ["b", "c", "d"]);
    assert_eq!(runs(&desk).await, ["wd", "rd", "wc", "rc"]);
    let none = Keep { days: 1, commits: 0, runs: 0, deliveries: 0 };
    desk.store.prune(Moment(5_000), &none).await.unwrap();
    assert_eq!((commits(&desk).await.len(), runs(&desk).await), (0, vec!["wd".to_owned(), "rd".to_owned()]));
}

async fn deliveries_and_what_came_of_them_go_by_age_and_by_number(place: Place) {
    let desk = Desk::new(&place).await;
    for at_ms in 1..=6 {
        desk.hear(heard(&format!("delivery-{at_ms}"), at_ms, ignored())).await;
        let considered = Told::Considered(Considered::new(&format!("event-{at_ms}"), &name("git")));
        desk.store.record(&at(at_ms, considered)).await.unwrap();
    }
    let left = async |forge: Option<&Name>| {
        let left = desk.store.deliveries(forge, 100).await.unwrap();
        left.into_iter().map(|one| one.received_at.0).collect::<Vec<_>>()
    };
    let pruned = desk.store.prune(Moment(DAY + 3), &ALL).await.unwrap();
    assert_eq!((pruned.deliveries, pruned.considered), (2, 2));
    assert_eq!(left(None).await, [6, 5, 4, 3]);
    let pruned = desk.store.prune(Moment(DAY), &Keep { deliveries: 1, ..ALL }).await.unwrap();
    assert_eq!((pruned.deliveries, pruned.considered), (3, 3));
    assert_eq!(left(Some(&name("gitea"))).await, [6]);
    assert_eq!(desk.store.considered("event-5").await.unwrap(), None);
    assert!(desk.store.considered("event-6").await.unwrap().is_some());
    assert_eq!(desk.store.last_delivery(&name("git")).await.unwrap(), None);
}

async fn more_than_fits_in_one_turn_goes_in_several(place: Place) {
    let desk = Desk::new(&place).await;
    for number in 1..=60 {
        let own = CommitId::parse(&format!("{number:040x}")).unwrap();
        desk.hear(run(&format!("r{number}"), "d", &own, Phase::Healthy)).await;
    }
    desk.post_all().await;
    let pruned = desk.store.prune(A_DAY_LATER, &ALL).await.unwrap();
    assert_eq!((pruned.commits, pruned.runs), (60, 59));
}

on_both!(
    what_is_old_goes_with_all_that_became_of_it,
    a_report_that_comes_once_more_brings_back_what_it_says_and_nothing_else,
    a_run_is_forgotten_once_nobody_needs_it,
    what_somebody_waits_for_or_dispatch_needs_stays,
    a_run_stays_while_a_row_or_a_status_needs_it,
    what_is_beyond_the_numbers_goes_the_oldest_first,
    deliveries_and_what_came_of_them_go_by_age_and_by_number,
    more_than_fits_in_one_turn_goes_in_several,
);
