//! Reads bodies, within bounds of size, time and memory.

use std::sync::Arc;

use actix_web::web;
use futures::StreamExt;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::Semaphore;

use crate::server::limits::Limits;
use crate::server::problem::Refusal;

/// How many bytes of bodies may be in memory at once, over all connections, beside the small share of each? At least one
/// of the largest fits.
const BODIES_BYTES: usize = 64 << 20;
/// How many bytes of each body come from a share of their own? Most deliveries are smaller, so that whoever holds back
/// large bodies takes nothing from them: there is as much for every connection, up to [`BODIES_BYTES`].
const SMALL_BYTES: usize = 64 << 10;
/// How much room is made for a body at first?
const FIRST_BYTES: usize = 16 << 10;

/// The memory that all bodies share: strangers cannot take more, however many connections they open.
pub struct Budget {
    small: Arc<Semaphore>,
    large: Arc<Semaphore>,
}

impl Budget {
    /// Sets the memory aside.
    pub fn new(limits: &Limits) -> Self {
        let small = limits.connections.saturating_mul(SMALL_BYTES).min(BODIES_BYTES);
        let large = BODIES_BYTES.max(limits.body_bytes);
        Self { small: Arc::new(Semaphore::new(small)), large: Arc::new(Semaphore::new(large)) }
    }

    /// Takes what a body needs to grow from one size to another.
    fn take(&self, from: usize, to: usize) -> Result<[OwnedSemaphorePermit; 2], Refusal> {
        let small = to.min(SMALL_BYTES) - from.min(SMALL_BYTES);
        let large = to.max(SMALL_BYTES) - from.max(SMALL_BYTES);
        Ok([share(&self.small, small)?, share(&self.large, large)?])
    }
}

fn share(all: &Arc<Semaphore>, bytes: usize) -> Result<OwnedSemaphorePermit, Refusal> {
    let permits = u32::try_from(bytes).map_err(|_| Refusal::TooLarge)?;
    all.clone().try_acquire_many_owned(permits).map_err(|_| Refusal::Unavailable)
}

/// A whole body, and its share of the budget for as long as it lives.
pub struct Body {
    /// The bytes as they came.
    pub bytes: Vec<u8>,
    /// For how many bytes there is room; as much was taken from the budget.
    room: usize,
    /// A few: the room doubles each time.
    shares: Vec<[OwnedSemaphorePermit; 2]>,
}

impl Body {
    fn add(&mut self, chunk: &[u8], limits: &Limits, budget: &Budget) -> Result<(), Refusal> {
        let length = self.bytes.len().saturating_add(chunk.len());
        if length > limits.body_bytes {
            return Err(Refusal::TooLarge);
        }
        if length > self.room {
            let room = self.room.saturating_mul(2).max(FIRST_BYTES).min(limits.body_bytes).max(length);
            self.shares.push(budget.take(self.room, room)?);
            self.bytes.reserve_exact(room.saturating_sub(self.bytes.len()));
            self.room = room;
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
    let mut body = Body { bytes: Vec::new(), room: 0, shares: Vec::new() };
    let all = async {
        while let Some(chunk) = payload.next().await {
            body.add(&chunk.map_err(|_| Refusal::Broken)?, limits, budget)?;
        }
        Ok(())
    };
    tokio::time::timeout(limits.body_within, all).await.map_err(|_| Refusal::Slow)??;
    Ok(body)
}
