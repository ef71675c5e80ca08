//! What becomes of a status, and the time by which that is decided.

use std::time::Duration;

use tokio::time::Instant;

use crate::application::Name;
use crate::moment::Moment;

/// What an answer, or the lack of one, means for a status and its neighbours.
pub(super) enum Fate {
    /// The forge has it; nothing is posted for `held` until `wait` is over.
    Taken { wait: Duration, held: Vec<Name> },
    /// It takes more requests; nothing is posted for `held` until `wait` is over.
    GoesOn { wait: Duration, held: Vec<Name> },
    /// The forge will never take it.
    GivenUp(String),
    /// It is tried again after `wait`, and nothing is posted for `held` until then.
    PutOff { why: String, wait: Duration, held: Vec<Name> },
}

impl Fate {
    /// Lets it be tried again no sooner than after a wait.
    pub(super) fn no_sooner(self, least: Duration) -> Self {
        match self {
            Self::PutOff { why, wait, held } => Self::PutOff { why, wait: wait.max(least), held },
            Self::GoesOn { wait, held } => Self::GoesOn { wait: wait.max(least), held },
            fate @ (Self::Taken { .. } | Self::GivenUp(_)) => fate,
        }
    }
}

/// The time while a step goes on; its start is given, so that a test can choose it.
#[derive(Clone, Copy)]
pub(super) struct Clock {
    start: Moment,
    started: Instant,
}

impl Clock {
    /// Begins to count at a time.
    pub(super) fn starting(start: Moment) -> Self {
        Self { start, started: Instant::now() }
    }

    /// Returns when it began to count.
    pub(super) fn start(self) -> Moment {
        self.start
    }

    /// Returns how long it has counted.
    pub(super) fn passed(self) -> Duration {
        self.started.elapsed()
    }

    /// Returns the time when a wait from now on is over.
    pub(super) fn after(self, wait: Duration) -> Moment {
        let millis = self.passed().saturating_add(wait).as_millis();
        self.start.plus(u64::try_from(millis).unwrap_or(u64::MAX))
    }
}
