//! The cache: whole after parallel and cancelled fetches, cloned anew when it is not.

use std::path::Path;
use std::time::Duration;

use windlass::commit::CommitId;
use windlass::fault::Fault;
use windlass::source::Error;
use windlass::source::Limits;
use windlass::source::Settings;
use windlass::source::Source;

use crate::MAIN;
use crate::Scene;
use crate::reference;
use crate::settings;
use crate::world::git::git;

#[tokio::test]
async fn eight_fetches_at_once_keep_the_cache_whole() {
    let scene = Scene::new().await;
    let commits: Vec<CommitId> =
        (0..16).map(|n| scene.repo.commit("n", &[("a.yaml", &format!("a: {n}\n"))])).collect();
    scene.repo.push(MAIN);
    // A second source over the same cache stands for another process.
    let other = Source::open(settings(&scene.repo.url, scene.cache.path())).unwrap();
    let main = reference(MAIN);
    let both = [&scene.source, &other];
    let fetches =
        commits.chunks(2).zip(both.iter().cycle()).map(|(pair, source)| source.resolve(&main, pair));
    for resolved in futures::future::join_all(fetches).await {
        assert_eq!(resolved.unwrap().found.len(), 2);
    }
    git(&scene.bare(), &["fsck", "--connectivity-only"]);
    let shallow = std::fs::read_to_string(scene.bare().join("shallow")).unwrap();
    assert_eq!(shallow.lines().count(), 16);
}

#[tokio::test]
async fn a_cancelled_fetch_leaves_the_cache_whole() {
    let scene = Scene::new().await;
    let noise: String =
        (0..400_000).map(|n: u64| format!("{:x}\n", n.wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect();
    let commit = scene.repo.commit("large", &[("noise.txt", &noise), ("a.yaml", "a: 1\n")]);
    scene.repo.push(MAIN);
    let main = reference(MAIN);
    for millis in [5, 15, 30, 45, 60] {
        let cut = tokio::time::timeout(Duration::from_millis(millis), scene.source.resolve(&main, &[])).await;
        drop(cut);
    }
    assert_eq!(scene.tip().await, Some(commit.clone()));
    assert_eq!(scene.paths(&commit, "").await, ["a.yaml"]);
    git(&scene.bare(), &["fsck", "--connectivity-only"]);
    let limits = Limits { fetch_bytes: 100_000, ..Limits::default() };
    let settings = Settings { limits, ..settings(&scene.repo.url, &scene.cache.path().join("small")) };
    let error = Source::open(settings).unwrap().resolve(&main, &[]).await.unwrap_err();
    assert!(matches!(error, Error::Outgrown { .. }) && error.fault() == Fault::Theirs, "{error}");
}

#[tokio::test]
async fn a_corrupt_cache_is_cloned_anew() {
    type Harm = fn(&Path);
    let harms: [(&str, Harm); 5] = [
        ("no HEAD", |bare| std::fs::remove_file(bare.join("HEAD")).unwrap()),
        ("a broken configuration", |bare| std::fs::write(bare.join("config"), "[core\nbare").unwrap()),
        ("no packs", |bare| std::fs::remove_dir_all(bare.join("objects/pack")).unwrap()),
        ("broken refs", |bare| {
            for entry in std::fs::read_dir(bare.join("refs/windlass")).unwrap() {
                std::fs::write(entry.unwrap().path(), "nonsense").unwrap();
            }
        }),
        ("an empty folder", |bare| {
            std::fs::remove_dir_all(bare).unwrap();
            std::fs::create_dir(bare).unwrap();
        }),
    ];
    let scene = Scene::new().await;
    for (number, (name, harm)) in harms.into_iter().enumerate() {
        let commit = scene.at("a.yaml", &format!("a: {number}\n")).await;
        harm(&scene.bare());
        let resolved = scene.source.resolve(&reference(MAIN), &[]).await;
        assert_eq!(resolved.unwrap_or_else(|e| panic!("{name}: {e}")).tip, Some(commit.clone()), "{name}");
        assert_eq!(scene.paths(&commit, "").await, ["a.yaml"], "{name}");
    }
}

#[tokio::test]
async fn what_a_reader_finds_broken_is_cloned_anew_by_the_next_resolve() {
    let scene = Scene::new().await;
    let commit = scene.at("a.yaml", "a: 1\n").await;
    for entry in std::fs::read_dir(scene.bare().join("objects/pack")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|end| end == "pack") {
            let mut bytes = std::fs::read(&path).unwrap();
            for byte in &mut bytes[12..] {
                *byte ^= 0x55;
            }
            std::fs::remove_file(&path).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
    }
    let error = scene.source.read(&commit, "").await.unwrap_err();
    assert!(matches!(error, Error::Cache { .. }) && error.fault() == Fault::Passing, "{error}");
    assert_eq!(scene.tip().await, Some(commit.clone()));
    assert_eq!(scene.paths(&commit, "").await, ["a.yaml"]);
}

#[tokio::test]
async fn a_new_process_uses_the_cache_that_is_there() {
    let scene = Scene::new().await;
    let commit = scene.at("a.yaml", "a: 1\n").await;
    let again = Source::open(settings(&scene.repo.url, scene.cache.path())).unwrap();
    assert_eq!(again.read(&commit, "").await.unwrap().len(), 1);
    let packs = || std::fs::read_dir(scene.bare().join("objects/pack")).unwrap().count();
    let before = packs();
    assert_eq!(again.resolve(&reference(MAIN), &[]).await.unwrap().tip, Some(commit));
    assert_eq!(packs(), before, "nothing was fetched again");
}

#[tokio::test]
async fn only_the_newest_commits_are_kept_and_never_too_few() {
    let scene = Scene::new().await;
    let commits: Vec<CommitId> =
        (0..70).map(|n| scene.repo.commit("n", &[("a.yaml", &format!("a: {n}\n"))])).collect();
    scene.repo.push(MAIN);
    for batch in commits.chunks(35) {
        assert_eq!(scene.source.resolve(&reference(MAIN), batch).await.unwrap().found.len(), 35);
    }
    let kept = std::fs::read_dir(scene.bare().join("refs/windlass")).unwrap().count();
    assert_eq!(kept, 64);
    assert_eq!(scene.source.resolve(&reference(MAIN), &commits).await.unwrap().found.len(), 70);
}
