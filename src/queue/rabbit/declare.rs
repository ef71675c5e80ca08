//! Makes what a plan says, where it is not there yet.

use std::time::Duration;

use futures::future::try_join_all;
use lapin::Channel;
use lapin::ExchangeKind;
use lapin::options::ExchangeDeclareOptions;
use lapin::options::QueueBindOptions;
use lapin::options::QueueDeclareOptions;
use lapin::types::AMQPValue;
use lapin::types::FieldTable;

use crate::queue::Error;
use crate::queue::rabbit::failure::failed;
use crate::queue::rabbit::failure::is_missing;
use crate::queue::rabbit::failure::is_unready;
use crate::queue::rabbit::failure::undeclared;
use crate::queue::rabbit::link::Link;
use crate::queue::rabbit::topology::Argument;
use crate::queue::rabbit::topology::Exchange;
use crate::queue::rabbit::topology::Plan;
use crate::queue::rabbit::topology::Queue;

/// Over how many channels are queues declared at once? Each of them waits for the broker's disk.
const CHANNELS: usize = 8;

/// How often is a plan declared at most while the broker cannot make a queue? It says so of one that another process is just
/// about to declare, too.
const TRIES: u32 = 5;

/// How long is the pause before it is declared again? Doubled each time.
const PAUSE: Duration = Duration::from_millis(200);

/// Declares everything of the plan; what is there already and equal is left as it is. For a user who may make nothing,
/// it is enough that all of it is there.
///
/// # Errors
/// Something of that name is there in another way, the user may not declare it and it is not there, or the broker is
/// away.
pub(super) async fn declare(link: &Link, plan: &Plan) -> Result<(), Error> {
    let mut pause = PAUSE;
    for _ in 1..TRIES {
        match once(link, plan).await {
            Err(error) if is_unready(&error) => {
                tracing::debug!(%error, "what a lane stands on is declared again: failed to {error}");
                tokio::time::sleep(pause).await;
                pause = pause.saturating_mul(2);
            }
            done => return done,
        }
    }
    once(link, plan).await
}

async fn once(link: &Link, plan: &Plan) -> Result<(), Error> {
    match make(link, plan).await {
        Err(Error::Refused { .. }) => find(link, plan).await,
        made => made,
    }
}

/// Makes sure that everything of the plan is there, in whatever way.
async fn find(link: &Link, plan: &Plan) -> Result<(), Error> {
    let channel = link.channel().await?;
    for exchange in &plan.exchanges {
        find_exchange(&channel, exchange).await?;
    }
    shut(&channel).await;
    let share = plan.queues.len().div_ceil(CHANNELS).max(1);
    try_join_all(plan.queues.chunks(share).map(|queues| find_queues(link, queues))).await?;
    Ok(())
}

async fn find_queues(link: &Link, queues: &[Queue]) -> Result<(), Error> {
    let channel = link.channel().await?;
    for queue in queues {
        find_queue(&channel, queue).await?;
    }
    shut(&channel).await;
    Ok(())
}

/// Makes sure that there is an exchange of that name.
pub(super) async fn find_exchange(channel: &Channel, exchange: &Exchange) -> Result<(), Error> {
    let options =
        ExchangeDeclareOptions { passive: true, durable: true, ..ExchangeDeclareOptions::default() };
    let name = exchange.name.as_str();
    let found = channel.exchange_declare(name.into(), kind(exchange), options, FieldTable::default());
    found.await.map_err(|error| unfound(name, error))
}

/// Makes sure that there is a queue of that name.
pub(super) async fn find_queue(channel: &Channel, queue: &Queue) -> Result<(), Error> {
    let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::durable() };
    let found = channel.queue_declare(queue.name.as_str().into(), passive, FieldTable::default());
    found.await.map(drop).map_err(|error| unfound(&queue.name, error))
}

fn kind(exchange: &Exchange) -> ExchangeKind {
    if exchange.keyed { ExchangeKind::Direct } else { ExchangeKind::Fanout }
}

