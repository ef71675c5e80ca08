//! What applying a manifest would do to a live object, as far as that can be said without asking the server.
//!
//! What [`is_as_declared`] knows to be unchanged stays so. Of the rest, a difference counts as certain where the server can
//! hardly mean the same by both: another text, another number, a field that is gone, an item that nobody declares any more,
//! or a field that is as declared and not owned yet. What may be one value in two notations (`1` and `1000m`), what is
//! empty, and lists of which nobody tells how their items are named are for a dry-run.

use serde_json::Map;
use serde_json::Value;

use super::NAMED_FIELDS;
use super::OWNERSHIP;
use super::declared::Absent;
use super::declared::METADATA_NAMES;
use super::declared::NAMES;
use super::declared::Path;
use super::field::within;
use super::is_as_declared;
use super::is_leaf;

/// A field in which a manifest and a live object differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The field, by name. The number of an item counts those of the manifest's list.
    pub field: String,
    /// What the cluster holds; `None` where it holds nothing.
    pub live: Option<Value>,
    /// What the manifest sets; `None` where it sets nothing any more.
    pub declared: Option<Value>,
}

/// What applying a manifest would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Foretold {
    /// Nothing, for certain.
    Unchanged,
    /// It would change at least these fields, at most [`NAMED_FIELDS`] of them.
    Changed(Vec<Difference>),
    /// Only the server's dry-run tells; these fields look otherwise.
    Undecided(Vec<Difference>),
}

/// Foretells what applying `manifest` as `manager` would do to `live`; without a manager it is not known what was applied,
/// and only values are compared.
#[must_use]
pub fn foretell(live: &Value, manifest: &Value, manager: Option<&str>) -> Foretold {
    if manager.is_some_and(|manager| is_as_declared(live, manifest, manager, false)) {
        return Foretold::Unchanged;
    }
    // In another version of its kind an object looks otherwise.
    if live.get("apiVersion") != manifest.get("apiVersion") {
        return Foretold::Undecided(Vec::new());
    }
    let mut found = Found::default();
    if let (Value::Object(declared), Value::Object(held)) = (manifest, live) {
        let is_secret = declared.get("kind").and_then(Value::as_str) == Some("Secret");
        // The server keeps the one in another field.
        let passed =
            |key: &str| NAMES.contains(&key) || key == "metadata" || (is_secret && key == "stringData");
        let owned = owned(live, manager);
        found.fields((declared, held), owned, "", &passed);
        let nothing = Map::new();
        let of = |object: &'_ Map<String, Value>| object.get("metadata").and_then(Value::as_object).cloned();
        let (declared, held) = (of(declared).unwrap_or_else(|| nothing.clone()), of(held).unwrap_or(nothing));
        found.fields((&declared, &held), owned.field("metadata"), "metadata", &|key| {
            METADATA_NAMES.contains(&key)
        });
    }
    found.verdict()
}

/// What of some value was applied.
#[derive(Clone, Copy)]
enum Owned<'a> {
    /// Nobody can tell.
    Unknown,
    Nothing,
    /// All of it, as one.
    Whole,
    /// What these fields name.
    Part(&'a Value),
}

fn owned<'a>(live: &'a Value, manager: Option<&str>) -> Owned<'a> {
    let entry = manager.and_then(|manager| super::entry(live, manager));
    match entry {
        Some(entry) if entry.get("apiVersion") == live.get("apiVersion") => {
            entry.get("fieldsV1").map_or(Owned::Unknown, Owned::of)
        }
        Some(_) => Owned::Unknown,
        None if manager.is_some() && live.pointer("/metadata/managedFields").is_some() => Owned::Nothing,
        None => Owned::Unknown,
    }
}

impl<'a> Owned<'a> {
    fn of(fields: &'a Value) -> Self {
        if is_leaf(fields) { Self::Whole } else { Self::Part(fields) }
    }

