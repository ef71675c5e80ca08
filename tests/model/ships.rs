//! Steps that change the branch.

use crate::play::Play;

/// What the server refuses, and one that windlass itself cannot read.
const BAD: &[&str] = &[
    "apiVersion: v1\nkind: Service\nmetadata: { name: bad }\nspec: { ports: [{ port: 0 }] }\n",
    "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: bad, labels: { a: 'not valid!' } }\n",
    "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: bad }\ndate: { a: b }\n",
    "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: bad }\nimmutable: perhaps\n",
    "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: keep }\n",
    "apiVersion: apps/v1\nkind: Unheard\nmetadata: { name: bad }\n",
    "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: Bad_Name }\n",
    "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: theirs, annotations: { windlass.dev/hook: before } }\n",
    "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: copied, annotations: { windlass.dev/hook: after } }\n",
    "apiVersion: v1\nkind: [\n",
];

/// How the branch moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ship {
    /// A few edits are pushed.
    Edits,
    /// Several commits are pushed one right after the other.
    Several,
    /// A push whose delivery is lost.
    Silent,
    /// A push that changes nothing.
    Nothing,
    /// A push of manifests that are refused.
    Bad,
    /// A push of no manifests at all.
    Empty,
    /// A branch of before is pushed again, with force.
    Back,
    /// The branch is deleted; the next push makes it anew.
    Vanish,
    /// An old delivery comes again.
    Replay,
}

impl Play {
    /// Edits the branch.
    pub(super) fn edit(&mut self) {
        for _ in 0..=self.chance.below(3) {
            let said = self.branch.edit(&mut self.chance, &self.stage.names, self.flavour);
            self.say(said);
        }
    }

    /// Moves the branch.
    pub(super) async fn ship(&mut self, ship: Ship) {
        match ship {
            Ship::Several => {
                for _ in 0..2 + self.chance.below(2) {
                    self.edit();
                    self.push(true).await;
                }
            }
            Ship::Bad => {
                self.edit();
                let text = BAD[self.chance.below(BAD.len())];
                let app = self.branch.apps[self.chance.below(self.branch.apps.len())];
                self.say(format!("add {text:?} to {app:?}"));
                self.branch.bad = Some((app, text));
                self.push(true).await;
                self.branch.bad = None;
            }
            Ship::Empty => {
                let objects = std::mem::take(&mut self.branch.objects);
                self.push(true).await;
                self.branch.objects = objects;
            }
            Ship::Back => {
                let (to, same) = (self.chance.below(self.pushed.len()), self.chance.below(2) == 0);
                self.say(format!("to push {to}, the same commit: {same}"));
                self.go_back(to, same).await;
                self.branch.bad = None;
            }
            Ship::Replay => {
                let old = self.chance.below(self.pushed.len());
                let before = old.checked_sub(1).map(|before| self.pushed[before].commit.clone());
                let after = self.pushed[old].commit.clone();
                // Else it would seem to be a delivery that is ahead of its push.
                let before = before.filter(|before| *before != self.pushed.last().unwrap().commit);
                self.befores.extend(before.clone());
                self.stage.deliver(before.as_ref(), &after).await;
            }
            Ship::Vanish => self.vanish(),
            Ship::Nothing => self.push(true).await,
            Ship::Edits | Ship::Silent => {
                self.edit();
                self.push(ship == Ship::Edits).await;
            }
        }
        if self.branch.objects.is_empty() {
            // It went back to an empty one; nothing could be edited there.
            self.branch = self.pushed[0].branch.clone();
        }
    }
}
