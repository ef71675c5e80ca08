//! Dead messages, and how much a lane holds.
//!
//! The broker shows messages only to who takes them. So a reader takes all dead messages of a lane, one reader at a
//! time, and gives them back by closing its channel.

use std::time::Duration;

use futures::StreamExt;
use lapin::Channel;
use lapin::message::Delivery;
use lapin::options::BasicAckOptions;
use lapin::options::BasicConsumeOptions;
use lapin::options::BasicQosOptions;
use lapin::types::FieldTable;
use tokio::time::timeout;

use crate::queue::ANSWER_WITHIN;
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
use crate::queue::rabbit::failure::within;
use crate::queue::rabbit::ladder::RUNGS;
use crate::queue::rabbit::names;
use crate::queue::rabbit::note::Note;
use crate::queue::rabbit::publisher::Outgoing;

/// How long is nothing delivered before the broker is asked whether that was all?
const QUIET: Duration = Duration::from_millis(50);
/// By how many messages may the broker overshoot the length of a queue?
const OVERSHOOT: u16 = 1_000;

impl Core {
    /// Lists dead messages of all lanes that this process knows, the latest first.
    pub(super) async fn dead(&self, limit: u32) -> Result<Vec<Dead>, Error> {
        let lanes: Vec<Lane> = self.declared.lock().await.iter().cloned().collect();
        let mut all = Vec::new();
        for lane in lanes {
            within(ANSWER_WITHIN, async {
                let Some((channel, dead)) = self.take_dead(&lane).await? else { return Ok(()) };
                shut(&channel).await;
                // Where two were buried in one millisecond, the later one lies further back in the queue.
                all.extend(dead.iter().enumerate().map(|(place, delivery)| (place, told(&lane, delivery))));
                Ok(())
            })
            .await?;
        }
        all.sort_by_key(|(place, dead)| std::cmp::Reverse((dead.buried_at, *place)));
        let limit = usize::try_from(limit.min(DEAD_LISTED)).unwrap_or(usize::MAX);
        Ok(all.into_iter().map(|(_, dead)| dead).take(limit).collect())
    }

    /// Sends the oldest dead message with this id back to its line.
    pub(super) async fn replay(&self, lane: &Lane, id: &str) -> Result<bool, Error> {
        within(ANSWER_WITHIN, async {
            let Some((channel, dead)) = self.take_dead(lane).await? else { return Ok(false) };
            let found = dead.into_iter().find(|delivery| Note::read(&delivery.properties).0.id == id);
            let replayed = match &found {
                Some(delivery) => self.revive(lane, delivery).await,
                None => Ok(()),
            };
            shut(&channel).await;
            replayed.map(|()| found.is_some())
        })
        .await
    }

    async fn revive(&self, lane: &Lane, delivery: &Delivery) -> Result<(), Error> {
        let (note, _) = Note::read(&delivery.properties);
        let note = Note { deliveries: 0, left: Duration::ZERO, buried: None, ..note };
        let key = names::place(lane, &note.partition).to_string();
        let body = String::from_utf8_lossy(&delivery.data).into();
        self.publisher.publish(vec![Outgoing { exchange: names::exchange(lane), key, note, body }]).await?;
        answer("replay a dead message", delivery.acker.ack(BasicAckOptions::default())).await?;
        Ok(())
    }

    /// Takes all dead messages of a lane, oldest first, when it is this reader's turn. They are given back when the
    /// channel is closed.
    async fn take_dead(&self, lane: &Lane) -> Result<Option<(Channel, Vec<Delivery>)>, Error> {
        let queue = names::dead(lane);
        let (waiting, readers) = self.count(lane, &queue).await?;
        if waiting == 0 && readers == 0 {
            return Ok(None);
        }
        let step = "read dead messages";
        let channel = self.asking.channel().await?;
        let most = u16::try_from(DEAD_LISTED).unwrap_or(u16::MAX).saturating_add(OVERSHOOT);
        answer(step, channel.basic_qos(most, BasicQosOptions::default())).await?;
        let options = BasicConsumeOptions::default();
        let consumed =
            channel.basic_consume(queue.as_str().into(), "".into(), options, FieldTable::default());
        let mut consumer = answer(step, consumed).await?;
        let mut dead = Vec::new();
        // Each turn brings a message, or asks the broker; the caller bounds all of it.
        loop {
            // What was counted is all there was, unless somebody else had taken some.
            if readers == 0 && dead.len() >= usize::try_from(waiting).unwrap_or(usize::MAX) {
                break;
            }
            match timeout(QUIET, consumer.next()).await {
                Ok(Some(Ok(delivery))) => dead.push(delivery),
                Ok(Some(Err(error))) => return Err(failed(step, error)),
                Ok(None) => return Err(Error::Unanswered),
                Err(_) => {
                    if self.count(lane, &queue).await? == (0, 1) {
                        break;
                    }
                }
            }
        }
        Ok(Some((channel, dead)))
    }

    async fn count(&self, lane: &Lane, queue: &str) -> Result<(u32, u32), Error> {
        let counted = counts(&self.asking, &[queue.to_owned()]).await;
        self.noted(lane, &counted).await;
        Ok(counted?.first().copied().unwrap_or_default())
    }

    /// Counts what waits at the broker and what this process has.
    pub(super) async fn depth(&self, lane: &Lane) -> Result<Depth, Error> {
        let mut queues: Vec<String> =
            (0..names::shape(lane).queues).map(|number| names::queue(lane, number)).collect();
        queues.extend(RUNGS.iter().map(|rung| names::rung(lane, *rung)));
        queues.push(names::dead(lane));
        let counted = within(ANSWER_WITHIN, counts(&self.asking, &queues)).await;
        self.noted(lane, &counted).await;
        let counted = counted?;
        let hub = self.hubs().get(lane).cloned();
        let (held, oldest) = hub.map_or((0, None), |hub| hub.held());
        let Some(((dead, _), waiting)) = counted.split_last() else { return Ok(Depth::default()) };
        let waiting: u64 = waiting.iter().map(|(waiting, _)| u64::from(*waiting)).sum();
        Ok(Depth { count: waiting.saturating_add(held), oldest, dead: u64::from(*dead) })
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
