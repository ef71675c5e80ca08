//! How idle processes take work over from busy ones.
//!
//! Which process gets a queue of a lane is settled by numbers that are as good as drawn by lot (see `names`), so one
//! process may have twice the share of another. Whoever has worked on a message that had to wait, and now has nothing left
//! to do, therefore looks for queues where messages wait, and claims some: it consumes them anew with a higher number
//! than whoever has them. The broker lets the other one finish what it has, and then gives the queue away. Whoever has
//! nothing to do looks now and then without having seen that, since it may have joined late. What waits at two looks in a
//! row, and of which nothing is here, is another's: what is this process's own arrives in between.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tokio::time::sleep;

use crate::fault::chain;
use crate::queue::Error;
use crate::queue::Lane;
use crate::queue::clock;
use crate::queue::rabbit::core::Core;
use crate::queue::rabbit::declare::counts;
use crate::queue::rabbit::hub::Hub;
use crate::queue::rabbit::names;

/// How long is whoever has nothing to do patient before it looks? What is on its way arrives meanwhile.
const LOOK_AFTER: Duration = Duration::from_millis(20);
/// How often does it look in a row, as long as there is something to claim?
const LOOKS: u32 = 8;
/// How often does whoever has nothing to do look without a cause?
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How many milliseconds must a message have waited for a sign that there is too much work somewhere?
pub(super) const LATE_MS: u64 = 250;
/// Numbers of claims count the seconds from here on, the start of 2026: a later claim outdoes an earlier one.
const SINCE_MS: i64 = 1_767_225_600_000;

/// For how long after the start of a consumer, or after its last message, may its queue be this process's?
const OURS_FOR: Duration = Duration::from_millis(500);

/// What the consumer of a queue and whoever claims it know of each other.
#[derive(Debug)]
pub(super) struct Stake {
    pub(super) queue: String,
    /// The number of the latest claim, 0 for none.
    claim: watch::Sender<i32>,
    heard: Mutex<Instant>,
}

impl Stake {
    pub(super) fn new(queue: String) -> Arc<Self> {
        Arc::new(Self { queue, claim: watch::Sender::new(0), heard: Mutex::new(Instant::now()) })
    }

    /// Returns what tells of claims.
    pub(super) fn claims(&self) -> watch::Receiver<i32> {
        self.claim.subscribe()
    }

    /// Notes that the consumer began, or brought something.
    pub(super) fn note(&self) {
        *self.heard.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// Returns whether the broker may be about to bring more.
    pub(super) fn may_be_ours(&self) -> bool {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).elapsed() < OURS_FOR
    }
}

/// Who claims queues of a lane.
pub(super) struct Claimer {
    pub(super) core: Arc<Core>,
    pub(super) lane: Lane,
    pub(super) hub: Arc<Hub>,
    pub(super) stakes: Vec<Arc<Stake>>,
}

impl Claimer {
    /// Looks for work whenever there was some and none is left, for ever.
    pub(super) async fn run(self) {
        loop {
            self.cause().await;
            let mut before = BTreeSet::new();
            for look in 0..LOOKS {
                // why: what was claimed before takes a while to come, too.
                sleep(LOOK_AFTER.saturating_mul(1 << look)).await;
                let idle = self.hub.idle();
                if idle == 0 {
                    break;
                }
                match self.waiting().await {
                    Ok(waiting) if waiting.is_empty() => break,
                    Ok(waiting) => before = self.claim(waiting, &before, idle),
                    Err(error) => {
                        tracing::debug!(lane = %self.lane, error = %chain(&error), "failed to look for work");
                        break;
                    }
                }
            }
        }
    }

    /// Waits until there was too much work somewhere, or whoever has nothing to do has had nothing for a while: a worker
    /// that joins those who have claimed the queues of a lane is given none by lot.
    async fn cause(&self) {
        loop {
            tokio::select! {
                () = self.hub.waited.notified() => return,
                () = sleep(LOOK_EVERY) => if self.hub.idle() > 0 { return },
            }
        }
    }

    /// Returns the queues in which messages wait, as numbers of this process's list: those with the most first.
    async fn waiting(&self) -> Result<Vec<usize>, Error> {
        let names: Vec<String> = self.stakes.iter().map(|stake| stake.queue.clone()).collect();
        let counted = counts(&self.core.asking, &names).await?;
        let seed = uuid::Uuid::now_v7().to_string();
        let mut waiting: Vec<_> = counted.into_iter().enumerate().filter(|(_, count)| *count > 0).collect();
        // In another order each time, so that several who look at once claim different ones.
        let lot = |queue: usize| names.get(queue).map(|name| names::priority(&seed, name));
        waiting.sort_by_key(|(queue, count)| (Reverse(*count), lot(*queue)));
        Ok(waiting.into_iter().map(|(queue, _)| queue).collect())
    }

    /// Claims up to `most` of those queues that were seen before, too; returns all that were seen now.
    fn claim(&self, waiting: Vec<usize>, before: &BTreeSet<usize>, most: usize) -> BTreeSet<usize> {
        let again = waiting.iter().filter(|queue| before.contains(queue));
        let others = again.filter_map(|queue| self.stakes.get(*queue)).filter(|stake| !stake.may_be_ours());
        for stake in others.take(most) {
            tracing::debug!(queue = %stake.queue, "claimed");
            stake.claim.send_replace(number(clock::wall().0));
        }
        waiting.into_iter().collect()
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
