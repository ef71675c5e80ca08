//! Time zones: where the clock of a place stands, and when it is changed. The rules are built in.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use jiff::tz::TimeZoneDatabase;

/// A time zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone(TimeZone);

impl Zone {
    /// Finds a zone by its IANA name.
    ///
    /// # Errors
    /// There is none of that name.
    pub fn parse(name: &str) -> Result<Self, String> {
        let found = TimeZoneDatabase::bundled().get(name);
        found.map(Self).map_err(|_| {
            format!("there is no time zone \"{name}\": give a name such as \"Europe/Berlin\" or \"UTC\"")
        })
    }

    /// Returns Coordinated Universal Time.
    #[must_use]
    pub fn utc() -> Self {
        Self(TimeZone::UTC)
    }

    /// Returns by how many seconds the clock is ahead at a second since 1970.
    pub(super) fn ahead(&self, at: i64) -> i64 {
        moment(at).map_or(0, |at| i64::from(self.0.to_offset(at).seconds()))
    }

    /// Returns the first change of the clock after a second.
    pub(super) fn change_after(&self, at: i64) -> Option<i64> {
        self.0.following(moment(at)?).next().map(|change| change.timestamp().as_second())
    }

    /// Returns the last change of the clock up to a second.
    pub(super) fn change_until(&self, at: i64) -> Option<i64> {
        self.0.preceding(moment(at.checked_add(1)?)?).next().map(|change| change.timestamp().as_second())
    }

    /// Writes a second for people, such as `2026-12-01 08:00 CET`.
    #[must_use]
    pub fn text(&self, at: i64) -> String {
        let at = moment(at).map(|at| at.to_zoned(self.0.clone()));
        at.map(|at| at.strftime("%Y-%m-%d %H:%M %Z").to_string()).unwrap_or_default()
    }

    /// Returns the zone for tests that look at the clock in their own way.
    #[cfg(test)]
    pub(super) fn plain(&self) -> TimeZone {
        self.0.clone()
    }
}

fn moment(second: i64) -> Option<Timestamp> {
    Timestamp::from_second(second).ok()
}
