//! Whether an object is deleted and created anew, where its manifest changes what cannot be changed.
//!
//! A server answers a change of such a field as it answers any other value that is not valid, so its words about each
//! field are looked at. They are not trusted alone: whoever recreates an object has the server take it dry as a new one
//! first, which it does not where anything else is wrong.

use crate::annotation;
use crate::member;
use crate::object::Cause;
use crate::object::Live;
use crate::object::Manifest;

use super::Write;

/// How servers end what they have against a change of a field that cannot be changed.
const ENDS: [&str; 4] = [
    "is immutable",
    "is immutable when `immutable` is set",
    "may not change once set",
    "cannot change roleRef",
];

/// How they begin it.
const BEGINNINGS: [&str; 4] = [
    "Forbidden: updates to ",
    "Forbidden: pod updates may not change ",
    "Forbidden: spec is immutable after creation",
    "Forbidden: may not be changed in an update",
];

/// What is done about a write that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Force {
    /// It stays refused.
    Refused,
    /// It stays refused, and this is what its author could do.
    Unasked(String),
    /// The object is deleted and created anew, because of these fields.
    Recreated(Vec<String>),
}

/// Decides what is done about a write of the set `set` of `manager` that was refused for these causes. Only what is ours
/// is deleted, only for fields that cannot be changed, and what holds data only where the manifest says even that.
#[must_use]
pub fn force(write: &Write, set: &str, manager: &str, causes: &[Cause]) -> Force {
    let Some(live) = write.live.as_ref().filter(|_| is_immutable(causes)) else { return Force::Refused };
    if live.label(member::PART_OF) != Some(set) || !super::is_ours(live, manager) {
        return Force::Refused;
    }
    let unasked = |value: &str, how: &str| {
        let word = format!("windlass.dev/force: {value}");
        Force::Unasked(format!("what differs cannot be changed; annotate it with {word} to have it {how}"))
    };
    match write.wish.force {
        annotation::Force::WithDataLoss => {}
        _ if holds_data(live, &write.manifest) => {
            return unasked("enabled-with-data-loss", "deleted with all that it holds and created anew");
        }
        annotation::Force::Enabled => {}
        annotation::Force::Disabled => return unasked("enabled", "deleted and created anew"),
    }
    Force::Recreated(causes.iter().map(|cause| cause.field.clone()).collect())
}

/// Returns whether all that is wrong is that something cannot be changed.
fn is_immutable(causes: &[Cause]) -> bool {
    let is_about_change = |cause: &Cause| {
        let words = cause.message.trim_end_matches('.');
        ENDS.iter().any(|end| words.ends_with(end)) || BEGINNINGS.iter().any(|begin| words.starts_with(begin))
    };
    !causes.is_empty() && causes.iter().all(is_about_change)
}

