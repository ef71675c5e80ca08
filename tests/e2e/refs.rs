//! What moves of refs lead to, and what they leave alone.

use std::collections::BTreeSet;

use serde_json::json;
use windlass::application::Application;
use windlass::application::Name;
use windlass::dispatch::Step;

use crate::explained::last_considered;
use crate::world::git::api;
use crate::world::manifests::config_map;
use crate::world::setup::App;
use crate::world::setup::Setup;
use crate::world::windlass::MAIN;
use crate::world::windlass::World;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_branch_deletes_nothing() {
    World::run(async |w| {
        let first = w.ship(&[("shop/one.yaml", &config_map("one", "1"))]).await;
        w.settle().await;
        // The forge keeps a default branch.
        w.repo.push("refs/heads/other");
        api("PATCH", &format!("/repos/{}", w.repo.full_name()), &json!({ "default_branch": "other" })).await;
        w.repo.delete(MAIN);
        assert_eq!(w.deliver(Some(&first), None).await, 202);
        let step = w.dispatch_step().await;
        assert!(matches!(&step, Step::Nothing { why } if why.contains("nothing deleted")), "{step:?}");
        w.settle().await;
        assert_eq!(w.value("one").await.as_deref(), Some("1"));
        assert_eq!(w.runs().await.len(), 1);
        let second = w.ship(&[("shop/one.yaml", &config_map("one", "2"))]).await;
        w.settle().await;
        assert_eq!(w.value("one").await.as_deref(), Some("2"), "a branch that comes back goes on");
        w.expect(&second, "shop@east", "success", &["1 configured"]).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_force_push_makes_the_new_tip_true() {
    World::run(async |w| {
        let first = w.ship(&[("shop/one.yaml", &config_map("one", "1"))]).await;
        w.ship(&[("shop/two.yaml", &config_map("two", "2"))]).await;
        w.settle().await;
        w.repo.git(&["reset", "--quiet", "--hard", first.as_str()]);
        let third = w.ship(&[("shop/three.yaml", &config_map("three", "3"))]).await;
        w.settle().await;
        assert_eq!(w.east.config_maps(&w.namespace).await, ["one", "three"]);
        w.expect(&third, "shop@east", "success", &["1 created, 1 pruned"]).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_monorepo_a_push_costs_the_untouched_nothing() {
    let names: Vec<String> = (0..50).map(|number| format!("app-{number:02}")).collect();
    let setup = Setup::default().applications(names.iter().map(|name| App::named(name)));
    setup
        .run(async |w| {
            let files: Vec<(String, String)> =
                names.iter().map(|name| (format!("{name}/a.yaml"), config_map(name, "1"))).collect();
            let files: Vec<(&str, &str)> =
                files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
            let first = w.ship(&files).await;
            w.settle().await;
            assert_eq!(w.east.config_maps(&w.namespace).await.len(), 50);
            let told: BTreeSet<_> =
                w.repo.statuses(&first).await.into_iter().map(|one| one.context).collect();
            assert_eq!(told.into_iter().collect::<Vec<_>>(), ["windlass"], "so many are told of as a whole");
            let mark = w.east.mark();
            let second = w.ship(&[("app-17/a.yaml", &config_map("app-17", "2"))]).await;
            assert_eq!(w.dispatch_step().await, Step::Dispatched { jobs: 1, superseded: 0 });
            w.settle().await;
            assert_eq!(w.runs().await.len(), 51);
            let told: BTreeSet<_> =
                w.repo.statuses(&second).await.into_iter().map(|one| one.context).collect();
            assert_eq!(told.into_iter().collect::<Vec<_>>(), ["windlass", "windlass/app-17@east"]);
            let asked = w.east.asked_since(mark, &w.installation).await;
            assert!(asked.iter().any(|one| one.uri.contains("app-17")), "{asked:#?}");
            let strange: Vec<_> = asked
                .iter()
                .filter(|one| names.iter().any(|name| name != "app-17" && one.uri.contains(name.as_str())))
                .collect();
            assert!(strange.is_empty(), "{strange:#?}");
            assert!(asked.len() < 15, "one pass, not fifty: {asked:#?}");
        })
        .await;
}

/// How many applications follow other sources?
const OTHERS: usize = 50_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn beside_applications_of_other_sources_a_push_leaves_no_trace_of_them() {
    World::run(async |w| {
        w.change_settings(|settings| {
            // A process that only reconciles knows no applications.
            let Some(shop) = settings.applications.first().cloned() else { return };
            let others = (0..OTHERS).map(|number| {
                let name = |text: String| Name::parse(&text).unwrap();
                let source = name(format!("elsewhere-{}", number % 100));
                Application { name: name(format!("other-{number}")), source, ..shop.clone() }
            });
            settings.applications.extend(others);
        });
        w.restart().await;
        let commit = w.ship(&[("shop/one.yaml", &config_map("one", "1"))]).await;
        assert_eq!(w.dispatch_step().await, Step::Dispatched { jobs: 1, superseded: 0 });
        w.settle().await;
        w.expect(&commit, "shop@east", "success", &["1 created"]).await;
        let considered = last_considered(w).await;
        assert_eq!((considered.decisions.len(), considered.more), (1, 0), "{considered:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_commit_a_rename_a_merge_and_a_long_push_end_where_they_lead() {
    World::run(async |w| {
        w.ship(&[("shop/one.yaml", &config_map("one", "1"))]).await;
        w.settle().await;
        let version = async |w: &World| {
            let live = w.east.find(&w.path_of("one")).await.unwrap();
            live["metadata"]["resourceVersion"].clone()
        };
        let before = version(w).await;
        let empty = w.ship(&[]).await;
        w.settle().await;
        w.repo.git(&["mv", "shop/one.yaml", "shop/renamed.yaml"]);
        let renamed = w.ship(&[]).await;
        w.settle().await;
        assert_eq!(version(w).await, before, "neither wrote anything");
        let main = w.repo.git(&["rev-parse", "--abbrev-ref", "HEAD"]);
        w.repo.git(&["checkout", "--quiet", "-b", "side"]);
        for number in 0..30 {
            w.commit(&[("shop/two.yaml", &config_map("two", &number.to_string()))]);
        }
        w.repo.git(&["checkout", "--quiet", &main]);
        w.repo.git(&["merge", "--quiet", "--no-ff", "--message", "merge", "side"]);
        w.repo.slip_in(MAIN);
        let merged = w.repo.head();
        w.push(&merged).await;
        w.settle().await;
        assert_eq!(w.value("two").await.as_deref(), Some("29"));
        assert!(w.repo.statuses(&empty).await.is_empty(), "it touches nothing");
        w.expect(&renamed, "shop@east", "success", &["1 unchanged"]).await;
        w.expect(&merged, "shop@east", "success", &["1 created"]).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_push_to_many_applications_asks_the_forge_a_few_times() {
    let names: Vec<String> = (0..40).map(|number| format!("app-{number:02}")).collect();
    let setup = Setup::proxied().applications(names.iter().map(|name| App::named(name)));
    setup
        .run(async |w| {
            let files = |value: &str| -> Vec<(String, String)> {
                names.iter().map(|name| (format!("{name}/a.yaml"), config_map(name, value))).collect()
            };
            for value in ["1", "2"] {
                let listed = |w: &World| w.before_gitea().count(|line| line.contains("info/refs"));
                let (before, mark) = (listed(w), w.east.mark());
                let files = files(value);
                let files: Vec<_> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
                let commit = w.ship(&files).await;
                w.settle().await;
                w.expect(&commit, "", "success", &["40 targets healthy"]).await;
                let listed = listed(w) - before;
                assert!(listed < names.len() * 3 / 4, "{listed}");
                let asked = w.east.asked_since(mark, &w.installation).await;
                let fences =
                    asked.iter().filter(|one| one.is_write() && one.uri.contains("/configmaps/windlass-"));
                let conflicts: Vec<_> = fences.filter(|one| one.code == 409).collect();
                assert!(conflicts.is_empty(), "nobody takes a fence from another: {conflicts:#?}");
            }
        })
        .await;
}
