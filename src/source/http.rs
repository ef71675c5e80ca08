//! Git's smart protocol over HTTP, on windlass's own client.
//!
//! libgit2 has a client too, but that one sends head and body of a request in two packets, which costs 40 ms a request
//! where the far side waits before it acknowledges; cannot be stopped while it waits; bounds no list of refs; and begins
//! every fetch with a new connection and a request without the token. Here connections are kept, every wait ends with
//! its [`Stop`], every body is counted, and no URL or token ever reaches libgit2.

use std::cell::RefCell;
use std::io;
use std::io::Read;
use std::io::Write;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use git2::Remote;
use git2::transport::Service;
use git2::transport::SmartSubtransport;
use git2::transport::SmartSubtransportStream;
use git2::transport::Transport;
use reqwest::Client;
use reqwest::RequestBuilder;
use reqwest::Response;
use reqwest::StatusCode;
use reqwest::header;
use reqwest::redirect::Attempt;
use reqwest::redirect::Policy;
use tokio::runtime::Handle;

use crate::dial;
use crate::dial::Reach;
use crate::dial::Resolver;
use crate::secret::Secret;
use crate::source::Settings;
use crate::source::Shared;
use crate::source::address::Address;
use crate::source::error::Error;
use crate::source::stop::Stop;
use crate::source::token::Tokens;

/// The URL that libgit2 sees; it leads to the call that the thread makes.
pub(super) const URL: &str = "windlass://source";
/// The scheme of that URL.
const SCHEME: &str = "windlass";

/// How long may connecting to a server take?
const CONNECT_FOR: Duration = Duration::from_secs(10);
/// How long may a server stay silent in the middle of an answer?
const SILENT_FOR: Duration = Duration::from_secs(20);
/// How long is a connection kept that nobody uses?
const IDLE_FOR: Duration = Duration::from_secs(60);
/// How many redirects are followed, within the same scheme, host and port?
const REDIRECTS: usize = 3;
/// How many bytes may a server's list of refs have? 50,000 refs with long names fit.
const LIST_BYTES: u64 = 32 << 20;
/// How many bytes may a request have? Each commit that is kept or wanted takes about 60.
const ASK_BYTES: usize = 1 << 20;
/// What do servers that tell Git's clients apart look for?
const AGENT: &str = "git/2.0 (windlass)";

thread_local! {
    /// The call that this thread makes. libgit2 makes a transport from nothing but a URL, on the thread that asked.
    static CALL: RefCell<Option<Call>> = const { RefCell::new(None) };
}

/// Tells libgit2 about the scheme.
#[expect(unsafe_code, reason = "libgit2 keeps its transports in a list without a lock")]
pub(super) fn register() -> Result<(), git2::Error> {
    // SAFETY: called once, before this process uses libgit2 for anything else, as `process::prepare` makes sure.
    unsafe { git2::transport::register(SCHEME, transport) }
}

/// Judges a URL that names an address, for which no name will be resolved.
pub(super) fn judge(settings: &Settings) -> Result<(), Error> {
    dial::judge_url(&settings.url, settings.reach)
        .map_err(|refused| Error::Forbidden { source_name: settings.name.clone(), refused })
}

/// Makes the client of one source. It keeps connections and never leaves the source's scheme, host and port.
pub(super) fn client(address: &Address, reach: Reach) -> Result<Client, &'static str> {
    let own = address.clone();
    let redirects = Policy::custom(move |attempt: Attempt| {
        if attempt.previous().len() <= REDIRECTS && own.covers(attempt.url().as_str()) {
            attempt.follow()
        } else {
            attempt.stop()
        }
    });
    let client = Client::builder()
        .user_agent(AGENT)
        .redirect(redirects)
        .referer(false)
        .no_proxy()
        .dns_resolver(Arc::new(Resolver(reach)))
        .http1_only()
        .connect_timeout(CONNECT_FOR)
        .read_timeout(SILENT_FOR)
        .pool_idle_timeout(IDLE_FOR)
        .build();
    client.map_err(|_| "no HTTP client can be made; check the machine's certificates")
}

/// Everything that talking to one source takes, and what went wrong on the way.
#[derive(Clone)]
pub(super) struct Call {
    settings: Arc<Settings>,
    /// Where tokens come from that do not last.
    tokens: Option<Arc<dyn Tokens>>,
    /// The token that the server is told.
    told: Arc<Mutex<Option<Secret>>>,
    host: String,
    client: Client,
    stop: Stop,
    runtime: Handle,
    /// Where the repository really is, after redirects.
    base: Arc<Mutex<String>>,
    /// The first failure. libgit2 passes on no more than words.
    failure: Arc<Mutex<Option<Error>>>,
}

