//! What is remembered and listed.

use windlass::application::Application;
use windlass::application::OnFailure;
use windlass::commit::Inputs;
use windlass::fault::Fault;
use windlass::moment::Moment;
use windlass::outcome::Action;
use windlass::outcome::Phase;
use windlass::outcome::Progress;
use windlass::outcome::Told;
use windlass::reference::Reference;
use windlass::select::Memory;
use windlass::select::State;
use windlass::store::Sought;
use windlass::store::Store;

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

async fn only_the_end_of_its_own_dispatch_closes_a_memory(place: Place) {
    let (a, b) = (commit('a'), commit('b'));
    let cases = [
        (run("r1", "d1", &a, Phase::Healthy), State::Closed),
        (run("r1", "d0", &a, Phase::Healthy), State::Open),
        (run("r1", "d1", &a, Phase::Applied), State::Open),
        (run("r1", "d1", &a, Phase::Failed), State::Failed),
        (run("r1", "d1", &a, Phase::Error), State::Failed),
        (run("r1", "d0", &a, Phase::Failed), State::Open),
        (run("r1", "d1", &a, Phase::Superseded), State::Open),
        (Told::Run(progress("r1", "d1", &a, "shop@west", Phase::Healthy)), State::Open),
    ];
    for (told, state) in cases {
        let desk = Desk::new(&place).await;
        desk.store.open_targets(&[memory("d1", &a)]).await.unwrap();
        desk.hear(told.clone()).await;
        assert_eq!(desk.state().await, state, "{told:?}");
    }
    for covered_first in [true, false] {
        let desk = Desk::new(&place).await;
        desk.store.open_targets(&[memory("d2", &b)]).await.unwrap();
        let mut told = [covered("d2", &b, "r1"), run("r1", "d1", &a, Phase::Healthy)];
        if !covered_first {
            told.reverse();
        }
        for told in told {
            desk.hear(told).await;
        }
        assert_eq!(desk.state().await, State::Closed);
    }
}

async fn memories_are_remembered_as_they_were_and_replaced_by_the_next(place: Place) {
    let desk = Desk::new(&place).await;
    let first = memory("d1", &commit('a'));
    desk.store.open_targets(std::slice::from_ref(&first)).await.unwrap();
    let desk = desk.reopen().await;
    assert_eq!(desk.store.memory(&name("git")).await.unwrap(), [first]);
    let second = Memory { definition: 4, ..memory("d2", &commit('b')) };
    desk.store.open_targets(std::slice::from_ref(&second)).await.unwrap();
    assert_eq!(desk.store.memory(&name("git")).await.unwrap(), [second]);
    assert_eq!(desk.store.memory(&name("other")).await.unwrap(), []);
}

async fn the_number_of_a_definition_grows_with_every_change_and_only_then(place: Place) {
    let desk = Desk::new(&place).await;
    let shop = Application {
        name: name("shop"),
        source: name("git"),
        reference: Reference::parse("refs/heads/main").unwrap(),
        path: "deploy".into(),
        clusters: vec![name("east")],
        namespace: "shop".into(),
        prune: true,
        health_deadline_ms: 300_000,
        self_heal: windlass::application::SelfHeal::Correct,
        conflicts: windlass::application::Conflicts::Take,
        takes_over: Vec::new(),
        propagation: windlass::application::Propagation::Background,
        stable_for_ms: None,
        depends_on: Vec::new(),
        on_failure: OnFailure::default(),
        service_account: None,
        ignore: Vec::new(),
    };
    let first = desk.store.definition(&shop).await.unwrap();
    assert_eq!(desk.store.definition(&shop).await.unwrap(), first);
    let moved = Application { path: "elsewhere".into(), ..shop.clone() };
    assert_eq!(desk.store.definition(&moved).await.unwrap(), first + 1);
    let desk = desk.reopen().await;
    assert_eq!(desk.store.definition(&shop).await.unwrap(), first + 2);
    let other = Application { name: name("other"), ..shop.clone() };
    assert!(desk.store.definition(&other).await.unwrap() >= first);
    let number = desk.store.definition(&other).await.unwrap();
    // Many at once: one as it was, one that changed, one that was never seen.
    let new = Application { name: name("a-new-one"), ..shop.clone() };
    let all = desk.store.definitions(&[&moved, &other, &new]).await.unwrap();
    assert_eq!((all[&name("shop")], all[&name("other")]), (first + 3, number));
    assert_eq!(desk.store.definitions(&[&new, &moved, &other]).await.unwrap(), all);
    assert_eq!(desk.store.definitions(&[]).await.unwrap().len(), 0);
    // A store that was lost does not count from below what clusters have seen.
    assert!(first > 1_700_000_000);
}

async fn refs_are_remembered_until_they_are_gone(place: Place) {
    let desk = Desk::new(&place).await;
    let (git, main) = (name("git"), Reference::parse("refs/heads/main").unwrap());
    for digit in ['a', 'b'] {
        desk.store.saw(&git, &main, Some(&commit(digit))).await.unwrap();
    }
    assert_eq!(
        desk.store.seen(&git).await.unwrap().into_iter().collect::<Vec<_>>(),
        [(main.clone(), commit('b'))]
    );
    desk.store.saw(&git, &main, None).await.unwrap();
    assert!(desk.store.seen(&git).await.unwrap().is_empty());
}

