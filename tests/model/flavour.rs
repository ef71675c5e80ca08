//! What a sequence is about.

use crate::hooks::Form;
use crate::world::chance::Chance;

/// What may come up, besides the ordinary objects of one application.
#[derive(Clone, Copy, Debug, Default)]
pub struct Flavour {
    /// A namespace of the branch's own.
    pub own: bool,
    /// A kind of its own.
    pub widgets: bool,
    /// A second application.
    pub till: bool,
    /// Does that wait until the first one is healthy?
    pub depends: bool,
    /// Objects that each rollout makes anew.
    pub hooks: Option<Form>,
}

impl Flavour {
    /// Returns one by chance.
    pub fn by_chance(chance: &mut Chance) -> Self {
        let (own, widgets, till) = (chance.below(4) == 0, chance.below(10) == 0, chance.below(2) == 0);
        let hooks = match chance.below(8) {
            0 | 1 => Some(Form::ConfigMap),
            2 => Some(Form::Job),
            _ => None,
        };
        Self { own, widgets, till, depends: till && chance.below(3) == 0, hooks }
    }
}
