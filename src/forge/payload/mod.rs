//! The few fields of payloads that are read. Everything else in them is skipped without being stored, in bounded depth.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::commit::Malformed;
use crate::event::Hint;

mod pull_request;
mod push;
mod rerun;
mod sender;

pub use self::pull_request::merge_request;
pub use self::pull_request::pull_request;
pub use self::push::delete;
pub use self::push::ids;
pub use self::push::make_up;
pub use self::push::project_push;
pub use self::push::push;
pub use self::rerun::check_run;
pub use self::rerun::check_suite;
pub use self::sender::sender;

/// How long may a repository's `owner/name` be, in bytes?
const REPOSITORY_BYTES: usize = 256;

/// How many parts has the name of a repository?
pub const PLAIN_PARTS: usize = 2;

/// How many parts may the name of a repository have where groups lie in groups? GitLab takes 20 of them, and the name.
pub const NESTED_PARTS: usize = 21;

#[derive(Deserialize)]
struct RepositoryBody {
    full_name: String,
}

#[derive(Deserialize)]
struct ProjectBody {
    path_with_namespace: String,
}

/// What a system hook of GitLab is about: some give it under one name, some under the other, some under both.
#[derive(Deserialize)]
struct SystemBody {
    event_name: Option<String>,
    object_kind: Option<String>,
}

/// Why a payload is no hint.
enum Unusable {
    /// It is not of the form that is read.
    Json(serde_json::Error),
    /// A text in it is not what it should be.
    Text(Malformed),
    /// It is of no use for this reason.
    Words(&'static str),
    /// It tells of what windlass does not act on.
    Idle(String),
}

impl From<Malformed> for Unusable {
    fn from(error: Malformed) -> Self {
        Self::Text(error)
    }
}

/// Reads a system hook of GitLab, which hears of everything on the whole instance.
pub fn system(body: &[u8]) -> Hint {
    let about: SystemBody = match json(body) {
        Ok(about) => about,
        Err(error) => return told("system hook", Err(error)),
    };
    match about.event_name.or(about.object_kind).as_deref() {
        Some("push" | "tag_push") => project_push(body),
        Some("merge_request") => merge_request(body),
        Some(event) => other(event),
        None => other(""),
    }
}

/// Ignores an event that windlass has no use for.
pub fn other(event: &str) -> Hint {
    let why = match event {
        "" => "the delivery does not name its event".to_owned(),
        "ping" => "ping: this hook reaches windlass and its signature holds".to_owned(),
        event => format!("windlass does not act on the event {}", readable(event)),
    };
    Hint::Ignored { why }
}

fn json<T: DeserializeOwned>(body: &[u8]) -> Result<T, Unusable> {
    serde_json::from_slice(body).map_err(Unusable::Json)
}

fn told(event: &str, read: Result<Hint, Unusable>) -> Hint {
    // Parts of the payload stay out of the reason, as it is logged.
    let why = match read {
        Ok(hint) => return hint,
        Err(Unusable::Idle(why)) => return Hint::Ignored { why },
        Err(Unusable::Json(error)) if error.is_data() => {
            format!(
                "a needed field is missing or has another type (line {}, column {})",
                error.line(),
                error.column()
            )
        }
        Err(Unusable::Json(error)) => {
            format!("it is no JSON that can be read (line {}, column {})", error.line(), error.column())
        }
        Err(Unusable::Text(error)) => error.expected.to_owned(),
        Err(Unusable::Words(words)) => words.to_owned(),
    };
    Hint::Ignored { why: format!("the payload of this {event} is of no use: {why}") }
}

/// Says that windlass does not act on what happened to something.
fn idle(what: &str, action: &str) -> Unusable {
    Unusable::Idle(format!("windlass does not act on {what} that is {}", readable(action)))
}

fn repository(name: String, most: usize) -> Result<String, Unusable> {
    let parts = name.split('/').count();
    let fine = name.len() <= REPOSITORY_BYTES && (PLAIN_PARTS..=most).contains(&parts);
    let whole = name.split('/').all(|part| !part.is_empty());
    if fine && whole && !name.chars().any(|c| c.is_control() || c.is_whitespace()) {
        Ok(name)
    } else if most > PLAIN_PARTS {
        Err(Unusable::Words("a project is called by its groups and its own name, as in group/name"))
    } else {
        Err(Unusable::Words("a repository is called owner/name"))
    }
}

/// How many characters of a foreign word does a sentence bear?
const WORD_CHARS: usize = 40;

/// Returns as much of a foreign word as may stand in a sentence.
pub fn readable(word: &str) -> String {
    word.chars().filter(|c| c.is_ascii_graphic() || *c == ' ').take(WORD_CHARS).collect()
}

#[cfg(test)]
mod tests;
