//! Duties: what one process at a time does for all that share a queue.
//!
//! A duty is a message in a lane of its own, of which one process at a time is given any: whoever has it on loan has the
//! duty. When that process ends, hangs or is cut off, the queue gives the message to another one. The embedded queue
//! belongs to one process alone, and so do all its duties.

use std::time::Duration;

use crate::queue::Draft;
use crate::queue::Error;
use crate::queue::Lane;
use crate::queue::Lease;
use crate::queue::Queue;
use crate::queue::Settled;

/// How often is a worn message replaced in one go?
const REPLACED: u32 = 3;

/// The tenure of a duty, by this process, for as long as the queue says so.
#[derive(Debug)]
#[must_use]
pub struct Tenure {
    /// Nothing where no other process could have the duty.
    lease: Option<Lease>,
}

impl Queue {
    /// Assumes the duty of that name, waiting up to `wait` for whoever has it to leave. A tenure has to be confirmed by
    /// [`Queue::still_holds`] more often than every [`crate::queue::LEASE_FOR`].
    ///
    /// # Errors
    /// The queue cannot be read or written.
    pub async fn assume(&self, name: &str, wait: Duration) -> Result<Option<Tenure>, Error> {
        if matches!(self, Self::Sqlite(_)) {
            return Ok(Some(Tenure { lease: None }));
        }
        let lane = Lane::duty(name);
        for _ in 0..REPLACED {
            // One message more than is on loan does no harm, and one that was lost is made good.
            if self.depth(&lane).await?.count == 0 {
                self.publish(vec![token(&lane)]).await?;
            }
            let Some(lease) = self.next(&lane, wait).await? else { return Ok(None) };
            if lease.deliveries == 1 {
                return Ok(Some(Tenure { lease: Some(lease) }));
            }
            // Each change of hands counts as a delivery, and there may be so many only: a fresh message takes its place.
            self.publish(vec![token(&lane)]).await?;
            let _settled = self.ack(&lease).await?;
        }
        Ok(None)
    }

    /// Confirms a tenure.
    ///
    /// # Errors
    /// The queue does not say; the duty may be another process's.
    pub async fn still_holds(&self, tenure: &Tenure) -> Result<Settled, Error> {
        match &tenure.lease {
            Some(lease) => self.extend(lease).await,
            None => Ok(Settled::Done),
        }
    }
}

impl Queue {
    /// Waits until a tenure may have been lost.
    pub async fn tenure_shaken(&self, tenure: &Tenure) {
        match &tenure.lease {
            Some(lease) => self.shaken(lease).await,
            None => std::future::pending().await,
        }
    }
}

fn token(lane: &Lane) -> Draft {
    let name = lane.to_string();
    let id = uuid::Uuid::now_v7().to_string();
    Draft { lane: lane.clone(), id, partition: name.clone(), body: name, trace: None }
}
