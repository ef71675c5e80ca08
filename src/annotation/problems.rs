//! What is wrong with windlass's own annotations of an object, for whoever wrote them.

use serde_json::Value;

use super::ANNOTATIONS;
use super::Annotation;
use super::DEADLINE;
use super::IGNORE;
use super::PREFIX;
use super::WAVE;
use super::deadline;
use super::notes::Notes;
use super::pointers;
use super::wave;

/// How many characters of an unknown key are repeated?
const KEY_CHARACTERS: usize = 80;

/// Returns what is wrong with windlass's own annotations of an object: unknown keys, and values that are none.
#[must_use]
pub fn problems(object: &Value) -> Vec<String> {
    let own = Notes::of(object).annotations.into_iter().flatten();
    own.filter(|(key, _)| key.starts_with(PREFIX)).filter_map(|(key, value)| wrong(key, value)).collect()
}

fn wrong(key: &str, value: &Value) -> Option<String> {
    let rows: Vec<&Annotation> = ANNOTATIONS.iter().filter(|row| row.key == key).collect();
    if rows.is_empty() {
        let key: String = key.chars().take(KEY_CHARACTERS).collect();
        let mut known: Vec<&str> =
            ANNOTATIONS.iter().filter_map(|row| row.key.strip_prefix(PREFIX)).collect();
        known.dedup();
        return Some(format!(
            "has the annotation {key}, which is none; after {PREFIX} comes {}",
            known.join(", ")
        ));
    }
    let Some(text) = value.as_str() else {
        return Some(format!("has the annotation {key} with a value that is no text; quote it"));
    };
    if key == IGNORE {
        return pointers(text).err().map(|why| format!("has the annotation {key}, {why}"));
    }
    if key == WAVE {
        let wrong = wave(text).is_none();
        return wrong.then(|| {
            format!("has the annotation {key} with a value that is no whole number, such as -1 or 2")
        });
    }
    if key == DEADLINE {
        let wrong = deadline(text).is_none();
        return wrong.then(|| {
            format!("has the annotation {key} with a value that is no time of at least 1s, such as 90s or 5m")
        });
    }
    if rows.iter().any(|row| row.value.eq_ignore_ascii_case(text.trim())) {
        return None;
    }
    let words: Vec<&str> = rows.iter().map(|row| row.value).collect();
    Some(format!("has the annotation {key} with a value that is none; it may be {}", words.join(", ")))
}
