//! Publishing: several senders, each with a channel of its own, take what is to be published, batch by batch, and answer
//! when the broker has confirmed the whole batch.
//!
//! A batch ends before the next begins on its channel: the client library may hand a returned message to the confirm of
//! another one that is in flight on the same channel, and only the set of returned messages of a whole batch is right.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use lapin::Channel;
use lapin::Confirmation;
use lapin::Connection;
use lapin::options::BasicPublishOptions;
use lapin::options::ConfirmSelectOptions;
use tokio::sync::Mutex;
use tokio::sync::mpsc;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio::time::timeout;

use crate::queue::Error;
use crate::queue::PUBLISH_WITHIN;
use crate::queue::rabbit::failure::answer;
use crate::queue::rabbit::failure::failed;
use crate::queue::rabbit::link::Link;
use crate::queue::rabbit::note::Note;
use crate::queue::rabbit::note::message_id;

/// How many batches may be on their way at once?
const SENDERS: usize = 4;
/// How many messages make a batch full?
const BATCH: usize = 256;
/// How long may a batch take? Less than its publishers wait, so that they hear why.
const SENT_WITHIN: Duration = Duration::from_millis(2_500);
/// How long between two looks whether the broker takes anything?
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How many publishers may wait for a sender?
const WAITING: usize = 1_024;

/// A message on its way to an exchange.
#[derive(Clone, Debug)]
pub(super) struct Outgoing {
    pub(super) exchange: String,
    pub(super) key: String,
    pub(super) note: Note,
    pub(super) body: Arc<str>,
}

/// What one publisher wants published, and where the answer goes.
struct Parcel {
    messages: Vec<Outgoing>,
    reply: oneshot::Sender<Result<(), Error>>,
}

/// Where to hand in what is to be published.
#[derive(Clone, Debug)]
pub(super) struct Publisher {
    parcels: mpsc::Sender<Parcel>,
}

impl Publisher {
    /// Starts the senders among `tasks`: they publish over `link` as `user`.
    pub(super) fn start(link: &Arc<Link>, user: &str, tasks: &mut JoinSet<()>) -> Self {
        let (sender, receiver) = mpsc::channel(WAITING);
        let parcels = Arc::new(Mutex::new(receiver));
        for _ in 0..SENDERS {
            let sender =
                Sender { link: Arc::clone(link), user: user.to_owned(), connection: None, channel: None };
            tasks.spawn(sender.run(Arc::clone(&parcels)));
        }
        Self { parcels: sender }
    }

    /// Publishes `messages` in this order and returns when the broker has stored all of them.
    ///
    /// # Errors
    /// The broker refused one, or is away. Unless the error says that the broker took none, some may be stored.
    pub(super) async fn publish(&self, messages: Vec<Outgoing>) -> Result<(), Error> {
        let (reply, answer) = oneshot::channel();
        let published = async {
            self.parcels.send(Parcel { messages, reply }).await.map_err(|_| Error::Closed)?;
            answer.await.map_err(|_| Error::Closed)?
        };
        timeout(PUBLISH_WITHIN, published).await.unwrap_or(Err(Error::Unconfirmed))
    }
}

/// One of those who publish.
struct Sender {
    link: Arc<Link>,
    user: String,
    connection: Option<Arc<Connection>>,
    channel: Option<Channel>,
}

impl Sender {
    async fn run(mut self, parcels: Arc<Mutex<mpsc::Receiver<Parcel>>>) {
        loop {
            let batch = gather(&parcels).await;
            if batch.is_empty() {
                return;
            }
            let verdict = self.send(&batch).await;
            for parcel in batch {
                let refused = verdict.as_ref().map(|refused| refused_of(&parcel, refused));
                let result = match refused {
                    Ok(None) => Ok(()),
                    Ok(Some(id)) => Err(Error::Unstored { id }),
                    Err(error) => Err(error.clone()),
                };
                // Whoever does not wait any more was told that it is unconfirmed.
                drop(parcel.reply.send(result));
            }
        }
    }

    /// Sends a batch; returns which messages the broker did not store.
    async fn send(&mut self, batch: &[Parcel]) -> Result<HashSet<String>, Error> {
        // A blocked connection does nothing at all, not even open a channel; it says when it goes on.
        if self.link.is_blocked().await {
            return Err(Error::Blocked);
        }
        let sent = async {
            let channel = self.channel().await?;
            tokio::select! {
                sent = confirmed(&channel, &self.user, batch) => sent,
                () = blocked(self.connection.as_deref()) => Err(Error::Blocked),
            }
        };
        let sent = timeout(SENT_WITHIN, sent).await.unwrap_or(Err(Error::Unconfirmed));
        if sent.is_err() {
            self.channel = None;
        }
        // A connection that hangs although it is not blocked is of no use; one that is blocked will go on some day.
        if matches!(sent, Err(Error::Unconfirmed)) {
            if self.link.is_blocked().await {
                return Err(Error::Blocked);
            }
            if let Some(sick) = self.connection.take() {
                self.link.forget(&sick).await;
            }
        }
        sent
    }

