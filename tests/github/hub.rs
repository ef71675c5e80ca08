//! A GitHub that runs here, at the wire: it keeps installations, tokens, statuses and repositories, and refuses what
//! GitHub refuses, in GitHub's words.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;

use serde_json::Value;
use serde_json::json;

use crate::claim;
use crate::deliveries::Attempt;
use crate::deliveries::Hook;
use crate::git;
use crate::pace::Pace;
use crate::runs::Run;
use crate::stand::Fault;
use crate::stand::Heard;
use crate::stand::Said;
use crate::stand::Stand;
use crate::statuses::Status;

/// The App's id.
pub const APP: u64 = 7;
/// Its client id.
pub const CLIENT: &str = "Iv23liWindlass";
/// How long does a token hold, in seconds?
const TOKEN_SECONDS: i64 = 3_600;

#[derive(Clone)]
pub struct Hub {
    pub url: String,
    stand: Stand,
    state: Arc<Mutex<State>>,
}

pub struct State {
    /// The public key of the App, in PEM.
    public: PathBuf,
    /// By how many seconds this clock is ahead of the machine's.
    pub ahead: i64,
    /// How long tokens hold.
    pub token_seconds: i64,
    pub installations: BTreeMap<String, Installation>,
    tokens: BTreeMap<String, Token>,
    /// A token of a person, which may post statuses anywhere.
    pub personal: String,
    pub statuses: Vec<Status>,
    pub runs: Vec<Run>,
    /// In how many lists is a new check run or status not yet?
    pub lag: usize,
    pub pace: Pace,
    pub repositories: BTreeMap<String, PathBuf>,
    pub hooks: Vec<Hook>,
    pub deliveries: Vec<Attempt>,
    /// What a delivery that is sent again is answered.
    pub door: u16,
}

/// One repository's installation of the App.
#[derive(Clone)]
pub struct Installation {
    pub id: u64,
    pub permissions: BTreeMap<&'static str, &'static str>,
    pub suspended: bool,
}

struct Token {
    repository: String,
    permissions: BTreeMap<String, String>,
    ends: i64,
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Says in the form of GitHub what is wrong.
pub fn message(status: u16, words: &str) -> Said {
    Said::json(status, &json!({"message": words, "documentation_url": "https://docs.github.com/rest"}))
}

impl Hub {
    /// Starts one that knows an App by its public key.
    pub fn start(public: PathBuf) -> Self {
        let state = State {
            public,
            ahead: 0,
            token_seconds: TOKEN_SECONDS,
            installations: BTreeMap::new(),
            tokens: BTreeMap::new(),
            personal: "ghp_of_a_person_who_posts".to_owned(),
            statuses: Vec::new(),
            runs: Vec::new(),
            lag: 0,
            pace: Pace::default(),
            repositories: BTreeMap::new(),
            hooks: Vec::new(),
            deliveries: Vec::new(),
            door: 202,
        };
        let state = Arc::new(Mutex::new(state));
        let answering = Arc::clone(&state);
        let stand = Stand::start("/api/v3", move |heard| lock(&answering).answer(heard));
        Self { url: stand.url.clone(), stand, state }
    }

    /// Returns the address of its API.
    pub fn api(&self) -> String {
        format!("{}/api/v3", self.url)
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Installs the App for a repository with all that windlass needs.
    pub fn install(&self, repository: &str, id: u64) {
        let permissions = BTreeMap::from([("contents", "read"), ("checks", "write"), ("metadata", "read")]);
        let installation = Installation { id, permissions, suspended: false };
        self.state().installations.insert(repository.to_owned(), installation);
    }

    /// Lets a fault befall the next request whose line has this text.
    pub fn befall(&self, line: &'static str, fault: Fault) {
        self.stand.befall(line, fault);
    }

    /// Revokes every token.
    pub fn revoke(&self) {
        self.state().tokens.clear();
    }

    /// Takes what was asked since the last call, each as method, path and status.
    pub fn heard(&self) -> Vec<String> {
        self.stand.heard()
    }
}

impl State {
    pub fn now(&self) -> i64 {
        windlass::clock::now().0 / 1_000 + self.ahead
    }

