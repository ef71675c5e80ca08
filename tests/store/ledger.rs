//! How reports become verdicts and statuses.

use std::time::Duration;
use windlass::outcome::Phase;
use windlass::outcome::Told;

use crate::desk::Desk;
use crate::desk::at;
use crate::desk::commit;
use crate::desk::covered;
use crate::desk::name;
use crate::desk::progress;
use crate::desk::roster;
use crate::desk::run;
use crate::desk::target;

#[tokio::test]
async fn a_roster_makes_every_target_and_the_whole_pending() {
    let desk = Desk::new().await;
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

#[tokio::test]
async fn a_run_is_told_step_by_step_and_ends_with_what_it_did() {
    let desk = Desk::new().await;
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

#[tokio::test]
async fn any_order_of_reports_told_twice_ends_the_same() {
    let a = commit('a');
    let told = [
        roster("d1", &a, &["shop@east"]),
        run("r1", "d1", &a, Phase::Running),
        run("r1", "d1", &a, Phase::Applied),
        run("r1", "d1", &a, Phase::Healthy),
    ];
    for order in [[0, 1, 2, 3], [3, 2, 1, 0], [1, 3, 0, 2], [2, 0, 3, 1], [3, 0, 2, 1]] {
        let desk = Desk::new().await;
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
        let runs = desk.store.runs(None, 10).await.unwrap();
        assert_eq!((runs.len(), runs[0].phase, runs[0].changes.len()), (1, Phase::Healthy, 1), "{order:?}");
    }
}

#[tokio::test]
async fn a_covered_commit_gets_the_verdict_of_the_run_that_answers_for_it() {
    let (a, b) = (commit('a'), commit('b'));
    let told = [
        roster("d1", &a, &["shop@east"]),
        roster("d2", &b, &["shop@east"]),
        covered("d1", &a, "r1"),
        run("r1", "d2", &b, Phase::Applied),
        run("r1", "d2", &b, Phase::Healthy),
    ];
    for order in [[0, 1, 2, 3, 4], [0, 1, 3, 4, 2], [2, 4, 3, 1, 0], [4, 2, 0, 1, 3], [3, 2, 4, 0, 1]] {
        let desk = Desk::new().await;
        for index in order {
            desk.hear(told[index].clone()).await;
        }
        for commit in [&a, &b] {
            assert_eq!(desk.phases(commit).await, ["shop@east healthy"], "{order:?}");
        }
        assert_eq!(desk.due().await.len(), 4, "{order:?}");
    }
}

#[tokio::test]
async fn a_run_of_another_target_answers_for_nobody() {
    let desk = Desk::new().await;
    let a = commit('a');
    desk.hear(covered("d1", &a, "r1")).await;
    let foreign = progress("r1", "d2", &commit('b'), "shop@west", Phase::Healthy);
    desk.hear(Told::Run(foreign)).await;
    assert_eq!(desk.phases(&a).await, ["shop@east pending"]);
}

#[tokio::test]
async fn an_overtaken_commit_is_superseded_at_once_and_names_its_successor() {
    let desk = Desk::new().await;
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

#[tokio::test]
async fn a_buried_job_becomes_an_error_that_says_why_and_may_be_healed_by_another_dispatch() {
    let desk = Desk::new().await;
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

#[tokio::test]
async fn a_report_that_is_dropped_half_way_leaves_all_of_itself_or_nothing() {
    let desk = Desk::new().await;
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
