//! A GitHub that runs here, at the wire: it keeps installations, tokens, statuses and repositories, and refuses what
//! GitHub refuses, in GitHub's words.

use std::collections::BTreeMap;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::io::Write;
use std::net::TcpListener;
use std::net::TcpStream;
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
use crate::runs::Run;
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
    pub repositories: BTreeMap<String, PathBuf>,
    pub hooks: Vec<Hook>,
    pub deliveries: Vec<Attempt>,
    /// What a delivery that is sent again is answered.
    pub door: u16,
    faults: Vec<(&'static str, Fault)>,
    heard: Vec<String>,
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

/// What goes wrong with a request.
#[derive(Clone)]
pub enum Fault {
    /// It is done and nobody hears of it.
    Swallowed,
    /// It is done, and the answer never comes.
    Unanswered,
    /// It is not done, and answered so: a status line, more header lines, and a body.
    Refused(&'static str, &'static str, &'static str),
}

/// A request as it came.
pub struct Heard {
    pub method: String,
    pub path: String,
    pub query: String,
    pub authorization: String,
    pub body: Vec<u8>,
}

impl Heard {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// An answer to it.
pub struct Said {
    pub status: u16,
    pub kind: &'static str,
    pub body: Vec<u8>,
    /// Where the next page is.
    pub link: Option<String>,
}

impl Said {
    pub fn json(status: u16, body: &Value) -> Self {
        Self { status, kind: "application/json", body: body.to_string().into_bytes(), link: None }
    }

    pub fn message(status: u16, words: &str) -> Self {
        Self::json(status, &json!({"message": words, "documentation_url": "https://docs.github.com/rest"}))
    }
}

impl Hub {
    /// Starts one that knows an App by its public key.
    pub fn start(public: PathBuf) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
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
            repositories: BTreeMap::new(),
            hooks: Vec::new(),
            deliveries: Vec::new(),
            door: 202,
            faults: Vec::new(),
            heard: Vec::new(),
        };
        let hub = Self { url, state: Arc::new(Mutex::new(state)) };
        let serving = hub.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let serving = serving.clone();
                std::thread::spawn(move || serving.serve(stream.unwrap()));
            }
        });
        hub
    }

    /// Returns the address of its API.
    pub fn api(&self) -> String {
        format!("{}/api/v3", self.url)
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Installs the App for a repository with all that windlass needs.
    pub fn install(&self, repository: &str, id: u64) {
        let permissions = BTreeMap::from([("contents", "read"), ("checks", "write"), ("metadata", "read")]);
        let installation = Installation { id, permissions, suspended: false };
        self.state().installations.insert(repository.to_owned(), installation);
    }

    /// Lets a fault befall the next request whose line has this text.
    pub fn befall(&self, line: &'static str, fault: Fault) {
        self.state().faults.push((line, fault));
    }

    /// Revokes every token.
    pub fn revoke(&self) {
        self.state().tokens.clear();
    }

    /// Takes what was asked since the last call, each as method, path and status.
    pub fn heard(&self) -> Vec<String> {
        std::mem::take(&mut self.state().heard)
    }

    fn serve(&self, stream: TcpStream) {
        let mut reader = BufReader::new(stream);
        let Some(heard) = read(&mut reader) else { return };
        let line = format!("{} {}", heard.method, heard.path);
        let fault = {
            let mut state = self.state();
            let at = state.faults.iter().position(|(text, _)| line.contains(text));
            at.map(|at| state.faults.remove(at).1)
        };
        let answer = match fault {
            Some(Fault::Refused(status, headers, body)) => {
                self.state().heard.push(format!("{line} {}", &status[..3]));
                format!(
                    "HTTP/1.1 {status}\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n{body}",
                    body.len()
                )
                .into_bytes()
            }
            fault => {
                let said = self.state().answer(&heard);
                self.state().heard.push(format!("{line} {}", said.status));
                match fault {
                    Some(Fault::Unanswered) => return std::mem::forget(reader),
                    Some(_) => return,
                    None => {}
                }
                let (status, kind, length) = (said.status, said.kind, said.body.len());
                let link = said.link.map(|link| format!("link: {link}\r\n")).unwrap_or_default();
                let head = format!(
                    "HTTP/1.1 {status} Said\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n{link}connection: close\r\n\r\n"
                );
                [head.into_bytes(), said.body].concat()
            }
        };
        drop(reader.into_inner().write_all(&answer));
    }
}

