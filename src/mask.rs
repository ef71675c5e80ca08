//! Keeps the contents of Secrets out of words that people read.

use base64::Engine;
use serde_json::Value;

use crate::object::Manifest;

/// What stands where a secret value stood.
const MASK: &str = "***";

/// How short may a secret value be and still be looked for? Shorter ones would blot out ordinary words.
const SHORTEST: usize = 3;

/// Returns a server's words about a manifest, without the values that the manifest holds if it is a Secret.
///
/// An API server quotes the value that it refuses; for a Secret every text and number of `data` and `stringData`
/// is replaced, in plain, in quoted, in encoded and in decoded form.
#[must_use]
pub fn mask(message: &str, manifest: &Manifest) -> String {
    if !manifest.id.group.is_empty() || manifest.id.kind != "Secret" {
        return message.to_owned();
    }
    let mut values = Vec::new();
    for field in ["data", "stringData"] {
        collect(manifest.value.get(field), &mut values);
    }
    for (field, other) in [("data", decoded as fn(&str) -> Option<String>), ("stringData", encoded)] {
        let texts =
            manifest.value.get(field).and_then(Value::as_object).into_iter().flat_map(|map| map.values());
        for text in texts.filter_map(Value::as_str).filter_map(other) {
            collect(Some(&Value::String(text)), &mut values);
        }
    }
    // The longest first, so that a value that contains another is hidden whole.
    values.sort_by_key(|value| std::cmp::Reverse(value.len()));
    values.iter().fold(message.to_owned(), |text, value| text.replace(value.as_str(), MASK))
}

fn decoded(text: &str) -> Option<String> {
    let bytes = base64::engine::general_purpose::STANDARD.decode(text.trim()).ok()?;
    String::from_utf8(bytes).ok()
}

fn encoded(text: &str) -> Option<String> {
    Some(base64::engine::general_purpose::STANDARD.encode(text))
}

fn collect(value: Option<&Value>, values: &mut Vec<String>) {
    match value {
        Some(Value::String(text)) => {
            values
                .extend(text.lines().map(str::trim).filter(|line| line.len() >= SHORTEST).map(str::to_owned));
            if text.len() >= SHORTEST {
                values.push(text.clone());
                values.push(format!("{text:?}").trim_matches('"').to_owned());
            }
        }
        Some(Value::Number(number)) => values.push(number.to_string()),
        Some(Value::Array(items)) => items.iter().for_each(|item| collect(Some(item), values)),
        Some(Value::Object(fields)) => fields.values().for_each(|field| collect(Some(field), values)),
        Some(Value::Bool(_) | Value::Null) | None => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::mask;
    use crate::object::Manifest;
    use crate::object::ObjectId;
    use crate::object::Place;

    fn manifest(kind: &str, value: serde_json::Value) -> Manifest {
        let id = ObjectId { group: String::new(), kind: kind.into(), namespace: None, name: "x".into() };
        Manifest {
            id,
            api_version: "v1".into(),
            value,
            place: Place { file: "a".into(), document: 1, line: 1 },
        }
    }

    #[test]
    fn what_a_secret_holds_is_never_quoted() {
        let value = json!({ "data": { "a": "aHVudGVyMg==" }, "stringData": { "b": "hunter2\nsecond line", "n": 4711, "e": "second" } });
        let message = "c2Vjb25k expected string, got Value:4711; aHVudGVyMg== is bad; hunter2; second line; \"hunter2\\nsecond line\"";
        let said = mask(message, &manifest("Secret", value.clone()));
        for leak in ["c2Vjb25k", "4711", "aHVudGVyMg", "hunter2", "second line"] {
            assert!(!said.contains(leak), "{said}");
        }
        assert_eq!(mask(message, &manifest("ConfigMap", value)), message);
    }
}
