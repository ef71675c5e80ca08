//! What dry-runs have shown in this process, so that none is repeated that would show the same.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::PoisonError;

use serde_json::Value;

use crate::drift;
use crate::plan::Write;

/// Of how many objects is remembered what was shown? About 150 bytes each. Past that all are forgotten and shown anew.
const REMEMBERED: usize = 50_000;

/// The objects that are as declared although only a dry-run can tell, by uid and manager.
#[derive(Debug, Default)]
pub(super) struct Shown {
    equal: Mutex<HashMap<(String, String), [u8; 32]>>,
}

impl Shown {
    /// Returns whether it is known that a write would change nothing. `same` says that its manifest is the one that was
    /// applied last, as far as the parent knows.
    pub(super) fn is_equal(&self, write: &Write, manager: &str, same: bool) -> bool {
        let Some(live) = &write.live else { return false };
        let body = drift::ceded(&write.manifest.value, &live.value, manager, &write.wish);
        // What is applied of a manifest that leaves fields to others may be less than was applied last.
        let same = same && !write.wish.cedes();
        if drift::is_as_declared(&live.value, &body, manager, same) {
            return true;
        }
        let key = (live.uid().to_owned(), manager.to_owned());
        let known = self.equal.lock().unwrap_or_else(PoisonError::into_inner).get(&key).copied();
        known.is_some_and(|known| known == drift::fingerprint(&live.value, &body, manager))
    }

    /// Remembers that the server's dry-run of a write changed nothing.
    pub(super) fn note(&self, write: &Write, manager: &str) {
        if let Some(live) = &write.live {
            self.wrote(write, &live.value, manager);
        }
    }

    /// Remembers what a write made of an object: once more, it would change nothing, unless its definition may make
    /// something else of it by then.
    pub(super) fn wrote(&self, write: &Write, live: &Value, manager: &str) {
        let body = drift::ceded(&write.manifest.value, live, manager, &write.wish);
        if drift::leaves_out_keys(live, &body, manager) {
            return;
        }
        let uid = live.pointer("/metadata/uid").and_then(Value::as_str).unwrap_or_default().to_owned();
        let fingerprint = drift::fingerprint(live, &body, manager);
        let mut equal = self.equal.lock().unwrap_or_else(PoisonError::into_inner);
        if equal.len() >= REMEMBERED {
            equal.clear();
        }
        equal.insert((uid, manager.to_owned()), fingerprint);
    }
}
