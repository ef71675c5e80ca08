//! What is at the broker, held against what has to be there; and making what is missing.
//!
//! Nothing that is there is changed. AMQP does not tell what is on loan, and the broker deletes no replicated queue on
//! the condition that it is empty, so windlass cannot know that it would lose nothing; whoever stops all workers can.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::TryStreamExt;
use futures::stream;

use crate::queue::ANSWER_WITHIN;
use crate::queue::Error;
use crate::queue::rabbit::Options;
use crate::queue::rabbit::address::Address;
use crate::queue::rabbit::declare;
use crate::queue::rabbit::difference;
use crate::queue::rabbit::failure::within;
use crate::queue::rabbit::failure::words;
use crate::queue::rabbit::link::Link;
use crate::queue::rabbit::topology::Exchange;
use crate::queue::rabbit::topology::Plan;
use crate::queue::rabbit::topology::Queue;

/// About how many things is the broker asked at once?
const AT_ONCE: usize = 8;
/// How long may it take to look at everything, and to make what is missing?
const WITHIN: Duration = Duration::from_mins(5);

/// An exchange or a queue that has to be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// `exchange` or `queue`.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// How it was found.
    pub state: State,
}

/// How something was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// As it should be.
    Equal,
    /// Not at all.
    Missing,
    /// In another way, as the broker tells it: of several differences, the first.
    Different(String),
}

impl fmt::Display for State {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Equal => "equal",
            Self::Missing => "missing",
            Self::Different(_) => "different",
        })
    }
}

/// Compares all that the lanes of `options` stand on with what is at the broker, and changes nothing there. Which queues
/// are bound to which exchanges cannot be asked, so it is not compared.
///
/// # Errors
/// The URL is none; the broker cannot be reached, is too old, or refuses the user, who must be one who may configure.
pub async fn survey(options: &Options) -> Result<Vec<Finding>, Error> {
    let (link, plan) = begin(options).await?;
    let found = within(WITHIN, compare(&link, &plan)).await;
    link.close().await;
    found
}

/// Makes what is missing, and binds all queues but those that are different, which stay as they are. Returns what was
/// found before.
///
/// # Errors
/// The URL is none; the broker cannot be reached, is too old, or refuses the user.
pub async fn furnish(options: &Options) -> Result<Vec<Finding>, Error> {
    let (link, plan) = begin(options).await?;
    let furnished = within(WITHIN, async {
        let found = compare(&link, &plan).await?;
        declare::make(&link, &without_different(plan, &found)).await?;
        Ok(found)
    });
    let found = furnished.await;
    link.close().await;
    found
}

async fn begin(options: &Options) -> Result<(Link, Plan), Error> {
    let address = Arc::new(Address::read(options)?);
    within(ANSWER_WITHIN, address.probe()).await?;
    let link = Link::new(address, format!("windlass {} looks at the queues", options.worker));
    Ok((link, Plan::of_all(&options.lanes)))
}

/// Leaves out what is there in another way: to declare it would fail.
fn without_different(plan: Plan, found: &[Finding]) -> Plan {
    let different = |kind: &str, name: &str| {
        let mut same = found.iter().filter(|one| one.kind == kind && one.name == name);
        same.any(|one| matches!(one.state, State::Different(_)))
    };
    let Plan { mut exchanges, mut queues } = plan;
    exchanges.retain(|one| !different("exchange", &one.name));
    queues.retain(|one| !different("queue", &one.name));
    Plan { exchanges, queues }
}

async fn compare(link: &Link, plan: &Plan) -> Result<Vec<Finding>, Error> {
    let exchanges = stream::iter(&plan.exchanges).map(|exchange| look_at_exchange(link, exchange));
    let mut found: Vec<Finding> = exchanges.buffered(AT_ONCE).try_collect().await?;
    let queues = stream::iter(&plan.queues).map(|queue| look_at_queue(link, queue));
    found.extend(queues.buffered(AT_ONCE).try_collect::<Vec<_>>().await?);
    Ok(found)
}

async fn look_at_exchange(link: &Link, exchange: &Exchange) -> Result<Finding, Error> {
    let channel = link.channel().await?;
    let state = match declare::find_exchange(&channel, exchange).await {
        // To declare what is there makes nothing; but what is not there would be made.
        Ok(()) => judge(declare::declare_exchange(&channel, exchange).await)?,
        missing => judge(missing)?,
    };
    declare::shut(&channel).await;
    Ok(Finding { kind: "exchange", name: exchange.name.clone(), state })
}

async fn look_at_queue(link: &Link, queue: &Queue) -> Result<Finding, Error> {
    let channel = link.channel().await?;
    let state = match declare::find_queue(&channel, queue).await {
        Ok(()) => judge(declare::declare_queue(&channel, queue).await)?,
        missing => judge(missing)?,
    };
    declare::shut(&channel).await;
    Ok(Finding { kind: "queue", name: queue.name.clone(), state })
}

/// Says what an answer of the broker means for what it was asked about.
fn judge(answer: Result<(), Error>) -> Result<State, Error> {
    match answer {
        Ok(()) => Ok(State::Equal),
        Err(Error::Undeclared { .. }) => Ok(State::Missing),
        Err(Error::Conflict { source, .. }) => Ok(State::Different(difference::read(&words(&source)))),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::Lane;

    #[test]
    fn what_is_different_is_left_out_and_nothing_else() {
        let plan = Plan::of_all(&[Lane::events()]);
        let finding = |kind, name: &str, state| Finding { kind, name: name.to_owned(), state };
        let other = || State::Different("type is 'fanout' and should be 'direct'".to_owned());
        let found = [
            finding("exchange", "windlass.events", State::Equal),
            finding("queue", "windlass.events.3", other()),
            finding("queue", "windlass.events.4", State::Missing),
            // The name of a queue as well, which is another thing.
            finding("exchange", "windlass.dead.events", other()),
        ];
        let left = without_different(plan.clone(), &found);
        assert_eq!(left.exchanges.len(), plan.exchanges.len() - 1);
        assert_eq!(left.queues.len(), plan.queues.len() - 1);
        assert!(!left.queues.iter().any(|queue| queue.name == "windlass.events.3"));
        assert!(left.queues.iter().any(|queue| queue.name == "windlass.dead.events"));
    }
}
