//! Duties: work that one process does for all, and that another takes over when it ends.

use std::future::Future;
use std::time::Duration;

use tokio::task::JoinSet;

use crate::fault::chain;
use crate::queue::LEASE_FOR;
use crate::queue::Queue;
use crate::queue::Settled;
use crate::queue::Tenure;

use super::REST;
use super::Stop;
use super::told;

/// How often is made sure that a duty is still this process's?
const SURE_EVERY: Duration = Duration::from_secs(5);

// Whoever holds a duty finds out that it is lost before somebody else could hold it by the lapse of time.
const _: () = assert!(SURE_EVERY.as_secs() * 2 < LEASE_FOR.as_secs());

/// Does the work of a duty whenever it is this process's, until told to stop. The work is dropped when the duty is lost.
pub(super) async fn hold<F, W>(name: String, queue: Queue, mut stop: Stop, work: F)
where
    F: Fn(Stop) -> W + Send + 'static,
    W: Future<Output = ()> + Send + 'static,
{
    while !*stop.borrow() {
        let assumed = tokio::select! {
            assumed = queue.assume(&name, LEASE_FOR) => assumed,
            () = told(&mut stop) => return,
        };
        match assumed {
            Ok(Some(tenure)) => {
                tracing::info!(duty = %name, "this process has the duty");
                let working = work(stop.clone());
                serve(&name, &queue, &tenure, working, &mut stop).await;
            }
            Ok(None) => {}
            Err(error) => {
                tracing::debug!(duty = %name, "failed to {}", chain(&error));
                tokio::time::sleep(REST).await;
            }
        }
    }
}

/// Does the work until the duty is lost, or told to stop.
async fn serve(
    name: &str,
    queue: &Queue,
    tenure: &Tenure,
    work: impl Future<Output = ()> + Send + 'static,
    stop: &mut Stop,
) {
    let mut working = JoinSet::new();
    working.spawn(work);
    tokio::select! {
        () = lost(name, queue, tenure) => {
            tracing::warn!(duty = name, "the duty is another process's now");
        }
        () = told(stop) => {}
    }
    working.shutdown().await;
}

/// Waits until the duty is another's.
async fn lost(name: &str, queue: &Queue, tenure: &Tenure) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(SURE_EVERY) => {}
            () = queue.tenure_shaken(tenure) => {}
        }
        match queue.still_holds(tenure).await {
            Ok(Settled::Done) => {}
            Ok(Settled::Lost) => return,
            Err(error) => {
                // Who cannot be sure of it must not act as if it were.
                tracing::warn!(duty = name, "failed to {}", chain(&error));
                return;
            }
        }
    }
}
