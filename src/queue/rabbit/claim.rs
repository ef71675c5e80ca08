//! How idle processes take work over from busy ones.
//!
//! Which process gets a queue of a lane is settled by numbers that are as good as drawn by lot (see `names`), so one
//! process may have twice the share of another. Whoever has worked on a message that had to wait, and now has nothing left
//! to do, therefore looks for queues where messages wait, and claims some: it consumes them anew with a higher number
//! than whoever has them. The broker lets the other one finish what it has, and then gives the queue away. While no
//! message has to wait, nobody looks.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;

use crate::fault::chain;
use crate::queue::Lane;
use crate::queue::clock;
use crate::queue::rabbit::core::Core;
use crate::queue::rabbit::declare::counts;
use crate::queue::rabbit::hub::Hub;
use crate::queue::rabbit::names;

/// How long is whoever has nothing to do patient before it looks? What is on its way arrives meanwhile.
const LOOK_AFTER: Duration = Duration::from_millis(50);
/// How often does it look in a row, as long as there is something to claim?
const LOOKS: u32 = 6;
/// How many milliseconds must a message have waited for a sign that there is too much work somewhere?
pub(super) const LATE_MS: u64 = 250;
/// Numbers of claims count the seconds from here on, the start of 2026: a later claim outdoes an earlier one.
const SINCE_MS: i64 = 1_767_225_600_000;

/// The claims of a process on a queue: the number of the latest, 0 for none.
pub(super) type Claims = watch::Receiver<i32>;

/// The queues of a lane, each with where its consumer hears of claims.
pub(super) struct Claimer {
    pub(super) core: Arc<Core>,
    pub(super) lane: Lane,
    pub(super) hub: Arc<Hub>,
    pub(super) queues: Vec<(String, watch::Sender<i32>)>,
}

impl Claimer {
    /// Looks for work whenever there was some and none is left, for ever.
    pub(super) async fn run(self) {
        loop {
            self.hub.waited.notified().await;
            for look in 0..LOOKS {
                // why: what was claimed before takes a while to come, too.
                sleep(LOOK_AFTER.saturating_mul(1 << look)).await;
                let idle = self.hub.idle();
                if idle == 0 {
                    break;
                }
                match self.claim(idle).await {
                    Ok(0) => break,
                    Ok(_) => {}
                    Err(error) => {
                        tracing::debug!(lane = %self.lane, error = %chain(&error), "failed to look for work");
                        break;
                    }
                }
            }
        }
    }

    /// Claims up to `most` queues in which messages wait, those with the most first; returns how many.
    async fn claim(&self, most: usize) -> Result<usize, crate::queue::Error> {
        let names: Vec<String> = self.queues.iter().map(|(name, _)| name.clone()).collect();
        let counted = counts(&self.core.asking, &names).await?;
        let seed = uuid::Uuid::now_v7().to_string();
        let mut waiting: Vec<_> = self.queues.iter().zip(counted).filter(|(_, count)| *count > 0).collect();
        // In another order each time, so that several who look at once claim different ones.
        waiting.sort_by_key(|((name, _), count)| (std::cmp::Reverse(*count), names::priority(&seed, name)));
        waiting.truncate(most);
        for ((name, claims), count) in &waiting {
            tracing::debug!(queue = %name, count, "claimed");
            claims.send_replace(number(clock::wall().0));
        }
        Ok(waiting.len())
    }
}

/// Returns the number of a claim that is made at that time, in milliseconds: higher than all that are drawn.
fn number(now_ms: i64) -> i32 {
    let seconds = now_ms.saturating_sub(SINCE_MS) / 1_000;
    let most = i64::from(i32::MAX - names::PRIORITIES);
    names::PRIORITIES.saturating_add(i32::try_from(seconds.clamp(0, most)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::SINCE_MS;
    use super::number;
    use crate::queue::rabbit::names;

    #[test]
    fn a_claim_outdoes_every_lot_and_every_earlier_claim() {
        let times = [0, SINCE_MS, SINCE_MS + 999, SINCE_MS + 1_000, SINCE_MS + 1_000_000_000_000, i64::MAX];
        let expected = [0, 0, 0, 1, 1_000_000_000, i32::MAX - names::PRIORITIES];
        for (time, seconds) in times.into_iter().zip(expected) {
            assert_eq!(number(time), names::PRIORITIES + seconds, "{time}");
        }
        assert!((0..1_000).all(|lot| names::priority("worker", &lot.to_string()) < number(0)));
    }
}
