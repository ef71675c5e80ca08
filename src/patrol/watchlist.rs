//! What a patrol knows of one cluster, and what it makes of what it sees. Values in, values out.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::HashMap;

use crate::application::Name;
use crate::application::Target;
use crate::applyset;
use crate::applyset::Parent;
use crate::cluster::Listed;
use crate::drift;
use crate::drift::Sight;
use crate::drift::Sum;
use crate::member;
use crate::object::GroupKind;
use crate::object::Live;
use crate::object::ObjectId;

use super::members::Members;
use super::pace::Pace;

/// How many members are kept whose application is not known yet?
const STRAYS: usize = 2_000;

/// Kinds, each with namespaces.
pub type Places = BTreeMap<GroupKind, BTreeSet<String>>;

/// The applications of one cluster, and their members as they were last seen.
#[derive(Debug, Default)]
pub struct Watchlist {
    sets: BTreeMap<String, Beat>,
    members: Members,
    /// Members of sets that are not known.
    strays: HashMap<ObjectId, Live>,
    /// The kinds that members have had, each with the namespaces that they were in.
    places: Places,
    /// Did places come to them that were not asked for yet?
    grew: bool,
    /// Of which kinds, in which namespace or in the cluster, all members were listed.
    listed: BTreeSet<(GroupKind, Option<String>)>,
}

/// One application in that cluster.
#[derive(Debug)]
struct Beat {
    application: Name,
    manager: String,
    parent: Parent,
    pace: Pace,
    /// What was seen while a pass was under way: it may have looked before.
    held: BTreeSet<Suspicion>,
    /// Was it made sure that no member went, and nobody took a field of one, before the patrol began?
    counted: bool,
}

/// Somebody else changed what an application had applied.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Suspicion {
    /// The set.
    pub set: String,
    /// The object.
    pub object: ObjectId,
    /// Is it gone? That may be the application's own doing: see [`Watchlist::stands`].
    pub gone: bool,
    /// Does the object say itself that its drift is looked at, whatever its application says?
    pub own: bool,
}

impl Watchlist {
    /// Takes in an application's parent as it is now, where this installation writes it. Returns what is suspected now
    /// that its pass has ended.
    pub fn parent(&mut self, live: &Live, installation: &str) -> Vec<Suspicion> {
        let parent = Parent::read(live);
        let set = parent.id();
        let Some(application) = applyset::application(&parent.name) else { return Vec::new() };
        if parent.fence.installation != installation {
            self.sets.remove(&set);
            return Vec::new();
        }
        self.grew |= learn(&mut self.places, &parent);
        let beat = self.sets.entry(set.clone()).or_insert_with(|| Beat {
            manager: member::manager(&application),
            application,
            parent: parent.clone(),
            pace: Pace::default(),
            held: BTreeSet::new(),
            counted: false,
        });
        if beat.parent.fence.commit != parent.fence.commit {
            beat.pace = Pace::default();
        }
        beat.parent = parent;
        // What it came to have may have been changed before that was watched.
        beat.counted &= is_listed(&self.listed, &beat.parent);
        let held = if beat.parent.fence.done { std::mem::take(&mut beat.held) } else { BTreeSet::new() };
        let mut suspicions: Vec<Suspicion> = held.into_iter().collect();
        let ours = self.strays.extract_if(|_, live| live.label(member::PART_OF) == Some(&set));
        let ours: Vec<Live> = ours.map(|(_, live)| live).collect();
        suspicions.extend(ours.into_iter().filter_map(|live| self.member(live)));
        suspicions.extend(self.count(&set));
        suspicions
    }

    /// Forgets an application whose parent is gone.
    pub fn parent_gone(&mut self, live: &Live) {
        self.sets.remove(&Parent::read(live).id());
    }

    /// Forgets the applications whose parents are not in a list of all of them.
    pub fn parents_listed(&mut self, listed: &Listed) {
        let names: BTreeSet<&str> = listed.objects.iter().map(|id| id.name.as_str()).collect();
        self.sets.retain(|_, beat| names.contains(beat.parent.name.as_str()));
    }

    /// Takes in a member as it is now. One whose parent was not seen yet is kept until it is.
    pub fn member(&mut self, live: Live) -> Option<Suspicion> {
        let set = live.label(member::PART_OF)?.to_owned();
        let Some(beat) = self.sets.get_mut(&set) else {
            if self.strays.len() < STRAYS {
                self.strays.insert(live.id.clone(), live);
            }
            return None;
        };
        let now = Sight::of(&live.value, &beat.manager);
        let own = now.asks_for_heal();
        let (meddled, own) = match self.members.find(&live.id) {
            Some(before) => (before.was_meddled_with(&now), own || before.asks_for_heal()),
            // What happened before the patrol began is told by the order of the writes, as well as it can be.
            None => (now.is_applied() && drift::latest_other(&live.value, &beat.manager).is_some(), own),
        };
        self.members.put(&live.id, &set, now);
        if meddled { beat.suspect(Suspicion { set, object: live.id, gone: false, own }) } else { None }
    }

    /// Takes in that a member is gone.
    pub fn member_gone(&mut self, id: &ObjectId) -> Option<Suspicion> {
        self.strays.remove(id);
        let (set, before) = self.members.remove(id)?;
        let beat = self.sets.get_mut(&set)?;
        if before.is_applied() {
            beat.suspect(Suspicion { set, object: id.clone(), gone: true, own: before.asks_for_heal() })
        } else {
            None
        }
    }

