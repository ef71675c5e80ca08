//! Days and times of the civil calendar, as seconds since 1970-01-01T00:00:00Z.

const DAY: i64 = 86_400;
/// How many days have 400 years, after which the calendar begins anew?
const ERA_DAYS: i64 = 146_097;
/// How many days before 1970 does the era begin that is counted from, on the first of March of the year 0?
const BEFORE_1970: i64 = 719_468;

/// Reads a date or time of OpenSSH: `YYYYMMDD`, with or without `HHMM` or `HHMMSS`. A `Z` behind it is passed over.
pub(super) fn read(text: &str) -> Option<i64> {
    let digits = text.strip_suffix(['Z', 'z']).unwrap_or(text);
    if !matches!(digits.len(), 8 | 12 | 14) || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let part = |from: usize, to: usize| digits.get(from..to).map_or(Some(0), |part| part.parse::<i64>().ok());
    let (year, month, day) = (part(0, 4)?, part(4, 6)?, part(6, 8)?);
    let (hour, minute, second) = (part(8, 10)?, part(10, 12)?, part(12, 14)?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    let fits = year >= 1970 && (1..=days).contains(&day) && hour < 24 && minute < 60 && second < 60;
    fits.then(|| day_number(year, month, day) * DAY + hour * 3600 + minute * 60 + second)
}

/// Returns how many days after 1970-01-01 a day is. Years are counted from March, so that the odd day is their last.
fn day_number(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * month + 2) / 5 + day - 1;
    era * ERA_DAYS + of_era * 365 + of_era / 4 - of_era / 100 + of_year - BEFORE_1970
}

/// Writes a time as RFC 3339; one beyond the years 0 to 9999 as its number of seconds.
pub(super) fn text(seconds: i64) -> String {
    let (days, rest) = (seconds.div_euclid(DAY), seconds.rem_euclid(DAY));
    let days = days.saturating_add(BEFORE_1970);
    let (era, of_era) = (days.div_euclid(ERA_DAYS), days.rem_euclid(ERA_DAYS));
    let years = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * years + years / 4 - years / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = era * 400 + years + i64::from(month <= 2);
    if !(0..=9999).contains(&year) {
        return format!("{seconds} s after 1970");
    }
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::read;
    use super::text;

    #[test]
    fn dates_of_openssh_are_read() {
        let cases = [
            ("19700101", Some(0)),
            ("19700101Z", Some(0)),
            ("20240229", Some(1_709_164_800)),
            ("202402291234", Some(1_709_210_040)),
            ("20240229123456Z", Some(1_709_210_096)),
            ("20230229", None),
            ("20231301", None),
            ("20230100", None),
            ("202301012460", None),
            ("2023-01-01", None),
            ("2023010", None),
            ("19691231", None),
            ("always", None),
            ("", None),
        ];
        for (date, seconds) in cases {
            assert_eq!(read(date), seconds, "{date}");
        }
    }

    #[test]
    fn times_are_written_as_they_are_read() {
        for (seconds, written) in [
            (0, "1970-01-01T00:00:00Z"),
            (1_709_210_096, "2024-02-29T12:34:56Z"),
            (-1, "1969-12-31T23:59:59Z"),
            (253_402_300_799, "9999-12-31T23:59:59Z"),
            (253_402_300_800, "253402300800 s after 1970"),
            (i64::MIN, "-9223372036854775808 s after 1970"),
            (i64::MAX, "9223372036854775807 s after 1970"),
        ] {
            assert_eq!(text(seconds), written);
        }
        for day in 0..40_000 {
            let written = text(day * 86_400);
            let digits: String = written.chars().filter(char::is_ascii_digit).collect();
            assert_eq!(read(&digits), Some(day * 86_400), "{written}");
        }
    }
}
