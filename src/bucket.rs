//! How often something may happen: token buckets, as values.
//!
//! In comes a bucket, its rate and the time; out comes whether there was a token, or how long until there is one.

use std::time::Duration;

use crate::moment::Moment;

/// How much of a token refills a bucket in a millisecond is counted in parts; a token has this many.
const PARTS: u64 = 60_000;

/// How often something may happen on average, and at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How many tokens come in a minute?
    pub a_minute: u32,
    /// How many tokens are there at most?
    pub at_once: u32,
}

impl Rate {
    fn most(self) -> u64 {
        u64::from(self.at_once).saturating_mul(PARTS)
    }
}

/// A bucket of tokens at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bucket {
    parts: u64,
    at: Moment,
}

impl Bucket {
    /// Returns a full bucket.
    #[must_use]
    pub fn full(rate: Rate, now: Moment) -> Self {
        Self { parts: rate.most(), at: now }
    }

    /// Returns it with the tokens that came until `now`. A clock that was set back brings none.
    #[must_use]
    pub fn refilled(self, rate: Rate, now: Moment) -> Self {
        let came = now.since(self.at).saturating_mul(u64::from(rate.a_minute));
        Self { parts: self.parts.saturating_add(came).min(rate.most()), at: now }
    }

    /// Returns whether it holds all that it can.
    #[must_use]
    pub fn is_full(&self, rate: Rate) -> bool {
        self.parts >= rate.most()
    }

    /// Takes a token out of a refilled bucket.
    ///
    /// # Errors
    /// There is none; how long it takes until there is, at least a millisecond.
    pub fn take(self, rate: Rate) -> Result<Self, Duration> {
        match self.parts.checked_sub(PARTS) {
            Some(parts) => Ok(Self { parts, ..self }),
            None => {
                let missing = PARTS - self.parts;
                let millis = missing.checked_div(u64::from(rate.a_minute)).map_or(u64::MAX, |ms| ms + 1);
                Err(Duration::from_millis(millis))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Bucket;
    use super::Rate;
    use crate::moment::Moment;

    const RATE: Rate = Rate { a_minute: 60, at_once: 3 };

    /// Takes tokens at these times, and returns what came of each.
    fn takes(times: &[i64]) -> Vec<Result<(), u64>> {
        let mut bucket = Bucket::full(RATE, Moment(0));
        let mut take = |at: &i64| {
            bucket = bucket.refilled(RATE, Moment(*at));
            let taken = bucket.take(RATE);
            bucket = taken.unwrap_or(bucket);
            taken.map(drop).map_err(|wait| u64::try_from(wait.as_millis()).unwrap())
        };
        times.iter().map(&mut take).collect()
    }

    #[test]
    fn as_many_as_fit_go_at_once_and_then_one_for_each_that_comes() {
        let fine = Ok(());
        assert_eq!(takes(&[0, 0, 0, 0]), [fine, fine, fine, Err(1001)]);
        assert_eq!(takes(&[0, 0, 0, 400, 1000, 1001]), [fine, fine, fine, Err(601), fine, Err(1000)]);
        // More than fit are never saved up.
        assert_eq!(takes(&[3_600_000; 4]), [fine, fine, fine, Err(1001)]);
        // A clock that was set back neither brings tokens nor takes any.
        assert_eq!(takes(&[0, 0, -5_000, -5_000, -4_000]), [fine, fine, fine, Err(1001), fine]);
    }

    #[test]
    fn a_bucket_that_was_left_alone_is_full_again() {
        let mut bucket = Bucket::full(RATE, Moment(0)).take(RATE).unwrap();
        assert!(!bucket.is_full(RATE));
        bucket = bucket.refilled(RATE, Moment(1000));
        assert!(bucket.is_full(RATE));
    }

    #[test]
    fn what_never_comes_is_waited_for_for_ever() {
        let none = Rate { a_minute: 0, at_once: 0 };
        assert_eq!(Bucket::full(none, Moment(0)).take(none), Err(Duration::from_millis(u64::MAX)));
    }
}
