//! What each kind of forge says and wants to hear, as pure rules.
//!
//! In comes a request as it was received; out comes a [`Delivery`], which only a signature that held can make, then a
//! [`Hint`]. In comes a verdict on a commit; out comes an [`HttpRequest`] that somebody else sends, and what the
//! answer to it means. Nothing here does I/O, and the kind of a forge is configuration, never sniffed: Gitea sends
//! GitHub's headers too.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use crate::event::Hint;
use crate::event::Push;
use crate::moment::Moment;
use crate::secret::Secret;

mod form;
mod found;
mod gitea;
pub mod github;
pub mod gitlab;
mod link;
mod pace;
mod payload;
mod post;
mod shown;
mod signature;
mod standard;

pub use self::form::payload as payload_of_form;
pub use self::found::Found;
pub use self::link::About;
pub use self::link::Link;
pub use self::pace::Pace;
pub use self::pace::limited_for;
pub use self::post::Answer;
pub use self::post::HttpAnswer;
pub use self::post::HttpRequest;
pub use self::post::StatusPost;
pub use self::shown::names_an_event;
pub use self::shown::shown;

/// A kind of forge that windlass knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Gitea.
    Gitea,
    /// Forgejo, which speaks Gitea's dialect with headers of its own beside Gitea's.
    Forgejo,
    /// github.com or GitHub Enterprise Server.
    Github,
    /// gitlab.com or a GitLab of one's own.
    Gitlab,
}

impl Kind {
    /// All of them, in the order in which they are listed to people.
    pub const ALL: [Self; 4] = [Self::Gitea, Self::Forgejo, Self::Github, Self::Gitlab];

    /// Returns the word for it in settings, logs and metrics.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Gitea => "gitea",
            Self::Forgejo => "forgejo",
            Self::Github => "github",
            Self::Gitlab => "gitlab",
        }
    }

    /// Reads the word back.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }

    /// Returns its rules.
    #[must_use]
    pub fn rules(self) -> &'static dyn Forge {
        match self {
            Self::Gitea => &gitea::Gitea { forgejo: false },
            Self::Forgejo => &gitea::Gitea { forgejo: true },
            Self::Github => &github::Github,
            Self::Gitlab => &gitlab::Gitlab,
        }
    }

    /// Returns how many parts the name of a repository has at most: two, as in `owner/name`, or more where groups lie
    /// in groups.
    #[must_use]
    pub fn name_parts(self) -> usize {
        match self {
            Self::Gitea | Self::Forgejo | Self::Github => payload::PLAIN_PARTS,
            Self::Gitlab => payload::NESTED_PARTS,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.word())
    }
}

