//! Lanes: which one each cluster belongs to, and what may be said in it.
//!
//! Whoever works in a lane may be less trusted than the rest of the line: an agent in somebody's cluster. It can put
//! into the queue only what it says in its lane, and this is where that is held against what it may speak of.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crate::application::Application;
use crate::application::Name;
use crate::application::Target;
use crate::event::Event;
use crate::event::What;
use crate::outcome::Told;

/// The lane of clusters that are given none.
pub const SHARED: &str = "shared";

/// The lanes of all clusters that are configured, and the sources of all applications.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lanes {
    clusters: BTreeMap<Name, Name>,
    sources: BTreeMap<Name, Name>,
}

impl Lanes {
    /// Takes the lane of each cluster, and the applications.
    #[must_use]
    pub fn new(clusters: BTreeMap<Name, Name>, applications: &[Application]) -> Self {
        let sources = applications.iter().map(|one| (one.name.clone(), one.source.clone()));
        Self { clusters, sources: sources.collect() }
    }

    /// Returns the lane of a cluster. One that is not configured has the shared one, where its jobs end with that.
    #[must_use]
    pub fn of(&self, cluster: &Name) -> &str {
        self.clusters.get(cluster).map_or(SHARED, Name::as_str)
    }

    /// Returns every lane that there is.
    #[must_use]
    pub fn all(&self) -> BTreeSet<&str> {
        self.clusters.values().map(Name::as_str).collect()
    }

    /// Judges a report that came in from a lane: it may tell of the lane's own targets, as their applications know them.
    ///
    /// # Errors
    /// Why it may not be believed.
    pub fn judge_report(&self, lane: &str, told: &Told) -> Result<(), String> {
        match told.by_worker() {
            Some((source, target)) => self.judge(lane, source, target),
            None => Err(format!("lane {lane} may report on its targets only, and this is about no target")),
        }
    }

    /// Returns whether an application is configured.
    #[must_use]
    pub fn knows(&self, application: &Name) -> bool {
        self.sources.contains_key(application)
    }

    /// Judges an event that was asked for in a lane: it may ask for the lane's own targets again, and tell of their drift.
    ///
    /// # Errors
    /// Why it is not done.
    pub fn judge_ask(&self, lane: &str, event: &Event) -> Result<(), String> {
        match &event.what {
            What::Again { target, .. } | What::Drift { target, .. } | What::Failed { target, .. } => {
                self.judge(lane, &event.source, target)
            }
            What::Push { .. }
            | What::PullRequest { .. }
            | What::Rerun { .. }
            | What::Sweep { .. }
            | What::Sync { .. } => Err(format!(
                "lane {lane} may ask for its targets again, and tell of their drift and of what failed, and nothing else"
            )),
        }
    }

    /// Judges whether a lane may speak of a target, as its application is known.
    ///
    /// # Errors
    /// Why not.
    pub fn judge(&self, lane: &str, source: &Name, target: &Target) -> Result<(), String> {
        let own = self.of(&target.cluster);
        if own != lane {
            return Err(format!("target {target} is in lane {own} and not in lane {lane}"));
        }
        // What is no longer configured is told of all the same, since its commits may wait for a verdict: whoever hears it
        // makes sure that they do.
        match self.sources.get(&target.application).filter(|known| *known != source) {
            Some(known) => Err(format!("target {target} is of source {known} and not of {source}")),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
