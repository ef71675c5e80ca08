//! What cannot be changed, and is deleted and created anew only where that is asked for.

use crate::annotations::ARGO_OPTIONS;
use crate::annotations::annotated;
use crate::world::manifests::config_map;
use crate::world::manifests::deployment;
use crate::world::windlass::World;

async fn uid(w: &World, path: &str) -> String {
    w.east.find(path).await.unwrap()["metadata"]["uid"].as_str().unwrap().to_owned()
}

const SERVICE: &str =
    "apiVersion: v1\nkind: Service\nmetadata:\n  name: web\nspec:\n  ports: [{ port: 80 }]\n";
const JOB: &str = "apiVersion: batch/v1\nkind: Job\nmetadata:\n  name: web\n  labels: {}\nspec:\n  template:\n    spec:\n\
    \x20     restartPolicy: Never\n      containers: [{ name: web, image: \"example.org/web:1\" }]\n";
const SET: &str = "apiVersion: apps/v1\nkind: StatefulSet\nmetadata:\n  name: web\nspec:\n  replicas: 0\n  serviceName: one\n\
    \x20 selector: { matchLabels: { app: web } }\n  template:\n    metadata: { labels: { app: web } }\n    spec:\n\
    \x20     containers: [{ name: web, image: \"example.org/web:1\" }]\n  volumeClaimTemplates:\n\
    \x20 - metadata: { name: data }\n    spec: { accessModes: [ReadWriteOnce], resources: { requests: { storage: 1Gi } } }\n";

/// A manifest, the same with a change of what cannot be changed, and where the object is.
fn immutables() -> [(String, String, &'static str); 3] {
    let web = deployment("web");
    [
        (SERVICE.to_owned(), format!("{SERVICE}  clusterIP: None\n"), "/api/v1/namespaces/{}/services/web"),
        (JOB.to_owned(), JOB.replace("web:1", "web:2"), "/apis/batch/v1/namespaces/{}/jobs/web"),
        (web.clone(), web.replace("app: web", "app: other"), "/apis/apps/v1/namespaces/{}/deployments/web"),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_changed_is_refused_and_recreated_only_where_that_is_asked_for() {
    World::run(async |w| {
        let asks = [
            ("windlass.dev/force", "enabled"),
            ("kustomize.toolkit.fluxcd.io/force", "Enabled"),
            (ARGO_OPTIONS, "Force=true,Replace=true"),
        ];
        for ((first, other, path), asks) in immutables().into_iter().zip(asks) {
            let path = path.replace("{}", &w.namespace);
            // Only what becomes of the object itself counts here, not whether its pods become ready.
            let calm = |text: &str, more: &str| {
                let notes = format!("metadata:\n  annotations: {{ windlass.dev/health: ignore{more} }}\n");
                text.replacen("metadata:\n", &notes, 1)
            };
            w.ship(&[("shop/web.yaml", &calm(&first, ""))]).await;
            w.settle().await;
            let before = uid(w, &path).await;
            let refused = w.ship(&[("shop/web.yaml", &calm(&other, ""))]).await;
            w.settle().await;
            let hint = "annotate it with windlass.dev/force: enabled to";
            w.expect(&refused, "shop@east", "failure", &[&format!("{}/web", w.namespace), hint]).await;
            assert_eq!(uid(w, &path).await, before);
            let forced =
                w.ship(&[("shop/web.yaml", &calm(&other, &format!(", {}: \"{}\"", asks.0, asks.1)))]).await;
            w.settle().await;
            w.expect(&forced, "shop@east", "success", &["1 configured"]).await;
            assert_ne!(uid(w, &path).await, before, "{path}");
            let run = w.runs().await.pop().unwrap();
            let note = run.changes[0].note.as_deref().unwrap_or_default();
            assert!(note.starts_with("deleted and created anew for spec."), "{note}");
            w.repo.remove(&["shop/web.yaml"]);
            w.ship(&[("shop/b.yaml", &config_map("b", &path))]).await;
            w.settle().await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn force_never_deletes_for_a_mistake_or_with_what_holds_data() {
    World::run(async |w| {
        let (force, even) =
            (("windlass.dev/force", "enabled"), ("windlass.dev/force", "enabled-with-data-loss"));
        let service = annotated(SERVICE, force);
        let set = annotated(SET, force);
        w.ship(&[("shop/web.yaml", &service), ("shop/set.yaml", &set)]).await;
        w.settle().await;
        let service_path = format!("/api/v1/namespaces/{}/services/web", w.namespace);
        let set_path = format!("/apis/apps/v1/namespaces/{}/statefulsets/web", w.namespace);
        let before = [uid(w, &service_path).await, uid(w, &set_path).await];
        let port = service.replace("port: 80", "port: 70000");
        let mistakes = [
            (port.clone(), "must be between 1 and 65535"),
            (format!("{port}  clusterIP: None\n"), "must be between 1 and 65535"),
            (service.replace("ports:", "prots:"), "field not declared in schema"),
        ];
        for (text, words) in mistakes {
            let commit = w.ship(&[("shop/web.yaml", &text)]).await;
            w.settle().await;
            w.expect(&commit, "shop@east", "failure", &["Service/", words]).await;
            assert_eq!(uid(w, &service_path).await, before[0], "{words}");
        }
        let other = SET.replace("serviceName: one", "serviceName: two");
        let refused =
            w.ship(&[("shop/web.yaml", &service), ("shop/set.yaml", &annotated(&other, force))]).await;
        w.settle().await;
        w.expect(&refused, "shop@east", "failure", &["StatefulSet/", "force: enabled-with-data-loss"]).await;
        assert_eq!(uid(w, &set_path).await, before[1]);
        let forced = w.ship(&[("shop/set.yaml", &annotated(&other, even))]).await;
        w.settle().await;
        w.expect(&forced, "shop@east", "success", &["1 configured"]).await;
        assert_ne!(uid(w, &set_path).await, before[1]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_deleted_that_the_server_would_not_take_as_a_new_object() {
    World::run(async |w| {
        let service = annotated(SERVICE, ("windlass.dev/force", "enabled")) + "  type: NodePort\n";
        w.ship(&[("shop/web.yaml", &service)]).await;
        w.settle().await;
        let path = format!("/api/v1/namespaces/{}/services/web", w.namespace);
        let live = w.east.find(&path).await.unwrap();
        // The update is refused for the address alone, and a new object also for the port, which the old one holds.
        let (port, address) =
            (&live["spec"]["ports"][0]["nodePort"], live["spec"]["clusterIP"].as_str().unwrap());
        let (net, last) = address.rsplit_once('.').unwrap();
        let other = if last == "7" { "8" } else { "7" };
        let taken = service.replace("port: 80", &format!("port: 80, nodePort: {port}"));
        let second = w.ship(&[("shop/web.yaml", &format!("{taken}  clusterIP: {net}.{other}\n"))]).await;
        w.settle().await;
        w.expect(&second, "shop@east", "failure", &["Service/", "may not change once set"]).await;
        let said = w.runs().await.pop().unwrap().problems[0].message.clone();
        assert!(said.contains("it is not created anew, since that is refused too"), "{said}");
        assert_eq!(uid(w, &path).await, live["metadata"]["uid"].as_str().unwrap());
    })
    .await;
}
