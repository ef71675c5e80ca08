//! What becomes of a message that this process has: whatever goes on is published first, and the original leaves last.

use std::time::Duration;

use lapin::options::BasicAckOptions;

use crate::queue::DELIVERY_LIMIT;
use crate::queue::Error;
use crate::queue::Lane;
use crate::queue::Settled;
use crate::queue::clock;
use crate::queue::rabbit::core::Core;
use crate::queue::rabbit::failure::answer;
use crate::queue::rabbit::hub::Arrival;
use crate::queue::rabbit::ladder;
use crate::queue::rabbit::ladder::Hop;
use crate::queue::rabbit::names;
use crate::queue::rabbit::note::Note;
use crate::queue::rabbit::publisher::Outgoing;

/// What to do with a message.
#[derive(Clone, Debug)]
pub(super) enum How {
    /// Its work is done.
    Ack,
    /// It comes again after a while.
    Retry(Duration),
    /// It comes again after a while, and this delivery does not count.
    Postpone(Duration),
    /// It is kept for a person.
    Bury(String),
}

impl Core {
    /// Settles a message of `lane` that was delivered to somebody.
    ///
    /// # Errors
    /// What goes on could not be published: the message stays as it is.
    pub(super) async fn settle(&self, lane: &Lane, arrival: &Arrival, how: How) -> Result<Settled, Error> {
        let deliveries = arrival.before.saturating_add(1);
        match how {
            How::Ack => {}
            How::Retry(after) => self.put_off(lane, arrival, deliveries, after).await?,
            How::Postpone(after) => self.put_off(lane, arrival, arrival.before, after).await?,
            How::Bury(why) => self.entomb(lane, arrival, deliveries, why).await?,
        }
        acknowledge(arrival).await
    }

    /// Sends a message on that has not waited long enough: nobody saw it.
    pub(super) async fn hop(&self, lane: &Lane, arrival: &Arrival) -> Result<Settled, Error> {
        self.put_off(lane, arrival, arrival.note.deliveries, arrival.note.left).await?;
        acknowledge(arrival).await
    }

    /// Buries a message that was delivered as often as it may be.
    pub(super) async fn bury_spent(&self, lane: &Lane, arrival: &Arrival) -> Result<Settled, Error> {
        tracing::warn!(lane = %lane, message.id = %arrival.note.id, "buried a message: delivered {DELIVERY_LIMIT} times");
        let why = format!("delivered {DELIVERY_LIMIT} times without being settled");
        self.entomb(lane, arrival, DELIVERY_LIMIT, why).await?;
        acknowledge(arrival).await
    }

    async fn put_off(
        &self,
        lane: &Lane,
        arrival: &Arrival,
        deliveries: u32,
        wait: Duration,
    ) -> Result<(), Error> {
        let (exchange, left) = match ladder::hop(wait) {
            Hop::Line => (names::exchange(lane), Duration::ZERO),
            Hop::Rung(rung, left) => (names::rung(lane, rung), left),
        };
        let note = Note { deliveries, left, buried: None, ..arrival.note.clone() };
        self.publish_copy(lane, exchange, arrival, note).await
    }

    async fn entomb(
        &self,
        lane: &Lane,
        arrival: &Arrival,
        deliveries: u32,
        why: String,
    ) -> Result<(), Error> {
        let note = Note {
            deliveries,
            left: Duration::ZERO,
            buried: Some((why, clock::wall())),
            ..arrival.note.clone()
        };
        self.publish_copy(lane, names::dead(lane), arrival, note).await
    }

    async fn publish_copy(
        &self,
        lane: &Lane,
        exchange: String,
        arrival: &Arrival,
        note: Note,
    ) -> Result<(), Error> {
        let key = names::place(lane, &note.partition).to_string();
        self.publisher.publish(vec![Outgoing { exchange, key, note, body: arrival.body.clone() }]).await
    }
}

/// Tells the broker that the message has left. When it does not hear it, it delivers the message again.
async fn acknowledge(arrival: &Arrival) -> Result<Settled, Error> {
    if !arrival.is_ours() {
        return Ok(Settled::Lost);
    }
    let acked = answer("settle a message", arrival.acker.ack(BasicAckOptions::default())).await;
    match acked {
        Ok(true) => Ok(Settled::Done),
        Ok(false) | Err(Error::Broker { .. }) => Ok(Settled::Lost),
        Err(error) => Err(error),
    }
}
