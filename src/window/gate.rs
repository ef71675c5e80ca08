//! What windows, pauses and pins say of targets at one moment.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::PoisonError;

use crate::application::Target;
use crate::moment::Moment;
use crate::pause::Pause;
use crate::pause::Pin;

use super::Kind;
use super::OnDrift;
use super::Window;
use super::Zone;
use super::judge;

/// Whether a target may be written to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It may.
    Open {
        /// When that ends; nothing where no end is in sight.
        until: Option<Moment>,
    },
    /// It may not.
    Closed(Closed),
}

/// That a target is closed, and by what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed {
    /// When it opens, as far as that is known; a pause ends when somebody ends it.
    pub until: Option<Moment>,
    /// What closes it, and until when, as one line for people.
    pub why: String,
}

/// What is asked of a target: may a commit be made true there, or drift be corrected?
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Asked {
    Push,
    Drift,
}

/// The windows, pauses and pins at one moment.
#[derive(Debug)]
pub struct Gate<'a> {
    windows: &'a [Window],
    pauses: Vec<Pause>,
    pins: Vec<Pin>,
    now: Moment,
    /// What windows, by their places in the list, say together: many targets have the same ones.
    known: Mutex<BTreeMap<(Asked, Vec<usize>), State>>,
}

impl<'a> Gate<'a> {
    /// Takes the windows, the pauses and the moment.
    #[must_use]
    pub fn new(windows: &'a [Window], pauses: Vec<Pause>, now: Moment) -> Self {
        Self { windows, pauses, pins: Vec::new(), now, known: Mutex::default() }
    }

    /// Takes the pins too.
    #[must_use]
    pub fn keeping(self, pins: Vec<Pin>) -> Self {
        Self { pins, ..self }
    }

    /// Returns whether a commit may be made true in a target.
    #[must_use]
    pub fn push(&self, target: &Target) -> State {
        self.paused(target).or_else(|| self.pinned(target)).unwrap_or_else(|| self.ask(Asked::Push, target))
    }

    /// Returns whether drift of a target may be corrected. Where a commit may be made true, drift may be corrected too.
    #[must_use]
    pub fn drift(&self, target: &Target) -> State {
        if let Some(paused) = self.paused(target) {
            return paused;
        }
        match self.ask(Asked::Push, target) {
            State::Closed(_) => self.ask(Asked::Drift, target),
            open @ State::Open { .. } => open,
        }
    }

    fn paused(&self, target: &Target) -> Option<State> {
        let pause = self.pauses.iter().find(|pause| pause.scope.covers(target))?;
        Some(State::Closed(Closed { until: None, why: paused(pause) }))
    }

    /// A pin keeps other commits from a target, and no correction of its drift.
    fn pinned(&self, target: &Target) -> Option<State> {
        let pin = self.pins.iter().find(|pin| pin.target == *target)?;
        Some(State::Closed(Closed { until: None, why: pinned(pin) }))
    }

    fn ask(&self, asked: Asked, target: &Target) -> State {
        let counts = |window: &Window| asked == Asked::Push || window.drift == OnDrift::Wait;
        let these = self.windows.iter().enumerate().filter(|(_, one)| counts(one) && one.is_for(target));
        let (places, these): (Vec<usize>, Vec<&Window>) = these.unzip();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.entry((asked, places)).or_insert_with(|| state(&these, self.now)).clone()
    }
}

/// Returns what a pause says, as one line.
#[must_use]
pub fn paused(pause: &Pause) -> String {
    let Pause { scope, by, why, since } = pause;
    format!("{scope} is paused by {by} since {}: {why}", Zone::utc().text(since.0.div_euclid(1_000)))
}

/// Returns what a pin says, as one line.
#[must_use]
pub fn pinned(pin: &Pin) -> String {
    let Pin { target, commit, by, why, since } = pin;
    let since = Zone::utc().text(since.0.div_euclid(1_000));
    format!("{target} is kept at {} by {by} since {since}: {why}", commit.short())
}

fn state(windows: &[&Window], now: Moment) -> State {
    let judged = judge(windows, now.0.div_euclid(1_000));
    let until = judged.until.and_then(|until| until.checked_mul(1_000)).map(Moment);
    if judged.open {
        return State::Open { until };
    }
    let end = match (judged.until, judged.by) {
        (Some(until), Some(window)) => format!("closed until {}", window.schedule.zone.text(until)),
        _ => "closed, and no opening is in sight".to_owned(),
    };
    let by = judged.by.map(|window| match window.kind {
        Kind::Deny => format!(" by window {}", window.name),
        Kind::Allow => format!(", outside window {}", window.name),
    });
    State::Closed(Closed { until, why: end + &by.unwrap_or_default() })
}
