//! Five fields that say at which minutes something begins: minute, hour, day of the month, month, day of the week.
//!
//! As crontab(5) has them: `*`, numbers, names of months and days, ranges, lists and steps; and where both days are
//! restricted, either will do. Minutes are counted on a clock that never changes; what a time zone makes of them is
//! not known here.

use jiff::Timestamp;
use jiff::tz::Offset;

/// How many minutes has a day?
const DAY: i64 = 24 * 60;

/// How many days are looked at? Enough to see each February 29th.
const DAYS: usize = 4_000;

/// How many bytes may an expression have?
const BYTES: usize = 256;

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// One of the five fields: what it is called, what it may hold, and the words for it.
struct Field {
    name: &'static str,
    least: u32,
    most: u32,
    words: &'static [&'static str],
}

const FIELDS: [Field; 5] = [
    Field { name: "minute", least: 0, most: 59, words: &[] },
    Field { name: "hour", least: 0, most: 23, words: &[] },
    Field { name: "day of the month", least: 1, most: 31, words: &[] },
    Field { name: "month", least: 1, most: 12, words: &MONTHS },
    Field { name: "day of the week", least: 0, most: 7, words: &WEEKDAYS },
];

/// An expression: each field is a set of bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cron {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// Does either of the two days do?
    either: bool,
}

impl Cron {
    /// Reads an expression.
    ///
    /// # Errors
    /// What is wrong with it, and what is allowed.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() > BYTES {
            return Err(format!("is longer than {BYTES} bytes"));
        }
        let parts: Vec<&str> = text.split_ascii_whitespace().collect();
        let Ok([minute, hour, day, month, weekday]) = <[&str; 5]>::try_from(parts) else {
            return Err("must be five fields, minute, hour, day of the month, month and day of the week, such as \"0 22 * * 1-5\"".to_owned());
        };
        let [minutes, hours, days, months, weekdays] = FIELDS;
        let weekdays = bits(weekday, &weekdays)?;
        Ok(Self {
            minutes: bits(minute, &minutes)?,
            hours: bits(hour, &hours)?,
            days: bits(day, &days)?,
            months: bits(month, &months)?,
            // Sunday is 0 and 7.
            weekdays: (weekdays | weekdays >> 7) & 0x7f,
            either: !day.starts_with('*') && !weekday.starts_with('*'),
        })
    }

    /// Returns the first minute that it names from one up to another, which is not looked at, within 4,000 days. Minutes
    /// are counted from 1970-01-01 00:00.
    #[must_use]
    pub fn first(&self, from: i64, before: i64) -> Option<i64> {
        let mut day = from.div_euclid(DAY);
        for _ in 0..DAYS {
            let start = day.checked_mul(DAY).filter(|start| *start < before)?;
            if self.names_day(day) {
                let least = u32::try_from(from.saturating_sub(start).clamp(0, DAY)).ok()?;
                let found = self.times().find(|time| *time >= least).map(|time| start + i64::from(time));
                if let Some(found) = found {
                    return Some(found).filter(|found| *found < before);
                }
            }
            day = day.checked_add(1)?;
        }
        None
    }

    /// Returns the last minute that it names from one down to another, within 4,000 days.
    #[must_use]
    pub fn last(&self, from: i64, down_to: i64) -> Option<i64> {
        let mut day = from.div_euclid(DAY);
        for _ in 0..DAYS {
            let start = day.checked_mul(DAY)?;
            if start.checked_add(DAY)? <= down_to {
                return None;
            }
            if self.names_day(day) {
                let most = from.saturating_sub(start).min(DAY);
                let found = self.times().rfind(|time| i64::from(*time) <= most);
                if let Some(found) = found {
                    return Some(start + i64::from(found)).filter(|found| *found >= down_to);
                }
            }
            day = day.checked_sub(1)?;
        }
        None
    }

    /// Returns the minutes of a day that it names.
    fn times(&self) -> impl DoubleEndedIterator<Item = u32> {
        let (hours, minutes) = (self.hours, self.minutes);
        let hours = (0..24).filter(move |hour| has(hours, *hour));
        hours.flat_map(move |hour| {
            (0..60).filter(move |minute| has(minutes, *minute)).map(move |minute| hour * 60 + minute)
        })
    }

    fn names_day(&self, day: i64) -> bool {
        let at = day.checked_mul(DAY * 60).and_then(|seconds| Timestamp::from_second(seconds).ok());
        let Some(date) = at.map(|at| Offset::UTC.to_datetime(at).date()) else { return false };
        let number = |value: i8| u32::try_from(value).unwrap_or_default();
        let of_month = has(self.days, number(date.day()));
        let of_week = has(self.weekdays, number(date.weekday().to_sunday_zero_offset()));
        let wanted = if self.either { of_month || of_week } else { of_month && of_week };
        wanted && has(self.months, number(date.month()))
    }
}

fn has(bits: u64, number: u32) -> bool {
    bits.checked_shr(number).is_some_and(|bits| bits & 1 == 1)
}

/// Reads a field.
fn bits(text: &str, field: &Field) -> Result<u64, String> {
    text.split(',').try_fold(0, |bits, part| Ok(bits | part_bits(part, field)?))
}

