//! Rounds of crashes by chance: at each, one step of one role is held, and the process that makes it is killed before or
//! after it, under a stream of pushes. The more rounds the better; `WINDLASS_ROUNDS` says how many.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::Step;
use crate::rig::Rig;
use crate::world::chance::Chance;
use crate::world::kube::Asked;

/// How many rounds are there where nobody says?
const ROUNDS: usize = 12;

/// How long is a step waited for that a round may have no need of?
const STEP_WITHIN: Duration = Duration::from_secs(10);

/// The steps of all roles behind the door, by the request that makes them.
const STEPS: &[Step] = &[
    Step::gitea("dispatch: the look at the refs", "GET", "info/refs", 1),
    Step::gitea("dispatch: the fetch", "POST", "git-upload-pack", 1),
    Step::gitea("reconcile: the look at the refs", "GET", "info/refs", 2),
    Step::east("reconcile: the look at the parent", "GET", "/configmaps/windlass-shop", 1),
    Step::east("reconcile: the list of members", "GET", "/serviceaccounts?", 1),
    Step::east("reconcile: a dry-run", "PATCH", "/configmaps/change", 1).dry(),
    Step::east("reconcile: the fence", "PUT", "/configmaps/windlass-shop", 1),
    Step::east("reconcile: the apply of the first stage", "PATCH", "/serviceaccounts/account-", 1),
    Step::east("reconcile: the apply that changes", "PATCH", "/configmaps/change", 1),
    Step::east("reconcile: the apply that creates", "PATCH", "/configmaps/own-", 1),
    Step::east("reconcile: the apply of the last stage", "PATCH", "/deployments/web", 1),
    Step::east("reconcile: the fence before the prune", "PUT", "/configmaps/windlass-shop", 2),
    Step::east("reconcile: the first prune", "DELETE", "/", 1),
    Step::east("reconcile: the second prune", "DELETE", "/", 2),
    Step::east("reconcile: the parent's word that it is done", "PUT", "/configmaps/windlass-shop", 3),
    Step::east("reconcile: the wait for health", "GET", "/deployments?", 2),
    Step::gitea("report: the first pending status", "POST", "/statuses/", 1),
    Step::gitea("report: the second pending status", "POST", "/statuses/", 2),
    Step::gitea("report: a later status", "POST", "/statuses/", 3),
    Step::gitea("report: a still later status", "POST", "/statuses/", 4),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_round_after_round() {
    let rounds = std::env::var("WINDLASS_ROUNDS").ok().and_then(|rounds| rounds.parse().ok());
    let rounds: usize = rounds.unwrap_or(ROUNDS);
    let mut chance = Chance::by_seed();
    let mut rig = Rig::settled("").await;
    let (mut mark, mut hit) = (rig.kube.mark(), 0);
    for round in 1..=rounds {
        // One of so many rounds is the door's.
        if chance.below(STEPS.len() + 1) == 0 {
            eprintln!("round {round}: the door is killed between two deliveries");
            rig.push().await;
            rig.kill_door();
            rig.start().await;
            rig.push().await;
            hit += 1;
        } else {
            hit += usize::from(kill_at_a_step(&mut rig, &mut chance, round).await);
        }
        rig.check().await;
        alone(&rig.asked_since(mark).await);
        mark = rig.kube.mark();
    }
    eprintln!("{rounds} rounds, {hit} of them killed a process");
    assert!(hit * 2 > rounds, "most rounds find their step: {hit} of {rounds}");
    rig.clear().await;
}

/// Kills the process that makes a step, before or after it; says whether one made it.
async fn kill_at_a_step(rig: &mut Rig, chance: &mut Chance, round: usize) -> bool {
    let step = &STEPS[chance.below(STEPS.len())];
    let (after, overtaken) = (chance.below(2) == 0, chance.below(2) == 0);
    let held = step.hold(rig, after);
    rig.push().await;
    let came = held.came(STEP_WITHIN).await;
    let when = if after { "after" } else { "before" };
    eprintln!("round {round}: killed {when} {}, overtaken: {overtaken}, made: {came}", step.name);
    if overtaken {
        rig.push().await;
    }
    if came {
        rig.kill(held);
        rig.start().await;
    } else {
        rig.let_go(held);
    }
    came
}

/// Makes sure that no two runs wrote at once, which the API server's audit log tells: between the first and the last
/// write of a run that succeeded there is none of another.
fn alone(asked: &[Asked]) {
    let mut runs: BTreeMap<&str, (&str, &str)> = BTreeMap::new();
    for one in asked.iter().filter(|one| one.is_write() && one.code < 300) {
        let Some(run) = one.run.as_deref() else { continue };
        let span = runs.entry(run).or_insert((&one.from, &one.to));
        *span = (span.0.min(&one.from), span.1.max(&one.to));
    }
    assert!(!runs.is_empty(), "every round has a run that writes");
    let mut spans: Vec<_> = runs.into_iter().collect();
    spans.sort_by_key(|(_, span)| span.0);
    for pair in spans.windows(2) {
        let [(first, (_, end)), (second, (begin, _))] = pair else { continue };
        assert!(end <= begin, "run {second} began to write at {begin}, before {first} ended at {end}");
    }
}
