//! The courier: sends the requests that the rules of a forge describe, and returns what the answers mean.
//!
//! It adds the token, which goes nowhere but into the one header for it, and it follows no redirect: a token never
//! goes to an address that the settings do not name.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Client;
use reqwest::Method;
use reqwest::Response;
use reqwest::Url;
use reqwest::header::AUTHORIZATION;
use reqwest::header::HeaderMap;
use reqwest::header::HeaderName;
use reqwest::header::HeaderValue;
use reqwest::redirect::Policy;

use crate::dial;
use crate::dial::Reach;
use crate::dial::Refused;
use crate::dial::Resolver;
use crate::fault::Fault;
use crate::forge::Answer;
use crate::forge::HttpAnswer;
use crate::forge::HttpRequest;
use crate::forge::github::app::Ask;
use crate::moment::Moment;
use crate::secret::Secret;

mod app;
mod collector;
mod key;
mod reply;
mod writes;

pub use self::app::App;
pub use self::key::Key;
pub use self::key::NoKey;
pub use self::writes::Write;
pub use self::writes::Writes;

use self::reply::Reply;

/// How long may a connection take to be made, with its handshake?
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// How long may a request take, from the first byte sent to the last byte read?
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// How many bytes of a forge's answer are read? Each check run in a list repeats a summary of up to 64 KiB.
const ANSWER_BYTES: usize = 1024 * 1024;

/// How many bytes of a door's answer are read?
const DOOR_BYTES: usize = 64 * 1024;

/// How many requests a forge still takes, by `host`, where it says so.
pub const LIMIT_REMAINING: &str = "windlass_forge_limit_remaining";

/// Sends requests to forges. Cheap to clone; all clones share their connections and the pace of their writes.
#[derive(Clone, Debug)]
pub struct Courier {
    public: Client,
    private: Client,
    /// The schemes, hosts and ports that may be at loopback or private addresses.
    near: Vec<(String, String, u16)>,
    writes: Arc<Writes>,
}

/// By what right a request is sent.
#[derive(Clone, Debug)]
pub enum Credential {
    /// By a token that holds until somebody revokes it.
    Token(Secret),
    /// As a GitHub App, by tokens that it comes by itself.
    App(App),
}

/// Why there is no answer. The texts fit after "failed to"; none holds a token.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing can be sent from this machine.
    #[error("make ready to speak HTTPS (are the certificates of the system's authorities installed?)")]
    Prepare(#[source] reqwest::Error),
    /// The request has no address that can be asked.
    #[error("read the address of the forge's API, {url}: correct it in the settings")]
    Address {
        /// The address as it was given, without a user and a password.
        url: String,
    },
    /// The forge is at an address that windlass must not connect to.
    #[error("reach the forge at {host}: {refused}")]
    Forbidden {
        /// The host that was to be asked.
        host: String,
        /// The address and why not.
        refused: Refused,
    },
    /// The token or another header has characters that no header may have.
    #[error("write the header {name}: remove the line breaks and other control characters from its value")]
    Header {
        /// The header.
        name: String,
    },
    /// A collector did not answer in time, or could not be reached.
    #[error("reach the collector at {host}: see that it runs and takes OTLP over HTTP")]
    Collector {
        /// The host that was asked.
        host: String,
        /// What happened.
        #[source]
        source: reqwest::Error,
    },
    /// The forge did not answer in time, or could not be reached.
    #[error("reach the forge at {host}")]
    Reach {
        /// The host that was asked.
        host: String,
        /// What happened.
        #[source]
        source: reqwest::Error,
    },
    /// This machine cannot sign what an App claims.
    #[error("sign as the App: this machine makes no signature by app.key")]
    Sign,
    /// An App came by no token.
    #[error("get a token of the App for {repository}")]
    Token {
        /// The repository.
        repository: String,
        /// What happened.
        #[source]
        source: Arc<Self>,
    },
    /// GitHub gives an App something else than it asked for.
    #[error("{why}")]
    Answered {
        /// What it says, and what to do.
        why: String,
        /// For how long it takes nothing, where it says so.
        wait: Option<Duration>,
        /// Whose turn it is.
        fault: Fault,
    },
}

