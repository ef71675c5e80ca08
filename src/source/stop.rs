//! When work on a blocking thread has to end.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

use tokio::sync::Notify;
use tokio::time::Instant;
use tokio::time::timeout_at;

/// Ends work on a blocking thread: it asks whenever it can, since such a thread cannot be stopped from outside.
#[derive(Clone)]
pub(super) struct Stop {
    flags: Arc<Flags>,
    deadline: Instant,
}

struct Flags {
    cancelled: AtomicBool,
    told: Notify,
}

/// Why work has to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// Nobody waits for it any more.
    Cancelled,
    /// It took too long.
    Late,
}

impl Stop {
    /// Lets work run until `deadline`.
    pub(super) fn at(deadline: Instant) -> Self {
        let flags = Flags { cancelled: AtomicBool::new(false), told: Notify::new() };
        Self { flags: Arc::new(flags), deadline }
    }

    /// Returns why the work has to end now, or `None` while it may go on.
    pub(super) fn why(&self) -> Option<Why> {
        if self.flags.cancelled.load(Ordering::Relaxed) {
            Some(Why::Cancelled)
        } else if Instant::now() >= self.deadline {
            Some(Why::Late)
        } else {
            None
        }
    }

    /// Waits until the work has to end.
    pub(super) async fn ended(&self) {
        // Made before the flag is read, so that no word between the two is missed.
        let told = self.flags.told.notified();
        if self.why().is_none() {
            drop(timeout_at(self.deadline, told).await);
        }
    }

    /// Returns a guard that cancels the work when it is dropped.
    pub(super) fn when_dropped(&self) -> Cancel {
        Cancel(self.clone())
    }
}

/// Cancels work when it is dropped.
pub(super) struct Cancel(Stop);

impl Drop for Cancel {
    fn drop(&mut self) {
        self.0.flags.cancelled.store(true, Ordering::Relaxed);
        self.0.flags.told.notify_waiters();
    }
}
