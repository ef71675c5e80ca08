//! Takes deliveries in: a signature that holds becomes a hint, a hint becomes one event for each source that it is
//! about, and only when the queue has them for certain is the delivery accepted. What was heard and what it led to goes
//! into the queue with them, for history.
//!
//! The payload goes no further than this.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::application::Name;
use crate::bucket::Rate;
use crate::event::Event;
use crate::event::Hint;
use crate::explanation::Heard;
use crate::explanation::LedTo;
use crate::fault::chain;
use crate::forge;
use crate::forge::Delivery;
use crate::forge::Kind;
use crate::forge::Request;
use crate::outcome::Report;
use crate::outcome::Told;
use crate::queue;
use crate::queue::Draft;
use crate::queue::Queue;
use crate::trail;

mod alarm;
mod gate;

pub use self::alarm::ALARM;
pub use self::gate::Keys;

use self::gate::Gate;
use self::gate::Unmet;

/// Counts webhook requests by `forge` and `answer`.
pub const DELIVERIES: &str = "windlass_deliveries_total";
/// Measures webhook requests from the whole body to the answer, in seconds, by `answer`.
pub const DELIVERY_SECONDS: &str = "windlass_delivery_seconds";

/// How long may the queue take to show that it answers?
const READY_WITHIN: Duration = Duration::from_secs(1);

/// What deliveries of one forge are checked against.
pub struct Known {
    /// The kind.
    pub kind: Kind,
    /// The secrets of its webhooks.
    pub keys: Keys,
    /// The sources that it holds, with their repository as `owner/name`.
    pub sources: Vec<(Name, String)>,
}

/// A webhook, as its path names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hook<'a> {
    /// The forge.
    pub forge: &'a str,
    /// The source, where the webhook is for one alone.
    pub source: Option<&'a str>,
}

/// The way in from all forges.
pub struct Intake {
    gates: BTreeMap<Name, Gate>,
    queue: Queue,
    /// How often one source may be heard of; `None` for any number.
    rate: Option<Rate>,
}

/// What becomes of a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The queue has its events for certain.
    Accepted {
        /// What the delivery is called.
        id: String,
        /// How many events it led to.
        events: usize,
    },
    /// It is authentic and leads to nothing.
    Ignored {
        /// What the delivery is called.
        id: String,
        /// Why, in words for a person.
        why: String,
    },
    /// No secret signed it; that is all that is said.
    Unsigned,
    /// There is no such forge, or it holds no such source.
    UnknownHook,
    /// There were too many about one source; it may come again after this time.
    TooMany {
        /// How long.
        wait: Duration,
    },
    /// The queue does not confirm: the forge must count the delivery as failed.
    Unavailable,
}

impl Answer {
    /// Returns the word for it in logs and metrics.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Accepted { .. } => "accepted",
            Self::Ignored { .. } => "ignored",
            Self::Unsigned => "unsigned",
            Self::UnknownHook => "unknown_hook",
            Self::TooMany { .. } => "too_many",
            Self::Unavailable => "unavailable",
        }
    }
}

impl Intake {
    /// Takes the forges and the queue.
    #[must_use]
    pub fn new(forges: BTreeMap<Name, Known>, queue: Queue) -> Self {
        let gates = forges.into_iter().map(|(name, known)| (name, Gate::new(known))).collect();
        Self { gates, queue, rate: None }
    }

    /// Bounds how often each source may be heard of.
    #[must_use]
    pub fn at_most(self, rate: Option<Rate>) -> Self {
        Self { rate, ..self }
    }

    /// Takes other secrets for the webhooks of the forges that it knows; others are passed over.
    pub fn renew(&self, keys: impl IntoIterator<Item = (Name, Keys)>) {
        for (name, keys) in keys {
            if let Some(gate) = self.gates.get(&name) {
                gate.renew(keys);
            }
        }
    }

    /// Returns whether there is such a webhook, so that nothing is read for others.
    #[must_use]
    pub fn knows(&self, hook: Hook<'_>) -> bool {
        self.gate(hook).is_some()
    }

    /// Returns whether the queue answers, and so whether deliveries can be accepted.
    pub async fn is_ready(&self) -> bool {
        let answered = tokio::time::timeout(READY_WITHIN, self.queue.ping()).await;
        matches!(answered, Ok(Ok(())))
    }