impl Error {
    /// Says whose turn it is: a forge that is away comes back, the rest is in the settings or the machine.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::Reach { .. } | Self::Collector { .. } => Fault::Passing,
            Self::Prepare(_)
            | Self::Address { .. }
            | Self::Forbidden { .. }
            | Self::Header { .. }
            | Self::Sign => Fault::Ours,
            Self::Token { source, .. } => source.fault(),
            Self::Answered { fault, .. } => *fault,
        }
    }

    /// Returns whether the request may have arrived all the same: a connection was made for it.
    #[must_use]
    pub fn may_have_arrived(&self) -> bool {
        matches!(self, Self::Reach { source, .. } if !source.is_connect())
    }

    /// Returns what a forge did answer, in the words of an answer to what was to be sent.
    #[must_use]
    pub fn answer(&self) -> Option<Answer> {
        match self {
            Self::Token { source, .. } => source.answer(),
            Self::Answered { wait, fault: Fault::Passing, .. } => Some(Answer::Later(*wait)),
            Self::Answered { why, fault: Fault::Ours | Fault::Theirs, .. } => Some(Answer::Ours(why.clone())),
            Self::Reach { .. }
            | Self::Collector { .. }
            | Self::Prepare(_)
            | Self::Address { .. }
            | Self::Forbidden { .. }
            | Self::Header { .. }
            | Self::Sign => None,
        }
    }
}

/// Names ring as the process's one provider of cryptography. Calling it again changes nothing.
pub fn prepare() {
    // It fails exactly when a provider has been named already, which is as good.
    let _named = rustls::crypto::ring::default_provider().install_default();
}

impl Courier {
    /// Makes a courier that reaches forges at public addresses.
    ///
    /// # Errors
    /// The system has no certificates of authorities to trust.
    pub fn new() -> Result<Self, Error> {
        Self::within(ANSWER_WITHIN)
    }

    fn within(answer: Duration) -> Result<Self, Error> {
        prepare();
        let client = |reach| {
            Client::builder()
                .user_agent(concat!("windlass/", env!("CARGO_PKG_VERSION")))
                .redirect(Policy::none())
                .no_proxy()
                .dns_resolver(Arc::new(Resolver(reach)))
                .connect_timeout(CONNECT_WITHIN)
                .timeout(answer)
                .build()
                .map_err(Error::Prepare)
        };
        Ok(Self {
            public: client(Reach::Public)?,
            private: client(Reach::Private)?,
            near: Vec::new(),
            writes: Arc::default(),
        })
    }

