//! Time as the queue counts it.

use std::time::Duration;

use tokio::time::Instant;

use crate::moment::Moment;

/// Milliseconds that never go back while the process runs: the wall clock at the start, plus what has passed. So a
/// clock that is set does not end leases early, and what was put off keeps its meaning across restarts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    wall: Moment,
    started: Instant,
}

impl Clock {
    /// Starts at the wall clock's time.
    pub(super) fn start() -> Self {
        Self { wall: wall(), started: Instant::now() }
    }

    /// Returns the milliseconds of now.
    pub(super) fn now(self) -> i64 {
        self.after(Duration::ZERO)
    }

    /// Returns the milliseconds of a time from now.
    pub(super) fn after(self, wait: Duration) -> i64 {
        let passed = self.started.elapsed().saturating_add(wait).as_millis();
        self.wall.plus(u64::try_from(passed).unwrap_or(u64::MAX)).0
    }

    /// Returns the instant when `millis` have come.
    pub(super) fn instant(self, millis: i64) -> Instant {
        let ahead = Moment(millis).since(self.wall);
        // What is too far away to be an instant is as good as never.
        self.started.checked_add(Duration::from_millis(ahead)).unwrap_or_else(|| self.started + NEVER)
    }
}

/// How far away is never?
const NEVER: Duration = Duration::from_hours(24 * 365);

/// Returns the wall clock's time, for people.
pub(super) fn wall() -> Moment {
    Moment(jiff::Timestamp::now().as_millisecond())
}