fn read(reader: &mut BufReader<TcpStream>) -> Option<Heard> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let header = |name: &str| {
        let line = head.lines().find(|line| line.to_lowercase().starts_with(&format!("{name}: ")));
        line.map(|line| line[name.len() + 2..].trim().to_owned()).unwrap_or_default()
    };
    let mut body = vec![0; header("content-length").parse().unwrap_or(0)];
    reader.read_exact(&mut body).ok()?;
    if header("transfer-encoding") == "chunked" {
        body = chunks(reader)?;
    }
    let mut first = head.lines().next()?.split(' ');
    let (method, address) = (first.next()?.to_owned(), first.next()?);
    let (path, query) = address.split_once('?').unwrap_or((address, ""));
    let path = path.trim_start_matches("/api/v3").to_owned();
    Some(Heard { method, path, query: query.to_owned(), authorization: header("authorization"), body })
}

fn chunks(reader: &mut BufReader<TcpStream>) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut size = String::new();
        reader.read_line(&mut size).ok()?;
        let size = usize::from_str_radix(size.trim(), 16).ok()?;
        let mut chunk = vec![0; size + 2];
        reader.read_exact(&mut chunk).ok()?;
        if size == 0 {
            return Some(body);
        }
        body.extend_from_slice(&chunk[..size]);
    }
}

impl State {
    pub fn now(&self) -> i64 {
        windlass::clock::now().0 / 1_000 + self.ahead
    }

    fn answer(&mut self, heard: &Heard) -> Said {
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
                    None => Said::message(404, "Not Found"),
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
            _ => Said::message(404, "Not Found"),
        }
    }

    /// Says what is wrong with the claim of a request, if anything is.
    fn claimed(&self, heard: &Heard) -> Option<Said> {
        let token = heard.authorization.strip_prefix("Bearer ").unwrap_or_default();
        let wrong = claim::wrong(token, &self.public, self.now(), &[&APP.to_string(), CLIENT])?;
        Some(Said::message(401, wrong))
    }

    fn installation(&self, repository: &str) -> Said {
        match self.installations.get(repository) {
            Some(found) => Said::json(200, &json!({"id": found.id, "app_id": APP, "client_id": CLIENT})),
            None => Said::message(404, "Not Found"),
        }
    }

    fn grant(&mut self, id: u64, asked: &Value) -> Said {
        let mut own = self.installations.iter().filter(|(_, one)| one.id == id);
        let Some((_, first)) = own.clone().next() else { return Said::message(404, "Not Found") };
        if first.suspended {
            return Said::message(403, "This installation has been suspended");
        }
        let names: Vec<&str> =
            asked["repositories"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
        let [name] = names.as_slice() else { panic!("a token for one repository, not {names:?}") };
        let found = own.find(|(repository, _)| repository.split('/').nth(1) == Some(name));
        let Some((repository, installation)) = found else {
            return Said::message(
                422,
                "There is at least one repository that does not exist or is not accessible to the parent installation.",
            );
        };
        let asked = asked["permissions"].as_object().unwrap();
        for (permission, extent) in asked {
            let given = installation.permissions.get(permission.as_str()).copied();
            if !(given == extent.as_str() || (given, extent.as_str()) == (Some("write"), Some("read"))) {
                return Said::message(422, "The permissions requested are not granted to this installation.");
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
        let token = heard.authorization.strip_prefix("Bearer ").unwrap_or_default();
        if token == self.personal && permission != "checks" {
            return None;
        }
        match self.may(token, repository, permission, extent) {
            Ok(()) => None,
            Err(401) => Some(Said::message(401, "Bad credentials")),
            Err(_) => Some(Said::message(403, "Resource not accessible by integration")),
        }
    }
}
