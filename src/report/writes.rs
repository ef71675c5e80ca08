//! When each forge was written to, so that the next write keeps to its pace.
//!
//! It is kept in memory: after a restart the first write goes at once.

use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::PoisonError;

use crate::forge::Forge;
use crate::moment::Moment;

/// The writes by the address of the API, of forges that have a pace only.
#[derive(Default)]
pub struct Writes {
    by_api: Mutex<BTreeMap<String, VecDeque<Moment>>>,
}

impl Writes {
    /// Notes that a request was sent.
    pub fn note(&self, api: &str, forge: &dyn Forge, at: Moment) {
        let Some(pace) = forge.pace() else { return };
        let mut by_api = self.by_api.lock().unwrap_or_else(PoisonError::into_inner);
        pace.note(by_api.entry(api.to_owned()).or_default(), at);
    }

    /// Returns when the next request may be sent, where that is after `now`.
    pub fn next(&self, api: &str, forge: &dyn Forge, now: Moment) -> Option<Moment> {
        let pace = forge.pace()?;
        let by_api = self.by_api.lock().unwrap_or_else(PoisonError::into_inner);
        pace.next(by_api.get(api)?, now)
    }
}
