//! Whether an object is as declared is said exactly: on real manifests of others and on random changes of them, what is
//! known without asking is what the server's dry-run confirms, and what its dry-run confirms is what a write would do.
//!
//! `WINDLASS_EQUAL` says how many pairs of manifest and live object are tried.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test ends where it fails"
)]

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::StreamExt;
use futures::stream;
use serde_json::Value;
use serde_json::json;
use windlass::application::Conflicts;
use windlass::application::Name;
use windlass::application::Propagation;
use windlass::cluster::Cluster;
use windlass::cluster::Kinds;
use windlass::cluster::Settings;
use windlass::drift;
use windlass::drift::Foretold;
use windlass::object::Live;
use windlass::object::Manifest;

use crate::world::bed;
use crate::world::chance::Chance;
use crate::world::kube::Kube;
use crate::world::unique;

mod cases;
mod collection;
mod mutate;
#[path = "../world/mod.rs"]
mod world;

/// How many pairs are tried where nobody says?
const PAIRS: usize = 2_400;

/// How many changes of each manifest are tried, and how many of each live object?
const CHANGES: usize = 4;

/// How often is a pair tried anew that somebody changed meanwhile?
const TRIES: usize = 8;

/// How many objects are tried at once?
const AT_ONCE: usize = 8;

const MANAGER: &str = "windlass:equal";

/// What is counted where an object was refused at first; it makes no pair.
const REFUSED: &str = "objects refused";

