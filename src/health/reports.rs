//! Objects of which nothing was reported yet, and which of their kinds are ever reported of.

use serde_json::Value;

use super::Health;
use super::Rules;
use super::built_in;
use super::group_and_kind;
use super::is_ignored;
use super::text;
use crate::object::is_kubernetes;

impl Health {
    /// The health of an object whose kind has conditions, and of which nothing was reported yet.
    #[must_use]
    pub fn unreported() -> Self {
        Self::waiting("its controller has reported nothing yet")
    }
}

impl Rules {
    /// Returns whether an object counts as healthy only because nothing was ever reported of it. Where its definition
    /// [has conditions](has_conditions), it is [`Health::unreported`].
    #[must_use]
    pub fn is_unreported(&self, live: &Value) -> bool {
        let observed = live.pointer("/status/observedGeneration").is_some();
        let conditions = live.pointer("/status/conditions").and_then(Value::as_array);
        let told = observed || conditions.is_some_and(|conditions| !conditions.is_empty());
        let own = is_kubernetes(group_and_kind(live).0);
        !own && !told
            && !is_silent(live)
            && !is_ignored(live)
            && self.rule(live).is_none()
            && built_in(live).is_none()
    }
}

/// The kinds whose definitions have conditions that their controllers leave empty, or fill only when something is wrong, by
/// group and kind; a group stands for those below it, and no kind for all of a group. Istio reports where its
/// `enableStatus` is set; Crossplane counts the users of a configuration, and no more; OLM tells of a group only what
/// hinders it.
const SILENT: [(&str, Option<&str>); 4] = [
    ("istio.io", None),
    ("crossplane.io", Some("ProviderConfig")),
    ("upbound.io", Some("ProviderConfig")),
    ("operators.coreos.com", Some("OperatorGroup")),
];

fn is_silent(live: &Value) -> bool {
    let (group, kind) = group_and_kind(live);
    let is_in =
        |above: &str| group.strip_suffix(above).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    SILENT.iter().any(|(above, only)| is_in(above) && only.is_none_or(|only| only == kind))
}

/// Returns whether the schema of a definition has conditions in the status of a version.
#[must_use]
pub fn has_conditions(definition: &Value, version: &str) -> bool {
    let versions = definition.pointer("/spec/versions").and_then(Value::as_array);
    let schema = "/schema/openAPIV3Schema/properties/status/properties/conditions";
    let mut versions = versions.into_iter().flatten();
    versions.any(|one| text(one, "/name") == Some(version) && one.pointer(schema).is_some())
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use serde_json::json;

    use super::Rules;
    use super::has_conditions;
    use crate::health::tests::object;

    #[test]
    fn what_is_never_reported_of_is_not_waited_for() {
        for (version, kind, waited_for) in [
            ("networking.istio.io/v1", "VirtualService", false),
            ("istio.io/v1", "Anything", false),
            ("networking.notistio.io/v1", "VirtualService", true),
            ("aws.upbound.io/v1beta1", "ProviderConfig", false),
            ("helm.crossplane.io/v1beta1", "ProviderConfig", false),
            ("helm.crossplane.io/v1beta1", "Release", true),
            ("operators.coreos.com/v1", "OperatorGroup", false),
            ("operators.coreos.com/v1alpha1", "Subscription", true),
        ] {
            let live = object(version, kind, json!({}), json!({}));
            assert_eq!(Rules::default().is_unreported(&live), waited_for, "{version} {kind}");
        }
    }

    #[test]
    fn what_a_definition_promises_is_waited_for() {
        let status = json!({ "properties": { "conditions": { "type": "array" } } });
        let version = |name: &str, status: Value| json!({ "name": name, "schema": { "openAPIV3Schema": { "properties": { "status": status } } } });
        let definition = json!({ "spec": { "versions": [version("v1", status), version("v2", json!({}))] } });
        assert!(has_conditions(&definition, "v1"));
        assert!(!has_conditions(&definition, "v2") && !has_conditions(&definition, "v3"));
        let custom = |status| object("example.org/v1", "Widget", json!({}), status);
        for (live, unreported) in [
            (custom(json!({})), true),
            (custom(json!({ "conditions": [] })), true),
            (custom(json!({ "phase": "Up" })), true),
            (custom(json!({ "observedGeneration": 2 })), false),
            (custom(json!({ "conditions": [{ "type": "Accepted", "status": "True" }] })), false),
            (object("apps/v1", "Deployment", json!({}), json!({})), false),
            (object("v1", "ConfigMap", json!({}), json!({})), false),
        ] {
            assert_eq!(Rules::default().is_unreported(&live), unreported, "{live}");
        }
    }
}