    /// Takes in that there are no other members of a kind in some place than those that were listed.
    pub fn members_listed(&mut self, listed: &Listed) -> Vec<Suspicion> {
        let missing = |id: &&ObjectId| {
            id.group == listed.kind.group
                && id.kind == listed.kind.kind
                && (listed.namespace.is_none() || id.namespace == listed.namespace)
                && !listed.objects.contains(*id)
        };
        let gone: Vec<ObjectId> = self.members.ids().filter(missing).cloned().collect();
        let mut suspicions: Vec<Suspicion> = gone.iter().filter_map(|id| self.member_gone(id)).collect();
        self.listed.insert((listed.kind.clone(), listed.namespace.clone()));
        let sets: Vec<String> = self.sets.keys().cloned().collect();
        suspicions.extend(sets.iter().filter_map(|set| self.count(set)));
        suspicions
    }

    /// Sums the members of a set up, once all of them were listed: fewer than its parent says, or others' fields in them,
    /// mean that somebody changed some while nobody watched.
    fn count(&mut self, set: &str) -> Option<Suspicion> {
        let beat = self.sets.get_mut(set).filter(|beat| !beat.counted && beat.parent.fence.done)?;
        if !is_listed(&self.listed, &beat.parent) {
            return None;
        }
        beat.counted = true;
        let changed = is_changed(&beat.parent, self.members.sum(set));
        changed.then(|| Suspicion {
            set: set.to_owned(),
            object: record(&beat.parent),
            gone: true,
            own: false,
        })
    }

    /// Returns whether a suspicion still stands a moment later. A pass that prunes leaves as many members as its parent
    /// says; only where there are fewer, somebody else deleted some. One that is under way is waited for.
    pub fn stands(&mut self, suspicion: &Suspicion) -> bool {
        let Some(beat) = self.sets.get_mut(&suspicion.set) else { return false };
        if !suspicion.gone {
            return true;
        }
        if !beat.parent.fence.done {
            beat.held.insert(suspicion.clone());
            return false;
        }
        let sum = self.members.sum(&suspicion.set);
        if suspicion.object == record(&beat.parent) {
            is_changed(&beat.parent, sum)
        } else {
            lacks(&beat.parent, sum)
        }
    }

    /// Returns the target and the source of a set, and for how long a pass about an object of it shall wait, so that a
    /// fight over it costs little.
    pub fn ask(&mut self, suspicion: &Suspicion, cluster: &Name, now_ms: u64) -> Option<(Target, Name, u64)> {
        let beat = self.sets.get_mut(&suspicion.set)?;
        let source = beat.parent.fence.source.clone()?;
        let wait = beat.pace.wait_ms(&suspicion.object, now_ms);
        let target = Target { application: beat.application.clone(), cluster: cluster.clone() };
        Some((target, source, wait))
    }

    /// Returns the applications that the settings, which have the `declared`, left behind in a cluster.
    pub fn left_behind(&self, cluster: &Name, declared: &BTreeSet<Target>) -> BTreeSet<Target> {
        // Others' parents are not on the list.
        let behind = |beat: &Beat| {
            applyset::left_behind(&beat.parent, &beat.parent.fence.installation, cluster, declared)
        };
        self.sets.values().filter_map(behind).collect()
    }

    /// Returns the kinds that members have had, each with the namespaces that they were in.
    pub fn places(&self) -> &Places {
        &self.places
    }

    /// Returns whether any of these came since this was asked last.
    pub fn grew(&mut self) -> bool {
        std::mem::take(&mut self.grew)
    }

    /// Forgets the places that only applications had which are gone.
    pub fn recollect(&mut self) {
        let mut places = Places::default();
        for beat in self.sets.values() {
            learn(&mut places, &beat.parent);
        }
        self.places = places;
    }
}

/// Returns whether all members of a parent were listed, wherever it has some.
fn is_listed(listed: &BTreeSet<(GroupKind, Option<String>)>, parent: &Parent) -> bool {
    parent.group_kinds.iter().all(|kind| {
        let within = |namespace: &String| listed.contains(&(kind.clone(), Some(namespace.clone())));
        listed.contains(&(kind.clone(), None)) || parent.namespaces.iter().all(within)
    })
}

/// Notes where a parent has members, and returns whether that was news: most have theirs where others have some.
fn learn(places: &mut Places, parent: &Parent) -> bool {
    let mut grew = false;
    for kind in &parent.group_kinds {
        if !places.contains_key(kind) {
            places.insert(kind.clone(), BTreeSet::new());
            grew = true;
        }
        let Some(known) = places.get_mut(kind) else { continue };
        for namespace in &parent.namespaces {
            if !known.contains(namespace) {
                grew = known.insert(namespace.clone());
            }
        }
    }
    grew
}

/// Returns whether a set has fewer members than its parent says.
fn lacks(parent: &Parent, sum: Sum) -> bool {
    sum.count < parent.fence.members
}

/// Returns whether the members of a set are others than its parent says, as far as that says what they own.
fn is_changed(parent: &Parent, sum: Sum) -> bool {
    lacks(parent, sum) || parent.fence.owned.is_some_and(|owned| owned != sum.marks)
}

/// Returns what a suspicion is about that is about no one member.
fn record(parent: &Parent) -> ObjectId {
    ObjectId {
        group: String::new(),
        kind: "ConfigMap".to_owned(),
        namespace: Some(parent.namespace.clone()),
        name: parent.name.clone(),
    }
}

impl Beat {
    fn suspect(&mut self, suspicion: Suspicion) -> Option<Suspicion> {
        if self.parent.fence.done {
            return Some(suspicion);
        }
        self.held.insert(suspicion);
        None
    }
}

#[cfg(test)]
mod tests;
