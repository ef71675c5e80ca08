//! Windows: when targets may be written to, and when not.
//!
//! Comes in: the windows of the settings, the pauses that people made, and a moment. Goes out: whether a target is open
//! at that moment, until when, and in words what closes it. A target without a window is always open. With windows that
//! allow, it is open inside any of them only; and one that denies closes it, whatever the others say.

mod cron;
mod gate;
mod pattern;
mod schedule;
#[cfg(test)]
mod tests;
mod zone;

use crate::application::Target;

pub use cron::Cron;
pub use gate::Closed;
pub use gate::Gate;
pub use gate::State;
pub use gate::paused;
pub use gate::pinned;
pub use pattern::Pattern;
pub use schedule::Schedule;
pub use zone::Zone;

/// How many beginnings and ends of windows are looked past for the moment at which a target opens or closes? Past them,
/// it is not in sight.
const EDGES: usize = 500;

/// What a window does while it lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It opens its targets; outside of such windows they are closed.
    Allow,
    /// It closes its targets.
    Deny,
}

/// What becomes of drift while a window closes a target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnDrift {
    /// What was applied is made as it was: that nothing changes is what a closed window is for.
    #[default]
    Correct,
    /// It is recorded, and corrected once the target opens.
    Wait,
}

/// A window, as the settings have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// What it is called.
    pub name: String,
    /// What it does.
    pub kind: Kind,
    /// When it begins.
    pub schedule: Schedule,
    /// For how many seconds it lasts, each time; real ones, whatever the clock does.
    pub seconds: i64,
    /// The applications that it is for; with none, all.
    pub applications: Vec<Pattern>,
    /// The clusters that it is for; with none, all.
    pub clusters: Vec<Pattern>,
    /// What becomes of drift.
    pub drift: OnDrift,
}

impl Schedule {
    /// Puts an expression and the zone of its clock together.
    ///
    /// # Errors
    /// It never comes, as on a February 30th.
    pub fn new(cron: Cron, zone: Zone) -> Result<Self, String> {
        let schedule = Self { cron, zone };
        match schedule.after(0) {
            Some(_) => Ok(schedule),
            None => Err("never comes: no month has such a day".to_owned()),
        }
    }
}

impl Window {
    fn is_for(&self, target: &Target) -> bool {
        let fits = |patterns: &[Pattern], name: &str| {
            patterns.is_empty() || patterns.iter().any(|pattern| pattern.fits(name))
        };
        fits(&self.applications, target.application.as_str()) && fits(&self.clusters, target.cluster.as_str())
    }

    /// Returns whether it is on at a second, and the first edge after that: its end as this beginning has it, or its next
    /// beginning.
    fn at(&self, second: i64) -> (bool, Option<i64>) {
        let since = second.saturating_sub(self.seconds).saturating_add(1);
        match self.schedule.until(second, since) {
            Some(begun) => (true, begun.checked_add(self.seconds)),
            None => (false, self.schedule.after(second)),
        }
    }
}

/// What some windows say together at a second.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Verdict<'a> {
    open: bool,
    /// When it says otherwise; nothing where that is not in sight.
    until: Option<i64>,
    /// The window that closes until then.
    by: Option<&'a Window>,
}

/// Returns what windows say together at a second.
fn judge<'a>(windows: &[&'a Window], second: i64) -> Verdict<'a> {
    let (open, mut by, mut next) = look(windows, second);
    for _ in 0..EDGES {
        let Some(edge) = next else { break };
        let (then_open, then_by, then_next) = look(windows, edge);
        if then_open != open {
            return Verdict { open, until: Some(edge), by };
        }
        (by, next) = (then_by, then_next);
    }
    Verdict { open, until: None, by: look(windows, second).1 }
}

/// Returns whether windows leave open at a second, which one closes, and the first edge of any of them after that.
fn look<'a>(windows: &[&'a Window], second: i64) -> (bool, Option<&'a Window>, Option<i64>) {
    let states: Vec<(&Window, bool, Option<i64>)> = windows
        .iter()
        .map(|window| {
            let (on, edge) = window.at(second);
            (*window, on, edge)
        })
        .collect();
    let next = states.iter().filter_map(|(_, _, edge)| *edge).min();
    let of = |kind: Kind| states.iter().filter(move |(window, ..)| window.kind == kind);
    // Of those that close, the one that lasts longest; of those that would open, the one that comes first.
    let denied = of(Kind::Deny).filter(|(_, on, _)| *on).max_by_key(|(.., edge)| *edge);
    let allowed = of(Kind::Allow).any(|(_, on, _)| *on) || of(Kind::Allow).next().is_none();
    let outside = of(Kind::Allow).min_by_key(|(.., edge)| edge.unwrap_or(i64::MAX));
    match (denied, allowed) {
        (Some((window, ..)), _) => (false, Some(window), next),
        (None, true) => (true, None, next),
        (None, false) => (false, outside.map(|(window, ..)| *window), next),
    }
}
