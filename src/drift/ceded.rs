//! What of a manifest is applied where some fields of the live object are left to others.
//!
//! Whoever leaves a field out that it owns alone has the server delete it, and whoever applies one takes it over. So a
//! field that is left to others is left out where somebody else owns it or nobody does, and applied with its live value
//! where nobody else owns it: both change nothing.
//!
//! What is left to a manager by name is what that manager owns, and neither we nor any other do.

use std::borrow::Cow;
use std::cmp::Reverse;

use serde_json::Map;
use serde_json::Value;

use super::declared::Absent;
use super::declared::Path;
use super::is_leaf;
use crate::annotation::Pointer;
use crate::annotation::SyncMode;
use crate::annotation::Wish;
use crate::member;

/// Returns what of `manifest` is applied by `manager` to the object `live`: all of it, but for the fields that `wish`
/// leaves to others.
#[must_use]
pub fn ceded<'a>(manifest: &'a Value, live: &Value, manager: &str, wish: &Wish) -> Cow<'a, Value> {
    if !wish.cedes() {
        return Cow::Borrowed(manifest);
    }
    let mut left = manifest.clone();
    // Without any field of ours, nothing is owned: not even as a whole.
    let ours = super::owned(live, manager).filter(|fields| !is_leaf(fields));
    let (mut others, mut named, mut unnamed) = (Vec::new(), Vec::new(), Vec::new());
    for (name, fields) in others_of(live, manager) {
        others.push(fields);
        let lists = if wish.managers.iter().any(|one| one == name) { &mut named } else { &mut unnamed };
        lists.push(fields);
    }
    if wish.sync == SyncMode::Merge {
        let holders: Vec<&Value> = ours.into_iter().collect();
        others.iter().for_each(|theirs| leave_theirs(&mut left, &holders, theirs, &[member::PART_OF]));
    }
    let holders: Vec<&Value> = ours.into_iter().chain(unnamed).collect();
    named.iter().for_each(|theirs| leave_theirs(&mut left, &holders, theirs, &[member::PART_OF]));
    let mut pointers: Vec<&Pointer> = wish.ignore.iter().collect();
    // The last item of a list first, since taking one out moves those after it.
    pointers
        .sort_by_key(|pointer| Reverse(pointer.steps().iter().map(|step| order(step)).collect::<Vec<_>>()));
    for pointer in pointers {
        let held = Held { live: Some(live), ours, others: others.clone() };
        held.leave(&mut left, pointer.steps());
    }
    Cow::Owned(left)
}

fn order(step: &str) -> (Option<usize>, &str) {
    (step.parse().ok(), step)
}

/// Returns the fields that all others own, each with its manager's name, without those who write only the status.
pub(super) fn others_of<'a>(live: &'a Value, manager: &str) -> impl Iterator<Item = (&'a str, &'a Value)> {
    let entries = live.pointer("/metadata/managedFields").and_then(Value::as_array);
    let ours = super::entry(live, manager);
    let entries = entries.into_iter().flatten().filter(move |entry| ours != Some(*entry));
    let entries = entries.filter(|entry| entry.get("subresource").and_then(Value::as_str) != Some("status"));
    entries.filter_map(|entry| {
        let name = entry.get("manager").and_then(Value::as_str).unwrap_or_default();
        Some((name, entry.get("fieldsV1")?))
    })
}

