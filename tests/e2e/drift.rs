//! What somebody else changes in a cluster.

use serde_json::json;
use windlass::application::SelfHeal;
use windlass::outcome::Drift;
use windlass::outcome::Phase;
use windlass::reconcile::Ended;
use windlass::reconcile::Step;

use crate::annotations::annotated;
use crate::world::manifests::config_map;
use crate::world::manifests::stuck_deployment;
use crate::world::setup::App;
use crate::world::setup::Setup;
use crate::world::windlass::World;

/// Returns all drift that is recorded, the newest first.
pub async fn drifts(w: &World) -> Vec<Drift> {
    w.store().drifts(None, 100).await.unwrap().into_iter().map(|(_, drift)| drift).collect()
}

/// Changes the value of a ConfigMap, as somebody with `kubectl edit` would.
pub async fn edit(w: &World, name: &str, value: &str) {
    let path = format!("{}?fieldManager=somebody", w.path_of(name));
    w.east.change(&path, &json!({ "data": { "key": value } })).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_field_is_made_as_declared_and_its_author_is_named() {
    World::run(async |w| {
        let first = w.ship(&[("shop/one.yaml", &config_map("one", "1"))]).await;
        w.settle().await;
        let told = w.repo.statuses(&first).await.len();
        let _patrol = w.patrol();
        // What nobody declared is nobody's business, so this leads to nothing.
        let path = format!("{}?fieldManager=somebody", w.path_of("one"));
        w.east.change(&path, &json!({ "data": { "theirs": "3" } })).await;
        edit(w, "one", "2").await;
        w.drift_is_seen().await;
        w.settle().await;
        let live = w.east.find(&w.path_of("one")).await.unwrap();
        assert_eq!(live["data"], json!({ "key": "1", "theirs": "3" }));
        let drifts = drifts(w).await;
        assert_eq!(drifts.len(), 1, "{drifts:?}");
        let Drift { commit, corrected, objects, problems, .. } = &drifts[0];
        assert_eq!((commit, *corrected, problems.len()), (&first, true, 0));
        assert_eq!(
            (objects[0].object.name.as_str(), &objects[0].fields[..]),
            ("one", &["data.key".to_owned()][..])
        );
        assert_eq!(objects[0].by.as_deref(), Some("somebody"));
        assert!(objects[0].since.is_some());
        assert_eq!(w.repo.statuses(&first).await.len(), told, "no status tells of drift");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_object_comes_back_and_the_applied_commit_counts() {
    World::run(async |w| {
        let first = w.ship(&[("shop/one.yaml", &config_map("one", "1"))]).await;
        w.settle().await;
        // Windlass was not told of this one yet.
        w.commit(&[("shop/one.yaml", &config_map("one", "2"))]);
        let _patrol = w.patrol();
        w.east.delete(&w.path_of("one")).await;
        w.drift_is_seen().await;
        w.settle().await;
        assert_eq!(w.value("one").await.as_deref(), Some("1"));
        let drifts = drifts(w).await;
        assert_eq!((drifts.len(), &drifts[0].commit, drifts[0].corrected), (1, &first, true), "{drifts:?}");
        assert!(drifts[0].objects[0].fields.is_empty());
        w.sweep().await;
        w.settle().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_changed_while_nobody_watched_is_seen() {
    World::run(async |w| {
        w.ship(&[("shop/one.yaml", &config_map("one", "1"))]).await;
        w.settle().await;
        edit(w, "one", "2").await;
        let _patrol = w.patrol();
        w.drift_is_seen().await;
        w.settle().await;
        assert_eq!(w.value("one").await.as_deref(), Some("1"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn drift_is_only_reported_or_left_alone_where_that_is_wanted() {
    let app = App::named("shop").with("self_heal = \"report\"");
    Setup::default()
        .applications([app])
        .run(async |w| {
            w.ship(&[("shop/one.yaml", &config_map("one", "1"))]).await;
            w.settle().await;
            let patrol = w.patrol();
            edit(w, "one", "2").await;
            w.drift_is_seen().await;
            w.settle().await;
            assert_eq!(w.value("one").await.as_deref(), Some("2"));
            let found = drifts(w).await;
            assert_eq!((found.len(), found[0].corrected), (1, false), "{found:?}");
            drop(patrol);
            w.change_settings(|settings| {
                settings.applications.iter_mut().for_each(|one| one.self_heal = SelfHeal::Off);
            });
            w.restart().await;
            let _patrol = w.patrol();
            edit(w, "one", "3").await;
            w.drift_is_seen().await;
            w.settle().await;
            assert_eq!(w.value("one").await.as_deref(), Some("3"));
            assert_eq!(drifts(w).await.len(), 1);
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn drift_is_corrected_after_a_failed_sync_too() {
    World::run(async |w| {
        let first = w.ship(&[("shop/one.yaml", &config_map("one", "1"))]).await;
        w.settle().await;
        let broken = format!("{}immutable: perhaps\n", config_map("one", "2"));
        let second = w.ship(&[("shop/one.yaml", &broken)]).await;
        w.settle().await;
        w.expect(&second, "shop@east", "failure", &["immutable"]).await;
        let _patrol = w.patrol();
        edit(w, "one", "drifted").await;
        w.drift_is_seen().await;
        w.settle().await;
        assert_eq!(w.value("one").await.as_deref(), Some("1"));
        assert_eq!(drifts(w).await[0].commit, first);
        w.expect(&second, "shop@east", "failure", &["immutable"]).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn drift_of_what_was_written_is_corrected_after_a_sync_that_was_refused_half_way() {
    Setup::proxied()
        .run(async |w| {
            let both = |value: &str| [config_map("one", value), config_map("two", value)];
            let [one, two] = both("1");
            w.ship(&[("shop/one.yaml", &one), ("shop/two.yaml", &two)]).await;
            w.settle().await;
            let _patrol = w.patrol();
            let write = |line: &str| {
                line.starts_with("PATCH") && line.contains("/configmaps/two?") && !line.contains("dryRun")
            };
            w.before_east().refuse(1, 403, write);
            let [one, two] = both("2");
            let second = w.ship(&[("shop/one.yaml", &one), ("shop/two.yaml", &two)]).await;
            w.settle().await;
            w.expect(&second, "shop@east", "failure", &["/two"]).await;
            let values = async |w: &World| (w.value("one").await.unwrap(), w.value("two").await.unwrap());
            assert_eq!(values(w).await, ("2".into(), "1".into()));
            // What was not written did not drift, and no drift has it tried again.
            edit(w, "two", "theirs").await;
            w.drift_is_seen().await;
            w.settle().await;
            edit(w, "one", "theirs").await;
            w.drift_is_seen().await;
            w.settle().await;
            assert_eq!(values(w).await, ("2".into(), "theirs".into()));
            w.east.delete(&w.path_of("one")).await;
            w.drift_is_seen().await;
            w.settle().await;
            assert_eq!(values(w).await, ("2".into(), "theirs".into()));
            assert_eq!(w.repo.statuses(&second).await.last().unwrap().state, "failure");
            // Who asks has the rest of it written.
            w.ask_again("shop").await;
            w.settle().await;
            w.expect_healed(&second);
            w.expect(&second, "shop@east", "success", &["1 configured"]).await;
            assert_eq!(values(w).await, ("2".into(), "2".into()));
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_field_that_somebody_took_away_while_nobody_watched_comes_back() {
    World::run(async |w| {
        let noted = annotated(&config_map("one", "1"), ("example.org/note", "ours"));
        w.ship(&[("shop/one.yaml", &noted), ("shop/two.yaml", &config_map("two", "1"))]).await;
        w.settle().await;
        let note = async |w: &World| {
            let live = w.east.find(&w.path_of("one")).await.unwrap();
            live["metadata"]["annotations"]["example.org/note"].as_str().map(str::to_owned)
        };
        // Nobody owns what is gone, so that no manager's name tells of it.
        let path = format!("{}?fieldManager=somebody", w.path_of("one"));
        w.east.change(&path, &json!({ "metadata": { "annotations": { "example.org/note": null } } })).await;
        assert_eq!(note(w).await, None);
        let patrol = w.patrol();
        w.drift_is_seen().await;
        w.settle().await;
        assert_eq!(note(w).await.as_deref(), Some("ours"));
        assert_eq!(drifts(w).await.len(), 1);
        // And where nothing happened, a patrol that begins anew asks for nothing.
        drop(patrol);
        let _patrol = w.patrol();
        edit(w, "two", "theirs").await;
        w.drift_is_seen().await;
        w.settle().await;
        assert_eq!((drifts(w).await.len(), w.value("two").await.as_deref()), (2, Some("1")));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn drift_after_drift_is_corrected_as_well() {
    World::run(async |w| {
        w.ship(&[("shop/a.yaml", &config_map("one", "1")), ("shop/b.yaml", &config_map("two", "1"))]).await;
        w.settle().await;
        let _patrol = w.patrol();
        for name in ["one", "two", "one"] {
            edit(w, name, "drifted").await;
            w.drift_is_seen().await;
            w.settle().await;
            assert_eq!(w.value(name).await.as_deref(), Some("1"), "{name}");
        }
        assert_eq!(drifts(w).await.len(), 3);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn drift_is_corrected_while_health_is_waited_for() {
    World::run(async |w| {
        let first = w
            .ship(&[("shop/one.yaml", &config_map("one", "1")), ("shop/web.yaml", &stuck_deployment("web"))])
            .await;
        w.dispatch_step().await;
        let step = w.reconcile_step().await;
        assert!(matches!(&step, Step::Done(Ended::Run { phase: Phase::Applied, .. })), "{step:?}");
        w.report_all().await;
        let _patrol = w.patrol();
        edit(w, "one", "2").await;
        w.drift_is_seen().await;
        w.dispatch_step().await;
        let step = w.reconcile_step().await;
        assert!(matches!(&step, Step::Done(Ended::Drift { corrected: true, .. })), "{step:?}");
        assert_eq!(w.value("one").await.as_deref(), Some("1"));
        w.repo.remove(&["shop/web.yaml"]);
        w.ship(&[]).await;
        w.settle().await;
        w.expect(&first, "shop@east", "warning", &["superseded by"]).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_was_made_true_after_drift_has_a_verdict_of_its_own() {
    World::run(async |w| {
        let files = |value: &str| config_map("one", value);
        w.ship(&[("shop/one.yaml", &files("1"))]).await;
        w.settle().await;
        let patrol = w.patrol();
        edit(w, "one", "drifted").await;
        w.drift_is_seen().await;
        w.settle().await;
        drop(patrol);
        assert_eq!(w.value("one").await.as_deref(), Some("1"));
        // The second is overtaken before its pass begins, by one that reads as the first did.
        let second = w.ship(&[("shop/one.yaml", &files("2"))]).await;
        w.dispatch_step().await;
        let third = w.ship(&[("shop/one.yaml", &files("1"))]).await;
        w.settle().await;
        w.expect(&second, "shop@east", "warning", &["superseded by", third.short()]).await;
        w.expect(&third, "shop@east", "success", &["1 unchanged"]).await;
    })
    .await;
}
