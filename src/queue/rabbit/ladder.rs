//! How a message is put off at a broker that knows no clocks: it waits in queues that send everything on after a time
//! of their own, one after the other, until the times add up.

use std::time::Duration;

/// How long may a message wait in one place? Shortest first.
pub(super) const RUNGS: [Duration; 4] =
    [Duration::from_secs(1), Duration::from_secs(10), Duration::from_mins(1), Duration::from_mins(10)];

/// What comes next for a message that is to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hop {
    /// Nothing: it joins the end of its line.
    Line,
    /// It waits on this rung, and so long after it.
    Rung(Duration, Duration),
}

/// Returns what comes next for a message that is to wait for `wait`: the longest rung within it. What is shorter than
/// the shortest rung is rounded up to it.
pub(super) fn hop(wait: Duration) -> Hop {
    if wait.is_zero() {
        return Hop::Line;
    }
    let [shortest, ..] = RUNGS;
    let rung = RUNGS.into_iter().rev().find(|rung| *rung <= wait).unwrap_or(shortest);
    Hop::Rung(rung, wait.saturating_sub(rung))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::LONGEST_WAIT;

    /// All rungs that a message waits on.
    fn climb(wait: Duration) -> Vec<u64> {
        let mut left = wait;
        let mut rungs = Vec::new();
        while let Hop::Rung(rung, after) = hop(left) {
            rungs.push(rung.as_secs());
            left = after;
        }
        rungs
    }

    #[test]
    fn the_rungs_add_up_to_the_wait_and_no_more_than_a_second_beyond() {
        for (millis, expected) in [
            (0, vec![]),
            (1, vec![1]),
            (1_000, vec![1]),
            (1_001, vec![1, 1]),
            (12_000, vec![10, 1, 1]),
            (75_000, vec![60, 10, 1, 1, 1, 1, 1]),
            (1_800_000, vec![600, 600, 600]),
        ] {
            assert_eq!(climb(Duration::from_millis(millis)), expected, "{millis}");
        }
        for wait in [Duration::from_millis(700), Duration::from_mins(59), LONGEST_WAIT] {
            let sum = Duration::from_secs(climb(wait).iter().sum());
            assert!(wait <= sum && sum < wait + Duration::from_secs(1), "{wait:?} became {sum:?}");
        }
    }
}