/// What became of the pairs, by name.
type Tally = BTreeMap<&'static str, usize>;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unchanged_is_said_exactly_where_the_server_changes_nothing() {
    let pairs = std::env::var("WINDLASS_EQUAL").ok().and_then(|pairs| pairs.parse().ok()).unwrap_or(PAIRS);
    let mut chance = Chance::by_seed();
    let scene = Arc::new(Scene::new().await);
    let manifests = collection::manifests(&scene.kinds, &scene.namespace);
    let (mut tally, mut tried, mut round) = (Tally::new(), 0, 0);
    while tried < pairs {
        let jobs: Vec<_> = chance.shuffled(&manifests).into_iter().map(|m| (m, chance.fork())).collect();
        let jobs = jobs.into_iter().enumerate().map(|(number, (manifest, chance))| {
            let (scene, id) = (Arc::clone(&scene), format!("r{round}-{number}"));
            async move { scene.see(&id, manifest, chance).await }
        });
        let mut done = stream::iter(jobs).buffer_unordered(AT_ONCE);
        while let Some(one) = done.next().await {
            tried += one.iter().filter(|(name, _)| **name != REFUSED).map(|(_, count)| count).sum::<usize>();
            one.into_iter().for_each(|(name, count)| *tally.entry(name).or_default() += count);
            if tried >= pairs {
                break;
            }
        }
        drop(done);
        round += 1;
    }
    scene.clear().await;
    let known = tally.get("known as unchanged").copied().unwrap_or_default();
    let asked = tally.get("unchanged by dry-run").copied().unwrap_or_default();
    eprintln!(
        "{} manifests, {tried} pairs: {tally:?}; known without asking {known} of {}",
        manifests.len(),
        known + asked
    );
    let foretold = tally.get("known as changed").copied().unwrap_or_default();
    let unforetold = tally.get("changed by dry-run").copied().unwrap_or_default();
    assert!(foretold > unforetold, "too little of what is changed is foretold: {tally:?}");
    assert!(2 * known > asked, "too little of what is unchanged is known without asking: {tally:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_case_is_as_the_server_and_the_table_say() {
    let scene = Scene::new().await;
    let wrong = cases::tell(&scene).await;
    scene.clear().await;
    assert!(wrong.is_empty(), "{} cases are otherwise:\n{}", wrong.len(), wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_definition_fills_in_now_is_not_taken_for_what_it_filled_in() {
    let mut scene = Scene::new().await;
    let (changed, known) = scene.filled_in_otherwise().await;
    scene.clear().await;
    assert!(!changed.is_empty(), "the server takes both for the same");
    assert!(!known, "known as unchanged, but it changes {changed:?}");
}

/// The cluster, and room in it.
struct Scene {
    cluster: Cluster,
    kinds: Arc<Kinds>,
    kube: Kube,
    namespace: String,
}

impl Scene {
    async fn new() -> Self {
        let kube = Kube::connect("east").await;
        let id = unique();
        let namespace = format!("equal-{id}");
        kube.make_namespace(&namespace).await;
        let cluster = Cluster::connect(Settings {
            name: Name::parse("east").unwrap(),
            kubeconfig: Some(bed("WINDLASS_BED_EAST_KUBECONFIG").into()),
            context: None,
            namespace: namespace.clone(),
            requests: 2 * AT_ONCE,
            installation: Name::parse(&format!("equal-{id}")).unwrap(),
        })
        .await
        .unwrap();
        collection::define(&kube, &namespace).await;
        let kinds = cluster.discover().await.unwrap();
        Self { cluster, kinds, kube, namespace }
    }

    async fn clear(&self) {
        collection::undefine(&self.kube, &self.namespace).await;
        self.kube.delete(&format!("/api/v1/namespaces/{}", self.namespace)).await;
    }

    /// Applies a manifest, then tries it and changes of it and of the live object.
    async fn see(&self, id: &str, manifest: Manifest, mut chance: Chance) -> Tally {
        let mut tally = Tally::new();
        let manifest = collection::renamed(manifest, id, &self.namespace);
        if self.cluster.apply(&self.kinds, (MANAGER, Conflicts::Take), &manifest, None, "1").await.is_err() {
            return Tally::from([(REFUSED, 1)]);
        }
        let mut note = |verdict| *tally.entry(verdict).or_default() += 1;
        note(self.pair(&manifest, true).await);
        for _ in 0..CHANGES {
            let changed =
                Manifest { value: mutate::manifest(&manifest.value, &mut chance), ..manifest.clone() };
            note(self.pair(&changed, false).await);
            note(self.pair(&manifest, false).await);
        }
        for _ in 0..CHANGES {
            self.meddle(&manifest, &mut chance).await;
            note(self.pair(&manifest, true).await);
        }
        if let Some(live) = self.live(&manifest).await {
            drop(self.cluster.delete(&self.kinds, &live, Propagation::Background).await);
        }
        tally
    }

    async fn live(&self, manifest: &Manifest) -> Option<Live> {
        let object = [(manifest.api_version.as_str(), &manifest.id)];
        self.cluster.read(&self.kinds, &object).await.unwrap().pop()
    }

    /// Changes the live object, as another manager or as a person would.
    async fn meddle(&self, manifest: &Manifest, chance: &mut Chance) {
        let Some(live) = self.live(manifest).await else { return };
        let mut value = mutate::live(&live.value, chance);
        value["metadata"].as_object_mut().unwrap().remove("managedFields");
        let other = Manifest { value, ..manifest.clone() };
        // What is immutable or not valid stays as it is.
        let path = collection::path(&other);
        drop(
            self.kube
                .ask("PUT", &format!("{path}?fieldManager=meddler"), "application/json", &other.value)
                .await,
        );
    }

    /// Compares what is said of a pair with what a write does; `same` says that the manifest was applied last.
    async fn pair(&self, manifest: &Manifest, same: bool) -> &'static str {
        for _ in 0..TRIES {
            if let Some(verdict) = self.try_pair(manifest, same).await {
                return verdict;
            }
        }
        "never at rest"
    }

    /// As [`Scene::pair`]; nothing where somebody else wrote meanwhile.
    async fn try_pair(&self, manifest: &Manifest, same: bool) -> Option<&'static str> {
        let Some(live) = self.live(manifest).await else { return Some("gone") };
        let known = drift::is_as_declared(&live.value, &manifest.value, MANAGER, same);
        let dry = self.cluster.dry_run(&self.kinds, MANAGER, manifest, Conflicts::Take).await;
        let said = dry.map(|merged| drift::between(&live.value, &merged, MANAGER));
        let written =
            self.cluster.apply(&self.kinds, (MANAGER, Conflicts::Take), manifest, Some(&live), "").await;
        let story = || {
            let (live, manifest) = (json!(live.value).to_string(), manifest.value.to_string());
            format!("live {live}\nmanifest {manifest}\nsaid {said:?}")
        };
        let written = match written {
            Ok(value) => value,
            Err(error) if error.answer().is_some_and(windlass::cluster::Answer::is_conflict) => return None,
            Err(error) => {
                assert!(!known, "known as unchanged but refused: {error}\n{}", story());
                assert!(said.is_err(), "accepted dry and refused then: {error}\n{}", story());
                return Some("refused");
            }
        };
        let changed = without_version(&written) != without_version(&live.value);
        let foretold = [Some(MANAGER), None].map(|by| drift::foretell(&live.value, &manifest.value, by));
        for one in &foretold {
            let wrong = matches!((one, changed), (Foretold::Changed(_), false) | (Foretold::Unchanged, true));
            assert!(!wrong, "foretold {one:?}\nnow {written}\n{}", story());
        }
        assert!(!(known && changed), "known as unchanged but changed\nnow {written}\n{}", story());
        let fields = said.as_ref().expect("it was accepted, so it is dry");
        assert_eq!(
            !fields.is_empty(),
            changed,
            "what a dry-run shows is what a write does\nnow {written}\n{}",
            story()
        );
        Some(match (known, changed) {
            (true, _) => "known as unchanged",
            (false, false) => "unchanged by dry-run",
            (false, true) if matches!(foretold[0], Foretold::Changed(_)) => "known as changed",
            (false, true) => "changed by dry-run",
        })
    }
}

/// Returns an object without its version, since of some kinds the server writes an equal object anew, with the time of a
/// note; and without what it notes of the time before anybody applied anything.
fn without_version(object: &Value) -> Value {
    let mut object = object.clone();
    let metadata = object["metadata"].as_object_mut().unwrap();
    metadata.remove("resourceVersion");
    if let Some(entries) = metadata.get_mut("managedFields").and_then(Value::as_array_mut) {
        entries.retain(|entry| entry["manager"] != "before-first-apply");
        for entry in entries.iter_mut() {
            entry.as_object_mut().unwrap().remove("time");
        }
        // They stand in the order of their times.
        entries.sort_by_key(ToString::to_string);
        if entries.is_empty() {
            metadata.remove("managedFields");
        }
    }
    object
}
