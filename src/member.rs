//! Whose an object is: the label and the field manager by which members are told from everything else.

use crate::application::Name;
use crate::object::Live;

/// The label that every member carries (KEP-3659); its value is the id of the set.
pub const PART_OF: &str = "applyset.kubernetes.io/part-of";
/// The label of a set's parent; its value is the id of the set.
pub const SET: &str = "applyset.kubernetes.io/id";

/// The start of the name of each parent, in windlass's own namespace.
pub const RECORD: &str = "windlass-";

/// The start of the name of each application's field manager.
pub const MANAGER: &str = "windlass:";

/// Returns the field manager of an application, which is how other tools and people see who set a field.
#[must_use]
pub fn manager(application: &Name) -> String {
    format!("{MANAGER}{application}")
}

/// Returns who owns a live object, as far as its labels and managers tell: nobody, this set, or another set by the
/// name of its application where windlass wrote it. What lost its label is still that of the one application that applied
/// it.
#[must_use]
pub fn owner(live: &Live, set: &str) -> Owner {
    match live.label(PART_OF) {
        None => only_applier(live).map_or(Owner::Nobody, |name| Owner::Other(format!("application {name}"))),
        Some(label) if label == set => Owner::Us,
        Some(label) => {
            let windlass = live.managers().find_map(|(manager, _)| manager.strip_prefix(MANAGER));
            Owner::Other(windlass.map_or_else(|| label.to_owned(), |name| format!("application {name}")))
        }
    }
}

/// Returns the application of windlass that a live object belongs to, where who applied it and its label agree on one; or
/// where it lost its label, the one that applied it. `set_of` gives the id of an application's set.
#[must_use]
pub fn owning_application(live: &Live, set_of: impl Fn(&Name) -> String) -> Option<Name> {
    match live.label(PART_OF) {
        Some(label) => appliers(live).find(|name| set_of(name) == label),
        None => only_applier(live),
    }
}

/// Returns the applications of windlass that applied a live object.
fn appliers(live: &Live) -> impl Iterator<Item = Name> {
    let applied = live.managers().filter(|(_, operation)| *operation == "Apply");
    applied.filter_map(|(manager, _)| Name::parse(manager.strip_prefix(MANAGER)?).ok())
}

/// Returns the application of windlass that applied a live object, where it is one.
fn only_applier(live: &Live) -> Option<Name> {
    let mut names = appliers(live);
    names.next().filter(|_| names.next().is_none())
}

/// Whose an object is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    /// It carries no membership label.
    Nobody,
    /// It is a member of this set.
    Us,
    /// It is a member of another set, named as well as can be.
    Other(String),
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Owner;
    use super::owner;
    use super::owning_application;
    use crate::application::Name;
    use crate::object::Live;

    #[test]
    fn an_application_is_the_owner_where_label_and_manager_agree() {
        let cases = [
            (Some("set-blog"), "windlass:blog", Some("blog")),
            (Some("set-shop"), "windlass:blog", None),
            (Some("set-blog"), "kubectl", None),
            (None, "windlass:blog", Some("blog")),
            (None, "kubectl", None),
        ];
        for (label, manager, expected) in cases {
            let labels = label.map_or_else(|| json!({}), |label| json!({ super::PART_OF: label }));
            let managers = json!([{ "manager": manager, "operation": "Apply" }]);
            let metadata = json!({ "name": "web", "labels": labels, "managedFields": managers });
            let live =
                Live::read(json!({ "apiVersion": "v1", "kind": "Service", "metadata": metadata })).unwrap();
            let owner = owning_application(&live, |name| format!("set-{name}"));
            assert_eq!(owner.as_ref().map(Name::as_str), expected, "{label:?} {manager}");
        }
    }

    #[test]
    fn owners_are_named() {
        let live = |labels, managers| {
            let metadata = json!({ "name": "web", "labels": labels, "managedFields": managers });
            Live::read(json!({ "apiVersion": "v1", "kind": "Service", "metadata": metadata })).unwrap()
        };
        let cases = [
            (live(json!({}), json!([])), Owner::Nobody),
            (live(json!({ super::PART_OF: "us" }), json!([])), Owner::Us),
            (live(json!({ super::PART_OF: "x" }), json!([])), Owner::Other("x".into())),
            (
                live(
                    json!({ super::PART_OF: "x" }),
                    json!([{ "manager": "windlass:shop", "operation": "Apply" }]),
                ),
                Owner::Other("application shop".into()),
            ),
        ];
        for (live, expected) in cases {
            assert_eq!(owner(&live, "us"), expected);
        }
    }
}
