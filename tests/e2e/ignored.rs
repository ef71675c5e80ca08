//! What rules of the settings leave to others, the rules that drift itself suggests, and the fights that they settle.

use serde_json::json;
use windlass::application::Name;
use windlass::application::Target;
use windlass::clock::now;
use windlass::drift::suggest;
use windlass::ignore::IgnoreRule;
use windlass::moment::Moment;
use windlass::outcome::Drift;
use windlass::pause::Audited;
use windlass::pause::Order;
use windlass::pause::Scope;

use crate::world::manifests::config_map;
use crate::world::setup::Setup;
use crate::world::windlass::World;
use crate::world::windlass::source;

/// Changes the value of a ConfigMap, as a manager of this name would.
async fn change(w: &World, name: &str, value: &str, manager: &str) {
    let path = format!("{}?fieldManager={manager}", w.path_of(name));
    w.east.change(&path, &json!({ "data": { "key": value } })).await;
}

/// Returns all drift that is recorded, the newest first.
async fn drifts(w: &World) -> Vec<(Moment, Drift)> {
    w.store().drifts(None, 100).await.unwrap()
}

/// Lets drift be seen, corrected where it is, and told.
async fn see(w: &mut World) {
    let patrol = w.patrol();
    w.drift_is_seen().await;
    w.settle().await;
    drop(patrol);
}

/// Has the application of the world leave to others what these rules say, and sweeps as a start does.
async fn restart_with(w: &mut World, rules: &[IgnoreRule]) {
    let rules = rules.to_vec();
    w.change_settings(|settings| {
        settings.applications.iter_mut().for_each(|one| one.ignore.clone_from(&rules))
    });
    w.restart().await;
    w.sweeper().step(&source(), true).await.unwrap();
    w.settle().await;
}

/// Asks for a pass, as `windlass sync` does.
async fn sync(w: &World) {
    let name = |text: &str| Name::parse(text).unwrap();
    let scope = Scope { application: Some(name("shop")), cluster: None };
    let order = Audited { at: now(), by: "ana".into(), order: Order::Sync, scope, why: String::new() };
    let target = Target { application: name("shop"), cluster: name("east") };
    w.store().wish(&[target], &order, None).await.unwrap();
    assert_eq!(w.opener().step(now()).await.unwrap().asked, 1);
    w.settle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_field_of_a_rule_is_neither_corrected_nor_recorded_nor_written() {
    let rule = "[[ignore_rules]]\nkind = \"ConfigMap\"\nname = \"one\"\nfields = [\"/data/key\"]";
    Setup::default()
        .section(rule)
        .run(async |w| {
            let files = [("shop/a.yaml", config_map("one", "1")), ("shop/b.yaml", config_map("two", "1"))];
            let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
            w.ship(&files).await;
            w.settle().await;
            assert_eq!(w.value("one").await.as_deref(), Some("1"), "it is set when the object is created");
            for name in ["one", "two"] {
                change(w, name, "2", "somebody").await;
            }
            see(w).await;
            assert_eq!(
                (w.value("one").await.as_deref(), w.value("two").await.as_deref()),
                (Some("2"), Some("1"))
            );
            let told: Vec<_> = drifts(w).await.into_iter().flat_map(|(_, one)| one.objects).collect();
            assert_eq!(told.iter().map(|one| one.object.name.as_str()).collect::<Vec<_>>(), ["two"]);
            let next = w.ship(&[("shop/a.yaml", &config_map("one", "3"))]).await;
            w.settle().await;
            w.expect(&next, "shop@east", "success", &["2 unchanged, healthy"]).await;
            assert_eq!(w.value("one").await.as_deref(), Some("2"), "no commit sets it either");
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_manager_of_a_rule_sets_stays_and_what_others_set_does_not() {
    let rule = "[[ignore_rules]]\nkind = \"ConfigMap\"\napplications = [\"sh*\"]\nmanagers = [\"tuner\"]";
    Setup::default()
        .section(rule)
        .run(async |w| {
            let files = [("shop/a.yaml", config_map("one", "1")), ("shop/b.yaml", config_map("two", "1"))];
            let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
            w.ship(&files).await;
            w.settle().await;
            change(w, "one", "2", "tuner").await;
            change(w, "two", "2", "somebody").await;
            see(w).await;
            assert_eq!(
                (w.value("one").await.as_deref(), w.value("two").await.as_deref()),
                (Some("2"), Some("1"))
            );
            let told: Vec<_> = drifts(w).await.into_iter().flat_map(|(_, one)| one.objects).collect();
            assert_eq!(told.iter().map(|one| one.object.name.as_str()).collect::<Vec<_>>(), ["two"]);
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_rule_that_drift_suggests_settles_it_until_it_is_taken_away() {
    World::run(async |w| {
        w.ship(&[("shop/a.yaml", &config_map("one", "1"))]).await;
        w.settle().await;
        change(w, "one", "2", "somebody").await;
        see(w).await;
        assert_eq!(w.value("one").await.as_deref(), Some("1"));
        let seen = drifts(w).await;
        let found = suggest(seen.iter().map(|(at, one)| (*at, one))).remove(0);
        assert_eq!(found.annotation().as_deref(), Some("/data/key"));
        assert_eq!((found.seen[0].by.as_deref(), found.seen[0].times), (Some("somebody"), 1));
        let rule = found.rule.unwrap();
        restart_with(w, &[rule]).await;
        change(w, "one", "3", "somebody").await;
        see(w).await;
        assert_eq!((w.value("one").await.as_deref(), drifts(w).await.len()), (Some("3"), 1));
        // A rule that goes is a change of the application, so a pass follows.
        restart_with(w, &[]).await;
        assert_eq!(w.value("one").await.as_deref(), Some("1"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_undoes_the_same_again_and_again_is_given_way_until_a_commit_or_a_person_asks() {
    World::run(async |w| {
        w.ship(&[("shop/a.yaml", &config_map("one", "1"))]).await;
        w.settle().await;
        for round in 0..3 {
            change(w, "one", "2", "tuner").await;
            see(w).await;
            assert_eq!(w.value("one").await.as_deref(), Some("1"), "round {round}");
        }
        change(w, "one", "2", "tuner").await;
        see(w).await;
        assert_eq!(w.value("one").await.as_deref(), Some("2"), "windlass gives way");
        let newest = drifts(w).await.remove(0).1;
        let [fight] = &newest.fights[..] else { panic!("{newest:?}") };
        assert_eq!(
            (fight.by.as_str(), &fight.fields[..], fight.times),
            ("tuner", &["data.key".to_owned()][..], 3)
        );
        assert!(!newest.corrected && newest.objects[0].object == fight.object);
        sync(w).await;
        assert_eq!(w.value("one").await.as_deref(), Some("1"), "somebody asked for it");
        change(w, "one", "2", "tuner").await;
        see(w).await;
        assert_eq!(w.value("one").await.as_deref(), Some("2"), "once asked for is written once");
        w.ship(&[("shop/a.yaml", &config_map("one", "4"))]).await;
        w.settle().await;
        assert_eq!(w.value("one").await.as_deref(), Some("4"), "a commit counts");
        change(w, "one", "2", "tuner").await;
        see(w).await;
        assert_eq!(w.value("one").await.as_deref(), Some("4"), "and with it all begins anew");
    })
    .await;
}
