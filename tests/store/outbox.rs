//! What is due, and what becomes of it.

use std::time::Duration;
use windlass::forge::github::checks::Check;
use windlass::moment::Moment;
use windlass::outcome::Phase;
use windlass::outcome::Told;
use windlass::store::Due;
use windlass::trace::Trace;
use windlass::trail;

use crate::desk::Desk;
use crate::desk::commit;
use crate::desk::name;
use crate::desk::progress;
use crate::desk::roster;
use crate::desk::run;
use crate::desk::target;
use crate::place::Place;
use crate::place::on_both;

async fn the_outbox_survives_a_restart(place: Place) {
    let desk = Desk::new(&place).await;
    desk.hear(roster("d1", &commit('a'), &["shop@east"])).await;
    desk.store.posted(&desk.due_rows().await[0], Moment(1)).await.unwrap();
    let desk = desk.reopen().await;
    assert_eq!(desk.due().await, ["windlass/shop@east pending: queued"]);
}

async fn beyond_twenty_targets_only_the_whole_is_told(place: Place) {
    let names: Vec<String> = (0..21).map(|number| format!("shop@c{number}")).collect();
    let targets: Vec<&str> = names.iter().map(String::as_str).collect();
    let desk = Desk::new(&place).await;
    let a = commit('a');
    desk.hear(roster("d1", &a, &targets)).await;
    assert_eq!(desk.due().await, ["windlass pending: rolling out to 21 targets"]);
    desk.hear(Told::Run(progress("r1", "d1", &a, "shop@c3", Phase::Failed))).await;
    assert_eq!(desk.due().await, ["windlass pending: rolling out to 21 targets"]);
    desk.hear(roster("d2", &commit('b'), &targets[..20])).await;
    assert_eq!(desk.due().await.len(), 1 + 21);
}

async fn a_status_that_a_forge_may_have_heard_of_is_ended_also_beyond_twenty_targets(place: Place) {
    let names: Vec<String> = (0..21).map(|number| format!("shop@c{number}")).collect();
    let targets: Vec<&str> = names.iter().map(String::as_str).collect();
    let desk = Desk::new(&place).await;
    let a = commit('a');
    desk.hear(roster("d1", &a, &targets[..3])).await;
    let before = desk.due_rows().await;
    desk.store.posted(&before[1], Moment(1)).await.unwrap();
    desk.hear(roster("d1", &a, &targets)).await;
    // The forge answers for this one only after the rest was muted.
    desk.store.postpone(&before[2], Moment(2), "the forge did not answer in time").await.unwrap();
    for on in ["shop@c0", "shop@c1", "shop@c2"] {
        desk.hear(Told::Run(progress(on, "d1", &a, on, Phase::Healthy))).await;
    }
    let contexts: Vec<String> = desk.due_rows().await.into_iter().map(|due| due.context).collect();
    assert_eq!(contexts, ["windlass", "windlass/shop@c0", "windlass/shop@c1"]);
}

async fn what_is_known_of_a_check_run_outlives_a_restart_and_one_that_was_begun_is_ended(place: Place) {
    let names: Vec<String> = (0..21).map(|number| format!("shop@c{number}")).collect();
    let targets: Vec<&str> = names.iter().map(String::as_str).collect();
    let desk = Desk::new(&place).await;
    let a = commit('a');
    desk.hear(roster("d1", &a, &targets[..2])).await;
    let begun = desk.due_rows().await.into_iter().find(|due| due.context.ends_with("c1")).unwrap();
    let key = "a-key".to_owned();
    let check = Check { key, id: None, completed: false, annotated: 0, unsure: true };
    desk.store.showing(begun.id, Some(&check), None).await.unwrap();
    let desk = desk.reopen().await;
    desk.hear(roster("d1", &a, &targets)).await;
    let due = desk.due_rows().await;
    let contexts: Vec<&str> = due.iter().map(|due| due.context.as_str()).collect();
    assert_eq!(contexts, ["windlass", "windlass/shop@c1"]);
    assert_eq!(due[1].check.as_ref(), Some(&check));
    // That it is all told and what is known of it are noted at once.
    let told = Check { id: Some(9), completed: true, unsure: false, ..check };
    let shown = Due { check: Some(told.clone()), ..due[1].clone() };
    desk.store.posted(&shown, Moment(1)).await.unwrap();
    desk.hear(Told::Run(progress("r1", "d1", &a, "shop@c1", Phase::Running))).await;
    let due = desk.due_rows().await;
    assert_eq!(due.iter().find(|due| due.target.is_some()).unwrap().check, Some(told));
}

async fn a_status_keeps_the_trace_of_the_report_that_made_it_what_it_is(place: Place) {
    let desk = Desk::new(&place).await;
    let a = commit('a');
    let span = |_: &str| tracing::Span::none();
    let [first, second] = [Trace::of(1, 1), Trace::of(2, 1)];
    trail::step(first, span, desk.hear(roster("d1", &a, &["shop@east"]))).await;
    trail::step(second, span, desk.hear(run("r1", "d1", &a, Phase::Running))).await;
    // What changes nothing leaves no trace.
    trail::step(first, span, desk.hear(run("r1", "d1", &a, Phase::Running))).await;
    let traces = async || -> Vec<String> {
        desk.due_rows().await.iter().map(|due| due.trace.map(Trace::id).unwrap_or_default()).collect()
    };
    let id = |trace: Option<Trace>| trace.unwrap().id();
    assert_eq!(traces().await, [id(first), id(second)]);
    desk.hear(run("r1", "d1", &a, Phase::Healthy)).await;
    assert_eq!(traces().await, ["", ""]);
    let targets = vec![target("shop@east")];
    let again = Told::Rerun { source: name("git"), commit: a.clone(), targets };
    trail::step(second, span, desk.hear(again)).await;
    assert_eq!(traces().await, [id(second), id(second)]);
}