    fn answer(&mut self, heard: &Heard) -> Said {
        if let Some(refused) = self.too_fast(heard) {
            return refused;
        }
        let parts: Vec<&str> = heard.path.trim_start_matches('/').split('/').collect();
        match (heard.method.as_str(), parts.as_slice()) {
            ("GET", ["repos", owner, name, "installation"]) => {
                self.claimed(heard).unwrap_or_else(|| self.installation(&format!("{owner}/{name}")))
            }
            ("POST", ["app", "installations", id, "access_tokens"]) => {
                let id = id.parse().unwrap();
                self.claimed(heard).unwrap_or_else(|| self.grant(id, &heard.json()))
            }
            ("GET", ["app", "hook", "config"]) => {
                self.claimed(heard).unwrap_or_else(|| match self.app_hook() {
                    Some(hook) => Said::json(200, &json!({"url": hook.url, "content_type": "json"})),
                    None => message(404, "Not Found"),
                })
            }
            (_, ["app", "hook", rest @ ..]) => {
                let id = self.app_hook().map_or(0, |hook| hook.id);
                self.claimed(heard).unwrap_or_else(|| self.hook(heard, id, rest))
            }
            (method, ["repos", owner, name, "hooks", rest @ ..]) => {
                let repository = format!("{owner}/{name}");
                let extent = if method == "GET" { "read" } else { "write" };
                let refused = self.refused(heard, &repository, "repository_hooks", extent);
                refused.unwrap_or_else(|| match rest {
                    [] => self.list_hooks(&repository),
                    [id, rest @ ..] => self.hook(heard, id.parse().unwrap(), rest),
                })
            }
            ("POST", ["repos", owner, name, "statuses", commit]) => {
                let repository = format!("{owner}/{name}");
                let refused = self.refused(heard, &repository, "statuses", "write");
                refused.unwrap_or_else(|| self.status(&repository, commit, &heard.json()))
            }
            ("GET", ["repos", owner, name, "commits", commit, "status"]) => {
                let repository = format!("{owner}/{name}");
                let refused = self.refused(heard, &repository, "statuses", "read");
                refused.unwrap_or_else(|| self.combined(heard, &repository, commit))
            }
            (method, ["repos", owner, name, rest @ ..]) => {
                let repository = format!("{owner}/{name}");
                let extent = if method == "GET" { "read" } else { "write" };
                let refused = self.refused(heard, &repository, "checks", extent);
                refused.unwrap_or_else(|| self.runs(heard, &repository, rest))
            }
            (_, [owner, name, rest @ ..]) if name.ends_with(".git") => git::answer(
                self,
                heard,
                &format!("{owner}/{}", name.trim_end_matches(".git")),
                &rest.join("/"),
            ),
            _ => message(404, "Not Found"),
        }
    }

    /// Says what is wrong with the claim of a request, if anything is.
    fn claimed(&self, heard: &Heard) -> Option<Said> {
        let token = heard.bearer();
        let wrong = claim::wrong(token, &self.public, self.now(), &[&APP.to_string(), CLIENT])?;
        Some(message(401, wrong))
    }

    fn installation(&self, repository: &str) -> Said {
        match self.installations.get(repository) {
            Some(found) => Said::json(200, &json!({"id": found.id, "app_id": APP, "client_id": CLIENT})),
            None => message(404, "Not Found"),
        }
    }

    fn grant(&mut self, id: u64, asked: &Value) -> Said {
        let mut own = self.installations.iter().filter(|(_, one)| one.id == id);
        let Some((_, first)) = own.clone().next() else { return message(404, "Not Found") };
        if first.suspended {
            return message(403, "This installation has been suspended");
        }
        let names: Vec<&str> =
            asked["repositories"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
        let [name] = names.as_slice() else { panic!("a token for one repository, not {names:?}") };
        let found = own.find(|(repository, _)| repository.split('/').nth(1) == Some(name));
        let Some((repository, installation)) = found else {
            return message(
                422,
                "There is at least one repository that does not exist or is not accessible to the parent installation.",
            );
        };
        let asked = asked["permissions"].as_object().unwrap();
        for (permission, extent) in asked {
            let given = installation.permissions.get(permission.as_str()).copied();
            if !(given == extent.as_str() || (given, extent.as_str()) == (Some("write"), Some("read"))) {
                return message(422, "The permissions requested are not granted to this installation.");
            }
        }
        let permissions =
            asked.iter().map(|(name, extent)| (name.clone(), extent.as_str().unwrap().to_owned())).collect();
        // As long as those of the form with a JWT inside.
        let secret = format!("ghs_{APP}_{}", uuid::Uuid::now_v7().simple().to_string().repeat(17));
        let ends = self.now() + self.token_seconds;
        let at = jiff::Timestamp::from_second(ends).unwrap().to_string();
        let answer = json!({"token": secret, "expires_at": at, "permissions": permissions});
        self.tokens.insert(secret, Token { repository: repository.clone(), permissions, ends });
        Said::json(201, &answer)
    }

    /// Returns whether a token may do something in a repository: 401 where it is none, 403 where it may not.
    pub fn may(&self, token: &str, repository: &str, permission: &str, extent: &str) -> Result<(), u16> {
        let token = self.tokens.get(token).filter(|token| self.now() < token.ends).ok_or(401_u16)?;
        let given = token.permissions.get(permission).map(String::as_str);
        let fine = token.repository == repository && (given == Some(extent) || given == Some("write"));
        if fine { Ok(()) } else { Err(403) }
    }

    fn refused(&self, heard: &Heard, repository: &str, permission: &str, extent: &str) -> Option<Said> {
        let token = heard.bearer();
        if token == self.personal && permission != "checks" {
            return None;
        }
        match self.may(token, repository, permission, extent) {
            Ok(()) => None,
            Err(401) => Some(message(401, "Bad credentials")),
            Err(_) => Some(message(403, "Resource not accessible by integration")),
        }
    }
}
