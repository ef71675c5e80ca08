//! How many objects of a run, and how many targets of a commit, met which end.

use serde::{Deserialize, Serialize};

use super::Action;
use super::Change;
use super::Phase;

/// How many objects met which end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Created.
    pub created: u64,
    /// Configured.
    pub configured: u64,
    /// Unchanged.
    pub unchanged: u64,
    /// Pruned.
    pub pruned: u64,
    /// Kept although they left the commit.
    pub kept: u64,
    /// Not looked at yet: they are of a wave that comes later.
    #[serde(default, skip_serializing_if = "is_none")]
    pub held: u64,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_none(number: &u64) -> bool {
    *number == 0
}

impl Tally {
    /// Counts changes.
    #[must_use]
    pub fn of(changes: &[Change]) -> Self {
        let mut tally = Self::default();
        for change in changes {
            match change.action {
                Action::Created => tally.created += 1,
                Action::Configured => tally.configured += 1,
                Action::Unchanged => tally.unchanged += 1,
                Action::Pruned => tally.pruned += 1,
                Action::Kept => tally.kept += 1,
            }
        }
        tally
    }

    /// Returns the numbers of a run of which `earlier` are those of the parts before this one: what those created is
    /// unchanged in this one, and was created by the run all the same.
    #[must_use]
    pub fn after(self, earlier: Self) -> Self {
        let created = self.created.saturating_add(earlier.created);
        let configured = self.configured.saturating_add(earlier.configured);
        let before = earlier.created.saturating_add(earlier.configured);
        let (unchanged, pruned) =
            (self.unchanged.saturating_sub(before), self.pruned.saturating_add(earlier.pruned));
        Self { created, configured, unchanged, pruned, kept: self.kept, held: self.held }
    }
}

/// How many targets of a commit stand where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Not final yet.
    pub open: u64,
    /// Healthy.
    pub healthy: u64,
    /// Failed.
    pub failed: u64,
    /// In error.
    pub error: u64,
    /// Superseded.
    pub superseded: u64,
}

impl Counts {
    /// Counts phases.
    #[must_use]
    pub fn of(phases: impl IntoIterator<Item = Phase>) -> Self {
        let mut counts = Self::default();
        for phase in phases {
            counts.add(phase, 1);
        }
        counts
    }

    /// Counts more targets of a phase.
    pub fn add(&mut self, phase: Phase, number: u64) {
        match phase {
            Phase::Pending | Phase::Running | Phase::Applied => self.open += number,
            Phase::Healthy => self.healthy += number,
            Phase::Failed => self.failed += number,
            Phase::Error => self.error += number,
            Phase::Superseded => self.superseded += number,
        }
    }

    /// Returns how many targets were counted.
    #[must_use]
    pub fn all(&self) -> u64 {
        self.open + self.healthy + self.failed + self.error + self.superseded
    }
}
