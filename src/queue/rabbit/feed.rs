//! The tasks that keep a lane consumed: one for each of its queues, and one that ends loans.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::StreamExt;
use lapin::Channel;
use lapin::Connection;
use lapin::Consumer;
use lapin::message::Delivery;
use lapin::options::BasicConsumeOptions;
use lapin::options::BasicQosOptions;
use lapin::types::AMQPValue;
use lapin::types::FieldTable;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio::time::sleep_until;
use tokio::time::timeout;

use crate::fault::chain;
use crate::queue::ANSWER_WITHIN;
use crate::queue::DELIVERY_LIMIT;
use crate::queue::Error;
use crate::queue::Lane;
use crate::queue::rabbit::claim::Claimer;
use crate::queue::rabbit::claim::Stake;
use crate::queue::rabbit::core::Core;
use crate::queue::rabbit::declare::shut;
use crate::queue::rabbit::failure::answer;
use crate::queue::rabbit::failure::failed;
use crate::queue::rabbit::hub::Arrival;
use crate::queue::rabbit::hub::Hub;
use crate::queue::rabbit::names;
use crate::queue::rabbit::note::Note;

/// How long is a queue left alone after its consumer ended? Twice as long each time that it ends at once again.
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
/// How long is it left alone at most?
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Starts to consume `lane` into `hub`, as tasks among `tasks`.
pub(super) fn start(core: &Arc<Core>, lane: &Lane, hub: &Arc<Hub>, tasks: &mut JoinSet<()>) {
    // In another order each time. What lies ready at a process that ends counts as delivered, so a message that ends
    // each process that takes it would otherwise have others buried with it: now some of them are done before it.
    let mut stakes = Vec::new();
    for queue in names::shuffled(lane, &uuid::Uuid::now_v7().to_string()) {
        let stake = Stake::new(queue.clone());
        stakes.push(Arc::clone(&stake));
        let claims = stake.claims();
        let (core, hub, lane) = (Arc::clone(core), Arc::clone(hub), lane.clone());
        tasks.spawn(Feed { core, hub, lane, queue, stake, claims }.run());
    }
    if names::shape(lane).single && stakes.len() > 1 {
        let claimer = Claimer { core: Arc::clone(core), lane: lane.clone(), hub: Arc::clone(hub), stakes };
        tasks.spawn(claimer.run());
    }
    tasks.spawn(keep(Arc::clone(core), lane.clone(), Arc::clone(hub)));
}

/// What consumes one queue.
struct Feed {
    core: Arc<Core>,
    hub: Arc<Hub>,
    lane: Lane,
    queue: String,
    stake: Arc<Stake>,
    claims: watch::Receiver<i32>,
}

/// How consuming came to its end.
#[derive(PartialEq, Eq)]
enum End {
    /// The broker ended it.
    Lost,
    /// It is begun anew to claim the queue.
    Claim,
}

impl Feed {
    /// Consumes for ever: whenever the consumer ends, whatever it brought is somebody else's, and it is started again.
    async fn run(mut self) {
        let mut pause = SHORTEST_PAUSE;
        loop {
            let subscribed = self.subscribe().await;
            self.core.noted(&self.lane, &subscribed);
            match subscribed {
                Ok((channel, consumer)) => {
                    pause = SHORTEST_PAUSE;
                    self.hub.trouble(None);
                    if self.consume(channel, consumer).await == End::Claim {
                        continue;
                    }
                    tracing::debug!(queue = %self.queue, "the consumer ended: what it held is lost to this process");
                }
                Err(error) => {
                    tracing::debug!(queue = %self.queue, error = %chain(&error), "failed to consume");
                    self.hub.trouble(Some(error));
                }
            }
            // why: a broker that is away or ends consumers is asked again in bounded steps.
            sleep(pause).await;
            pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
        }
    }

    async fn subscribe(&mut self) -> Result<(Channel, Consumer), Error> {
        self.core.ready(&self.lane).await?;
        let connection = self.core.consuming.connection().await?;
        let claim = *self.claims.borrow_and_update();
        let subscribed = self.subscribe_on(&connection, claim).await;
        if matches!(subscribed, Err(Error::Unanswered)) {
            // The answer may come yet, and the broker would give messages to a consumer that nobody reads.
            self.core.consuming.forget(&connection).await;
        }
        subscribed
    }

