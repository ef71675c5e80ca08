//! The deletion of an object that is created anew at once.

use std::time::Duration;

use tokio::time::Instant;
use tokio::time::sleep;

use crate::application::Propagation;
use crate::cluster::Cluster;
use crate::cluster::Deleted;
use crate::object::Live;

use super::Error;
use super::Reconciler;
use super::write::By;

/// How long may an object take to be gone? Past that the pass is put back, and finds it being deleted.
const GONE_WITHIN: Duration = Duration::from_secs(20);

/// How often is looked whether it is gone?
const LOOK_EVERY: Duration = Duration::from_millis(100);

impl Reconciler {
    /// Deletes an object, while this run holds the fence and the object is the one that was read, and waits until it is
    /// gone.
    ///
    /// # Errors
    /// Another run that took the fence; the server's refusal; an object that is not gone in time.
    pub(super) async fn remove(&self, cluster: &Cluster, by: &By, old: &Live) -> Result<(), Error> {
        self.still_ours(&by.target, &by.parent).await?;
        let (held, how) = ((&by.target, &by.parent), Propagation::Background);
        if self.delete(cluster, &by.kinds, held, old.clone(), how).await? == Deleted::Gone {
            return Ok(());
        }
        let until = Instant::now() + GONE_WITHIN;
        loop {
            let object = [(old.api_version.as_str(), &old.id)];
            let found = match cluster.read(&by.kinds, &object).await {
                Ok(found) => found.into_iter().next(),
                Err(errors) => match errors.into_iter().next() {
                    Some(error) => return Err(error.into()),
                    None => None,
                },
            };
            // Another one in its place is not ours to delete; creating ours runs into it.
            if found.is_none_or(|live| live.uid() != old.uid()) {
                return Ok(());
            }
            if Instant::now() >= until {
                return Err(Error::Leaving(old.id.clone()));
            }
            sleep(LOOK_EVERY).await;
        }
    }
}
