//! Manifests to push.

/// Returns a ConfigMap with one value under `key`.
pub fn config_map(name: &str, value: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\ndata:\n  key: \"{value}\"\n")
}

/// Returns a Secret with one value under `password`.
pub fn secret(name: &str, value: &str) -> String {
    format!("apiVersion: v1\nkind: Secret\nmetadata:\n  name: {name}\nstringData:\n  password: \"{value}\"\n")
}

/// Returns a Deployment of one pod, which the bed's node makes ready in a fraction of a second.
pub fn deployment(name: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: {name}\nspec:\n  replicas: 1\n\
         \x20 selector: {{ matchLabels: {{ app: {name} }} }}\n  template:\n    metadata: {{ labels: {{ app: {name} }} }}\n\
         \x20   spec:\n      containers: [{{ name: web, image: example.org/web:1 }}]\n"
    )
}

/// Returns a Deployment whose pod waits for a node that does not exist, so that it never becomes ready.
pub fn stuck_deployment(name: &str) -> String {
    format!("{}      nodeSelector: {{ bed: nowhere }}\n", deployment(name))
}

/// Returns a Namespace.
pub fn namespace(name: &str) -> String {
    format!("apiVersion: v1\nkind: Namespace\nmetadata:\n  name: {name}\n")
}

/// Returns the definition of the kind `Widget` of a group, whose `spec.size` is a number.
pub fn definition(group: &str) -> String {
    format!(
        "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata:\n  name: widgets.{group}\nspec:\n\
         \x20 group: {group}\n  scope: Namespaced\n  names: {{ plural: widgets, singular: widget, kind: Widget }}\n\
         \x20 versions:\n  - name: v1\n    served: true\n    storage: true\n    schema:\n      openAPIV3Schema:\n\
         \x20       type: object\n        properties:\n          spec: {{ type: object, properties: {{ size: {{ type: integer }} }} }}\n"
    )
}

/// Returns where the API server has that definition.
pub fn definition_path(group: &str) -> String {
    format!("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.{group}")
}

/// Returns a `Widget` of a group.
pub fn widget(group: &str, name: &str, size: &str) -> String {
    format!("apiVersion: {group}/v1\nkind: Widget\nmetadata:\n  name: {name}\nspec:\n  size: {size}\n")
}
