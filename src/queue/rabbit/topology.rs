//! What has to be at the broker for a lane, as data.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::queue::DEAD_LISTED;
use crate::queue::DELIVERY_LIMIT;
use crate::queue::Lane;
use crate::queue::rabbit::ladder::RUNGS;
use crate::queue::rabbit::names;

/// How long may a message be on loan, signs of life or not, before the broker takes it back?
const LONGEST_LOAN: Duration = Duration::from_hours(24);

/// Exchanges, and then queues that are bound to them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) exchanges: Vec<Exchange>,
    pub(super) queues: Vec<Queue>,
}

/// An exchange. Each but that of the unrouted messages gives what it cannot route to that one, so nothing is lost when
/// a queue is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Exchange {
    pub(super) name: String,
    /// Whether it chooses by key; else every queue gets everything.
    pub(super) keyed: bool,
    pub(super) alternate: Option<&'static str>,
}

/// A durable, replicated queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Queue {
    pub(super) name: String,
    pub(super) exchange: String,
    pub(super) key: String,
    pub(super) arguments: Vec<(&'static str, Argument)>,
}

/// The value of an argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Argument {
    Text(String),
    Number(i64),
    Yes,
}

impl Plan {
    /// Returns all that `lane` stands on.
    pub(super) fn of(lane: &Lane) -> Self {
        let mut plan = Self::default();
        plan.exchanges.push(Exchange { name: names::UNROUTED.to_owned(), keyed: false, alternate: None });
        plan.queues.push(queue(names::UNROUTED.to_owned(), names::UNROUTED.to_owned(), unlimited()));
        plan.fan(names::dead(lane), dead());
        for rung in RUNGS {
            plan.fan(names::rung(lane, rung), waiting(lane, rung));
        }
        plan.exchanges.push(Exchange {
            name: names::exchange(lane),
            keyed: true,
            alternate: Some(names::UNROUTED),
        });
        for number in 0..names::shape(lane).queues {
            let work = queue(names::queue(lane, number), names::exchange(lane), working(lane));
            plan.queues.push(Queue { key: number.to_string(), ..work });
        }
        plan
    }

    /// Returns all that these lanes stand on; what several share is named once.
    pub(super) fn of_all(lanes: &[Lane]) -> Self {
        let mut all = Self::default();
        let mut names = BTreeSet::new();
        for Self { exchanges, queues } in lanes.iter().map(Self::of) {
            all.exchanges
                .extend(exchanges.into_iter().filter(|one| names.insert(("exchange", one.name.clone()))));
            all.queues.extend(queues.into_iter().filter(|one| names.insert(("queue", one.name.clone()))));
        }
        all
    }

    /// Adds an exchange and the one queue behind it, which has its name.
    fn fan(&mut self, name: String, arguments: Vec<(&'static str, Argument)>) {
        let alternate = Some(names::UNROUTED);
        self.exchanges.push(Exchange { name: name.clone(), keyed: false, alternate });
        self.queues.push(queue(name.clone(), name, arguments));
    }
}

fn queue(name: String, exchange: String, mut arguments: Vec<(&'static str, Argument)>) -> Queue {
    arguments.push(("x-queue-type", Argument::Text("quorum".to_owned())));
    Queue { name, exchange, key: String::new(), arguments }
}

/// Work: one consumer at a time where order matters, and to the dead what is delivered too often.
fn working(lane: &Lane) -> Vec<(&'static str, Argument)> {
    let mut arguments = sending_on(names::dead(lane));
    arguments.push(("x-delivery-limit", Argument::Number(i64::from(DELIVERY_LIMIT))));
    arguments.push(("x-consumer-timeout", Argument::Number(millis(LONGEST_LOAN))));
    if names::shape(lane).single {
        arguments.push(("x-single-active-consumer", Argument::Yes));
    }
    arguments
}

/// A rung: everything goes back to the lane after a time, with the key that it came with.
fn waiting(lane: &Lane, rung: Duration) -> Vec<(&'static str, Argument)> {
    let mut arguments = sending_on(names::exchange(lane));
    arguments.push(("x-message-ttl", Argument::Number(millis(rung))));
    arguments
}

/// Dead messages: the latest of them.
fn dead() -> Vec<(&'static str, Argument)> {
    let mut arguments = unlimited();
    arguments.push(("x-max-length", Argument::Number(i64::from(DEAD_LISTED))));
    arguments
}

/// Reading the messages and putting them back may be done as often as anybody likes.
fn unlimited() -> Vec<(&'static str, Argument)> {
    vec![("x-delivery-limit", Argument::Number(-1))]
}

/// At least once, which the broker keeps only for queues that refuse what they have no room for.
fn sending_on(exchange: String) -> Vec<(&'static str, Argument)> {
    vec![
        ("x-dead-letter-exchange", Argument::Text(exchange)),
        ("x-dead-letter-strategy", Argument::Text("at-least-once".to_owned())),
        ("x-overflow", Argument::Text("reject-publish".to_owned())),
    ]
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lanes() -> [Lane; 4] {
        [Lane::events(), Lane::jobs("shared"), Lane::watch("shared"), Lane::reports()]
    }

    #[test]
    fn every_queue_is_replicated_and_hangs_on_an_exchange_of_the_plan() {
        for lane in lanes() {
            let plan = Plan::of(&lane);
            for queue in &plan.queues {
                let quorum = ("x-queue-type", Argument::Text("quorum".to_owned()));
                assert!(queue.arguments.contains(&quorum), "{queue:?}");
                assert!(plan.exchanges.iter().any(|exchange| exchange.name == queue.exchange), "{queue:?}");
            }
        }
    }

    #[test]
    fn what_lanes_share_is_named_once() {
        let all = Plan::of_all(&lanes());
        let unrouted = |name: &str| name == names::UNROUTED;
        assert_eq!(all.exchanges.iter().filter(|one| unrouted(&one.name)).count(), 1);
        assert_eq!(all.queues.iter().filter(|one| unrouted(&one.name)).count(), 1);
        let apart: usize = lanes().iter().map(|lane| Plan::of(lane).queues.len()).sum();
        assert_eq!(all.queues.len(), apart - (lanes().len() - 1));
    }

    #[test]
    fn nothing_that_an_exchange_cannot_route_is_dropped() {
        for exchange in lanes().iter().flat_map(|lane| Plan::of(lane).exchanges) {
            assert!(exchange.alternate.is_some() || exchange.name == names::UNROUTED, "{exchange:?}");
        }
    }

    #[test]
    fn whatever_is_sent_on_is_sent_at_least_once() {
        for queue in lanes().iter().flat_map(|lane| Plan::of(lane).queues) {
            let says = |name| queue.arguments.iter().any(|(argument, _)| *argument == name);
            assert_eq!(says("x-dead-letter-exchange"), says("x-dead-letter-strategy"), "{queue:?}");
            assert_eq!(says("x-dead-letter-exchange"), says("x-overflow"), "{queue:?}");
        }
    }

    #[test]
    fn a_lane_has_as_many_queues_as_it_has_places() {
        for (lane, work) in lanes().iter().zip([16, 64, 1, 1]) {
            // The unrouted, the dead and the rungs come to them.
            assert_eq!(Plan::of(lane).queues.len(), work + 2 + RUNGS.len(), "{lane}");
        }
    }
}
