//! A GitHub App at work: it comes by tokens, keeps them while they are good, and sends requests by them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use futures::future::Shared;
use jiff::Timestamp;

use crate::courier::Courier;
use crate::courier::Error;
use crate::courier::Key;
use crate::courier::now;
use crate::courier::reply::Reply;
use crate::fault::Fault;
use crate::forge::Answer;
use crate::forge::HttpAnswer;
use crate::forge::github::app;
use crate::forge::github::app::Ask;
use crate::forge::github::app::Purpose;
use crate::moment::Moment;
use crate::secret::Secret;

/// How many milliseconds before its end is a token no longer used? What is begun by it shall end by it.
const RENEWED_BEFORE_MS: u64 = 300_000;

/// How often is a token asked for before its user hears that there is none?
const TRIES: usize = 2;

/// How long is waited when GitHub limits requests and does not say for how long?
const LIMITED_FOR: Duration = Duration::from_secs(60);

/// A GitHub App. Cheap to clone; all clones share what they know.
#[derive(Clone)]
pub struct App {
    inner: Arc<Inner>,
}

struct Inner {
    courier: Courier,
    api: String,
    id: String,
    key: Key,
    known: Mutex<Known>,
}

/// What is known of the repositories that were asked about: those of the settings, so it stays small.
#[derive(Default)]
struct Known {
    installations: BTreeMap<String, u64>,
    tokens: BTreeMap<(String, Purpose), Asking>,
}

/// A question for a token, which all who need it at the same time await together, and then its answer.
type Asking = Shared<BoxFuture<'static, Result<Token, Arc<Error>>>>;

#[derive(Clone)]
struct Token {
    secret: Secret,
    ends: Moment,
}

impl App {
    /// Takes an App by the address of the API, its number or client id, and its private key.
    #[must_use]
    pub fn new(courier: Courier, api: String, id: String, key: Key) -> Self {
        Self { inner: Arc::new(Inner { courier, api, id, key, known: Mutex::default() }) }
    }

    /// Returns a token that is good for one purpose in one repository for five minutes at least. However many ask,
    /// GitHub is asked once.
    ///
    /// # Errors
    /// GitHub could not be asked, or gives none.
    pub async fn token(&self, repository: &str, purpose: Purpose) -> Result<Secret, Error> {
        // One may be late that nobody was there to take when it came.
        for _ in 0..TRIES {
            let token = self.asking(repository, purpose).await;
            let token = token.map_err(|source| Error::Token { repository: repository.to_owned(), source })?;
            if token.is_fresh(now()) {
                return Ok(token.secret);
            }
        }
        let why = "GitHub's tokens have ended when they come: check this machine's clock".to_owned();
        let source = Error::Answered { why, wait: None, fault: Fault::Ours };
        Err(Error::Token { repository: repository.to_owned(), source: Arc::new(source) })
    }

    /// Forgets a token that was refused, unless another one has taken its place.
    pub fn forget(&self, repository: &str, purpose: Purpose, token: &Secret) {
        let mut known = self.inner.known();
        let place = (repository.to_owned(), purpose);
        let held = known.tokens.get(&place).and_then(Shared::peek);
        if held.is_some_and(|held| held.as_ref().is_ok_and(|held| held.secret == *token)) {
            known.tokens.remove(&place);
        }
    }

