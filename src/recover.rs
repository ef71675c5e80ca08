//! Recovery of deliveries that failed: GitHub sends none again by itself, so it is asked to, and GitLab switches
//! webhooks off, so that is told to whoever runs windlass.
//!
//! At GitHub it looks through what a forge's own webhooks were answered in the last days, and asks for another attempt at
//! each delivery that nobody took. The delivery then comes to the door like any other.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use crate::application::Name;
use crate::clock;
use crate::courier;
use crate::courier::Courier;
use crate::courier::Credential;
use crate::courier::Write;
use crate::fault::Fault;
use crate::fault::chain;
use crate::forge::Answer;
use crate::forge::HttpAnswer;
use crate::forge::Kind;
use crate::forge::github::app::Ask;
use crate::forge::github::app::Purpose;
use crate::forge::github::deliveries;
use crate::forge::github::deliveries::Attempt;
use crate::forge::github::deliveries::Hook;
use crate::forge::gitlab::hooks;
use crate::forge::gitlab::hooks::Off;
use crate::moment::Moment;

/// How many pages of attempts at the deliveries of one webhook are looked through? Each has a hundred.
const PAGES: usize = 10;

/// How many deliveries does one step ask for again?
const BATCH: usize = 50;

/// How long does a step wait at most for its turn to write? Where the forge has had its writes of the hour, the next
/// step goes on.
const TURN_WITHIN: Duration = Duration::from_secs(60);

/// Counts deliveries that were asked for again.
pub const REDELIVERIES: &str = "windlass_redeliveries_total";

/// Webhooks that are switched off, by `forge`.
pub const HOOKS_OFF: &str = "windlass_hooks_off";

/// Whose deliveries are looked after.
#[derive(Clone, Debug)]
pub struct Hooks {
    /// What the forge is called.
    pub forge: Name,
    /// What kind it is.
    pub kind: Kind,
    /// The address of its API.
    pub api: String,
    /// Where its webhooks lead: only those that do are looked at.
    pub url: String,
    /// By what right.
    pub credential: Credential,
    /// The repositories, as `owner/name`.
    pub repositories: BTreeSet<String>,
}

/// Looks after the deliveries of one forge.
pub struct Recoverer {
    courier: Courier,
    hooks: Hooks,
    /// When which delivery was asked for, by its GUID; those of the last days.
    asked: Mutex<BTreeMap<String, Moment>>,
}

/// What a step of the [`Recoverer`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Webhooks that were looked at.
    pub hooks: usize,
    /// Deliveries that were asked for again.
    pub asked: usize,
    /// Webhooks that are switched off.
    pub off: usize,
}

/// Why deliveries could not be looked after. The texts fit after "failed to".
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The forge could not be asked.
    #[error("look after deliveries that failed")]
    Ask(#[source] courier::Error),
    /// The forge takes nothing for now.
    #[error("look after deliveries that failed: the forge asks to wait")]
    Wait,
    /// The forge answers something else.
    #[error("look after deliveries that failed: {why}")]
    Answered {
        /// What it says, and what to do.
        why: String,
        /// Whose turn it is.
        fault: Fault,
    },
}

impl Error {
    /// Says whose turn it is.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::Ask(error) => error.fault(),
            Self::Wait => Fault::Passing,
            Self::Answered { fault, .. } => *fault,
        }
    }
}

impl Recoverer {
    /// Takes a courier and the webhooks of one forge.
    #[must_use]
    pub fn new(courier: Courier, hooks: Hooks) -> Self {
        Self { courier, hooks, asked: Mutex::default() }
    }

    /// Looks after the webhooks of a forge once, as its kind takes it. One that has none which leads here is told of.
    ///
    /// # Errors
    /// The forge could not be asked or does not say.
    pub async fn step(&self, now: Moment) -> Result<Recovered, Error> {
        let Hooks { forge, kind, .. } = &self.hooks;
        if self.courier.writes().held(&self.hooks.api, clock::now()).is_some() {
            return Err(Error::Wait);
        }
        let recovered = match kind {
            Kind::Github => self.send_again(now).await?,
            Kind::Gitlab => self.look_for_off().await?,
            // They keep no list of what failed that could be asked for.
            Kind::Gitea | Kind::Forgejo => return Ok(Recovered::default()),
        };
        if recovered.hooks == 0 {
            tracing::warn!(%forge, "no webhook leads to hook_url: correct it, or add the webhook");
        }
        metrics::gauge!(HOOKS_OFF, "forge" => forge.to_string())
            .set(f64::from(u32::try_from(recovered.off).unwrap_or(u32::MAX)));
        Ok(recovered)
    }

