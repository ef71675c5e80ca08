//! Objects that move from one application to another.

use serde_json::Value;
use serde_json::json;
use windlass::outcome::Action;

use crate::world::manifests::config_map;
use crate::world::manifests::deployment;
use crate::world::setup::App;
use crate::world::setup::Setup;
use crate::world::windlass::World;

/// Two applications in `east`, which read two folders of one repository.
fn setup() -> Setup {
    Setup::default().applications([App::named("shop"), App::named("till")])
}

/// Ships `one` in `shop`, and something else in both.
async fn ship_first(w: &mut World) {
    let files = [
        ("shop/one.yaml", &*config_map("one", "1")),
        ("shop/stays.yaml", &config_map("stays", "1")),
        ("till/till.yaml", &config_map("till", "1")),
    ];
    let first = w.ship(&files).await;
    w.settle().await;
    w.expect(&first, "shop@east", "success", &["2 created"]).await;
    w.expect(&first, "till@east", "success", &["1 created"]).await;
}

async fn live(w: &World, path: &str) -> Value {
    w.east.find(path).await.expect("it is there")
}

/// Checks that an object is the one that it was, and whose it is.
async fn expect_moved(w: &World, path: &str, before: &Value, to: &str) {
    let now = live(w, path).await;
    assert_eq!(now["metadata"]["uid"], before["metadata"]["uid"], "it is the same object");
    let managers = now["metadata"]["managedFields"].as_array().unwrap();
    let of_us: Vec<_> =
        managers.iter().filter_map(|one| one["manager"].as_str()?.strip_prefix("windlass:")).collect();
    assert_eq!(of_us, [to]);
    assert_ne!(now["metadata"]["labels"], before["metadata"]["labels"], "it is a member of another set");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_that_moves_is_neither_deleted_nor_created_anew() {
    setup()
        .run(async |w| {
            ship_first(w).await;
            let path = w.path_of("one");
            let (before, mark) = (live(w, &path).await, w.east.mark());
            w.repo.remove(&["shop/one.yaml"]);
            let second = w.ship(&[("till/one.yaml", &config_map("one", "2"))]).await;
            w.settle().await;
            w.expect(&second, "shop@east", "success", &["healthy"]).await;
            w.expect(&second, "till@east", "success", &["1 configured"]).await;
            expect_moved(w, &path, &before, "till").await;
            assert_eq!(w.value("one").await.as_deref(), Some("2"));
            let asked = w.east.asked_since(mark, &w.installation).await;
            let deleted: Vec<_> = asked.iter().filter(|one| one.verb == "delete").collect();
            assert!(deleted.is_empty(), "{deleted:?}");
            let runs = w.runs().await;
            let notes: Vec<_> =
                runs.iter().flat_map(|run| &run.changes).filter_map(|one| one.note.as_deref()).collect();
            assert!(notes.iter().any(|note| note.contains("moved here from application shop")), "{notes:?}");
            // From then on it is an object like any other.
            w.repo.remove(&["till/one.yaml"]);
            let third = w.ship(&[]).await;
            w.settle().await;
            w.expect(&third, "till@east", "success", &["1 pruned"]).await;
            assert_eq!(w.east.find(&path).await, None);
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_lost_its_label_moves_with_all_that_was_applied() {
    setup()
        .run(async |w| {
            ship_first(w).await;
            let path = w.path_of("one");
            let before = live(w, &path).await;
            let labels = json!({ "metadata": { "labels": null } });
            w.east.change(&format!("{path}?fieldManager=somebody"), &labels).await;
            // Whoever still declares it owns it.
            let refused = w.ship(&[("till/one.yaml", &config_map("one", "2"))]).await;
            w.settle().await;
            w.expect(&refused, "till@east", "failure", &["it belongs to application shop"]).await;
            assert_eq!(w.value("one").await.as_deref(), Some("1"));
            w.east.change(&format!("{path}?fieldManager=somebody"), &labels).await;
            w.repo.remove(&["shop/one.yaml"]);
            let moved = w.ship(&[("till/till.yaml", &config_map("till", "2"))]).await;
            w.settle().await;
            w.expect(&moved, "till@east", "success", &["2 configured"]).await;
            expect_moved(w, &path, &before, "till").await;
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_another_application_declares_stays_until_that_takes_it() {
    setup()
        .run(async |w| {
            ship_first(w).await;
            let path = w.path_of("one");
            let before = live(w, &path).await;
            w.repo.remove(&["shop/one.yaml"]);
            // The one that is to take it cannot: the server refuses something else of its commit.
            let refused = config_map("other", "1").replace("key:", "no key!:");
            let files = [("till/one.yaml", &*config_map("one", "2")), ("till/other.yaml", &refused)];
            let second = w.ship(&files).await;
            w.settle().await;
            w.expect(&second, "shop@east", "success", &["healthy"]).await;
            w.expect(&second, "till@east", "failure", &["no key!"]).await;
            let runs = w.runs().await;
            let kept =
                runs.iter().flat_map(|run| &run.changes).find(|one| one.action == Action::Kept).unwrap();
            assert_eq!(kept.object.name, "one");
            assert!(kept.note.as_ref().is_some_and(|note| note.contains("application till declares it")));
            // However often it is looked at.
            w.ask_again("shop").await;
            w.settle().await;
            assert_eq!(live(w, &path).await, before, "nobody touched it");
            let third = w.ship(&[("till/other.yaml", &config_map("other", "1"))]).await;
            w.settle().await;
            w.expect(&third, "till@east", "success", &["1 created", "1 configured"]).await;
            expect_moved(w, &path, &before, "till").await;
            w.ask_again("shop").await;
            w.settle().await;
            expect_moved(w, &path, &before, "till").await;
            w.expect_healed(&third);
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_another_application_only_creates_stays_where_it_is() {
    setup()
        .run(async |w| {
            ship_first(w).await;
            let path = w.path_of("one");
            let before = live(w, &path).await;
            w.repo.remove(&["shop/one.yaml"]);
            let only = "metadata:\n  annotations: { windlass.dev/sync: create-only }\n";
            let second =
                w.ship(&[("till/one.yaml", &config_map("one", "2").replace("metadata:\n", only))]).await;
            w.settle().await;
            w.expect(&second, "till@east", "success", &["healthy"]).await;
            // What till took is told by now, and shop looks once more.
            w.ask_again("shop").await;
            w.settle().await;
            w.expect(&second, "shop@east", "success", &["healthy"]).await;
            assert_eq!(live(w, &path).await, before, "nobody touched it");
            w.expect_healed(&second);
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_holds_data_moves_without_consent() {
    setup()
        .run(async |w| {
            let claim = "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: { name: data }\nspec:\n\
                \x20 accessModes: [ReadWriteOnce]\n  storageClassName: none\n  resources: { requests: { storage: 1Gi } }\n";
            // It waits for a volume that does not come.
            let claim = claim.replace("{ name: data }", "{ name: data, annotations: { windlass.dev/health: ignore } }");
            ship_first(w).await;
            let first = w.ship(&[("shop/data.yaml", &claim), ("shop/web.yaml", &deployment("web"))]).await;
            w.settle().await;
            w.expect(&first, "shop@east", "success", &["2 created"]).await;
            let at = |path: &str| path.replace("NAMESPACE", &w.namespace);
            let paths = [
                at("/api/v1/namespaces/NAMESPACE/persistentvolumeclaims/data"),
                at("/apis/apps/v1/namespaces/NAMESPACE/deployments/web"),
            ];
            let before = [live(w, &paths[0]).await, live(w, &paths[1]).await];
            w.repo.remove(&["shop/data.yaml", "shop/web.yaml"]);
            let second = w.ship(&[("till/data.yaml", &claim), ("till/web.yaml", &deployment("web"))]).await;
            w.settle().await;
            w.expect(&second, "shop@east", "success", &["healthy"]).await;
            w.expect(&second, "till@east", "success", &["2 configured"]).await;
            for (path, before) in paths.iter().zip(&before) {
                expect_moved(w, path, before, "till").await;
            }
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_its_owner_still_declares_is_refused_and_stays_with_it() {
    setup()
        .run(async |w| {
            ship_first(w).await;
            let second = w.ship(&[("till/one.yaml", &config_map("one", "2"))]).await;
            w.settle().await;
            w.expect(&second, "till@east", "failure", &["it belongs to application shop"]).await;
            assert_eq!(w.value("one").await.as_deref(), Some("1"));
            w.repo.remove(&["shop/one.yaml"]);
            let third = w.ship(&[("till/other.yaml", &config_map("other", "2"))]).await;
            w.settle().await;
            w.expect(&third, "till@east", "success", &["1 configured"]).await;
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_move_that_broke_off_half_way_goes_on() {
    setup()
        .run(async |w| {
            ship_first(w).await;
            let path = w.path_of("one");
            let before = live(w, &path).await;
            // As a worker leaves it that ended between its two writes.
            let mut managers = before["metadata"]["managedFields"].clone();
            for entry in managers.as_array_mut().unwrap() {
                if entry["manager"] == "windlass:shop" {
                    entry["manager"] = json!("windlass:till");
                }
            }
            let version = &before["metadata"]["resourceVersion"];
            let patch = json!({ "metadata": { "managedFields": managers, "resourceVersion": version } });
            w.east.change(&path, &patch).await;
            w.repo.remove(&["shop/one.yaml"]);
            let second = w.ship(&[("till/one.yaml", &config_map("one", "2"))]).await;
            w.settle().await;
            w.expect(&second, "shop@east", "success", &["healthy"]).await;
            w.expect(&second, "till@east", "success", &["1 configured"]).await;
            expect_moved(w, &path, &before, "till").await;
        })
        .await;
}
