//! Pushes and deletions of refs.

use serde::Deserialize;

use crate::commit::CommitId;
use crate::commit::RefName;
use crate::event::Hint;
use crate::event::Push;

use super::NESTED_PARTS;
use super::PLAIN_PARTS;
use super::ProjectBody;
use super::RepositoryBody;
use super::Unusable;
use super::json;
use super::repository;
use super::told;

#[derive(Deserialize)]
struct PushBody {
    #[serde(rename = "ref")]
    reference: String,
    before: String,
    after: String,
    /// Only GitHub says so.
    forced: Option<bool>,
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

/// Reads a push of a branch or a tag; zeros in `after` say that it was deleted.
pub fn push(body: &[u8]) -> Hint {
    told("push", read_push(body).map(Hint::Push))
}

/// Reads a deletion, where the ref is a short name beside its type.
pub fn delete(body: &[u8]) -> Hint {
    told("delete", read_delete(body).map(Hint::Push))
}

/// Reads a push of a branch or a tag as GitLab tells it.
pub fn project_push(body: &[u8]) -> Hint {
    told("push", read_project_push(body).map(Hint::Push))
}

fn read_push(body: &[u8]) -> Result<Push, Unusable> {
    let body: PushBody = json(body)?;
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
        forced: body.forced.unwrap_or_default(),
    })
}

fn read_delete(body: &[u8]) -> Result<Push, Unusable> {
    let body: DeleteBody = json(body)?;
    let folder = match body.ref_type.as_str() {
        "branch" => "heads",
        "tag" => "tags",
        _ => return Err(Unusable::Words("it deletes neither a branch nor a tag")),
    };
    let reference = RefName::parse(&format!("refs/{folder}/{}", body.name))?;
    let repository = repository(body.repository.full_name, PLAIN_PARTS)?;
    Ok(Push { repository, reference, before: None, after: None, forced: false })
}

fn read_project_push(body: &[u8]) -> Result<Push, Unusable> {
    let body: ProjectPushBody = json(body)?;
    let checkout = body.checkout_sha.as_deref().map(CommitId::parse_or_zero).transpose()?.flatten();
    let after = CommitId::parse_or_zero(&body.after)?;
    Ok(Push {
        repository: repository(body.project.path_with_namespace, NESTED_PARTS)?,
        reference: RefName::parse(&body.reference)?,
        before: CommitId::parse_or_zero(&body.before)?,
        after: after.map(|after| checkout.unwrap_or(after)),
        forced: false,
    })
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
        "forced": push.forced,
        "commits": [],
        "repository": { "name": name, "full_name": push.repository },
    })
    .to_string()
}
