//! Whether every commit was told what became of it, once.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crate::apps::App;
use crate::play::Play;
use crate::play::Pushed;

/// The status of all targets together.
const ALL: &str = "windlass";

impl Play {
    /// Makes sure that each commit has one verdict for each target that it touched, and nothing after it.
    pub(super) async fn check_statuses(&self) {
        let forgotten: BTreeSet<_> = self.pushed.iter().take(self.forgotten).map(|one| &one.commit).collect();
        for (number, pushed) in self.pushed.iter().enumerate() {
            if forgotten.contains(&pushed.commit) {
                continue;
            }
            let mut contexts: BTreeMap<String, Vec<String>> = BTreeMap::new();
            for status in self.stage.repo.statuses(&pushed.commit).await {
                contexts.entry(status.context).or_default().push(status.state);
            }
            let shown = format!("push {number}, {}: {contexts:?}", pushed.commit.short());
            self.check_contexts(pushed, &contexts, &shown);
            for states in contexts {
                self.check_states(states, number < self.steered, &shown);
            }
        }
    }

    /// Makes sure that what a commit touched was told of, and nothing else.
    fn check_contexts(&self, pushed: &Pushed, contexts: &BTreeMap<String, Vec<String>>, shown: &str) {
        let heard = pushed.delivered && !pushed.lost;
        for app in self.branch.apps {
            let due = heard && self.is_unique(pushed, *app);
            assert!(!due || contexts.contains_key(&app.context()), "{app:?} has nothing to say: {shown}");
        }
        let targets: Vec<String> = self.branch.apps.iter().map(|app| app.context()).collect();
        let known = |context: &String| context == ALL || targets.contains(context);
        assert!(contexts.keys().all(known), "{shown}");
        // Where a pass came upon the commit before dispatch did, and dispatch never did, nobody knows its other targets.
        let whole = contexts.contains_key(ALL) == (contexts.len() > 1);
        let alone = !contexts.contains_key(ALL) && !pushed.delivered;
        assert!(whole || alone, "{shown}");
    }

    /// Is there no other push with what an application reads there? Else it may have touched nothing.
    fn is_unique(&self, pushed: &Pushed, app: App) -> bool {
        let read = |one: &Pushed| one.branch.files_of(app, &self.stage.names);
        let files = read(pushed);
        self.pushed.iter().filter(|one| read(one) == files).count() == 1
    }

    fn check_states(&self, (context, mut states): (String, Vec<String>), steered: bool, shown: &str) {
        if self.stage.killed {
            states.dedup();
        }
        let finals: Vec<_> = states.iter().filter(|state| *state != "pending").collect();
        // What failed may be healed by another delivery of the same commit, each target by itself.
        let failed = |state: &&String| *state != "success" && *state != "warning";
        let healed = match finals.as_slice() {
            // Another application may turn out to be touched, too, once its own delivery is read.
            [_, ..] if context == ALL && self.branch.apps.len() > 1 => true,
            [first, last] => failed(first) && *last == "success",
            _ => false,
        };
        let healed = healed && finals.len() - 1 <= self.branch.apps.len();
        assert!(finals.len() == 1 || healed || (steered && !finals.is_empty()), "{shown}");
        assert_eq!(finals.last().copied(), states.last(), "{shown}");
    }
}
