//! Holding a message while it is worked on.

use std::future::Future;
use std::future::pending;
use std::time::Duration;

use crate::queue::Error;
use crate::queue::LEASE_FOR;
use crate::queue::Lane;
use crate::queue::Lease;
use crate::queue::Queue;
use crate::queue::Settled;

/// How often is the queue told that a message is still worked on?
const SIGN_OF_LIFE: Duration = Duration::from_secs(10);

// One sign of life may fail to come in time, and the message is still held.
const _: () = assert!(SIGN_OF_LIFE.as_secs() * 2 < LEASE_FOR.as_secs());

impl Queue {
    /// Works on a message while telling the queue that it does; `None` when the message was given to somebody else,
    /// which ends the work where it stands.
    ///
    /// # Errors
    /// The queue cannot be told: whose the message is, is not known then, and the work ends, too.
    pub async fn holding<T>(&self, lease: &Lease, work: impl Future<Output = T>) -> Result<Option<T>, Error> {
        let mut work = std::pin::pin!(work);
        loop {
            tokio::select! {
                ended = &mut work => return Ok(Some(ended)),
                () = tokio::time::sleep(SIGN_OF_LIFE) => {}
                () = self.shaken(lease) => {}
            }
            if self.extend(lease).await? == Settled::Lost {
                return Ok(None);
            }
        }
    }

    /// Returns how many messages of a lane this process has and has not ended; of an embedded queue, all of them. Unlike
    /// [`Queue::depth`], it asks no broker.
    ///
    /// # Errors
    /// The embedded queue cannot be read.
    pub async fn held(&self, lane: &Lane) -> Result<u64, Error> {
        match self {
            Self::Sqlite(queue) => queue.depth(lane).await.map(|depth| depth.count),
            Self::Rabbit(queue) => Ok(queue.held(lane)),
        }
    }

    /// Waits until the lease may have been lost earlier than by its time.
    pub(super) async fn shaken(&self, lease: &Lease) {
        match self {
            Self::Sqlite(_) => pending().await,
            Self::Rabbit(queue) => queue.shaken(lease).await,
        }
    }
}
