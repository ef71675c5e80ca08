//! What stands on an object: its annotations and labels, as they are looked at.

use serde_json::Map;
use serde_json::Value;

use super::ARGO_FAILED;
use super::ARGO_HOOK;
use super::ARGO_HOOK_DELETE;
use super::ARGO_WAVE;
use super::Annotation;
use super::DEADLINE;
use super::FAILED;
use super::FINISHED;
use super::FLUX;
use super::HELM_HOOK_DELETE;
use super::HELM_WEIGHT;
use super::HOOK;
use super::HOOK_DELETE;
use super::IGNORE;
use super::SUCCEEDED;
use super::WAVE;
use super::wave;

/// The annotations and labels of an object.
pub(super) struct Notes<'a> {
    pub(super) annotations: Option<&'a Map<String, Value>>,
    labels: Option<&'a Map<String, Value>>,
}

impl<'a> Notes<'a> {
    pub(super) fn of(object: &'a Value) -> Self {
        let of = |field: &str| object.get("metadata")?.get(field)?.as_object();
        Self { annotations: of("annotations"), labels: of("labels") }
    }

    pub(super) fn text(&self, key: &str) -> Option<&'a str> {
        self.annotations?.get(key)?.as_str()
    }

    /// Returns the wave; what is no number asks for none.
    pub(super) fn wave(&self) -> i32 {
        let others = || self.text(ARGO_WAVE).or_else(|| self.text(HELM_WEIGHT));
        self.text(WAVE).or_else(others).and_then(wave).unwrap_or_default()
    }

    /// Is this row asked for, in windlass's own word or, where it has none for the key, in another's?
    pub(super) fn asks(&self, row: &Annotation) -> bool {
        match self.text(row.key) {
            Some(_) if [IGNORE, WAVE, DEADLINE].contains(&row.key) => true,
            None if row.key == WAVE => self.text(ARGO_WAVE).or_else(|| self.text(HELM_WEIGHT)).is_some(),
            Some(text) => row.value.eq_ignore_ascii_case(text.trim()),
            None => row.alike.iter().any(|(key, value)| self.has(key, value)),
        }
    }

    /// Is it a hook for what failed, in windlass's own word or, where it has none, in Argo CD's?
    pub(super) fn names_failure(&self) -> bool {
        let own = self.text(HOOK).map(|text| text.trim().eq_ignore_ascii_case(FAILED));
        own.unwrap_or_else(|| self.has(ARGO_HOOK, ARGO_FAILED))
    }

    /// Is it a hook that is deleted where its rollout succeeds, and one that is deleted where it failed? Others' lists may
    /// say both.
    pub(super) fn cleared(&self) -> (bool, bool) {
        match self.text(HOOK_DELETE).map(str::trim) {
            Some(own) => {
                let is = |word: &str| own.eq_ignore_ascii_case(word) || own.eq_ignore_ascii_case(FINISHED);
                (is(SUCCEEDED), is(FAILED))
            }
            None => {
                let has = |argo: &str, helm: &str| {
                    self.has(ARGO_HOOK_DELETE, argo) || self.has(HELM_HOOK_DELETE, helm)
                };
                (has("HookSucceeded", "hook-succeeded"), has("HookFailed", "hook-failed"))
            }
        }
    }

    /// Argo CD's values are lists, and Flux looks at labels too.
    pub(super) fn has(&self, key: &str, value: &str) -> bool {
        let label =
            self.labels.filter(|_| key.starts_with(FLUX)).and_then(|labels| labels.get(key)?.as_str());
        let texts = self.text(key).into_iter().chain(label);
        texts.flat_map(|text| text.split(',')).any(|one| one.trim().eq_ignore_ascii_case(value))
    }
}