    /// Counts the webhooks that GitLab has switched off, and says so.
    async fn look_for_off(&self) -> Result<Recovered, Error> {
        let Hooks { forge, api, url, repositories, .. } = &self.hooks;
        let (mut recovered, mut refused) = (Recovered::default(), None);
        for repository in repositories {
            let ask = hooks::ask(api, repository);
            let found = self.ask_for(&ask, repository, |answer| hooks::read(url, answer)).await;
            let found = found.and_then(|found| found.map_err(|answer| self.said(answer)));
            let Some(found) = passed_over(found, repository, &mut refused)? else { continue };
            recovered.hooks += found.found;
            recovered.off += found.off.len();
            for Off { id, until } in found.off {
                let until = until.unwrap_or_else(|| "somebody switches it on".to_owned());
                tracing::warn!(
                    %forge, repository, hook.id = id,
                    "GitLab has switched the webhook off until {until}: see that it reaches the door, then send a test from its page; the sweep sees pushes all the same"
                );
            }
        }
        refused.filter(|_| recovered.hooks == 0).map_or(Ok(recovered), Err)
    }

    /// Looks through the attempts of the last three days (seven at a GitHub Enterprise Server), and asks for the deliveries again that failed, the oldest
    /// first; at most 50 deliveries a step, at the pace at which GitHub may be written to. What was asked for before a failure comes all the same.
    async fn send_again(&self, now: Moment) -> Result<Recovered, Error> {
        let since = now.minus(deliveries::window(&self.hooks.api));
        self.asked().retain(|_, at| since < *at);
        let (mut recovered, mut refused) = (Recovered::default(), None);
        for hook in self.hooks().await? {
            let whose = match &hook {
                Hook::App => "the App's own",
                Hook::Repository(repository, _) => repository,
            };
            let sent = self.send_again_to(&hook, since, now, &mut recovered.asked).await;
            recovered.hooks += usize::from(passed_over(sent, whose, &mut refused)?.is_some());
        }
        refused.filter(|_| recovered.hooks == 0).map_or(Ok(recovered), Err)
    }

    /// Looks through the attempts of one webhook since a time; `asked` counts what the step asked for again.
    async fn send_again_to(
        &self,
        hook: &Hook,
        since: Moment,
        now: Moment,
        asked: &mut usize,
    ) -> Result<(), Error> {
        let since = clock::text(since);
        let attempts = self.attempts(hook, &since).await?;
        let before = self.asked().clone();
        let missed = deliveries::missed(&attempts, &since, &before, now);
        for (attempt, guid) in missed.into_iter().take(BATCH.saturating_sub(*asked)) {
            self.turn_to_write().await?;
            self.ask_again(hook, attempt, guid, now).await?;
            *asked += 1;
        }
        Ok(())
    }

    /// Waits until the forge may be written to, by this and by whoever posts statuses.
    async fn turn_to_write(&self) -> Result<(), Error> {
        let Hooks { api, kind, .. } = &self.hooks;
        let until = clock::now().plus(u64::try_from(TURN_WITHIN.as_millis()).unwrap_or(u64::MAX));
        while let Err(next) = self.courier.writes().take(api, kind.rules(), Write::Nothing, clock::now()) {
            if until < next {
                return Err(Error::Wait);
            }
            tokio::time::sleep(Duration::from_millis(next.since(clock::now()))).await;
        }
        Ok(())
    }

    /// Asks for a delivery again. That GitHub has one no more is no reason to leave the others.
    async fn ask_again(&self, hook: &Hook, attempt: u64, guid: String, now: Moment) -> Result<(), Error> {
        let ask = deliveries::ask_again(&self.hooks.api, hook, attempt);
        // Also a request without an answer may have arrived, so it counts before.
        self.asked().insert(guid.clone(), now);
        match self.ask(&ask, hook, deliveries::classify).await? {
            Answer::Taken | Answer::TakenLast(_) => {
                tracing::info!(delivery.id = guid, "a delivery that failed comes again");
                metrics::counter!(REDELIVERIES).increment(1);
                Ok(())
            }
            Answer::Never(why) => {
                tracing::warn!(delivery.id = guid, "a delivery that failed is left to the sweep: {why}");
                Ok(())
            }
            answer @ (Answer::Later(_) | Answer::Limited | Answer::Unsure(_) | Answer::Ours(_)) => {
                Err(self.said(answer))
            }
        }
    }

