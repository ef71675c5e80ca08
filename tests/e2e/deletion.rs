//! Applications that left the settings, and are deleted because a person says so.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use serde_json::json;
use windlass::pause::Order;

use crate::annotations::annotated;
use crate::world::manifests::config_map;
use crate::world::manifests::deployment;
use crate::world::process::Process;
use crate::world::setup::App;
use crate::world::setup::Setup;
use crate::world::until;
use crate::world::windlass::World;
use crate::world::windlass::now;

const CLAIM: &str = "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata:\n  name: data\n\
    \x20 annotations: { windlass.dev/health: ignore }\nspec:\n  accessModes: [ReadWriteOnce]\n\
    \x20 storageClassName: none\n  resources: { requests: { storage: 1Gi } }\n";

/// Writes the settings without some applications, and returns the file.
fn without(w: &World, names: &[&str]) -> PathBuf {
    let text = std::fs::read_to_string(w.config()).unwrap();
    let gone =
        |section: &&str| names.iter().any(|name| section.starts_with(&format!("\nname = \"{name}\"\n")));
    let sections: Vec<&str> = text.split("[[applications]]").filter(|section| !gone(section)).collect();
    let file = w.config().with_file_name("without.toml");
    std::fs::write(&file, sections.join("[[applications]]")).unwrap();
    file
}

/// What a command said, and how it ended.
struct Said {
    out: String,
    err: String,
    code: Option<i32>,
}

impl Said {
    #[track_caller]
    fn expect(&self, code: i32, words: &[&str]) {
        let Self { out, err, .. } = self;
        assert_eq!(self.code, Some(code), "{out}{err}");
        for word in words {
            assert!(out.contains(word) || err.contains(word), "{word:?} is not in {out}{err}");
        }
    }
}

/// Runs `windlass delete` with the settings without `shop`.
async fn delete(w: &World, arguments: &[&str]) -> Said {
    delete_by(without(w, &["shop"]), arguments).await
}

async fn delete_by(config: PathBuf, arguments: &[&str]) -> Said {
    let mut command = Command::new(env!("CARGO_BIN_EXE_windlass"));
    command.arg("delete").args(arguments).arg("--config").arg(config);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Said { out: text(output.stdout), err: text(output.stderr), code: output.status.code() }
}

fn parent_of(w: &World, application: &str) -> String {
    format!("/api/v1/namespaces/{}/configmaps/windlass-{application}", w.installation)
}

async fn is_there(w: &World, path: &str) -> bool {
    w.east.find(path).await.is_some()
}

/// Returns the names of what was deleted since a mark, in order.
async fn deleted(w: &World, mark: u64) -> Vec<String> {
    let asked = w.east.asked_since(mark, &w.installation).await;
    let deletes = asked.iter().filter(|one| one.verb == "delete" && one.code == 200);
    deletes.map(|one| one.uri.split(['?', '/']).rfind(|part| !part.is_empty()).unwrap().to_owned()).collect()
}

fn windlass_of(object: &Value) -> Vec<&str> {
    let entries = object["metadata"]["managedFields"].as_array().into_iter().flatten();
    let managers = entries.filter_map(|entry| entry["manager"].as_str());
    managers.filter(|manager| manager.starts_with("windlass")).collect()
}

fn two() -> Setup {
    Setup::default().applications([App::named("shop"), App::named("blog")])
}

