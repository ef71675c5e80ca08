//! GitLab's limits, and what it never takes.

use std::time::Duration;

use windlass::outcome::Phase;

use crate::lab::SHOP;
use crate::stand::Fault;
use crate::station::CLUSTERS;
use crate::station::Station;
use crate::station::commit;

/// A post to the status of a commit.
const POST: &str = "POST /projects/team%2Fweb%2Fshop/statuses/";

#[tokio::test]
async fn who_is_told_that_no_request_is_left_asks_none_too_many() {
    for says_when in [true, false] {
        let mut station = Station::new().await;
        station.lab.state().limits.set(5, says_when);
        for number in 0..4 {
            station.dispatch(number, &CLUSTERS).await;
        }
        let began = station.now;
        station.settle().await;
        // Sixteen statuses by five a minute.
        assert!(station.now.since(began) >= 180_000);
        assert_eq!(station.lab.state().limits.refused, 0);
        assert_eq!(station.asked("POST"), 16);
    }
}

#[tokio::test]
async fn a_limit_that_others_used_up_is_waited_for_to_its_end() {
    for says_when in [true, false] {
        let mut station = Station::new().await;
        station.dispatch(0, &CLUSTERS).await;
        station.lab.state().limits.set(0, says_when);
        let began = station.now;
        station.turn().await;
        assert_eq!(station.asked("POST"), 1, "its neighbours wait with it");
        station.reopen().await;
        let next = station.store.next_due().await.unwrap().unwrap();
        assert!((59_000..75_000).contains(&next.since(began)), "{}", next.since(began));
        station.lab.state().limits.set(100, says_when);
        station.settle().await;
        assert_eq!(station.shown(0, "east"), [["pending"]]);
    }
}

#[tokio::test]
async fn a_limit_of_which_no_header_tells_is_waited_for_a_minute() {
    let mut station = Station::new().await;
    station.dispatch(0, &CLUSTERS).await;
    station.lab.state().limits.unannounced = 1;
    let began = station.now;
    station.turn().await;
    let next = station.store.next_due().await.unwrap().unwrap();
    assert!(next.since(began) >= 60_000, "{}", next.since(began));
    station.settle().await;
    assert_eq!((station.asked("POST"), station.lab.state().limits.refused), (5, 1));
}

#[tokio::test]
async fn a_status_that_somebody_else_moves_is_tried_again_soon_and_holds_nobody_up() {
    let mut station = Station::new().await;
    station.dispatch(0, &CLUSTERS).await;
    station.lab.state().busy = 1;
    let began = station.now;
    let posted = station.turn().await;
    assert_eq!((posted.taken, posted.put_off), (3, 1));
    station.settle().await;
    assert!(station.now.since(began) < 10_000);
    let shown = CLUSTERS.map(|cluster| station.shown(0, cluster)).to_vec();
    assert!(shown.iter().all(|status| *status == [["pending"]]), "{shown:?}");
}

#[tokio::test]
async fn two_at_once_are_told_apart_by_a_conflict_and_both_get_through() {
    let mut first = Station::new().await;
    first.dispatch(0, &["east"]).await;
    first.lab.state().slow = Duration::from_millis(100);
    let other = reqwest::Client::new()
        .post(format!("{}/projects/{}/statuses/{}", first.lab.api(), SHOP.replace('/', "%2F"), commit(0)))
        .bearer_auth(crate::lab::TOKEN)
        .json(&serde_json::json!({"state": "success", "name": "of another"}))
        .send();
    let (mine, theirs) = tokio::join!(first.turn(), other);
    let theirs = theirs.unwrap().status();
    let conflicts = first.lab.stand.heard().iter().filter(|line| line.ends_with(" 409")).count();
    assert!(conflicts >= 1 && (mine.put_off > 0 || theirs == 409), "{mine:?} {theirs}");
    first.settle().await;
    assert_eq!(first.shown(0, "east"), [["pending"]]);
}

#[tokio::test]
async fn a_commit_that_no_branch_holds_is_given_up_and_others_are_not() {
    let mut station = Station::new().await;
    station.lab.state().projects.get_mut(SHOP).unwrap().loose.insert(commit(0).to_string());
    station.call(0, &["east"]).await;
    station.dispatch(1, &["east"]).await;
    station.settle().await;
    let why = station.given_up(0).await;
    assert!(why.len() == 2 && why.iter().all(|why| why.contains("push it to a branch")), "{why:?}");
    assert_eq!(station.shown(1, "east"), [["pending"]]);
}

#[tokio::test]
async fn a_pipeline_that_is_full_is_told_once_and_not_stormed() {
    let mut station = Station::new().await;
    station.lab.state().jobs = Some(2);
    station.dispatch(0, &CLUSTERS).await;
    station.settle().await;
    let why = station.given_up(0).await;
    assert!(why.len() == 2 && why.iter().all(|why| why.contains("exceeded the limit")), "{why:?}");
    assert_eq!(station.asked("POST"), 4);
    // What has its status still gets its end.
    for cluster in CLUSTERS {
        station.run(0, cluster, Phase::Healthy).await;
    }
    station.settle().await;
    let ends =
        CLUSTERS.iter().filter(|cluster| station.shown(0, cluster).concat().ends_with(&["success".into()]));
    let whole = station.whole(0).concat();
    assert_eq!(ends.count() + usize::from(whole.ends_with(&["success".into()])), 2, "{whole:?}");
}

#[tokio::test]
async fn a_forge_in_trouble_is_asked_again_and_in_the_end_has_it_all() {
    let mut station = Station::new().await;
    station.dispatch(0, &["east"]).await;
    for status in ["500 Internal Server Error", "502 Bad Gateway", "503 Service Unavailable"] {
        station.lab.befall(POST, Fault::Refused(status, "", "{\"message\": \"in trouble\"}"));
    }
    station.settle().await;
    assert_eq!(
        (station.shown(0, "east"), station.whole(0)),
        (vec![vec!["pending".into()]], vec![vec!["pending".into()]])
    );
}
