//! The members of all applications of one cluster, as they were last seen, with the sum of those of each.

use std::collections::HashMap;

use crate::drift::Sight;
use crate::drift::Sum;
use crate::object::ObjectId;

/// How many members of one cluster are remembered? About 400 bytes each; those beyond are not watched.
const MEMBERS: usize = 200_000;

/// Members by their ids.
#[derive(Debug, Default)]
pub(super) struct Members {
    seen: HashMap<ObjectId, (String, Sight)>,
    sums: HashMap<String, Sum>,
}

impl Members {
    pub(super) fn find(&self, id: &ObjectId) -> Option<&Sight> {
        self.seen.get(id).map(|(_, sight)| sight)
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = &ObjectId> {
        self.seen.keys()
    }

    /// Remembers a member as it is now, as long as there is room.
    pub(super) fn put(&mut self, id: &ObjectId, set: &str, sight: Sight) {
        let _before = self.remove(id);
        if self.seen.len() >= MEMBERS {
            return;
        }
        let sum = self.sums.entry(set.to_owned()).or_default();
        sum.add(id, &sight);
        self.seen.insert(id.clone(), (set.to_owned(), sight));
    }

    /// Forgets a member, and returns its set and how it was seen last.
    pub(super) fn remove(&mut self, id: &ObjectId) -> Option<(String, Sight)> {
        let (set, sight) = self.seen.remove(id)?;
        if let Some(sum) = self.sums.get_mut(&set) {
            sum.take_off(id, &sight);
        }
        Some((set, sight))
    }

    pub(super) fn sum(&self, set: &str) -> Sum {
        self.sums.get(set).copied().unwrap_or_default()
    }
}
