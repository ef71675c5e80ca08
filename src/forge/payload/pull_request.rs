//! Pull requests, and merge requests as GitLab calls them.

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::commit::CommitId;
use crate::commit::RefName;
use crate::event::Activity;
use crate::event::Hint;
use crate::event::PullRequest;

use super::NESTED_PARTS;
use super::PLAIN_PARTS;
use super::ProjectBody;
use super::RepositoryBody;
use super::Unusable;
use super::idle;
use super::json;
use super::repository;
use super::told;

#[derive(Deserialize)]
struct RequestBody {
    action: String,
    number: u64,
    pull_request: SidesBody,
    /// What an edit changed.
    changes: Option<ChangesBody>,
    repository: RepositoryBody,
}

#[derive(Deserialize)]
struct SidesBody {
    head: HeadBody,
    base: BaseBody,
}

#[derive(Deserialize)]
struct HeadBody {
    sha: String,
    /// `null` when the repository is gone.
    repo: Option<RepositoryBody>,
}

#[derive(Deserialize)]
struct BaseBody {
    /// The short name of the branch.
    #[serde(rename = "ref")]
    name: String,
}

/// The branch that a request would change is called `base` at GitHub and `ref` at Gitea and Forgejo.
#[derive(Deserialize)]
struct ChangesBody {
    base: Option<IgnoredAny>,
    #[serde(rename = "ref")]
    reference: Option<IgnoredAny>,
}

/// The merge request as GitLab tells it.
#[derive(Deserialize)]
struct MergeBody {
    object_attributes: AttributesBody,
    changes: Option<MergeChangesBody>,
    project: ProjectBody,
}

#[derive(Deserialize)]
struct AttributesBody {
    iid: u64,
    /// Absent where a merge request is only mentioned.
    action: Option<String>,
    /// There only when what is proposed is another.
    oldrev: Option<IgnoredAny>,
    target_branch: String,
    /// `null` when the project is gone.
    source_project_id: Option<u64>,
    target_project_id: u64,
    last_commit: LastBody,
}

#[derive(Deserialize)]
struct LastBody {
    id: String,
}

#[derive(Deserialize)]
struct MergeChangesBody {
    target_branch: Option<IgnoredAny>,
}

/// Reads a pull request as GitHub, Gitea and Forgejo tell it.
pub fn pull_request(body: &[u8]) -> Hint {
    told("pull request", read_request(body).map(Hint::PullRequest))
}

/// Reads a merge request as GitLab tells it.
pub fn merge_request(body: &[u8]) -> Hint {
    told("merge request", read_merge(body).map(Hint::PullRequest))
}

fn read_request(body: &[u8]) -> Result<PullRequest, Unusable> {
    let body: RequestBody = json(body)?;
    let moved = body.changes.is_some_and(|changes| changes.base.is_some() || changes.reference.is_some());
    let activity = match body.action.as_str() {
        "opened" | "reopened" | "ready_for_review" => Activity::Opened,
        // The one is GitHub's word, the other Gitea's and Forgejo's.
        "synchronize" | "synchronized" => Activity::Updated,
        "edited" if moved => Activity::Updated,
        "closed" => Activity::Closed,
        action => return Err(idle("a pull request", action)),
    };
    let repository = repository(body.repository.full_name, PLAIN_PARTS)?;
    let SidesBody { head, base } = body.pull_request;
    let same = |head: &RepositoryBody| head.full_name.eq_ignore_ascii_case(&repository);
    Ok(PullRequest {
        number: body.number,
        activity,
        head: CommitId::parse(&head.sha)?,
        base: RefName::parse(&format!("refs/heads/{}", base.name))?,
        fork: !head.repo.as_ref().is_some_and(same),
        repository,
    })
}

fn read_merge(body: &[u8]) -> Result<PullRequest, Unusable> {
    let body: MergeBody = json(body)?;
    let about = body.object_attributes;
    let moved = body.changes.is_some_and(|changes| changes.target_branch.is_some());
    let activity = match about.action.as_deref().unwrap_or_default() {
        "open" | "reopen" => Activity::Opened,
        "update" if about.oldrev.is_some() || moved => Activity::Updated,
        "close" | "merge" => Activity::Closed,
        action => return Err(idle("a merge request", action)),
    };
    Ok(PullRequest {
        repository: repository(body.project.path_with_namespace, NESTED_PARTS)?,
        number: about.iid,
        activity,
        head: CommitId::parse(&about.last_commit.id)?,
        base: RefName::parse(&format!("refs/heads/{}", about.target_branch))?,
        fork: about.source_project_id != Some(about.target_project_id),
    })
}
