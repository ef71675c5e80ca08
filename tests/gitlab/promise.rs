//! Every commit has one final status for each target, whatever gets lost on the way.

use windlass::outcome::Phase;

use crate::stand::Fault;
use crate::station::CLUSTERS;
use crate::station::Station;
use crate::station::commit;
use crate::station::is_final;

/// The final phases, and what GitLab calls them.
const ENDS: [(Phase, &str); 4] = [
    (Phase::Healthy, "success"),
    (Phase::Failed, "failed"),
    (Phase::Error, "failed"),
    (Phase::Superseded, "canceled"),
];

/// A post to the status of a commit.
const POST: &str = "POST /projects/team%2Fweb%2Fshop/statuses/";
/// A forge in trouble, which has not done what it was asked.
const BROKEN: Fault = Fault::Refused("502 Bad Gateway", "content-type: text/html\r\n", "<html>");

#[tokio::test]
async fn a_commit_moves_one_status_a_target_from_queued_to_its_end() {
    let mut station = Station::new().await;
    for (number, (end, state)) in ENDS.iter().enumerate() {
        station.dispatch(number, &["east"]).await;
        station.settle().await;
        assert_eq!(station.shown(number, "east"), [["pending"]]);
        for phase in [Phase::Running, Phase::Applied, *end] {
            station.run(number, "east", phase).await;
            station.settle().await;
        }
        assert_eq!(station.shown(number, "east"), [["pending", "running", state]]);
        let whole = station.whole(number);
        assert!(whole.len() == 1 && whole[0].last().is_some_and(|last| last == state), "{whole:?}");
    }
    // GitLab refuses to be where it is: applied is running too.
    let refused = station.lab.state().refused.clone();
    assert!(refused.iter().all(|one| one == "run from running: windlass/shop@east"), "{refused:?}");
}

#[tokio::test]
async fn whichever_answer_gets_lost_a_status_is_moved_once_also_over_a_restart() {
    for lost in [0, 1, 2] {
        for fault in [Fault::Swallowed, Fault::Cut, BROKEN] {
            for restart in [false, true] {
                let mut station = Station::new().await;
                let mut expected = Vec::new();
                for (step, state) in ["pending", "running", "success"].into_iter().enumerate() {
                    match step {
                        0 => station.dispatch(0, &["east"]).await,
                        1 => station.run(0, "east", Phase::Running).await,
                        _ => station.run(0, "east", Phase::Healthy).await,
                    }
                    if step == lost {
                        station.lab.befall(POST, fault.clone());
                        station.turn().await;
                        if restart {
                            station.reopen().await;
                        }
                    }
                    station.settle().await;
                    expected.push(state.to_owned());
                    assert_eq!(station.shown(0, "east"), [expected.clone()], "{lost} {restart}");
                }
                assert_eq!(station.whole(0).len(), 1, "{lost} {restart}");
            }
        }
    }
}

#[tokio::test]
async fn an_end_whose_answer_got_lost_is_not_told_again_though_the_list_lags_behind() {
    for lag in [0, 3_000, 9_000] {
        let mut station = Station::new().await;
        station.dispatch(0, &["east"]).await;
        station.settle().await;
        station.lab.state().lag = lag;
        station.run(0, "east", Phase::Failed).await;
        station.lab.befall(POST, Fault::Swallowed);
        station.settle().await;
        assert_eq!(station.shown(0, "east"), [["pending", "failed"]], "{lag}");
    }
}

#[tokio::test]
async fn what_is_healed_later_begins_a_new_status_and_that_is_its_last() {
    let mut station = Station::new().await;
    station.dispatch(0, &["east"]).await;
    station.run(0, "east", Phase::Failed).await;
    station.settle().await;
    station.call(1, &["east"]).await;
    assert_eq!(station.shown(0, "east"), [["failed"]]);
    station.dispatch(1, &["east"]).await;
    station.run(1, "east", Phase::Healthy).await;
    station.settle().await;
    assert_eq!(
        (station.shown(0, "east"), station.shown(1, "east")),
        (vec![vec!["failed".to_owned()]], vec![vec!["success".to_owned()]])
    );
}

