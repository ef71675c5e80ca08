//! How reports become verdicts and statuses.

use std::time::Duration;
use windlass::moment::Moment;
use windlass::object::ObjectId;
use windlass::outcome::Action;
use windlass::outcome::Change;
use windlass::outcome::Phase;
use windlass::outcome::Told;
use windlass::store::Sought;

use crate::desk::Desk;
use crate::desk::at;
use crate::desk::commit;
use crate::desk::covered;
use crate::desk::name;
use crate::desk::progress;
use crate::desk::roster;
use crate::desk::run;
use crate::desk::target;
use crate::desk::web;
use crate::place::Place;
use crate::place::on_both;

async fn a_roster_makes_every_target_and_the_whole_pending(place: Place) {
    let desk = Desk::new(&place).await;
    desk.hear(roster("d1", &commit('a'), &["shop@east", "shop@west"])).await;
    assert_eq!(
        desk.due().await,
        [
            "windlass pending: rolling out to 2 targets",
            "windlass/shop@east pending: queued",
            "windlass/shop@west pending: queued",
        ]
    );
}

async fn a_run_is_told_step_by_step_and_ends_with_what_it_did(place: Place) {
    let desk = Desk::new(&place).await;
    let a = commit('a');
    desk.hear(roster("d1", &a, &["shop@east"])).await;
    desk.post_all().await;
    assert_eq!(desk.due().await, Vec::<String>::new());
    desk.hear(run("r1", "d1", &a, Phase::Running)).await;
    assert_eq!(desk.due().await, ["windlass/shop@east running: applying"]);
    desk.post_all().await;
    desk.hear(run("r1", "d1", &a, Phase::Applied)).await;
    assert_eq!(desk.due().await, ["windlass/shop@east applied: 12 objects applied, waiting for health"]);
    desk.hear(run("r1", "d1", &a, Phase::Healthy)).await;
    assert_eq!(
        desk.due().await,
        [
            "windlass healthy: 1 target healthy",
            "windlass/shop@east healthy: 3 configured, 1 created, healthy in 4.1 s",
        ]
    );
    assert_eq!(desk.due_rows().await[1].run.as_deref(), Some("r1"));
}

async fn any_order_of_reports_told_twice_ends_the_same(place: Place) {
    let a = commit('a');
    let told = [
        roster("d1", &a, &["shop@east"]),
        run("r1", "d1", &a, Phase::Running),
        run("r1", "d1", &a, Phase::Applied),
        run("r1", "d1", &a, Phase::Healthy),
    ];
    for order in [[0, 1, 2, 3], [3, 2, 1, 0], [1, 3, 0, 2], [2, 0, 3, 1], [3, 0, 2, 1]] {
        let desk = Desk::new(&place).await;
        for index in order.into_iter().chain(order) {
            desk.hear(told[index].clone()).await;
        }
        assert_eq!(
            desk.due().await,
            [
                "windlass healthy: 1 target healthy",
                "windlass/shop@east healthy: 3 configured, 1 created, healthy in 4.1 s",
            ],
            "{order:?}"
        );
        let runs = desk.store.runs(&Sought::default(), 10).await.unwrap();
        assert_eq!((runs.len(), runs[0].phase, runs[0].changes.len()), (1, Phase::Healthy, 1), "{order:?}");
    }
}

async fn a_covered_commit_gets_the_verdict_of_the_run_that_answers_for_it(place: Place) {
    let (a, b) = (commit('a'), commit('b'));
    let told = [
        roster("d1", &a, &["shop@east"]),
        roster("d2", &b, &["shop@east"]),
        covered("d1", &a, "r1"),
        run("r1", "d2", &b, Phase::Applied),
        run("r1", "d2", &b, Phase::Healthy),
    ];
    for order in [[0, 1, 2, 3, 4], [0, 1, 3, 4, 2], [2, 4, 3, 1, 0], [4, 2, 0, 1, 3], [3, 2, 4, 0, 1]] {
        let desk = Desk::new(&place).await;
        for index in order {
            desk.hear(told[index].clone()).await;
        }
        for commit in [&a, &b] {
            assert_eq!(desk.phases(commit).await, ["shop@east healthy"], "{order:?}");
        }
        assert_eq!(desk.due().await.len(), 4, "{order:?}");
    }
}

async fn a_run_of_another_target_answers_for_nobody(place: Place) {
    let desk = Desk::new(&place).await;
    let a = commit('a');
    desk.hear(covered("d1", &a, "r1")).await;
    let foreign = progress("r1", "d2", &commit('b'), "shop@west", Phase::Healthy);
    desk.hear(Told::Run(foreign)).await;
    assert_eq!(desk.phases(&a).await, ["shop@east pending"]);
}

async fn a_target_that_a_run_came_upon_reopens_nothing_and_counts_where_it_went_wrong(place: Place) {
    let desk = Desk::new(&place).await;
    let a = commit('a');
    desk.hear(roster("d1", &a, &["shop@east"])).await;
    desk.hear(run("r1", "d1", &a, Phase::Healthy)).await;
    desk.post_all().await;
    let west = |phase| Told::Run(progress("r2", "d0", &a, "shop@west", phase));
    desk.hear(west(Phase::Applied)).await;
    let applied = "windlass/shop@west applied: 12 objects applied, waiting for health";
    assert_eq!(desk.due().await, [applied], "the commit's own verdict stands");
    desk.hear(west(Phase::Failed)).await;
    let told = desk.due().await;
    assert!(told[0].starts_with("windlass failed: 1 of 2 targets healthy, 1 failed: shop@west"), "{told:?}");
    desk.hear(Told::Run(progress("r3", "d2", &a, "shop@west", Phase::Healthy))).await;
    // What a roster names is waited for.
    desk.hear(roster("d3", &a, &["shop@west", "shop@north"])).await;
    assert_eq!(desk.due().await[0], "windlass pending: rolling out to 3 targets");
}