    /// Finds the webhooks that lead here: the App's own, or else those of the repositories.
    async fn hooks(&self) -> Result<Vec<Hook>, Error> {
        let Hooks { api, url, credential, repositories, .. } = &self.hooks;
        if let Credential::App(app) = credential {
            let ask = deliveries::ask_app_hook(api);
            let own = app.ask_itself(&ask, |answer| deliveries::leads_to(url, answer)).await;
            if own.map_err(Error::Ask)?.map_err(|answer| self.said(answer))? {
                return Ok(vec![Hook::App]);
            }
        }
        let (mut hooks, mut refused) = (Vec::new(), None);
        for repository in repositories {
            let ask = deliveries::ask_hooks(api, repository);
            let found = self.ask_for(&ask, repository, |answer| deliveries::read_hooks(url, answer)).await;
            let found = found.and_then(|found| found.map_err(|answer| self.said(answer)));
            let Some(found) = passed_over(found, repository, &mut refused)? else { continue };
            hooks.extend(found.into_iter().map(|id| Hook::Repository(repository.clone(), id)));
        }
        refused.filter(|_| hooks.is_empty()).map_or(Ok(hooks), Err)
    }

    /// Returns the attempts at deliveries since a time, as far as ten pages go.
    async fn attempts(&self, hook: &Hook, since: &str) -> Result<Vec<Attempt>, Error> {
        let (mut all, mut cursor) = (Vec::new(), None);
        for _ in 0..PAGES {
            let ask = deliveries::ask_attempts(&self.hooks.api, hook, cursor.as_deref());
            let (page, next) =
                self.ask(&ask, hook, deliveries::read_attempts).await?.map_err(|answer| self.said(answer))?;
            let is_last = page.last().is_none_or(|attempt| attempt.delivered_at.as_str() < since);
            all.extend(page);
            cursor = next.filter(|_| !is_last);
            if cursor.is_none() {
                break;
            }
        }
        Ok(all)
    }

    async fn ask<T>(
        &self,
        ask: &Ask,
        hook: &Hook,
        rule: impl FnOnce(&HttpAnswer<'_>) -> T,
    ) -> Result<T, Error> {
        match (hook, &self.hooks.credential) {
            (Hook::App, Credential::App(app)) => app.ask_itself(ask, rule).await.map_err(Error::Ask),
            (Hook::App, Credential::Token(token)) => {
                self.courier.ask(ask, token, rule).await.map_err(Error::Ask)
            }
            (Hook::Repository(repository, _), _) => self.ask_for(ask, repository, rule).await,
        }
    }

    /// Asks something about the webhooks of a repository.
    async fn ask_for<T>(
        &self,
        ask: &Ask,
        repository: &str,
        rule: impl FnOnce(&HttpAnswer<'_>) -> T,
    ) -> Result<T, Error> {
        let answer = match &self.hooks.credential {
            Credential::App(app) => app.ask(ask, repository, Purpose::Hooks, rule).await,
            Credential::Token(token) => self.courier.ask(ask, token, rule).await,
        };
        answer.map_err(Error::Ask)
    }

    /// Returns what was answered instead of what was asked for, and lets all who write to the forge know of its limits.
    fn said(&self, answer: Answer) -> Error {
        let wait = self.courier.writes().answered(&self.hooks.api, &answer, clock::now());
        match answer {
            Answer::Ours(why) | Answer::Never(why) => Error::Answered { why, fault: Fault::Ours },
            Answer::Limited | Answer::Later(Some(_)) | Answer::TakenLast(_) if !wait.is_zero() => Error::Wait,
            Answer::Taken | Answer::TakenLast(_) | Answer::Later(_) | Answer::Limited | Answer::Unsure(_) => {
                Error::Answered { why: "the forge failed at it".to_owned(), fault: Fault::Passing }
            }
        }
    }

    fn asked(&self) -> MutexGuard<'_, BTreeMap<String, Moment>> {
        // A map of moments is whole also after a panic elsewhere.
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Passes a repository over that the forge refuses or fails at, since it says nothing about the others; keeps the first
/// of these. A forge that is away or asks to wait does so for all.
fn passed_over<T>(
    found: Result<T, Error>,
    repository: &str,
    refused: &mut Option<Error>,
) -> Result<Option<T>, Error> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(error @ Error::Wait) => Err(error),
        Err(error @ Error::Ask(_)) if error.fault() == Fault::Passing => Err(error),
        Err(error) => {
            tracing::warn!(
                repository,
                "the webhooks of a repository are not looked after: failed to {}",
                chain(&error)
            );
            refused.get_or_insert(error);
            Ok(None)
        }
    }
}