async fn rows_without_an_end_or_news_are_overdue(place: Place) {
    let desk = Desk::new(&place).await;
    let a = commit('a');
    desk.store.record(&at(1_000, roster("d1", &a, &["shop@east", "shop@west"]))).await.unwrap();
    desk.store.record(&at(2_000, run("r1", "d1", &a, Phase::Running))).await.unwrap();
    let overdue = |before| {
        let store = desk.store.clone();
        async move { store.overdue(Moment(before), 10).await.unwrap() }
    };
    let east = (name("git"), target("shop@east"), a.clone());
    let west = (name("git"), target("shop@west"), a.clone());
    assert_eq!(overdue(1_000).await, []);
    assert_eq!(overdue(1_001).await, std::slice::from_ref(&west));
    assert_eq!(overdue(2_001).await, [west, east.clone()]);
    // Asking again counts as news.
    desk.store.record(&at(3_000, roster("d2", &a, &["shop@west"]))).await.unwrap();
    assert_eq!(overdue(2_001).await, std::slice::from_ref(&east));
    desk.store.record(&at(4_000, run("r1", "d1", &a, Phase::Healthy))).await.unwrap();
    assert_eq!(overdue(3_000).await, []);
}

async fn history_lists_runs_newest_first_with_what_they_did(place: Place) {
    let desk = Desk::new(&place).await;
    let a = commit('a');
    for (id, phase) in [("r1", Phase::Applied), ("r2", Phase::Failed)] {
        desk.hear(run(id, "d1", &a, phase)).await;
    }
    desk.hear(Told::Run(progress("r3", "d1", &a, "blog@east", Phase::Running))).await;
    let runs =
        desk.store.runs(&Sought { application: Some(name("shop")), ..Sought::default() }, 10).await.unwrap();
    let ids: Vec<&str> = runs.iter().map(|run| run.run.as_str()).collect();
    assert_eq!(ids, ["r2", "r1"]);
    assert_eq!(runs[0].problems[0].to_string(), "Deployment/shop/web: quota exceeded");
    assert_eq!(runs[1].changes[0].action, Action::Configured);
    assert_eq!((runs[1].took_ms, runs[1].tally.created), (4_100, 1));
    assert_eq!(desk.store.runs(&Sought::default(), 2).await.unwrap().len(), 2);
}

async fn history_lists_the_runs_that_are_asked_for(place: Place) {
    let desk = Desk::new(&place).await;
    let (a, b) = (commit('a'), commit('b'));
    desk.hear(run("r1", "d1", &a, Phase::Healthy)).await;
    desk.hear(run("r2", "d2", &b, Phase::Failed)).await;
    desk.hear(Told::Run(progress("r3", "d2", &b, "shop@west", Phase::Error))).await;
    desk.hear(Told::Run(progress("r4", "d3", &b, "blog@west", Phase::Healthy))).await;
    let (all, shop) = (Sought::default(), Some(name("shop")));
    let cases = [
        (Sought { cluster: Some(name("west")), ..all.clone() }, 9, &["r4", "r3"][..]),
        (Sought { commit: Some("bbbb".to_owned()), ..all.clone() }, 9, &["r4", "r3", "r2"]),
        (Sought { failed: true, ..all.clone() }, 9, &["r3", "r2"]),
        (Sought { failed: true, ..all.clone() }, 1, &["r3"]),
        (Sought { failed: true, application: shop, cluster: Some(name("east")), ..all.clone() }, 9, &["r2"]),
        (Sought { commit: Some("c".to_owned()), ..all }, 9, &[]),
    ];
    for (sought, limit, expected) in cases {
        let runs = desk.store.runs(&sought, limit).await.unwrap();
        let ids: Vec<&str> = runs.iter().map(|run| run.run.as_str()).collect();
        assert_eq!(ids, expected, "{sought:?}");
    }
}

#[tokio::test]
async fn a_file_that_is_no_store_is_refused_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    std::fs::write(&path, "not a database, and long enough to be read as the head of one".repeat(50))
        .unwrap();
    let error = Store::open(&path).await.err().unwrap();
    assert!(error.to_string().contains("move it away"), "{error}");
    assert_eq!(error.fault(), Fault::Ours);
}

async fn a_run_that_made_another_tree_true_closes_nothing(place: Place) {
    let desk = Desk::new(&place).await;
    let a = commit('a');
    desk.store.open_targets(&[memory("d1", &a)]).await.unwrap();
    let other = Progress {
        inputs: Inputs("another tree".into()),
        ..progress("r1", "d1", &a, "shop@east", Phase::Healthy)
    };
    desk.hear(Told::Run(other)).await;
    assert_eq!(desk.state().await, State::Open);
    desk.hear(run("r2", "d1", &a, Phase::Healthy)).await;
    assert_eq!(desk.state().await, State::Closed);
}

on_both!(
    only_the_end_of_its_own_dispatch_closes_a_memory,
    memories_are_remembered_as_they_were_and_replaced_by_the_next,
    the_number_of_a_definition_grows_with_every_change_and_only_then,
    refs_are_remembered_until_they_are_gone,
    rows_without_an_end_or_news_are_overdue,
    history_lists_runs_newest_first_with_what_they_did,
    history_lists_the_runs_that_are_asked_for,
    a_run_that_made_another_tree_true_closes_nothing,
);
