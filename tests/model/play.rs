//! One sequence: what was pushed so far, what others did, and what has to be true in the end.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::Mutex;

use serde_json::Value;
use tokio::time::Instant;
use windlass::commit::CommitId;

use crate::apps::App;
use crate::branch::Branch;
use crate::flavour::Flavour;
use crate::hands::Hand;
use crate::hands::Way;
use crate::hooks::Hook;
use crate::objects::Key;
use crate::objects::Kind;
use crate::objects::Place;
use crate::stage::MAIN;
use crate::stage::Stage;
use crate::world::chance::Chance;

/// What of a sequence is told as it goes on, and where it fails.
pub type Story = Arc<Mutex<Vec<String>>>;

/// A commit that was the tip.
pub struct Pushed {
    pub commit: CommitId,
    pub branch: Branch,
    /// Did windlass take its delivery?
    pub delivered: bool,
    /// Was it thrown away by a later push? Then windlass may never have seen it.
    pub lost: bool,
}

/// A field that somebody else set on one of our objects, and that no manifest sets.
#[derive(Clone, Debug)]
pub struct Foreign {
    pub key: Key,
    pub uid: Value,
    pub annotation: String,
    pub value: String,
}

/// A sequence under way.
pub struct Play {
    pub stage: Stage,
    pub chance: Chance,
    pub flavour: Flavour,
    pub branch: Branch,
    pub pushed: Vec<Pushed>,
    /// Whatever was ever declared, and whatever a pushed branch then was without.
    pub declared: BTreeSet<Key>,
    pub dropped: BTreeSet<Key>,
    /// Fields that others changed, as far as the table has them.
    pub meddled: BTreeSet<(Key, &'static str)>,
    /// Objects that others made, or took the label from: they need not be pruned.
    pub strays: BTreeSet<Key>,
    pub foreign: Vec<Foreign>,
    /// Objects that are not the application's, as they were made.
    pub bystanders: BTreeMap<Key, Value>,
    /// Objects that others hold back from being deleted, and that they gave to another set.
    pub held: BTreeSet<Key>,
    pub claimed: BTreeMap<Key, App>,
    /// Whatever hooks were ever declared.
    pub hooks: BTreeSet<Hook>,
    /// The objects that were there when windlass had nothing left to do, and are declared ever since.
    pub uids: BTreeMap<Key, Value>,
    /// Where the branch stood before each delivery that windlass may not have worked through. While the branch is back
    /// there, the repository seems to lag behind the delivery, and windlass waits for a minute.
    pub befores: Vec<CommitId>,
    /// Is the branch deleted?
    pub vanished: bool,
    /// How many pushes windlass has forgotten.
    pub forgotten: usize,
    /// How many pushes there were when a person last went back to one.
    pub steered: usize,
    /// How often others took each object in hand: correcting it takes longer each time.
    pub hands: BTreeMap<Key, usize>,
    /// May the tip have failed for a reason that the sequence itself made?
    pub trouble: bool,
    /// May windlass not see the kind whose health is waited for?
    pub blind: bool,
    /// Did others change anything since the last time that everything was as declared?
    pub drifted: bool,
    pub story: Story,
    begun: Instant,
}

impl Play {
    /// Makes everything, and makes the first branch true.
    pub async fn begin(seed: u64, story: Story) -> Self {
        let mut chance = Chance::of(seed);
        let flavour = Flavour::by_chance(&mut chance);
        let stage = Stage::new(App::of(flavour.till), flavour.depends).await;
        let branch = Branch::new(&mut chance, &stage.names, flavour);
        let mut play = Self {
            stage,
            chance,
            flavour,
            branch,
            pushed: Vec::new(),
            declared: BTreeSet::new(),
            dropped: BTreeSet::new(),
            meddled: BTreeSet::new(),
            strays: BTreeSet::new(),
            foreign: Vec::new(),
            bystanders: BTreeMap::new(),
            held: BTreeSet::new(),
            claimed: BTreeMap::new(),
            hooks: BTreeSet::new(),
            uids: BTreeMap::new(),
            befores: Vec::new(),
            vanished: false,
            forgotten: 0,
            steered: 0,
            hands: BTreeMap::new(),
            trouble: false,
            blind: false,
            drifted: false,
            story,
            begun: Instant::now(),
        };
        play.make_bystanders().await;
        play.say(format!("{flavour:?}, at first {:?}", play.branch.objects.keys().collect::<Vec<_>>()));
        // Windlass comes upon it by itself.
        play.push(false).await;
        play.stage.start().await;
        play
    }

    pub fn say(&self, what: String) {
        let seconds = self.begun.elapsed().as_secs_f32();
        self.story.lock().unwrap().push(format!("{seconds:5.1} {what}"));
    }

    pub fn hand(&self) -> Hand<'_> {
        Hand { kube: &self.stage.kube, names: &self.stage.names }
    }

