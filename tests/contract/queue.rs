//! What every queue promises. Each case takes a maker; all queues that it makes stand on the same, at first empty,
//! ground, and hold leases for as long as it is told.

use std::time::Duration;

use windlass::queue::Draft;
use windlass::queue::Lane;
use windlass::queue::Lease;
use windlass::queue::Queue;

pub mod line;
pub mod loans;

/// How long may anything take that is bound to happen?
pub const SOON: Duration = Duration::from_secs(20);
/// How long is long enough to see that nothing happens?
pub const A_WHILE: Duration = Duration::from_millis(200);
pub const AT_ONCE: Duration = Duration::ZERO;

pub fn lane() -> Lane {
    Lane::jobs("shared")
}

pub fn draft(partition: &str, id: &str) -> Draft {
    Draft { lane: lane(), id: id.to_owned(), partition: partition.to_owned(), body: format!("body of {id}") }
}

pub async fn publish(queue: &Queue, drafts: &[(&str, &str)]) {
    queue.publish(drafts.iter().map(|(partition, id)| draft(partition, id)).collect()).await.unwrap();
}

pub async fn take(queue: &Queue) -> Lease {
    queue.next(&lane(), SOON).await.unwrap().expect("a message")
}

pub async fn nothing_is_left(queue: &Queue) {
    assert_eq!(queue.next(&lane(), AT_ONCE).await.unwrap(), None);
}
