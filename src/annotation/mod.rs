//! What the annotations of one object ask of windlass, in its own words and in those of Flux and Argo CD.
//!
//! Windlass's own word counts before another's. Values are compared without regard to case. What others' annotations say
//! beyond [`ANNOTATIONS`] is passed over; an unknown word of windlass's own is a problem of the manifest.

mod notes;
mod pointer;
mod problems;
mod table;
mod turn;

use serde_json::Value;

use crate::application::Conflicts;
use crate::application::SelfHeal;
use crate::ignore::IgnoreRule;
use crate::object::GroupKind;
use crate::object::ObjectId;

pub use pointer::Pointer;
pub use problems::problems;
pub use table::ANNOTATIONS;
pub use table::Annotation;
pub use turn::Stage;
pub use turn::Turn;

use notes::Notes;
use table::Ask;

/// What the key of each of windlass's own annotations begins with.
pub const PREFIX: &str = "windlass.dev/";

/// How many fields may one object leave to others?
pub const POINTERS: usize = 64;

/// The annotation whose value is a list of fields, and not one of some words.
pub const IGNORE: &str = "windlass.dev/ignore";

/// The annotation that says what is done about an object's drift.
pub const SELF_HEAL: &str = "windlass.dev/self-heal";

/// The annotation whose value is a whole number.
pub const WAVE: &str = "windlass.dev/wave";

const ARGO_WAVE: &str = "argocd.argoproj.io/sync-wave";
const HELM_WEIGHT: &str = "helm.sh/hook-weight";

const SYNC: &str = "windlass.dev/sync";

const HOOK: &str = "windlass.dev/hook";
const HOOK_DELETE: &str = "windlass.dev/hook-delete";
/// The annotation whose value is a time.
const DEADLINE: &str = "windlass.dev/hook-deadline";
const FAILED: &str = "failed";
const ARGO_HOOK: &str = "argocd.argoproj.io/hook";
const ARGO_FAILED: &str = "SyncFail";
const SUCCEEDED: &str = "succeeded";
const FINISHED: &str = "finished";
const ARGO_HOOK_DELETE: &str = "argocd.argoproj.io/hook-delete-policy";
const HELM_HOOK_DELETE: &str = "helm.sh/hook-delete-policy";

const FLUX: &str = "kustomize.toolkit.fluxcd.io/";
const FLUX_RECONCILE: &str = "kustomize.toolkit.fluxcd.io/reconcile";

/// What an object asks of windlass; the default is what one without annotations asks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// What becomes of it once it left the commit.
    pub prune: Prune,
    /// How it is written.
    pub sync: SyncMode,
    /// What is done about its drift, where that is not what its application says.
    pub self_heal: Option<SelfHeal>,
    /// What is done where another manager has set a field otherwise, where that is not what its application says.
    pub conflicts: Option<Conflicts>,
    /// The fields that are left to others once it exists.
    pub ignore: Vec<Pointer>,
    /// The field managers to whom is left what they alone set; only rules of the settings name them.
    pub managers: Vec<String>,
    /// May it be deleted and created anew, where a field cannot be changed?
    pub force: Force,
    /// What it is waited for.
    pub waits_for: Awaited,
    /// Its wave: it is written when what is of lower ones is healthy.
    pub wave: i32,
    /// Is it made anew in each rollout, and when?
    pub hook: Option<Hook>,
    /// Is it, as a hook, made when a rollout failed? Argo CD's lists may name that beside another moment.
    pub answers_failure: bool,
    /// Is it a hook that is never made anew, since more would go than the object?
    pub is_kept: bool,
    /// Is it, as a hook, deleted at the end of a rollout that succeeds? Else the next rollout deletes it.
    pub is_cleared: bool,
    /// Is it, as a hook, deleted where it failed?
    pub is_cleared_failed: bool,
    /// For how long may it be waited for as a hook, in milliseconds, where that is less than its application allows?
    pub hook_deadline_ms: Option<u64>,
}

/// What becomes of an object that left the commit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Prune {
    /// It is deleted, within the guard.
    #[default]
    Enabled,
    /// It is deleted only with the commit's consent.
    Confirm,
    /// It stays.
    Disabled,
}

/// How an object is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SyncMode {
    /// All that the manifest says is made true, whoever set it otherwise.
    #[default]
    Enabled,
    /// It is created where it is not there, and left as it is from then on.
    CreateOnly,
    /// Fields that others own stay as they are.
    Merge,
    /// It is not written.
    Disabled,
}

/// When in a rollout an object is made anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// Before all others.
    Before,
    /// In its wave.
    During,
    /// When all others are healthy.
    After,
    /// When a rollout that wrote something failed.
    Failed,
}

/// Whether an object may be deleted and created anew, where a field cannot be changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Force {
    /// It may not.
    #[default]
    Disabled,
    /// It may, unless that deletes more than the object.
    Enabled,
    /// It may, whatever goes with it.
    WithDataLoss,
}

/// What an object is waited for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Awaited {
    /// That it works, by the rules.
    #[default]
    Health,
    /// The same, and a Pod need not have ended for it.
    Readiness,
    /// Nothing: it counts as healthy, whatever it says.
    Nothing,
}

