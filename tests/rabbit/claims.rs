//! Who has nothing to do takes work over from who has too much.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;

use sha2::Digest;
use sha2::Sha256;
use tokio::time::Instant;
use windlass::queue::Queue;
use windlass::queue::Settled;

use crate::contract::queue::A_WHILE;
use crate::contract::queue::SOON;
use crate::contract::queue::draft;
use crate::contract::queue::lane;
use crate::world::broker::Ground;

/// How many messages are there, each of a partition of its own?
const MESSAGES: usize = 768;
/// How many of them are published at once?
const PART: usize = 64;
/// How long does the work on one take?
const WORK: Duration = Duration::from_millis(15);
/// How many queues of 64 does the one with the poor lot have at most?
const POOR: usize = 18;

/// Returns how many queues of the lane a worker gets by lot against another.
fn share(worker: &str, other: &str) -> usize {
    let number = |worker: &str, queue: usize| {
        let mut hash = Sha256::new();
        hash.update(format!("{worker}\0windlass.{}.{queue}\0", lane()));
        let bytes: [u8; 32] = hash.finalize().into();
        u64::from_be_bytes(*bytes.first_chunk().unwrap()) >> 34
    };
    (0..64).filter(|queue| number(worker, *queue) > number(other, *queue)).count()
}

fn work(queue: &Queue, done: &Arc<AtomicUsize>) -> tokio::task::JoinHandle<()> {
    let (queue, done) = (queue.clone(), Arc::clone(done));
    tokio::spawn(async move {
        while let Ok(next) = queue.next(&lane(), A_WHILE).await {
            let Some(lease) = next else { continue };
            // why: work takes a while.
            tokio::time::sleep(WORK).await;
            let Ok(settled) = queue.ack(&lease).await else { return };
            assert_eq!(settled, Settled::Done);
            done.fetch_add(1, Ordering::Relaxed);
        }
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_with_a_poor_lot_takes_over_from_one_with_a_rich_one() {
    let ground = Ground::new().await;
    let poor = (0..).map(|number| format!("poor-{number}")).find(|name| share(name, "rich") <= POOR).unwrap();
    let (rich, poor) = (ground.options("rich"), ground.options(&poor));
    let (rich, poor) = (Queue::connect(rich).await.unwrap(), Queue::connect(poor).await.unwrap());
    let (by_rich, by_poor) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
    let workers = [work(&rich, &by_rich), work(&poor, &by_poor)];
    let drafts: Vec<_> =
        (0..MESSAGES).map(|number| draft(&format!("p{number}"), &number.to_string())).collect();
    for part in drafts.chunks(PART) {
        rich.publish(part.to_vec()).await.unwrap();
    }
    let end = Instant::now() + SOON * 12;
    let done = || [&by_rich, &by_poor].map(|count| count.load(Ordering::Relaxed));
    while done().iter().sum::<usize>() < MESSAGES {
        assert!(Instant::now() < end, "it ends: {:?}", done());
        // why: nobody tells when the last one is done.
        tokio::time::sleep(WORK).await;
    }
    let [rich_did, poor_did] = done();
    // By lot it would be 28 percent at most.
    assert!(poor_did * 3 >= MESSAGES, "the rich did {rich_did} and the poor {poor_did}");
    rich.close().await;
    poor.close().await;
    for worker in workers {
        worker.await.unwrap();
    }
}
