//! Kinds of objects, as settings name them.

use crate::object::GroupKind;
use crate::settings::checks;

/// The kinds of the core group that can be declared.
const CORE: [&str; 15] = [
    "ConfigMap",
    "Endpoints",
    "Event",
    "LimitRange",
    "Namespace",
    "Node",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "Pod",
    "PodTemplate",
    "ReplicationController",
    "ResourceQuota",
    "Secret",
    "Service",
    "ServiceAccount",
];

/// Returns whether the core group has a kind of this name.
pub fn is_core(kind: &str) -> bool {
    CORE.contains(&kind)
}

/// Reads a kind, as `Kind` where it is one of the core group, or as `Kind.group`.
pub fn group_kind(text: &str) -> Result<GroupKind, String> {
    let (kind, group) = text.split_once('.').unwrap_or((text, ""));
    let is_kind =
        kind.starts_with(|c: char| c.is_ascii_uppercase()) && kind.chars().all(|c| c.is_ascii_alphanumeric());
    let is_group = group.is_empty() || group.split('.').all(checks::is_label);
    if !is_kind || !is_group || (group.is_empty() && !is_core(kind)) {
        return Err(format!(
            "is no kind: give it with its group, such as \"StatefulSet.apps\", or as \"Secret\" where it is of the core \
             group, not \"{}\"",
            text.chars().take(40).collect::<String>()
        ));
    }
    Ok(GroupKind { group: group.to_owned(), kind: kind.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::group_kind;

    #[test]
    fn a_kind_is_named_with_its_group() {
        for (text, expected) in [
            ("Secret", Some(("", "Secret"))),
            ("StatefulSet.apps", Some(("apps", "StatefulSet"))),
            ("Certificate.cert-manager.io", Some(("cert-manager.io", "Certificate"))),
            ("StatefulSet", None),
            ("secrets", None),
            ("StatefulSet.", None),
            ("StatefulSet.Apps", None),
            (".apps", None),
            ("", None),
        ] {
            let found = group_kind(text).ok();
            let found = found.as_ref().map(|one| (one.group.as_str(), one.kind.as_str()));
            assert_eq!(found, expected, "{text}");
        }
    }
}
