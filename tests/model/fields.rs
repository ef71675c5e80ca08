//! The fields that objects of each kind may have, besides those that they always have.

use serde_json::Value;
use serde_json::json;

use crate::objects::Kind;

/// A field that objects of a kind may have, by its pointer, and the values that it may have.
pub type Field = (&'static str, Value);

/// Returns the fields that objects of a kind may have besides.
pub fn fields(kind: Kind) -> Vec<Field> {
    let mut fields = vec![
        ("/metadata/labels/tier", json!(["web", "db", ""])),
        ("/metadata/labels/example.org~1team", json!(["a", "b"])),
        ("/metadata/labels", json!([null, {}])),
        ("/metadata/annotations/note", json!(["one", "two", "", "a line\nand another\n"])),
        ("/metadata/annotations/example.org~1more", json!(["true", "1.0"])),
        ("/metadata/annotations", json!([null, {}])),
        ("/metadata/annotations/windlass.dev~1wave", json!(["-1", "1", "2"])),
    ];
    fields.extend(own_fields(kind));
    fields
}

fn own_fields(kind: Kind) -> Vec<Field> {
    match kind {
        Kind::ConfigMap => vec![
            ("/data/one", json!(["1", "2", ""])),
            ("/data/two", json!(["yes", "0x1F", "a\nb\n", " padded "])),
            ("/data/three.yaml", json!(["a: 1\n", "a: 2\n"])),
            ("/data", json!([null, {}])),
            ("/binaryData/four", json!(["AAE=", "AAI="])),
        ],
        Kind::Secret => vec![
            ("/stringData/one", json!(["first", "second", ""])),
            ("/stringData/two", json!(["first", "second"])),
            ("/stringData", json!([null, {}])),
            ("/data/three", json!(["Zmlyc3Q=", "c2Vjb25k"])),
            ("/data/four", json!(["Zmlyc3Q=", ""])),
        ],
        Kind::ServiceAccount => vec![
            ("/automountServiceAccountToken", json!([true, false])),
            ("/imagePullSecrets/@one", json!([{ "name": "one" }])),
            ("/imagePullSecrets/@two", json!([{ "name": "two" }])),
        ],
        Kind::Service => service_fields(),
        Kind::Deployment => deployment_fields(),
        Kind::Role => vec![("/rules", rules())],
        Kind::RoleBinding => vec![("/subjects", subjects())],
        Kind::ResourceQuota => vec![
            ("/spec/hard/services", json!(["50", 50, "5e1", "60"])),
            ("/spec/hard/requests.storage", json!(["0.5Gi", "512Mi", 536_870_912, "1Gi"])),
            ("/spec/hard/persistentvolumeclaims", json!(["5", 5, 6])),
            ("/spec", json!([null, {}])),
        ],
        Kind::NetworkPolicy => vec![
            (
                "/spec/ingress",
                json!([[], [{}], [{ "ports": [{ "port": 80 }] }],
                [{ "ports": [{ "port": 80, "protocol": "TCP" }] }], [{ "ports": [{ "port": "web" }], "from": null }]]),
            ),
            ("/spec/policyTypes", json!([["Ingress"], ["Ingress", "Egress"]])),
            ("/spec/podSelector/matchLabels/app", json!(["a", "b"])),
        ],
        Kind::Widget => vec![
            ("/apiVersion", json!(["v1", "v2"])),
            ("/spec/size", json!([0, 1, 2])),
            ("/spec/mode", json!(["fast", "slow", ""])),
            (
                "/spec/parts/@x",
                json!([{ "name": "x" }, { "name": "x", "size": 1 }, { "name": "x", "size": 2 }]),
            ),
            ("/spec/parts/@y", json!([{ "name": "y", "size": 3 }])),
            ("/spec", json!([{}])),
        ],
        Kind::Namespace | Kind::Definition => Vec::new(),
    }
}

fn service_fields() -> Vec<Field> {
    vec![
        (
            "/spec/ports/@a",
            json!([{ "name": "a", "port": 80 }, { "name": "a", "port": 80, "protocol": "TCP" },
            { "name": "a", "port": 80, "targetPort": 8080 }, { "name": "a", "port": 80, "targetPort": "web" }]),
        ),
        (
            "/spec/ports/@b",
            json!([{ "name": "b", "port": 81 }, { "name": "b", "port": 81, "protocol": "TCP" }]),
        ),
        (
            "/spec/ports/@c",
            json!([{ "name": "c", "port": 80, "protocol": "UDP" },
            { "name": "c", "port": 80, "protocol": "UDP", "targetPort": 53 }]),
        ),
        ("/spec/selector/app", json!(["a", "b"])),
        ("/spec/selector/tier", json!(["a", "b"])),
        ("/spec/selector", json!([null, {}])),
        ("/spec/sessionAffinity", json!(["None", "ClientIP"])),
        ("/spec/type", json!(["ClusterIP"])),
        ("/spec/publishNotReadyAddresses", json!([true, false])),
    ]
}

fn deployment_fields() -> Vec<Field> {
    vec![
        ("/spec/template/spec/containers/@web/image", json!(["example.org/web:1", "example.org/web:2"])),
        (
            "/spec/template/spec/containers/@web/env/@A",
            json!([{ "name": "A", "value": "1" },
            { "name": "A", "value": "2" }, { "name": "A", "value": "" }, { "name": "A" }]),
        ),
        ("/spec/template/spec/containers/@web/env/@B", json!([{ "name": "B", "value": "1" }])),
        (
            "/spec/template/spec/containers/@web/env/@C",
            json!([{ "name": "C",
            "valueFrom": { "fieldRef": { "fieldPath": "metadata.name" } } }]),
        ),
        ("/spec/template/spec/containers/@web/env", json!([null, []])),
        (
            "/spec/template/spec/containers/@web/ports/@80",
            json!([{ "containerPort": 80 },
            { "containerPort": 80, "protocol": "TCP" }]),
        ),
        (
            "/spec/template/spec/containers/@web/ports/@81",
            json!([{ "containerPort": 81, "protocol": "UDP" }]),
        ),
        (
            "/spec/template/spec/containers/@web/resources/requests/cpu",
            json!(["500m", "0.5", 0.5, 1, "1000m"]),
        ),
        (
            "/spec/template/spec/containers/@web/resources/requests/memory",
            json!(["128Mi", "134217728", 134_217_728]),
        ),
        ("/spec/template/spec/containers/@web/resources/limits", json!([null, {}])),
        ("/spec/template/spec/containers/@web/args", json!([["a", "b"], ["b"], []])),
        ("/spec/template/spec/containers/@side", json!([{ "name": "side", "image": "example.org/side:1" }])),
        ("/spec/template/spec/volumes/@tmp", json!([{ "name": "tmp", "emptyDir": {} }])),
        ("/spec/template/metadata/annotations/note", json!(["1", "2"])),
        ("/spec/replicas", json!([0, 0, 1])),
        ("/spec/minReadySeconds", json!([0, 1])),
        ("/spec/revisionHistoryLimit", json!([2, 10])),
        ("/spec/paused", json!([false])),
    ]
}

fn rules() -> Value {
    let one = json!({ "apiGroups": [""], "resources": ["pods"], "verbs": ["get"] });
    let two = json!({ "apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get", "list"] });
    json!([[one], [one, two], [two, one], [], null])
}

fn subjects() -> Value {
    let user = json!({ "kind": "User", "name": "somebody" });
    let whole = json!({ "kind": "User", "name": "somebody", "apiGroup": "rbac.authorization.k8s.io" });
    let account = json!({ "kind": "ServiceAccount", "name": "a", "namespace": "default" });
    json!([[user], [whole], [account], [account, user], [], null])
}
