//! The wall clock: the one place where the flow and the doors read it.

use crate::moment::Moment;

/// Returns the time that the machine's clock shows.
#[must_use]
pub fn now() -> Moment {
    Moment(jiff::Timestamp::now().as_millisecond())
}

/// Reads a time as an API server writes it, in RFC 3339; nothing where it is none.
#[must_use]
pub fn read(text: &str) -> Option<Moment> {
    text.parse::<jiff::Timestamp>().ok().map(|at| Moment(at.as_millisecond()))
}

/// Returns a moment in UTC as RFC 3339 writes it, such as `2026-11-27T01:00:00Z`, to the second.
#[must_use]
pub fn text(at: Moment) -> String {
    jiff::Timestamp::from_second(at.0.div_euclid(1000)).map_or_else(|_| String::new(), |at| at.to_string())
}
