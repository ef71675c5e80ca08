//! What becomes of a hook: an object that each rollout makes anew.
//!
//! A hook carries a mark of what its target read when it was made. So whoever goes on with a rollout, also after a crash,
//! sees which hooks are made already, and none runs twice for one commit unless somebody asks again after it failed.

use serde_json::Value;
use serde_json::json;
use sha2::Digest;
use sha2::Sha256;

use crate::annotation::Turn;
use crate::commit::Inputs;
use crate::object::Live;

use super::Write;

/// The annotation that says for what a hook was made.
const MARK: &str = "windlass.dev/hook-of";

/// How many bytes of the digest are written down? So few that are the same by chance would skip a hook.
const MARK_BYTES: usize = 16;

/// What is to become of a hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// It was made for this rollout: it is waited for.
    Made,
    /// Its turn was before, and it is gone since, as Jobs go that have a time to live.
    Passed,
    /// It is to be made.
    Missing,
    /// It is that of an earlier rollout, or failed in one that is tried again: it is deleted and made anew.
    Stale,
}

/// Decides about a hook. `mark` is what those of this rollout carry, `reached` the turn that a rollout that goes on had come
/// to; a pass that begins one has none.
#[must_use]
pub fn due(write: &Write, mark: &str, reached: Option<Turn>, has_failed: impl FnOnce(&Value) -> bool) -> Due {
    let Some(live) = &write.live else {
        let passed = reached.is_some_and(|turn| write.wish.turn() < turn);
        return if passed { Due::Passed } else { Due::Missing };
    };
    let failed = || reached.is_none() && has_failed(&live.value);
    if marked(live) != Some(mark) || failed() { Due::Stale } else { Due::Made }
}

/// Writes the mark of what a target reads into a hook, and returns it.
pub fn mark(write: &mut Write, inputs: &Inputs) -> String {
    note(write, Sha256::digest(&inputs.0).as_slice())
}

/// Writes the mark of a run that failed into the hook for that, and returns it: each failure has its own.
pub fn mark_failed(write: &mut Write, inputs: &Inputs, run: &str) -> String {
    note(write, Sha256::digest(format!("{}\n{run}", inputs.0)).as_slice())
}

fn note(write: &mut Write, digest: &[u8]) -> String {
    let mark: String = digest.iter().take(MARK_BYTES).map(|byte| format!("{byte:02x}")).collect();
    let metadata = write.manifest.value.get_mut("metadata").and_then(Value::as_object_mut);
    let annotations = metadata.map(|metadata| metadata.entry("annotations").or_insert_with(|| json!({})));
    if let Some(annotations) = annotations.and_then(Value::as_object_mut) {
        annotations.insert(MARK.to_owned(), json!(mark));
    }
    mark
}

fn marked(live: &Live) -> Option<&str> {
    live.value.get("metadata")?.get("annotations")?.get(MARK)?.as_str()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Due;
    use super::due;
    use super::mark;
    use super::mark_failed;
    use super::marked;
    use crate::annotation::Stage;
    use crate::annotation::Turn;
    use crate::annotation::Wish;
    use crate::commit::Inputs;
    use crate::object::Live;
    use crate::object::Manifest;
    use crate::object::Place;
    use crate::plan::Write;

    fn write() -> Write {
        let value = json!({ "apiVersion": "batch/v1", "kind": "Job", "metadata": { "name": "migrate",
            "annotations": { "windlass.dev/hook": "before" } } });
        let live = Live::read(value.clone()).unwrap();
        let place = Place { file: "a.yaml".into(), document: 1, line: 1 };
        let wish = Wish::of(&value);
        let manifest = Manifest { id: live.id, api_version: live.api_version, value, place };
        Write { manifest, live: None, wish }
    }

    #[test]
    fn a_failure_has_a_mark_of_its_own() {
        let (mut hook, inputs) = (write(), Inputs("tree".into()));
        let marks = [
            mark(&mut hook, &inputs),
            mark_failed(&mut hook, &inputs, "1"),
            mark_failed(&mut hook, &inputs, "2"),
        ];
        let again = mark_failed(&mut hook, &inputs, "2");
        assert_eq!(marked(&Live::read(hook.manifest.value.clone()).unwrap()), Some(again.as_str()));
        assert!(marks[0] != marks[1] && marks[1] != marks[2] && marks[2] == again, "{marks:?}");
    }

    #[test]
    fn a_hook_is_due_once_in_a_rollout() {
        let mut hook = write();
        let now = mark(&mut hook, &Inputs("tree".into()));
        let made = Live::read(hook.manifest.value.clone()).unwrap();
        let before = mark(&mut write(), &Inputs("other".into()));
        assert!(now != before && now.len() == 32, "{now} {before}");
        let (here, sync) = (Turn { stage: Stage::Before, wave: 0 }, Turn { stage: Stage::Sync, wave: 0 });
        // is it there, its mark, where the rollout is, has it failed → what it is due for
        let cases = [
            (false, &now, None, false, Due::Missing),
            (false, &now, Some(here), false, Due::Missing),
            (false, &now, Some(sync), false, Due::Passed),
            (true, &now, None, false, Due::Made),
            (true, &now, None, true, Due::Stale),
            (true, &now, Some(sync), true, Due::Made),
            (true, &before, None, false, Due::Stale),
            (true, &before, Some(here), false, Due::Stale),
        ];
        for (there, mark, reached, failed, expected) in cases {
            let hook = Write { live: there.then(|| made.clone()), ..hook.clone() };
            assert_eq!(
                due(&hook, mark, reached, |_| failed),
                expected,
                "{there} {mark} {reached:?} {failed}"
            );
        }
    }
}
