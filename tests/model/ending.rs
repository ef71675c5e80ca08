//! How every sequence must end.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::apps::App;
use crate::branch::Branch;
use crate::fields::fields;
use crate::judge::applicable;
use crate::judge::at;
use crate::judge::difference;
use crate::judge::lacks;
use crate::judge::settled;
use crate::objects::Key;
use crate::play::Play;
use crate::world::git::Status;
use crate::world::proxy::is_write;

impl Play {
    /// Lets everything work again, waits until windlass has done all that it promises, and looks whether it has.
    pub async fn end(&mut self) {
        self.stage.heal().await;
        self.let_go().await;
        self.say("everything works again".to_owned());
        if self.vanished {
            self.push(true).await;
        }
        self.tell_the_tip().await;
        self.stage.waits = self.flavour.depends && self.trouble;
        self.stage.quiet().await;
        self.stage.seen(&self.tip().clone()).await;
        self.stage.quiet().await;
        self.stage.waits = false;
        let same = self.pushed.iter().filter(|one| one.commit == *self.tip()).count() > 1;
        if self.trouble {
            // What a commit did wrong, or was forbidden, is tried again with the next one only.
            self.branch.bad = None;
            self.branch.remark += 1;
            self.push(true).await;
            self.stage.quiet().await;
        }
        for app in self.branch.apps {
            let verdict = self.verdict(*app).await;
            let told = verdict.as_ref().is_none_or(|status| status.state == "success");
            assert!(told || (same && !self.trouble), "the tip has the verdict {verdict:?} of {app:?}");
        }
        self.check_live().await;
        self.recognise().await;
        self.check_a_whole_pass().await;
        self.recognise().await;
        self.check_order();
        self.check_hooks_once();
        self.check_dependency();
        self.check_gone_from(&self.branch).await;
        self.check_others().await;
        self.check_statuses().await;
        let dead = self.stage.crew.messages().await.1;
        assert!(dead == 0 || self.trouble, "{dead} dead letters");
    }

    fn tip(&self) -> &windlass::commit::CommitId {
        &self.pushed.last().expect("something was pushed").commit
    }

    /// Lets windlass know of the tip where its delivery was lost: by a delivery, by a restart, or by its own sweep.
    async fn tell_the_tip(&mut self) {
        if self.pushed.last().is_some_and(|last| last.delivered) {
            return;
        }
        match self.chance.below(4) {
            0 => {
                self.say("the sweep sees the tip".to_owned());
            }
            1 => {
                self.stage.kill(None);
                self.stage.start().await;
            }
            _ => {
                let tip = self.tip().clone();
                assert!(self.stage.deliver(None, &tip).await, "the door takes a delivery");
            }
        }
    }

    /// Returns the newest status of the target on the tip.
    async fn verdict(&self, app: App) -> Option<Status> {
        let statuses = self.stage.repo.statuses(self.tip()).await;
        statuses.into_iter().rfind(|status| status.context == app.context())
    }

    /// Makes sure that the cluster holds the tip: at once, or as soon as the drift is corrected.
    async fn check_live(&self) {
        if self.drifted {
            self.stage.until("live equals the tip", async || self.differs().await.map_or(Ok(()), Err)).await;
            self.stage.quiet().await;
        }
        if let Some(why) = self.differs().await {
            panic!("live does not equal the tip: {why}");
        }
    }

    /// Returns what differs from the tip.
    pub(super) async fn differs(&self) -> Option<String> {
        self.differs_from(&self.branch).await
    }

    /// Returns what differs from what a branch declares.
    pub(super) async fn differs_from(&self, branch: &Branch) -> Option<String> {
        for (key, declared) in &branch.objects {
            let (set, manager) = (declared.app.set(&self.stage.names.installation), declared.app.manager());
            let manifest = branch.manifest(*key, &self.stage.names);
            // A widget may be declared in another version of its kind than it is usually looked at.
            let version = manifest["apiVersion"].as_str().unwrap_or_default();
            let path = key.path(&self.stage.names);
            let path = path.replace(&format!("{}/v1", self.stage.names.group), version);
            let Some(live) = self.stage.kube.find(&path).await else {
                return Some(format!("{path} is not there"));
            };
            let query = format!("fieldManager={manager}&force=true&dryRun=All&fieldValidation=Strict");
            let (asked, kind) = (applicable(&manifest, &set), "application/apply-patch+yaml");
            let dry = self.stage.kube.ask("PATCH", &format!("{path}?{query}"), kind, &asked).await;
            let dry = match dry {
                Ok(dry) => dry,
                Err((code, words)) => return Some(format!("{path} is refused: {code} {words}")),
            };
            let fields = difference(&settled(&live), &settled(&dry), "");
            if !fields.is_empty() {
                return Some(format!("{path} would be changed by its manifest {manifest}: {fields:?}"));
            }
            let entries = live["metadata"]["managedFields"].as_array();
            let others = entries.into_iter().flatten().filter(|entry| {
                entry["manager"].as_str().is_some_and(|one| one.starts_with("windlass:") && one != manager)
            });
            if others.count() > 0 && !self.strays.contains(key) {
                return Some(format!("{path} still has an owner that it went from: {live}"));
            }
            if let Some(why) = lacks(&manifest, &live).or_else(|| self.left_behind(*key, &manifest, &live)) {
                return Some(format!("{path}: {why}; manifest {manifest}; live {live}"));
            }
        }
        None
    }

