//! Takes deliveries in: a signature that holds becomes a hint, a hint becomes one event for each source that it is
//! about, and only when the queue has them for certain is the delivery accepted.
//!
//! The payload goes no further than this.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicI64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tracing::Instrument;
use uuid::Uuid;

use crate::application::Name;
use crate::clock::now;
use crate::event::Event;
use crate::event::Hint;
use crate::event::Push;
use crate::event::VERSION;
use crate::event::What;
use crate::fault::chain;
use crate::forge::Kind;
use crate::forge::Request;
use crate::moment::Moment;
use crate::queue;
use crate::queue::Draft;
use crate::queue::Lane;
use crate::queue::Queue;
use crate::secret::Secret;

/// Counts webhook requests by `forge` and `answer`.
pub const DELIVERIES: &str = "windlass_deliveries_total";
/// Measures webhook requests from the whole body to the answer, in seconds, by `answer`.
pub const DELIVERY_SECONDS: &str = "windlass_delivery_seconds";

/// How often may unsigned requests to one forge's webhook be logged? They are counted always.
const UNSIGNED_LOGGED_EVERY: Duration = Duration::from_secs(10);

/// How long may the queue take to show that it answers?
const READY_WITHIN: Duration = Duration::from_secs(1);

/// What deliveries of one forge are checked against.
pub struct Known {
    /// The kind.
    pub kind: Kind,
    /// The secrets of its webhooks; with none, every delivery is unsigned.
    pub secrets: Vec<Secret>,
    /// The secrets of those sources whose own webhooks have others.
    pub own: BTreeMap<Name, Vec<Secret>>,
    /// The sources that it holds, with their repository as `owner/name`.
    pub sources: Vec<(Name, String)>,
}

struct Gate {
    known: Known,
    /// Sources by repository in lowercase, since forges compare without case.
    sources: BTreeMap<String, Vec<Name>>,
    unsigned_logged: AtomicI64,
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
            Self::Unavailable => "unavailable",
        }
    }
}

impl Intake {
    /// Takes the forges and the queue.
    #[must_use]
    pub fn new(forges: BTreeMap<Name, Known>, queue: Queue) -> Self {
        let gates = forges.into_iter().map(|(name, known)| (name, Gate::new(known))).collect();
        Self { gates, queue }
    }

    /// Returns whether there is such a webhook, so that nothing is read for others.
    #[must_use]
    pub fn knows(&self, hook: Hook<'_>) -> bool {
        self.gate(hook).is_some()
    }

    /// Returns whether the queue answers, and so whether deliveries can be accepted.
    pub async fn is_ready(&self) -> bool {
        let depth = tokio::time::timeout(READY_WITHIN, self.queue.depth(&Lane::events())).await;
        matches!(depth, Ok(Ok(_)))
    }

    /// Decides about one delivery to a webhook.
    pub async fn accept(&self, hook: Hook<'_>, request: Request<'_>) -> Answer {
        let started = tokio::time::Instant::now();
        let (name, answer) = match self.gate(hook) {
            Some((name, gate, source)) => (name.to_string(), self.hear(name, gate, source, request).await),
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
        let (source, _) = gate.known.sources.iter().find(|(known, _)| known.as_str() == source)?;
        Some((name, gate, Some(source)))
    }

    async fn hear(&self, forge: &Name, gate: &Gate, source: Option<&Name>, request: Request<'_>) -> Answer {
        let rules = gate.known.kind.rules();
        let own = source.and_then(|source| gate.known.own.get(source));
        let Some(delivery) = rules.verify(&request, own.unwrap_or(&gate.known.secrets)) else {
            gate.log_unsigned(forge);
            return Answer::Unsigned;
        };
        let id = delivery.id().to_owned();
        let span = tracing::info_span!("hook", forge = %forge, delivery = %id, secret = delivery.secret());
        let hint = rules.read(&delivery);
        self.publish(gate, source, id, hint).instrument(span).await
    }

    async fn publish(&self, gate: &Gate, only: Option<&Name>, id: String, hint: Hint) -> Answer {
        let push = match hint {
            Hint::Push(push) => push,
            Hint::Ignored { why } => return ignored(id, why),
        };
        let Some(sources) = gate.sources.get(&push.repository.to_lowercase()) else {
            return ignored(id, format!("no source is configured for {}", push.repository));
        };
        // A secret of one source speaks for that source alone.
        let meant = |source: &&Name| only.is_none_or(|only| only == *source);
        let sources: Vec<&Name> = sources.iter().filter(meant).collect();
        if let (true, Some(only)) = (sources.is_empty(), only) {
            return ignored(
                id,
                format!("this webhook is for source {only}, which is not {}", push.repository),
            );
        }
        let events = sources.len();
        let drafts = sources.into_iter().map(|source| draft(&id, source, &push, events > 1)).collect();
        if !published(self.queue.publish(drafts).await) {
            return Answer::Unavailable;
        }
        tracing::info!(reference = %push.reference, events, "delivery accepted");
        Answer::Accepted { id, events }
    }
}

impl Gate {
    fn new(known: Known) -> Self {
        let mut sources: BTreeMap<String, Vec<Name>> = BTreeMap::new();
        for (source, repository) in &known.sources {
            sources.entry(repository.to_lowercase()).or_default().push(source.clone());
        }
        Self { known, sources, unsigned_logged: AtomicI64::new(0) }
    }

    /// Warns of unsigned requests, rarely: anybody can send them.
    fn log_unsigned(&self, forge: &Name) {
        let (now, last) = (now(), self.unsigned_logged.load(Ordering::Relaxed));
        let again = u128::from(now.since(Moment(last))) >= UNSIGNED_LOGGED_EVERY.as_millis();
        if again
            && self
                .unsigned_logged
                .compare_exchange(last, now.0, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
        {
            tracing::warn!(
                forge = %forge,
                "a request to the webhook was not signed with any of its secrets; if the forge sent it, give both the same secret, and this machine the right time",
            );
        }
    }
}

fn ignored(id: String, why: String) -> Answer {
    tracing::info!(%why, "delivery ignored");
    Answer::Ignored { id, why }
}

fn published(result: Result<(), queue::Error>) -> bool {
    if let Err(error) = &result {
        let fault = error.fault();
        tracing::error!(error = %chain(error), ?fault, "delivery not accepted: failed to publish its events");
    }
    result.is_ok()
}

/// Makes the event of one source. One delivery may concern several sources, whose events need names of their own.
fn draft(delivery: &str, source: &Name, push: &Push, several: bool) -> Draft {
    let id = if several {
        Uuid::new_v5(&Uuid::NAMESPACE_URL, format!("{source}/{delivery}").as_bytes()).to_string()
    } else {
        delivery.to_owned()
    };
    let event = Event {
        version: VERSION,
        id: id.clone(),
        source: source.clone(),
        what: What::Push {
            reference: push.reference.clone(),
            before: push.before.clone(),
            after: push.after.clone(),
        },
        received_at: now(),
    };
    Draft::event(&event)
}