/// The rules of one kind of forge.
pub trait Forge: Send + Sync {
    /// Returns the delivery when one of the secrets signed the request, whatever else is wrong with it; `None` says
    /// nothing about why, and costs the same work for every reason.
    fn verify<'a>(&self, request: &Request<'a>, secrets: &[Secret]) -> Option<Delivery<'a>>;

    /// Reads what a delivery says. Authentic deliveries that mean nothing to windlass, or that cannot be read, are
    /// ignored with a reason: forges switch off hooks that are answered with errors.
    fn read(&self, delivery: &Delivery<'_>) -> Hint;

    /// Describes the request that posts a status.
    fn describe(&self, status: &StatusPost<'_>) -> HttpRequest;

    /// Says what the answer to such a request means.
    fn classify(&self, request: &HttpRequest, answer: &HttpAnswer<'_>) -> Answer;

    /// Describes the question what the forge shows where a status is to be.
    fn look(&self, status: &StatusPost<'_>) -> HttpRequest;

    /// Says what the answer to that question shows.
    fn found(&self, status: &StatusPost<'_>, answer: &HttpAnswer<'_>) -> Found;

    /// Returns how far what it shows may lag behind what it was told.
    fn lag(&self) -> Duration {
        Duration::ZERO
    }

    /// Returns how fast it may be written to; `None` where one request after another is slow enough.
    fn pace(&self) -> Option<Pace> {
        None
    }

    /// Returns the address of the API for a forge at this URL, which has no trailing slash.
    fn api(&self, url: &str) -> String;

    /// Makes up the delivery that this forge would send for a push: the name of the event and the JSON body.
    fn make_up(&self, push: &Push) -> (&'static str, String);

    /// Returns the headers that this forge would send with a JSON body at this time, signed; names are lowercase.
    fn sign(
        &self,
        event: &str,
        id: &str,
        body: &[u8],
        secret: &Secret,
        now: Moment,
    ) -> Vec<(&'static str, String)>;

    /// Says what is wrong with a secret of a webhook, to whoever gave it; most forges take any.
    ///
    /// # Errors
    /// No delivery could ever hold by it; the text reads on after what the secret is called.
    fn vet(&self, _: &Secret) -> Result<(), &'static str> {
        Ok(())
    }
}

/// A request to a webhook as it was received, nothing in it believed yet.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// All headers, names in lowercase, repeated ones repeated; a value that is no text is present as U+FFFD.
    pub headers: &'a [(&'a str, &'a str)],
    /// The raw body.
    pub body: &'a [u8],
    /// When it was received.
    pub now: Moment,
}

impl<'a> Request<'a> {
    fn values(&self, name: &str) -> impl Iterator<Item = &'a str> {
        self.headers.iter().filter(move |(found, _)| *found == name).map(|(_, value)| *value)
    }

    /// Returns the value of a header that is there exactly once.
    fn only(&self, name: &str) -> Option<&'a str> {
        post::only(self.values(name)).flatten()
    }

    fn first(&self, names: &[&str]) -> Option<&'a str> {
        names.iter().find_map(|name| self.values(name).next())
    }

    fn is_form(&self) -> bool {
        self.first(&["content-type"]).is_some_and(|kind| {
            let kind = kind.split(';').next().unwrap_or_default().trim();
            kind.eq_ignore_ascii_case("application/x-www-form-urlencoded")
        })
    }
}

/// A webhook request whose signature held. Invariant: only [`Forge::verify`] makes one.
pub struct Delivery<'a> {
    id: String,
    secret: usize,
    event: &'a str,
    body: Cow<'a, [u8]>,
}

/// How long may a delivery's own id be, in bytes? Longer ones are replaced by a digest of the body.
const ID_BYTES: usize = 64;

impl<'a> Delivery<'a> {
    fn new(request: &Request<'a>, names: &Names, secret: usize, body: Cow<'a, [u8]>) -> Self {
        let id = request
            .first(names.delivery)
            .filter(|id| (1..=ID_BYTES).contains(&id.len()))
            .filter(|id| id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'))
            .map_or_else(|| signature::digest(request.body), str::to_owned);
        let event = request.first(names.event).unwrap_or_default();
        Self { id, secret, event, body }
    }

    /// Returns what the forge calls this delivery; the SHA-256 of the body in hexadecimal when it gives no usable name.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Returns which of the secrets signed it, from 0.
    #[must_use]
    pub fn secret(&self) -> usize {
        self.secret
    }

    /// Returns the name of the event as a person may read it: at most 40 of its printable characters.
    #[must_use]
    pub fn event_in_words(&self) -> String {
        payload::readable(self.event)
    }

    /// Returns the name of the account that did what it tells of, as far as the forge says it. It is
    /// as certain as the rest of the body: GitLab's token alone covers none of it.
    #[must_use]
    pub fn sender(&self) -> Option<String> {
        payload::sender(&self.body)
    }

    /// Returns the name of the event, empty when the forge gives none. Signatures do not cover it.
    #[must_use]
    pub fn event(&self) -> &str {
        self.event
    }

    /// Returns the JSON that was signed or that the signed form carried.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }
}

/// The headers in which a forge names a delivery and its event, the most specific first.
struct Names {
    event: &'static [&'static str],
    delivery: &'static [&'static str],
}

#[cfg(test)]
mod tests;
