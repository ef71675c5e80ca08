//! Quantities, numbers, ports, defaults, null and empty fields.

use super::*;

pub const QUANTITIES: &[Case] = &[
    case("a quantity as the server writes it", CONTAINER, [CPU_1, CPU_1], Same),
    case("a quantity that the server writes otherwise", CONTAINER, [CPU_1000M, CPU_1000M], Asked),
    case("1 is 1000m", CONTAINER, [CPU_1, CPU_1000M], Asked),
    case("1000m is 1", CONTAINER, [CPU_1000M, CPU_1], Same),
    case("a quantity as a number", CONTAINER, [CPU_1, "resources: { requests: { cpu: 1 } }"], Asked),
    case("1001m is more than 1", CONTAINER, [CPU_1, "resources: { requests: { cpu: 1001m } }"], Changes(CPU)),
    case("0.5 is 500m", CONTAINER, ["resources: { requests: { cpu: '0.5' } }", CPU_500M], Same),
    case("500m is 0.5", CONTAINER, [CPU_500M, "resources: { requests: { cpu: '0.5' } }"], Asked),
    case("500m is 0.5 as a number", CONTAINER, [CPU_500M, "resources: { requests: { cpu: 0.5 } }"], Asked),
    case("1Gi is 1024Mi", CONTAINER, [GI, "resources: { requests: { memory: 1024Mi } }"], Asked),
    case("1G is 1000M", CONTAINER, ["resources: { requests: { memory: 1G } }", MEGA], Asked),
    case("1Gi in bytes is written in bytes", CONTAINER, [GI, BYTES], Changes(MEMORY)),
    case("1Gi is more than 1G", CONTAINER, ["resources: { requests: { memory: 1G } }", GI], Changes(MEMORY)),
    case("a custom resource keeps its text", STRICT, ["amount: '1'", "amount: 1000m"], Changes(&["spec.amount"])),
    case("a custom resource keeps number and text apart", STRICT, ["amount: 1", "amount: '1'"], Changes(&["spec.amount"])),
    case("a custom resource's number", STRICT, ["amount: 1", "amount: 1"], Same),
];

const CPU_1: &str = "resources: { requests: { cpu: '1' } }";
const CPU_1000M: &str = "resources: { requests: { cpu: 1000m } }";
const CPU_500M: &str = "resources: { requests: { cpu: 500m } }";
const GI: &str = "resources: { requests: { memory: 1Gi } }";
const MEGA: &str = "resources: { requests: { memory: 1000M } }";
const BYTES: &str = "resources: { requests: { memory: 1073741824 } }";
const CPU: &[&str] = &["template.spec.containers[0].resources.requests.cpu"];
const MEMORY: &[&str] = &["template.spec.containers[0].resources.requests.memory"];

pub const NUMBERS: &[Case] = &[
    case("a float that is whole, of a kind of Kubernetes", DEPLOYMENT, ["replicas: 0", "replicas: 0.0"], Same),
    case("a float that is whole, with a schema", STRICT, ["size: 1", "size: 1.0"], Same),
    case("a float that is whole, without a schema", LOOSE, ["spec: { size: 1 }", "spec: { size: 1.0 }"], Same),
    case("a float that is whole, applied as one", LOOSE, ["spec: { size: 1.0 }", "spec: { size: 1.0 }"], Same),
    case("a float", LOOSE, ["spec: { size: 1.5 }", "spec: { size: 1.5 }"], Same),
    case("another float", LOOSE, ["spec: { size: 1.5 }", "spec: { size: 1.25 }"], Changes(&["spec.size"])),
    case("a large number", LOOSE, ["spec: { size: 9007199254740993 }", "spec: { size: 9007199254740993 }"], Same),
    case("its neighbour", LOOSE, ["spec: { size: 9007199254740993 }", "spec: { size: 9007199254740992 }"], Changes(&["spec.size"])),
    case("a number as text, with a schema", STRICT, ["size: 1", "size: '1'"], Refuses("size")),
    case("a number as text, without a schema", LOOSE, ["spec: { size: 1 }", "spec: { size: '1' }"], Changes(&["spec.size"])),
    case("a number where text belongs", MAP, ["data: { a: '1' }", "data: { a: 1 }"], Refuses("data")),
    case("an exponent", LOOSE, ["spec: { size: 100 }", "spec: { size: 1e2 }"], Same),
];

