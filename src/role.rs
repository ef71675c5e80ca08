//! The roles of the line, and which of them a process has.

use std::collections::BTreeSet;

use crate::application::Name;

/// One of the stations of the line: a loop, or several, over queues of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Takes webhooks in. It holds their secrets, and only publishes.
    Door,
    /// Finds what an event touches, and sweeps. It reads repositories.
    Dispatch,
    /// Makes commits true. It reads repositories and writes to clusters.
    Reconcile,
    /// Keeps history and tells forges. It holds the tokens that write to them.
    Report,
}

impl Role {
    /// All roles, in the order in which work flows.
    pub const ALL: [Self; 4] = [Self::Door, Self::Dispatch, Self::Reconcile, Self::Report];

    /// Returns the word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Door => "door",
            Self::Dispatch => "dispatch",
            Self::Reconcile => "reconcile",
            Self::Report => "report",
        }
    }

    /// Reads the word for it.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.word() == word)
    }
}

/// What a process is of the line: some of its roles, and of the clusters those of some lanes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    roles: BTreeSet<Role>,
    /// Without any, all lanes are meant.
    lanes: BTreeSet<Name>,
    /// Whether it looks after the queue itself.
    operates: bool,
    /// Whether it needs to know applications and clusters by name.
    steers: bool,
    /// Whether it only looks at repositories and clusters.
    looks: bool,
}

impl Part {
    /// Returns the part that is the whole line.
    #[must_use]
    pub fn whole() -> Self {
        Self::of(Role::ALL, [])
    }

    /// Returns the part of a process that only reads what others have left.
    #[must_use]
    pub fn none() -> Self {
        Self::of([], [])
    }

    /// Returns the part of a process that looks after the queue: it knows all lanes, and has no role.
    #[must_use]
    pub fn operator() -> Self {
        Self { operates: true, ..Self::none() }
    }

    /// Returns the part of a process by which a person steers what others do: it reads what they have left, and knows
    /// applications and clusters by name.
    #[must_use]
    pub fn steward() -> Self {
        Self { steers: true, ..Self::none() }
    }

    /// Returns the part of a process that finds out what a pass would do: it reaches repositories and clusters as
    /// dispatch and reconcile do, and tells nobody.
    #[must_use]
    pub fn looker() -> Self {
        Self { looks: true, ..Self::of([Role::Dispatch, Role::Reconcile], []) }
    }

    /// Returns the part with these roles that reconciles the clusters of these lanes; with no lanes, of all.
    #[must_use]
    pub fn of(roles: impl IntoIterator<Item = Role>, lanes: impl IntoIterator<Item = Name>) -> Self {
        Self {
            roles: roles.into_iter().collect(),
            lanes: lanes.into_iter().collect(),
            operates: false,
            steers: false,
            looks: false,
        }
    }

    /// Returns whether it has that role.
    #[must_use]
    pub fn has(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }

    /// Returns whether it has one of these roles.
    #[must_use]
    pub fn has_any(&self, roles: &[Role]) -> bool {
        roles.iter().any(|role| self.has(*role))
    }

    /// Returns whether it is the whole line, or meets no other part of it, so that a queue within the process is enough.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.roles.len() == Role::ALL.len() || self.looks
    }

    /// Returns whether it only reads what others have left.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.roles.is_empty() && !self.operates
    }

    /// Returns whether it looks after the queue.
    #[must_use]
    pub fn operates(&self) -> bool {
        self.operates
    }

    /// Returns whether it knows applications and clusters by name, for a person who steers them.
    #[must_use]
    pub fn steers(&self) -> bool {
        self.steers
    }

    /// Returns whether it writes to the clusters of that lane.
    #[must_use]
    pub fn reconciles(&self, lane: &Name) -> bool {
        self.has(Role::Reconcile) && (self.lanes.is_empty() || self.lanes.contains(lane))
    }

    /// Returns the lanes that were named.
    pub fn lanes(&self) -> impl Iterator<Item = &Name> {
        self.lanes.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::Part;
    use super::Role;
    use crate::application::Name;

    #[test]
    fn roles_are_read_by_their_words() {
        for role in Role::ALL {
            assert_eq!(Role::from_word(role.word()), Some(role));
        }
        assert_eq!(Role::from_word("Door"), None);
    }

    #[test]
    fn a_part_without_lanes_serves_them_all() {
        let lane = |text| Name::parse(text).unwrap();
        for (roles, lanes, expected) in [
            (&Role::ALL[..], &[][..], true),
            (&[Role::Reconcile], &["eu"], true),
            (&[Role::Reconcile], &["us"], false),
            (&[Role::Reconcile], &["us", "eu"], true),
            (&[Role::Door, Role::Report], &[], false),
        ] {
            let part = Part::of(roles.iter().copied(), lanes.iter().copied().map(lane));
            assert_eq!(part.reconciles(&lane("eu")), expected, "{part:?}");
        }
        assert!(Part::whole().is_whole() && Part::none().is_none());
        let operator = Part::operator();
        assert!(operator.operates() && !operator.is_none() && !operator.has_any(&Role::ALL));
    }
}