async fn ship(w: &mut World, files: &[(&str, &str)]) {
    let commit = w.ship(files).await;
    w.settle().await;
    w.expect(&commit, "shop@east", "success", &["healthy"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_of_it_goes_the_last_written_first_and_nothing_else() {
    two()
        .run(async |w| {
            let late = annotated(&config_map("late", "1"), ("windlass.dev/wave", "3"));
            let stays = annotated(&config_map("stays", "1"), ("windlass.dev/prune", "disabled"));
            let files = [
                ("shop/one.yaml", &*config_map("one", "1")),
                ("shop/web.yaml", &deployment("web")),
                ("shop/late.yaml", &late),
                ("shop/stays.yaml", &stays),
                ("blog/theirs.yaml", &config_map("theirs", "1")),
            ];
            ship(w, &files).await;
            let one = w.east.find(&w.path_of("one")).await.unwrap();
            let foreign = json!({ "apiVersion": "v1", "kind": "ConfigMap",
                "metadata": { "name": "foreign", "labels": one["metadata"]["labels"] } });
            let maps = format!("/api/v1/namespaces/{}/configmaps", w.namespace);
            let foreign = w.east.create(&maps, &foreign).await;
            let others = [parent_of(w, "blog"), w.path_of("theirs"), w.path_of("foreign")];
            let mut before = Vec::new();
            for path in &others {
                before.push(w.east.find(path).await.unwrap());
            }
            assert_eq!(before[2], foreign);
            let mark = w.east.mark();
            let said = delete(w, &["shop@east", "--why", "it is over", "--by", "ana"]).await;
            let namespace = &w.namespace;
            let kept = format!(
                "  kept      ConfigMap/{namespace}/stays  its annotation says that it is not pruned; "
            );
            let lines = [
                format!("  deleted   ConfigMap/{namespace}/late\n  deleted   Deployment/{namespace}/web\n"),
                format!("  deleted   ConfigMap/{namespace}/one\n{kept}"),
                "shop@east is gone: 3 deleted, 1 kept.\n".to_owned(),
            ];
            said.expect(0, &lines.each_ref().map(String::as_str));
            assert_eq!(deleted(w, mark).await, ["late", "web", "one", "windlass-shop"]);
            for name in ["late", "one"] {
                assert_eq!(w.value(name).await, None, "{name}");
            }
            assert!(!is_there(w, &parent_of(w, "shop")).await);
            for (path, before) in others.iter().zip(&before) {
                assert_eq!(w.east.find(path).await.as_ref(), Some(before));
            }
            let stays = w.east.find(&w.path_of("stays")).await.unwrap();
            assert_eq!((&stays["metadata"]["labels"], windlass_of(&stays)), (&Value::Null, vec![]));
            let orders = w.store().orders(10).await.unwrap();
            let told: Vec<_> = orders.iter().map(|one| (one.order, one.why.as_str())).collect();
            assert_eq!(told, [(Order::Delete, "deleted: it is over")]);
            assert!(orders[0].by.starts_with("ana (") && orders[0].scope.to_string() == "shop@east");
            delete(w, &["shop@east"]).await.expect(1, &["it has no parent", "these have one there: blog"]);
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_finalizer_holds_is_named_and_what_waits_for_it_stays_until_the_next_time() {
    World::run(async |w| {
        let held = config_map("held", "1");
        let held = held.replace("metadata:\n", "metadata:\n  finalizers: [bed.example.org/hold]\n");
        let held = annotated(&held, ("windlass.dev/wave", "1"));
        ship(w, &[("shop/held.yaml", &held), ("shop/one.yaml", &config_map("one", "1"))]).await;
        let said = delete(w, &["shop@east", "--within", "2"]).await;
        let held =
            format!("  going     ConfigMap/{}/held  it was deleted, and who set its finalizer", w.namespace);
        let last = "shop@east is still there: 1 still going, 1 not reached.";
        said.expect(3, &[&held, "finalizer bed.example.org/hold has to let it go", last]);
        assert!(is_there(w, &parent_of(w, "shop")).await && w.value("one").await.is_some());
        let (mark, next) = (w.east.mark(), delete(w, &["shop@east"]));
        let let_go = async {
            // Only once it is waited for.
            until("it is deleted again", async || {
                deleted(w, mark).await.contains(&"held".to_owned()).then_some(())
            })
            .await;
            w.east.change(&w.path_of("held"), &json!({ "metadata": { "finalizers": null } })).await;
        };
        let (said, ()) = tokio::join!(next, let_go);
        said.expect(0, &["shop@east is gone: "]);
        assert_eq!(w.east.config_maps(&w.namespace).await, Vec::<String>::new());
        assert!(!is_there(w, &parent_of(w, "shop")).await);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_holds_data_goes_only_where_even_that_is_asked_for() {
    World::run(async |w| {
        ship(w, &[("shop/data.yaml", CLAIM), ("shop/one.yaml", &config_map("one", "1"))]).await;
        let claim = format!("/api/v1/namespaces/{}/persistentvolumeclaims/data", w.namespace);
        for count in ["1 deleted, 1 kept", "1 kept"] {
            let said = delete(w, &["shop@east"]).await;
            let kept = format!("  kept      PersistentVolumeClaim/{}/data  ", w.namespace);
            said.expect(3, &[&kept, "it is deleted with --data only", &format!("still there: {count}. ")]);
            assert!(is_there(w, &claim).await && is_there(w, &parent_of(w, "shop")).await);
            assert_eq!(w.value("one").await, None);
        }
        delete(w, &["shop@east", "--data"]).await.expect(0, &["shop@east is gone: 1 deleted."]);
        assert!(!is_there(w, &claim).await && !is_there(w, &parent_of(w, "shop")).await);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orphans_stay_as_they_are_and_another_application_can_take_them() {
    Setup::default()
        .applications([App::named("shop"), App::named("till")])
        .run(async |w| {
            let files = [
                ("shop/one.yaml", &*config_map("one", "1")),
                ("shop/two.yaml", &config_map("two", "1")),
                ("shop/data.yaml", CLAIM),
            ];
            ship(w, &files).await;
            w.east
                .change(
                    &format!("{}?fieldManager=somebody", w.path_of("two")),
                    &json!({ "data": { "more": "1" } }),
                )
                .await;
            let before = w.east.find(&w.path_of("one")).await.unwrap();
            let mark = w.east.mark();
            let said = delete(w, &["shop@east", "--orphan", "--json"]).await;
            said.expect(0, &[]);
            let lines: Vec<Value> =
                said.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            let did: Vec<_> = lines
                .iter()
                .filter_map(|line| Some((line["did"].as_str()?, line["name"].as_str()?)))
                .collect();
            assert_eq!(did.len(), 3, "{}", said.out);
            assert!(did.iter().all(|(did, _)| *did == "orphaned"), "{}", said.out);
            assert_eq!((&lines[3]["gone"], &lines[3]["orphaned"]), (&json!(true), &json!(3)));
            assert_eq!(deleted(w, mark).await, ["windlass-shop"]);
            for (name, managers) in [("one", vec![]), ("two", vec!["somebody"])] {
                let object = w.east.find(&w.path_of(name)).await.unwrap();
                assert_eq!(object["metadata"]["labels"], Value::Null, "{name}");
                let entries = object["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
                let found: Vec<_> = entries.iter().map(|entry| entry["manager"].as_str().unwrap()).collect();
                assert_eq!(found, managers, "{name}");
                assert_eq!(object["data"]["key"], "1");
            }
            let second = w.ship(&[("till/one.yaml", &config_map("one", "2"))]).await;
            w.settle().await;
            w.expect(&second, "till@east", "success", &["1 configured"]).await;
            let now = w.east.find(&w.path_of("one")).await.unwrap();
            assert_eq!(
                (&now["data"]["key"], &now["metadata"]["uid"]),
                (&json!("2"), &before["metadata"]["uid"])
            );
            assert_eq!(windlass_of(&now), ["windlass:till"]);
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_deleted_that_is_configured_needed_or_anothers() {
    let shop = App::named("shop").with("depends_on = [\"db\"]");
    Setup::default()
        .applications([shop, App::named("db")])
        .run(async |w| {
            let files = [("db/db.yaml", &*config_map("db", "1")), ("shop/one.yaml", &config_map("one", "1"))];
            w.ship(&files).await;
            w.settle().await;
            assert_eq!(w.opener().step(now()).await.unwrap().asked, 1);
            w.settle().await;
            let mark = w.east.mark();
            delete_by(w.config(), &["db@east"])
                .await
                .expect(1, &["take it out of them first and restart windlass"]);
            let needed = delete_by(without(w, &["db"]), &["db@east"]).await;
            needed.expect(2, &["shop@east depends on db@east, and no application is declared"]);
            let text = std::fs::read_to_string(without(w, &["shop"])).unwrap();
            let own = format!("installation = \"{}\"", w.installation);
            std::fs::write(
                w.config().with_file_name("other.toml"),
                text.replace(&own, "installation = \"other\""),
            )
            .unwrap();
            let other = delete_by(w.config().with_file_name("other.toml"), &["shop@east"]).await;
            other.expect(1, &[&format!("it belongs to the installation `{}`", w.installation)]);
            delete(w, &["shop@west"])
                .await
                .expect(1, &["it has no parent in that cluster", "no application has one there"]);
            delete(w, &["shop"]).await.expect(1, &["say in which cluster, such as shop@east"]);
            delete(w, &["shop@north"]).await.expect(1, &["known: east, west"]);
            let asked = w.east.asked_since(mark, &w.installation).await;
            let wrote: Vec<_> = asked.iter().filter(|one| one.is_write()).collect();
            assert!(wrote.is_empty(), "{wrote:?}");
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_a_kind_cannot_be_listed_nothing_is_deleted() {
    World::run(async |w| {
        ship(w, &[("shop/one.yaml", &config_map("one", "1"))]).await;
        let kinds = "applyset.kubernetes.io/contains-group-kinds";
        let set = async |value: &str| {
            let patch = json!({ "metadata": { "annotations": { kinds: value } } });
            w.east.change(&parent_of(w, "shop"), &patch).await;
        };
        set("ConfigMap,Gadget.bed.example.org").await;
        let said = delete(w, &["shop@east"]).await;
        said.expect(
            1,
            &["of which nothing was deleted", "does not know the kind Gadget.bed.example.org", kinds],
        );
        assert_eq!(w.value("one").await.as_deref(), Some("1"));
        set("ConfigMap").await;
        delete(w, &["shop@east"]).await.expect(0, &["1 deleted"]);
    })
    .await;
}

/// Lets the limited user do these things with the ConfigMaps of a namespace.
async fn grant(w: &World, namespace: &str, verbs: &[&str]) {
    let path = format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}");
    let role = json!({ "metadata": { "name": "limited" },
        "rules": [{ "apiGroups": [""], "resources": ["configmaps"], "verbs": verbs }] });
    let subject = json!({ "kind": "User", "name": "limited", "apiGroup": "rbac.authorization.k8s.io" });
    let binding = json!({ "metadata": { "name": "limited" }, "subjects": [subject],
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "limited" } });
    w.east.create(&format!("{path}/roles"), &role).await;
    w.east.create(&format!("{path}/rolebindings"), &binding).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_may_not_be_deleted_is_said_and_tried_again_by_the_next() {
    Setup::limited()
        .run(async |w| {
            w.east.make_namespace(&w.installation).await;
            grant(w, &w.installation, &["*"]).await;
            grant(w, &w.namespace, &["get", "list", "watch", "create", "patch"]).await;
            ship(
                w,
                &[("shop/one.yaml", &config_map("one", "1")), ("shop/two.yaml", &config_map("two", "1"))],
            )
            .await;
            let said = delete(w, &["shop@east"]).await;
            let failed = format!("  failed    ConfigMap/{}/one  failed to delete ConfigMap", w.namespace);
            said.expect(1, &[&failed, "/two  failed", "cannot delete resource", "still there: 2 failed"]);
            assert!(is_there(w, &parent_of(w, "shop")).await);
            let role = format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{}/roles/limited", w.namespace);
            let rules = json!([{ "apiGroups": [""], "resources": ["configmaps"], "verbs": ["*"] }]);
            w.east.change(&role, &json!({ "rules": rules })).await;
            delete(w, &["shop@east"]).await.expect(0, &["shop@east is gone: 2 deleted"]);
            assert!(!is_there(w, &parent_of(w, "shop")).await);
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pass_that_is_under_way_writes_nothing_once_the_application_is_deleted() {
    Setup::proxied()
        .run(async |w| {
            ship(w, &[("shop/one.yaml", &config_map("one", "1"))]).await;
            w.ship(&[("shop/two.yaml", &config_map("two", "1"))]).await;
            w.dispatch_step().await;
            let held = w.before_east().hold_answer(|line| line.contains("dryRun"));
            let pass = w.reconcile_beside();
            held.arrived().await;
            delete(w, &["shop@east"]).await.expect(0, &["shop@east is gone: 1 deleted"]);
            held.release();
            let step = pass.await.unwrap();
            let words = format!("{step:?}");
            assert!(words.starts_with("Retried") && words.contains("has taken the fence"), "{words}");
            assert_eq!(w.east.config_maps(&w.namespace).await, Vec::<String>::new());
            // This windlass still has it, so it makes it again.
            w.settle().await;
            assert_eq!(w.value("two").await.as_deref(), Some("1"));
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deletion_that_a_pass_has_overtaken_deletes_nothing() {
    Setup::proxied()
        .run(async |w| {
            ship(w, &[("shop/one.yaml", &config_map("one", "1"))]).await;
            let (config, mark) = (without(w, &["shop"]), w.east.mark());
            let held =
                w.before_east().hold_answer(|line| line.contains("/configmaps?") && line.contains("part-of"));
            let deletion = tokio::spawn(delete_by(config, &["shop@east"]));
            held.arrived().await;
            // The object that would go is as it was, so that only the fence tells.
            ship(w, &[("shop/two.yaml", &config_map("two", "1"))]).await;
            held.release();
            let said = deletion.await.unwrap();
            said.expect(
                1,
                &["somebody else wrote its parent meanwhile", "restart that with the new settings"],
            );
            assert_eq!(deleted(w, mark).await, Vec::<String>::new());
            assert_eq!(w.east.config_maps(&w.namespace).await, ["one", "two"]);
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_left_behind_is_listed_and_told_at_the_start() {
    let sections = "[log]\nformat = \"json\"\n[door]\nlisten = \"127.0.0.1:0\"\n";
    two()
        .section(sections)
        .run(async |w| {
            let files = [
                ("shop/one.yaml", &*config_map("one", "1")),
                ("shop/two.yaml", &config_map("two", "1")),
                ("blog/theirs.yaml", &config_map("theirs", "1")),
            ];
            let commit = w.ship(&files).await;
            w.settle().await;
            let all = delete_by(w.config(), &["--list"]).await;
            all.expect(0, &[]);
            assert!(!all.out.contains("shop") && !all.out.contains("blog"), "{}", all.out);
            let said = delete(w, &["--list", "--json"]).await;
            said.expect(0, &[]);
            let lines: Vec<Value> =
                said.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            let ours = json!({ "target": "shop@east", "members": 2, "commit": commit });
            assert!(lines.contains(&ours), "{}", said.out);
            delete(w, &["--list"])
                .await
                .expect(0, &[&format!("{:<32}        2  {}\n", "shop@east", commit.short())]);
            // As a windlass of its own, so that what it does is seen in its log alone.
            let config = without(w, &["shop"]);
            let text = std::fs::read_to_string(&config).unwrap().replace("dir = \"data\"", "dir = \"other\"");
            std::fs::write(&config, text).unwrap();
            let mut process = Process::start(env!("CARGO_BIN_EXE_windlass").as_ref(), &config, &[]).await;
            let told = |line: &Value| line["target.name"] == "shop@east" && line["level"] == "WARN";
            let told = process.until(Duration::from_secs(20), told).await;
            let told = told.unwrap_or_else(|| panic!("{}", process.said()));
            assert!(told["message"].as_str().unwrap().contains("run windlass delete shop@east"), "{told}");
        })
        .await;
}
