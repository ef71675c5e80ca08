//! The layers as a whole: the embedded defaults, a file, the environment.

use std::collections::BTreeMap;
use std::path::Path;

use toml::Table;
use toml::Value;

use crate::settings::reader;
use crate::settings::reader::Environment;
use crate::settings::reader::Layer;
use crate::settings::reader::Problem;
use crate::settings::reader::Section;

/// How do the environment variables of windlass start?
const PREFIX: &str = "WINDLASS__";

/// The lists, which are given in a file only.
const LISTS: [&str; 7] =
    ["forges", "sources", "clusters", "health_rules", "applications", "ignore_rules", "windows"];

/// All layers, by section.
pub struct Layers<'a> {
    defaults: Table,
    file: Table,
    place: String,
    base: &'a Path,
    /// By section and key; both in lowercase.
    environment: BTreeMap<String, BTreeMap<String, String>>,
}

impl<'a> Layers<'a> {
    /// Puts the layers on each other and notes sections that nobody knows.
    pub fn new(
        file: Option<(&'a Path, Table)>,
        environment: &Environment,
        problems: &mut Vec<Problem>,
    ) -> Self {
        let (path, file) = file.unwrap_or((Path::new(""), Table::new()));
        let defaults: Table = super::DEFAULTS.parse().unwrap_or_default();
        let mut layers = Self {
            defaults,
            file,
            place: path.display().to_string(),
            base: path.parent().unwrap_or(Path::new("")),
            environment: BTreeMap::new(),
        };
        layers.take_environment(environment, problems);
        layers.check_sections(problems);
        layers
    }

    fn take_environment(&mut self, environment: &Environment, problems: &mut Vec<Problem>) {
        for (variable, value) in environment {
            let Some(rest) = variable.strip_prefix(PREFIX) else { continue };
            let lower = rest.to_lowercase();
            match lower.split_once("__") {
                Some((section, key))
                    if self.defaults.contains_key(section) && rest == rest.to_uppercase() =>
                {
                    let keys = self.environment.entry(section.to_owned()).or_default();
                    keys.insert(key.to_owned(), value.clone());
                }
                found => {
                    let list = found.is_some_and(|(section, _)| LISTS.contains(&section));
                    let message = if list {
                        "lists are given in a settings file, not in the environment".to_owned()
                    } else {
                        format!("is no setting: {PREFIX}SECTION__KEY in capitals, as in {PREFIX}DOOR__LISTEN")
                    };
                    problems.push(Problem { key: String::new(), place: variable.clone(), message });
                }
            }
        }
    }

    fn check_sections(&self, problems: &mut Vec<Problem>) {
        for (name, value) in &self.file {
            let message = if LISTS.contains(&name.as_str()) {
                let fine = super::tables(value).is_some();
                (!fine).then(|| format!("must be a list of tables: write [[{name}]]"))
            } else if self.defaults.contains_key(name) {
                let fine = value.is_table();
                (!fine).then(|| format!("must be a section, [{name}], not {}", reader::kind(value)))
            } else {
                let known: Vec<&str> = self.defaults.keys().map(String::as_str).chain(LISTS).collect();
                Some(format!("is no section; known: {}", known.join(", ")))
            };
            problems.extend(message.map(|message| Problem {
                key: name.clone(),
                place: self.place.clone(),
                message,
            }));
        }
    }

    /// Returns where the file is, for people.
    pub fn place(&self) -> String {
        self.place.clone()
    }

    /// Returns one section with all its layers.
    pub fn section<'b>(&'b self, name: &str, problems: &'b mut Vec<Problem>) -> Section<'b> {
        let mut layers = Vec::new();
        if let Some(keys) = self.environment.get(name) {
            layers.push(Layer {
                values: keys.iter().map(|(key, text)| (key.as_str(), Value::String(text.clone()))).collect(),
                place: format!("{PREFIX}{}__", name.to_uppercase()),
                base: Path::new(""),
                text_only: true,
            });
        }
        if let Some(table) = self.file.get(name).and_then(Value::as_table) {
            layers.push(self.layer(table, self.place.clone(), self.base));
        }
        if let Some(table) = self.defaults.get(name).and_then(Value::as_table) {
            layers.push(self.layer(table, "defaults".to_owned(), Path::new("")));
        }
        Section::new(name.to_owned(), layers, problems)
    }

    fn layer<'b>(&self, table: &'b Table, place: String, base: &'b Path) -> Layer<'b> {
        Layer { values: reader::values(table), place, base, text_only: false }
    }

    /// Visits the items of a list in order.
    pub fn items(&self, name: &str, problems: &mut Vec<Problem>, mut visit: impl FnMut(Section<'_>)) {
        let items = self.file.get(name).and_then(super::tables).unwrap_or_default();
        for (index, table) in items.into_iter().enumerate() {
            let layer = self.layer(table, self.place.clone(), self.base);
            visit(Section::new(format!("{name}[{index}]"), vec![layer], problems));
        }
    }
}

/// Says where a file is no TOML, without quoting it: a secret may stand there by mistake.
pub fn syntax(text: &str, error: &toml::de::Error) -> String {
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    format!("line {line} is no TOML: {}", error.message().lines().next().unwrap_or_default())
}
