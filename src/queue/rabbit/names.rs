//! What things are called at the broker, and which queue a message goes to.

use std::time::Duration;

use sha2::Digest;
use sha2::Sha256;

use crate::queue::Lane;

/// What all names begin with.
pub(super) const PREFIX: &str = "windlass";
/// Where messages go that no queue wanted: an exchange, and the queue behind it.
pub(super) const UNROUTED: &str = "windlass.unrouted";

/// Into how many queues are events spread, by their source?
const EVENTS: u16 = 16;
/// Into how many queues are the jobs of a lane spread, by their target? Publishers and workers must agree.
const JOBS: u16 = 64;
/// How many waits for health may one process hold at once? The messages are small, and so is what each costs.
const WATCHES: u16 = 256;
/// How many reports may one process hold at once? They are of different commits then.
const REPORTS: u16 = 64;

/// How the messages of a lane are spread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    /// Over so many queues.
    pub(super) queues: u16,
    /// Whether each of them has one active consumer, so that order holds across processes.
    pub(super) single: bool,
    /// How many messages a consumer holds at once.
    pub(super) prefetch: u16,
}

/// Says how the messages of `lane` are spread.
pub(super) fn shape(lane: &Lane) -> Shape {
    match lane.0.split('.').next() {
        Some("events") => Shape { queues: EVENTS, single: true, prefetch: 1 },
        // Each wait is a partition of its own: there is no order to keep.
        Some("watch") => Shape { queues: 1, single: false, prefetch: WATCHES },
        Some("reports") => Shape { queues: 1, single: true, prefetch: REPORTS },
        // Few, and each is only handed on.
        Some("asks" | "duty") => Shape { queues: 1, single: true, prefetch: 1 },
        _ => Shape { queues: JOBS, single: true, prefetch: 1 },
    }
}

/// Returns the number of the queue of `lane` that `partition` belongs to, which is also the key that leads there.
pub(super) fn place(lane: &Lane, partition: &str) -> u16 {
    let hash = digest(&[partition]);
    u16::try_from(hash % u64::from(shape(lane).queues.max(1))).unwrap_or_default()
}

/// Returns the exchange of a lane.
pub(super) fn exchange(lane: &Lane) -> String {
    format!("{PREFIX}.{lane}")
}

/// Returns the queue of a lane with that number.
pub(super) fn queue(lane: &Lane, number: u16) -> String {
    if shape(lane).queues == 1 { format!("{PREFIX}.{lane}") } else { format!("{PREFIX}.{lane}.{number}") }
}

/// Returns the exchange of the lane's dead messages, and the queue behind it.
pub(super) fn dead(lane: &Lane) -> String {
    format!("{PREFIX}.dead.{lane}")
}

/// Returns the queue that whoever reads the lane's dead messages has for itself.
pub(super) fn reader(lane: &Lane) -> String {
    format!("{PREFIX}.dead.{lane}.reader")
}

/// Returns the exchange where messages of the lane wait so long, and the queue behind it.
pub(super) fn rung(lane: &Lane, rung: Duration) -> String {
    format!("{PREFIX}.retry.{lane}.{}s", rung.as_secs())
}

/// Below this are the numbers of [`priority`]; above it is room for claims.
pub(super) const PRIORITIES: i32 = 1 << 30;

/// Returns how much `worker` wants a queue: of all workers, the one with the highest number gets it. So a worker that
/// joins or leaves moves its own share and nothing else.
pub(super) fn priority(worker: &str, queue: &str) -> i32 {
    i32::try_from(digest(&[worker, queue]) >> 34).unwrap_or_default()
}

/// Returns the queues of a lane in an order that only `seed` knows.
pub(super) fn shuffled(lane: &Lane, seed: &str) -> Vec<String> {
    let mut queues: Vec<String> = (0..shape(lane).queues).map(|number| queue(lane, number)).collect();
    queues.sort_by_key(|queue| digest(&[seed, queue]));
    queues
}

/// The same on every machine and in every version.
fn digest(words: &[&str]) -> u64 {
    let mut hash = Sha256::new();
    for word in words {
        hash.update(word);
        hash.update([0]);
    }
    let bytes = hash.finalize();
    bytes.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn places_are_those_of_every_other_version() {
        // A change here sends a target's jobs to another queue, where another worker takes them at the same time.
        for (lane, partition, expected) in
            [(Lane::jobs("shared"), "shop/prod", 25), (Lane::events(), "github.com/acme/shop", 1)]
        {
            assert_eq!(place(&lane, partition), expected, "{lane} {partition}");
        }
        assert_eq!(place(&Lane::reports(), "anything"), 0);
        assert_eq!(place(&Lane::watch("eu"), "anything"), 0);
    }

    #[test]
    fn names_say_lane_and_number() {
        let eu = Lane::jobs("eu");
        assert_eq!(exchange(&eu), "windlass.jobs.eu");
        assert_eq!(queue(&eu, 7), "windlass.jobs.eu.7");
        assert_eq!(queue(&Lane::events(), 7), "windlass.events.7");
        assert_eq!(queue(&Lane::watch("eu"), 0), "windlass.watch.eu");
        assert_eq!(queue(&Lane::reports(), 0), "windlass.reports");
        assert_eq!(dead(&eu), "windlass.dead.jobs.eu");
        assert_eq!(rung(&eu, Duration::from_mins(1)), "windlass.retry.jobs.eu.60s");
    }

    #[test]
    fn every_seed_has_an_order_of_its_own_of_the_same_queues() {
        let lane = Lane::jobs("shared");
        let firsts: std::collections::BTreeSet<String> =
            (0..64).map(|seed| shuffled(&lane, &seed.to_string()).remove(0)).collect();
        assert!(firsts.len() > 16, "{firsts:?}");
        let mut sorted = shuffled(&lane, "a");
        sorted.sort();
        let mut all: Vec<String> = (0..JOBS).map(|number| queue(&lane, number)).collect();
        all.sort();
        assert_eq!(sorted, all);
    }

    /// Who gets each of the queues of a lane.
    fn shares(workers: &[&'static str]) -> Vec<&'static str> {
        let lane = Lane::jobs("shared");
        let best = |queue: String| workers.iter().copied().max_by_key(|worker| priority(worker, &queue));
        (0..JOBS).map(|number| best(queue(&lane, number)).unwrap()).collect()
    }

    #[test]
    fn a_worker_that_joins_takes_its_share_and_moves_nothing_else() {
        let before = shares(&["a", "b", "c"]);
        let after = shares(&["a", "b", "c", "d"]);
        let mut each = BTreeMap::<_, usize>::new();
        for (old, new) in before.iter().zip(&after) {
            assert!(old == new || *new == "d", "{old} gave a queue to {new}");
            *each.entry(*new).or_default() += 1;
        }
        assert!(each.len() == 4 && each.values().all(|share| (8..=28).contains(share)), "{each:?}");
    }
}