    /// Decides about one delivery to a webhook; `from` is the address that it came from.
    pub async fn accept(&self, hook: Hook<'_>, from: &str, request: Request<'_>) -> Answer {
        let started = tokio::time::Instant::now();
        let (name, answer) = match self.gate(hook) {
            Some((name, gate, source)) => {
                (name.to_string(), self.hear(name, gate, source, from, request).await)
            }
            // A name that a stranger made up must not become a label.
            None => ("unknown".to_owned(), Answer::UnknownHook),
        };
        metrics::counter!(DELIVERIES, "forge" => name, "answer" => answer.word()).increment(1);
        metrics::histogram!(DELIVERY_SECONDS, "answer" => answer.word()).record(started.elapsed());
        answer
    }

    /// Finds the forge of a webhook, and the source where it is for one alone.
    fn gate(&self, hook: Hook<'_>) -> Option<(&Name, &Gate, Option<&Name>)> {
        let (name, gate) = self.gates.get_key_value(&Name::parse(hook.forge).ok()?)?;
        let Some(source) = hook.source else { return Some((name, gate, None)) };
        Some((name, gate, Some(gate.source(source)?)))
    }

    async fn hear(
        &self,
        forge: &Name,
        gate: &Gate,
        only: Option<&Name>,
        from: &str,
        request: Request<'_>,
    ) -> Answer {
        let rules = gate.kind.rules();
        let Some(delivery) = rules.verify(&request, gate.keys().of(only)) else {
            gate.alarm(only).unsigned(forge, only, forge::names_an_event(&request), request.now);
            return Answer::Unsigned;
        };
        gate.alarm(only).signed(forge, only);
        let id = delivery.id().to_owned();
        let span = |trace: &str| tracing::info_span!("hook", trace.id = trace, forge = %forge, delivery = %id, secret = delivery.secret());
        // A trace begins here whatever the sender says of one: a stranger joins no trace and names none.
        trail::step(None, span, self.take(forge, gate, only, from, request, &delivery)).await
    }

    /// Takes in a delivery that is signed.
    async fn take(
        &self,
        forge: &Name,
        gate: &Gate,
        only: Option<&Name>,
        from: &str,
        request: Request<'_>,
        delivery: &Delivery<'_>,
    ) -> Answer {
        let id = delivery.id().to_owned();
        let hint = gate.kind.rules().read(delivery);
        let events = match gate.events(only, &id, &hint, self.rate, request.now) {
            Ok(events) => Ok(events),
            Err(Unmet::Idle(why)) => Err(why),
            Err(Unmet::TooMany(wait)) => {
                tracing::warn!(read = %hint, "too many deliveries about one source: this one is refused, and the sweep looks instead");
                return Answer::TooMany { wait };
            }
        };
        let heard = Heard {
            delivery: id,
            forge: forge.clone(),
            hook: only.cloned(),
            event: delivery.event_in_words(),
            from: from.to_owned(),
            headers: forge::shown(&request),
            secret: delivery.secret(),
            read: hint.to_string(),
            by: delivery.sender(),
            pushed: matches!(hint, Hint::Push(_)),
            led_to: led_to(&events),
            received_at: request.now,
        };
        self.publish(heard, events.unwrap_or_default()).await
    }

    /// Publishes the events of a delivery with its record, all or nothing. Where there are no events, nothing is lost but
    /// the record, and the forge must not count the delivery as failed.
    async fn publish(&self, heard: Heard, events: Vec<Event>) -> Answer {
        let id = heard.delivery.clone();
        let answer = match &heard.led_to {
            LedTo::Accepted { events } => Answer::Accepted { id, events: events.len() },
            LedTo::Ignored { why } => Answer::Ignored { id, why: why.clone() },
        };
        let read = heard.read.clone();
        // One message is confirmed sooner than two: dispatch tells history of the delivery when it looks at the event.
        let drafts = match events.split_first() {
            Some((first, rest)) => std::iter::once(Draft::delivered(first, &heard))
                .chain(rest.iter().map(Draft::event))
                .collect(),
            None => vec![Draft::report(&Report::new(heard.received_at, Told::Heard(heard)))],
        };
        if !published(self.queue.publish(drafts).await) && !events.is_empty() {
            return Answer::Unavailable;
        }
        if let Answer::Ignored { why, .. } = &answer {
            tracing::info!(%why, "delivery ignored");
        } else {
            tracing::info!(read, events = events.len(), "delivery accepted");
        }
        answer
    }
}

fn led_to(events: &Result<Vec<Event>, String>) -> LedTo {
    match events {
        Ok(events) => LedTo::Accepted {
            events: events.iter().map(|one| (one.id.clone(), one.source.clone())).collect(),
        },
        Err(why) => LedTo::Ignored { why: why.clone() },
    }
}

fn published(result: Result<(), queue::Error>) -> bool {
    if let Err(error) = &result {
        let fault = error.fault();
        tracing::error!(error = %chain(error), ?fault, "failed to publish what a delivery leads to");
    }
    result.is_ok()
}