fn part_bits(part: &str, field: &Field) -> Result<u64, String> {
    let Field { name, least, most, .. } = *field;
    let wrong = || format!("has no {name} \"{part}\": allowed are *, {least} to {most}, ranges and steps");
    let (range, step) = match part.split_once('/') {
        Some((range, step)) => (range, Some(number(step).filter(|step| *step > 0).ok_or_else(wrong)?)),
        None => (part, None),
    };
    let value = |text: &str| {
        let word = field.words.iter().position(|word| text.eq_ignore_ascii_case(word));
        let word = word.and_then(|at| u32::try_from(at).ok()).map(|at| at + least);
        word.or_else(|| number(text)).filter(|value| (least..=most).contains(value)).ok_or_else(wrong)
    };
    let (from, to) = match range.split_once('-') {
        _ if range == "*" => (least, most),
        Some((from, to)) => (value(from)?, value(to)?),
        // 5/15 is 5-59/15.
        None if step.is_some() => (value(range)?, most),
        None => (value(range)?, value(range)?),
    };
    if from > to {
        return Err(wrong());
    }
    let every = usize::try_from(step.unwrap_or(1)).map_err(|_| wrong())?;
    Ok((from..=to).step_by(every).fold(0, |bits, value| bits | 1 << value))
}

/// Reads a number of one or two digits.
fn number(text: &str) -> Option<u32> {
    let fine = (1..=2).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    fine.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::Cron;

    fn minute(text: &str) -> i64 {
        let at: jiff::civil::DateTime = text.parse().unwrap();
        at.to_zoned(jiff::tz::TimeZone::UTC).unwrap().timestamp().as_second() / 60
    }

    #[test]
    fn the_first_and_the_last_minute_by_table() {
        // expression, from → the first after it, the last before it
        let cases = [
            ("* * * * *", "2026-12-01T08:00", "2026-12-01T08:00", "2026-12-01T08:00"),
            ("0 22 * * *", "2026-12-01T08:00", "2026-12-01T22:00", "2026-11-30T22:00"),
            ("0 22 * * 1-5", "2026-11-28T08:00", "2026-11-30T22:00", "2026-11-27T22:00"),
            ("0 0 1 * *", "2026-11-28T08:00", "2026-12-01T00:00", "2026-11-01T00:00"),
            ("30 8 31 * *", "2026-11-28T08:00", "2026-12-31T08:30", "2026-10-31T08:30"),
            ("0 12 29 2 *", "2026-11-28T08:00", "2028-02-29T12:00", "2024-02-29T12:00"),
            ("0 0 * dec sun", "2026-11-28T08:00", "2026-12-06T00:00", "2025-12-28T00:00"),
            ("0 0 * * 7", "2026-11-28T08:00", "2026-11-29T00:00", "2026-11-22T00:00"),
            // Either of two days.
            ("0 0 13 * FRI", "2026-11-07T00:00", "2026-11-13T00:00", "2026-11-06T00:00"),
            ("0 0 10 * FRI", "2026-11-07T00:00", "2026-11-10T00:00", "2026-11-06T00:00"),
            // A day that begins with a star is no restriction, also with a step.
            ("0 0 */2 * FRI", "2026-11-07T00:00", "2026-11-13T00:00", "2026-10-23T00:00"),
            ("*/20 9-17 * * *", "2026-12-01T09:01", "2026-12-01T09:20", "2026-12-01T09:00"),
            ("5/25 9 * * *", "2026-12-01T09:06", "2026-12-01T09:30", "2026-12-01T09:05"),
            ("1,3,5-7 0 * * *", "2026-12-01T00:04", "2026-12-01T00:05", "2026-12-01T00:03"),
        ];
        for (text, from, first, last) in cases {
            let (cron, from) = (Cron::parse(text).unwrap(), minute(from));
            let far = 5_000 * 24 * 60;
            assert_eq!(cron.first(from, from + far), Some(minute(first)), "{text}");
            assert_eq!(cron.last(from, from - far), Some(minute(last)), "{text}");
            assert_eq!(cron.first(from, minute(first)), None, "{text}: the end is not looked at");
            assert_eq!(cron.last(from, minute(last) + 1), None, "{text}");
        }
        let never = Cron::parse("0 0 30 2 *").unwrap();
        assert_eq!((never.first(0, 9_000_000), never.last(9_000_000, 0)), (None, None));
        assert_eq!((never.first(i64::MIN, i64::MAX), never.last(i64::MAX, i64::MIN)), (None, None));
    }

    #[test]
    fn what_is_no_expression_is_refused_with_what_is_allowed() {
        for (text, expected) in [
            ("", "must be five fields"),
            ("0 22 * *", "must be five fields"),
            ("0 0 22 * * *", "must be five fields"),
            ("@daily", "must be five fields"),
            ("60 * * * *", "has no minute \"60\": allowed are *, 0 to 59"),
            ("0 24 * * *", "has no hour \"24\""),
            ("0 0 0 * *", "has no day of the month \"0\""),
            ("0 0 * foo *", "has no month \"foo\": allowed are *, 1 to 12"),
            ("0 0 * * 8", "has no day of the week \"8\""),
            ("0 0 * * 5-1", "has no day of the week \"5-1\""),
            ("*/0 * * * *", "has no minute \"*/0\""),
            ("-1 * * * *", "has no minute \"-1\""),
            ("1,,2 * * * *", "has no minute \"\""),
            ("1/2/3 * * * *", "has no minute \"1/2/3\""),
        ] {
            let error = Cron::parse(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
        assert!(Cron::parse(&"0".repeat(1_000)).unwrap_err().contains("longer"));
    }
}