    async fn channel(&mut self) -> Result<Channel, Error> {
        if let Some(channel) = self.channel.as_ref().filter(|channel| channel.status().connected()) {
            return Ok(channel.clone());
        }
        let connection = self.connection.insert(self.link.connection().await?);
        let channel = self.link.open(connection).await?;
        answer("ask the broker for confirms", channel.confirm_select(ConfirmSelectOptions::default()))
            .await?;
        self.channel = Some(channel.clone());
        Ok(channel)
    }
}

/// Ends when the broker says that it takes nothing for now.
async fn blocked(connection: Option<&Connection>) {
    while !connection.is_some_and(|connection| connection.status().blocked()) {
        // why: the library tells it to one listener only, and there are several senders.
        sleep(LOOK_EVERY).await;
    }
}

/// Waits for one parcel and takes what else is there; nothing when there will be no more.
async fn gather(parcels: &Mutex<mpsc::Receiver<Parcel>>) -> Vec<Parcel> {
    let mut parcels = parcels.lock().await;
    let mut batch = Vec::new();
    let mut messages = 0;
    let Some(first) = parcels.recv().await else { return batch };
    let mut next = Some(first);
    while let Some(parcel) = next {
        messages += parcel.messages.len();
        batch.push(parcel);
        next = if messages < BATCH { parcels.try_recv().ok() } else { None };
    }
    batch
}

/// Publishes the batch and waits for all its confirms; returns the names of those that were returned or refused.
async fn confirmed(channel: &Channel, user: &str, batch: &[Parcel]) -> Result<HashSet<String>, Error> {
    let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
    let step = "store the messages";
    let mut confirms = Vec::new();
    for message in batch.iter().flat_map(|parcel| &parcel.messages) {
        let properties = message.note.properties(user);
        let (exchange, key) = (message.exchange.as_str().into(), message.key.as_str().into());
        let published = channel.basic_publish(exchange, key, options, message.body.as_bytes(), properties);
        confirms.push((message, published.await.map_err(|error| failed(step, error))?));
    }
    let mut refused = HashSet::new();
    for (message, confirm) in confirms {
        let confirmation = confirm.await.map_err(|error| failed(step, error))?;
        refused.extend(not_stored(&message.note.id, &confirmation));
    }
    Ok(refused)
}

/// Names the messages that a confirmation says are not stored: it may be the message `id`, that it is of, and another
/// one that the broker returned, which has a name of its own.
fn not_stored(id: &str, confirmation: &Confirmation) -> Vec<String> {
    let (stored, returned) = match confirmation {
        Confirmation::Ack(returned) => (true, returned.as_ref()),
        Confirmation::Nack(returned) => (false, returned.as_ref()),
        Confirmation::NotRequested => (false, None),
    };
    let own = (!stored).then(|| message_id(id));
    let other = returned.and_then(|returned| returned.delivery.properties.message_id().as_ref());
    own.into_iter().chain(other.map(|name| name.as_str().to_owned())).collect()
}

fn refused_of(parcel: &Parcel, refused: &HashSet<String>) -> Option<String> {
    if refused.is_empty() {
        return None;
    }
    let ids = parcel.messages.iter().map(|message| &message.note.id);
    ids.into_iter().find(|id| refused.contains(&message_id(id))).cloned()
}

#[cfg(test)]
mod tests {
    use lapin::BasicProperties;
    use lapin::message::BasicReturnMessage;
    use lapin::message::Delivery;

    use super::*;

    fn returned(id: &str) -> Option<BasicReturnMessage> {
        let mut delivery = Delivery::mock(1, "e".into(), "k".into(), false, Vec::new());
        delivery.properties = BasicProperties::default().with_message_id(id.into());
        Some(BasicReturnMessage { delivery, reply_code: 312, reply_text: "NO_ROUTE".into() })
    }

    #[test]
    fn a_returned_message_is_named_by_itself_and_not_by_the_confirm_that_it_came_with() {
        for (confirmation, expected) in [
            (Confirmation::Ack(None), vec![]),
            (Confirmation::Ack(returned("other")), vec!["other"]),
            (Confirmation::Ack(returned("own")), vec!["own"]),
            (Confirmation::Nack(None), vec!["own"]),
            (Confirmation::Nack(returned("other")), vec!["own", "other"]),
            (Confirmation::NotRequested, vec!["own"]),
        ] {
            assert_eq!(not_stored("own", &confirmation), expected, "{confirmation:?}");
        }
    }
}