impl Wish {
    /// Returns what an object asks. What is not understood asks for nothing; [`problems`] tells of it.
    #[must_use]
    pub fn of(object: &Value) -> Self {
        let mut wish = Self::default();
        let notes = Notes::of(object);
        let mut asked: Vec<&str> = Vec::new();
        for row in ANNOTATIONS.iter().filter(|row| notes.asks(row)) {
            if !asked.contains(&row.key) {
                asked.push(row.key);
                wish.take(row.ask, &notes);
            }
        }
        wish.is_kept = wish.hook.is_some() && holds_data(object);
        // Helm and Argo CD name several moments for one hook; those that windlass has none for disable it only where it has
        // no other.
        if wish.hook.is_some() && notes.text(SYNC).is_none() {
            wish.sync = SyncMode::Enabled;
        }
        wish.answers_failure = !wish.is_kept && notes.names_failure();
        if wish.is_kept && wish.hook == Some(Hook::Failed) {
            // It could be made once at most, and not be told from what is written in each rollout.
            wish.sync = SyncMode::Disabled;
        }
        wish
    }

    fn take(&mut self, ask: Ask, notes: &Notes<'_>) {
        match ask {
            Ask::Prune(prune) => self.prune = prune,
            Ask::Sync(sync) => self.sync = sync,
            Ask::SelfHeal(self_heal) => self.self_heal = Some(self_heal),
            Ask::Conflicts(conflicts) => self.conflicts = Some(conflicts),
            Ask::Ignore => {
                self.ignore = notes.text(IGNORE).and_then(|text| pointers(text).ok()).unwrap_or_default()
            }
            Ask::Force(force) => self.force = force,
            Ask::Health(awaited) => self.waits_for = awaited,
            Ask::Wave => self.wave = notes.wave(),
            Ask::Hook(hook) => self.hook = Some(hook),
            Ask::Cleared => (self.is_cleared, self.is_cleared_failed) = notes.cleared(),
            Ask::Deadline => self.hook_deadline_ms = notes.text(DEADLINE).and_then(deadline),
        }
    }

    /// Adds what rules of the settings leave to others in the object that is called `id`. A field of theirs that is no
    /// pointer is passed over: the settings were held against [`Pointer::parse`].
    pub fn heed(&mut self, rules: &[IgnoreRule], id: &ObjectId) {
        for rule in rules.iter().filter(|rule| rule.fits(id)) {
            for pointer in rule.fields.iter().filter_map(|text| Pointer::parse(text).ok()) {
                // Twice would take the next one out of a list too.
                if !self.ignore.contains(&pointer) {
                    self.ignore.push(pointer);
                }
            }
            self.managers.extend(rule.managers.iter().cloned());
        }
    }

    /// Returns whether each rollout makes it anew.
    #[must_use]
    pub fn is_made_anew(&self) -> bool {
        self.hook.is_some() && !self.is_kept
    }

    /// Returns when in a rollout its turn comes.
    #[must_use]
    pub fn turn(&self) -> Turn {
        let stage = match self.hook {
            Some(Hook::Before) => Stage::Before,
            Some(Hook::During) | None => Stage::Sync,
            Some(Hook::After) => Stage::After,
            Some(Hook::Failed) => Stage::End,
        };
        Turn { stage, wave: self.wave }
    }

    /// Returns whether what is written depends on what others own in the live object.
    #[must_use]
    pub fn cedes(&self) -> bool {
        self.sync == SyncMode::Merge || !self.ignore.is_empty() || !self.managers.is_empty()
    }
}

/// Returns whether deleting an object of such a kind may delete more than the object.
fn holds_data(object: &Value) -> bool {
    let text = |key: &str| object.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let group = crate::object::group_and_version(&text("apiVersion")).0.to_owned();
    let kind = GroupKind { group, kind: text("kind") };
    kind.holds_data() || (kind.group == "apps" && kind.kind == "StatefulSet")
}

/// Returns whether a live object says, with Flux's word for it, that nobody is to write it: a brake by hand.
#[must_use]
pub fn is_braked(live: &Value) -> bool {
    Notes::of(live).has(FLUX_RECONCILE, "disabled")
}

/// Returns whether an object says itself that its drift is looked at, whatever its application says.
#[must_use]
pub fn asks_for_heal(object: &Value) -> bool {
    matches!(Wish::of(object).self_heal, Some(SelfHeal::Correct | SelfHeal::Report))
}

/// Reads a wave; others' words too are whole numbers of 32 bits.
fn wave(text: &str) -> Option<i32> {
    text.trim().parse().ok()
}

/// Reads a time of whole seconds, minutes or hours, in milliseconds.
fn deadline(text: &str) -> Option<u64> {
    let text = text.trim();
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let unit = match unit.to_ascii_lowercase().as_str() {
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    number.parse::<u64>().ok().filter(|number| *number > 0)?.checked_mul(unit)
}

fn pointers(text: &str) -> Result<Vec<Pointer>, String> {
    let words = text.split(|c: char| c == ',' || c.is_whitespace()).filter(|word| !word.is_empty());
    let found = words.take(POINTERS + 1).map(Pointer::parse).collect::<Result<Vec<_>, _>>()?;
    match found.len() {
        0 => Err("which names no field; write JSON pointers such as /spec/replicas".to_owned()),
        1..=POINTERS => Ok(found),
        _ => Err(format!("which names more than {POINTERS} fields")),
    }
}

#[cfg(test)]
mod tests;
