//! What forges tell, as a table: a body of each kind that is read, and what of it is.
//!
//! A kind of body that is read anew gets a row here and a file beside the others.

use serde_json::Value;
use windlass::clock::now;
use windlass::forge::Kind;
use windlass::secret::Secret;

/// A kind of body.
pub struct Told {
    /// Which forges tell it so.
    pub kinds: &'static [Kind],
    /// What they call the event.
    pub event: &'static str,
    /// The name of its file in `bodies`, for people.
    pub name: &'static str,
    /// A body as it should be.
    pub body: &'static str,
    /// The JSON pointers of what it is nothing without.
    pub needs: &'static [&'static str],
    /// The JSON pointers of what is read when it is there; what lies below is read with it.
    pub reads: &'static [&'static str],
}

const LIKE_GITHUB: &[Kind] = &[Kind::Github, Kind::Gitea, Kind::Forgejo];
const LIKE_GITEA: &[Kind] = &[Kind::Gitea, Kind::Forgejo];
const GITHUB: &[Kind] = &[Kind::Github];
const LIKE_GITLAB: &[Kind] = &[Kind::Gitlab];

const PUSH: &[&str] = &["", "/ref", "/before", "/after", "/repository", "/repository/full_name"];
const DELETE: &[&str] = &["", "/ref", "/ref_type", "/repository", "/repository/full_name"];
const PROJECT_PUSH: &[&str] = &["", "/ref", "/before", "/after", "/project", "/project/path_with_namespace"];

const PULL_REQUEST: &[&str] = &[
    "",
    "/action",
    "/pull_request",
    "/pull_request/head",
    "/pull_request/head/sha",
    "/pull_request/base",
    "/pull_request/base/ref",
    "/repository",
    "/repository/full_name",
];
const MERGE_REQUEST: &[&str] = &[
    "",
    "/object_attributes",
    "/object_attributes/action",
    "/object_attributes/target_branch",
    "/object_attributes/last_commit",
    "/object_attributes/last_commit/id",
    "/project",
    "/project/path_with_namespace",
];
const CHECK_RUN: &[&str] = &[
    "",
    "/action",
    "/check_run",
    "/check_run/name",
    "/check_run/head_sha",
    "/repository",
    "/repository/full_name",
];
const CHECK_SUITE: &[&str] =
    &["", "/action", "/check_suite", "/check_suite/head_sha", "/repository", "/repository/full_name"];

macro_rules! told {
    ($kinds:expr, $event:literal, $name:literal, $needs:expr, $reads:expr) => {
        Told {
            kinds: $kinds,
            event: $event,
            name: $name,
            body: include_str!(concat!("bodies/", $name, ".json")),
            needs: $needs,
            reads: $reads,
        }
    };
}

/// All of them. Each body as it is leads to an event of the source that has `team/shop`.
pub const TOLD: &[Told] = &[
    told!(LIKE_GITHUB, "push", "push", PUSH, &["/head_commit", "/forced"]),
    told!(LIKE_GITHUB, "push", "push-tag", PUSH, &["/head_commit", "/forced"]),
    told!(LIKE_GITHUB, "push", "push-deleted", PUSH, &["/head_commit", "/forced"]),
    told!(LIKE_GITEA, "delete", "delete", DELETE, &[]),
    told!(
        LIKE_GITHUB,
        "pull_request",
        "pull-request",
        PULL_REQUEST,
        &["/number", "/changes", "/pull_request/head/repo"]
    ),
    told!(GITHUB, "check_run", "check-run", CHECK_RUN, &[]),
    told!(GITHUB, "check_suite", "check-suite", CHECK_SUITE, &[]),
    told!(
        LIKE_GITLAB,
        "Merge Request Hook",
        "gitlab-merge-request",
        MERGE_REQUEST,
        &[
            "/changes",
            "/object_attributes/iid",
            "/object_attributes/oldrev",
            "/object_attributes/source_project_id",
            "/object_attributes/target_project_id"
        ]
    ),
    told!(LIKE_GITLAB, "Push Hook", "gitlab-push", PROJECT_PUSH, &["/checkout_sha"]),
    told!(LIKE_GITLAB, "Tag Push Hook", "gitlab-tag", PROJECT_PUSH, &["/checkout_sha"]),
    told!(LIKE_GITLAB, "Push Hook", "gitlab-deleted", PROJECT_PUSH, &["/checkout_sha"]),
    told!(
        LIKE_GITLAB,
        "System Hook",
        "gitlab-system",
        PROJECT_PUSH,
        &["/checkout_sha", "/event_name", "/object_kind"]
    ),
];

/// What a field is to windlass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Without it the delivery is of no use.
    Needed,
    /// It is read when it is there.
    Read,
    /// It is passed over.
    Unread,
}

impl Told {
    /// Returns what the field at a JSON pointer is.
    pub fn class(&self, path: &str) -> Class {
        let below =
            |top: &str| path.strip_prefix(top).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        if self.needs.contains(&path) {
            Class::Needed
        } else if self.reads.iter().any(|top| below(top)) {
            Class::Read
        } else {
            Class::Unread
        }
    }

    /// Returns the JSON pointers of everything in the body, the body itself first.
    pub fn paths(&self) -> Vec<String> {
        let mut paths = vec![String::new()];
        below(&serde_json::from_str(self.body).unwrap(), "", &mut paths);
        // What is read is walked over also where this body is without it.
        paths.extend(self.reads.iter().map(|path| (*path).to_owned()));
        paths.sort();
        paths.dedup();
        paths
    }

    /// Returns the headers with which a forge would send a body, signed over `signed`.
    pub fn headers(&self, kind: Kind, signed: &[u8], secret: &Secret) -> Vec<(&'static str, String)> {
        kind.rules().sign(self.event, "delivery-1", signed, secret, now())
    }
}

fn below(value: &Value, path: &str, paths: &mut Vec<String>) {
    let inner: Vec<(String, &Value)> = match value {
        Value::Object(map) => map.iter().map(|(key, value)| (format!("{path}/{key}"), value)).collect(),
        Value::Array(list) => {
            list.iter().enumerate().map(|(at, value)| (format!("{path}/{at}"), value)).collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    };
    for (path, value) in inner {
        below(value, &path, paths);
        paths.push(path);
    }
}
