//! Lists, custom resources, Secrets, and what others do.

use super::*;

pub const LISTS: &[Case] = &[
    case("env in another order", CONTAINER, ["env: [{ name: A, value: a }, { name: B, value: b }]", "env: [{ name: B, value: b }, { name: A, value: a }]"], Changes(&["template.spec.containers[0].env[0].name", "template.spec.containers[0].env[0].value", "template.spec.containers[0].env[1].name", "template.spec.containers[0].env[1].value"])),
    case("an env less", CONTAINER, ["env: [{ name: A, value: a }, { name: B, value: b }]", "env: [{ name: B, value: b }]"], Changes(&["template.spec.containers[0].env"])),
    case("an env from elsewhere", CONTAINER, ["env: [{ name: A, value: a }]", "env: [{ name: A, valueFrom: { fieldRef: { fieldPath: metadata.name } } }]"], Changes(&["template.spec.containers[0].env[0].value", "template.spec.containers[0].env[0].valueFrom"])),
    case("an env twice", CONTAINER, ["env: [{ name: A, value: a }]", "env: [{ name: A, value: a }, { name: A, value: b }]"], Refuses("duplicate")),
    case("an env that others added", CONTAINER, ["env: [{ name: A, value: a }]", "env: [{ name: A, value: a }]"], Same).after(Apply("env: [{ name: B, value: b }]")),
    case("container ports in another order", CONTAINER, ["ports: [{ containerPort: 80 }, { containerPort: 81 }]", "ports: [{ containerPort: 81 }, { containerPort: 80 }]"], Changes(&["template.spec.containers[0].ports[0].containerPort", "template.spec.containers[0].ports[1].containerPort"])),
    case("a container port less", CONTAINER, ["ports: [{ containerPort: 80 }, { containerPort: 81 }]", "ports: [{ containerPort: 80 }]"], Changes(&["template.spec.containers[0].ports"])),
    case("arguments", CONTAINER, ["args: [a, b]", "args: [a, b]"], Same),
    case("arguments in another order", CONTAINER, ["args: [a, b]", "args: [b, a]"], Changes(&["template.spec.containers[0].args[0]", "template.spec.containers[0].args[1]"])),
    case("tolerations as a whole", PODS, [TOLERATIONS, TOLERATIONS], Same),
    case("a toleration less", PODS, [TOLERATIONS, "tolerations: [{ key: a, operator: Exists }]"], Changes(&["template.spec.tolerations"])),
    case("a toleration whose operator is filled in nowhere", PODS, ["tolerations: [{ key: a, value: b }]", "tolerations: [{ key: a, value: b, operator: Equal }]"], Changes(&["template.spec.tolerations[0].operator"])),
    case("finalizers of others beside one's own", LABELLED, ["finalizers: [example.org/a]", "finalizers: [example.org/a]"], Same).after(Apply("finalizers: [example.org/b]")),
    case("a finalizer more", LABELLED, ["finalizers: [example.org/a]", "finalizers: [example.org/a, example.org/b]"], Changes(&["metadata.finalizers"])),
    case("a finalizer less", LABELLED, ["finalizers: [example.org/a, example.org/b]", "finalizers: [example.org/b]"], Changes(&["metadata.finalizers"])),
    case("a volume's source changes", PODS, ["volumes: [{ name: a, emptyDir: {} }]", "volumes: [{ name: a, configMap: { name: b } }]"], Changes(&["template.spec.volumes[0].configMap", "template.spec.volumes[0].emptyDir"])),
    case("a volume's default mode", PODS, ["volumes: [{ name: a, configMap: { name: b } }]", "volumes: [{ name: a, configMap: { name: b } }]"], Same),
];

const TOLERATIONS: &str = "tolerations: [{ key: a, operator: Exists }, { key: b, operator: Exists }]";

const KEYED: &str = "ports: [{ port: 80, protocol: TCP }, { port: 81, protocol: TCP, note: more }]";

