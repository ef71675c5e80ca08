//! A GitLab that runs here, at the wire: it keeps projects, their branches and webhooks, who may do what, and statuses;
//! and it refuses what GitLab refuses, in GitLab's words.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use serde_json::Value;
use serde_json::json;

use crate::hooks::Hook;
use crate::limits::Limits;
use crate::stand::Fault;
use crate::stand::Heard;
use crate::stand::Said;
use crate::stand::Stand;
use crate::statuses::Status;

/// The project of the tests, in a group of a group.
pub const SHOP: &str = "team/web/shop";
/// The token of a bot that may post statuses in it.
pub const TOKEN: &str = "glpat-of-more-than-16-bytes";

#[derive(Clone)]
pub struct Lab {
    pub stand: Stand,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
pub struct State {
    pub projects: BTreeMap<String, Project>,
    /// By the token.
    pub users: BTreeMap<String, User>,
    pub statuses: Vec<Status>,
    pub limits: Limits,
    /// The time that it is here, in milliseconds since some start, and for how long lists show what was before.
    pub now: i64,
    pub lag: i64,
    /// How many more statuses find that somebody else is at their commit?
    pub busy: usize,
    /// How long does it take to move a status?
    pub slow: Duration,
    /// How many jobs takes a pipeline?
    pub jobs: Option<usize>,
    /// The project and commit of each status that is being moved.
    pub moving: BTreeSet<(String, String)>,
    /// The transitions that were refused: the event, from where, and of which name.
    pub refused: Vec<String>,
}

#[derive(Default)]
pub struct Project {
    /// The commits that each branch holds; the first one is its tip.
    pub branches: BTreeMap<String, Vec<String>>,
    /// Commits that no branch holds any more.
    pub loose: BTreeSet<String>,
    /// The branches to which only maintainers may push.
    pub protected: BTreeSet<String>,
    pub hooks: Vec<Hook>,
}

/// Who a token is of.
#[derive(Clone, Debug)]
pub struct User {
    pub name: &'static str,
    pub scope: &'static str,
    /// Its role in each project.
    pub roles: BTreeMap<&'static str, Role>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    Reporter,
    Developer,
    Maintainer,
}

impl Lab {
    /// Starts one with an empty project, and a bot that may post statuses in it.
    pub fn start() -> Self {
        let state: Arc<Mutex<State>> = Arc::default();
        let answering = Arc::clone(&state);
        let stand = Stand::start("/api/v4", move |heard| answer(&answering, heard));
        let lab = Self { stand, state };
        lab.state().projects.insert(SHOP.to_owned(), Project::default());
        lab.admit(TOKEN, "windlass-bot", Role::Maintainer);
        lab
    }

    /// Returns the address of its API.
    pub fn api(&self) -> String {
        format!("{}/api/v4", self.stand.url)
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Lets the time come that somebody takes it for.
    pub fn at(&self, now: i64) {
        let mut state = self.state();
        state.now = now;
        state.limits.at(now);
    }

    /// Pushes a commit to a branch of the project.
    pub fn push(&self, branch: &str, commit: &str) {
        let mut state = self.state();
        let project = state.projects.get_mut(SHOP).unwrap();
        project.branches.entry(branch.to_owned()).or_default().insert(0, commit.to_owned());
    }

    /// Lets somebody into the project.
    pub fn admit(&self, token: &str, name: &'static str, role: Role) {
        let user = User { name, scope: "api", roles: BTreeMap::from([(SHOP, role)]) };
        self.state().users.insert(token.to_owned(), user);
    }

    pub fn befall(&self, line: &'static str, fault: Fault) {
        self.stand.befall(line, fault);
    }

    /// Returns what the statuses of a commit went through by name, in the order in which they began: each with the
    /// states that it was in.
    pub fn shows(&self, commit: &str, name: &str) -> Vec<Vec<String>> {
        let state = self.state();
        let own = state.statuses.iter().filter(|status| status.commit == commit && status.name == name);
        own.map(|status| status.states.clone()).collect()
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Says in the form of GitLab what is wrong.
pub fn message(status: u16, words: &str) -> Said {
    Said::json(status, &json!({ "message": words }))
}

fn answer(state: &Mutex<State>, heard: &Heard) -> Said {
    let limited = lock(state).limits.count();
    let mut said = match limited {
        Some(said) => said,
        None => permitted(state, heard),
    };
    said.headers.extend(lock(state).limits.headers());
    said
}

fn permitted(state: &Mutex<State>, heard: &Heard) -> Said {
    let Some(path) = heard.path.strip_prefix("/projects/") else {
        return Said::json(404, &json!({"error": "404 Not Found"}));
    };
    let (project, rest) = path.split_once('/').unwrap_or((path, ""));
    let (project, rest) = (decoded(project), rest.split('/').collect::<Vec<_>>());
    let user = match lock(state).who(heard, &project) {
        Ok(user) => user,
        Err(said) => return said,
    };
    match (heard.method.as_str(), rest.as_slice()) {
        ("POST", ["statuses", commit]) => status(state, &project, commit, &user, &heard.json()),
        ("GET", ["repository", "commits", commit, "statuses"]) => lock(state).list(&project, commit, heard),
        ("GET", ["hooks"]) => lock(state).hooks(&project, &user, heard),
        _ => Said::json(404, &json!({"error": "404 Not Found"})),
    }
}

/// Moves a status, while others may try to move one of the same commit.
fn status(state: &Mutex<State>, project: &str, commit: &str, user: &User, said: &Value) -> Said {
    let key = (project.to_owned(), commit.to_owned());
    let slow = {
        let mut state = lock(state);
        let is_busy = state.busy > 0;
        state.busy = state.busy.saturating_sub(1);
        if is_busy || !state.moving.insert(key.clone()) {
            return message(409, "409 Conflict: Another update to this commit status is in progress");
        }
        state.slow
    };
    // why: other requests are to come meanwhile.
    std::thread::sleep(slow);
    let mut state = lock(state);
    state.moving.remove(&key);
    state.status(project, commit, user, said)
}

impl State {
    /// Returns who asks for something of a project.
    fn who(&self, heard: &Heard, project: &str) -> Result<User, Said> {
        let user = self.users.get(heard.bearer()).ok_or_else(|| message(401, "401 Unauthorized"))?;
        let reads = heard.method == "GET" && user.scope == "read_api";
        if user.scope != "api" && !reads {
            let words = json!({
                "error": "insufficient_scope", "error_description": "The request requires higher privileges than provided by the access token.",
                "scope": "api",
            });
            return Err(Said::json(403, &words));
        }
        // What somebody may not see is not there.
        if !self.projects.contains_key(project) || !user.roles.contains_key(project) {
            return Err(message(404, "404 Project Not Found"));
        }
        Ok(user.clone())
    }
}

/// Decodes a part of a path or a value of a query.
pub fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let code: Vec<u8> = if byte == b'%' { rest.by_ref().take(2).collect() } else { Vec::new() };
        let read = std::str::from_utf8(&code).ok().and_then(|code| u8::from_str_radix(code, 16).ok());
        bytes.push(read.unwrap_or(byte));
    }
    String::from_utf8(bytes).unwrap()
}
