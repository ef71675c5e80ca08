//! How fast a forge lets itself be written to.

use std::collections::VecDeque;
use std::time::Duration;

use crate::moment::Moment;

/// How long is a span in which writes are counted?
const COUNTED_FOR: Duration = Duration::from_secs(3600);

/// How long is waited first where a forge limits requests and does not say for how long?
const LIMITED_FOR: Duration = Duration::from_secs(60);

/// How often is that wait doubled at most?
const DOUBLINGS: u32 = 6;

/// How fast one API of a forge may be written to, by everybody who shares it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// How long one write lies after another at least.
    pub apart: Duration,
    /// How many writes an hour takes at most.
    pub hourly: usize,
}

impl Pace {
    /// Notes a write, and forgets those that count no more: at most as many are kept as an hour takes.
    pub fn note(&self, writes: &mut VecDeque<Moment>, at: Moment) {
        writes.push_back(at);
        while writes.len() > self.hourly {
            writes.pop_front();
        }
    }

    /// Returns when the next write may go, where that is after `now`. Writes that lie further ahead than one is apart
    /// from another were noted by a clock that was set back since: they count for nothing.
    #[must_use]
    pub fn next(&self, writes: &VecDeque<Moment>, now: Moment) -> Option<Moment> {
        let real = || writes.iter().filter(|at| **at <= now.plus(millis(self.apart)));
        let apart = real().next_back().map(|last| last.plus(millis(self.apart)));
        // As many back as an hour takes: the hour since that one is full.
        let full = real().rev().nth(self.hourly.saturating_sub(1));
        let next = apart.max(full.map(|first| first.plus(millis(COUNTED_FOR))))?;
        Some(next).filter(|next| now < *next)
    }
}

/// Returns how long to wait after so many answers in a row, from 1, that limit requests without saying for how long: a
/// minute first, as GitHub asks, then twice as long each time, up to an hour.
#[must_use]
pub fn limited_for(in_a_row: u32) -> Duration {
    LIMITED_FOR.saturating_mul(1 << in_a_row.saturating_sub(1).min(DOUBLINGS)).min(COUNTED_FOR)
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::time::Duration;

    use super::Pace;
    use super::limited_for;
    use crate::moment::Moment;

    const PACE: Pace = Pace { apart: Duration::from_secs(1), hourly: 3 };

    #[test]
    fn the_next_write_waits_for_the_last_one_and_for_a_full_hour() {
        let cases: &[(&[i64], i64, Option<i64>)] = &[
            (&[], 0, None),
            (&[5_000], 5_000, Some(6_000)),
            (&[5_000], 5_999, Some(6_000)),
            (&[5_000], 6_000, None),
            (&[0, 5_000], 7_000, None),
            (&[1_000, 5_000, 9_000], 10_000, Some(3_601_000)),
            (&[1_000, 5_000, 9_000], 3_600_999, Some(3_601_000)),
            (&[1_000, 5_000, 9_000], 3_601_000, None),
            (&[0, 1_000, 5_000, 9_000], 3_600_500, Some(3_601_000)),
            // A step may have gone on for a moment, and a clock may have been set back by a day.
            (&[5_300], 5_000, Some(6_300)),
            (&[86_405_000], 5_000, None),
            (&[4_500, 86_405_000], 5_000, Some(5_500)),
        ];
        for (writes, now, next) in cases {
            let writes: VecDeque<Moment> = writes.iter().map(|at| Moment(*at)).collect();
            assert_eq!(PACE.next(&writes, Moment(*now)), next.map(Moment), "{writes:?} at {now}");
        }
    }

    #[test]
    fn a_limit_without_a_time_is_waited_for_twice_as_long_each_time() {
        let cases = [(0, 60), (1, 60), (2, 120), (3, 240), (6, 1_920), (7, 3_600), (u32::MAX, 3_600)];
        for (in_a_row, seconds) in cases {
            assert_eq!(limited_for(in_a_row), Duration::from_secs(seconds), "{in_a_row}");
        }
    }

    #[test]
    fn no_more_writes_are_kept_than_count() {
        let mut writes = VecDeque::new();
        for at in 0..10 {
            PACE.note(&mut writes, Moment(at));
        }
        assert_eq!(writes, [7, 8, 9].map(Moment));
    }
}