pub const CUSTOM: &[Case] = &[
    case("a list by keys", STRICT, [KEYED, KEYED], Same),
    case("a list by keys that the definition fills in", STRICT, ["ports: [{ port: 80 }]", "ports: [{ port: 80 }]"], Asked),
    case("a list by keys in another order", STRICT, ["ports: [{ port: 80 }, { port: 81 }]", "ports: [{ port: 81 }, { port: 80 }]"], Changes(&["spec.ports[0].port", "spec.ports[1].port"])),
    case("an item less", STRICT, ["ports: [{ port: 80 }, { port: 81 }]", "ports: [{ port: 81 }]"], Changes(&["spec.ports"])),
    case("a field of an item less", STRICT, ["ports: [{ port: 80, note: more }]", "ports: [{ port: 80 }]"], Changes(&["spec.ports[0].note"])),
    case("a set", STRICT, ["tags: [a, b]", "tags: [a, b]"], Same),
    case("a set in another order", STRICT, ["tags: [a, b]", "tags: [b, a]"], Changes(&["spec.tags[0]", "spec.tags[1]"])),
    case("an atomic map", STRICT, ["whole: { a: x, b: z }", "whole: { a: x, b: z }"], Same),
    case("an atomic map has an entry less", STRICT, ["whole: { a: x, b: z }", "whole: { a: x }"], Changes(&["spec.whole.b"])),
    case("others add to an atomic map", STRICT, ["whole: { a: x }", "whole: { a: x }"], Changes(&["spec.whole.b"])).after(Patch(r#"{ "spec": { "whole": { "b": "z" } } }"#)),
    case("a field that the schema does not know", STRICT, ["size: 1", "size: 1, unknown: 2"], Refuses("unknown")),
    case("a part whose fields nobody knows", STRICT, ["any: { a: [{ b: 1 }], c: {} }", "any: { a: [{ b: 1 }], c: {} }"], Same),
    case("a field less of it", STRICT, ["any: { a: 1, b: 2 }", "any: { a: 1 }"], Changes(&["spec.any.b"])),
    case("others add to it", STRICT, ["any: { a: 1 }", "any: { a: 1 }"], Same).after(Patch(r#"{ "spec": { "any": { "b": 2 } } }"#)),
    case("a list in it", STRICT, ["any: { a: [1, 2] }", "any: { a: [2, 1] }"], Changes(&["spec.any.a[0]", "spec.any.a[1]"])),
    case("a number or a text", STRICT, ["amount: 25%", "amount: 25%"], Same),
    case("no schema at all", LOOSE, ["spec: { a: { b: [1, { c: d }] } }, more: [1]", "spec: { a: { b: [1, { c: d }] } }, more: [1]"], Same),
    case("no schema, a field less", LOOSE, ["spec: { a: 1, b: 2 }", "spec: { a: 1 }"], Changes(&["spec.b"])),
    case("no schema, another order", LOOSE, ["spec: { a: [1, 2] }", "spec: { a: [2, 1] }"], Changes(&["spec.a[0]", "spec.a[1]"])),
    case("no schema, others add a field", LOOSE, ["spec: { a: 1 }", "spec: { a: 1 }"], Same).after(Patch(r#"{ "spec": { "b": 2 } }"#)),
    case("no schema, others add to a list", LOOSE, ["spec: { a: [1] }", "spec: { a: [1] }"], Changes(&["spec.a"])).after(Patch(r#"{ "spec": { "a": [1, 2] } }"#)),
];

pub const SECRETS: &[Case] = &[
    case("in the clear, twice", SECRET, ["stringData: { a: x }", "stringData: { a: x }"], Same),
    case("in the clear, then encoded", SECRET, ["stringData: { a: x }", "data: { a: eA== }"], Same),
    case("encoded, then in the clear", SECRET, ["data: { a: eA== }", "stringData: { a: x }"], Same),
    case("another word", SECRET, ["stringData: { a: x }", "stringData: { a: z }"], Changes(&["data.a"])),
    case("both, and the clear one counts", SECRET, ["data: { a: eA== }", "data: { a: eg== }, stringData: { a: x }"], Same),
    case("both, of different keys", SECRET, ["data: { a: eA== }, stringData: { b: z }", "data: { a: eA==, b: eg== }"], Same),
    case("a key less in the clear", SECRET, ["stringData: { a: x, b: z }", "stringData: { a: x }"], Changes(&["data.b"])),
    case("an empty word", SECRET, ["stringData: { a: '' }", "stringData: { a: '' }"], Same),
    case("another type", SECRET, ["type: Opaque", "type: example.org/other"], Refuses("immutable")),
    case("a type that is filled in", SECRET, ["data: { a: eA== }", "data: { a: eA== }, type: Opaque"], OWNERS),
    case("base64 that is none", SECRET, ["data: { a: eA== }", "data: { a: x }"], Refuses("base64")),
];

pub const OTHERS: &[Case] = &[
    case("others add a label", LABELLED, ["labels: { a: b }", "labels: { a: b }"], Same).after(Patch(r#"{ "metadata": { "labels": { "c": "d" } } }"#)),
    case("others add an annotation", LABELLED, ["labels: { a: b }", "labels: { a: b }"], Same).after(Patch(r#"{ "metadata": { "annotations": { "c": "d" } } }"#)),
    case("others change a label", LABELLED, ["labels: { a: b }", "labels: { a: b }"], Changes(&["metadata.labels.a"])).after(Patch(r#"{ "metadata": { "labels": { "a": "x" } } }"#)),
    case("others remove a label", LABELLED, ["labels: { a: b, c: d }", "labels: { a: b, c: d }"], Changes(&["metadata.labels.c"])).after(Patch(r#"{ "metadata": { "labels": { "c": null } } }"#)),
    case("a field less", MAP, ["data: { a: b, c: d }", "data: { a: b }"], Changes(&["data.c"])),
    case("all fields less", MAP, ["data: { a: b }", "binaryData: { c: eA== }"], Changes(&["binaryData", "data"])),
    case("others scale", DEPLOYMENT, ["replicas: 0", "replicas: 0"], Changes(&["spec.replicas"])).after(Patch(r#"{ "spec": { "replicas": 1, "paused": true } }"#)),
    case("others scale what is not declared", DEPLOYMENT, ["paused: true, replicas: 0", "paused: true"], OWNERS).after(Apply("replicas: 0")),
    case("others set what nobody declares", DEPLOYMENT, ["replicas: 0", "replicas: 0"], Same).after(Patch(r#"{ "spec": { "paused": true } }"#)),
    case("others own the same value", MAP, ["data: { a: b }", "data: { a: b }"], Same).after(Apply("data: { a: b }")),
    case("others own what is not declared any more", MAP, ["data: { a: b, c: d }", "data: { a: b }"], OWNERS).after(Apply("data: { c: d }")),
    case("others own what is declared now", MAP, ["data: { a: b }", "data: { a: b, c: d }"], OWNERS).after(Apply("data: { c: d }")),
    case("others own another value of what is declared now", MAP, ["data: { a: b }", "data: { a: b, c: x }"], Changes(&["data.c"])).after(Apply("data: { c: d }")),
    case("others put an env in twice", CONTAINER, ["env: [{ name: A, value: a }]", "env: [{ name: A, value: a }]"], Changes(&["template.spec.containers[0].env"])).after(Patch(ENV_TWICE)),
    case("others put an own env behind theirs", CONTAINER, ["env: [{ name: A, value: a }]", "env: [{ name: A, value: a }]"], Same).after(Patch(ENV_BEHIND)),
    case("kubectl made it, and noted what it applied", MAP, ["data: { a: b }", "data: { a: b }"], Same).after(Created(KUBECTL)),
    case("kubectl noted what it applied since", MAP, ["data: { a: b }", "data: { a: b }"], Same).after(Patch(LAST_APPLIED)),
    case("what kubectl noted is declared", LABELLED, [NOTED, NOTED], Same),
    case("what kubectl noted is declared no more", LABELLED, [NOTED, "labels: {}"], Changes(&["metadata.annotations"])),
];

const ENV_TWICE: &str = r#"{ "template": { "spec": { "containers": [{ "name": "one", "image": "example.org/one:1",
    "env": [{ "name": "A", "value": "a" }, { "name": "A", "value": "b" }] }] } } }"#;
const ENV_BEHIND: &str = r#"{ "template": { "spec": { "containers": [{ "name": "one", "image": "example.org/one:1",
    "env": [{ "name": "Z", "value": "z" }, { "name": "A", "value": "a" }] }] } } }"#;
const KUBECTL: &str = r#"{ "metadata": { "annotations": {
    "kubectl.kubernetes.io/last-applied-configuration": "{\"data\":{\"a\":\"b\"}}\n" } }, "data": { "a": "b" } }"#;
const LAST_APPLIED: &str = r#"{ "metadata": { "annotations": {
    "kubectl.kubernetes.io/last-applied-configuration": "{\"data\":{\"a\":\"b\"}}\n" } } }"#;
const NOTED: &str = "annotations: { kubectl.kubernetes.io/last-applied-configuration: '{}' }";

pub const TOLD: &[Case] = &[
    case("a status in the manifest", WHOLE, [TEMPLATE, TEMPLATE_STATUS], Same),
    case("a null creationTimestamp", LABELLED, ["labels: { a: b }", "labels: { a: b }, creationTimestamp: null"], Same),
    case("a null creationTimestamp of a template", WHOLE, [TEMPLATE_NULL, TEMPLATE_NULL], Asked),
    case("a null creationTimestamp of a template comes in", WHOLE, [TEMPLATE, TEMPLATE_NULL], OWNERS),
    case("a uid and a resourceVersion of another cluster", LABELLED, ["labels: { a: b }", "labels: { a: b }, uid: x, resourceVersion: '1', generation: 7"], Same),
    case("a namespace that is told now", WHOLE, ["{ apiVersion: v1, kind: ConfigMap, metadata: { name: NAME }, data: { a: b } }", "{ apiVersion: v1, kind: ConfigMap, metadata: { name: NAME, namespace: NAMESPACE }, data: { a: b } }"], Same),
    case("a key twice", MAP, ["data: { a: b }", "data: { a: b, a: c }"], Unread("twice")),
    case("an immutable map", MAP, ["immutable: true, data: { a: b }", "immutable: true, data: { a: b }"], Same),
    case("an immutable map changes", MAP, ["immutable: true, data: { a: b }", "immutable: true, data: { a: c }"], Refuses("immutable")),
    case("a map becomes immutable", MAP, ["data: { a: b }", "data: { a: b }, immutable: true"], Changes(&["immutable"])),
    case("an immutable map gets a label", WHOLE, ["{ apiVersion: v1, kind: ConfigMap, metadata: { name: NAME }, immutable: true }", "{ apiVersion: v1, kind: ConfigMap, metadata: { name: NAME, labels: { a: b } }, immutable: true }"], Changes(&["metadata.labels"])),
    case("another version of the kind", WHOLE, [SCALER_2, SCALER_1], Changes(&["metadata.managedFields"])),
    case("a field that the kind does not know", MAP, ["data: { a: b }", "data: { a: b }, spec: {}"], Refuses("spec")),
];

const TEMPLATE: &str = "{ apiVersion: apps/v1, kind: Deployment, metadata: { name: NAME }, spec: { replicas: 0, selector: { matchLabels: { app: a } },
    template: { metadata: { labels: { app: a } }, spec: { containers: [{ name: one, image: 'example.org/one:1' }] } } } }";
const TEMPLATE_STATUS: &str = "{ apiVersion: apps/v1, kind: Deployment, metadata: { name: NAME }, spec: { replicas: 0, selector: { matchLabels: { app: a } },
    template: { metadata: { labels: { app: a } }, spec: { containers: [{ name: one, image: 'example.org/one:1' }] } } },
    status: { replicas: 3 } }";