/// Takes out of a manifest what others own and no holder does. `kept` are the keys that stay.
fn leave_theirs(manifest: &mut Value, holders: &[&Value], theirs: &Value, kept: &[&str]) {
    let fields = theirs.as_object().into_iter().flatten().filter(|(key, _)| *key != ".");
    match manifest {
        Value::Object(map) => {
            for (key, theirs) in fields {
                let Some(name) = key.strip_prefix("f:").filter(|name| !kept.contains(name)) else { continue };
                let Some(value) = map.get_mut(name) else { continue };
                let holders = within(holders, key);
                let bare = is_empty(value);
                if !is_leaf(theirs) {
                    leave_theirs(value, &holders, theirs, &[member::PART_OF]);
                }
                if (is_leaf(theirs) && holders.is_empty()) || (is_empty(value) && !bare) {
                    map.remove(name);
                }
            }
        }
        Value::Array(items) => {
            for (key, theirs) in fields {
                let Some(Path::Keys(keys)) = Path::read(key) else { continue };
                let holders = within(holders, key);
                let names: Vec<String> = keys.keys().cloned().collect();
                let path = Path::Keys(keys);
                if let Some(item) = items.iter_mut().find(|item| path.fits(item, Absent::Fits)) {
                    leave_theirs(
                        item,
                        &holders,
                        theirs,
                        &names.iter().map(String::as_str).collect::<Vec<_>>(),
                    );
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Returns what of these fields is within the one of this key.
fn within<'a>(fields: &[&'a Value], key: &str) -> Vec<&'a Value> {
    fields.iter().filter_map(|fields| fields.get(key)).collect()
}

fn is_empty(value: &Value) -> bool {
    value.as_object().is_some_and(Map::is_empty)
}

/// What the cluster holds at some place of an object, and who owns what of it.
#[derive(Clone)]
struct Held<'a> {
    live: Option<&'a Value>,
    ours: Option<&'a Value>,
    others: Vec<&'a Value>,
}

impl<'a> Held<'a> {
    /// Leaves the field at the end of some steps to others.
    fn leave(&self, manifest: &mut Value, steps: &[String]) {
        let Some((step, rest)) = steps.split_first() else { return };
        match manifest {
            Value::Object(map) => self.leave_field(map, step, rest),
            Value::Array(items) => self.leave_item(items, step, rest),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    fn leave_field(&self, map: &mut Map<String, Value>, step: &str, rest: &[String]) {
        let within = self.field(step);
        if rest.is_empty() {
            match within.stays() {
                Some(value) => drop(map.insert(step.to_owned(), value)),
                None => drop(map.remove(step)),
            }
            return;
        }
        // Also what the manifest no longer sets stays, where we own it.
        let bare = map.get(step).is_some_and(is_empty);
        if within.live.is_some_and(Value::is_object) && within.ours.is_some() {
            map.entry(step).or_insert_with(|| Value::Object(Map::new()));
        }
        let Some(value) = map.get_mut(step) else { return };
        within.leave(value, rest);
        if is_empty(value) && !bare {
            map.remove(step);
        }
    }

    fn leave_item(&self, items: &mut Vec<Value>, step: &str, rest: &[String]) {
        let Ok(at) = step.parse::<usize>() else { return };
        let Some(item) = items.get_mut(at) else { return };
        let within = self.item(at, item);
        if !rest.is_empty() {
            return within.leave(item, rest);
        }
        match within.stays() {
            Some(value) => *item = value,
            None => drop(items.remove(at)),
        }
    }

    fn field(&self, name: &str) -> Self {
        let key = format!("f:{name}");
        Self {
            live: self.live.and_then(|live| live.get(name)),
            // What is owned as a whole is owned in each part.
            ours: self.ours.and_then(|ours| if is_leaf(ours) { Some(ours) } else { ours.get(&key) }),
            others: self.others.iter().filter_map(|theirs| theirs.get(&key)).collect(),
        }
    }

    /// Returns what is held of an item of a list: the one with the same keys, or the one at the same place where the
    /// list is owned as a whole.
    fn item(&self, at: usize, item: &Value) -> Self {
        let of = |fields: &&'a Value| {
            let named = fields.as_object()?.iter();
            named
                .filter_map(|(key, fields)| Some((Path::read(key)?, fields)))
                .find(|(path, _)| path.fits(item, Absent::Fits))
        };
        let ours = self.ours.as_ref().and_then(of);
        let others: Vec<_> = self.others.iter().filter_map(of).collect();
        let live = self.live.and_then(Value::as_array);
        let known = ours.as_ref().or_else(|| others.first());
        let live = live.and_then(|live| match known {
            Some((path, _)) => live.iter().find(|held| path.fits(held, Absent::Differs)),
            None if self.ours.is_some_and(is_leaf) => live.get(at),
            None => None,
        });
        let whole = self.ours.filter(|ours| is_leaf(ours));
        Self {
            live,
            ours: ours.map(|(_, fields)| fields).or(whole),
            others: others.into_iter().map(|(_, fields)| fields).collect(),
        }
    }

    /// Returns what is applied in the place of a field that is left to others: nothing, or what it is, where nobody else
    /// owns it.
    fn stays(&self) -> Option<Value> {
        let (live, ours) = (self.live?, self.ours?);
        if is_leaf(ours) {
            return self.others.is_empty().then(|| live.clone());
        }
        owned_part(live, ours)
    }
}

/// Returns the part of a live value that these fields name.
fn owned_part(live: &Value, fields: &Value) -> Option<Value> {
    if is_leaf(fields) {
        return Some(live.clone());
    }
    let fields = fields.as_object()?.iter().filter(|(key, _)| *key != ".");
    match live {
        Value::Object(map) => {
            let named = fields.filter_map(|(key, fields)| Some((key.strip_prefix("f:")?, fields)));
            let parts = named
                .filter_map(|(name, fields)| Some((name.to_owned(), owned_part(map.get(name)?, fields)?)));
            Some(Value::Object(parts.collect()))
        }
        Value::Array(items) => {
            let paths: Vec<_> = fields.filter_map(|(key, fields)| Some((Path::read(key)?, fields))).collect();
            let parts = items.iter().filter_map(|item| {
                let (path, fields) = paths.iter().find(|(path, _)| path.fits(item, Absent::Differs))?;
                let mut part = owned_part(item, fields)?;
                if let (Path::Keys(keys), Some(part)) = (path, part.as_object_mut()) {
                    part.extend(keys.clone());
                }
                Some(part)
            });
            Some(Value::Array(parts.collect()))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Some(live.clone()),
    }
}

#[cfg(test)]
mod tests;
