//! Statuses from the store to the forges.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use futures::future::join_all;

use crate::application::Name;
use crate::application::Target;
use crate::clock::now;
use crate::courier;
use crate::courier::Courier;
use crate::courier::Credential;
use crate::courier::Write;
use crate::fault::Fault;
use crate::fault::chain;
use crate::forge::About;
use crate::forge::Answer;
use crate::forge::Forge;
use crate::forge::Link;
use crate::moment::Moment;
use crate::report::Error;
use crate::report::STATUS_SECONDS;
use crate::report::STATUSES;
use crate::report::fate::Clock;
use crate::report::fate::Fate;
use crate::report::pause;
use crate::store::Due;
use crate::store::Store;
use crate::trail;

/// How often is a status of a source put off that the settings do not know, before it is given up?
const STRANGE_TRIES: u32 = 12;

/// For how long each time, in milliseconds?
const STRANGE_FOR_MS: u64 = 300_000;

/// How many statuses does one step take on?
const BATCH: u32 = 64;

/// How long does the loop wait at most before it looks again?
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// How long does a status wait at most before the forge is asked again?
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// For how long does one step go on with one forge? All forges have their steps together, so that the next one of each
/// begins when the slowest has ended this one.
const FORGE_FOR: Duration = Duration::from_secs(1);

/// From how many milliseconds on is a rest kept in the store?
const LONG_REST: u64 = 60_000;

/// Where the statuses of a source go.
#[derive(Clone)]
pub struct Address {
    /// The rules of the forge.
    pub forge: &'static dyn Forge,
    /// The address of the forge's API. Sources with the same one share a forge.
    pub api: String,
    /// The repository, as `owner/name`.
    pub repository: String,
    /// By what right statuses are written; without one, nothing is posted for this source. An App shows them as check
    /// runs.
    pub credential: Option<Credential>,
    /// The folder in the repository from which each target reads; those that read all of it may be absent.
    pub folders: BTreeMap<Target, String>,
}

/// Posts the statuses that are due.
pub struct Poster {
    store: Store,
    courier: Courier,
    addresses: BTreeMap<Name, Address>,
    /// Where statuses lead; `None` for nowhere.
    link: Option<Link>,
    /// Until when which sources must not be posted for, because their forge said so or was away.
    held: Mutex<BTreeMap<Name, Moment>>,
}

/// What a step of the [`Poster`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Posted {
    /// Statuses that the forges took.
    pub taken: u32,
    /// Statuses that are to be posted later.
    pub put_off: u32,
    /// Statuses that no forge will take.
    pub given_up: u32,
}

impl Posted {
    fn note(self) {
        for (outcome, count) in
            [("taken", self.taken), ("put_off", self.put_off), ("given_up", self.given_up)]
        {
            metrics::counter!(STATUSES, "outcome" => outcome).increment(u64::from(count));
        }
    }
}

impl Poster {
    /// Returns a poster. `addresses` has the address of each source; `link` is where statuses lead.
    #[must_use]
    pub fn new(
        store: Store,
        courier: Courier,
        addresses: BTreeMap<Name, Address>,
        link: Option<Link>,
    ) -> Self {
        Self { store, courier, addresses, link, held: Mutex::default() }
    }

    /// Posts what is due at `now`, at most 64 statuses: all forges at once, each forge one status at a time
    /// and at its pace. What a pace puts off stays due, and no try is counted for it.
    ///
    /// # Errors
    /// The store cannot be read or written; a status may then be looked for, and posted again.
    pub async fn step(&self, now: Moment) -> Result<Posted, Error> {
        let mut posted = Posted::default();
        let mut forges: BTreeMap<&str, Vec<(Due, &Address, &Credential)>> = BTreeMap::new();
        let (paced, _) = self.paced(now);
        for due in self.store.due_but(now, BATCH, &paced).await.map_err(Error::Store)? {
            let address = self.addresses.get(&due.source);
            if address.is_none() && due.tries < STRANGE_TRIES {
                // Another process may have read newer settings, and post next.
                let (until, why) = (now.plus(STRANGE_FOR_MS), "the settings know no such source");
                self.store.postpone(&due, until, why).await.map_err(Error::Store)?;
                continue;
            }
            let Some((address, by)) = address.and_then(|a| Some((a, a.credential.as_ref()?))) else {
                // Not a failure: no token says that no statuses are wished for.
                self.store.give_up(&due, "no token writes statuses").await.map_err(Error::Store)?;
                posted.given_up += 1;
                continue;
            };
            forges.entry(&address.api).or_default().push((due, address, by));
        }
        let clock = Clock::starting(now);
        let work = forges.into_values().map(|statuses| self.post_to_one(statuses, clock));
        for part in join_all(work).await {
            let part = part?;
            posted.taken += part.taken;
            posted.put_off += part.put_off;
            posted.given_up += part.given_up;
        }
        posted.note();
        Ok(posted)
    }

