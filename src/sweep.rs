//! The sweep: looks at the refs of a source itself, so that a lost delivery heals, and asks again for what is overdue.
//!
//! Comes in: time. Goes out: events, and reports that close rows which nobody else would close.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crate::application::Application;
use crate::application::Name;
use crate::application::Target;
use crate::clock::now;
use crate::commit::CommitId;
use crate::commit::RefName;
use crate::event::Event;
use crate::event::What;
use crate::fault::Fault;
use crate::job::Job;
use crate::lanes::Lanes;
use crate::moment::Moment;
use crate::outcome::Phase;
use crate::outcome::Report;
use crate::outcome::Told;
use crate::queue::DRAFTS;
use crate::queue::Dead;
use crate::queue::Draft;
use crate::queue::Queue;
use crate::reference::Reference;
use crate::select;
use crate::select::Applications;
use crate::select::State;
use crate::source::Source;
use crate::store::Keep;
use crate::store::Pruned;
use crate::store::Store;

mod quiet;

pub use self::quiet::QUIET;

use self::quiet::Quiet;

/// How many overdue rows does one sweep ask for again, and how many dead letters does it look at?
const BATCH: u32 = 500;

/// How many bounded parts of old history does one look forget?
const FORGET_AT_MOST: usize = 10;

/// How long after the longest health deadline is a row overdue, in milliseconds?
const OVERDUE_AFTER_MS: u64 = 20 * 60 * 1000;

/// Why a sweep did not get through; each message reads on after "failed to".
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The settings have no such source.
    #[error("find source {0} in the settings")]
    UnknownSource(Name),
    /// The source.
    #[error(transparent)]
    Source(#[from] crate::source::Error),
    /// The store.
    #[error(transparent)]
    Store(#[from] crate::store::Error),
    /// The queue.
    #[error(transparent)]
    Queue(#[from] crate::queue::Error),
}

impl Error {
    /// Returns whose turn it is.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::UnknownSource(_) => Fault::Ours,
            Self::Source(error) => error.fault(),
            Self::Store(error) => error.fault(),
            Self::Queue(error) => error.fault(),
        }
    }
}

/// What a sweep found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// References that lead elsewhere than dispatch last saw, and targets of fixed commits that it has not seen to yet.
    pub moved: usize,
    /// Rows that were asked for again.
    pub again: usize,
    /// Rows that were closed because nothing else would.
    pub closed: usize,
    /// Does the source's webhook not tell of what moves?
    pub quiet: bool,
}

/// The sweep over all sources.
pub struct Sweeper {
    queue: Queue,
    store: Store,
    sources: BTreeMap<Name, Source>,
    applications: Applications,
    lanes: Lanes,
    keep: Keep,
    quiet: Quiet,
}

impl Sweeper {
    /// Takes its hands and the applications whose refs it looks at.
    #[must_use]
    pub fn new(
        queue: Queue,
        store: Store,
        sources: BTreeMap<Name, Source>,
        applications: Vec<Application>,
        lanes: Lanes,
    ) -> Self {
        let (keep, quiet) = (Keep::default(), Quiet::default());
        let applications = Applications::new(applications);
        Self { queue, store, sources, applications, lanes, keep, quiet }
    }

    /// Says how much history is kept.
    #[must_use]
    pub fn keeping(self, keep: Keep) -> Self {
        Self { keep, ..self }
    }

    /// Forgets history that is older, or more, than is kept; a bounded part of it at a time.
    ///
    /// # Errors
    /// The store.
    pub async fn forget(&self, now: Moment) -> Result<Pruned, Error> {
        let mut forgotten = self.store.prune(now, &self.keep).await?;
        for _ in 1..FORGET_AT_MOST {
            if !forgotten.is_partial() {
                break;
            }
            forgotten = self.store.prune(now, &self.keep).await?;
        }
        Ok(forgotten)
    }

    /// Looks at every reference of one source that an application follows, and makes an event of each ref that moved
    /// one; of all of them at the `first` look after a start, when settings may have changed too.
    ///
    /// # Errors
    /// The source, the store or the queue.
    pub async fn step(&self, source: &Name, first: bool) -> Result<Swept, Error> {
        let hand = self.sources.get(source).ok_or_else(|| Error::UnknownSource(source.clone()))?;
        let own: Vec<&Application> = self.applications.of_source(source).collect();
        let seen = self.store.seen(source).await?;
        let mut drafts = Vec::new();
        let mut moving: BTreeSet<&Reference> = BTreeSet::new();
        for application in own {
            match &application.reference {
                Reference::Commit(fixed) if first || seen.get(&application.reference) != Some(fixed) => {
                    drafts.extend(self.not_dispatched(application, fixed).await?);
                }
                Reference::Commit(_) => {}
                Reference::Name(_) | Reference::Tags(_) => drop(moving.insert(&application.reference)),
            }
        }
        // A fixed commit leads where it leads without a look at the refs.
        let tips = if moving.is_empty() { BTreeMap::new() } else { hand.tips().await? };
        let mut moved: BTreeSet<&RefName> = BTreeSet::new();
        for reference in moving {
            let name = stands_at(reference, &tips);
            let (tip, before) = (name.and_then(|name| tips.get(name)), seen.get(reference));
            if tip != before || (first && tip.is_some()) {
                match name {
                    Some(name) => drop(moved.insert(name)),
                    // Nothing is left that could be made true: there is no more to it than that it was seen.
                    None => self.store.saw(source, reference, None).await?,
                }
            }
        }
        let any_moved = !moved.is_empty();
        let sweep = |name: &RefName| event(source, What::Sweep { reference: name.clone() });
        drafts.extend(moved.into_iter().map(sweep));
        let told = self.store.last_delivery(source).await?;
        let moved = drafts.len();
        self.queue.publish(drafts).await?;
        // Last, so that a look that failed is no look.
        let quiet = self.quiet.note(source, any_moved, told, now());
        let swept = Swept { moved, quiet, ..Swept::default() };
        Ok(swept)
    }

