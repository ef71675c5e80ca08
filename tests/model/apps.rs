//! The applications of a sequence: one that reads the whole repository, or two that read a folder each.

use windlass::application::Name;
use windlass::applyset;

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
