//! What a branch declares, and how it is edited.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use serde_json::Value;
use serde_json::json;

use crate::apps::App;
use crate::fields::fields;
use crate::flavour::Flavour;
use crate::hooks::Form;
use crate::hooks::Hook;
use crate::hooks::When;
use crate::objects::KEEP;
use crate::objects::KEPT;
use crate::objects::Key;
use crate::objects::Kind;
use crate::objects::NAMES;
use crate::objects::Names;
use crate::objects::ORDINARY;
use crate::objects::Place;
use crate::objects::merge;
use crate::objects::set;
use crate::objects::unset;
use crate::objects::written;
use crate::world::chance::Chance;

/// How many objects does a branch declare at most? So many may always be pruned at once.
const OBJECTS: usize = 10;

/// How many files are there?
const FILES: usize = 4;

/// An object of the branch.
#[derive(Clone, Debug, PartialEq)]
pub struct Declared {
    /// Its fields, as the model has them.
    pub value: Value,
    /// The application that it belongs to.
    pub app: App,
    file: usize,
    /// Does its manifest name its namespace where it need not?
    named: bool,
}

/// What the branch declares.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Branch {
    pub objects: BTreeMap<Key, Declared>,
    pub hooks: BTreeSet<Hook>,
    /// The applications that read it.
    pub apps: &'static [App],
    /// How each file is written: as documents, or as one list.
    lists: [bool; FILES],
    /// A number that no manifest holds.
    pub remark: usize,
    /// A text that is no good manifest.
    pub bad: Option<(App, &'static str)>,
}

const OWN: Key = Key { kind: Kind::Namespace, place: Place::Cluster, name: "own" };
const DEFINITION: Key = Key { kind: Kind::Definition, place: Place::Cluster, name: "widgets" };

impl Branch {
    /// Returns one with a few objects.
    pub fn new(chance: &mut Chance, names: &Names, flavour: Flavour) -> Self {
        let mut branch = Self { apps: App::of(flavour.till), ..Self::default() };
        branch.declare(KEEP, App::Shop, chance, names);
        if flavour.till {
            branch.declare(KEPT, App::Till, chance, names);
        }
        if let Some(form) = flavour.hooks {
            let _said = branch.hook(form, chance);
        }
        for _ in 0..2 + chance.below(4) {
            let _said = branch.add(chance, names, flavour);
        }
        branch
    }

    fn declare(&mut self, key: Key, app: App, chance: &mut Chance, names: &Names) {
        let mut value = json!({ "metadata": {} });
        merge(&mut value, &key.base(names));
        let declared = Declared { value, app, file: chance.below(FILES), named: chance.below(2) == 0 };
        self.objects.insert(key, declared);
        for _ in 0..chance.below(5) {
            self.vary(key, chance, names);
        }
    }

    /// Edits it in one place and says how.
    pub fn edit(&mut self, chance: &mut Chance, names: &Names, flavour: Flavour) -> String {
        if let Some(form) = flavour.hooks.filter(|_| chance.below(6) == 0) {
            return self.hook(form, chance);
        }
        match chance.below(if flavour.till { 20 } else { 16 }) {
            0..=3 => self.add(chance, names, flavour),
            4..=5 => self.take_away(chance),
            6 => self.rename(chance),
            7 => self.relocate(chance),
            8 => {
                let (key, file) = (self.any(chance), chance.below(FILES));
                self.change(key, |declared| declared.file = file);
                format!("move {key:?} to file {file}")
            }
            9 => {
                let file = chance.below(FILES);
                self.lists[file] = !self.lists[file];
                format!("write file {file} otherwise")
            }
            16.. => self.hand_over(chance),
            _ => {
                let key = self.any(chance);
                self.vary(key, chance, names)
            }
        }
    }

    /// Adds a hook, or takes it away.
    fn hook(&mut self, form: Form, chance: &mut Chance) -> String {
        let when = if chance.below(2) == 0 { When::Before } else { When::After };
        let hook = Hook { app: self.apps[chance.below(self.apps.len())], when, form };
        if !self.hooks.remove(&hook) {
            self.hooks.insert(hook);
        }
        format!("add {hook:?} or take it away")
    }

    fn add(&mut self, chance: &mut Chance, names: &Names, flavour: Flavour) -> String {
        let key = self.fresh(chance, flavour);
        if self.objects.contains_key(&key) || self.objects.len() >= OBJECTS {
            return self.vary(key, chance, names);
        }
        let app = if key.is_free() { self.apps[chance.below(self.apps.len())] } else { App::Shop };
        self.declare(key, app, chance, names);
        format!("add {key:?} to {app:?}")
    }

    fn fresh(&self, chance: &mut Chance, flavour: Flavour) -> Key {
        let name = NAMES[chance.below(NAMES.len())];
        let place = if chance.below(3) == 0 { Place::Annex } else { Place::Home };
        let kind = ORDINARY[chance.below(ORDINARY.len())];
        let dice = chance.below(4);
        if flavour.widgets && dice == 0 {
            return if self.objects.contains_key(&DEFINITION) {
                Key { kind: Kind::Widget, place, name }
            } else {
                DEFINITION
            };
        }
        if flavour.own && dice == 1 {
            return if self.objects.contains_key(&OWN) { Key { kind, place: Place::Own, name } } else { OWN };
        }
        Key { kind, place, name }
    }

