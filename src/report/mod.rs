//! The report station: what workers say becomes history, and then statuses at the forges.
//!
//! The [`Reporter`] stores first, the [`Poster`] posts second, so a forge that is away never blocks history. Each is
//! a loop over a public step. Both may be dropped at any instant: what was not finished comes again.

mod checks;
mod fate;
mod poster;
mod reporter;
mod statuses;

use std::time::Duration;

use uuid::Uuid;

use crate::fault::Fault;
use crate::queue;
use crate::store;

pub use self::poster::Address;
pub use self::poster::Posted;
pub use self::poster::Poster;
pub use self::reporter::Reporter;
pub use self::reporter::Step;

/// Statuses by what became of them: `outcome` is `taken`, `put_off` or `given_up`.
pub const STATUSES: &str = "windlass_statuses_total";

/// The seconds from a delivery until its forge has taken the verdict on a target.
pub const STATUS_SECONDS: &str = "windlass_status_seconds";

/// How long is the first pause after a failure?
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// How often is the pause doubled at most, while failures go on?
const DOUBLINGS: u32 = 12;

/// Why a step could not be done. The texts fit after "failed to"; the step may be tried again.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The queue could not be read or settled.
    #[error("go on with the queue of reports")]
    Queue(#[source] queue::Error),
    /// The store could not be read or written.
    #[error("keep the statuses that are due")]
    Store(#[source] store::Error),
}

impl Error {
    /// Says whose turn it is.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::Queue(error) => error.fault(),
            Self::Store(error) => error.fault(),
        }
    }
}

/// Returns how long to wait after so many failures in a row: twice as long each time, up to `longest`, less a random
/// part of up to half, so that those who failed together do not come back together.
fn pause(failures: u32, longest: Duration) -> Duration {
    let whole = FIRST_PAUSE.saturating_mul(1 << failures.min(DOUBLINGS)).min(longest);
    // The last bytes of such an id are random.
    let [.., random] = Uuid::now_v7().into_bytes();
    whole - (whole / 2).mul_f64(f64::from(random) / f64::from(u8::MAX))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::pause;

    #[test]
    fn pauses_double_up_to_the_longest_and_are_never_shorter_than_half() {
        let longest = Duration::from_secs(300);
        for (failures, seconds) in [(0, 1), (1, 2), (5, 32), (9, 300), (u32::MAX, 300)] {
            let whole = Duration::from_secs(seconds);
            for _ in 0..50 {
                let pause = pause(failures, longest);
                assert!(pause <= whole && pause >= whole / 2, "{failures}: {pause:?}");
            }
        }
    }
}