    /// Lets it reach these forges' APIs at loopback and private addresses too. What is no URL is left out.
    #[must_use]
    pub fn near<'a>(mut self, apis: impl IntoIterator<Item = &'a str>) -> Self {
        self.near.extend(apis.into_iter().filter_map(|api| Some(place(&Url::parse(api).ok()?))));
        self
    }

    /// Returns when which forge was written to, and what it said about limits.
    #[must_use]
    pub fn writes(&self) -> &Writes {
        &self.writes
    }

    /// Returns the client by which a URL is reached, and the URL's host for people.
    fn to(&self, url: &Url) -> Result<(&Client, String), Error> {
        let host = url.host_str().unwrap_or_default().to_owned();
        let near = self.near.contains(&place(url));
        let (client, reach) =
            if near { (&self.private, Reach::Private) } else { (&self.public, Reach::Public) };
        match dial::judge_host(url, reach) {
            Ok(()) => Ok((client, host)),
            Err(refused) => Err(Error::Forbidden { host, refused }),
        }
    }

    /// Sends a request with a token, and lets a rule read the answer, of which the first 1 MiB counts.
    ///
    /// # Errors
    /// The forge gave no answer within 10 s, or the request cannot be written as one.
    pub async fn send<T>(
        &self,
        request: &HttpRequest,
        token: &Secret,
        rule: impl FnOnce(&HttpAnswer<'_>) -> T,
    ) -> Result<T, Error> {
        let HttpRequest { method, url, scheme, headers, body, .. } = request;
        let by = format!("{scheme} {}", token.expose());
        Ok(self.request(method, url, headers, &by, body).await?.read(rule))
    }

    /// Sends a request by a bearer's token, and lets a rule read the answer, of which the first 1 MiB counts.
    ///
    /// # Errors
    /// The forge gave no answer within 10 s, or the request cannot be written as one.
    pub async fn ask<T>(
        &self,
        ask: &Ask,
        token: &Secret,
        rule: impl FnOnce(&HttpAnswer<'_>) -> T,
    ) -> Result<T, Error> {
        Ok(self.exchange(ask, token).await?.read(rule))
    }

    /// Sends what an App asks, by a bearer's token.
    async fn exchange(&self, ask: &Ask, token: &Secret) -> Result<Reply, Error> {
        let Ask { method, url, headers, body } = ask;
        self.request(method, url, headers, &format!("Bearer {}", token.expose()), body).await
    }

    async fn request(
        &self,
        method: &str,
        address: &str,
        headers: &[(&'static str, String)],
        introduced: &str,
        body: &str,
    ) -> Result<Reply, Error> {
        let url = Url::parse(address).ok().filter(Url::has_host);
        let url = url.ok_or_else(|| Error::Address { url: scrubbed(address) })?;
        let (client, host) = self.to(&url)?;
        let reach = |error| unreached(&host, error);
        let method = Method::from_bytes(method.as_bytes()).unwrap_or(Method::POST);
        let mut sending = client.request(method, url).headers(with_token(headers, introduced)?);
        if !body.is_empty() {
            sending = sending.body(body.to_owned());
        }
        let mut response = sending.send().await.map_err(reach)?;
        let body = first_bytes(&mut response, ANSWER_BYTES).await.map_err(reach)?;
        let reply = Reply::of(&response, body);
        if let Some(left) = reply.read(|answer| answer.left()) {
            metrics::gauge!(LIMIT_REMAINING, "host" => host).set(f64::from(left));
        }
        Ok(reply)
    }

    /// Posts a signed delivery to a door, which most often is near, and returns the status code and the body of the answer, at most 64 KiB.
    ///
    /// # Errors
    /// The door gave no answer within 10 s, or the request cannot be written as one.
    pub async fn knock(
        &self,
        url: &str,
        headers: &[(&'static str, String)],
        body: String,
    ) -> Result<(u16, String), Error> {
        let address = Url::parse(url).ok().filter(Url::has_host);
        let address = address.ok_or_else(|| Error::Address { url: scrubbed(url) })?;
        let host = address.host_str().unwrap_or_default().to_owned();
        let reach = |error| unreached(&host, error);
        let headers = plain_headers(headers)?;
        let sending = self.private.post(address).headers(headers).body(body);
        let mut response = sending.send().await.map_err(reach)?;
        let status = response.status().as_u16();
        let body = first_bytes(&mut response, DOOR_BYTES).await.map_err(reach)?;
        Ok((status, String::from_utf8_lossy(&body).into_owned()))
    }
}

/// Returns where a URL leads, with the port written out.
fn place(url: &Url) -> (String, String, u16) {
    let port = url.port_or_known_default().unwrap_or_default();
    (url.scheme().to_owned(), url.host_str().unwrap_or_default().to_owned(), port)
}

/// Returns an address without what may be a user and a password: all that stands before its last `@`.
fn scrubbed(url: &str) -> String {
    url.rsplit_once('@').map_or(url, |(_, rest)| rest).to_owned()
}

fn unreached(host: &str, error: reqwest::Error) -> Error {
    match dial::refusal(&error) {
        Some(refused) => Error::Forbidden { host: host.to_owned(), refused },
        None => Error::Reach { host: host.to_owned(), source: error.without_url() },
    }
}

fn plain_headers(list: &[(&'static str, String)]) -> Result<HeaderMap, Error> {
    let mut headers = HeaderMap::new();
    for (name, value) in list {
        let refused = || Error::Header { name: (*name).to_owned() };
        let parsed = HeaderName::from_bytes(name.as_bytes()).map_err(|_| refused())?;
        headers.insert(parsed, HeaderValue::from_str(value).map_err(|_| refused())?);
    }
    Ok(headers)
}

fn with_token(list: &[(&'static str, String)], introduced: &str) -> Result<HeaderMap, Error> {
    let mut headers = plain_headers(list)?;
    let mut value = HeaderValue::from_str(introduced)
        .map_err(|_| Error::Header { name: AUTHORIZATION.as_str().to_owned() })?;
    value.set_sensitive(true);
    headers.insert(AUTHORIZATION, value);
    Ok(headers)
}

/// Reads an answer's body up to the bound, and leaves the rest.
async fn first_bytes(response: &mut Response, most: usize) -> Result<Vec<u8>, reqwest::Error> {
    let mut body = Vec::new();
    while body.len() < most {
        let Some(chunk) = response.chunk().await? else { break };
        let room = most - body.len();
        body.extend(chunk.iter().take(room));
    }
    Ok(body)
}

fn now() -> Moment {
    Moment(jiff::Timestamp::now().as_millisecond())
}

#[cfg(test)]
mod tests;