pub const PORTS: &[Case] = &[
    case("a port by number", SERVICE, ["ports: [{ port: 80, targetPort: 8080 }]", "ports: [{ port: 80, targetPort: 8080 }]"], Same),
    case("a port by name", SERVICE, ["ports: [{ port: 80, targetPort: web }]", "ports: [{ port: 80, targetPort: web }]"], Same),
    case("a number as text names a port", SERVICE, ["ports: [{ port: 80, targetPort: 8080 }]", "ports: [{ port: 80, targetPort: '8080' }]"], Refuses("targetPort")),
    case("from number to name", SERVICE, ["ports: [{ port: 80, targetPort: 8080 }]", "ports: [{ port: 80, targetPort: web }]"], Changes(&["spec.ports[0].targetPort"])),
    case("a port that the server fills in", SERVICE, ["ports: [{ port: 80 }]", "ports: [{ port: 80 }]"], Same),
    case("what the server filled in is declared now", SERVICE, ["ports: [{ port: 80 }]", "ports: [{ port: 80, targetPort: 80 }]"], OWNERS),
    case("a protocol that the server fills in is declared now", SERVICE, ["ports: [{ port: 80 }]", "ports: [{ port: 80, protocol: TCP }]"], OWNERS),
    case("a protocol is left to the server again", SERVICE, ["ports: [{ port: 80, protocol: TCP }]", "ports: [{ port: 80 }]"], OWNERS),
    case("another protocol is another port", SERVICE, ["ports: [{ port: 80 }]", "ports: [{ port: 80, protocol: UDP }]"], Changes(&["spec.ports[0].protocol"])),
    case("ports in another order", SERVICE, [TWO_PORTS, "ports: [{ name: b, port: 81 }, { name: a, port: 80 }]"], Changes(&["spec.ports[0].name", "spec.ports[0].port", "spec.ports[0].targetPort", "spec.ports[1].name", "spec.ports[1].port", "spec.ports[1].targetPort"])),
    case("a port less", SERVICE, [TWO_PORTS, "ports: [{ name: a, port: 80 }]"], Changes(&["spec.ports"])),
    case("a port more", SERVICE, ["ports: [{ name: a, port: 80 }]", TWO_PORTS], Changes(&["spec.ports"])),
    case("a port by two protocols", SERVICE, [DNS, DNS], Same),
    case("a port by two protocols, the filled in one behind", SERVICE, [DNS_BEHIND, DNS_BEHIND], Same),
    case("a port twice", SERVICE, ["ports: [{ name: a, port: 80 }]", "ports: [{ name: a, port: 80 }, { name: b, port: 80 }]"], Refuses("duplicate")),
    case("a policy's port by number", POLICY, ["ingress: [{ ports: [{ port: 80 }] }]", "ingress: [{ ports: [{ port: 80 }] }]"], Asked),
    case("a policy's port by number with all that is filled in", POLICY, [POLICY_PORT, POLICY_PORT], Same),
    case("a policy's port as text", POLICY, ["ingress: [{ ports: [{ port: 80 }] }]", "ingress: [{ ports: [{ port: '80' }] }]"], Refuses("port")),
    case("a probe's port", CONTAINER, ["livenessProbe: { httpGet: { port: 80 } }", "livenessProbe: { httpGet: { port: 80 } }"], Same),
    case("a probe's port by name", CONTAINER, ["livenessProbe: { httpGet: { port: 80 } }", "livenessProbe: { httpGet: { port: web } }"], Changes(&["template.spec.containers[0].livenessProbe.httpGet.port"])),
];

const DNS: &str = "ports: [{ name: a, port: 53 }, { name: b, port: 53, protocol: UDP }]";
const DNS_BEHIND: &str = "ports: [{ name: b, port: 53, protocol: UDP }, { name: a, port: 53 }]";
const TWO_PORTS: &str = "ports: [{ name: a, port: 80 }, { name: b, port: 81 }]";
const POLICY_PORT: &str = "policyTypes: [Ingress], ingress: [{ ports: [{ port: 80, protocol: TCP }] }]";

pub const DEFAULTS: &[Case] = &[
    case("a default that is left out", DEPLOYMENT, ["replicas: 0", "replicas: 0"], Same),
    case("a default that is declared", DEPLOYMENT, ["replicas: 0, revisionHistoryLimit: 10", "replicas: 0, revisionHistoryLimit: 10"], Same),
    case("a default that is declared now", DEPLOYMENT, ["replicas: 0", "replicas: 0, revisionHistoryLimit: 10"], OWNERS),
    case("a default that is left out now", DEPLOYMENT, ["replicas: 0, revisionHistoryLimit: 10", "replicas: 0"], OWNERS),
    case("no default is left to the default", DEPLOYMENT, ["replicas: 0, revisionHistoryLimit: 3", "replicas: 0"], Changes(&["spec.revisionHistoryLimit"])),
    case("a default of a container", CONTAINER, ["terminationMessagePolicy: File", "imagePullPolicy: IfNotPresent"], OWNERS),
    case("a part of what is filled in", DEPLOYMENT, ["replicas: 0, strategy: { type: RollingUpdate }", "replicas: 0, strategy: { type: RollingUpdate }"], Same),
    case("what was filled in does not fit any more", DEPLOYMENT, ["replicas: 0", "replicas: 0, strategy: { type: Recreate }"], Refuses("rollingUpdate")),
    case("a schema's default is left out", STRICT, ["size: 1", "size: 1"], Same),
    case("a schema's default is declared now", STRICT, ["size: 1", "size: 1, filled: in"], OWNERS),
    case("a schema's default is left out now", STRICT, ["size: 1, filled: in", "size: 1"], OWNERS),
    case("a schema's default in an item", STRICT, ["ports: [{ port: 80 }]", "ports: [{ port: 80, protocol: TCP }]"], OWNERS),
];

