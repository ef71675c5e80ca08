//! Reads bodies, within bounds of size, time and memory.

use std::sync::Arc;

use actix_web::web;
use futures::StreamExt;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::Semaphore;

use crate::server::limits::Limits;
use crate::server::problem::Refusal;

/// How many bytes of bodies may be in memory at once, over all connections? At least one of the largest fits.
const BODIES_BYTES: usize = 64 << 20;
/// How many bytes are set aside for a body before any of it has come?
const FIRST_BYTES: usize = 16 << 10;

/// The memory that all bodies share: strangers cannot take more, however many connections they open.
pub struct Budget(Arc<Semaphore>);

impl Budget {
    /// Sets the memory aside.
    pub fn new(limits: &Limits) -> Self {
        Self(Arc::new(Semaphore::new(BODIES_BYTES.max(limits.body_bytes))))
    }

    fn take(&self, bytes: usize) -> Result<OwnedSemaphorePermit, Refusal> {
        let permits = u32::try_from(bytes).map_err(|_| Refusal::TooLarge)?;
        self.0.clone().try_acquire_many_owned(permits).map_err(|_| Refusal::Unavailable)
    }
}

/// A whole body, and its share of the budget for as long as it lives.
pub struct Body {
    /// The bytes as they came.
    pub bytes: Vec<u8>,
    share: Option<OwnedSemaphorePermit>,
}

impl Body {
    fn add(&mut self, chunk: &[u8], limits: &Limits, budget: &Budget) -> Result<(), Refusal> {
        if self.bytes.len().saturating_add(chunk.len()) > limits.body_bytes {
            return Err(Refusal::TooLarge);
        }
        let more = budget.take(chunk.len())?;
        match &mut self.share {
            Some(share) => share.merge(more),
            None => self.share = Some(more),
        }
        self.bytes.extend_from_slice(chunk);
        Ok(())
    }
}

/// Reads a body to its end. `declared` is its length where the request names one.
pub async fn read(
    mut payload: web::Payload,
    declared: Option<usize>,
    limits: &Limits,
    budget: &Budget,
) -> Result<Body, Refusal> {
    if declared.is_some_and(|length| length > limits.body_bytes) {
        return Err(Refusal::TooLarge);
    }
    let bytes = Vec::with_capacity(declared.unwrap_or_default().min(FIRST_BYTES));
    let mut body = Body { bytes, share: None };
    let all = async {
        while let Some(chunk) = payload.next().await {
            body.add(&chunk.map_err(|_| Refusal::Broken)?, limits, budget)?;
        }
        Ok(())
    };
    tokio::time::timeout(limits.body_within, all).await.map_err(|_| Refusal::Slow)??;
    Ok(body)
}