const TEMPLATE_NULL: &str = "{ apiVersion: apps/v1, kind: Deployment, metadata: { name: NAME }, spec: { replicas: 0, selector: { matchLabels: { app: a } },
    template: { metadata: { creationTimestamp: null, labels: { app: a } }, spec: { containers: [{ name: one, image: 'example.org/one:1' }] } } } }";
const SCALER_1: &str = "{ apiVersion: autoscaling/v1, kind: HorizontalPodAutoscaler, metadata: { name: NAME }, spec: { maxReplicas: 2,
    scaleTargetRef: { apiVersion: apps/v1, kind: Deployment, name: none } } }";
const SCALER_2: &str = "{ apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, metadata: { name: NAME }, spec: { maxReplicas: 2,
    scaleTargetRef: { apiVersion: apps/v1, kind: Deployment, name: none } } }";

/// Kinds of the whole cluster that the random pairs leave out, or that matter most.
pub const CLUSTER: &[Case] = &[
    case("a definition", WHOLE, [DEFINITION, DEFINITION], Same),
    case("a definition whose schema has a field more", WHOLE, [DEFINITION, DEFINITION_MORE], Changes(&["spec.versions[0].schema.openAPIV3Schema.properties.b"])),
    case("a definition that keeps what it does not know", WHOLE, [DEFINITION, DEFINITION_LOOSE], Changes(&["spec.versions[0].schema.openAPIV3Schema.x-kubernetes-preserve-unknown-fields"])),
    case("a definition with columns", WHOLE, [DEFINITION_COLUMNS, DEFINITION_COLUMNS], Same),
    case("a webhook whose rules say all", WHOLE, [WEBHOOK_SCOPE, WEBHOOK_SCOPE], Same),
    case("a webhook whose rules are filled in", WHOLE, [WEBHOOK, WEBHOOK], Asked),
    case("a webhook whose bundle others fill in", WHOLE, [WEBHOOK_SCOPE, WEBHOOK_SCOPE], Same).after(Patch(BUNDLE)),
    case("a webhook that may fail", WHOLE, [WEBHOOK, WEBHOOK_IGNORE], Changes(&["webhooks[0].failurePolicy"])),
    case("a namespace", WHOLE, [NAMESPACE, NAMESPACE], Same),
    case("a role", WHOLE, [ROLE, ROLE], Same),
    case("a role's verbs in another order", WHOLE, [ROLE, ROLE_OTHERWISE], Changes(&["rules[0].verbs[0]", "rules[0].verbs[1]"])),
    case("a service of the aggregation layer", WHOLE, [API, API], Same),
];

