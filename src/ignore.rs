//! Rules of the settings about what is left to others: fields of objects, and what some managers set there.

use serde::Deserialize;
use serde::Serialize;

use crate::object::GroupKind;
use crate::object::ObjectId;

/// A rule about the objects of one kind, as an application carries it. What it leaves to others is neither written nor
/// compared, as where the annotation [`crate::annotation::IGNORE`] of an object says so.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IgnoreRule {
    /// The kind.
    pub kind: GroupKind,
    /// The namespace of the objects; `None` for any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Their name; `None` for any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The fields that are left to others once the object exists, as JSON pointers (RFC 6901).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<String>,
    /// The field managers to whom is left what they set.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub managers: Vec<String>,
}

impl IgnoreRule {
    /// Returns whether the rule is about an object.
    #[must_use]
    pub fn fits(&self, id: &ObjectId) -> bool {
        let same = |asked: &Option<String>, found: Option<&str>| {
            asked.as_deref().is_none_or(|asked| found == Some(asked))
        };
        self.kind.group == id.group
            && self.kind.kind == id.kind
            && same(&self.namespace, id.namespace.as_deref())
            && same(&self.name, Some(&id.name))
    }
}

#[cfg(test)]
mod tests {
    use super::IgnoreRule;
    use crate::object::ObjectId;

    #[test]
    fn a_rule_is_about_a_kind_and_what_else_it_names() {
        let web = r#"{"group":"apps","kind":"Deployment","namespace":"shop","name":"web"}"#;
        let web: ObjectId = serde_json::from_str(web).unwrap();
        for (rule, fits) in [
            (r#"{"kind":{"group":"apps","kind":"Deployment"}}"#, true),
            (r#"{"kind":{"group":"","kind":"Deployment"}}"#, false),
            (r#"{"kind":{"group":"apps","kind":"StatefulSet"}}"#, false),
            (r#"{"kind":{"group":"apps","kind":"Deployment"},"namespace":"shop"}"#, true),
            (r#"{"kind":{"group":"apps","kind":"Deployment"},"namespace":"blog"}"#, false),
            (r#"{"kind":{"group":"apps","kind":"Deployment"},"name":"web"}"#, true),
            (r#"{"kind":{"group":"apps","kind":"Deployment"},"namespace":"shop","name":"we"}"#, false),
        ] {
            let read: IgnoreRule = serde_json::from_str(rule).unwrap();
            assert_eq!(read.fits(&web), fits, "{rule}");
            assert_eq!(serde_json::to_string(&read).unwrap(), rule);
        }
        let rule: IgnoreRule =
            serde_json::from_str(r#"{"kind":{"group":"apps","kind":"Deployment"},"namespace":"a"}"#).unwrap();
        assert!(!rule.fits(&ObjectId { namespace: None, ..web }), "what is in no namespace is in no other");
    }
}
