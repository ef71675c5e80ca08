//! Why a delivery led to what it did: what history keeps of each delivery, and of what dispatch made of its events.

use serde::Deserialize;
use serde::Serialize;

use crate::application::Name;
use crate::commit::CommitId;
use crate::moment::Moment;

/// A delivery as it was heard. Never holds its body, a signature or a secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heard {
    /// What the forge calls it; one that is delivered again has the same name.
    pub delivery: String,
    /// The forge.
    pub forge: Name,
    /// The source, where the webhook is for one alone.
    pub hook: Option<Name>,
    /// What the forge calls the event, as readable as it is.
    pub event: String,
    /// The address that it came from, as the door saw it.
    pub from: String,
    /// Its headers, those that only forges send first, then by name; values that may be secret are masked, and long ones cut.
    pub headers: Vec<(String, String)>,
    /// Which of the webhook's secrets signed it, from 0.
    pub secret: usize,
    /// What it was read as, in words.
    pub read: String,
    /// Who did that, by the name of the account at the forge, where the body says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Does it say that a ref moved?
    pub pushed: bool,
    /// What it led to.
    pub led_to: LedTo,
    /// When it was received.
    pub received_at: Moment,
}

/// What a delivery led to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "answer")]
pub enum LedTo {
    /// Events, which were published with this record.
    Accepted {
        /// What each is called, and its source.
        events: Vec<(String, Name)>,
    },
    /// Nothing.
    Ignored {
        /// Why, in words for a person.
        why: String,
    },
}

/// How many applications and targets does the record of one event name? The rest is counted.
pub const CONSIDERED: usize = 200;

/// What dispatch made of the event of a delivery.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Considered {
    /// The event.
    pub event: String,
    /// Its source.
    pub source: Name,
    /// What came of it, in words.
    pub end: String,
    /// The commits that it was answered for; of each reference an older one before the tip.
    pub commits: Vec<CommitId>,
    /// Applications and targets of the source with what was decided about each; at most [`CONSIDERED`].
    pub decisions: Vec<Decision>,
    /// How many more there are.
    pub more: usize,
}

/// What was decided about an application, or about a target of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// What it is about: an application, or a target as `<application>@<cluster>`.
    pub subject: String,
    /// Does it lead to work?
    pub touched: bool,
    /// Why, in words.
    pub why: String,
}

impl Considered {
    /// Begins the record of an event.
    #[must_use]
    pub fn new(event: &str, source: &Name) -> Self {
        Self {
            event: event.to_owned(),
            source: source.clone(),
            end: String::new(),
            commits: Vec::new(),
            decisions: Vec::new(),
            more: 0,
        }
    }

    /// Notes a decision, as long as there is room; others are counted.
    pub fn note(&mut self, subject: String, touched: bool, why: String) {
        if self.decisions.len() < CONSIDERED {
            self.decisions.push(Decision { subject, touched, why });
        } else {
            self.more += 1;
        }
    }
}
