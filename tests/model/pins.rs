//! A person who keeps the application at an earlier commit for a while.

use std::collections::BTreeSet;

use crate::apps::App;
use crate::branch::Branch;
use crate::drifts::Drift;
use crate::objects::Key;
use crate::play::Play;

impl Play {
    /// Goes back to an earlier commit, has something happen, and follows the branch again.
    pub(super) async fn keep(&mut self) {
        // Nothing that needs consent is pruned on the way back, and whoever waits for others waits for this too.
        let flavour = self.flavour;
        if flavour.depends || flavour.own || flavour.widgets {
            return self.say("but nobody wants that".to_owned());
        }
        self.stage.heal().await;
        if self.trouble {
            // What a commit did wrong, or was forbidden, is tried again with the next one only.
            self.branch.remark += 1;
            self.push(true).await;
        }
        self.settle().await;
        let good = |one: &usize| {
            let pushed = &self.pushed[*one];
            let sound = pushed.branch.bad.is_none() && !pushed.branch.objects.is_empty();
            // What moved since is held fast.
            !pushed.lost && sound && !self.branch.has_moved_since(&pushed.branch)
        };
        let good: Vec<usize> = (0..self.pushed.len()).filter(good).collect();
        let Some(to) = good.get(self.chance.below(good.len().max(1))).copied() else { return };
        let kept = self.branch.with_those_of(App::Shop, &self.pushed[to].branch);
        let commit = self.pushed[to].commit.to_string();
        self.say(format!("at push {to}"));
        self.steered = self.pushed.len();
        let keys: BTreeSet<Key> = kept.objects.keys().copied().collect();
        self.dropped.extend(self.declared.difference(&keys));
        self.uids.retain(|key, _| keys.contains(key));
        self.stage.kept = true;
        self.stage.order(&["rollback", "shop", "--to", &commit, "--why", "it is slow", "--by", "ana"]);
        self.is_kept_at(&kept).await;
        for _ in 0..self.chance.below(3) {
            self.try_to_move(&kept).await;
        }
        self.follow().await;
    }

    /// Has something happen that changes nothing in the end.
    async fn try_to_move(&mut self, kept: &Branch) {
        match self.chance.below(4) {
            dice if dice == 0 || self.flavour.till => {
                self.say("killed meanwhile".to_owned());
                self.stage.kill(None);
                self.stage.start().await;
            }
            1 if *kept == self.branch => {
                self.say("drift meanwhile".to_owned());
                self.drift(Drift::Meddle).await;
            }
            _ => {
                self.edit();
                self.push(true).await;
            }
        }
        self.is_kept_at(kept).await;
    }

    /// Waits until the cluster holds a branch, and windlass has nothing left to do but what waits for a person.
    async fn is_kept_at(&self, kept: &Branch) {
        let differs = async || self.differs_from(kept).await.map_or(Ok(()), Err);
        self.stage.until("live equals what is kept", differs).await;
        self.stage.quiet().await;
        if let Some(why) = self.differs_from(kept).await {
            panic!("live does not equal what is kept: {why}");
        }
        self.check_gone_from(kept).await;
    }

    /// Lets the application follow its branch again.
    async fn follow(&mut self) {
        self.say("released".to_owned());
        self.stage.order(&["release", "shop", "--by", "ana"]);
        self.stage.kept = false;
        self.stage
            .until("live equals the tip again", async || self.differs().await.map_or(Ok(()), Err))
            .await;
        self.stage.quiet().await;
        self.befores.clear();
        self.trouble |= self.branch.bad.is_some();
        self.recognise().await;
    }
}