    /// Each consumer has a channel of its own, since the broker ends all of a channel when one of them takes too long.
    async fn subscribe_on(
        &self,
        connection: &Arc<Connection>,
        claim: i32,
    ) -> Result<(Channel, Consumer), Error> {
        let channel = self.core.consuming.open(connection).await?;
        let step = "consume a lane";
        let prefetch = names::shape(&self.lane).prefetch;
        answer(step, channel.basic_qos(prefetch, BasicQosOptions::default())).await?;
        let mut arguments = FieldTable::default();
        // Where several take from one queue at once, whoever has room is as good as any other.
        if names::shape(&self.lane).single {
            let priority = names::priority(&self.core.worker, &self.queue).max(claim);
            arguments.insert("x-priority".into(), AMQPValue::LongInt(priority));
        }
        let options = BasicConsumeOptions::default();
        let consumed = channel.basic_consume(self.queue.as_str().into(), "".into(), options, arguments);
        let consumer = answer(step, consumed).await?;
        Ok((channel, consumer))
    }

    async fn consume(&mut self, channel: Channel, mut consumer: Consumer) -> End {
        let ended = Arc::new(AtomicBool::new(false));
        self.stake.note();
        let end = loop {
            let next = tokio::select! {
                biased;
                next = consumer.next() => next,
                Ok(()) = self.claims.changed() => {
                    // Whoever has something of the queue has the queue, too.
                    if self.stake.may_be_ours() || self.hub.has_of(&ended) { continue }
                    break End::Claim;
                }
            };
            match next {
                Some(Ok(delivery)) => {
                    self.stake.note();
                    self.arrived(delivery, &ended).await;
                }
                Some(Err(error)) => self.hub.trouble(Some(failed("consume a lane", error))),
                None => break End::Lost,
            }
        };
        ended.store(true, Ordering::Release);
        self.hub.purge();
        // The broker may have ended the consumer only: then the channel would keep what it holds.
        drop(timeout(ANSWER_WITHIN, shut(&channel)).await);
        end
    }

    async fn arrived(&self, delivery: Delivery, ended: &Arc<AtomicBool>) {
        let (note, returned) = Note::read(&delivery.properties);
        let arrival = Arrival {
            before: note.deliveries.saturating_add(returned),
            note,
            body: String::from_utf8_lossy(&delivery.data).into(),
            acker: delivery.acker,
            ended: Arc::clone(ended),
            stake: Arc::clone(&self.stake),
        };
        if !arrival.note.left.is_zero() {
            self.core.send_on(&self.lane, &arrival, Onward::Hop).await;
        } else if arrival.before >= DELIVERY_LIMIT {
            self.core.send_on(&self.lane, &arrival, Onward::Tomb).await;
        } else {
            self.hub.arrive(arrival);
        }
    }
}

/// Where a message goes that nobody here is to see.
#[derive(Clone, Copy)]
enum Onward {
    /// It has not waited long enough.
    Hop,
    /// It was delivered as often as it may be.
    Tomb,
}

impl Core {
    /// Tries until it is done, or the message is not this process's any more.
    async fn send_on(&self, lane: &Lane, arrival: &Arrival, onward: Onward) {
        let mut pause = SHORTEST_PAUSE;
        while arrival.is_ours() {
            let sent = match onward {
                Onward::Hop => self.hop(lane, arrival).await,
                Onward::Tomb => self.bury_spent(lane, arrival).await,
            };
            let Err(error) = sent else { return };
            tracing::debug!(message.id = %arrival.note.id, error = %chain(&error), "failed to send it on");
            // why: the broker takes nothing for now, and is asked again in bounded steps.
            sleep(pause).await;
            pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
        }
    }
}

/// Ends the loans of a hub when their time is over.
async fn keep(core: Arc<Core>, lane: Lane, hub: Arc<Hub>) {
    loop {
        let (next, spent) = hub.expire();
        for arrival in spent {
            core.send_on(&lane, &arrival, Onward::Tomb).await;
            hub.settled(&arrival.note.partition);
        }
        match next {
            None => hub.stirred.notified().await,
            Some(next) => tokio::select! {
                () = sleep_until(next) => {}
                () = hub.stirred.notified() => {}
            },
        }
    }
}
