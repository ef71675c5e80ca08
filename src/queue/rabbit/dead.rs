//! Dead messages, and how much a lane holds.
//!
//! The broker shows messages only to who takes them. So a reader takes all dead messages of a lane and gives them back
//! by closing its channel. Meanwhile nobody else may read: they would see a part of them, or none.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use lapin::Channel;
use lapin::message::Delivery;
use lapin::options::BasicAckOptions;
use lapin::options::BasicConsumeOptions;
use lapin::options::BasicQosOptions;
use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;
use tokio::time::sleep;
use tokio::time::timeout;

use crate::queue::DEAD_LISTED;
use crate::queue::Dead;
use crate::queue::Depth;
use crate::queue::Error;
use crate::queue::Lane;
use crate::queue::rabbit::core::Core;
use crate::queue::rabbit::declare::counts;
use crate::queue::rabbit::declare::shut;
use crate::queue::rabbit::failure::answer;
use crate::queue::rabbit::failure::failed;
use crate::queue::rabbit::failure::is_locked;
use crate::queue::rabbit::ladder::RUNGS;
use crate::queue::rabbit::link::Link;
use crate::queue::rabbit::names;
use crate::queue::rabbit::note::Note;
use crate::queue::rabbit::publisher::Outgoing;

/// How long does a reader look for more, where fewer came than were counted?
const QUIET: Duration = Duration::from_secs(1);
/// How long does a reader wait before it asks for its turn again, and whether what it took is back?
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How often does it look, at most, whether what it took is back?
const LOOKS: u32 = 100;
/// How many connections may break while it waits for its turn?
const BROKEN: u32 = 3;
/// How long does it wait after one did?
const MENDED_AFTER: Duration = Duration::from_millis(150);

/// All dead messages of a lane, oldest first, as long as they are taken.
struct Reading {
    link: Link,
    channel: Channel,
    queue: String,
    dead: Vec<Delivery>,
}

impl Core {
    /// Lists dead messages of all lanes that this process knows, the latest first.
    pub(super) async fn dead(&self, limit: u32) -> Result<Vec<Dead>, Error> {
        let lanes: Vec<Lane> = self.declared().iter().cloned().collect();
        let mut all = Vec::new();
        for lane in lanes {
            let Some(reading) = self.read_dead(&lane).await? else { continue };
            let dead = reading.dead.iter().enumerate();
            // Where two were buried in one millisecond, the later one lies further back in the queue.
            all.extend(dead.map(|(place, delivery)| (place, told(&lane, delivery))));
            reading.end(0).await?;
        }
        all.sort_by_key(|(place, dead)| std::cmp::Reverse((dead.buried_at, *place)));
        let limit = usize::try_from(limit.min(DEAD_LISTED)).unwrap_or(usize::MAX);
        Ok(all.into_iter().map(|(_, dead)| dead).take(limit).collect())
    }

    /// Sends the oldest dead message with this id back to its line.
    pub(super) async fn replay(self: &Arc<Self>, lane: &Lane, id: &str) -> Result<bool, Error> {
        self.ready(lane).await?;
        let Some(reading) = self.read_dead(lane).await? else { return Ok(false) };
        let replayed = match reading.find(id) {
            Some(delivery) => self.revive(lane, delivery).await.map(|()| true),
            None => Ok(false),
        };
        reading.end(u32::from(matches!(replayed, Ok(true)))).await?;
        replayed
    }

    /// Takes the oldest dead message with this id away.
    pub(super) async fn discard(self: &Arc<Self>, lane: &Lane, id: &str) -> Result<bool, Error> {
        self.ready(lane).await?;
        let Some(reading) = self.read_dead(lane).await? else { return Ok(false) };
        let discarded = match reading.find(id) {
            Some(delivery) => take_away(delivery, "discard a dead message").await,
            None => Ok(false),
        };
        reading.end(u32::from(matches!(discarded, Ok(true)))).await?;
        discarded
    }

    async fn revive(&self, lane: &Lane, delivery: &Delivery) -> Result<(), Error> {
        let (note, _) = Note::read(&delivery.properties);
        let note = Note { deliveries: 0, left: Duration::ZERO, buried: None, ..note };
        let key = names::place(lane, &note.partition).to_string();
        let body = String::from_utf8_lossy(&delivery.data).into();
        self.publisher.publish(vec![Outgoing { exchange: names::exchange(lane), key, note, body }]).await?;
        take_away(delivery, "replay a dead message").await.map(drop)
    }