    /// Sends a request by a token, and lets a rule read the answer, of which the first 1 MiB counts; another token is
    /// tried where the first is refused.
    ///
    /// # Errors
    /// The App comes by no token, or GitHub gave no answer within 10 s.
    pub async fn ask<T>(
        &self,
        ask: &Ask,
        repository: &str,
        purpose: Purpose,
        rule: impl FnOnce(&HttpAnswer<'_>) -> T,
    ) -> Result<T, Error> {
        let token = self.token(repository, purpose).await?;
        let mut reply = self.inner.courier.exchange(ask, &token).await?;
        if reply.read(app::blames_token) {
            self.forget(repository, purpose, &token);
        }
        if reply.read(app::refuses_token) {
            let token = self.token(repository, purpose).await?;
            reply = self.inner.courier.exchange(ask, &token).await?;
        }
        Ok(reply.read(rule))
    }

    /// Sends a request by the App's own claim, for what concerns the App itself, and lets a rule read the answer.
    ///
    /// # Errors
    /// GitHub gave no answer within 10 s, or this machine makes no signature.
    pub async fn ask_itself<T>(
        &self,
        ask: &Ask,
        rule: impl FnOnce(&HttpAnswer<'_>) -> T,
    ) -> Result<T, Error> {
        Ok(self.inner.claim(ask).await?.read(rule))
    }

    /// Returns the question that is under way or answered, or begins one.
    fn asking(&self, repository: &str, purpose: Purpose) -> Asking {
        let mut known = self.inner.known();
        let place = (repository.to_owned(), purpose);
        let held = known.tokens.get(&place).filter(|asking| match asking.peek() {
            None => true,
            Some(Ok(token)) => token.is_fresh(now()),
            Some(Err(_)) => false,
        });
        if let Some(asking) = held {
            return asking.clone();
        }
        let (inner, asked_for) = (Arc::clone(&self.inner), repository.to_owned());
        let asking = async move { inner.ask_token(&asked_for, purpose).await.map_err(Arc::new) };
        let asking = asking.boxed().shared();
        known.tokens.insert(place, asking.clone());
        asking
    }
}

impl Token {
    fn is_fresh(&self, now: Moment) -> bool {
        now.plus(RENEWED_BEFORE_MS) < self.ends
    }
}

impl Inner {
    fn known(&self) -> MutexGuard<'_, Known> {
        // Maps of what GitHub said are whole also after a panic elsewhere.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn ask_token(&self, repository: &str, purpose: Purpose) -> Result<Token, Error> {
        let remembered = self.known().installations.get(repository).copied();
        if let Some(installation) = remembered {
            let reply = self.ask_once(installation, repository, purpose).await?;
            if !reply.read(app::is_gone) {
                return read(purpose, &reply);
            }
            self.known().installations.remove(repository);
        }
        let reply = self.claim(&app::ask_installation(&self.api, repository)).await?;
        let installation = reply.read(app::read_installation).map_err(said)?;
        self.known().installations.insert(repository.to_owned(), installation);
        read(purpose, &self.ask_once(installation, repository, purpose).await?)
    }

    async fn ask_once(&self, installation: u64, repository: &str, purpose: Purpose) -> Result<Reply, Error> {
        self.claim(&app::ask_token(&self.api, installation, repository, purpose)).await
    }

    /// Sends a request by the App's own claim.
    async fn claim(&self, ask: &Ask) -> Result<Reply, Error> {
        let claim = app::claim(&self.id, now());
        let signature = self.key.sign(&claim).ok_or(Error::Sign)?;
        let token = Secret::new(&app::signed(&claim, &signature)).map_err(|_| Error::Sign)?;
        self.courier.exchange(ask, &token).await
    }
}

fn read(purpose: Purpose, reply: &Reply) -> Result<Token, Error> {
    let grant = reply.read(|answer| app::read_token(purpose, answer)).map_err(said)?;
    let ends: Timestamp = grant.expires_at.parse().map_err(|_| {
        let why = "the end of the token that GitHub gives is no time".to_owned();
        Error::Answered { why, wait: None, fault: Fault::Ours }
    })?;
    Ok(Token { secret: grant.token, ends: Moment(ends.as_millisecond()) })
}

/// Returns what was answered instead of what was asked for.
fn said(answer: Answer) -> Error {
    let (why, wait, fault) = match answer {
        Answer::Later(wait) | Answer::Unsure(wait) => {
            ("GitHub asks to come later".to_owned(), wait, Fault::Passing)
        }
        Answer::Limited => {
            ("GitHub limits how often it is asked".to_owned(), Some(LIMITED_FOR), Fault::Passing)
        }
        Answer::Ours(why) | Answer::Never(why) => (why, None, Fault::Ours),
        Answer::Taken | Answer::TakenLast(_) => {
            ("GitHub takes the question and answers something else".to_owned(), None, Fault::Ours)
        }
    };
    Error::Answered { why, wait, fault }
}

impl fmt::Debug for App {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "App({})", self.inner.id)
    }
}
