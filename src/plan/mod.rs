//! What a pass means to do: which objects it writes, in which order, and which ones left the commit.

mod force;
mod hook;
mod removal;

use std::collections::BTreeMap;

use serde_json::Value;
use serde_json::json;

use crate::annotation;
use crate::annotation::Prune;
use crate::annotation::Stage;
use crate::annotation::SyncMode;
use crate::annotation::Turn;
use crate::annotation::Wish;
use crate::member;
use crate::member::Owner;
use crate::object::GroupKind;
use crate::object::Live;
use crate::object::Manifest;
use crate::object::ObjectId;
use crate::outcome::Problem;

pub use force::Force;
pub use force::force;
pub use hook::Due;
pub use hook::due;
pub use hook::mark;
pub use hook::mark_failed;
pub use removal::How;
pub use removal::Removal;
pub use removal::holds;
pub use removal::removal;

/// An object to be held against the cluster, and written where it differs.
#[derive(Clone, Debug, PartialEq)]
pub struct Write {
    /// What the commit declares, with the membership label.
    pub manifest: Manifest,
    /// What the cluster holds, where it holds it.
    pub live: Option<Live>,
    /// What the manifest's annotations ask.
    pub wish: Wish,
}

/// An object of the commit that is left as it is, whatever its manifest says.
#[derive(Clone, Debug, PartialEq)]
pub struct Left {
    /// What it is called.
    pub id: ObjectId,
    /// It as it is, where it is there.
    pub live: Option<Live>,
    /// Why, for people; `None` where nobody need hear of it.
    pub why: Option<String>,
}

/// What a pass means to do.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// Every object of the commit that is written where it differs.
    pub writes: Vec<Write>,
    /// Those that are made anew in each rollout.
    pub hooks: Vec<Write>,
    /// Those that are not there to be written.
    pub left: Vec<Left>,
    /// The members that were created once, and are left as they are from then on.
    pub created: Vec<Live>,
    /// The members that the commit no longer declares and that stay, each with the reason.
    pub kept: Vec<(Live, String)>,
    /// The members that the commit no longer declares and that may be pruned when the guard agrees.
    pub leaving: Vec<Live>,
}

/// Plans for the set `set` of the manager `manager`: holds `manifests` against the live `members`. Objects that are no
/// members are not known here: the dry-run of a write tells whether there is one.
///
/// A member that windlass never applied (controllers copy labels, so an
/// EndpointSlice carries its Service's) is neither written nor pruned.
#[must_use]
pub fn plan(set: &str, manager: &str, manifests: Vec<Manifest>, members: Vec<Live>) -> Plan {
    let mut plan = Plan::default();
    let mut members: BTreeMap<ObjectId, Live> =
        members.into_iter().map(|live| (live.id.clone(), live)).collect();
    for mut manifest in manifests {
        let live = members.remove(&manifest.id);
        let (wish, member) =
            (Wish::of(&manifest.value), live.as_ref().is_some_and(|live| is_ours(live, manager)));
        if let Some(why) = unwritten(&wish, live.as_ref()) {
            plan.left.push(Left { id: manifest.id, live, why: Some(why) });
            continue;
        }
        // In another version of its kind an object looks otherwise, so it is read once more.
        let live = live.filter(|live| live.api_version == manifest.api_version);
        match live {
            Some(live) if member && stays_as_created(&wish, &live) => plan.created.push(live),
            live => {
                label(&mut manifest.value, set);
                let into = if wish.is_made_anew() { &mut plan.hooks } else { &mut plan.writes };
                into.push(Write { manifest, live, wish });
            }
        }
    }
    for live in members.into_values().filter(|live| is_ours(live, manager)) {
        match stays(&live) {
            Some(why) => plan.kept.push((live, why.to_owned())),
            None => plan.leaving.push(live),
        }
    }
    plan
}

/// Returns why an object is not written, where it is not: its manifest says so, or the live object does.
#[must_use]
pub fn unwritten(wish: &Wish, live: Option<&Live>) -> Option<String> {
    if wish.sync == SyncMode::Disabled {
        return Some("left as it is: its manifest's annotation disables its sync".to_owned());
    }
    let braked = live.is_some_and(|live| annotation::is_braked(&live.value));
    braked.then(|| "left as it is: the live object's annotation disables its reconciliation".to_owned())
}

/// Returns whether an object is only to be created, and there already. One that is being deleted will not be there.
#[must_use]
pub fn stays_as_created(wish: &Wish, live: &Live) -> bool {
    wish.sync == SyncMode::CreateOnly && !live.is_terminating()
}

