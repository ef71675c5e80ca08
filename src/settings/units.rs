//! Times and sizes as people write them.

use std::time::Duration;

/// Reads a time such as `250ms`, `90s`, `5m` or `1h`: a whole number and a unit.
pub fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = split(text)?;
    let millis = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    number.checked_mul(millis).map(Duration::from_millis)
}

/// Reads a size such as `512KiB` or `5MiB`: a whole number and a unit. The answer is in bytes.
pub fn size(text: &str) -> Option<u64> {
    let (number, unit) = split(text)?;
    let bytes = match unit {
        "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    number.checked_mul(bytes)
}

fn split(text: &str) -> Option<(u64, &str)> {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit())?);
    Some((number.parse().ok()?, unit))
}

/// Writes a time as it is read.
pub fn duration_text(time: Duration) -> String {
    let millis = time.as_millis();
    match [(3_600_000, "h"), (60_000, "m"), (1_000, "s")]
        .into_iter()
        .find(|(unit, _)| millis.is_multiple_of(*unit))
    {
        Some((unit, word)) if millis > 0 => format!("{}{word}", millis / unit),
        _ => format!("{millis}ms"),
    }
}

/// Writes a size as it is read.
pub fn size_text(bytes: u64) -> String {
    match [(30, "GiB"), (20, "MiB"), (10, "KiB")]
        .into_iter()
        .find(|(bits, _)| bytes.is_multiple_of(1 << bits))
    {
        Some((bits, word)) if bytes > 0 => format!("{}{word}", bytes >> bits),
        _ => format!("{bytes}B"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::duration;
    use super::duration_text;
    use super::size;
    use super::size_text;

    #[test]
    fn times_have_a_number_and_a_unit() {
        for (text, millis) in [
            ("250ms", Some(250)),
            ("90s", Some(90_000)),
            ("5m", Some(300_000)),
            ("1h", Some(3_600_000)),
            ("0s", Some(0)),
        ] {
            assert_eq!(duration(text), millis.map(Duration::from_millis), "{text}");
        }
        for text in
            ["", "5", "s", "5 s", "-5s", "1.5s", "5S", "5d", "99999999999999999999s", "9999999999999999999h"]
        {
            assert_eq!(duration(text), None, "{text}");
        }
    }

    #[test]
    fn sizes_have_a_number_and_a_unit() {
        assert_eq!(size("5MiB"), Some(5 << 20));
        assert_eq!(size("17B"), Some(17));
        for text in ["", "5", "5MB", "5mib", "MiB", "99999999999999999999B", "99999999999999GiB"] {
            assert_eq!(size(text), None, "{text}");
        }
    }

    #[test]
    fn both_are_written_as_they_are_read() {
        for text in ["250ms", "90s", "5m", "1h", "0ms"] {
            assert_eq!(duration_text(duration(text).unwrap()), text);
        }
        for text in ["17B", "5MiB", "1GiB", "3KiB", "0B"] {
            assert_eq!(size_text(size(text).unwrap()), text);
        }
    }
}
