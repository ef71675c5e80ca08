//! Hooks: objects that each rollout makes anew, before all others or after them.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use serde_json::Value;
use serde_json::json;

use crate::apps::App;
use crate::objects::Names;
use crate::order::parts;
use crate::order::read_anew;
use crate::play::Play;
use crate::world::proxy::Wrote;

/// A hook of an application.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hook {
    pub app: App,
    pub when: When,
    pub form: Form,
}

/// When it is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum When {
    Before,
    After,
}

/// What it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Form {
    /// What is healthy as soon as it is there.
    ConfigMap,
    /// What runs, and has pods that go with it.
    Job,
}

impl Hook {
    fn name(self) -> String {
        let (when, form) = (self.word(), if self.form == Form::Job { "job" } else { "map" });
        format!("{}-{when}-{form}", self.app.name())
    }

    fn word(self) -> &'static str {
        match self.when {
            When::Before => "before",
            When::After => "after",
        }
    }

    /// Returns its path in the API.
    pub fn path(self, names: &Names) -> String {
        let (home, name) = (&names.home, self.name());
        match self.form {
            Form::ConfigMap => format!("/api/v1/namespaces/{home}/configmaps/{name}"),
            Form::Job => format!("/apis/batch/v1/namespaces/{home}/jobs/{name}"),
        }
    }

    /// Returns its manifest.
    pub fn manifest(self) -> Value {
        let metadata = json!({ "name": self.name(), "annotations": { "windlass.dev/hook": self.word() } });
        match self.form {
            Form::ConfigMap => json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata }),
            Form::Job => json!({ "apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": {
                "backoffLimit": 0, "template": { "spec": { "restartPolicy": "Never",
                "containers": [{ "name": "work", "image": "example.org/work:1" }] } } } }),
        }
    }
}

impl Play {
    /// Makes sure that no hook was made twice for what its application read.
    pub(super) fn check_hooks_once(&self) {
        let wrote = self.stage.east.wrote();
        for app in self.branch.apps {
            let (mut inputs, mut made) = (Value::Null, BTreeMap::<&str, usize>::new());
            for one in &wrote {
                if read_anew(one, *app, &self.stage.names, &mut inputs) {
                    made.clear();
                }
                if !is_made(one) {
                    continue;
                }
                let path = parts(&one.line).0;
                let count = made.entry(path).or_default();
                *count += 1;
                let its =
                    self.hooks.iter().any(|hook| hook.app == *app && hook.path(&self.stage.names) == path);
                assert!(!its || *count == 1, "{path} was made {count} times for the same");
            }
        }
    }

    /// Makes sure that the hooks of the tip are there, and those that left the branch are not.
    pub(super) async fn check_hooks(&self) -> BTreeSet<String> {
        let mut uids = BTreeSet::new();
        for hook in &self.hooks {
            let path = hook.path(&self.stage.names);
            let live = self.stage.kube.find(&path).await;
            if let Some(live) = live.filter(|live| live["metadata"]["deletionTimestamp"].is_null()) {
                assert!(self.branch.hooks.contains(hook), "{path} left the branch, and is there");
                uids.insert(live["metadata"]["uid"].to_string());
            } else {
                assert!(!self.branch.hooks.contains(hook), "{path} was not made");
            }
        }
        uids
    }

    /// Makes sure that of these writes, each hook of the branch was made once, and returns the others.
    pub(super) fn other_writes<'a>(&self, writes: &[&'a String]) -> Vec<&'a String> {
        let path = |line: &str| parts(line).0.to_owned();
        let of: BTreeSet<String> =
            self.branch.hooks.iter().map(|hook| hook.path(&self.stage.names)).collect();
        for hook in &of {
            let made = writes.iter().filter(|line| line.starts_with('P') && path(line) == *hook).count();
            assert_eq!(made, 1, "{hook} is made once by a rollout: {writes:?}");
        }
        writes.iter().copied().filter(|line| !of.contains(&path(line))).collect()
    }
}

/// Did it make an object?
fn is_made(one: &Wrote) -> bool {
    one.line.starts_with('P') && one.status == 201
}