impl Call {
    /// Prepares to talk to a source; reaches nothing. Only on a thread of the runtime.
    pub(super) fn new(shared: &Shared, stop: &Stop) -> Self {
        let Shared { settings, tokens, address, client, .. } = shared;
        let base = settings.url.trim_end_matches('/').to_owned();
        let told = if tokens.is_some() { None } else { settings.token.clone() };
        Self {
            settings: Arc::clone(settings),
            tokens: tokens.clone(),
            told: Arc::new(Mutex::new(told)),
            host: address.host().to_owned(),
            client: client.clone(),
            stop: stop.clone(),
            runtime: Handle::current(),
            base: Arc::new(Mutex::new(base)),
            failure: Arc::default(),
        }
    }

    /// Runs `work` so that what it opens at [`URL`] is this call.
    pub(super) fn during<T>(&self, work: impl FnOnce() -> T) -> T {
        CALL.set(Some(self.clone()));
        let done = work();
        CALL.set(None);
        done
    }

    /// Returns the host, for people.
    pub(super) fn host(&self) -> &str {
        &self.host
    }

    /// Takes the first failure.
    pub(super) fn failure(&self) -> Option<Error> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn fail(&self, error: Error) -> io::Error {
        let words = error.to_string();
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        let _first = failure.get_or_insert(error);
        io::Error::other(words)
    }

