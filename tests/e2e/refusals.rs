//! What is refused, by whom, and in which words the commit hears of it.

use serde_json::json;
use windlass::outcome::Phase;

use crate::world::kube::Asked;
use crate::world::manifests::config_map;
use crate::world::manifests::secret;
use crate::world::setup::App;
use crate::world::setup::Setup;
use crate::world::windlass::World;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_commit_with_broken_manifests_nothing_is_written_and_every_error_is_listed() {
    World::run(async |w| {
        let mark = w.east.mark();
        let good = config_map("good", "1");
        let bad = config_map("bad", "1").replace("\"1\"", "[1]");
        let worse = "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: worse\nspec: {}\n";
        let worst = config_map("worst", "1").replace("\ndata:", "\ndate:");
        let first = w
            .ship(&[
                ("shop/a.yaml", &good),
                ("shop/b.yaml", &bad),
                ("shop/c.yaml", worse),
                ("shop/d.yaml", &worst),
            ])
            .await;
        w.settle().await;
        w.expect(&first, "shop@east", "failure", &["(and 2 more)"]).await;
        let run = w.runs().await.pop().unwrap();
        assert_eq!(run.phase, Phase::Failed);
        let said: Vec<String> = run.problems.iter().map(ToString::to_string).collect();
        let words = [
            ("ConfigMap", "bad", "expected string", "b.yaml:1"),
            ("Deployment", "worse", "spec.selector: Required value", "c.yaml:1"),
            ("ConfigMap", "worst", ".date: field not declared in schema", "d.yaml:1"),
        ];
        for (kind, name, words, place) in words {
            let object = format!("{kind}/{}/{name}: ", w.namespace);
            let fits =
                |said: &&String| said.starts_with(&object) && said.contains(words) && said.contains(place);
            assert!(said.iter().any(|said| fits(&said)), "{object} {words} {place}: {said:#?}");
        }
        let asked = w.east.asked_since(mark, &w.installation).await;
        let writes: Vec<&Asked> = asked.iter().filter(|asked| asked.is_write()).collect();
        assert!(writes.is_empty(), "{writes:#?}");
        assert!(w.east.config_maps(&w.namespace).await.is_empty());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_file_that_cannot_be_read_is_named_at_once() {
    World::run(async |w| {
        let first = w
            .ship(&[
                ("shop/a.yaml", &config_map("good", "1")),
                ("shop/b.yaml", "apiVersion: v1\nkind: [\n"),
                ("shop/c.yaml", "kind: ConfigMap\n"),
            ])
            .await;
        w.settle().await;
        w.expect(&first, "shop@east", "failure", &["b.yaml", "(and 1 more)"]).await;
        assert!(w.east.config_maps(&w.namespace).await.is_empty());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_cluster_forbids_is_red_in_its_own_words() {
    Setup::limited()
        .run(async |w| {
            w.east.make_namespace(&w.installation).await;
            for namespace in [&w.namespace, &w.installation] {
                grant(w, namespace).await;
            }
            let first = w.ship(&[("shop/one.yaml", &config_map("one", "1"))]).await;
            w.settle().await;
            w.expect(&first, "shop@east", "success", &["1 created"]).await;
            let files =
                [("shop/key.yaml", secret("key", "something")), ("shop/one.yaml", config_map("one", "2"))];
            let second = w.ship(&[(files[0].0, &files[0].1), (files[1].0, &files[1].1)]).await;
            w.settle().await;
            let words = "secrets is forbidden: User \"limited\" cannot list resource \"secrets\"";
            w.expect(&second, "shop@east", "failure", &[words]).await;
            assert_eq!(w.value("one").await.as_deref(), Some("1"), "nothing was written");
        })
        .await;
}

/// Lets the limited user do all things with the ConfigMaps of a namespace.
async fn grant(w: &World, namespace: &str) {
    let user = json!({ "kind": "User", "name": "limited", "apiGroup": "rbac.authorization.k8s.io" });
    grant_to(w, namespace, &user).await;
}

/// Lets somebody do all things with the ConfigMaps of a namespace.
async fn grant_to(w: &World, namespace: &str, subject: &serde_json::Value) {
    let path = format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}");
    let role = json!({ "metadata": { "name": "limited" },
        "rules": [{ "apiGroups": [""], "resources": ["configmaps"], "verbs": ["*"] }] });
    w.east.create(&format!("{path}/roles"), &role).await;
    let binding = json!({ "metadata": { "name": "limited" },
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "limited" },
        "subjects": [subject] });
    w.east.create(&format!("{path}/rolebindings"), &binding).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_of_another_application_is_refused_by_its_name() {
    let setup = Setup::default().applications([App::named("blog"), App::named("shop")]);
    setup
        .run(async |w| {
            let mine =
                [("shop/one.yaml", config_map("one", "shop's")), ("blog/a.yaml", config_map("a", "blog's"))];
            w.ship(&[(mine[0].0, &mine[0].1), (mine[1].0, &mine[1].1)]).await;
            w.settle().await;
            let second = w.ship(&[("blog/one.yaml", &config_map("one", "blog's"))]).await;
            w.settle().await;
            let object = format!("ConfigMap/{}/one", w.namespace);
            w.expect(&second, "blog@east", "failure", &[&object, "application shop"]).await;
            assert_eq!(w.value("one").await.as_deref(), Some("shop's"));
            assert_eq!(w.status(&second, "shop@east").await, None);
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_cannot_take_over_the_records_of_another_application() {
    World::run(async |w| {
        let record = format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: windlass-other, namespace: {}}}\ndata: {{definition: \"9\"}}\n",
            w.installation
        );
        let first = w.ship(&[("shop/record.yaml", &record)]).await;
        w.settle().await;
        w.expect(&first, "shop@east", "failure", &["windlass keeps its own records"]).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_application_writes_what_its_service_account_may_and_nothing_else() {
    let setup = Setup::default().applications([App::named("shop").with("service_account = \"deployer\"")]);
    setup
        .run(async |w| {
            let path = format!("/api/v1/namespaces/{}/serviceaccounts", w.namespace);
            w.east.create(&path, &json!({ "metadata": { "name": "deployer" } })).await;
            let subject = json!({ "kind": "ServiceAccount", "name": "deployer", "namespace": w.namespace });
            grant_to(w, &w.namespace, &subject).await;
            w.ship(&[("shop/one.yaml", &config_map("one", "1"))]).await;
            let old = w.ship(&[("shop/old.yaml", &config_map("old", "1"))]).await;
            w.settle().await;
            w.expect(&old, "shop@east", "success", &["created"]).await;
            w.repo.remove(&["shop/old.yaml"]);
            let second = w.ship(&[("shop/one.yaml", &config_map("one", "2"))]).await;
            w.settle().await;
            w.expect(&second, "shop@east", "success", &["1 configured, 1 pruned"]).await;
            let secret = secret("key", "something");
            let third =
                w.ship(&[("shop/key.yaml", &secret), ("shop/one.yaml", &config_map("one", "3"))]).await;
            w.settle().await;
            let words = format!("User \"system:serviceaccount:{}:deployer\" cannot", w.namespace);
            w.expect(&third, "shop@east", "failure", &["secrets", "is forbidden", &words]).await;
            assert_eq!(w.value("one").await.as_deref(), Some("2"), "nothing was written");
        })
        .await;
}
