//! The steps of a sequence, each with its weight.

use crate::drifts::Drift;
use crate::faults::Fault;
use crate::play::Play;
use crate::ships::Ship;

/// What happens.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// The branch moves.
    Ship(Ship),
    /// Others do something at the cluster.
    Drift(Drift),
    /// Something fails.
    Fault(Fault),
    /// A person keeps an earlier commit for a while.
    Keep,
    /// Windlass has the time that it needs.
    Settle,
}

/// The table: how likely each is.
const TABLE: &[(usize, Step)] = &[
    (24, Step::Ship(Ship::Edits)),
    (7, Step::Ship(Ship::Several)),
    (4, Step::Ship(Ship::Silent)),
    (2, Step::Ship(Ship::Nothing)),
    (4, Step::Ship(Ship::Bad)),
    (1, Step::Ship(Ship::Empty)),
    (6, Step::Ship(Ship::Back)),
    (1, Step::Ship(Ship::Vanish)),
    (2, Step::Ship(Ship::Replay)),
    (10, Step::Settle),
    (4, Step::Keep),
    (8, Step::Drift(Drift::Meddle)),
    (6, Step::Drift(Drift::Strip)),
    (6, Step::Drift(Drift::Add)),
    (5, Step::Drift(Drift::Delete)),
    (3, Step::Drift(Drift::Replace)),
    (4, Step::Drift(Drift::Unlabel)),
    (4, Step::Drift(Drift::Squat)),
    (2, Step::Drift(Drift::Disown)),
    (2, Step::Drift(Drift::Claim)),
    (3, Step::Drift(Drift::Hold)),
    (3, Step::Fault(Fault::Forbid)),
    (2, Step::Fault(Fault::Allow)),
    (8, Step::Fault(Fault::Fail)),
    (3, Step::Fault(Fault::Break)),
    (2, Step::Fault(Fault::FailForge)),
    (3, Step::Fault(Fault::Kill)),
    (4, Step::Fault(Fault::KillAt)),
    (2, Step::Fault(Fault::Down)),
    (1, Step::Fault(Fault::Forget)),
];

impl Play {
    /// Takes one step by chance.
    pub async fn step(&mut self) {
        let whole: usize = TABLE.iter().map(|(weight, _)| weight).sum();
        let mut dice = self.chance.below(whole);
        let hit = |(weight, _): &&(usize, Step)| {
            let hit = dice < *weight;
            dice = dice.saturating_sub(*weight);
            hit
        };
        let step = TABLE.iter().find(hit).unwrap().1;
        self.say(format!("{step:?}"));
        match step {
            Step::Ship(ship) => self.ship(ship).await,
            Step::Drift(drift) => self.drift(drift).await,
            Step::Fault(fault) => self.suffer(fault).await,
            Step::Keep => self.keep().await,
            Step::Settle => self.settle().await,
        }
    }

    pub(super) async fn settle(&mut self) {
        self.stage.start().await;
        // What is held, or nowhere to be seen, is waited for longer than anybody wants to here.
        self.let_go().await;
        // Nor does a wait for health end before its deadline while it sees nothing.
        if std::mem::take(&mut self.blind) {
            self.stage.allow();
        }
        if self.vanished {
            self.push(true).await;
        }
        self.stage.waits = self.flavour.depends && self.trouble;
        self.stage.quiet().await;
        self.befores.clear();
        self.recognise().await;
    }
}