async fn where_no_roster_names_a_target_those_that_runs_told_of_are_summed_up(place: Place) {
    let desk = Desk::new(&place).await;
    let a = commit('a');
    desk.hear(run("r1", "d0", &a, Phase::Healthy)).await;
    assert_eq!(desk.due().await.len(), 1, "whom else it touches is not known yet");
    desk.hear(roster("d1", &a, &[])).await;
    assert_eq!(desk.due().await[0], "windlass healthy: 1 target healthy");
}

async fn an_overtaken_commit_is_superseded_at_once_and_names_its_successor(place: Place) {
    let desk = Desk::new(&place).await;
    let a = commit('a');
    desk.hear(roster("d1", &a, &["shop@east"])).await;
    desk.hear(Told::Superseded {
        dispatch: "d1".into(),
        source: name("git"),
        commit: a.clone(),
        target: target("shop@east"),
        by: commit('b'),
    })
    .await;
    desk.hear(run("r1", "d1", &a, Phase::Running)).await;
    assert_eq!(
        desk.due().await,
        [
            "windlass superseded: 0 of 1 target healthy, 1 superseded",
            "windlass/shop@east superseded: superseded by bbbbbbbbbbbb before it was applied",
        ]
    );
}

async fn a_buried_job_becomes_an_error_that_says_why_and_may_be_healed_by_another_dispatch(place: Place) {
    let desk = Desk::new(&place).await;
    let a = commit('a');
    desk.hear(roster("d1", &a, &["shop@east", "shop@west"])).await;
    desk.hear(Told::Buried {
        dispatch: "d1".into(),
        source: name("git"),
        commit: a.clone(),
        target: target("shop@east"),
        why: "the job came 20 times without an end".into(),
    })
    .await;
    desk.hear(Told::Run(progress("r2", "d1", &a, "shop@west", Phase::Healthy))).await;
    assert_eq!(
        desk.due().await,
        [
            "windlass error: 1 of 2 targets healthy, 1 in error: shop@east",
            "windlass/shop@east error: the job came 20 times without an end",
            "windlass/shop@west healthy: 3 configured, 1 created, healthy in 4.1 s",
        ]
    );
    desk.hear(run("r3", "d2", &a, Phase::Healthy)).await;
    assert_eq!(desk.phases(&a).await, ["shop@east healthy", "shop@west healthy"]);
    assert_eq!(desk.due().await[0], "windlass healthy: 2 targets healthy");
}

async fn a_report_that_is_dropped_half_way_leaves_all_of_itself_or_nothing(place: Place) {
    let desk = Desk::new(&place).await;
    let a = commit('a');
    let targets = ["shop@a", "shop@b", "shop@c", "shop@d"];
    for micros in (0..3_000).step_by(100) {
        let report = at(1_000, roster("d1", &a, &targets));
        // Whether it ends in time does not matter, only what is there afterwards.
        let _ended = tokio::time::timeout(Duration::from_micros(micros), desk.store.record(&report)).await;
        let rows = desk.phases(&a).await.len();
        assert!(rows == 0 || rows == 4, "{rows} rows after {micros} µs");
    }
    desk.hear(roster("d1", &a, &targets)).await;
    assert_eq!(desk.due().await.len(), 5);
}

async fn names_and_texts_that_no_database_keeps_as_they_are_lose_no_report(place: Place) {
    let desk = Desk::new(&place).await;
    let a = commit('a');
    // No run of letters comes twice, so that it stays long also where it is kept in short.
    let name_of = |n: u64| format!("\0{:x}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let long = ObjectId { name: (0..1_000).map(name_of).collect(), ..web() };
    let mut told = progress("r1", "d1", &a, "shop@east", Phase::Applied);
    told.changes = ["a", "b"]
        .map(|end| ObjectId { name: format!("{}{end}", long.name), ..long.clone() })
        .map(|object| Change { object, action: Action::Configured, note: Some("\0".into()) })
        .to_vec();
    desk.hear(roster("d1", &a, &["shop@east"])).await;
    desk.hear(Told::Run(told.clone())).await;
    desk.hear(Told::Buried {
        dispatch: "d1".into(),
        source: name("git"),
        commit: a.clone(),
        target: target("shop@east"),
        why: "it said \0 and no more".into(),
    })
    .await;
    let kept = &desk.store.runs(&Sought::default(), 1).await.unwrap()[0].changes;
    assert!(kept.len() == 2 && told.changes.iter().all(|change| kept.contains(change)));
    for due in desk.due_rows().await {
        desk.store.postpone(&due, Moment(1), "a\0b").await.unwrap();
        desk.store.posted(&due, Moment(1)).await.unwrap();
    }
    assert_eq!(desk.due().await, Vec::<String>::new());
}

on_both!(
    names_and_texts_that_no_database_keeps_as_they_are_lose_no_report,
    a_roster_makes_every_target_and_the_whole_pending,
    a_run_is_told_step_by_step_and_ends_with_what_it_did,
    any_order_of_reports_told_twice_ends_the_same,
    a_covered_commit_gets_the_verdict_of_the_run_that_answers_for_it,
    a_run_of_another_target_answers_for_nobody,
    a_target_that_a_run_came_upon_reopens_nothing_and_counts_where_it_went_wrong,
    where_no_roster_names_a_target_those_that_runs_told_of_are_summed_up,
    an_overtaken_commit_is_superseded_at_once_and_names_its_successor,
    a_buried_job_becomes_an_error_that_says_why_and_may_be_healed_by_another_dispatch,
    a_report_that_is_dropped_half_way_leaves_all_of_itself_or_nothing,
);
