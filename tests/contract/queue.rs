//! What every queue promises. Each case takes a maker; all queues that it makes stand on the same, at first empty,
//! ground, and hold leases for as long as it is told.

use std::time::Duration;

use windlass::queue::Draft;
use windlass::queue::Lane;
use windlass::queue::Lease;
use windlass::queue::Queue;

pub mod line;
pub mod loans;

/// All cases; a form of queue brings the macro that makes tests of them.
macro_rules! every_case {
    ($keeps:ident) => {
        $keeps! { line:
            a_partition_is_delivered_in_order_and_one_at_a_time
            partitions_do_not_wait_for_each_other
            lanes_know_nothing_of_each_other
            a_retried_message_gives_up_its_place
            what_is_put_off_comes_back_in_time_and_holds_nobody_up
            what_is_postponed_was_not_tried
            what_is_postponed_gives_up_its_place
            a_publish_is_all_or_nothing
            what_is_too_long_or_too_much_is_refused
            the_depth_counts_what_is_not_settled
            what_is_held_is_what_was_taken_and_did_not_end
            a_closed_queue_answers_and_opens_again
            a_buried_message_is_listed_with_its_reason
            a_dead_message_can_be_replayed
            the_trace_of_a_message_rides_with_it_whatever_becomes_of_it
            a_dead_message_can_be_discarded_for_good
            the_latest_dead_come_first_and_no_more_than_asked
        }
        $keeps! { loans:
            a_lease_ends_and_the_late_holder_is_told
            a_sign_of_life_keeps_the_lease
            a_crash_loses_nothing_that_was_confirmed
            a_message_that_is_never_settled_is_buried_in_the_end
            who_waits_is_woken_by_whatever_frees_a_message
            many_who_wait_are_woken_together
            a_call_that_is_dropped_takes_nothing
            a_thousand_messages_of_eight_consumers_are_all_accounted_for
        }
    };
}
pub(crate) use every_case;

/// How long may anything take that is bound to happen?
pub const SOON: Duration = Duration::from_secs(20);
/// How long is long enough to see that nothing happens?
pub const A_WHILE: Duration = Duration::from_millis(200);
pub const AT_ONCE: Duration = Duration::ZERO;

/// The lane of all cases. Of the partitions that they name, no two stand in one line at the broker, where there are
/// fewer lines than partitions.
pub fn lane() -> Lane {
    Lane::jobs("shared")
}

pub fn draft(partition: &str, id: &str) -> Draft {
    let body = format!("body of {id}");
    Draft { lane: lane(), id: id.to_owned(), partition: partition.to_owned(), body, trace: None }
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