async fn only_the_first_verdict_on_a_target_tells_since_when_it_was_waited_for(place: Place) {
    let desk = Desk::new(&place).await;
    let a = commit('a');
    let waited =
        async || -> Vec<Option<Moment>> { desk.due_rows().await.iter().map(|due| due.verdict_on).collect() };
    desk.hear(roster("d1", &a, &["shop@east"])).await;
    assert_eq!(waited().await, [None, None], "nothing is final yet");
    desk.post_all().await;
    desk.hear(run("r1", "d1", &a, Phase::Failed)).await;
    assert_eq!(waited().await, [None, Some(Moment(900))]);
    desk.post_all().await;
    let targets = vec![target("shop@east")];
    desk.hear(Told::Rerun { source: name("git"), commit: a.clone(), targets }).await;
    assert_eq!(waited().await, [None, None], "it is told once more");
    desk.post_all().await;
    desk.hear(run("r2", "d2", &a, Phase::Healthy)).await;
    assert_eq!(waited().await, [None, None], "it was told a verdict before");
}

async fn a_state_that_comes_while_its_predecessor_is_posted_stays_due(place: Place) {
    let desk = Desk::new(&place).await;
    let a = commit('a');
    desk.hear(roster("d1", &a, &["shop@east"])).await;
    desk.hear(run("r1", "d1", &a, Phase::Running)).await;
    let under_way = desk.due_rows().await;
    desk.hear(run("r1", "d1", &a, Phase::Failed)).await;
    for due in &under_way {
        desk.store.posted(due, Moment(1)).await.unwrap();
    }
    let expected = [
        "windlass failed: 0 of 1 target healthy, 1 failed: shop@east",
        "windlass/shop@east failed: Deployment/shop/web: quota exceeded",
    ];
    assert_eq!(desk.due().await, expected);
    for due in &under_way {
        desk.store.give_up(due, "the forge refused it").await.unwrap();
    }
    assert_eq!(desk.due().await, expected);
    for due in desk.due_rows().await {
        desk.store.give_up(&due, "the forge refused it").await.unwrap();
    }
    assert_eq!(desk.due().await, Vec::<String>::new());
}

async fn a_postponed_status_waits_counts_its_tries_and_comes_in_its_newest_state(place: Place) {
    let desk = Desk::new(&place).await;
    let a = commit('a');
    desk.hear(roster("d1", &a, &["shop@east"])).await;
    desk.hear(run("r1", "d1", &a, Phase::Running)).await;
    for due in desk.due_rows().await {
        desk.store.postpone(&due, Moment(60_000), "the forge is away").await.unwrap();
    }
    assert_eq!(desk.store.due(Moment(59_999), 10).await.unwrap(), []);
    assert_eq!(desk.store.next_due().await.unwrap(), Some(Moment(60_000)));
    desk.hear(run("r1", "d1", &a, Phase::Healthy)).await;
    assert_eq!(desk.store.due(Moment(59_999), 10).await.unwrap(), []);
    let due = desk.due_rows().await;
    assert_eq!((due[1].phase, due[1].tries), (Phase::Healthy, 1));
    desk.store.hold_back(&name("git"), Moment(90_000)).await.unwrap();
    assert_eq!(desk.store.next_due().await.unwrap(), Some(Moment(90_000)));
    desk.post_all().await;
    assert_eq!(desk.store.next_due().await.unwrap(), None);
}

async fn whoever_waits_for_statuses_is_woken_by_the_next_report(place: Place) {
    let desk = Desk::new(&place).await;
    let store = desk.store.clone();
    let waiting = tokio::spawn(async move { store.wait_due(Moment(0), Duration::from_secs(600)).await });
    desk.hear(roster("d1", &commit('a'), &["shop@east"])).await;
    waiting.await.unwrap().unwrap();
}

async fn a_commit_is_not_summed_up_before_its_targets_are_known(place: Place) {
    let desk = Desk::new(&place).await;
    let a = commit('a');
    desk.hear(run("r1", "d0", &a, Phase::Healthy)).await;
    assert!(desk.due().await.iter().all(|line| !line.starts_with("windlass ")), "{:?}", desk.due().await);
    desk.hear(roster("d1", &a, &["shop@east", "shop@west"])).await;
    assert!(
        desk.due().await.iter().any(|line| line.starts_with("windlass pending")),
        "{:?}",
        desk.due().await
    );
}

on_both!(
    the_outbox_survives_a_restart,
    beyond_twenty_targets_only_the_whole_is_told,
    a_status_that_a_forge_may_have_heard_of_is_ended_also_beyond_twenty_targets,
    what_is_known_of_a_check_run_outlives_a_restart_and_one_that_was_begun_is_ended,
    a_status_keeps_the_trace_of_the_report_that_made_it_what_it_is,
    only_the_first_verdict_on_a_target_tells_since_when_it_was_waited_for,
    a_state_that_comes_while_its_predecessor_is_posted_stays_due,
    a_postponed_status_waits_counts_its_tries_and_comes_in_its_newest_state,
    whoever_waits_for_statuses_is_woken_by_the_next_report,
    a_commit_is_not_summed_up_before_its_targets_are_known,
);