/// Says that something is missing, where that is what the broker says.
fn unfound(name: &str, error: lapin::Error) -> Error {
    let error = failed("find what a lane stands on", error);
    if is_missing(&error) { Error::Undeclared { name: name.to_owned() } } else { error }
}

/// Declares everything of the plan, and binds the queues.
///
/// # Errors
/// Something of that name is there in another way, the user may not declare it, or the broker is away.
pub(super) async fn make(link: &Link, plan: &Plan) -> Result<(), Error> {
    let channel = link.channel().await?;
    for exchange in &plan.exchanges {
        declare_exchange(&channel, exchange).await?;
    }
    let share = plan.queues.len().div_ceil(CHANNELS).max(1);
    try_join_all(plan.queues.chunks(share).map(|queues| declare_queues(link, queues))).await?;
    shut(&channel).await;
    Ok(())
}

/// Makes an exchange, or makes sure that the one which is there is equal.
pub(super) async fn declare_exchange(channel: &Channel, exchange: &Exchange) -> Result<(), Error> {
    let mut arguments = FieldTable::default();
    if let Some(alternate) = exchange.alternate {
        arguments.insert("alternate-exchange".into(), AMQPValue::LongString(alternate.into()));
    }
    let options = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
    let name = exchange.name.as_str();
    let declared = channel.exchange_declare(name.into(), kind(exchange), options, arguments);
    declared.await.map_err(|error| undeclared(name, error))
}

async fn declare_queues(link: &Link, queues: &[Queue]) -> Result<(), Error> {
    let channel = link.channel().await?;
    for queue in queues {
        declare_queue(&channel, queue).await?;
        let Queue { name, exchange, key, .. } = queue;
        let bound = channel.queue_bind(
            name.as_str().into(),
            exchange.as_str().into(),
            key.as_str().into(),
            QueueBindOptions::default(),
            FieldTable::default(),
        );
        bound.await.map_err(|error| failed("bind the queues of a lane", error))?;
    }
    shut(&channel).await;
    Ok(())
}

/// Makes a queue, or makes sure that the one which is there is equal.
pub(super) async fn declare_queue(channel: &Channel, queue: &Queue) -> Result<(), Error> {
    let mut table = FieldTable::default();
    for (argument, value) in &queue.arguments {
        table.insert((*argument).into(), amqp(value));
    }
    let name = queue.name.as_str();
    let declared = channel.queue_declare(name.into(), QueueDeclareOptions::durable(), table);
    declared.await.map(drop).map_err(|error| undeclared(name, error))
}

fn amqp(argument: &Argument) -> AMQPValue {
    match argument {
        Argument::Text(text) => AMQPValue::LongString(text.as_str().into()),
        Argument::Number(number) => AMQPValue::LongLongInt(*number),
        Argument::Yes => AMQPValue::Boolean(true),
    }
}

/// Closes a channel that is done; what goes wrong then goes with its connection.
pub(super) async fn shut(channel: &Channel) {
    if let Err(error) = channel.close(200, "done".into()).await {
        tracing::debug!(%error, "a channel ended without a farewell");
    }
}

/// Says how many messages wait in each of the queues.
///
/// # Errors
/// One of them is missing, or the broker is away.
pub(super) async fn counts(link: &Link, queues: &[String]) -> Result<Vec<u32>, Error> {
    let share = queues.len().div_ceil(CHANNELS).max(1);
    let counted = try_join_all(queues.chunks(share).map(|queues| count(link, queues))).await?;
    Ok(counted.into_iter().flatten().collect())
}

async fn count(link: &Link, queues: &[String]) -> Result<Vec<u32>, Error> {
    let channel = link.channel().await?;
    let mut counted = Vec::with_capacity(queues.len());
    for queue in queues {
        let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::durable() };
        let asked = channel.queue_declare(queue.as_str().into(), passive, FieldTable::default());
        let found = asked.await.map_err(|error| failed("count the messages of a lane", error))?;
        counted.push(found.message_count());
    }
    shut(&channel).await;
    Ok(counted)
}