const NAMESPACE: &str = "{ apiVersion: v1, kind: Namespace, metadata: { name: NAMESPACE-NAME, labels: { a: b } } }";
const ROLE: &str = "{ apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: { name: NAMESPACE-NAME },
    rules: [{ apiGroups: [''], resources: [pods], verbs: [get, list] }] }";
const ROLE_OTHERWISE: &str = "{ apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: { name: NAMESPACE-NAME },
    rules: [{ apiGroups: [''], resources: [pods], verbs: [list, get] }] }";
const WEBHOOK: &str = "{ apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingWebhookConfiguration, metadata: { name: NAMESPACE-NAME },
    webhooks: [{ name: a.example.org, sideEffects: None, admissionReviewVersions: [v1], clientConfig: { service: { name: a, namespace: b } },
        rules: [{ apiGroups: [nowhere.windlass.dev], apiVersions: [v1], operations: [CREATE], resources: [things] }] }] }";
const WEBHOOK_SCOPE: &str = "{ apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingWebhookConfiguration, metadata: { name: NAMESPACE-NAME },
    webhooks: [{ name: a.example.org, sideEffects: None, admissionReviewVersions: [v1], clientConfig: { service: { name: a, namespace: b } },
        rules: [{ apiGroups: [nowhere.windlass.dev], apiVersions: [v1], operations: [CREATE], resources: [things], scope: '*' }] }] }";
