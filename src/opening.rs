//! The opening: asks for what waits as soon as its target opens, and for what people wish.
//!
//! Comes in: the targets where something is held, the windows, the pauses, what others came to, and time. Goes out: events. It decides nothing
//! that is not decided again: dispatch looks at the gate itself, and holds what came too early.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use crate::application::Application;
use crate::application::Name;
use crate::application::Target;
use crate::event::Event;
use crate::event::What;
use crate::moment::Moment;
use crate::queue::Draft;
use crate::queue::Queue;
use crate::select;
use crate::select::Memory;
use crate::select::State;
use crate::store::Held;
use crate::store::Store;
use crate::window;
use crate::window::Gate;
use crate::window::Window;

/// How long is waited at most before the next look? What is known to come is looked for when it comes; this is for what was
/// missed, and for clocks that were set.
const LOOK_EVERY: Duration = Duration::from_mins(1);

/// After how long is a target asked for again that is open and still held? Dispatch may have had trouble.
const AGAIN_AFTER: Duration = Duration::from_mins(10);

/// After how long is it when dispatch has found it closed meanwhile? Its clock may be a little behind.
const AGAIN_SOON: Duration = Duration::from_secs(1);

/// Why a look failed; each message reads on after "failed to".
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store.
    #[error(transparent)]
    Store(#[from] crate::store::Error),
    /// The queue.
    #[error(transparent)]
    Queue(#[from] crate::queue::Error),
}

/// What a look led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opened {
    /// How many targets were asked for.
    pub asked: usize,
    /// How long there is until the next look, unless something changes before.
    pub wait: Duration,
}

/// Looks after the targets that are closed.
pub struct Opener {
    queue: Queue,
    store: Store,
    applications: Vec<Application>,
    windows: Vec<Window>,
    /// What was asked for of which targets.
    asked: Mutex<BTreeMap<Target, Asked>>,
}

/// What was asked for of a target.
#[derive(Clone, Debug)]
struct Asked {
    at: Moment,
    /// When dispatch had last found it closed.
    noted_at: Moment,
    /// About its drift alone?
    drift: bool,
    /// What those that it depends on had come to.
    standing: Vec<(String, State)>,
}

impl Opener {
    /// Takes its hands, the applications and the windows.
    #[must_use]
    pub fn new(queue: Queue, store: Store, applications: Vec<Application>, windows: Vec<Window>) -> Self {
        Self { queue, store, applications, windows, asked: Mutex::default() }
    }

    /// Looks, and waits until it is time to look again.
    ///
    /// # Errors
    /// As [`Opener::step`].
    pub async fn look(&self) -> Result<Opened, Error> {
        let step = async { self.step(crate::clock::now()).await };
        self.store.at_the_gate(step, |step| step.as_ref().map_or(Duration::ZERO, |opened| opened.wait)).await
    }

    /// Asks for what people wish, and for the held targets that are open at a moment.
    ///
    /// # Errors
    /// The store or the queue; what was not asked for by then is asked for at the next look.
    pub async fn step(&self, now: Moment) -> Result<Opened, Error> {
        let mut opened = Opened { asked: self.grant(now).await?, wait: LOOK_EVERY };
        let held = self.store.held().await?;
        self.forget_others(&held);
        if held.is_empty() {
            return Ok(opened);
        }
        let gate =
            Gate::new(&self.windows, self.store.pauses().await?, now).keeping(self.store.pins().await?);
        let waits = self.waits(&held).await?;
        for one in &held {
            if self.source_of(&one.target) != Some(&one.source) {
                // Whoever waits for it is told by the sweep.
                self.store.release(&one.target).await?;
                continue;
            }
            let wait = match open(&gate, one) {
                // The verdict that its commits wait for brings the next look.
                Ok(false) if !one.drift && waits.awaited.contains_key(&one.target) => None,
                Ok(drift) => {
                    let drift = drift || waits.awaited.contains_key(&one.target);
                    let standing = waits.standing(&one.target);
                    let asked = Asked { at: now, noted_at: one.noted_at, drift, standing };
                    self.ask(one, asked, &mut opened.asked).await?
                }
                Err(until) => until.map(|until| Duration::from_millis(until.since(now))),
            };
            opened.wait = opened.wait.min(wait.unwrap_or(LOOK_EVERY));
        }
        Ok(opened)
    }