    /// Takes all dead messages of a lane, when it is this reader's turn; nothing when there are none.
    async fn read_dead(&self, lane: &Lane) -> Result<Option<Reading>, Error> {
        let queue = names::dead(lane);
        // A connection of its own, and what only one connection may have on it: both are gone when this is dropped.
        let link = self.link("reads the dead");
        turn(&link, &names::reader(lane)).await?;
        let waiting = self.count(lane, &queue).await?;
        if waiting == 0 {
            link.close().await;
            return Ok(None);
        }
        let step = "read dead messages";
        let channel = link.channel().await?;
        answer(step, channel.basic_qos(0, BasicQosOptions::default())).await?;
        let options = BasicConsumeOptions::default();
        let consumed =
            channel.basic_consume(queue.as_str().into(), "".into(), options, FieldTable::default());
        let mut consumer = answer(step, consumed).await?;
        let mut dead = Vec::new();
        while dead.len() < usize::try_from(waiting).unwrap_or(usize::MAX) {
            match timeout(QUIET, consumer.next()).await {
                Ok(Some(Ok(delivery))) => dead.push(delivery),
                Ok(Some(Err(error))) => return Err(failed(step, error)),
                // The broker has dropped the oldest ones, or somebody has emptied the queue.
                Ok(None) | Err(_) => break,
            }
        }
        Ok(Some(Reading { link, channel, queue, dead }))
    }

    async fn count(&self, lane: &Lane, queue: &str) -> Result<u32, Error> {
        let counted = counts(&self.asking, &[queue.to_owned()]).await;
        self.noted(lane, &counted);
        Ok(counted?.first().copied().unwrap_or_default())
    }

    /// Counts what waits at the broker and what this process has.
    pub(super) async fn depth(self: &Arc<Self>, lane: &Lane) -> Result<Depth, Error> {
        let mut queues: Vec<String> =
            (0..names::shape(lane).queues).map(|number| names::queue(lane, number)).collect();
        queues.extend(RUNGS.iter().map(|rung| names::rung(lane, *rung)));
        queues.push(names::dead(lane));
        self.ready(lane).await?;
        let counted = counts(&self.asking, &queues).await;
        self.noted(lane, &counted);
        let counted = counted?;
        let hub = self.hubs().get(lane).cloned();
        let (held, oldest) = hub.map_or((0, None), |hub| hub.held());
        let Some((dead, waiting)) = counted.split_last() else { return Ok(Depth::default()) };
        let waiting: u64 = waiting.iter().copied().map(u64::from).sum();
        Ok(Depth { count: waiting.saturating_add(held), oldest, dead: u64::from(*dead) })
    }
}

/// Ends a message; says whether it was still this reader's.
async fn take_away(delivery: &Delivery, step: &'static str) -> Result<bool, Error> {
    answer(step, delivery.acker.ack(BasicAckOptions::default())).await
}

/// Waits until this connection is the only reader: it alone has a queue of that name.
async fn turn(link: &Link, reader: &str) -> Result<(), Error> {
    let mut broken = 0;
    // Whoever calls this bounds the loop.
    loop {
        let channel = match link.channel().await {
            Ok(channel) => channel,
            // The end of a channel that was refused may cross with what is said on it, which ends its connection.
            Err(Error::Broker { .. }) if broken < BROKEN => {
                broken += 1;
                // why: a new connection is not tried sooner.
                sleep(MENDED_AFTER).await;
                continue;
            }
            Err(error) => return Err(error),
        };
        let alone =
            QueueDeclareOptions { exclusive: true, auto_delete: true, ..QueueDeclareOptions::default() };
        let declared = channel.queue_declare(reader.into(), alone, FieldTable::default());
        match answer("wait for the turn to read dead messages", declared).await {
            Ok(_) => return Ok(()),
            Err(error) if is_locked(&error) => {}
            Err(error) => return Err(error),
        }
        // why: the broker does not tell when the one who reads now has ended.
        sleep(LOOK_EVERY).await;
    }
}

impl Reading {
    /// Returns the oldest message with that id.
    fn find(&self, id: &str) -> Option<&Delivery> {
        self.dead.iter().find(|delivery| Note::read(&delivery.properties).0.id == id)
    }

    /// Gives back what was not acknowledged, and lets the next one read when it is there again.
    async fn end(self, acknowledged: u32) -> Result<(), Error> {
        let Self { link, channel, queue, dead } = self;
        shut(&channel).await;
        let left = u32::try_from(dead.len()).unwrap_or(u32::MAX).saturating_sub(acknowledged);
        for _ in 0..LOOKS {
            if counts(&link, std::slice::from_ref(&queue)).await?.iter().sum::<u32>() >= left {
                break;
            }
            // why: the broker puts them back in its own time.
            sleep(LOOK_EVERY).await;
        }
        link.close().await;
        Ok(())
    }
}

fn told(lane: &Lane, delivery: &Delivery) -> Dead {
    let (note, _) = Note::read(&delivery.properties);
    let (why, buried_at) = note.buried.unwrap_or_default();
    Dead {
        lane: lane.clone(),
        id: note.id,
        partition: note.partition,
        body: String::from_utf8_lossy(&delivery.data).into_owned(),
        why,
        deliveries: note.deliveries,
        buried_at,
    }
}