/// Numbers that look random and are the same each time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % most
    }
}

/// Lets something go wrong, or comes back from it.
async fn trouble(station: &mut Station, dice: &mut Dice) {
    match dice.below(12) {
        0 | 1 => station.lab.befall(POST, Fault::Swallowed),
        2 => station.lab.befall(POST, Fault::Cut),
        3 => station.lab.befall(POST, BROKEN),
        4 => station.lab.state().busy = 3,
        5 => station.lab.state().limits.set(5, true),
        6 => station.lab.state().limits.set(7, false),
        7 => station.lab.state().limits.unannounced = 1,
        8 => station.lab.stand.away(true),
        9 => station.reopen().await,
        10 => station.now = station.now.plus(120_000),
        _ => station.lab.stand.away(false),
    }
}

#[tokio::test]
async fn through_limits_conflicts_lost_answers_outages_and_restarts_each_target_gets_one_end() {
    const COMMITS: usize = 6;
    for seed in 1..=12 {
        let mut dice = Dice(0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(seed));
        let mut station = Station::new().await;
        for number in 0..COMMITS {
            station.dispatch(number, &CLUSTERS).await;
        }
        for phase in [Some(Phase::Running), Some(Phase::Applied), None] {
            for number in 0..COMMITS {
                for cluster in CLUSTERS {
                    trouble(&mut station, &mut dice).await;
                    station.run(number, cluster, phase.unwrap_or(ENDS[number % ENDS.len()].0)).await;
                    station.turn().await;
                }
            }
        }
        station.lab.stand.away(false);
        station.settle().await;
        ended(&station, COMMITS, seed);
    }
}

/// Holds what GitLab shows in the end against what was told.
fn ended(station: &Station, commits: usize, seed: u64) {
    for number in 0..commits {
        let (_, expected) = ENDS[number % ENDS.len()];
        let mut shown: Vec<Vec<Vec<String>>> =
            CLUSTERS.map(|cluster| station.shown(number, cluster)).to_vec();
        shown.push(station.whole(number));
        for (at, status) in shown.iter().enumerate() {
            let what = format!("seed {seed}, commit {number}, status {at}: {status:?}");
            assert_eq!(status.len(), 1, "{what}");
            assert_eq!(status[0].last().map(String::as_str), Some(expected), "{what}");
            assert_eq!(status[0].iter().filter(|state| is_final(state)).count(), 1, "{what}");
        }
    }
    let state = station.lab.state();
    // A status is asked to be where it is when an answer got lost, and never moved back or past its end.
    let fine = ["run from running", "enqueue from pending"];
    let odd: Vec<&String> =
        state.refused.iter().filter(|one| !fine.iter().any(|text| one.starts_with(text))).collect();
    assert!(odd.is_empty(), "seed {seed}: {odd:?}");
}

#[tokio::test]
async fn a_long_outage_and_a_restart_in_it_leave_one_end_for_each() {
    let mut station = Station::new().await;
    station.lab.stand.away(true);
    for number in 0..5 {
        station.dispatch(number, &CLUSTERS).await;
        station.turn().await;
        station.run(number, "east", Phase::Running).await;
    }
    for _ in 0..20 {
        station.now = station.now.plus(180_000);
        station.turn().await;
    }
    station.reopen().await;
    let tried = station.asked("POST");
    assert!((2..60).contains(&tried), "{tried} tries in an hour while nobody was there");
    for number in 0..5 {
        for cluster in CLUSTERS {
            station.run(number, cluster, ENDS[0].0).await;
        }
    }
    station.lab.stand.away(false);
    station.settle().await;
    for number in 0..5 {
        for cluster in CLUSTERS {
            assert_eq!(station.shown(number, cluster), [["success"]], "the end and nothing before it");
        }
        assert_eq!(station.whole(number), [["success"]], "{}", commit(number));
    }
}
