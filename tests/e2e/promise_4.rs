//! Only what is ours is deleted, never more than the guard allows, and never because something failed.

use serde_json::json;
use windlass::application::Name;
use windlass::application::Target;
use windlass::commit::CommitId;
use windlass::object::GroupKind;
use windlass::pause::Audited;
use windlass::pause::Order;
use windlass::pause::Scope;

use crate::annotations::annotated;
use crate::world::manifests::config_map;
use crate::world::manifests::namespace;
use crate::world::manifests::secret;
use crate::world::setup::App;
use crate::world::setup::Setup;
use crate::world::unique;
use crate::world::until;
use crate::world::windlass::World;
use crate::world::windlass::now;

/// Ships so many ConfigMaps, each in a file of its own.
async fn ship_many(w: &mut World, count: usize) -> CommitId {
    let files: Vec<(String, String)> = (0..count)
        .map(|number| (format!("shop/{number:02}.yaml"), config_map(&format!("cm-{number:02}"), "1")))
        .collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    w.ship(&files).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_4_more_than_the_guard_allows_is_kept_until_a_commit_consents() {
    World::run(async |w| {
        ship_many(w, 12).await;
        w.settle().await;
        for number in 1..12 {
            w.repo.remove(&[&format!("shop/{number:02}.yaml")]);
        }
        let second = w.ship(&[]).await;
        w.settle().await;
        assert_eq!(w.east.config_maps(&w.namespace).await.len(), 12);
        let words = ["kept by the prune guard", "11 of 12 objects", "Windlass-Allow-Prune", "(and 10 more)"];
        w.expect(&second, "shop@east", "failure", &words[..1]).await;
        let said = w.runs().await.pop().unwrap().problems[0].to_string();
        assert!(words[..3].iter().all(|word| said.contains(word)), "{said}");
        let third = w.commit_saying("clear out\n\nWindlass-Allow-Prune: shop", &[]);
        w.push(&third).await;
        w.settle().await;
        assert_eq!(w.east.config_maps(&w.namespace).await, ["cm-00"]);
        w.expect(&third, "shop@east", "success", &["11 pruned"]).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_4_a_kind_that_the_settings_guard_is_kept_until_a_commit_consents() {
    World::run(async |w| {
        let secrets = || vec![GroupKind { group: String::new(), kind: "Secret".to_owned() }];
        w.change_settings(|settings| settings.guard.kinds = secrets());
        w.restart().await;
        ship_many(w, 3).await;
        w.ship(&[("shop/key.yaml", &secret("key", "something"))]).await;
        w.settle().await;
        w.repo.remove(&["shop/key.yaml", "shop/00.yaml"]);
        let second = w.ship(&[]).await;
        w.settle().await;
        w.expect(&second, "shop@east", "failure", &["guard every Secret"]).await;
        assert_eq!(w.east.config_maps(&w.namespace).await, ["cm-01", "cm-02"]);
        let third = w.commit_saying("drop the key\n\nWindlass-Allow-Prune: shop", &[]);
        w.push(&third).await;
        w.settle().await;
        w.expect(&third, "shop@east", "success", &["1 pruned"]).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_4_all_of_a_small_application_is_kept_though_others_take_its_place() {
    World::run(async |w| {
        ship_many(w, 2).await;
        w.settle().await;
        w.repo.remove(&["shop/00.yaml", "shop/01.yaml"]);
        let second = w.ship(&[("shop/other.yaml", &config_map("other", "1"))]).await;
        w.settle().await;
        assert_eq!(w.east.config_maps(&w.namespace).await, ["cm-00", "cm-01", "other"]);
        w.expect(&second, "shop@east", "failure", &["all objects that were there"]).await;
        // By now others are there, so that they are few; and drift of those is no occasion either.
        let third = w.ship(&[("shop/other.yaml", &config_map("other", "2"))]).await;
        w.settle().await;
        w.expect(&third, "shop@east", "failure", &["all objects that were there"]).await;
        let patrol = w.patrol();
        w.east.delete(&w.path_of("other")).await;
        w.drift_is_seen().await;
        w.settle().await;
        drop(patrol);
        assert_eq!(w.east.config_maps(&w.namespace).await, ["cm-00", "cm-01", "other"]);
        // Whoever takes the mistake back has it pruned like anything else.
        w.repo.remove(&["shop/other.yaml"]);
        ship_many(w, 2).await;
        w.settle().await;
        assert_eq!(w.east.config_maps(&w.namespace).await, ["cm-00", "cm-01"]);
        w.repo.remove(&["shop/00.yaml", "shop/01.yaml"]);
        w.ship(&[("shop/other.yaml", &config_map("other", "1"))]).await;
        w.settle().await;
        let third = w.commit_saying("another shop\n\nWindlass-Allow-Prune: shop", &[]);
        w.push(&third).await;
        w.settle().await;
        assert_eq!(w.east.config_maps(&w.namespace).await, ["other"]);
        // One alone is a name that changes.
        w.repo.remove(&["shop/other.yaml"]);
        let fourth = w.ship(&[("shop/new.yaml", &config_map("new", "1"))]).await;
        w.settle().await;
        assert_eq!(w.east.config_maps(&w.namespace).await, ["new"]);
        w.expect(&fourth, "shop@east", "success", &["1 created, 1 pruned"]).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_4_a_person_consents_for_one_commit() {
    World::run(async |w| {
        ship_many(w, 12).await;
        w.settle().await;
        for number in 1..12 {
            w.repo.remove(&[&format!("shop/{number:02}.yaml")]);
        }
        let second = w.ship(&[]).await;
        w.settle().await;
        w.expect(&second, "shop@east", "failure", &["kept by the prune guard"]).await;
        let said = w.runs().await.pop().unwrap().problems[0].to_string();
        assert!(
            said.contains(&format!("windlass sync shop@east --allow-prune {}", second.short())),
            "{said}"
        );
        // Consent to one commit is none to the next.
        let third = w.ship(&[("shop/12.yaml", &config_map("cm-12", "1"))]).await;
        w.settle().await;
        let (why, by) = ("they are old".to_owned(), "ana".to_owned());
        let target =
            Target { application: Name::parse("shop").unwrap(), cluster: Name::parse("east").unwrap() };
        let scope = Scope { application: Some(target.application.clone()), cluster: None };
        let order = Audited { at: now(), by, order: Order::Sync, scope, why };
        for (commit, left) in [(&second, 13), (&third, 2)] {
            w.store().wish(std::slice::from_ref(&target), &order, Some(commit)).await.unwrap();
            assert_eq!(w.opener().step(now()).await.unwrap().asked, 1);
            w.settle().await;
            assert_eq!(w.east.config_maps(&w.namespace).await.len(), left, "{}", commit.short());
        }
        w.expect(&third, "shop@east", "success", &["11 pruned"]).await;
        w.expect_healed(&third);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_4_a_commit_on_the_way_consents_to_what_it_left_out() {
    World::run(async |w| {
        ship_many(w, 30).await;
        w.settle().await;
        let remove = |w: &World, numbers: std::ops::Range<u32>| {
            for number in numbers {
                w.repo.remove(&[&format!("shop/{number:02}.yaml")]);
            }
        };
        // As a pull request is merged, whose commit consents.
        let main = w.repo.git(&["rev-parse", "--abbrev-ref", "HEAD"]);
        w.repo.git(&["checkout", "--quiet", "-b", "cleanup"]);
        remove(w, 0..12);
        w.repo.commit("fewer\n\nWindlass-Allow-Prune: shop", &[]);
        w.repo.git(&["checkout", "--quiet", &main]);
        w.commit(&[("elsewhere", "meanwhile\n")]);
        w.repo.git(&["merge", "--quiet", "--no-ff", "--message", "Merge pull request #1", "cleanup"]);
        w.repo.slip_in("refs/heads/main");
        let merged = w.repo.head();
        w.push(&merged).await;
        w.settle().await;
        w.expect(&merged, "shop@east", "success", &["12 pruned"]).await;
        // What left after the consent is none of its business.
        remove(w, 12..13);
        w.repo.commit("one\n\nWindlass-Allow-Prune: shop", &[]);
        remove(w, 13..25);
        let second = w.ship(&[]).await;
        w.settle().await;
        w.expect(&second, "shop@east", "failure", &["kept by the prune guard"]).await;
        let left = w.east.config_maps(&w.namespace).await;
        assert_eq!((left.len(), &*left[0]), (17, "cm-13"));
        // And once it is applied, it consents to nothing more.
        let third = w.ship(&[("shop/30.yaml", &config_map("cm-30", "1"))]).await;
        w.settle().await;
        w.expect(&third, "shop@east", "failure", &["kept by the prune guard"]).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_4_a_commit_on_the_way_consents_to_nothing_that_it_never_had() {
    World::run(async |w| {
        ship_many(w, 3).await;
        w.settle().await;
        let main = w.repo.git(&["rev-parse", "--abbrev-ref", "HEAD"]);
        w.repo.git(&["checkout", "--quiet", "-b", "cleanup"]);
        w.repo.remove(&["shop/00.yaml"]);
        w.repo.commit("fewer\n\nWindlass-Allow-Prune: shop", &[]);
        w.repo.git(&["checkout", "--quiet", &main]);
        let held = annotated(&config_map("held", "1"), ("windlass.dev/prune", "confirm"));
        w.ship(&[("shop/held.yaml", &held)]).await;
        w.settle().await;
        w.repo.git(&["merge", "--quiet", "--no-ff", "--message", "merge", "cleanup"]);
        w.repo.remove(&["shop/held.yaml"]);
        let last = w.ship(&[]).await;
        w.settle().await;
        w.expect(&last, "shop@east", "failure", &["asks for consent"]).await;
        assert_eq!(w.east.config_maps(&w.namespace).await, ["cm-01", "cm-02", "held"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_4_a_commit_on_the_way_consents_to_nothing_that_was_brought_back_after_it() {
    World::run(async |w| {
        ship_many(w, 2).await;
        let held = annotated(&config_map("held", "1"), ("windlass.dev/prune", "confirm"));
        let gone = annotated(&config_map("gone", "1"), ("windlass.dev/prune", "confirm"));
        w.ship(&[("shop/held.yaml", &held), ("shop/gone.yaml", &gone)]).await;
        w.settle().await;
        w.repo.remove(&["shop/held.yaml", "shop/gone.yaml"]);
        w.repo.commit("fewer\n\nWindlass-Allow-Prune: shop", &[]);
        w.commit(&[("shop/held.yaml", &held)]);
        w.repo.remove(&["shop/held.yaml"]);
        let last = w.ship(&[("shop/00.yaml", &config_map("cm-00", "2"))]).await;
        w.settle().await;
        w.expect(&last, "shop@east", "failure", &["asks for consent"]).await;
        assert_eq!(w.east.config_maps(&w.namespace).await, ["cm-00", "cm-01", "held"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_4_an_emptied_folder_prunes_nothing() {
    World::run(async |w| {
        ship_many(w, 2).await;
        w.settle().await;
        w.repo.remove(&["shop/00.yaml", "shop/01.yaml"]);
        let empty = w.ship(&[("shop/README.md", "nothing here\n")]).await;
        w.settle().await;
        w.expect(&empty, "shop@east", "failure", &["declares no object at all"]).await;
        w.repo.remove(&["shop/README.md"]);
        let gone = w.ship(&[("elsewhere", "nothing there\n")]).await;
        w.settle().await;
        w.expect(&gone, "shop@east", "failure", &["shop"]).await;
        let consenting =
            w.commit_saying("all of it\n\nWindlass-Allow-Prune: shop", &[("shop/README.md", "\n")]);
        w.push(&consenting).await;
        w.settle().await;
        w.expect(&consenting, "shop@east", "failure", &["declares no object at all"]).await;
        assert_eq!(w.east.config_maps(&w.namespace).await.len(), 2);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_4_what_others_made_stays_even_under_our_label() {
    World::run(async |w| {
        ship_many(w, 2).await;
        w.settle().await;
        let path = format!("/api/v1/namespaces/{}/configmaps", w.namespace);
        w.east.create(&path, &json!({ "metadata": { "name": "theirs" } })).await;
        let labels = w.east.find(&w.path_of("cm-00")).await.unwrap()["metadata"]["labels"].clone();
        w.east.create(&path, &json!({ "metadata": { "name": "copied", "labels": labels } })).await;
        w.repo.remove(&["shop/01.yaml"]);
        let second = w.ship(&[]).await;
        w.settle().await;
        w.expect(&second, "shop@east", "success", &["1 pruned"]).await;
        assert_eq!(w.east.config_maps(&w.namespace).await, ["cm-00", "copied", "theirs"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_4_a_list_that_fails_prunes_nothing() {
    Setup::proxied()
        .run(async |w| {
            ship_many(w, 3).await;
            w.settle().await;
            let lists = |line: &str| {
                line.starts_with("GET") && line.contains("configmaps?") && !line.contains("watch")
            };
            w.repo.remove(&["shop/02.yaml"]);
            w.before_east().refuse(1, 500, lists);
            let second = w.ship(&[("shop/00.yaml", &config_map("cm-00", "2"))]).await;
            w.dispatch_step().await;
            w.reconcile_step().await;
            assert_eq!(w.east.config_maps(&w.namespace).await.len(), 3);
            assert_eq!(w.value("cm-00").await.as_deref(), Some("1"));
            w.before_east().heal();
            w.settle().await;
            w.expect(&second, "shop@east", "success", &["1 configured, 1 pruned"]).await;
            // What the cluster forbids to list stays, too.
            w.repo.remove(&["shop/01.yaml"]);
            w.before_east().refuse(usize::MAX, 403, lists);
            let third = w.ship(&[]).await;
            w.settle().await;
            w.expect(&third, "shop@east", "failure", &["list"]).await;
            assert_eq!(w.east.config_maps(&w.namespace).await.len(), 2);
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_4_a_commit_that_cannot_be_read_prunes_nothing() {
    World::run(async |w| {
        ship_many(w, 2).await;
        w.settle().await;
        w.repo.remove(&["shop/01.yaml"]);
        let second = w.ship(&[("shop/00.yaml", "kind: [\n")]).await;
        w.settle().await;
        w.expect(&second, "shop@east", "failure", &["00.yaml"]).await;
        assert_eq!(w.east.config_maps(&w.namespace).await.len(), 2);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_4_a_namespace_needs_consent_because_it_takes_what_it_holds_with_it() {
    World::run(async |w| {
        let name = format!("room-{}", unique());
        let path = format!("/api/v1/namespaces/{name}");
        w.ship(&[("shop/a.yaml", &config_map("a", "1")), ("shop/room.yaml", &namespace(&name))]).await;
        w.settle().await;
        w.repo.remove(&["shop/room.yaml"]);
        let second = w.ship(&[]).await;
        w.settle().await;
        w.expect(&second, "shop@east", "failure", &[&format!("Namespace/{name}"), "needs consent"]).await;
        assert!(w.east.find(&path).await.unwrap()["metadata"]["deletionTimestamp"].is_null());
        let third = w.commit_saying("no room\n\nWindlass-Allow-Prune: shop", &[]);
        w.push(&third).await;
        w.settle().await;
        w.expect(&third, "shop@east", "success", &["1 pruned"]).await;
        until("the namespace is gone", async || w.east.find(&path).await.is_none().then_some(())).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_4_a_path_that_leaves_the_repository_takes_nothing_with_it() {
    let setup = Setup::default().applications([App::named("blog"), App::named("shop")]);
    setup
        .run(async |w| {
            ship_many(w, 2).await;
            w.settle().await;
            w.ship(&[("blog/a.yaml", &config_map("a", "1"))]).await;
            w.settle().await;
            let before = w.east.find(&w.path_of("cm-00")).await.unwrap();
            w.repo.git(&["rm", "-r", "--quiet", "shop"]);
            // Not even with consent: nobody can have meant this path.
            let text = "moved\n\nWindlass-Allow-Prune: shop";
            let gone = w.commit_saying(text, &[("blog/a.yaml", &config_map("a", "2"))]);
            w.push(&gone).await;
            w.settle().await;
            w.expect(&gone, "shop@east", "failure", &["`shop`"]).await;
            w.expect(&gone, "blog@east", "success", &["1 configured"]).await;
            assert_eq!(w.east.config_maps(&w.namespace).await, ["a", "cm-00", "cm-01"]);
            w.repo.git(&["checkout", "--quiet", "HEAD~1", "--", "shop"]);
            let back = w.ship(&[]).await;
            w.settle().await;
            w.expect(&back, "shop@east", "success", &["healthy in"]).await;
            assert_eq!(w.east.find(&w.path_of("cm-00")).await.unwrap(), before);
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_4_a_namespace_that_two_applications_declare_is_left_to_the_other() {
    let setup = Setup::default().applications([App::named("blog"), App::named("shop")]);
    setup
        .run(async |w| {
            let name = format!("room-{}", unique());
            let (room, path) = (namespace(&name), format!("/api/v1/namespaces/{name}"));
            let inside = |object: &str| {
                config_map(object, "1").replace("\ndata:", &format!("\n  namespace: {name}\ndata:"))
            };
            w.ship(&[("shop/room.yaml", &room), ("shop/one.yaml", &inside("one"))]).await;
            w.settle().await;
            let uid = w.east.find(&path).await.unwrap()["metadata"]["uid"].clone();
            let second = w.ship(&[("blog/room.yaml", &room), ("blog/two.yaml", &inside("two"))]).await;
            w.settle().await;
            let words = [&*format!("Namespace/{name}"), "application shop"];
            w.expect(&second, "blog@east", "failure", &words).await;
            assert_eq!(w.east.config_maps(&name).await, ["one"]);
            // Who no longer declares it leaves it to the other, with all that is in it.
            w.repo.remove(&["shop/room.yaml"]);
            let third = w.ship(&[("blog/more.yaml", &inside("more"))]).await;
            w.settle().await;
            w.expect(&third, "shop@east", "success", &["healthy"]).await;
            w.expect(&third, "blog@east", "success", &["2 created"]).await;
            assert_eq!(w.east.config_maps(&name).await, ["more", "one", "two"]);
            // And the other one cannot let it go without consent, since it would take what is not its own.
            w.repo.remove(&["blog/room.yaml"]);
            let fourth = w.ship(&[]).await;
            w.settle().await;
            w.expect(&fourth, "blog@east", "failure", &[words[0], "needs consent"]).await;
            let live = w.east.find(&path).await.unwrap();
            assert_eq!(live["metadata"]["uid"], uid);
            assert!(live["metadata"]["deletionTimestamp"].is_null());
            w.east.delete(&path).await;
        })
        .await;
}