const WEBHOOK_IGNORE: &str = "{ apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingWebhookConfiguration, metadata: { name: NAMESPACE-NAME },
    webhooks: [{ name: a.example.org, sideEffects: None, admissionReviewVersions: [v1], clientConfig: { service: { name: a, namespace: b } },
        failurePolicy: Ignore,
        rules: [{ apiGroups: [nowhere.windlass.dev], apiVersions: [v1], operations: [CREATE], resources: [things] }] }] }";
const BUNDLE: &str = r#"{ "webhooks": [{ "name": "a.example.org", "sideEffects": "None", "admissionReviewVersions": ["v1"],
    "clientConfig": { "service": { "name": "a", "namespace": "b" }, "caBundle": "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCg==" },
    "rules": [{ "apiGroups": ["nowhere.windlass.dev"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["things"], "scope": "*" }] }] }"#;
const DEFINITION: &str = "{ apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: { name: things.NAME.NAMESPACE.windlass.dev },
    spec: { group: NAME.NAMESPACE.windlass.dev, scope: Namespaced, names: { kind: Thing, plural: things }, versions: [{ name: v1, served: true, storage: true,
        schema: { openAPIV3Schema: { type: object, properties: { a: { type: string } } } } }] } }";
const DEFINITION_MORE: &str = "{ apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: { name: things.NAME.NAMESPACE.windlass.dev },
    spec: { group: NAME.NAMESPACE.windlass.dev, scope: Namespaced, names: { kind: Thing, plural: things }, versions: [{ name: v1, served: true, storage: true,
        schema: { openAPIV3Schema: { type: object, properties: { a: { type: string }, b: { type: integer } } } } }] } }";
const DEFINITION_LOOSE: &str = "{ apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: { name: things.NAME.NAMESPACE.windlass.dev },
    spec: { group: NAME.NAMESPACE.windlass.dev, scope: Namespaced, names: { kind: Thing, plural: things }, versions: [{ name: v1, served: true, storage: true,
        schema: { openAPIV3Schema: { type: object, x-kubernetes-preserve-unknown-fields: true, properties: { a: { type: string } } } } }] } }";
const DEFINITION_COLUMNS: &str = "{ apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: { name: things.NAME.NAMESPACE.windlass.dev },
    spec: { group: NAME.NAMESPACE.windlass.dev, scope: Namespaced, names: { kind: Thing, plural: things }, versions: [{ name: v1, served: true, storage: true,
        additionalPrinterColumns: [{ name: A, type: string, jsonPath: .a }], subresources: { status: {} },
        schema: { openAPIV3Schema: { type: object, properties: { a: { type: string, default: '' } } } } }] } }";
const API: &str = "{ apiVersion: apiregistration.k8s.io/v1, kind: APIService, metadata: { name: v1.NAME.NAMESPACE.windlass.dev },
    spec: { group: NAME.NAMESPACE.windlass.dev, version: v1, groupPriorityMinimum: 100, versionPriority: 10 } }";
