//! When each forge was written to and what it said about limits, so that the next request keeps to its pace, whoever
//! makes it.
//!
//! It is kept in memory: after a restart the first write goes at once, and a limit is taken for the first in a row.

use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use crate::forge::Answer;
use crate::forge::Forge;
use crate::forge::Pace;
use crate::forge::limited_for;
use crate::moment::Moment;

/// What is known of each API, by its address.
#[derive(Debug, Default)]
pub struct Writes(Mutex<BTreeMap<String, Known>>);

/// What a request writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Write {
    /// Something new, such as a status: forges count those for themselves.
    Content,
    /// Nothing that stays.
    Nothing,
}

#[derive(Debug, Default)]
struct Known {
    content: VecDeque<Moment>,
    /// The last request that left nothing, or none.
    nothing: VecDeque<Moment>,
    /// How often in a row it limited requests without saying for how long.
    limited: u32,
    /// Until when it takes nothing.
    until: Option<Moment>,
}

impl Known {
    /// Returns when the next request may be sent, where that is after `now`.
    fn next(&self, pace: Option<Pace>, write: Write, now: Moment) -> Option<Moment> {
        let until = self.until.filter(|until| now < *until);
        let Some(pace) = pace else { return until };
        let apart = Pace { hourly: usize::MAX, ..pace };
        let content = if write == Write::Content { pace } else { apart };
        [until, content.next(&self.content, now), apart.next(&self.nothing, now)].into_iter().flatten().max()
    }
}

impl Writes {
    /// Takes a turn: the request that is sent next counts, also where it comes to no answer.
    ///
    /// # Errors
    /// When the next request may be sent, which is after `now`.
    pub fn take(&self, api: &str, forge: &dyn Forge, write: Write, now: Moment) -> Result<(), Moment> {
        let mut all = self.all();
        let known = all.entry(api.to_owned()).or_default();
        if let Some(next) = known.next(forge.pace(), write, now) {
            return Err(next);
        }
        match (forge.pace(), write) {
            (Some(pace), Write::Content) => pace.note(&mut known.content, now),
            (Some(pace), Write::Nothing) => Pace { hourly: 1, ..pace }.note(&mut known.nothing, now),
            (None, Write::Content | Write::Nothing) => {}
        }
        Ok(())
    }

    /// Returns when the next status may be posted, where that is after `now`.
    pub fn next(&self, api: &str, forge: &dyn Forge, now: Moment) -> Option<Moment> {
        self.all().get(api)?.next(forge.pace(), Write::Content, now)
    }

    /// Returns until when a forge takes nothing at all, where that is after `now`.
    pub fn held(&self, api: &str, now: Moment) -> Option<Moment> {
        self.all().get(api)?.until.filter(|until| now < *until)
    }

    /// Notes what a forge says about limits, and returns how long it takes nothing.
    pub fn answered(&self, api: &str, answer: &Answer, now: Moment) -> Duration {
        let mut all = self.all();
        let known = all.entry(api.to_owned()).or_default();
        let wait = match answer {
            Answer::Limited => {
                known.limited = known.limited.saturating_add(1);
                limited_for(known.limited)
            }
            Answer::TakenLast(wait) | Answer::Later(Some(wait)) => {
                known.limited = 0;
                *wait
            }
            Answer::Taken | Answer::Later(None) | Answer::Unsure(_) | Answer::Ours(_) | Answer::Never(_) => {
                known.limited = 0;
                return Duration::ZERO;
            }
        };
        let until = now.plus(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
        known.until = known.until.max(Some(until));
        wait
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<String, Known>> {
        // What is known of each API is whole also after a panic elsewhere.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Write;
    use super::Writes;
    use crate::forge::Answer;
    use crate::forge::Kind;
    use crate::moment::Moment;

    const API: &str = "https://api.github.com";

    #[test]
    fn whoever_writes_to_a_forge_takes_turns() {
        let (writes, github) = (Writes::default(), Kind::Github.rules());
        let take = |write, at| writes.take(API, github, write, Moment(at));
        assert_eq!(take(Write::Content, 10_000), Ok(()));
        assert_eq!(take(Write::Nothing, 10_500), Err(Moment(11_000)));
        assert_eq!(take(Write::Nothing, 11_000), Ok(()));
        assert_eq!(take(Write::Content, 11_900), Err(Moment(12_000)));
        assert_eq!(writes.next(API, github, Moment(11_900)), Some(Moment(12_000)));
        assert_eq!(take(Write::Content, 12_000), Ok(()));
        assert_eq!(writes.take("https://another.example", github, Write::Content, Moment(12_000)), Ok(()));
        for turn in 0..3 {
            assert_eq!(
                writes.take("http://gitea", Kind::Gitea.rules(), Write::Content, Moment(turn)),
                Ok(())
            );
        }
    }

    #[test]
    fn only_what_stays_counts_for_the_hour() {
        let (writes, github) = (Writes::default(), Kind::Github.rules());
        for turn in 0..600 {
            assert_eq!(writes.take(API, github, Write::Nothing, Moment(turn * 1_000)), Ok(()));
        }
        for turn in 600..1_100 {
            assert_eq!(writes.take(API, github, Write::Content, Moment(turn * 1_000)), Ok(()));
        }
        let next = Moment(600_000 + 3_600_000);
        assert_eq!(writes.take(API, github, Write::Content, Moment(1_100_000)), Err(next));
        assert_eq!(writes.take(API, github, Write::Nothing, Moment(1_100_000)), Ok(()));
    }

    #[test]
    fn a_limit_that_one_was_told_holds_for_all_until_it_is_over() {
        let seconds = Duration::from_secs;
        let cases = [
            (Answer::Later(Some(seconds(30))), 30),
            (Answer::TakenLast(seconds(30)), 30),
            (Answer::Limited, 60),
            (Answer::Later(None), 0),
            (Answer::Unsure(Some(seconds(30))), 0),
            (Answer::Taken, 0),
        ];
        for kind in Kind::ALL {
            for (answer, held) in &cases {
                let writes = Writes::default();
                assert_eq!(writes.answered(API, answer, Moment(0)), seconds(*held), "{answer:?}");
                let until = Some(Moment(i64::try_from(*held).unwrap() * 1_000)).filter(|_| *held > 0);
                assert_eq!(writes.held(API, Moment(1)), until, "{answer:?}");
                let expected = until.map_or(Ok(()), Err);
                assert_eq!(writes.take(API, kind.rules(), Write::Nothing, Moment(1)), expected, "{answer:?}");
                assert_eq!(writes.held(API, Moment(60_000)), None, "{answer:?}");
            }
        }
        let writes = Writes::default();
        writes.answered(API, &Answer::Later(Some(seconds(30))), Moment(0));
        writes.answered(API, &Answer::Later(Some(seconds(5))), Moment(1_000));
        assert_eq!(
            writes.held(API, Moment(10_000)),
            Some(Moment(30_000)),
            "a short wait does not end a longer one"
        );
    }
}
