//! Nothing is written before everything is known good; and secrets never leave.

use windlass::outcome::Phase;

use crate::world::bed;
use crate::world::journal;
use crate::world::manifests::config_map;
use crate::world::manifests::definition;
use crate::world::manifests::definition_path;
use crate::world::manifests::secret;
use crate::world::manifests::widget;
use crate::world::proxy::is_write;
use crate::world::setup::HOOK_SECRET;
use crate::world::setup::Setup;
use crate::world::unique;
use crate::world::windlass::World;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_5_the_server_checks_all_of_it_before_the_first_write() {
    Setup::proxied()
        .run(async |w| {
            let files: Vec<(String, String)> = (0..20)
                .map(|number| (format!("shop/{number}.yaml"), config_map(&format!("cm-{number}"), "1")))
                .collect();
            let files: Vec<(&str, &str)> =
                files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
            let first = w.ship(&files).await;
            w.settle().await;
            w.expect(&first, "shop@east", "success", &["20 created"]).await;
            let asked = w.before_east().asked();
            let last_check = asked.iter().rposition(|line| line.contains("dryRun")).unwrap();
            let first_write = asked.iter().position(|line| is_write(line)).unwrap();
            assert!(last_check < first_write, "{asked:#?}");
            assert_eq!(asked.iter().filter(|line| line.contains("dryRun")).count(), 20);
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_5_one_bad_manifest_of_twenty_keeps_all_of_them_out() {
    Setup::proxied()
        .run(async |w| {
            let mut text: String =
                (0..19).map(|number| format!("{}---\n", config_map(&format!("cm-{number}"), "1"))).collect();
            text.push_str(&config_map("Bad_Name", "1"));
            let first = w.ship(&[("shop/all.yaml", &text)]).await;
            w.settle().await;
            w.expect(&first, "shop@east", "failure", &["Bad_Name", "a lowercase RFC 1123 subdomain"]).await;
            let writes: Vec<_> = w.before_east().asked().into_iter().filter(|line| is_write(line)).collect();
            assert!(writes.is_empty(), "{writes:#?}");
            assert_eq!(w.runs().await[0].phase, Phase::Failed);
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_5_what_the_commit_itself_makes_known_is_checked_as_soon_as_it_can_be() {
    World::run(async |w| {
        let group = format!("bed-{}.example.org", unique());
        let first = w
            .ship(&[
                ("shop/a.yaml", &config_map("one", "1")),
                ("shop/b.yaml", &widget(&group, "bad", "\"large\"")),
                ("shop/crd.yaml", &definition(&group)),
            ])
            .await;
        w.settle().await;
        w.expect(&first, "shop@east", "failure", &["Widget/", "/bad", "spec.size"]).await;
        assert_eq!(w.value("one").await, None, "what follows the definition was not written");
        let second = w.ship(&[("shop/b.yaml", &widget(&group, "good", "1"))]).await;
        w.settle().await;
        w.expect(&second, "shop@east", "success", &["2 created"]).await;
        w.east.delete(&definition_path(&group)).await;
    })
    .await;
}

/// Returns where a text stands in what windlass says and keeps. Its caches of Git hold the commits themselves.
async fn where_is(w: &World, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(w.data()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() && contains(&std::fs::read(&path).unwrap(), text) {
            found.push(path.display().to_string());
        }
    }
    if journal::text().contains(text) {
        found.extend(
            journal::text().lines().filter(|line| line.contains(text)).map(|line| format!("log: {line}")),
        );
    }
    for commit in &w.delivered {
        let statuses = w.repo.statuses(commit).await;
        found.extend(statuses.iter().filter(|one| one.description.contains(text)).map(ToString::to_string));
    }
    let runs = format!("{:?}", w.runs().await);
    if runs.contains(text) {
        found.push(runs);
    }
    found
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_7_what_a_secret_holds_is_nowhere_though_the_server_quotes_it() {
    World::run(async |w| {
        let value = format!("hunter-{}", unique());
        let path = format!("/api/v1/namespaces/{}/secrets/key", w.namespace);
        let bad = secret("key", &value).replace(&format!("\"{value}\""), &format!("[\"{value}\"]"));
        // The server's own words do hold it.
        let query = format!("{path}?fieldManager=bed&fieldValidation=Strict");
        let body = serde_json::json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "key" },
            "stringData": { "password": [value] } });
        let refused = w.east.ask("PATCH", &query, "application/apply-patch+yaml", &body).await.unwrap_err();
        assert!(refused.1.contains(&value), "{refused:?}");
        let first = w.ship(&[("shop/key.yaml", &bad)]).await;
        w.settle().await;
        w.expect(&first, "shop@east", "failure", &["Secret/", "/key", "***"]).await;
        let second = w.ship(&[("shop/key.yaml", &secret("key", &value))]).await;
        w.settle().await;
        w.expect(&second, "shop@east", "success", &["1 created"]).await;
        let changed = format!("changed-{}", unique());
        let third = w.ship(&[("shop/key.yaml", &secret("key", &changed))]).await;
        w.settle().await;
        w.expect(&third, "shop@east", "success", &["1 configured"]).await;
        let live = w.east.find(&path).await.unwrap();
        let encoded = live["data"]["password"].as_str().unwrap();
        let own = [HOOK_SECRET, bed("WINDLASS_BED_GITEA_BOT_TOKEN")];
        for text in [value.as_str(), &changed, encoded].into_iter().chain(own) {
            let found = where_is(w, text).await;
            assert!(found.is_empty(), "{text} is in {found:#?}");
        }
    })
    .await;
}

/// Runs a command of windlass about a world, and returns all that it says.
fn said(w: &World, arguments: &[&str]) -> String {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_windlass"));
    let output = command.args(arguments).arg("--config").arg(w.config()).output().unwrap();
    [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap()).concat()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_7_a_secret_of_a_type_and_what_kubectl_noted_of_one_are_nowhere() {
    World::run(async |w| {
        let [old, noted, value, by_hand] = [(); 4].map(|()| format!("hunter-{}", unique()));
        let login = |value: &str| format!("{{\"auths\":{{\"registry.example.org\":{{\"password\":\"{value}\"}}}}}}");
        let path = format!("/api/v1/namespaces/{}/secrets", w.namespace);
        let last_applied = "kubectl.kubernetes.io/last-applied-configuration";
        let kubectl = serde_json::json!({ "type": "kubernetes.io/dockerconfigjson", "metadata": { "name": "key",
            "annotations": { last_applied: format!("{{\"stringData\":{{\".dockerconfigjson\":\"{noted}\"}}}}") } },
            "stringData": { ".dockerconfigjson": login(&old) } });
        w.east.create(&format!("{path}?fieldManager=kubectl-client-side-apply"), &kubectl).await;
        let manifest = |value: &str| {
            format!(
                "apiVersion: v1\nkind: Secret\ntype: kubernetes.io/dockerconfigjson\nmetadata:\n  name: key\n\
                 \x20 annotations: {{ {last_applied}: 'password {noted}' }}\nstringData:\n  .dockerconfigjson: '{value}'\n"
            )
        };
        let broken = w.ship(&[("shop/key.yaml", &manifest(&value))]).await;
        let mut told = vec![said(w, &["adopt", "shop@east"])];
        w.settle().await;
        w.expect(&broken, "shop@east", "failure", &["Secret/", "/key"]).await;
        let first = w.ship(&[("shop/key.yaml", &manifest(&login(&value)))]).await;
        told.extend([said(w, &["adopt", "shop@east"]), said(w, &["adopt", "shop@east", "--json"])]);
        w.settle().await;
        w.expect(&first, "shop@east", "success", &["1 configured"]).await;
        let patrol = w.patrol();
        let key = format!("{path}/key");
        let theirs = serde_json::json!({ "stringData": { ".dockerconfigjson": login(&by_hand) } });
        w.east.change(&format!("{key}?fieldManager=kubectl-client-side-apply"), &theirs).await;
        let seen = w.east.find(&key).await.unwrap()["data"][".dockerconfigjson"].clone();
        w.drift_is_seen().await;
        w.settle().await;
        drop(patrol);
        let live = w.east.find(&key).await.unwrap()["data"][".dockerconfigjson"].clone();
        assert_ne!(live, seen, "it was corrected");
        let commits = [broken.as_str(), first.as_str()];
        told.extend(commits.map(|commit| said(w, &["explain", commit])));
        told.extend(["history", "drift", "deliveries"].map(|command| said(w, &[command, "--json"])));
        told.extend([said(w, &["drift", "suggest"]), said(w, &["adopt", "shop@east"])]);
        assert!(told.iter().all(|text| !text.is_empty()) && told[3].contains("/key"), "{told:#?}");
        for text in [&old, &noted, &value, &by_hand, seen.as_str().unwrap(), live.as_str().unwrap()] {
            let found = where_is(w, text).await;
            assert!(found.is_empty(), "{text} is in {found:#?}");
            let found: Vec<_> = told.iter().filter(|said| said.contains(text)).collect();
            assert!(found.is_empty(), "{text} is in {found:#?}");
        }
    })
    .await;
}