    /// Makes objects that windlass must never touch: some that carry the application's label, and some of its kinds.
    async fn make_bystanders(&mut self) {
        let set = App::Shop.set(&self.stage.names.installation);
        for (kind, place, name) in [
            (Kind::ConfigMap, Place::Home, "copied"),
            (Kind::Secret, Place::Annex, "copied"),
            (Kind::ServiceAccount, Place::Home, "copied"),
        ] {
            let key = Key { kind, place, name };
            let value = self.hand().copy_label(key, &set).await;
            self.bystanders.insert(key, value);
        }
        for (kind, place) in
            [(Kind::ConfigMap, Place::Home), (Kind::Service, Place::Annex), (Kind::Role, Place::Home)]
        {
            let key = Key { kind, place, name: "theirs" };
            let made = self.hand().make(key).await.unwrap();
            self.bystanders.insert(key, made);
        }
    }

    /// Pushes the branch as it is, and tells windlass or does not.
    pub async fn push(&mut self, told: bool) {
        self.commit();
        self.publish(told).await;
    }

    /// Commits the branch as it is.
    pub fn commit(&mut self) -> CommitId {
        let files = self.branch.files(&self.stage.names);
        // What takes others with it needs consent.
        let consent = self.flavour.own || self.flavour.widgets;
        let message = if consent { "\n\nWindlass-Allow-Prune: shop\n" } else { "" };
        // Of two commits in one second that differ in nothing, git makes one.
        self.stage.commit(&format!("push {}{message}", self.pushed.len()), &files)
    }

    /// Pushes the commit of the work tree.
    pub async fn publish(&mut self, told: bool) {
        let commit = self.stage.repo.head();
        self.stage.repo.slip_in(MAIN);
        self.vanished = false;
        let before = self.pushed.last().map(|last| last.commit.clone());
        let keys: BTreeSet<Key> = self.branch.objects.keys().copied().collect();
        self.dropped.extend(self.declared.difference(&keys));
        self.hooks.extend(&self.branch.hooks);
        self.uids.retain(|key, _| keys.contains(key));
        self.drifted |= self.has_moved();
        self.declared.extend(keys);
        self.trouble |= self.branch.bad.is_some() || self.branch.objects.is_empty();
        self.befores.extend(before.clone().filter(|_| told));
        let delivered = told && self.stage.deliver(before.as_ref(), &commit).await;
        self.say(format!("pushed {}, delivered: {delivered}", commit.short()));
        let branch = self.branch.clone();
        self.pushed.push(Pushed { commit, branch, delivered, lost: false });
    }

    /// Has an object gone over to another application? Whoever let it go may have to look once more.
    fn has_moved(&self) -> bool {
        self.pushed.last().is_some_and(|last| self.branch.has_moved_since(&last.branch))
    }

    /// Deletes the branch; windlass is not told.
    pub fn vanish(&mut self) {
        self.stage.repo.slip_out(MAIN);
        self.pushed.last_mut().unwrap().lost = true;
        // A commit that is nowhere has failed, as far as windlass could tell.
        (self.vanished, self.trouble) = (true, true);
    }

    /// Goes back to a branch of before, as the very commit or as a new one that throws away what came between.
    pub async fn go_back(&mut self, to: usize, same: bool) {
        let Pushed { commit, branch, .. } = &self.pushed[to];
        let (commit, branch) = (commit.clone(), branch.clone());
        let same = same && !self.befores.contains(&commit);
        let files = branch.files(&self.stage.names);
        let root = self.pushed[0].commit.clone();
        if same {
            self.stage.go_back(&commit, &files);
        } else {
            let first = self.pushed[0].branch.files(&self.stage.names);
            self.stage.go_back(&root, &first);
        }
        let kept = if same { to } else { 0 };
        for later in self.pushed.iter_mut().skip(kept + 1) {
            later.lost = true;
        }
        self.branch = branch;
        if !same {
            self.commit();
        }
        self.publish(true).await;
    }

    /// Returns an object of the branch that others may take in hand once more.
    pub fn victim(&mut self) -> Option<Key> {
        let key = self.branch.any(&mut self.chance);
        let times = self.hands.entry(key).or_default();
        *times += 1;
        // Each correction of the same object waits three times as long as the one before.
        (*times <= 2 && !key.kind.is_ground()).then_some(key)
    }

    /// Notes that others change a field of an object.
    pub fn meddle(&mut self, key: Key, pointer: &'static str, way: Way) {
        self.meddled.insert((key, pointer));
        self.drifted = true;
        match pointer {
            // With all labels goes the one by which it is the application's.
            "/metadata/labels" => drop(self.strays.insert(key)),
            "/metadata/annotations" => self.foreign.retain(|one| one.key != key),
            _ => {}
        }
        if way == Way::Applied {
            self.forget_applied(key);
        }
    }

    /// Notes that a manager applied something else to an object: what it applied before is gone.
    pub fn forget_applied(&mut self, key: Key) {
        self.foreign.retain(|one| one.key != key || !one.annotation.contains("Applied"));
    }
}
