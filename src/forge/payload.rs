//! The few fields of payloads that are read. Everything else in them is skipped without being stored, in bounded depth.

use serde::Deserialize;

use crate::commit::CommitId;
use crate::commit::Malformed;
use crate::commit::RefName;
use crate::event::Hint;
use crate::event::Push;

/// How long may a repository's `owner/name` be, in bytes?
const REPOSITORY_BYTES: usize = 256;

#[derive(Deserialize)]
struct PushBody {
    #[serde(rename = "ref")]
    reference: String,
    before: String,
    after: String,
    repository: RepositoryBody,
}

#[derive(Deserialize)]
struct DeleteBody {
    #[serde(rename = "ref")]
    name: String,
    ref_type: String,
    repository: RepositoryBody,
}

#[derive(Deserialize)]
struct RepositoryBody {
    full_name: String,
}

/// Why a payload is no hint.
enum Unusable {
    Json(serde_json::Error),
    Text(Malformed),
    Words(&'static str),
}

impl From<Malformed> for Unusable {
    fn from(error: Malformed) -> Self {
        Self::Text(error)
    }
}

/// Reads a push of a branch or a tag; zeros in `after` say that it was deleted.
pub fn push(body: &[u8]) -> Hint {
    told("push", read_push(body))
}

/// Reads a deletion, where the ref is a short name beside its type.
pub fn delete(body: &[u8]) -> Hint {
    told("delete", read_delete(body))
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

fn told(event: &str, read: Result<Push, Unusable>) -> Hint {
    // Parts of the payload stay out of the reason, as it is logged.
    let why = match read {
        Ok(push) => return Hint::Push(push),
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

fn read_push(body: &[u8]) -> Result<Push, Unusable> {
    let body: PushBody = serde_json::from_slice(body).map_err(Unusable::Json)?;
    Ok(Push {
        repository: repository(body.repository)?,
        reference: RefName::parse(&body.reference)?,
        before: CommitId::parse_or_zero(&body.before)?,
        after: CommitId::parse_or_zero(&body.after)?,
    })
}

fn read_delete(body: &[u8]) -> Result<Push, Unusable> {
    let body: DeleteBody = serde_json::from_slice(body).map_err(Unusable::Json)?;
    let folder = match body.ref_type.as_str() {
        "branch" => "heads",
        "tag" => "tags",
        _ => return Err(Unusable::Words("it deletes neither a branch nor a tag")),
    };
    let reference = RefName::parse(&format!("refs/{folder}/{}", body.name))?;
    Ok(Push { repository: repository(body.repository)?, reference, before: None, after: None })
}

fn repository(body: RepositoryBody) -> Result<String, Unusable> {
    let name = body.full_name;
    let parts = name.split('/').filter(|part| !part.is_empty()).count();
    let fine = name.len() <= REPOSITORY_BYTES && parts == 2 && name.matches('/').count() == 1;
    if fine && !name.chars().any(|c| c.is_control() || c.is_whitespace()) {
        Ok(name)
    } else {
        Err(Unusable::Words("a repository is called owner/name"))
    }
}

/// How many characters of a foreign word does a sentence bear?
const WORD_CHARS: usize = 40;

fn readable(word: &str) -> String {
    word.chars().filter(|c| c.is_ascii_graphic()).take(WORD_CHARS).collect()
}

/// Returns the zero id in the length of another id.
pub fn zeros(like: Option<&CommitId>) -> String {
    "0".repeat(like.map_or(40, |id| id.as_str().len()))
}

/// Makes up the body of a push, in the part that all forges share.
pub fn make_up(push: &Push) -> String {
    let known = push.after.as_ref().or(push.before.as_ref());
    let id = |id: &Option<CommitId>| id.as_ref().map_or_else(|| zeros(known), |id| id.as_str().to_owned());
    let name = push.repository.split('/').next_back().unwrap_or_default();
    serde_json::json!({
        "ref": push.reference.as_str(),
        "before": id(&push.before),
        "after": id(&push.after),
        "commits": [],
        "repository": { "name": name, "full_name": push.repository },
    })
    .to_string()
}