    fn field(self, name: &str) -> Self {
        match self {
            Self::Part(fields) => fields.get(format!("f:{name}")).map_or(Self::Nothing, Self::of),
            Self::Unknown | Self::Nothing | Self::Whole => self,
        }
    }
}

#[derive(Default)]
struct Found {
    changed: Vec<Difference>,
    undecided: Vec<Difference>,
    /// Is something as declared that was not applied yet?
    gained: bool,
    /// Is it unknown which item of a list is held against which?
    guessed: bool,
}

impl Found {
    fn verdict(mut self) -> Foretold {
        if self.changed.is_empty() && self.gained {
            self.note(OWNERSHIP, (None, None), true);
        }
        if self.changed.is_empty() {
            Foretold::Undecided(self.undecided)
        } else {
            Foretold::Changed(self.changed)
        }
    }

    fn note(&mut self, field: &str, (live, declared): (Option<&Value>, Option<&Value>), certain: bool) {
        let certain = certain && !self.guessed && !is_twin(field);
        let into = if certain { &mut self.changed } else { &mut self.undecided };
        if into.len() < NAMED_FIELDS {
            into.push(Difference {
                field: field.to_owned(),
                live: live.cloned(),
                declared: declared.cloned(),
            });
        }
    }

    /// Compares maps; `passed` says which keys do not count.
    fn fields(
        &mut self,
        (declared, held): (&Map<String, Value>, &Map<String, Value>),
        owned: Owned<'_>,
        path: &str,
        passed: &dyn Fn(&str) -> bool,
    ) {
        for (key, value) in declared.iter().filter(|(key, _)| !passed(key)) {
            let path = within(path, key);
            match held.get(key) {
                Some(live) => self.value(value, live, owned.field(key), &path),
                None => self.note(&path, (None, Some(value)), !is_void(value)),
            }
        }
        match owned {
            Owned::Part(fields) => {
                let names =
                    fields.as_object().into_iter().flatten().filter_map(|(key, _)| key.strip_prefix("f:"));
                for name in names.filter(|name| !declared.contains_key(*name) && !passed(name)) {
                    self.note(&within(path, name), (held.get(name), None), true);
                }
            }
            // It may be a default, and is then no difference.
            Owned::Whole => {
                for (key, live) in held.iter().filter(|(key, _)| !declared.contains_key(*key)) {
                    self.note(&within(path, key), (Some(live), None), false);
                }
            }
            Owned::Unknown | Owned::Nothing => {}
        }
    }

    fn value(&mut self, declared: &Value, live: &Value, owned: Owned<'_>, path: &str) {
        match (declared, live) {
            (Value::Object(some), Value::Object(others)) if !some.is_empty() => {
                self.fields((some, others), owned, path, &|_| false);
            }
            (Value::Array(some), Value::Array(others)) if !some.is_empty() => {
                self.items(some, others, owned, path)
            }
            _ if declared == live => self.gained |= matches!(owned, Owned::Nothing) && !is_void(declared),
            _ => self.note(path, (Some(live), Some(declared)), is_other(declared, live)),
        }
    }

    fn items(&mut self, declared: &[Value], live: &[Value], owned: Owned<'_>, path: &str) {
        match owned {
            Owned::Part(fields) => return self.named(declared, live, fields, path),
            Owned::Whole if declared.len() != live.len() => {
                let (live, declared) = (Value::from(live), Value::from(declared));
                return self.note(path, (Some(&live), Some(&declared)), true);
            }
            Owned::Nothing if declared == live => {
                self.gained = true;
                return;
            }
            Owned::Unknown | Owned::Nothing if declared.len() != live.len() => {
                let (live, declared) = (Value::from(live), Value::from(declared));
                return self.note(path, (Some(&live), Some(&declared)), false);
            }
            Owned::Whole | Owned::Unknown | Owned::Nothing => {}
        }
        let guessed = self.guessed;
        self.guessed |= !matches!(owned, Owned::Whole);
        for (at, (one, other)) in declared.iter().zip(live).enumerate() {
            let owned = if matches!(owned, Owned::Whole) { Owned::Whole } else { Owned::Unknown };
            self.value(one, other, owned, &format!("{path}[{at}]"));
        }
        self.guessed = guessed;
    }

