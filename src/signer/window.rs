//! From when until when a key is valid.

use super::Refusal;

/// A span of time in seconds since 1970, both ends within; an end that is nothing is open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) from: Option<i64>,
    pub(super) until: Option<i64>,
}

impl Window {
    /// Returns what lies in both.
    pub(super) fn within(self, other: Self) -> Self {
        let from = self.from.max(other.from);
        let until = match (self.until, other.until) {
            (Some(one), Some(two)) => Some(one.min(two)),
            (one, two) => one.or(two),
        };
        Self { from, until }
    }

    /// Says whether nothing lies in it.
    pub(super) fn is_empty(self) -> bool {
        self.from.zip(self.until).is_some_and(|(from, until)| from > until)
    }

    /// Refuses what a key signed outside its validity.
    pub(super) fn judge(self, key: &str, made: i64) -> Result<(), Refusal> {
        let key = || key.to_owned();
        match (self.from, self.until) {
            (Some(from), _) if made < from => Err(Refusal::Early { key: key(), made, from }),
            (_, Some(until)) if made > until => Err(Refusal::Late { key: key(), made, until }),
            _ => Ok(()),
        }
    }
}