    fn base(&self) -> String {
        self.base.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns the token that the server is told, where it was told one.
    pub(super) fn told(&self) -> Option<Secret> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns the token to tell the server: one for all requests of the call.
    fn token(&self) -> io::Result<Option<Secret>> {
        let told = self.told();
        let Some(tokens) = self.tokens.as_ref().filter(|_| told.is_none()) else { return Ok(told) };
        let token = self.done(tokens.token())?.map_err(|none| {
            let source_name = self.settings.name.clone();
            self.fail(Error::NoToken { source_name, why: none.why, fault: none.fault })
        })?;
        *self.told.lock().unwrap_or_else(PoisonError::into_inner) = Some(token.clone());
        Ok(Some(token))
    }

    /// Gives a token back that the server would not have.
    fn refused(&self) {
        let Some(tokens) = &self.tokens else { return };
        let token = self.told.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(token) = token {
            tokens.refused(&token);
        }
    }

    /// Waits for something, or for the end of the call.
    fn done<T>(&self, something: impl Future<Output = T>) -> io::Result<T> {
        let done = self.runtime.block_on(async {
            tokio::select! {
                done = something => Some(done),
                () = self.stop.ended() => None,
            }
        });
        // `Wire` asks the stop itself why.
        done.ok_or_else(|| io::Error::other("stopped"))
    }

    fn wait<T>(&self, answer: impl Future<Output = reqwest::Result<T>>) -> io::Result<T> {
        self.done(answer)?.map_err(|error| self.fail(self.unreachable(&error)))
    }

    fn try_once(&self, request: RequestBuilder) -> io::Result<Response> {
        let request = match self.token()? {
            Some(token) => request.basic_auth(&self.settings.user, Some(token.expose())),
            None => request,
        };
        let response = self.wait(request.send())?;
        // What a token may do is fixed when it is made, so the next one may do more.
        if matches!(
            response.status(),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND
        ) {
            self.refused();
        }
        Ok(response)
    }

    fn send(&self, request: RequestBuilder, kind: &str) -> io::Result<Response> {
        let again = request.try_clone().filter(|_| self.tokens.is_some());
        let mut response = self.try_once(request)?;
        if let Some(again) = again
            && response.status() == StatusCode::UNAUTHORIZED
        {
            response = self.try_once(again)?;
        }
        let source_name = self.settings.name.clone();
        let host = self.host.clone();
        let error = match response.status() {
            StatusCode::OK if is_of(&response, kind) => return Ok(response),
            StatusCode::OK => {
                Error::Reach { source_name, host, why: "it does not answer as a Git server".to_owned() }
            }
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Error::Refused { source_name, host },
            StatusCode::NOT_FOUND | StatusCode::GONE => Error::NoRepository { source_name, host },
            status if status.is_redirection() => Error::Redirected { source_name, host },
            status => Error::Reach { source_name, host, why: format!("it answers {}", status.as_u16()) },
        };
        Err(self.fail(error))
    }

    fn unreachable(&self, error: &reqwest::Error) -> Error {
        if let Some(refused) = dial::refusal(error) {
            return Error::Forbidden { source_name: self.settings.name.clone(), refused };
        }
        // The chain says what happened; its first link would say the URL.
        let mut why = None;
        let mut link = std::error::Error::source(error);
        while let Some(inner) = link {
            why = Some(inner.to_string());
            link = inner.source();
        }
        let why = why.unwrap_or_else(|| "the connection broke".to_owned());
        let why = if error.is_timeout() { "it stays silent".to_owned() } else { why };
        Error::Reach { source_name: self.settings.name.clone(), host: self.host.clone(), why }
    }

    /// Asks for the list of refs, and notes where the repository really is.
    fn list(&self) -> io::Result<Response> {
        const END: &str = "/info/refs?service=git-upload-pack";
        let request = self.client.get(format!("{}{END}", self.base()));
        let response = self.send(request, "application/x-git-upload-pack-advertisement")?;
        if let Some(base) = response.url().as_str().strip_suffix(END) {
            base.clone_into(&mut self.base.lock().unwrap_or_else(PoisonError::into_inner));
        }
        Ok(response)
    }

    fn ask(&self, body: Vec<u8>) -> io::Result<Response> {
        let request = self.client.post(format!("{}/git-upload-pack", self.base()));
        let request =
            request.header(header::CONTENT_TYPE, "application/x-git-upload-pack-request").body(body);
        self.send(request, "application/x-git-upload-pack-result")
    }

    fn too_long(&self, listing: bool, limit: u64) -> Error {
        let source_name = self.settings.name.clone();
        if listing {
            let why = format!("its list of refs has more than {limit} bytes");
            Error::Reach { source_name, host: self.host.clone(), why }
        } else {
            Error::Outgrown { source_name, limit }
        }
    }
}

fn is_of(response: &Response, kind: &str) -> bool {
    response.headers().get(header::CONTENT_TYPE).is_some_and(|found| found.as_bytes() == kind.as_bytes())
}

fn transport(remote: &Remote<'_>) -> Result<Transport, git2::Error> {
    let call = CALL.with_borrow(Clone::clone);
    let call = call.ok_or_else(|| git2::Error::from_str("no call is being made on this thread"))?;
    Transport::smart(remote, true, call)
}

impl SmartSubtransport for Call {
    fn action(&self, _url: &str, service: Service) -> Result<Box<dyn SmartSubtransportStream>, git2::Error> {
        let listing = match service {
            Service::UploadPackLs => true,
            Service::UploadPack => false,
            Service::ReceivePackLs | Service::ReceivePack => {
                return Err(git2::Error::from_str("windlass never writes to a source"));
            }
        };
        let limit = if listing { LIST_BYTES } else { self.settings.limits.fetch_bytes };
        let call = self.clone();
        Ok(Box::new(Exchange {
            call,
            listing,
            limit,
            ask: Vec::new(),
            answer: None,
            chunk: Vec::new(),
            at: 0,
            received: 0,
        }))
    }

    fn close(&self) -> Result<(), git2::Error> {
        Ok(())
    }
}

/// One request and its answer; the request is sent when the answer is first read.
struct Exchange {
    call: Call,
    listing: bool,
    limit: u64,
    ask: Vec<u8>,
    answer: Option<Response>,
    chunk: Vec<u8>,
    at: usize,
    received: u64,
}

impl Write for Exchange {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.ask.len().saturating_add(bytes.len()) > ASK_BYTES {
            return Err(io::Error::other("the request is too long"));
        }
        self.ask.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for Exchange {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            let mut rest = self.chunk.get(self.at..).unwrap_or_default();
            if !rest.is_empty() || into.is_empty() {
                let read = rest.read(into)?;
                self.at += read;
                return Ok(read);
            }
            if self.answer.is_none() {
                let ask = std::mem::take(&mut self.ask);
                self.answer = Some(if self.listing { self.call.list()? } else { self.call.ask(ask)? });
            }
            let Some(answer) = &mut self.answer else { return Ok(0) };
            let Some(chunk) = self.call.wait(answer.chunk())? else { return Ok(0) };
            self.received = self.received.saturating_add(u64::try_from(chunk.len()).unwrap_or(u64::MAX));
            if self.received > self.limit {
                return Err(self.call.fail(self.call.too_long(self.listing, self.limit)));
            }
            (self.chunk, self.at) = (chunk.to_vec(), 0);
        }
    }
}
