//! Pauses and pins: what a person has told windlass to leave alone, or to keep at a commit, until further notice.

use std::fmt;

use serde::Deserialize;
use serde::Serialize;

use crate::application::Name;
use crate::application::Target;
use crate::commit::CommitId;
use crate::moment::Moment;

/// What a pause, or another order of a person, is about: targets by their application, their cluster, or both.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Scope {
    /// The targets of this application only.
    pub application: Option<Name>,
    /// The targets in this cluster only.
    pub cluster: Option<Name>,
}

impl Scope {
    /// Returns whether a target is meant.
    #[must_use]
    pub fn covers(&self, target: &Target) -> bool {
        self.application.as_ref().is_none_or(|application| *application == target.application)
            && self.cluster.as_ref().is_none_or(|cluster| *cluster == target.cluster)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.application, &self.cluster) {
            (Some(application), Some(cluster)) => write!(out, "{application}@{cluster}"),
            (Some(application), None) => application.fmt(out),
            (None, Some(cluster)) => write!(out, "cluster {cluster}"),
            (None, None) => out.write_str("everything"),
        }
    }
}

/// A pause that lasts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// What is paused.
    pub scope: Scope,
    /// Who paused it.
    pub by: String,
    /// Why.
    pub why: String,
    /// Since when.
    pub since: Moment,
}

/// A target that is kept at a commit until somebody releases it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin {
    /// The target.
    pub target: Target,
    /// The commit that it is kept at.
    pub commit: CommitId,
    /// Who wants it so.
    pub by: String,
    /// Why.
    pub why: String,
    /// Since when.
    pub since: Moment,
}

/// What a person told windlass to do, as the audit has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// Write nothing there any more.
    Pause,
    /// Go on there.
    Resume,
    /// Make one pass now.
    Sync,
    /// Make one pass now, although a window is closed or there is a pause.
    Override,
    /// Go back to a commit, and stay there.
    Rollback,
    /// Follow the reference again.
    Release,
    /// Delete what it left there.
    Delete,
}

impl Order {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Pause, Self::Resume, Self::Sync, Self::Override, Self::Rollback, Self::Release, Self::Delete];

    /// Returns the word that the store and pages use.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Sync => "sync",
            Self::Override => "override",
            Self::Rollback => "rollback",
            Self::Release => "release",
            Self::Delete => "delete",
        }
    }

    /// Reads the word back.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.word() == word)
    }
}

/// An order as the audit keeps it, for good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audited {
    /// When it was given.
    pub at: Moment,
    /// By whom.
    pub by: String,
    /// What was ordered.
    pub order: Order,
    /// For what.
    pub scope: Scope,
    /// Why.
    pub why: String,
}

#[cfg(test)]
mod tests {
    use super::Order;
    use super::Scope;
    use crate::application::Name;
    use crate::application::Target;

    #[test]
    fn what_a_scope_covers_by_table() {
        let name = |text: &str| Name::parse(text).unwrap();
        let cases = [
            (None, None, "everything", [true, true, true]),
            (Some("shop"), None, "shop", [true, true, false]),
            (None, Some("east"), "cluster east", [true, false, true]),
            (Some("shop"), Some("east"), "shop@east", [true, false, false]),
        ];
        for (application, cluster, text, expected) in cases {
            let scope = Scope { application: application.map(name), cluster: cluster.map(name) };
            let targets = [("shop", "east"), ("shop", "west"), ("blog", "east")];
            let covered = targets.map(|(application, cluster)| {
                scope.covers(&Target { application: name(application), cluster: name(cluster) })
            });
            assert_eq!((scope.to_string().as_str(), covered), (text, expected));
        }
    }

    #[test]
    fn orders_are_read_by_their_words() {
        for order in Order::ALL {
            assert_eq!(Order::from_word(order.word()), Some(order));
        }
        assert_eq!(Order::from_word("Pause"), None);
    }
}