    /// Asks for the targets of a fixed commit that were not dispatched with it yet.
    async fn not_dispatched(&self, application: &Application, fixed: &CommitId) -> Result<Vec<Draft>, Error> {
        let source = &application.source;
        let definition = self.store.definition(application).await?;
        let memory = self.store.memory(source).await?;
        let row = |target: &Target| memory.iter().find(|row| row.target == *target);
        let targets = application.targets();
        let missing = targets.filter(|target| !select::is_dispatched(row(target), fixed, definition));
        Ok(missing.map(|target| event(source, What::Again { target, commit: None })).collect())
    }

    /// Looks after what nobody else would end: rows that are overdue, targets in an error of windlass's own, and jobs
    /// that the queue itself buried. It needs no repository, so one that is away holds nothing back.
    ///
    /// # Errors
    /// The store or the queue.
    pub async fn tend(&self) -> Result<Swept, Error> {
        let mut swept = Swept::default();
        let mut drafts = Vec::new();
        for (source, target, commit) in self.store.overdue(self.overdue_before(), BATCH).await? {
            if self.is_configured(&source, &target) {
                swept.again += 1;
                drafts.push(event(&source, What::Again { target, commit: Some(commit) }));
            } else {
                swept.closed += 1;
                let why = "it is no longer configured; what was applied was left as it is".to_owned();
                drafts.push(buried(Told::Buried { dispatch: String::new(), source, commit, target, why }));
            }
        }
        for source in self.sources.keys() {
            for target in self.in_error(source).await? {
                swept.again += 1;
                drafts.push(event(source, What::Again { target, commit: None }));
            }
        }
        // What the queue itself buried is looked at last: one queue of dead messages that cannot be read holds nothing back.
        self.publish(drafts).await?;
        let closed = self.close_dead().await?;
        swept.closed += closed.len();
        self.publish(closed).await?;
        Ok(swept)
    }

    fn is_configured(&self, source: &Name, target: &Target) -> bool {
        self.sources.contains_key(source) && self.applications.of_target(source, target).is_some()
    }

    /// Returns the targets whose last dispatch ended in an error of windlass's own: what was wrong may be mended. What
    /// a commit did wrong is not tried again.
    async fn in_error(&self, source: &Name) -> Result<Vec<Target>, Error> {
        let mut targets = Vec::new();
        let held = self.store.held().await?;
        for row in self.store.memory(source).await? {
            // What waits for its target to open is asked for then.
            let waits = held.iter().any(|held| held.target == row.target && held.commits);
            let skipped = waits || row.state != State::Failed || !self.is_configured(source, &row.target);
            if skipped || targets.len() >= BATCH as usize {
                continue;
            }
            let verdicts = self.store.verdicts(source, &row.commit).await?;
            if verdicts.iter().any(|one| one.target == row.target && one.row.phase == Phase::Error) {
                targets.push(row.target);
            }
        }
        Ok(targets)
    }

    fn overdue_before(&self) -> Moment {
        let longest =
            self.applications.all().iter().map(|one| one.health_deadline_ms).max().unwrap_or_default();
        let age = i64::try_from(longest.saturating_add(OVERDUE_AFTER_MS)).unwrap_or(i64::MAX);
        Moment(now().0.saturating_sub(age))
    }

    async fn publish(&self, drafts: Vec<Draft>) -> Result<(), Error> {
        for part in drafts.chunks(DRAFTS) {
            self.queue.publish(part.to_vec()).await?;
        }
        Ok(())
    }

    /// Returns what closes the rows of jobs that the queue itself buried, since no role could report them. Whoever works in
    /// a lane can bury what it likes there, and is believed about the lane's own targets only.
    async fn close_dead(&self) -> Result<Vec<Draft>, Error> {
        let mut drafts = Vec::new();
        for Dead { lane, body, why, .. } in self.queue.dead(BATCH).await? {
            let job: Option<Job> =
                serde_json::from_str(&body).ok().filter(|_| lane.to_string().starts_with("jobs."));
            let Some(Job { dispatch, application, commit, target, .. }) = job else { continue };
            let source = application.source;
            let name = lane.to_string();
            let own = name.strip_prefix("jobs.").unwrap_or_default();
            if self.lanes.judge(own, &source, &target).is_err() {
                continue;
            }
            let rows = self.store.verdicts(&source, &commit).await?;
            if rows.iter().any(|verdict| verdict.target == target && !verdict.row.phase.is_final()) {
                drafts.push(buried(Told::Buried { dispatch, source, commit, target, why }));
            }
        }
        Ok(drafts)
    }
}

/// Returns the ref that a reference leads to among those that there are.
fn stands_at<'a>(reference: &'a Reference, tips: &'a BTreeMap<RefName, CommitId>) -> Option<&'a RefName> {
    match reference {
        Reference::Name(name) => Some(name),
        Reference::Tags(range) => range.highest(tips.keys()),
        Reference::Commit(_) => None,
    }
}

fn event(source: &Name, what: What) -> Draft {
    let id = uuid::Uuid::now_v7().to_string();
    Draft::event(&Event::new(id, source.clone(), what, now()))
}

fn buried(what: Told) -> Draft {
    Draft::report(&Report::new(now(), what))
}
