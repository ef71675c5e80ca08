//! Steps of others at the cluster.

use serde_json::json;
use windlass::member::PART_OF;

use crate::fields::fields;
use crate::hands::ANOTHER;
use crate::hands::WAYS;
use crate::hands::Way;
use crate::objects::Key;
use crate::objects::NAMES;
use crate::objects::ORDINARY;
use crate::objects::Place;
use crate::play::Foreign;
use crate::play::Play;

/// A finalizer that nobody looks after.
const HOLD: &str = "example.org/hold";

/// What others do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drift {
    /// Another manager changes a field.
    Meddle,
    /// Another manager takes a field away.
    Strip,
    /// Another manager sets a field that no manifest sets.
    Add,
    /// Somebody deletes an object.
    Delete,
    /// Somebody deletes an object and makes another one of that name.
    Replace,
    /// Somebody takes the label away by which an object is the application's.
    Unlabel,
    /// Somebody makes an object whose name the branch may use.
    Squat,
    /// Somebody makes the server forget who owns which fields of an object.
    Disown,
    /// Somebody gives an object to another set.
    Claim,
    /// Somebody holds an object back from being deleted.
    Hold,
}

impl Play {
    /// Lets others do something at the cluster.
    pub(super) async fn drift(&mut self, drift: Drift) {
        if drift == Drift::Squat {
            return self.squat().await;
        }
        let Some(key) = self.victim() else { return self.say("but nobody".to_owned()) };
        self.say(format!("{key:?}"));
        let label = |set: Option<&str>| json!({ "metadata": { "labels": { PART_OF: set } } });
        self.drifted |= !matches!(drift, Drift::Add | Drift::Hold);
        if matches!(drift, Drift::Replace | Drift::Unlabel | Drift::Disown | Drift::Claim) {
            self.strays.insert(key);
        }
        if matches!(drift, Drift::Delete | Drift::Replace) {
            self.uids.remove(&key);
        }
        match drift {
            Drift::Meddle | Drift::Strip => self.change(key, drift == Drift::Meddle).await,
            Drift::Add => self.add_foreign(key).await,
            Drift::Squat => {}
            Drift::Delete => self.hand().delete(key).await,
            Drift::Replace => {
                self.hand().delete(key).await;
                let made = self.hand().make(key).await.is_some();
                self.say(format!("made: {made}"));
            }
            Drift::Hold => {
                self.held.insert(key);
                self.hand().patch(key, &json!({ "metadata": { "finalizers": [HOLD] } })).await;
            }
            Drift::Disown => {
                // What the manifest drops before windlass owns it again is nobody's, and stays.
                self.meddled.extend(fields(key.kind).into_iter().map(|(pointer, _)| (key, pointer)));
                self.hand().patch(key, &json!({ "metadata": { "managedFields": [{}] } })).await;
            }
            Drift::Claim => {
                self.claimed.insert(key, self.branch.objects[&key].app);
                self.trouble = true;
                self.hand().patch(key, &label(Some(ANOTHER))).await;
            }
            Drift::Unlabel => self.hand().patch(key, &label(None)).await,
        }
    }

    async fn change(&mut self, key: Key, set: bool) {
        let table = fields(key.kind);
        let (pointer, values) = &table[self.chance.below(table.len())];
        let (pointer, values) = (*pointer, values.as_array().unwrap());
        let value = values[self.chance.below(values.len())].clone();
        let (way, to) = (WAYS[self.chance.below(WAYS.len())], set.then_some(&value));
        self.say(format!("{way:?} {pointer} to {to:?}"));
        self.meddle(key, pointer, way);
        let done = self.hand().change(key, way, pointer, to).await.is_some();
        self.say(format!("done: {done}"));
    }

    /// Gives back what others hold.
    pub(super) async fn let_go(&mut self) {
        for key in std::mem::take(&mut self.held) {
            self.hand().patch(key, &json!({ "metadata": { "finalizers": null } })).await;
        }
        for (key, app) in std::mem::take(&mut self.claimed) {
            let set = app.set(&self.stage.names.installation);
            let labels = json!({ "metadata": { "labels": { PART_OF: set } } });
            self.hand().give_back(key, &labels).await;
        }
    }

    async fn add_foreign(&mut self, key: Key) {
        let way = WAYS[self.chance.below(WAYS.len())];
        let value = self.chance.below(1_000).to_string();
        // Applying takes away what the same manager applied before, so each way has a field of its own.
        let which = ["one", "two"][self.chance.below(2)];
        let annotation = format!("theirs/{way:?}-{which}");
        let pointer = format!("/metadata/annotations/{}", annotation.replace('/', "~1"));
        let live = self.hand().change(key, way, &pointer, Some(&json!(value))).await;
        self.say(format!("{way:?} {annotation} = {value}, done: {}", live.is_some()));
        self.foreign.retain(|one| one.key != key || one.annotation != annotation);
        if way == Way::Applied {
            self.forget_applied(key);
        }
        let Some(live) = live else { return };
        self.foreign.push(Foreign { key, uid: live["metadata"]["uid"].clone(), annotation, value });
    }

    async fn squat(&mut self) {
        let key = Key {
            kind: ORDINARY[self.chance.below(ORDINARY.len())],
            place: if self.chance.below(2) == 0 { Place::Home } else { Place::Annex },
            name: NAMES[self.chance.below(NAMES.len())],
        };
        let made = self.hand().make(key).await;
        self.say(format!("{key:?}, made: {}", made.is_some()));
        self.strays.insert(key);
        let Some(live) = made else { return };
        let (annotation, value) = ("theirs".to_owned(), "made by hand".to_owned());
        self.foreign.push(Foreign { key, uid: live["metadata"]["uid"].clone(), annotation, value });
    }
}
