//! What the handles on a broker share with the tasks that work for them.

use std::collections::BTreeSet;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::queue::Error;
use crate::queue::Lane;
use crate::queue::rabbit::address::Address;
use crate::queue::rabbit::declare;
use crate::queue::rabbit::failure::is_missing;
use crate::queue::rabbit::failure::within;
use crate::queue::rabbit::hub::Hub;
use crate::queue::rabbit::link::Link;
use crate::queue::rabbit::publisher::Publisher;
use crate::queue::rabbit::topology::Plan;

/// How long may it take to declare a lane? A new one has tens of queues, and each costs the broker a write.
const DECLARE_WITHIN: Duration = Duration::from_mins(1);

/// What handles and tasks share.
pub(super) struct Core {
    pub(super) address: Arc<Address>,
    pub(super) worker: String,
    pub(super) lease_for: Duration,
    pub(super) publisher: Publisher,
    pub(super) publishing: Arc<Link>,
    pub(super) consuming: Link,
    pub(super) asking: Link,
    pub(super) hubs: Mutex<HashMap<Lane, Arc<Hub>>>,
    pub(super) declared: Mutex<BTreeSet<Lane>>,
    pub(super) declaring: tokio::sync::Mutex<()>,
    pub(super) closed: AtomicBool,
}

impl Core {
    /// Returns a further connection, for what is to end with it.
    pub(super) fn link(&self, what: &str) -> Link {
        Link::new(Arc::clone(&self.address), format!("windlass {} {what}", self.worker))
    }

    pub(super) fn hubs(&self) -> MutexGuard<'_, HashMap<Lane, Arc<Hub>>> {
        self.hubs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn open(&self) -> Result<(), Error> {
        if self.closed.load(Ordering::Acquire) { Err(Error::Closed) } else { Ok(()) }
    }

    /// Declares what the lane stands on, once. Whoever does not wait for it to the end leaves it to go on.
    pub(super) async fn ready(self: &Arc<Self>, lane: &Lane) -> Result<(), Error> {
        if self.declared().contains(lane) {
            return Ok(());
        }
        let (core, lane) = (Arc::clone(self), lane.clone());
        let declaring = tokio::spawn(async move {
            let _alone = core.declaring.lock().await;
            if core.declared().contains(&lane) {
                return Ok(());
            }
            within(DECLARE_WITHIN, declare::declare(&core.asking, &Plan::of(&lane))).await?;
            core.declared().insert(lane);
            Ok(())
        });
        declaring.await.unwrap_or(Err(Error::Closed))
    }

    /// Returns the lanes that were declared.
    pub(super) fn declared(&self) -> MutexGuard<'_, BTreeSet<Lane>> {
        self.declared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the lane declared again when something of it turned out to be missing: somebody deleted it.
    pub(super) fn noted<T>(&self, lane: &Lane, result: &Result<T, Error>) {
        if result.as_ref().is_err_and(is_missing) {
            self.declared().remove(lane);
        }
    }
}
