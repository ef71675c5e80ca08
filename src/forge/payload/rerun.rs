//! Wishes to run a check again, which GitHub alone sends, and only to the App that made the check.

use serde::Deserialize;

use crate::application::Target;
use crate::application::WHOLE;
use crate::commit::CommitId;
use crate::event::Hint;
use crate::event::Rerun;

use super::PLAIN_PARTS;
use super::RepositoryBody;
use super::Unusable;
use super::idle;
use super::json;
use super::repository;
use super::told;

/// The action that the button leads to.
const RERUN: &str = "rerequested";

#[derive(Deserialize)]
struct RunBody {
    action: String,
    check_run: CheckBody,
    repository: RepositoryBody,
}

#[derive(Deserialize)]
struct CheckBody {
    name: String,
    head_sha: String,
}

#[derive(Deserialize)]
struct SuiteBody {
    action: String,
    check_suite: ChecksBody,
    repository: RepositoryBody,
}

#[derive(Deserialize)]
struct ChecksBody {
    head_sha: String,
}

/// Reads what happened to one check.
pub fn check_run(body: &[u8]) -> Hint {
    told("check run", read_run(body).map(Hint::Rerun))
}

/// Reads what happened to all checks of a commit.
pub fn check_suite(body: &[u8]) -> Hint {
    told("check suite", read_suite(body).map(Hint::Rerun))
}

fn read_run(body: &[u8]) -> Result<Rerun, Unusable> {
    let body: RunBody = json(body)?;
    if body.action != RERUN {
        return Err(idle("a check", &body.action));
    }
    let target = Target::from_context(&body.check_run.name);
    if target.is_none() && body.check_run.name != WHOLE {
        return Err(Unusable::Idle("the check is none of windlass's".to_owned()));
    }
    let commit = CommitId::parse(&body.check_run.head_sha)?;
    Ok(Rerun { repository: repository(body.repository.full_name, PLAIN_PARTS)?, commit, target })
}

fn read_suite(body: &[u8]) -> Result<Rerun, Unusable> {
    let body: SuiteBody = json(body)?;
    if body.action != RERUN {
        return Err(idle("a set of checks", &body.action));
    }
    let commit = CommitId::parse(&body.check_suite.head_sha)?;
    Ok(Rerun { repository: repository(body.repository.full_name, PLAIN_PARTS)?, commit, target: None })
}
