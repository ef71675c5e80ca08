//! A Kubernetes API: reads and writes objects as JSON, and decides nothing.
//!
//! Every request has a time limit, and every answer a size limit; none is retried here.

mod client;
mod connect;
mod error;
mod follow;
mod kinds;
mod members;
mod pages;
mod parent;
mod reports;
mod write;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::RwLock;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::io::AsyncBufRead;
use futures::io::AsyncBufReadExt;
use http::HeaderName;
use http::HeaderValue;
use http::Method;
use http::header::USER_AGENT;
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::application::Name;
use crate::breaker::Breaker;

pub use error::Answer;
pub use error::Error;
pub use follow::Listed;
pub use follow::Place;
pub use follow::SIGHTINGS;
pub use follow::Seen;
pub use follow::Selector;
pub use kinds::Kinds;
pub use members::Members;
pub use write::Deleted;

use connect::Connection;

/// How long may an API server take to answer a request?
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// How many bytes may an answer have?
const ANSWER_BYTES: usize = 64 << 20;

/// Whether a `cluster` did not answer several requests in a row, and is given a rest: 1 or 0.
pub const SILENT: &str = "windlass_cluster_silent";

/// The header that names the user in whose name is asked; the server adds the groups of a ServiceAccount.
const IMPERSONATE: HeaderName = HeaderName::from_static("impersonate-user");

/// How a cluster is reached.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What people call it.
    pub name: Name,
    /// The kubeconfig; `None` takes the ServiceAccount of the pod that windlass runs in.
    pub kubeconfig: Option<PathBuf>,
    /// The context in it; `None` takes the current one.
    pub context: Option<String>,
    /// Windlass's own namespace there, where the parents live.
    pub namespace: String,
    /// How many requests may be under way at once?
    pub requests: usize,
    /// What this installation of windlass is called; the server's audit log shows it beside every request.
    pub installation: Name,
}

/// A cluster. Cheap to clone; all clones share connections and the cache of kinds.
#[derive(Clone)]
pub struct Cluster {
    settings: Arc<Settings>,
    connection: Arc<RwLock<Connection>>,
    kinds: Arc<tokio::sync::RwLock<Option<Arc<Kinds>>>>,
    /// Whether the definition of a kind has conditions, as far as that was asked since kinds were discovered.
    reports: Arc<tokio::sync::RwLock<HashMap<(String, String), bool>>>,
    slots: Arc<Semaphore>,
    /// Does it answer? Times count from when it was first known.
    breaker: Arc<Mutex<Breaker>>,
    known_since: Instant,
    /// As whom it is asked, where that is not the installation alone.
    agent: Option<HeaderValue>,
    /// In whose name it is written, where that is not windlass's own.
    user: Option<HeaderValue>,
}

impl Cluster {
    /// Returns the same cluster, asked in the name of a run: the server's audit log shows it.
    #[must_use]
    pub fn in_run(&self, run: &str) -> Self {
        let agent = HeaderValue::from_str(&connect::agent(&self.settings.installation, Some(run))).ok();
        Self { agent, ..self.clone() }
    }

    /// Returns the same cluster, of which objects are written, also dry, and deleted in the name of a user. What is only read
    /// is read in windlass's own name.
    ///
    /// # Errors
    /// A name that cannot be sent.
    pub fn written_by(&self, user: Option<&str>) -> Result<Self, Error> {
        let header = |user: &str| HeaderValue::from_str(user).map_err(|_| Error::User(user.to_owned()));
        Ok(Self { user: user.map(header).transpose()?, ..self.clone() })
    }

    /// Returns what people call it.
    #[must_use]
    pub fn name(&self) -> &Name {
        &self.settings.name
    }

    /// Returns windlass's own namespace there.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.settings.namespace
    }

    /// Returns how many requests may be under way at once.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.settings.requests
    }

    /// Sends a request and reads its JSON answer within both limits.
    async fn send(&self, request: Built) -> Result<Value, Answer> {
        // Only a hostile name can keep a request from being built.
        let mut request = request.map_err(|error| Answer::Refused {
            code: 400,
            message: error.to_string(),
            causes: Vec::new(),
        })?;
        if let Some(agent) = &self.agent {
            request.headers_mut().insert(USER_AGENT, agent.clone());
        }
        if let Some(user) = self.user.as_ref().filter(|_| writes(request.method())) {
            request.headers_mut().insert(IMPERSONATE, user.clone());
        }
        let Ok(_slot) = self.slots.acquire().await else {
            return Err(Answer::Unreachable("windlass is stopping".to_owned()));
        };
        self.may_be_asked()?;
        let heard = AtomicBool::new(false);
        let exchange = async {
            let body = self.client().request_stream(request).await?;
            heard.store(true, Ordering::Relaxed);
            let bytes = whole(body).await.map_err(|error| {
                Answer::Unreachable(format!(
                    "its answer broke off (it may have {ANSWER_BYTES} bytes): {error}"
                ))
            })?;
            serde_json::from_slice(&bytes)
                .map_err(|_| Answer::Unreachable("its answer is not JSON".to_owned()))
        };
        let answer = tokio::time::timeout(ANSWER_WITHIN, exchange).await.unwrap_or_else(|_| {
            Err(Answer::Unreachable(format!("no answer within {} s", ANSWER_WITHIN.as_secs())))
        });
        let refused = matches!(answer, Err(Answer::Refused { .. }));
        self.note(refused || heard.into_inner());
        answer
    }

    /// Refuses a request while the cluster is given a rest, since it did not answer several in a row: whoever waited for it
    /// could do nothing for others meanwhile.
    fn may_be_asked(&self) -> Result<(), Answer> {
        let mut breaker = self.breaker.lock().unwrap_or_else(PoisonError::into_inner);
        breaker.let_through(self.known_since.elapsed()).map_err(|left| {
            let seconds = left.as_secs() + 1;
            Answer::Unreachable(format!(
                "it did not answer several times in a row, and is asked again in {seconds} s"
            ))
        })
    }

    /// Notes whether the cluster answered at all, whatever it said.
    fn note(&self, answered: bool) {
        let mut breaker = self.breaker.lock().unwrap_or_else(PoisonError::into_inner);
        if answered {
            breaker.answered();
        } else {
            breaker.fell_silent(self.known_since.elapsed());
        }
        let silent = if breaker.is_open() { 1.0 } else { 0.0 };
        metrics::gauge!(SILENT, "cluster" => self.settings.name.to_string()).set(silent);
    }
}

/// Returns whether a method is one by which objects are written or deleted; the parents are replaced, in windlass's name.
fn writes(method: &Method) -> bool {
    method == Method::PATCH || method == Method::DELETE
}

/// Reads a body as it comes: `read_to_end` would write zeros over the whole of its room at every wait.
async fn whole(body: impl AsyncBufRead) -> std::io::Result<Vec<u8>> {
    let mut body = std::pin::pin!(body);
    let mut bytes = Vec::new();
    loop {
        let chunk = body.fill_buf().await?;
        let length = chunk.len();
        if length == 0 {
            return Ok(bytes);
        }
        bytes.extend_from_slice(chunk);
        body.consume_unpin(length);
    }
}

/// A request, as kube builds it.
type Built = Result<http::Request<Vec<u8>>, kube::core::request::Error>;