    /// Returns a field that no manifest sets any more and nobody else ever set, but that is still there.
    fn left_behind(&self, key: Key, manifest: &Value, live: &Value) -> Option<String> {
        // Only keys of maps and items of lists: in the place of other fields the server puts its defaults.
        let free = [
            "/labels/",
            "/annotations/",
            "/data/",
            "/binaryData/",
            "/stringData/",
            "/hard/",
            "/requests/",
            "/@",
        ];
        let base = key.base(&self.stage.names);
        for (pointer, _) in fields(key.kind) {
            let is_free = free.iter().any(|part| pointer.contains(part));
            let shown = pointer.replace("/stringData/", "/data/");
            let set = at(manifest, pointer).is_some_and(|value| !value.is_null())
                || base.pointer(pointer).is_some();
            if !is_free || set || self.meddled.contains(&(key, pointer)) || pointer.ends_with("/image") {
                continue;
            }
            if pointer.ends_with("/args") || pointer.ends_with("/env") || pointer.ends_with("/limits") {
                continue;
            }
            if let Some(value) = at(live, &shown) {
                return Some(format!("{shown} is left behind: {value}"));
            }
        }
        None
    }

    /// Makes sure that a whole pass writes nothing but the application's own record: everything is as declared.
    async fn check_a_whole_pass(&mut self) {
        let before = self.check_hooks().await;
        let mut asked = self.stage.east.asked();
        self.branch.remark += 1;
        self.push(true).await;
        self.stage.quiet().await;
        for app in self.branch.apps {
            let verdict = self.verdict(*app).await;
            let told = verdict.as_ref().is_some_and(|status| status.state == "success");
            assert!(told, "a push that changes nothing for {app:?} has the verdict {verdict:?}");
        }
        let since = self.stage.east.asked();
        let own = format!("/namespaces/{}/", self.stage.names.installation);
        let hooks = self.check_hooks().await;
        assert!(hooks.is_disjoint(&before), "each hook is made anew by each rollout");
        let writes: Vec<_> = since.iter().filter(|line| is_write(line) && !line.contains(&own)).collect();
        let writes = self.other_writes(&writes);
        assert!(writes.is_empty(), "a pass after everything was as declared wrote: {writes:?}");
        if let Some(why) = self.differs().await {
            panic!("live does not equal the tip after one more pass: {why}");
        }
        asked.extend(since);
        self.check_deletes(&asked);
    }

    /// Makes sure that nothing was deleted but what left the branch at some time.
    fn check_deletes(&self, asked: &[String]) {
        let dropped = self.dropped.iter().map(|key| key.path(&self.stage.names));
        let hooks = self.hooks.iter().map(|hook| hook.path(&self.stage.names));
        let allowed: BTreeSet<String> = dropped.chain(hooks).collect();
        for line in asked.iter().filter(|line| line.starts_with("DELETE")) {
            let path = line.split([' ', '?']).nth(1).unwrap_or_default();
            let group = &self.stage.names.group;
            let path = path.replace(&format!("{group}/v2"), &format!("{group}/v1"));
            assert!(allowed.contains(&path), "{path} never left the branch, but was deleted");
        }
    }

    /// Makes sure that nothing is left of what left the branch.
    pub(super) async fn check_gone_from(&self, branch: &Branch) {
        for key in self.declared.iter().filter(|key| !branch.objects.contains_key(*key)) {
            if self.strays.contains(key) {
                continue;
            }
            let path = key.path(&self.stage.names);
            self.stage
                .until("what left the branch is gone", async || match self.stage.kube.find(&path).await {
                    // The server takes its time with what holds others.
                    Some(live) if live["metadata"]["deletionTimestamp"].is_null() => {
                        Err(format!("{path}: {live}"))
                    }
                    _ => Ok(()),
                })
                .await;
        }
    }

    /// Makes sure that what is not the application's is as it was: whole objects, and fields of the application's objects.
    async fn check_others(&self) {
        for (key, before) in &self.bystanders {
            let live = self.stage.kube.find(&key.path(&self.stage.names)).await;
            assert_eq!(live.as_ref(), Some(before), "{key:?} is nobody's business");
        }
        for one in &self.foreign {
            let live = self.stage.kube.find(&one.key.path(&self.stage.names)).await;
            let (tip, ever) = (self.branch.objects.contains_key(&one.key), self.declared.contains(&one.key));
            let Some(live) = live.filter(|live| live["metadata"]["uid"] == one.uid) else {
                assert!(ever, "{one:?} was never the application's and is gone");
                continue;
            };
            let held = &live["metadata"]["annotations"][&one.annotation];
            assert!(!tip || *held == *one.value, "{one:?} became {held}");
        }
    }
}