/// Returns why a member that left the commit stays, where its own annotations say so: they are all that is left of its
/// manifest.
fn stays(live: &Live) -> Option<&'static str> {
    let wish = Wish::of(&live.value);
    match (wish.prune, wish.sync) {
        (Prune::Disabled, _) => Some("its annotation says that it is not pruned"),
        (_, SyncMode::Disabled) => Some("its annotation disables its sync"),
        _ => None,
    }
}

/// Returns the problem that the object of a manifest of the set `set` belongs to another set, where it does. What `manager`
/// applied has come over from there, and only its label not yet.
#[must_use]
pub fn foreign(live: &Live, manifest: &Manifest, set: &str, manager: &str) -> Option<Problem> {
    let Owner::Other(name) = member::owner(live, set) else { return None };
    if is_ours(live, manager) {
        return None;
    }
    Some(Problem {
        object: Some(manifest.id.clone()),
        place: Some(manifest.place.clone()),
        message: format!("it belongs to {name}; remove it there first, or here"),
    })
}

/// Returns whether an object that is about to be applied is taken over from whoever applied it before: it is no member of
/// `set` yet, holds no data, and its manifest does not leave to others what they own.
#[must_use]
pub fn takes_over(write: &Write, live: &Live, set: &str) -> bool {
    // Of what holds data a field that goes may be one that cannot be changed, or take more with it.
    let is_plain = !live.id.group_kind().holds_data() && live.id.kind != "StatefulSet";
    is_plain && write.wish.sync != SyncMode::Merge && live.label(member::PART_OF) != Some(set)
}

/// Returns whether `manager` applied an object: what only carries the label of its set is no member.
#[must_use]
pub fn is_ours(live: &Live, manager: &str) -> bool {
    live.managers().any(|(name, operation)| name == manager && operation == "Apply")
}

/// Writes the label of a set into what a commit declares.
pub fn label(value: &mut Value, set: &str) {
    let labels = value.get_mut("metadata").and_then(Value::as_object_mut).map(|metadata| {
        let labels = metadata.entry("labels").or_insert_with(|| json!({}));
        if labels.is_null() {
            *labels = json!({});
        }
        labels
    });
    if let Some(labels) = labels.and_then(Value::as_object_mut) {
        labels.insert(member::PART_OF.to_owned(), json!(set));
    }
}

/// Returns when in a pass an object of a kind is written: lower ranks first, equal ranks together, and pruning the
/// other way round. What others need to exist comes early; what could refuse the others comes last.
#[must_use]
pub fn rank(kind: &GroupKind) -> u8 {
    match (kind.group.as_str(), kind.kind.as_str()) {
        ("apiextensions.k8s.io", "CustomResourceDefinition") | ("", "Namespace") => FIRST,
        ("scheduling.k8s.io", "PriorityClass")
        | ("storage.k8s.io", "StorageClass" | "CSIDriver")
        | ("node.k8s.io", "RuntimeClass")
        | ("networking.k8s.io", "IngressClass")
        | ("gateway.networking.k8s.io", "GatewayClass") => 1,
        ("", "ResourceQuota" | "LimitRange" | "ServiceAccount" | "PersistentVolume")
        | ("rbac.authorization.k8s.io", "ClusterRole" | "Role") => 2,
        ("rbac.authorization.k8s.io", _) => 3,
        ("", "ConfigMap" | "Secret" | "PersistentVolumeClaim") | ("networking.k8s.io", "NetworkPolicy") => 4,
        ("", "Service" | "Endpoints") => 5,
        ("autoscaling" | "policy" | "networking.k8s.io", _) => 8,
        ("", _) | ("apps" | "batch", _) => 6,
        ("admissionregistration.k8s.io" | "apiregistration.k8s.io", _) => 9,
        _ => 7,
    }
}

/// The rank of what other objects of the same commit may live in or be instances of.
pub const FIRST: u8 = 0;

/// Returns the objects to prune as stages, the last written first.
#[must_use]
pub fn stages_in_reverse(prune: Vec<Live>) -> Vec<Vec<Live>> {
    let mut turns: BTreeMap<(Turn, u8), Vec<Live>> = BTreeMap::new();
    for live in prune {
        turns.entry(turn(&live)).or_default().push(live);
    }
    turns.into_values().rev().collect()
}

/// Returns when a member was written that is pruned. What others may live in or be instances of came first, whatever its
/// wave.
fn turn(live: &Live) -> (Turn, u8) {
    match rank(&live.id.group_kind()) {
        FIRST => (Turn { stage: Stage::Before, wave: i32::MIN }, FIRST),
        rank => (Wish::of(&live.value).turn(), rank),
    }
}

#[cfg(test)]
mod tests;
