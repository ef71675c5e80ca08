//! When each forge was written to, so that the next write keeps to its pace, whoever makes it.
//!
//! It is kept in memory: after a restart the first write goes at once, and a limit is taken for the first in a row.

use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use crate::forge::Forge;
use crate::forge::limited_for;
use crate::moment::Moment;

/// The writes by the address of the API, of forges that have a pace only.
#[derive(Debug, Default)]
pub struct Writes {
    by_api: Mutex<BTreeMap<String, VecDeque<Moment>>>,
    /// How often in a row each API limited requests without saying for how long.
    limited: Mutex<BTreeMap<String, u32>>,
}

impl Writes {
    /// Takes a turn: the request that is sent next counts, also where it comes to no answer.
    ///
    /// # Errors
    /// When the next request may be sent, which is after `now`.
    pub fn take(&self, api: &str, forge: &dyn Forge, now: Moment) -> Result<(), Moment> {
        let Some(pace) = forge.pace() else { return Ok(()) };
        let mut by_api = self.by_api();
        let writes = by_api.entry(api.to_owned()).or_default();
        match pace.next(writes, now) {
            Some(next) => Err(next),
            None => {
                pace.note(writes, now);
                Ok(())
            }
        }
    }

    /// Returns when the next request may be sent, where that is after `now`.
    pub fn next(&self, api: &str, forge: &dyn Forge, now: Moment) -> Option<Moment> {
        let pace = forge.pace()?;
        pace.next(self.by_api().get(api)?, now)
    }

    /// Notes an answer, and returns how long to wait where it limits requests without saying for how long.
    pub fn answered(&self, api: &str, limited: bool) -> Duration {
        // A map of numbers is whole also after a panic elsewhere.
        let mut counts = self.limited.lock().unwrap_or_else(PoisonError::into_inner);
        if !limited {
            counts.remove(api);
            return Duration::ZERO;
        }
        let count = counts.entry(api.to_owned()).or_default();
        *count = count.saturating_add(1);
        limited_for(*count)
    }

    fn by_api(&self) -> MutexGuard<'_, BTreeMap<String, VecDeque<Moment>>> {
        self.by_api.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