    /// Posts until it is dropped.
    pub async fn run(&self) -> Infallible {
        let mut failures = 0;
        loop {
            match self.turn().await {
                Ok(()) => failures = 0,
                Err(error) => {
                    tracing::error!("failed to {}", chain(&error));
                    tokio::time::sleep(pause(failures, LOOK_AGAIN)).await;
                    failures = failures.saturating_add(1);
                }
            }
        }
    }

    async fn turn(&self) -> Result<(), Error> {
        self.step(now()).await?;
        let now = now();
        let (paced, until) = self.paced(now);
        let most = until.map_or(LOOK_AGAIN, |until| LOOK_AGAIN.min(Duration::from_millis(until.since(now))));
        self.store.wait_due_but(now, most, &paced).await.map_err(Error::Store)
    }

    async fn post_to_one(
        &self,
        statuses: Vec<(Due, &Address, &Credential)>,
        clock: Clock,
    ) -> Result<Posted, Error> {
        let mut posted = Posted::default();
        let mut told = BTreeSet::new();
        for (mut due, address, by) in statuses {
            if clock.passed() > FORGE_FOR {
                break;
            }
            if let Some(until) = self.held_until(&due.source, clock.start()) {
                if told.insert(due.source.clone()) {
                    self.store.hold_back(&due.source, until).await.map_err(Error::Store)?;
                }
                posted.put_off += 1;
                continue;
            }
            let turn = self.courier.writes().take(
                &address.api,
                address.forge,
                Write::Content,
                clock.after(Duration::ZERO),
            );
            if turn.is_err() {
                posted.put_off += 1;
                continue;
            }
            let (trace, context, commit, phase) =
                (due.trace, due.context.clone(), due.commit.clone(), due.phase);
            let span = |trace: &str| tracing::info_span!("status", trace.id = trace, status = context, commit.id = %commit, phase = phase.word());
            trail::step(trace, span, self.post(&mut due, address, by, clock, &mut posted)).await?;
            self.rest(address, clock.after(Duration::ZERO)).await?;
        }
        Ok(posted)
    }

    /// Brings a status on by one request, and marks what becomes of it.
    async fn post(
        &self,
        due: &mut Due,
        address: &Address,
        by: &Credential,
        clock: Clock,
        posted: &mut Posted,
    ) -> Result<(), Error> {
        let fate = match by {
            Credential::Token(token) => self.tell(due, address, token, clock).await?,
            Credential::App(app) => self.show(due, address, app, clock).await?,
        };
        self.mark(due, fate, clock, posted).await
    }

    /// Decides what becomes of a status.
    pub(super) fn fate(
        &self,
        due: &Due,
        address: &Address,
        answer: Result<Answer, courier::Error>,
        clock: Clock,
    ) -> Fate {
        let own = pause(due.tries, LONGEST_PAUSE);
        // An App that comes by no token was answered too, if not to the status itself.
        let answer = answer.or_else(|error| error.answer().ok_or(error));
        let limited = answer.as_ref().map_or(Duration::ZERO, |answer| {
            self.courier.writes().answered(&address.api, answer, clock.after(Duration::ZERO))
        });
        match answer {
            Ok(Answer::Taken) => Fate::Taken { wait: Duration::ZERO, held: Vec::new() },
            Ok(Answer::TakenLast(wait)) => Fate::Taken { wait, held: self.neighbours(address) },
            Ok(Answer::Never(why)) => Fate::GivenUp(why),
            // One status may be refused for reasons of its own, so its neighbours are tried.
            Ok(Answer::Later(None)) => {
                Fate::PutOff { why: "the forge asks to come later".to_owned(), wait: own, held: Vec::new() }
            }
            Ok(Answer::Unsure(wait)) => Fate::PutOff {
                why: "the forge failed at it".to_owned(),
                wait: wait.unwrap_or_default().max(own),
                held: if wait.is_some() { self.neighbours(address) } else { Vec::new() },
            },
            Ok(Answer::Limited) => Fate::PutOff {
                why: "the forge limits how often it is written to".to_owned(),
                wait: limited.max(own),
                held: self.neighbours(address),
            },
            Ok(Answer::Later(Some(wait))) => Fate::PutOff {
                why: "the forge asks to wait".to_owned(),
                wait: wait.max(own),
                held: self.neighbours(address),
            },
            Ok(Answer::Ours(why)) => {
                Fate::PutOff { why, wait: LONGEST_PAUSE, held: vec![due.source.clone()] }
            }
            Err(error) => Fate::PutOff {
                why: format!("failed to {}", chain(&error)),
                wait: if error.fault() == Fault::Passing { own } else { LONGEST_PAUSE },
                held: self.neighbours(address),
            },
        }
    }

