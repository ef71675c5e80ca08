//! The applications of a sequence: one that reads the whole repository, or two that read a folder each.

use windlass::application::Name;
use windlass::applyset;

use crate::branch::Branch;
use crate::branch::Declared;
use crate::objects::Key;

/// An application.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum App {
    Shop,
    Till,
}

impl App {
    /// Returns those of a sequence.
    pub fn of(two: bool) -> &'static [Self] {
        if two { &[Self::Shop, Self::Till] } else { &[Self::Shop] }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Shop => "shop",
            Self::Till => "till",
        }
    }

    pub fn other(self) -> Self {
        match self {
            Self::Shop => Self::Till,
            Self::Till => Self::Shop,
        }
    }

    /// Returns the context of its statuses.
    pub fn context(self) -> String {
        format!("windlass/{}@east", self.name())
    }

    /// Returns its field manager.
    pub fn manager(self) -> String {
        format!("windlass:{}", self.name())
    }

    /// Returns the name of its parent object.
    pub fn parent(self) -> String {
        applyset::parent_name(&Name::parse(self.name()).unwrap())
    }

    /// Returns the id of its set.
    pub fn set(self, installation: &str) -> String {
        applyset::id(&self.parent(), installation)
    }
}

impl Branch {
    /// Has an object gone from one application to another since the branch was like that?
    pub fn has_moved_since(&self, before: &Self) -> bool {
        let moved =
            |(key, now): (&Key, &Declared)| before.objects.get(key).is_some_and(|was| was.app != now.app);
        self.objects.iter().any(moved)
    }

    /// Returns it with what another branch declares for an application.
    pub fn with_those_of(&self, app: App, other: &Self) -> Self {
        let mut branch = self.clone();
        branch.objects.retain(|_, declared| declared.app != app);
        branch.hooks.retain(|hook| hook.app != app);
        let theirs = other.objects.iter().filter(|(_, declared)| declared.app == app);
        branch.objects.extend(theirs.map(|(key, declared)| (*key, declared.clone())));
        branch.hooks.extend(other.hooks.iter().filter(|hook| hook.app == app));
        branch
    }
}