/// Returns whether more than the object would go: by its kind, or as a set of pods with volumes of their own.
fn holds_data(live: &Live, manifest: &Manifest) -> bool {
    let claims = |value: &serde_json::Value| {
        let claims = value.pointer("/spec/volumeClaimTemplates").and_then(serde_json::Value::as_array);
        claims.is_some_and(|claims| !claims.is_empty())
    };
    let set = live.id.kind == "StatefulSet" && (claims(&live.value) || claims(&manifest.value));
    live.id.group_kind().holds_data() || set
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use serde_json::json;

    use super::Force;
    use super::force;
    use crate::annotation::Wish;
    use crate::member::PART_OF;
    use crate::object::Cause;
    use crate::object::Live;
    use crate::object::Manifest;
    use crate::object::Place;
    use crate::plan::Write;

    fn causes(messages: &[&str]) -> Vec<Cause> {
        let of = |message: &&str| Cause { field: "spec.x".to_owned(), message: (*message).to_owned() };
        messages.iter().map(of).collect()
    }

    fn write(kind: &str, says: &str, label: &str, spec: Value) -> Write {
        let (version, managers) = ("apps/v1", json!([{ "manager": "windlass:shop", "operation": "Apply" }]));
        let metadata = json!({ "name": "x", "labels": { PART_OF: label }, "managedFields": managers,
            "annotations": { "windlass.dev/force": says } });
        let version = if kind == "StatefulSet" { version } else { "v1" };
        let value = json!({ "apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec });
        let live = Live::read(value.clone()).unwrap();
        let place = Place { file: "a".into(), document: 1, line: 1 };
        let (id, api_version, wish) = (live.id.clone(), live.api_version.clone(), Wish::of(&value));
        Write { manifest: Manifest { id, api_version, value, place }, live: Some(live), wish }
    }

    #[test]
    fn only_what_cannot_be_changed_is_forced() {
        let cases = [
            (vec!["Invalid value: core.PodTemplateSpec{}: field is immutable"], true),
            (vec!["Forbidden: field is immutable when `immutable` is set"], true),
            (vec!["Invalid value: [\"10.0.0.1\"]: may not change once set"], true),
            (vec!["Invalid value: {}: cannot change roleRef"], true),
            (vec!["Forbidden: updates to parameters are forbidden."], true),
            (
                vec!["Forbidden: updates to statefulset spec for fields other than 'replicas' are forbidden"],
                true,
            ),
            (vec!["Forbidden: pod updates may not change fields other than `spec.tolerations`\n{}"], true),
            (vec!["field is immutable", "field is immutable"], true),
            (vec!["field is immutable", "Invalid value: 70000: must be between 1 and 65535"], false),
            (vec!["Invalid value: \"field is immutable\": must be a number"], false),
            (vec!["Required value"], false),
            (vec![], false),
        ];
        for (messages, forced) in cases {
            let found = force(
                &write("Service", "enabled", "us", json!({})),
                "us",
                "windlass:shop",
                &causes(&messages),
            );
            let fields = messages.iter().map(|_| "spec.x".to_owned()).collect();
            assert_eq!(found, if forced { Force::Recreated(fields) } else { Force::Refused }, "{messages:?}");
        }
    }

    #[test]
    fn what_holds_data_is_forced_only_where_even_that_is_asked_for() {
        let claims = json!({ "volumeClaimTemplates": [{}] });
        let (yes, even, no) = ("enabled", "enabled-with-data-loss", "disabled");
        let cases = [
            ("Service", yes, json!({}), "forced"),
            ("Service", even, json!({}), "forced"),
            ("Service", no, json!({}), "force: enabled"),
            ("PersistentVolumeClaim", yes, json!({}), "force: enabled-with-data-loss"),
            ("PersistentVolumeClaim", no, json!({}), "force: enabled-with-data-loss"),
            ("PersistentVolumeClaim", even, json!({}), "forced"),
            ("Namespace", yes, json!({}), "force: enabled-with-data-loss"),
            ("StatefulSet", yes, json!({}), "forced"),
            ("StatefulSet", yes, claims.clone(), "force: enabled-with-data-loss"),
            ("StatefulSet", even, claims, "forced"),
        ];
        for (kind, says, spec, expected) in cases {
            let found =
                force(&write(kind, says, "us", spec), "us", "windlass:shop", &causes(&["is immutable"]));
            let told = match &found {
                Force::Recreated(_) => "forced".to_owned(),
                Force::Unasked(why) => why.clone(),
                Force::Refused => "refused".to_owned(),
            };
            assert!(told.contains(&format!("{expected} ")) || told == expected, "{kind} {says}: {told}");
        }
    }

    #[test]
    fn only_what_is_ours_is_forced() {
        let immutable = causes(&["is immutable"]);
        for (label, manager) in [("them", "windlass:shop"), ("us", "windlass:blog")] {
            let write = write("Service", "enabled", label, json!({}));
            assert_eq!(force(&write, "us", manager, &immutable), Force::Refused, "{label} {manager}");
        }
        let mut absent = write("Service", "enabled", "us", json!({}));
        absent.live = None;
        assert_eq!(force(&absent, "us", "windlass:shop", &immutable), Force::Refused);
    }
}
