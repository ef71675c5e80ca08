//! Whether somebody else changed what an application applied, told from an object's metadata alone.
//!
//! When another manager changes a field that was applied, the server takes that field out of what the application is
//! noted to own, and leaves the time of that note as it is; when the application applies something else, the note gets a
//! new time. So a note that shrank in its old time is the trace of somebody else. A status that is written, and fields
//! that nobody applied, leave no such trace.

use serde_json::Value;
use sha2::Digest;
use sha2::Sha256;

use crate::annotation;
use crate::object::ObjectId;

/// What is remembered of a member of an application's set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sight {
    uid: String,
    /// The time of the note of what the application applied; `None` where there is no note.
    applied_at: Option<String>,
    /// A digest of that note.
    owned: [u8; 32],
    /// Does the object say itself that its drift is looked at?
    own: bool,
}

impl Sight {
    /// Looks at an object's metadata, which holds its `managedFields`; `manager` is the application's.
    #[must_use]
    pub fn of(object: &Value, manager: &str) -> Self {
        let entry = super::entry(object, manager);
        let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
        let entry = entry.filter(|entry| !annotation::Wish::of(object).is_made_anew() && !is_timed(entry));
        let fields = entry.and_then(|entry| entry.get("fieldsV1")).map(ToString::to_string);
        Self {
            uid: text(object.pointer("/metadata/uid")).unwrap_or_default(),
            applied_at: text(entry.and_then(|entry| entry.get("time"))),
            owned: Sha256::digest(fields.unwrap_or_default()).into(),
            own: annotation::asks_for_heal(object),
        }
    }

    /// Returns whether the application itself ever applied the object, as one that is to stay. What only carries its label is
    /// no member, hooks come and go, and Jobs that it gave a time to live go by themselves.
    #[must_use]
    pub fn is_applied(&self) -> bool {
        self.applied_at.is_some()
    }

    /// Returns a number that tells what the application owns of an object of this id; 0 where it applied none of it.
    #[must_use]
    pub fn mark(&self, id: &ObjectId) -> u64 {
        if !self.is_applied() {
            return 0;
        }
        let name =
            format!("{}/{}/{}/{}", id.group, id.kind, id.namespace.as_deref().unwrap_or_default(), id.name);
        let digest = Sha256::new().chain_update(name).chain_update(self.owned).finalize();
        digest.iter().take(size_of::<u64>()).fold(0, |number, byte| (number << 8) | u64::from(*byte))
    }

    /// Returns whether the object says itself that its drift is looked at, whatever its application says.
    #[must_use]
    pub fn asks_for_heal(&self) -> bool {
        self.own
    }

    /// Returns whether somebody else changed the object between this sight and a later one.
    #[must_use]
    pub fn was_meddled_with(&self, later: &Self) -> bool {
        self.is_applied()
            && self.uid == later.uid
            && (!later.is_applied() || (self.applied_at == later.applied_at && self.owned != later.owned))
    }
}

/// How the versions of Jobs begin; no other kind of that group has a time to live of its own.
const JOBS: &str = "batch/";

/// Returns whether a note says that the application gave a Job a time to live: metadata holds no more of it.
fn is_timed(entry: &Value) -> bool {
    let of_jobs =
        entry.get("apiVersion").and_then(Value::as_str).is_some_and(|version| version.starts_with(JOBS));
    of_jobs && entry.pointer("/fieldsV1/f:spec/f:ttlSecondsAfterFinished").is_some()
}

/// Returns when the application applied an object last, as the server notes it: other fields than before, that is.
#[must_use]
pub fn applied_at<'a>(object: &'a Value, manager: &str) -> Option<&'a str> {
    super::entry(object, manager)?.get("time")?.as_str()
}

/// Returns who wrote an object after the application applied it last, with the time, as the server notes them: the latest
/// of those who wrote more than its status. Nobody where there is none.
#[must_use]
pub fn latest_other<'a>(object: &'a Value, manager: &str) -> Option<(&'a str, &'a str)> {
    let text = |entry: &'a Value, field: &str| entry.get(field).and_then(Value::as_str);
    let applied_at = super::entry(object, manager).and_then(|entry| text(entry, "time")).unwrap_or_default();
    let entries = object.pointer("/metadata/managedFields").and_then(Value::as_array)?;
    let others = entries.iter().filter(|entry| text(entry, "subresource") != Some("status"));
    let others = others.filter_map(|entry| Some((text(entry, "manager")?, text(entry, "time")?)));
    // Times are in one form, so that they sort as texts.
    others.filter(|(name, time)| *name != manager && *time >= applied_at).max_by_key(|(_, time)| *time)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use serde_json::json;

    use super::Sight;
    use super::latest_other;

    const US: &str = "windlass:shop";

    fn object(uid: &str, entries: Value) -> Value {
        json!({ "metadata": { "uid": uid, "managedFields": entries } })
    }

    fn entry(manager: &str, operation: &str, time: &str, fields: Value) -> Value {
        json!({ "manager": manager, "operation": operation, "time": time, "fieldsV1": fields })
    }

    #[test]
    fn only_what_was_taken_from_us_is_meddling() {
        let both = json!({ "f:a": {}, "f:b": {} });
        let one = json!({ "f:a": {} });
        let before = Sight::of(&object("1", json!([entry(US, "Apply", "10", both.clone())])), US);
        let other = entry("kubectl-edit", "Update", "11", json!({ "f:b": {} }));
        let cases = [
            ("as it was", "1", json!([entry(US, "Apply", "10", both.clone())]), false),
            ("a field was taken", "1", json!([entry(US, "Apply", "10", one.clone()), other.clone()]), true),
            (
                "a field of nobody's was set",
                "1",
                json!([entry(US, "Apply", "10", both.clone()), other.clone()]),
                false,
            ),
            ("all was taken", "1", json!([other]), true),
            ("we applied less", "1", json!([entry(US, "Apply", "12", one)]), false),
            ("it is another object", "2", json!([entry(US, "Apply", "12", both)]), false),
        ];
        for (name, uid, entries, expected) in cases {
            let later = Sight::of(&object(uid, entries), US);
            assert_eq!(before.was_meddled_with(&later), expected, "{name}");
        }
        let copied = Sight::of(&object("1", json!([entry("copier", "Update", "10", json!({}))])), US);
        assert!(!copied.is_applied() && !copied.was_meddled_with(&before));
    }

    #[test]
    fn the_latest_other_is_named() {
        let status =
            json!({ "manager": "controller", "operation": "Update", "time": "30", "subresource": "status" });
        let entries = json!([
            entry("before", "Update", "09", json!({})),
            entry(US, "Apply", "10", json!({})),
            entry("first", "Update", "11", json!({})),
            entry("second", "Apply", "12", json!({})),
            status,
        ]);
        assert_eq!(latest_other(&object("1", entries), US), Some(("second", "12")));
        let alone = json!([entry("before", "Update", "09", json!({})), entry(US, "Apply", "10", json!({}))]);
        assert_eq!(latest_other(&object("1", alone), US), None);
    }
}
