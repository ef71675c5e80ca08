//! When somebody who does not answer is asked again: a breaker, as a value.
//!
//! In comes how requests ended, and when; out comes whether the next one may be sent. Who waits for an answer that does not
//! come holds up others, so after some silence in a row only one at a time tries, less and less often.

use std::time::Duration;

/// After how many requests without an answer is nobody asked for a while?
const SILENT: u32 = 3;

/// How long is nobody asked then, at first? Doubled each time.
const REST: Duration = Duration::from_secs(2);

/// How long is nobody asked at most?
const REST_AT_MOST: Duration = Duration::from_secs(15);

/// How often did somebody not answer, and when is it asked again? Times count from any beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Breaker {
    silent: u32,
    again: Option<Duration>,
    /// Was one let through after a rest, whose end is not known yet?
    trying: bool,
}

impl Breaker {
    /// Lets a request through, as far as one may be sent `now`: all while there were answers, and one after each rest.
    ///
    /// # Errors
    /// How long the rest still is.
    pub fn let_through(&mut self, now: Duration) -> Result<(), Duration> {
        let Some(again) = self.again else { return Ok(()) };
        if let Some(left) = again.checked_sub(now).filter(|left| !left.is_zero()) {
            return Err(left);
        }
        // Others wait for the answer to this one.
        self.again = Some(now + rest(self.silent));
        self.trying = true;
        Ok(())
    }

    /// Returns whether nobody is asked for a while.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.again.is_some()
    }

    /// Takes in that there was an answer, whatever it said.
    pub fn answered(&mut self) {
        *self = Self::default();
    }

    /// Takes in that there was none. Of requests that were sent before the rest began, no more is learned.
    pub fn fell_silent(&mut self, now: Duration) {
        if self.again.is_some() && !std::mem::take(&mut self.trying) {
            return;
        }
        self.silent = self.silent.saturating_add(1);
        if self.silent >= SILENT {
            self.again = Some(now + rest(self.silent));
        }
    }
}

fn rest(silent: u32) -> Duration {
    REST.saturating_mul(2_u32.saturating_pow(silent.saturating_sub(SILENT))).min(REST_AT_MOST)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Breaker;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn silent(times: u32, now: u64) -> Breaker {
        let mut breaker = Breaker::default();
        (0..times).for_each(|_| breaker.fell_silent(s(now)));
        breaker
    }

    #[test]
    fn after_some_silence_nobody_is_asked_for_a_while() {
        // how often it was silent at 10 s, when it is asked → how long the rest still is
        for (times, now, left) in
            [(0, 10, None), (2, 10, None), (3, 10, Some(2)), (3, 11, Some(1)), (3, 12, None)]
        {
            let answer = silent(times, 10).let_through(s(now));
            assert_eq!(answer.err(), left.map(s), "{times} {now}");
        }
    }

    #[test]
    fn one_at_a_time_tries_again_and_ever_less_often() {
        let (mut breaker, mut now) = (silent(3, 0), 0);
        for rest in [2, 4, 8, 15, 15] {
            now += rest;
            assert_eq!(breaker.let_through(s(now - 1)), Err(s(1)), "{rest}");
            assert_eq!(breaker.let_through(s(now)), Ok(()));
            assert!(breaker.let_through(s(now)).is_err(), "one is under way");
            breaker.fell_silent(s(now));
        }
        assert!(breaker.is_open());
        breaker.answered();
        assert_eq!((breaker.let_through(s(now)), breaker), (Ok(()), Breaker::default()));
        assert!(!breaker.is_open());
    }

    #[test]
    fn what_was_under_way_when_the_rest_began_makes_it_no_longer() {
        let (many, few) = (silent(50, 0), silent(3, 0));
        assert_eq!(many, few);
        // An answer to one of those ends it.
        let mut breaker = many;
        breaker.answered();
        assert_eq!(breaker.let_through(s(0)), Ok(()));
    }
}
