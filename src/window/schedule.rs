//! When a window begins: at every moment at which the clock of its zone shows a minute that its expression names.
//!
//! Where the clock is put back, it shows some minutes twice, and a window begins twice. Where it is put forward, it
//! skips some, and a window that would have begun in them begins when they were skipped.

use super::cron::Cron;
use super::zone::Zone;

/// How far is looked for the next beginning, in seconds? So far that each February 29th is seen.
const FAR: i64 = 3_000 * 24 * 60 * 60;

/// How many changes of the clock are looked past? A few a year.
const CHANGES: usize = 100;

/// An expression and the zone of its clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    pub(super) cron: Cron,
    pub(super) zone: Zone,
}

impl Schedule {
    /// Returns the first beginning after a second since 1970; none where there is none in the next 3,000 days.
    #[must_use]
    pub fn after(&self, second: i64) -> Option<i64> {
        let end = second.checked_add(FAR)?;
        let mut from = second.checked_add(1)?;
        for _ in 0..CHANGES {
            if self.zone.change_until(from) == Some(from) && self.begins_with_change(from) {
                return Some(from);
            }
            let ahead = self.zone.ahead(from);
            let change = self.zone.change_after(from).unwrap_or(end).min(end);
            let found =
                self.cron.first(minutes_up(from.checked_add(ahead)?), minutes_up(change.checked_add(ahead)?));
            if let Some(minute) = found {
                return Some(minute.checked_mul(60)? - ahead);
            }
            if change >= end {
                return None;
            }
            from = change;
        }
        None
    }

    /// Returns the last beginning up to a second, if it is not before another second.
    #[must_use]
    pub fn until(&self, second: i64, not_before: i64) -> Option<i64> {
        let mut from = second;
        for _ in 0..CHANGES {
            let ahead = self.zone.ahead(from);
            let change = self.zone.change_until(from).filter(|change| *change >= not_before);
            let least = change.unwrap_or(not_before);
            let from_minute = from.checked_add(ahead)?.div_euclid(60);
            if let Some(minute) = self.cron.last(from_minute, minutes_up(least.checked_add(ahead)?)) {
                return Some(minute.checked_mul(60)? - ahead);
            }
            let change = change?;
            if self.begins_with_change(change) {
                return Some(change);
            }
            from = change.checked_sub(1).filter(|from| *from >= not_before)?;
        }
        None
    }

    /// Returns whether the clock, at a change of it, skips a minute that the expression names.
    fn begins_with_change(&self, change: i64) -> bool {
        let (before, after) = (self.zone.ahead(change.saturating_sub(1)), self.zone.ahead(change));
        let [from, to] = [before, after].map(|ahead| minutes_up(change.saturating_add(ahead)));
        self.cron.first(from, to).is_some()
    }
}

/// Returns the first whole minute that is not before a second.
fn minutes_up(second: i64) -> i64 {
    second.div_euclid(60) + i64::from(second.rem_euclid(60) > 0)
}
