//! What a push does to objects.

use serde_json::json;
use windlass::dispatch::Step;
use windlass::outcome::Phase;
use windlass::reconcile;

use crate::world::manifests::config_map;
use crate::world::manifests::definition;
use crate::world::manifests::definition_path;
use crate::world::manifests::namespace;
use crate::world::manifests::secret;
use crate::world::manifests::widget;
use crate::world::proxy::is_write;
use crate::world::setup::App;
use crate::world::setup::Setup;
use crate::world::unique;
use crate::world::until;
use crate::world::windlass::World;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_push_creates_changes_and_prunes() {
    World::run(async |w| {
        let (one, two) = (config_map("one", "1"), config_map("two", "2"));
        let first = w.ship(&[("shop/one.yaml", &one), ("shop/two.yaml", &two)]).await;
        w.settle().await;
        assert_eq!(w.value("one").await.as_deref(), Some("1"));
        w.expect(&first, "shop@east", "success", &["2 created", "healthy in"]).await;
        w.expect(&first, "", "success", &["1 target healthy"]).await;
        w.repo.remove(&["shop/two.yaml"]);
        let second = w.ship(&[("shop/one.yaml", &config_map("one", "changed"))]).await;
        w.settle().await;
        assert_eq!(w.value("one").await.as_deref(), Some("changed"));
        assert_eq!(w.value("two").await, None);
        w.expect(&second, "shop@east", "success", &["1 configured, 1 pruned, healthy in"]).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_field_removed_from_a_manifest_disappears_live() {
    World::run(async |w| {
        let with = format!("{}  more: \"2\"\n", config_map("one", "1"));
        w.ship(&[("shop/one.yaml", &with)]).await;
        w.settle().await;
        w.east.change(&w.path_of("one"), &json!({ "data": { "theirs": "3" } })).await;
        let second = w.ship(&[("shop/one.yaml", &config_map("one", "1"))]).await;
        w.settle().await;
        let live = w.east.find(&w.path_of("one")).await.unwrap();
        assert_eq!(live["data"], json!({ "key": "1", "theirs": "3" }), "what others set is theirs");
        w.expect(&second, "shop@east", "success", &["1 configured"]).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_secret_says_in_plain_is_windlass_s_as_all_else_is() {
    World::run(async |w| {
        let patrol = w.patrol();
        let with = format!("{}  more: two\n", secret("one", "first"));
        w.ship(&[("shop/one.yaml", &with)]).await;
        w.settle().await;
        let path = w.path_of("one").replace("configmaps", "secrets");
        let east = w.east.clone();
        let data = async || east.find(&path).await.unwrap()["data"].clone();
        assert_eq!(data().await, json!({ "password": "Zmlyc3Q=", "more": "dHdv" }));
        w.east.change(&path, &json!({ "data": { "password": "b3RoZXI=" } })).await;
        w.drift_is_seen().await;
        w.settle().await;
        assert_eq!(data().await, json!({ "password": "Zmlyc3Q=", "more": "dHdv" }), "drift is seen");
        drop(patrol);
        w.ship(&[("shop/one.yaml", &secret("one", "first"))]).await;
        w.settle().await;
        assert_eq!(data().await, json!({ "password": "Zmlyc3Q=" }), "a key that was taken out is gone");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_namespace_and_what_is_in_it_come_in_one_commit() {
    World::run(async |w| {
        let name = format!("room-{}", unique());
        let path = format!("/api/v1/namespaces/{name}");
        let inside = |value: &str| {
            config_map("one", value).replace("  name: one", &format!("  name: one\n  namespace: {name}"))
        };
        let wrong = format!("{}immutable: perhaps\n", inside("1"));
        let first = w.ship(&[("shop/a.yaml", &inside("1")), ("shop/ns.yaml", &namespace(&name))]).await;
        w.settle().await;
        w.expect(&first, "shop@east", "success", &["2 created"]).await;
        assert_eq!(w.east.config_maps(&name).await, ["one"]);
        let other = format!("{name}-2");
        let second = w
            .ship(&[("shop/b.yaml", &wrong.replace(&name, &other)), ("shop/ns2.yaml", &namespace(&other))])
            .await;
        w.settle().await;
        w.expect(&second, "shop@east", "failure", &[&format!("ConfigMap/{other}/one"), "immutable"]).await;
        let found = w.east.find(&format!("/api/v1/namespaces/{other}")).await;
        assert_eq!(found, None, "what is wrong inside is found before the namespace is made");
        w.east.delete(&path).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_definition_and_its_custom_resource_come_in_one_commit() {
    World::run(async |w| {
        let group = format!("bed-{}.example.org", unique());
        let first = w
            .ship(&[("shop/a.yaml", &widget(&group, "one", "1")), ("shop/crd.yaml", &definition(&group))])
            .await;
        w.settle().await;
        w.expect(&first, "shop@east", "success", &["2 created"]).await;
        let path = format!("/apis/{group}/v1/namespaces/{}/widgets", w.namespace);
        assert_eq!(w.east.list(&path).await[0]["spec"]["size"], 1);
        w.repo.remove(&["shop/a.yaml"]);
        let second = w.ship(&[("shop/b.yaml", &widget(&group, "two", "2"))]).await;
        w.settle().await;
        w.expect(&second, "shop@east", "success", &["1 created, 1 pruned"]).await;
        w.east.delete(&definition_path(&group)).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_of_a_kind_that_came_behind_our_back_is_pruned_all_the_same() {
    World::run(async |w| {
        let group = format!("bed-{}.example.org", unique());
        w.ship(&[("shop/one.yaml", &config_map("one", "1"))]).await;
        w.settle().await;
        // As another process leaves it behind: a kind that this one has not discovered, and a member of it.
        let crd = format!("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.{group}");
        w.east.apply(&format!("{crd}?fieldManager=bed"), &definition(&group)).await;
        until("the new kind is served", async || {
            w.east.find(&format!("/apis/{group}/v1/namespaces/{}/widgets", w.namespace)).await
        })
        .await;
        let parent = format!("/api/v1/namespaces/{}/configmaps/windlass-shop", w.installation);
        let id = windlass::applyset::id("windlass-shop", &w.installation);
        let member = format!("/apis/{group}/v1/namespaces/{}/widgets/two", w.namespace);
        let labelled = widget(&group, "two", "2").replace(
            "  name: two\n",
            &format!("  name: two\n  labels: {{ applyset.kubernetes.io/part-of: {id} }}\n"),
        );
        w.east.apply(&format!("{member}?fieldManager=windlass:shop"), &labelled).await;
        let kinds = format!("ConfigMap,Widget.{group}");
        let annotations = json!({ "applyset.kubernetes.io/contains-group-kinds": kinds });
        w.east.change(&parent, &json!({ "metadata": { "annotations": annotations } })).await;
        let second = w.ship(&[("shop/one.yaml", &config_map("one", "2"))]).await;
        w.settle().await;
        w.expect(&second, "shop@east", "success", &["1 configured, 1 pruned"]).await;
        assert_eq!(w.east.find(&member).await, None);
        w.east.delete(&crd).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_clusters_follow_one_push() {
    let setup = Setup::default().applications([App::named("shop").on(&["east", "west"])]);
    setup
        .run(async |w| {
            let first = w.ship(&[("shop/one.yaml", &config_map("one", "1"))]).await;
            w.settle().await;
            for cluster in [&w.east, &w.west] {
                assert_eq!(cluster.find(&w.path_of("one")).await.unwrap()["data"]["key"], "1");
            }
            w.expect(&first, "shop@east", "success", &["1 created"]).await;
            w.expect(&first, "shop@west", "success", &["1 created"]).await;
            w.expect(&first, "", "success", &["2 targets healthy"]).await;
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_push_twice_writes_nothing() {
    World::run(async |w| {
        let first = w.ship(&[("shop/one.yaml", &config_map("one", "1"))]).await;
        w.settle().await;
        let mark = w.east.mark();
        w.push(&first).await;
        let step = w.dispatch_step().await;
        assert!(matches!(step, Step::Nothing { .. }), "{step:?}");
        assert!(
            w.east.asked_since(mark, &w.installation).await.is_empty(),
            "nothing moved, nothing is asked"
        );
        // Somebody asks for a whole pass.
        w.ask_again("shop").await;
        w.settle().await;
        let asked = w.east.asked_since(mark, &w.installation).await;
        assert!(!asked.is_empty());
        let writes: Vec<_> = asked.iter().filter(|asked| asked.is_write()).collect();
        assert!(writes.is_empty(), "{writes:#?}");
        let runs = w.runs().await;
        assert_eq!((runs.len(), runs[1].phase, runs[1].tally.unchanged), (2, Phase::Healthy, 1));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_webhook_is_healed_by_a_sweep() {
    World::run(async |w| {
        w.ship(&[("shop/one.yaml", &config_map("one", "1"))]).await;
        w.settle().await;
        assert_eq!(w.sweep().await.moved, 0);
        let second = w.commit(&[("shop/one.yaml", &config_map("one", "2"))]);
        assert_eq!(w.sweep().await.moved, 1);
        w.settle().await;
        assert_eq!(w.value("one").await.as_deref(), Some("2"));
        w.expect(&second, "shop@east", "success", &["1 configured"]).await;
        w.push(&second).await;
        let late = w.dispatch_step().await;
        assert!(matches!(late, Step::Nothing { .. }), "a delivery that comes late finds it done: {late:?}");
        w.settle().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_webhook_is_healed_also_where_somebody_asked_for_one_of_its_targets() {
    let setup = Setup::default().applications([App::named("shop"), App::named("blog")]);
    setup
        .run(async |w| {
            let files = |value: &str| {
                [("shop/one.yaml", config_map("one", value)), ("blog/two.yaml", config_map("two", value))]
            };
            let texts = files("1");
            w.ship(&texts.each_ref().map(|(path, text)| (*path, text.as_str()))).await;
            w.settle().await;
            let texts = files("2");
            let second = w.commit(&texts.each_ref().map(|(path, text)| (*path, text.as_str())));
            w.ask_again("shop").await;
            w.settle().await;
            assert_eq!(w.value("one").await.as_deref(), Some("2"));
            assert_eq!(w.value("two").await.as_deref(), Some("1"), "nobody told of it yet");
            assert_eq!(w.sweep().await.moved, 1);
            w.settle().await;
            assert_eq!(w.value("two").await.as_deref(), Some("2"));
            w.expect(&second, "blog@east", "success", &["1 configured"]).await;
            assert_eq!(w.sweep().await.moved, 0);
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn drift_by_hand_is_corrected_by_the_next_push() {
    World::run(async |w| {
        let files = [("shop/one.yaml", config_map("one", "1")), ("shop/gone.yaml", config_map("gone", "1"))];
        w.ship(&[(files[0].0, &files[0].1), (files[1].0, &files[1].1)]).await;
        w.settle().await;
        w.east.change(&w.path_of("one"), &json!({ "data": { "key": "by hand" } })).await;
        w.east.delete(&w.path_of("gone")).await;
        let second = w.ship(&[("shop/two.yaml", &config_map("two", "2"))]).await;
        w.settle().await;
        assert_eq!(w.value("one").await.as_deref(), Some("1"));
        assert_eq!(w.value("gone").await.as_deref(), Some("1"));
        w.expect(&second, "shop@east", "success", &["1 configured, 2 created"]).await;
        let run = w.runs().await.pop().unwrap();
        let note = run.changes.iter().find_map(|change| change.note.as_deref());
        assert_eq!(
            note,
            Some("data.key (taken from unknown)"),
            "history names what had drifted, and by whom: {:?}",
            run.changes
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_definition_and_what_needs_its_change_come_in_one_commit() {
    World::run(async |w| {
        let group = format!("bed-{}.example.org", unique());
        let files = [
            ("shop/crd.yaml", &*definition(&group)),
            ("shop/one.yaml", &widget(&group, "one", "1")),
            ("shop/two.yaml", &widget(&group, "two", "1")),
        ];
        let first = w.ship(&files).await;
        w.settle().await;
        w.expect(&first, "shop@east", "success", &["3 created"]).await;
        // What no definition takes is refused before anything is written.
        let blue = format!("{}  color: blue\n", widget(&group, "one", "2"));
        let second =
            w.ship(&[("shop/one.yaml", &blue), ("shop/two.yaml", &widget(&group, "two", "2"))]).await;
        w.settle().await;
        w.expect(&second, "shop@east", "failure", &["color"]).await;
        let path = format!("/apis/{group}/v1/namespaces/{}/widgets", w.namespace);
        let (east, path) = (w.east.clone(), &path);
        let spec = async |name: &str| east.find(&format!("{path}/{name}")).await.unwrap()["spec"].clone();
        assert_eq!(spec("two").await, json!({ "size": 1 }));
        let size = "size: { type: integer }";
        let wider = definition(&group).replace(size, &format!("{size}, color: {{ type: string }}"));
        let third = w.ship(&[("shop/crd.yaml", &wider)]).await;
        w.settle().await;
        w.expect(&third, "shop@east", "success", &["3 configured"]).await;
        assert_eq!(
            (spec("one").await, spec("two").await),
            (json!({ "size": 2, "color": "blue" }), json!({ "size": 2 }))
        );
        // And what the changed one does not take either is refused in its words.
        let wrong = blue.replace("blue", "7");
        let widest = wider.replace(size, &format!("{size}, shape: {{ type: string }}"));
        let fourth = w.ship(&[("shop/crd.yaml", &widest), ("shop/one.yaml", &wrong)]).await;
        w.settle().await;
        w.expect(&fourth, "shop@east", "failure", &["color"]).await;
        assert_eq!(spec("one").await, json!({ "size": 2, "color": "blue" }));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_that_is_slow_keeps_no_worker_from_the_others() {
    let applications = [App::named("shop"), App::named("till"), App::named("desk").on(&["west"])];
    Setup::proxied()
        .applications(applications)
        .section("[reconcile]\nparallel = 1")
        .run(async |w| {
            let held = w.before_east().hold(is_write);
            w.ship(&[("shop/one.yaml", &config_map("one", "1"))]).await;
            w.dispatch_step().await;
            let slow = w.reconcile_beside();
            held.arrived().await;
            let till = w.ship(&[("till/two.yaml", &config_map("two", "1"))]).await;
            let desk = w.ship(&[("desk/three.yaml", &config_map("three", "1"))]).await;
            w.dispatch_step().await;
            w.dispatch_step().await;
            let step = w.reconcile_step().await;
            assert!(
                matches!(&step, reconcile::Step::Retried { why, .. } if why.contains("east")),
                "{step:?}"
            );
            let step = w.reconcile_step().await;
            assert!(matches!(step, reconcile::Step::Done(_)), "{step:?}");
            assert!(w.west.find(&w.path_of("three")).await.is_some(), "west is served meanwhile");
            held.release();
            slow.await.unwrap();
            w.settle().await;
            w.expect(&desk, "desk@west", "success", &["1 created"]).await;
            w.expect(&till, "till@east", "success", &["1 created"]).await;
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kind_that_a_commit_brings_is_watched_from_then_on() {
    World::run(async |w| {
        w.ship(&[("shop/one.yaml", &config_map("one", "1"))]).await;
        w.settle().await;
        let _patrol = w.patrol();
        // By this, the patrol is under way, and knows the kinds of the cluster.
        w.east.delete(&w.path_of("one")).await;
        w.drift_is_seen().await;
        w.settle().await;
        let group = format!("bed-{}.example.org", unique());
        let files = [("shop/crd.yaml", &*definition(&group)), ("shop/a.yaml", &*widget(&group, "a", "1"))];
        w.ship(&files).await;
        w.settle().await;
        let path = format!("/apis/{group}/v1/namespaces/{}/widgets/a", w.namespace);
        w.east.delete(&path).await;
        w.drift_is_seen().await;
        w.settle().await;
        assert!(w.east.find(&path).await.is_some(), "it is back");
        w.east.delete(&definition_path(&group)).await;
    })
    .await;
}
