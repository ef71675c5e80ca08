//! The few fields of payloads that are read. Everything else in them is skipped without being stored, in bounded depth.

use serde::Deserialize;

use crate::commit::CommitId;
use crate::commit::Malformed;
use crate::commit::RefName;
use crate::event::Hint;
use crate::event::Push;

/// How long may a repository's `owner/name` be, in bytes?
const REPOSITORY_BYTES: usize = 256;

/// How many parts has the name of a repository?
pub const PLAIN_PARTS: usize = 2;

/// How many parts may the name of a repository have where groups lie in groups? GitLab takes 20 of them, and the name.
pub const NESTED_PARTS: usize = 21;

#[derive(Deserialize)]
struct PushBody {
    #[serde(rename = "ref")]
    reference: String,
    before: String,
    after: String,
    /// The commit behind `after`, which for an annotated tag is the tag's own object; `null` after a deletion.
    head_commit: Option<HeadBody>,
    repository: RepositoryBody,
}

#[derive(Deserialize)]
struct HeadBody {
    id: String,
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

/// The push as GitLab tells it.
#[derive(Deserialize)]
struct ProjectPushBody {
    #[serde(rename = "ref")]
    reference: String,
    before: String,
    after: String,
    /// The commit, where `after` is the object of an annotated tag; `null` after a deletion.
    checkout_sha: Option<String>,
    project: ProjectBody,
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

/// Reads a push of a branch or a tag as GitLab tells it.
pub fn project_push(body: &[u8]) -> Hint {
    told("push", read_project_push(body))
}

/// Reads a system hook of GitLab, which hears of everything on the whole instance.
pub fn system(body: &[u8]) -> Hint {
    let about: SystemBody = match serde_json::from_slice(body) {
        Ok(about) => about,
        Err(error) => return told("system hook", Err(Unusable::Json(error))),
    };
    match about.event_name.or(about.object_kind).as_deref() {
        Some("push" | "tag_push") => project_push(body),
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
    let reference = RefName::parse(&body.reference)?;
    let mut after = CommitId::parse_or_zero(&body.after)?;
    if let (true, Some(_), Some(head)) = (reference.is_tag(), &after, &body.head_commit) {
        after = Some(CommitId::parse(&head.id)?);
    }
    Ok(Push {
        repository: repository(body.repository.full_name, PLAIN_PARTS)?,
        reference,
        before: CommitId::parse_or_zero(&body.before)?,
        after,
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
    let repository = repository(body.repository.full_name, PLAIN_PARTS)?;
    Ok(Push { repository, reference, before: None, after: None })
}

fn read_project_push(body: &[u8]) -> Result<Push, Unusable> {
    let body: ProjectPushBody = serde_json::from_slice(body).map_err(Unusable::Json)?;
    let checkout = body.checkout_sha.as_deref().map(CommitId::parse_or_zero).transpose()?.flatten();
    let after = CommitId::parse_or_zero(&body.after)?;
    Ok(Push {
        repository: repository(body.project.path_with_namespace, NESTED_PARTS)?,
        reference: RefName::parse(&body.reference)?,
        before: CommitId::parse_or_zero(&body.before)?,
        after: after.map(|after| checkout.unwrap_or(after)),
    })
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

fn readable(word: &str) -> String {
    word.chars().filter(|c| c.is_ascii_graphic() || *c == ' ').take(WORD_CHARS).collect()
}

/// Returns the ids before and after a push, with zeros of the same length for nothing.
pub fn ids(push: &Push) -> (String, String) {
    let known = push.after.as_ref().or(push.before.as_ref());
    let zeros = "0".repeat(known.map_or(40, |id| id.as_str().len()));
    let id = |id: &Option<CommitId>| id.as_ref().map_or_else(|| zeros.clone(), |id| id.as_str().to_owned());
    (id(&push.before), id(&push.after))
}

/// Makes up the body of a push as GitHub and Gitea tell it.
pub fn make_up(push: &Push) -> String {
    let (before, after) = ids(push);
    let name = push.repository.split('/').next_back().unwrap_or_default();
    serde_json::json!({
        "ref": push.reference.as_str(),
        "before": before,
        "after": after,
        "commits": [],
        "repository": { "name": name, "full_name": push.repository },
    })
    .to_string()
}
