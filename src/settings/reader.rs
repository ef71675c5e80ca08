//! Reads values from layers of tables and collects everything that is wrong, instead of stopping at the first.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fmt;
use std::ops::RangeInclusive;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use toml::Table;
use toml::Value;

use crate::settings::units;

/// Something that is wrong with the settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The key, such as `applications[2].ref`; the first item of a list is 0.
    pub key: String,
    /// Where its value stands: a file, an environment variable, or `defaults`.
    pub place: String,
    /// What is wrong, and what is allowed. Never a secret.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, place, message } = self;
        if key.is_empty() {
            write!(out, "{place}: {message}")
        } else {
            write!(out, "{place}: {key}: {message}")
        }
    }
}

/// The process environment, or what a test says it is.
pub type Environment = BTreeMap<String, String>;

/// One of the tables that a section is made of; earlier ones win.
#[derive(Clone)]
pub struct Layer<'a> {
    /// The values.
    pub values: BTreeMap<&'a str, Value>,
    /// Where they stand; for the environment, the part of the variables' names before the key.
    pub place: String,
    /// The folder at which relative paths start.
    pub base: &'a Path,
    /// Is everything text here, as in the environment?
    pub text_only: bool,
}

impl Layer<'_> {
    fn place_of(&self, name: &str) -> String {
        if self.text_only { format!("{}{}", self.place, name.to_uppercase()) } else { self.place.clone() }
    }
}

/// One section, or one item of a list.
pub struct Section<'a> {
    /// Its key, such as `door` or `forges[0]`.
    pub key: String,
    layers: Vec<Layer<'a>>,
    asked: BTreeSet<&'static str>,
    /// What is wrong so far, shared by all sections.
    pub problems: &'a mut Vec<Problem>,
}

struct Found {
    value: Value,
    base: PathBuf,
    text_only: bool,
}

impl<'a> Section<'a> {
    /// Takes the layers of a section, the winning one first.
    pub fn new(key: String, layers: Vec<Layer<'a>>, problems: &'a mut Vec<Problem>) -> Self {
        Self { key, layers, asked: BTreeSet::new(), problems }
    }

    /// Notes that a value is wrong.
    pub fn wrong(&mut self, name: &str, message: impl Into<String>) {
        let place = self.layer_of(name).map(|layer| layer.place_of(name));
        let place =
            place.or_else(|| self.layers.first().map(|layer| layer.place.clone())).unwrap_or_default();
        let key = if name.is_empty() { self.key.clone() } else { format!("{}.{name}", self.key) };
        self.problems.push(Problem { key, place, message: message.into() });
    }