    /// Returns for what held targets wait, by what others were last dispatched with.
    async fn waits(&self, held: &[Held]) -> Result<Waits, Error> {
        let waits = |one: &&Application| {
            !one.depends_on.is_empty() && held.iter().any(|held| held.target.application == one.name)
        };
        let waiting: Vec<&Application> = self.applications.iter().filter(waits).collect();
        let needed: BTreeSet<&Name> =
            waiting.iter().flat_map(|one| &one.depends_on).map(|one| &one.application).collect();
        let theirs = self.applications.iter().filter(|one| needed.contains(&one.name));
        let mut memory = BTreeMap::new();
        for source in theirs.map(|one| &one.source).collect::<BTreeSet<_>>() {
            memory.extend(self.store.memory(source).await?.into_iter().map(|row| (row.target.clone(), row)));
        }
        let awaited = select::awaited(&waiting, &memory, &BTreeMap::new());
        let mut standing = BTreeMap::new();
        for (one, target) in waiting.iter().flat_map(|one| one.targets().map(move |target| (one, target))) {
            let rows = one.dependencies(&target.cluster).filter_map(|needed| memory.get(&needed));
            let rows: Vec<_> = rows.map(|row: &Memory| (row.dispatch.clone(), row.state)).collect();
            standing.insert(target, rows);
        }
        Ok(Waits { awaited, standing })
    }

    /// Asks for a target that is open, unless that was done; returns after how long it is time to ask again.
    async fn ask(&self, held: &Held, now: Asked, asked: &mut usize) -> Result<Option<Duration>, Error> {
        let last = self.lock().get(&held.target).cloned();
        if let Some(last) = last.filter(|last| last.drift == now.drift) {
            let pause = now.pause_after(&last, held);
            let passed = Duration::from_millis(now.at.since(last.at));
            if passed < pause {
                return Ok(Some(pause.saturating_sub(passed)));
            }
        }
        let target = held.target.clone();
        let what = if now.drift {
            What::Drift { target, own: true }
        } else {
            What::Sync { target, regardless: false, prunes: None }
        };
        self.publish(&held.source, what, now.at).await?;
        tracing::info!(target.name = %held.target, since_held_ms = now.at.since(held.since), "the target is open: what waits is asked for");
        self.lock().insert(held.target.clone(), now);
        *asked += 1;
        Ok(Some(AGAIN_AFTER))
    }

    /// Asks for the passes that people wish.
    async fn grant(&self, now: Moment) -> Result<usize, Error> {
        let wishes = self.store.wishes().await?;
        for wish in &wishes {
            let (target, regardless, prunes) = (wish.target.clone(), wish.regardless, wish.prunes.clone());
            match self.source_of(&target) {
                Some(source) => self.publish(source, What::Sync { target, regardless, prunes }, now).await?,
                None => {
                    tracing::warn!(target.name = %target, "a pass was asked for of what is not configured")
                }
            }
            self.store.grant(wish).await?;
        }
        Ok(wishes.len())
    }

    async fn publish(&self, source: &Name, what: What, at: Moment) -> Result<(), Error> {
        let id = uuid::Uuid::now_v7().to_string();
        Ok(self.queue.publish(vec![Draft::event(&Event::new(id, source.clone(), what, at))]).await?)
    }

    fn source_of(&self, target: &Target) -> Option<&Name> {
        let of =
            |one: &&Application| one.name == target.application && one.clusters.contains(&target.cluster);
        self.applications.iter().find(of).map(|one| &one.source)
    }

    /// Forgets when targets were asked for that are held no more.
    fn forget_others(&self, held: &[Held]) {
        let held: BTreeSet<&Target> = held.iter().map(|one| &one.target).collect();
        self.lock().retain(|target, _| held.contains(target));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<Target, Asked>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// For what held targets wait.
struct Waits {
    /// Why, for those that must.
    awaited: BTreeMap<Target, String>,
    /// What those that each depends on have come to.
    standing: BTreeMap<Target, Vec<(String, State)>>,
}

impl Waits {
    fn standing(&self, target: &Target) -> Vec<(String, State)> {
        self.standing.get(target).cloned().unwrap_or_default()
    }
}

impl Asked {
    /// Returns how long after what was asked `last` the same is asked again: soon where dispatch has found the target closed
    /// meanwhile; but where it waits for others, only once one of them has come to something else.
    fn pause_after(&self, last: &Self, held: &Held) -> Duration {
        let waits = held.until.is_none() && !self.standing.is_empty() && self.standing == last.standing;
        if waits || self.noted_at == last.noted_at { AGAIN_AFTER } else { AGAIN_SOON }
    }
}

/// Returns whether what may be done in a target is about its drift alone; or, where nothing may, until when.
fn open(gate: &Gate<'_>, held: &Held) -> Result<bool, Option<Moment>> {
    let until = match gate.push(&held.target) {
        window::State::Open { .. } if held.commits => return Ok(false),
        window::State::Open { .. } => return Ok(true),
        window::State::Closed(closed) => closed.until,
    };
    match gate.drift(&held.target) {
        window::State::Open { .. } if held.drift => Ok(true),
        window::State::Closed(closed) if held.drift => Err(until.into_iter().chain(closed.until).min()),
        window::State::Open { .. } | window::State::Closed(_) => Err(until),
    }
}
