//! Whether the objects of a commit were written in the order of their waves.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::apps::App;
use crate::objects::Names;
use crate::play::Play;
use crate::world::proxy::Wrote;

/// When an object has its turn: by its stage, and in the middle one by its wave.
type Turn = (u8, i64);

impl Play {
    /// Makes sure that of what a target read, nothing of an earlier wave was first written after something of a later one.
    pub(super) fn check_order(&self) {
        let wrote = self.stage.east.wrote();
        self.branch.apps.iter().for_each(|app| self.check_order_of(*app, &wrote));
    }

    fn check_order_of(&self, app: App, wrote: &[Wrote]) {
        let manager = app.manager().replace(':', "%3A");
        // What others had in hand may have to be written once more.
        let in_hand = |path: &str| {
            let mut keys = self.hands.keys().chain(&self.strays);
            keys.any(|key| key.path(&self.stage.names) == path)
        };
        let (mut inputs, mut seen, mut highest) = (Value::Null, BTreeSet::new(), None::<(Turn, &str)>);
        for one in wrote.iter().filter(|one| !one.line.starts_with("DELETE")) {
            if read_anew(one, app, &self.stage.names, &mut inputs) {
                highest = None;
                seen.clear();
            }
            let (path, query) = parts(&one.line);
            let Ok(body) = serde_json::from_slice::<Value>(&one.body) else { continue };
            let is_its = query.contains(&manager) || query.contains(&app.manager());
            if !is_its || !seen.insert(path) || in_hand(path) {
                continue;
            }
            let turn = turn(&body);
            let late = highest.filter(|(highest, _)| turn < *highest);
            assert!(late.is_none(), "{path} of {turn:?} was written after {late:?}, of the same commit");
            highest = Some((turn, path));
        }
    }
}

impl Play {
    /// Makes sure that an application that waits for another one began nothing before that one had the same commit's; or
    /// that of another commit at which the first declares the same, since it may have been let through for that.
    pub(super) fn check_dependency(&self) {
        if !self.flavour.depends {
            return;
        }
        let (mut inputs, mut begun) = (Value::Null, Vec::new());
        for one in &self.stage.east.wrote() {
            let body = serde_json::from_slice::<Value>(&one.body).unwrap_or_default();
            let at = body["data"]["commit"].as_str().unwrap_or_default();
            let Some(pushed) = self.pushed.iter().find(|pushed| pushed.commit.to_string() == at) else {
                continue;
            };
            let needed = pushed.branch.files_of(App::Shop, &self.stage.names);
            if body["metadata"]["name"] == App::Shop.parent().as_str() && one.status / 100 == 2 {
                begun.push(needed);
            } else if read_anew(one, App::Till, &self.stage.names, &mut inputs) {
                let its = pushed.branch.files_of(App::Till, &self.stage.names);
                let alike =
                    self.pushed.iter().filter(|one| one.branch.files_of(App::Till, &self.stage.names) == its);
                let mut needed = alike.map(|one| one.branch.files_of(App::Shop, &self.stage.names));
                assert!(needed.any(|needed| begun.contains(&needed)), "till began {at}, and shop had not");
            }
        }
    }
}

/// Notes what an application reads where its parent is written, and says whether that is something else than before.
pub fn read_anew(one: &Wrote, app: App, names: &Names, inputs: &mut Value) -> bool {
    if !parts(&one.line).0.starts_with(&format!("/api/v1/namespaces/{}/configmaps", names.installation)) {
        return false;
    }
    let Ok(body) = serde_json::from_slice::<Value>(&one.body) else { return false };
    let its = body.pointer("/data/inputs").filter(|_| body["metadata"]["name"] == app.parent().as_str());
    let now = its.filter(|now| *now != inputs).cloned();
    now.map(|now| *inputs = now).is_some()
}

/// Returns the path of a request, and its query.
pub fn parts(line: &str) -> (&str, &str) {
    let target = line.split(' ').nth(1).unwrap_or_default();
    target.split_once('?').unwrap_or((target, ""))
}

fn turn(body: &Value) -> Turn {
    let annotations = &body["metadata"]["annotations"];
    let wave =
        annotations["windlass.dev/wave"].as_str().and_then(|text| text.parse().ok()).unwrap_or_default();
    match body["kind"].as_str() {
        Some("Namespace" | "CustomResourceDefinition") => (0, 0),
        _ => match annotations["windlass.dev/hook"].as_str() {
            Some("before") => (1, wave),
            Some("after") => (3, wave),
            _ => (2, wave),
        },
    }
}