    /// Returns one of the objects.
    pub fn any(&self, chance: &mut Chance) -> Key {
        let keys: Vec<Key> = self.objects.keys().copied().collect();
        keys[chance.below(keys.len())]
    }

    fn change(&mut self, key: Key, change: impl FnOnce(&mut Declared)) {
        if let Some(declared) = self.objects.get_mut(&key) {
            change(declared);
        }
    }

    /// Sets a field of an object, or takes one away.
    fn vary(&mut self, key: Key, chance: &mut Chance, names: &Names) -> String {
        let all = fields(key.kind);
        let (pointer, values) = &all[chance.below(all.len())];
        let values = values.as_array().unwrap();
        let (dice, value) = (chance.below(3), values[chance.below(values.len())].clone());
        let Some(declared) = self.objects.get_mut(&key) else { return format!("leave {key:?} out") };
        let needed = key.base(names).pointer(pointer).is_some();
        if dice == 0 && !needed && declared.value.pointer(pointer).is_some() {
            unset(&mut declared.value, pointer);
            return format!("take {pointer} of {key:?} away");
        }
        let said = format!("set {pointer} of {key:?} to {value}");
        set(&mut declared.value, pointer, value);
        said
    }

    fn take_away(&mut self, chance: &mut Chance) -> String {
        let key = self.any(chance);
        if key.is_kept() {
            return "take nothing away".to_owned();
        }
        self.objects.remove(&key);
        // What lives in it, or is an instance of it, goes with it.
        self.objects.retain(|other, _| {
            let inside = key.kind == Kind::Namespace && other.place == Place::Own;
            let instance = key.kind == Kind::Definition && other.kind == Kind::Widget;
            !inside && !instance
        });
        format!("take {key:?} away")
    }

    /// Gives an object to the other application.
    fn hand_over(&mut self, chance: &mut Chance) -> String {
        let key = self.any(chance);
        if key.is_kept() || !key.is_free() {
            return format!("leave {key:?} with its application");
        }
        self.change(key, |declared| declared.app = declared.app.other());
        format!("hand {key:?} over to {:?}", self.objects[&key].app)
    }

    fn rename(&mut self, chance: &mut Chance) -> String {
        let key = self.any(chance);
        let to = Key { name: NAMES[chance.below(NAMES.len())], ..key };
        self.rekey(key, to)
    }

    fn relocate(&mut self, chance: &mut Chance) -> String {
        let key = self.any(chance);
        let place = match key.place {
            Place::Home | Place::Own => Place::Annex,
            Place::Annex => Place::Home,
            Place::Cluster => Place::Cluster,
        };
        self.rekey(key, Key { place, ..key })
    }

    fn rekey(&mut self, key: Key, to: Key) -> String {
        // What these hold of their names cannot be changed, nor be another's.
        let bound = key.is_kept() || key.kind.is_ground() || self.objects.contains_key(&to);
        if bound || (key.name != to.name && matches!(key.kind, Kind::Deployment | Kind::RoleBinding)) {
            return format!("leave {key:?} where it is");
        }
        if let Some(declared) = self.objects.remove(&key) {
            self.objects.insert(to, declared);
        }
        format!("make {to:?} of {key:?}")
    }

    /// Returns the manifest of an object.
    pub fn manifest(&self, key: Key, names: &Names) -> Value {
        let declared = &self.objects[&key];
        let mut value = key.head(names, declared.named || key.place != Place::Home);
        merge(&mut value, &declared.value);
        if let Some(version) = declared.value.get("apiVersion").and_then(Value::as_str) {
            value["apiVersion"] = json!(format!("{}/{version}", names.group));
        }
        written(&value)
    }

    /// Returns the files of the branch.
    pub fn files(&self, names: &Names) -> Vec<(String, String)> {
        self.apps.iter().flat_map(|app| self.files_of(*app, names)).collect()
    }

    /// Returns those that an application reads.
    pub fn files_of(&self, app: App, names: &Names) -> Vec<(String, String)> {
        let mut files: Vec<Vec<Value>> = vec![Vec::new(); FILES];
        for (key, declared) in self.objects.iter().filter(|(_, declared)| declared.app == app) {
            files[declared.file].push(self.manifest(*key, names));
        }
        let folder = if self.apps.len() > 1 { format!("{}/", app.name()) } else { String::new() };
        let mut all = vec![(format!("{folder}remark.yaml"), format!("# {}\n", self.remark))];
        for (number, objects) in files.into_iter().enumerate().filter(|(_, objects)| !objects.is_empty()) {
            let text = if self.lists[number] {
                json!({ "apiVersion": "v1", "kind": "List", "items": objects }).to_string()
            } else {
                objects.iter().map(|one| format!("---\n{one}\n")).collect()
            };
            all.push((format!("{folder}deep/{number}.yaml"), text));
        }
        let hooks: String = self
            .hooks
            .iter()
            .filter(|hook| hook.app == app)
            .map(|hook| format!("---\n{}\n", hook.manifest()))
            .collect();
        if !hooks.is_empty() {
            all.push((format!("{folder}hooks.yaml"), hooks));
        }
        let bad = self.bad.filter(|(whose, _)| *whose == app);
        all.extend(bad.map(|(_, text)| (format!("{folder}bad.yaml"), text.to_owned())));
        all
    }
}