const NO_LIMIT: &str = "replicas: 0, revisionHistoryLimit: null";

pub const VOID: &[Case] = &[
    case("a null field, twice", DEPLOYMENT, ["replicas: 0, minReadySeconds: null", "replicas: 0, minReadySeconds: null"], Asked),
    case("a null field that has a default", DEPLOYMENT, ["replicas: 0", "replicas: 0, revisionHistoryLimit: null"], OWNERS),
    case("a null field that has a default, twice", DEPLOYMENT, [NO_LIMIT, NO_LIMIT], Asked),
    case("a null field that had a value", DEPLOYMENT, ["replicas: 0, minReadySeconds: 5", "replicas: 0, minReadySeconds: null"], Changes(&["spec.minReadySeconds"])),
    case("a null map", MAP, ["data: { a: b }", "data: null"], Changes(&["data"])),
    case("a null map beside nothing", MAP, ["data: null", "data: null"], Asked),
    case("a null value of a map", MAP, ["data: { a: b, c: null }", "data: { a: b, c: null }"], Asked),
    case("null labels", LABELLED, ["labels: null", "labels: null"], Asked),
    case("a null with a schema", STRICT, ["size: 1", "size: 1, filled: null"], OWNERS),
    case("a null without a schema", LOOSE, ["spec: { size: null }", "spec: { size: null }"], Same),
    case("a null without a schema where nothing was", LOOSE, ["spec: { a: 1 }", "spec: { a: 1, size: null }"], Changes(&["spec.size"])),
    case("an empty map", MAP, ["data: {}", "data: {}"], Asked),
    case("an empty map of labels", LABELLED, ["labels: {}", "labels: {}"], Asked),
    case("an empty map that others filled", MAP, ["data: {}", "data: {}"], OWNERS).after(Patch(r#"{ "data": { "a": "b" } }"#)),
    case("an empty map that means something", PODS, ["volumes: [{ name: a, emptyDir: {} }]", "volumes: [{ name: a, emptyDir: {} }]"], Same),
    case("an empty map of a container", CONTAINER, ["securityContext: {}", "securityContext: {}"], Same),
    case("an empty map is left out now", CONTAINER, ["securityContext: {}", "args: [a]"], Changes(&["template.spec.containers[0].args", "template.spec.containers[0].securityContext"])),
    case("an empty map is declared now", CONTAINER, ["args: [a]", "args: [a], resources: {}"], OWNERS),
    case("an empty list", CONTAINER, ["args: []", "args: []"], Asked),
    case("an empty list of keyed items", CONTAINER, ["env: []", "env: []"], Asked),
    case("an empty list in place of a full one", CONTAINER, ["args: [a]", "args: []"], Changes(&["template.spec.containers[0].args"])),
    case("an empty text that counts", MAP, ["data: { a: '' }", "data: { a: '' }"], Same),
    case("an empty text that is as none", CONTAINER, ["workingDir: ''", "workingDir: ''"], Asked),
    case("an empty text in place of none", MAP, ["data: { a: b }", "data: { a: b, c: '' }"], Changes(&["data.c"])),
    case("an empty text of an env", CONTAINER, ["env: [{ name: A, value: '' }]", "env: [{ name: A, value: '' }]"], Asked),
    case("an env without a value", CONTAINER, ["env: [{ name: A }]", "env: [{ name: A, value: '' }]"], OWNERS),
    case("an empty map without a schema", LOOSE, ["spec: { a: {} }", "spec: { a: {} }"], Same),
    case("an empty list without a schema", LOOSE, ["spec: { a: [] }", "spec: { a: [] }"], Same),
    case("an empty list in place of an empty map", LOOSE, ["spec: { a: [] }", "spec: { a: {} }"], Changes(&["spec.a"])),
    case("a policy that allows nothing is not one that says nothing", POLICY, ["ingress: []", "ingress: [{}]"], Changes(&["spec.ingress"])),
];