    fn layer_of(&self, name: &str) -> Option<&Layer<'a>> {
        let name = name.split(['[', '.']).next().unwrap_or(name);
        self.layers.iter().find(|layer| layer.values.contains_key(name))
    }

    fn find(&mut self, name: &'static str) -> Option<Found> {
        self.asked.insert(name);
        let layer = self.layer_of(name)?;
        let value = layer.values.get(name)?.clone();
        Some(Found { value, base: layer.base.to_path_buf(), text_only: layer.text_only })
    }

    /// Returns whether somebody gave this value.
    pub fn has(&self, name: &str) -> bool {
        self.layer_of(name).is_some()
    }

    /// Leaves a value unread that this process has no use for.
    pub fn skip(&mut self, name: &'static str) {
        self.asked.insert(name);
    }

    /// Returns whether a value stands in the environment itself, where secrets may.
    pub fn is_environment(&self, name: &str) -> bool {
        self.layer_of(name).is_some_and(|layer| layer.text_only)
    }

    /// Returns a text as it was given.
    pub fn text(&mut self, name: &'static str) -> Option<String> {
        let value = self.find(name)?.value;
        if let Value::String(text) = value {
            return Some(text);
        }
        self.wrong(name, format!("must be a text in quotes, not {}", kind(&value)));
        None
    }

    /// Returns a text that must be there.
    pub fn required(&mut self, name: &'static str, what: &str) -> Option<String> {
        if !self.has(name) {
            self.asked.insert(name);
            self.wrong(name, format!("is missing: give {what}"));
            return None;
        }
        self.text(name)
    }

    /// Returns a text that a rule accepts; the rule's error says what is allowed.
    pub fn parsed<T, E: fmt::Display>(
        &mut self,
        name: &'static str,
        rule: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let text = self.text(name)?;
        rule(&text).map_err(|error| self.wrong(name, error.to_string())).ok()
    }

    /// Returns `true` or `false`.
    pub fn flag(&mut self, name: &'static str) -> Option<bool> {
        let found = self.find(name)?;
        let flag = match (&found.value, found.text_only) {
            (Value::Boolean(flag), _) => Some(*flag),
            (Value::String(text), true) => text.parse().ok(),
            _ => None,
        };
        if flag.is_none() {
            self.wrong(name, "must be true or false");
        }
        flag
    }

    /// Returns a whole number within bounds.
    pub fn whole(&mut self, name: &'static str, allowed: RangeInclusive<u64>) -> Option<u64> {
        let found = self.find(name)?;
        let number = match (&found.value, found.text_only) {
            (Value::Integer(number), _) => u64::try_from(*number).ok(),
            (Value::String(text), true) => text.parse().ok(),
            _ => None,
        };
        let fine = number.filter(|number| allowed.contains(number));
        if fine.is_none() {
            self.wrong(name, format!("must be a whole number from {} to {}", allowed.start(), allowed.end()));
        }
        fine
    }

    /// Returns a time within bounds.
    pub fn duration(&mut self, name: &'static str, allowed: &RangeInclusive<Duration>) -> Option<Duration> {
        let text = self.text(name)?;
        let fine = units::duration(&text).filter(|time| allowed.contains(time));
        if fine.is_none() {
            let (least, most) =
                (units::duration_text(*allowed.start()), units::duration_text(*allowed.end()));
            self.wrong(
                name,
                format!("must be a time such as \"90s\" or \"5m\", from \"{least}\" to \"{most}\""),
            );
        }
        fine
    }

    /// Returns a size in bytes within bounds.
    pub fn size(&mut self, name: &'static str, allowed: &RangeInclusive<u64>) -> Option<u64> {
        let text = self.text(name)?;
        let fine = units::size(&text).filter(|bytes| allowed.contains(bytes));
        if fine.is_none() {
            let (least, most) = (units::size_text(*allowed.start()), units::size_text(*allowed.end()));
            self.wrong(name, format!("must be a size such as \"5MiB\", from \"{least}\" to \"{most}\""));
        }
        fine
    }

    /// Returns a path, counted from the folder of the file that gives it.
    pub fn path(&mut self, name: &'static str) -> Option<PathBuf> {
        let base = self.find(name)?.base;
        let text = self.text(name)?;
        if text.is_empty() {
            self.wrong(name, "must be a path");
            return None;
        }
        Some(base.join(text))
    }

    /// Returns a list.
    pub fn list(&mut self, name: &'static str) -> Option<Vec<Value>> {
        let value = self.find(name)?.value;
        if let Value::Array(items) = value {
            return Some(items);
        }
        self.wrong(name, format!("must be a list in brackets, not {}", kind(&value)));
        None
    }

    /// Returns a list of texts that a rule accepts; in the environment, where there are no lists, they stand between
    /// commas. What is wrong is noted and left out.
    pub fn each<T, E: fmt::Display>(
        &mut self,
        name: &'static str,
        rule: impl Fn(&str) -> Result<T, E>,
    ) -> Option<Vec<T>> {
        let found = self.find(name)?;
        let items = match (found.value, found.text_only) {
            (Value::String(text), true) => {
                let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
                parts.map(|part| Value::String(part.to_owned())).collect()
            }
            _ => self.list(name)?,
        };
        let mut good = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let read = item.as_str().ok_or_else(|| format!("must be a text in quotes, not {}", kind(item)));
            match read.and_then(|text| rule(text).map_err(|error| error.to_string())) {
                Ok(one) => good.push(one),
                Err(message) => self.wrong(&format!("{name}[{index}]"), message),
            }
        }
        Some(good)
    }

    /// Returns any value, and the folder at which its paths start.
    pub fn any(&mut self, name: &'static str) -> Option<(Value, PathBuf)> {
        self.find(name).map(|found| (found.value, found.base))
    }

    /// Ends the section: whatever nobody asked for is unknown.
    pub fn finish(self) {
        for layer in &self.layers {
            for name in layer.values.keys().filter(|name| !self.asked.contains(*name)) {
                let known: Vec<&str> = self.asked.iter().copied().collect();
                self.problems.push(Problem {
                    key: format!("{}.{name}", self.key),
                    place: layer.place_of(name),
                    message: format!("is no setting; known here: {}", known.join(", ")),
                });
            }
        }
    }
}

/// Returns what a value is, in words.
pub fn kind(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "a text",
        Value::Integer(_) | Value::Float(_) => "a number",
        Value::Boolean(_) => "true or false",
        Value::Datetime(_) => "a date",
        Value::Array(_) => "a list",
        Value::Table(_) => "a table",
    }
}

/// Returns the values of a table by name.
pub fn values(table: &Table) -> BTreeMap<&str, Value> {
    table.iter().map(|(name, value)| (name.as_str(), value.clone())).collect()
}