    /// Compares lists whose items are owned one by one.
    fn named(&mut self, declared: &[Value], live: &[Value], fields: &Value, path: &str) {
        let paths = fields
            .as_object()
            .into_iter()
            .flatten()
            .filter_map(|(key, fields)| Some((Path::read(key)?, fields)));
        let mut owned: Vec<(Path, &Value)> = paths.collect();
        let keys: Vec<String> = owned.iter().find_map(|(one, _)| one.keys()).unwrap_or_default();
        let mut places = Vec::new();
        for (at, item) in declared.iter().enumerate() {
            let path = format!("{path}[{at}]");
            let Some(place) = owned.iter().position(|(one, _)| one.fits(item, Absent::Fits)) else {
                self.not_ours(item, live, &keys, &path);
                continue;
            };
            let (one, fields) = owned.swap_remove(place);
            let Some(held) = live.iter().position(|held| one.fits(held, Absent::Differs)) else {
                self.note(&path, (None, Some(item)), true);
                continue;
            };
            places.push(held);
            if let (Path::Keys(_), Some(held)) = (one, live.get(held)) {
                self.value(item, held, Owned::of(fields), &path);
            }
        }
        for (one, _) in owned {
            let held = live.iter().find(|held| one.fits(held, Absent::Differs));
            self.note(path, (held, None), true);
        }
        if !places.is_sorted() {
            let (live, declared) = (Value::from(live), Value::from(declared));
            self.note(path, (Some(&live), Some(&declared)), false);
        }
    }
}

impl Found {
    /// Compares an item that was not applied with the one of a list that has the same values of the keys by which its
    /// items are told from each other; of a set, there are none.
    fn not_ours(&mut self, item: &Value, live: &[Value], keys: &[String], path: &str) {
        // A key that the manifest leaves out is one that the server fills in.
        let named = keys.iter().all(|key| item.get(key).is_some());
        let held = live.iter().find(|held| match keys {
            [] => *held == item,
            keys => keys.iter().all(|key| held.get(key) == item.get(key)),
        });
        match held {
            Some(held) if named => self.value(item, held, Owned::Nothing, path),
            Some(held) => self.note(path, (Some(held), Some(item)), false),
            None => self.note(path, (None, Some(item)), named),
        }
    }
}

/// Fields of Kubernetes's own kinds that the server keeps the same as another one, which may be the one that counts.
const TWINS: [&str; 5] = ["serviceAccount", "clusterIP", "clusterIPs", "dataSource", "dataSourceRef"];

fn is_twin(field: &str) -> bool {
    TWINS.iter().any(|twin| field.rsplit(['.', '[']).any(|part| part == *twin))
}

/// Returns whether a value is one that a server may leave out.
fn is_void(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.iter().all(is_void),
        Value::Object(map) => map.values().all(is_void),
    }
}

/// Returns whether two values that differ cannot be the same in another notation, such as a quantity or a time, and the
/// server cannot have filled in the one for the other, as it does for an empty group or a time-out of 0.
fn is_other(declared: &Value, live: &Value) -> bool {
    match (declared, live) {
        (Value::Bool(_), Value::Bool(_)) => true,
        (Value::Number(_) | Value::String(_), _) if is_void(declared) => false,
        (Value::Number(one), Value::Number(other)) => one.as_f64() != other.as_f64(),
        (Value::String(one), Value::String(other)) => {
            let counts =
                |text: &str| text.trim_start().starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c));
            let bare = |text: &str| text.split_whitespace().collect::<String>().to_lowercase();
            !(counts(one) && counts(other)) && bare(one) != bare(other)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests;