    /// Marks what becomes of a status.
    async fn mark(&self, due: &Due, fate: Fate, clock: Clock, posted: &mut Posted) -> Result<(), Error> {
        match fate {
            Fate::Taken { wait, held } => {
                posted.taken += 1;
                let at = clock.after(Duration::ZERO);
                if let Some(received_at) = due.verdict_on {
                    let took = Duration::from_millis(at.since(received_at));
                    metrics::histogram!(STATUS_SECONDS).record(took);
                }
                self.store.posted(due, at).await.map_err(Error::Store)?;
                self.hold(&held, clock.after(wait)).await
            }
            Fate::GoesOn { wait, held } => {
                posted.put_off += 1;
                self.hold(&held, clock.after(wait)).await
            }
            Fate::GivenUp(why) => {
                tracing::warn!(status = %due.context, commit.id = %due.commit, "give up a status: {why}");
                posted.given_up += 1;
                self.store.give_up(due, &why).await.map_err(Error::Store)
            }
            Fate::PutOff { why, wait, held } => {
                tracing::warn!(
                    status = %due.context, commit.id = %due.commit, tries = due.tries, "put off a status: {why}"
                );
                posted.put_off += 1;
                let until = clock.after(wait);
                self.store.postpone(due, until, &why).await.map_err(Error::Store)?;
                self.hold(&held, until).await
            }
        }
    }

    /// Returns where a status leads.
    pub(super) fn page(&self, due: &Due) -> Option<String> {
        let Due { source, commit, target, run, .. } = due;
        let about = About { source, commit, target: target.as_ref(), run: run.as_deref() };
        self.link.as_ref().map(|link| link.to(&about))
    }

    pub(super) fn store(&self) -> &Store {
        &self.store
    }

    pub(super) fn courier(&self) -> &Courier {
        &self.courier
    }

    /// Holds a forge back that had as many writes as it takes for long. The store keeps that over a restart.
    async fn rest(&self, address: &Address, now: Moment) -> Result<(), Error> {
        match self.courier.writes().next(&address.api, address.forge, now) {
            Some(next) if now.plus(LONG_REST) < next => self.hold(&self.neighbours(address), next).await,
            Some(_) | None => Ok(()),
        }
    }

    /// Returns the sources that must not be posted for at `now` because of their forge's pace, and until when the first
    /// of them waits.
    fn paced(&self, now: Moment) -> (Vec<Name>, Option<Moment>) {
        let next = |address: &Address| self.courier.writes().next(&address.api, address.forge, now);
        let paced: Vec<_> = self.addresses.iter().filter_map(|(name, a)| Some((name, next(a)?))).collect();
        (paced.iter().map(|(name, _)| (*name).clone()).collect(), paced.iter().map(|(_, next)| *next).min())
    }

    /// Returns all sources at the same forge.
    fn neighbours(&self, address: &Address) -> Vec<Name> {
        let same = self.addresses.iter().filter(|(_, other)| other.api == address.api);
        same.map(|(source, _)| source.clone()).collect()
    }

    /// Holds the statuses of sources back: those that are there already, and those that come until then.
    async fn hold(&self, sources: &[Name], until: Moment) -> Result<(), Error> {
        for source in sources {
            let mut held = self.held();
            // A short wait does not end a longer one.
            let longest = held.get(source).map_or(until, |other| until.max(*other));
            held.insert(source.clone(), longest);
        }
        for source in sources {
            self.store.hold_back(source, until).await.map_err(Error::Store)?;
        }
        Ok(())
    }

    fn held_until(&self, source: &Name, now: Moment) -> Option<Moment> {
        self.held().get(source).copied().filter(|until| now < *until)
    }

    fn held(&self) -> MutexGuard<'_, BTreeMap<Name, Moment>> {
        // A map of moments is whole also after a panic elsewhere.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
