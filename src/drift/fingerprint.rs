//! What the answer to a dry-run depends on, as a number by which it is found again.

use std::io;

use serde_json::Value;
use sha2::Digest;
use sha2::Sha256;

/// The metadata that changes without a change of what a dry-run would answer; who owns what is told apart below.
const PASSING: [&str; 3] = ["managedFields", "resourceVersion", "generation"];

/// Returns a digest of a manifest, of the live object without its status, and of the fields that `manager` owns. While
/// it stays the same, so does what the server would make of the manifest.
#[must_use]
pub fn fingerprint(live: &Value, manifest: &Value, manager: &str) -> [u8; 32] {
    let mut into = Sink(Sha256::new());
    into.put("manifest", manifest);
    for (key, value) in live.as_object().into_iter().flatten().filter(|(key, _)| *key != "status") {
        if key != "metadata" {
            into.put(key, value);
            continue;
        }
        let metadata = value.as_object().into_iter().flatten();
        for (key, value) in metadata.filter(|(key, _)| !PASSING.contains(&key.as_str())) {
            into.put(key, value);
        }
    }
    into.put("owned", super::owned(live, manager).unwrap_or(&Value::Null));
    into.0.finalize().into()
}

struct Sink(Sha256);

impl Sink {
    fn put(&mut self, key: &str, value: &Value) {
        // JSON ends where it ends, so that no two lists of these are written alike.
        self.0.update(key.len().to_le_bytes());
        self.0.update(key);
        // Writing into a digest fails never.
        drop(serde_json::to_writer(&mut *self, value));
    }
}

impl io::Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use serde_json::json;

    use super::fingerprint;

    #[test]
    fn it_changes_with_what_a_dry_run_looks_at() {
        let live = json!({ "spec": { "a": 1 }, "status": { "b": 2 }, "metadata": { "labels": { "c": "3" },
            "resourceVersion": "4", "generation": 5, "managedFields": [
                { "manager": "us", "operation": "Apply", "time": "now", "fieldsV1": { "f:spec": {} } },
                { "manager": "them", "operation": "Update", "time": "now", "fieldsV1": {} } ] } });
        let manifest = json!({ "spec": { "a": "1" } });
        let at_first = fingerprint(&live, &manifest, "us");
        let changed = |pointer: &str, value: Value| {
            let mut live = live.clone();
            *live.pointer_mut(pointer).unwrap() = value;
            fingerprint(&live, &manifest, "us") != at_first
        };
        let cases = [
            ("/spec/a", true),
            ("/metadata/labels/c", true),
            ("/metadata/managedFields/0/fieldsV1", true),
            ("/metadata/managedFields/0/manager", true),
            ("/metadata/managedFields/0/time", false),
            ("/metadata/managedFields/1/fieldsV1", false),
            ("/metadata/resourceVersion", false),
            ("/metadata/generation", false),
            ("/status/b", false),
        ];
        for (pointer, expected) in cases {
            assert_eq!(changed(pointer, json!("other")), expected, "{pointer}");
        }
        assert_ne!(at_first, fingerprint(&live, &json!({ "spec": { "a": 1 } }), "us"));
        assert_ne!(at_first, fingerprint(&live, &manifest, "them"));
    }
}
