//! What is read of history: the commits between two others.

use windlass::commit::CommitId;

use crate::MAIN;
use crate::Scene;

/// The message of a commit that is looked for.
const WANTED: &str = "wanted";

/// Makes a commit of an empty tree, with its parents, at a second of a day.
fn made(scene: &Scene, message: &str, second: u32, parents: &[&CommitId]) -> CommitId {
    let (tree, at) = (scene.mktree(""), 1_700_000_000 + second);
    let parents: String = parents.iter().map(|parent| format!("parent {parent}\n")).collect();
    let who = format!("ana <ana@example.com> {at} +0000");
    let text = format!("tree {tree}\n{parents}author {who}\ncommitter {who}\n\n{message}\n");
    let file = scene.cache.path().join("commit");
    std::fs::write(&file, text).unwrap();
    let id = scene.repo.git(&["hash-object", "-t", "commit", "-w", file.to_str().unwrap()]);
    CommitId::parse(&id).unwrap()
}

/// Makes so many commits, one after the other, from a second on.
fn line(scene: &Scene, from: &CommitId, second: u32, count: u32) -> CommitId {
    let mut last = from.clone();
    for n in 0..count {
        last = made(scene, "on the way", second + n, &[&last]);
    }
    last
}

/// Pushes a commit, fetches it, and returns what is found between another one and it.
async fn found(scene: &Scene, tip: &CommitId, since: &CommitId) -> Vec<CommitId> {
    scene.repo.git(&["push", "--quiet", "--force", "origin", &format!("{tip}:{MAIN}")]);
    assert_eq!(scene.tip().await.as_ref(), Some(tip));
    scene.source.since(tip, since, |message| message.trim() == WANTED).await.unwrap()
}

#[tokio::test]
async fn commits_are_found_on_every_way_to_the_tip_and_on_none_to_what_was_there_before() {
    let scene = Scene::new().await;
    let root = made(&scene, WANTED, 0, &[]);
    let base = line(&scene, &root, 1, 3);
    let since = made(&scene, "applied", 100, &[&made(&scene, WANTED, 50, &[&base])]);
    assert_eq!(found(&scene, &since, &since).await, []);
    // A branch that was begun, and written to, before what is applied.
    let on_a_branch = made(&scene, WANTED, 60, &[&base]);
    let branch = made(&scene, "more", 61, &[&on_a_branch]);
    let merged = made(&scene, "merge", 101, &[&since, &branch]);
    assert_eq!(found(&scene, &merged, &since).await, std::slice::from_ref(&on_a_branch));
    let newer = made(&scene, WANTED, 102, &[&merged]);
    let tip = line(&scene, &newer, 103, 2);
    assert_eq!(found(&scene, &tip, &since).await, [newer.clone(), on_a_branch]);
    assert_eq!(found(&scene, &tip, &merged).await, [newer]);
    assert_eq!(found(&scene, &base, &since).await, [], "what was thrown away brings nothing");
}

#[tokio::test]
async fn as_much_history_is_fetched_as_it_takes() {
    let scene = Scene::new().await;
    let root = made(&scene, "root", 0, &[]);
    let since = line(&scene, &root, 1, 5);
    assert_eq!(found(&scene, &since, &since).await, []);
    let wanted = made(&scene, WANTED, 10, &[&since]);
    for (count, depth) in [(40, "one fetch"), (300, "two fetches")] {
        let tip = line(&scene, &wanted, 11, count);
        assert_eq!(found(&scene, &tip, &since).await, std::slice::from_ref(&wanted), "{depth}");
        let whole = scene.source.resolve(&crate::reference(MAIN), &[]).await.unwrap();
        assert_eq!(whole.tip, Some(tip), "the cache is as good as before");
    }
}

#[tokio::test]
async fn what_may_be_part_of_the_past_is_left_out() {
    let scene = Scene::new().await;
    let root = made(&scene, "root", 0, &[]);
    // Where what was applied is so far away that its past is not known, a commit may belong to it.
    let old = made(&scene, WANTED, 1, &[&line(&scene, &root, 0, 1)]);
    let since = line(&scene, &old, 2, 1_100);
    let branch = made(&scene, "branch", 3, &[&old]);
    let new = made(&scene, WANTED, 2_000, &[&since]);
    let tip = made(&scene, "merge", 2_001, &[&new, &branch]);
    assert_eq!(found(&scene, &tip, &since).await, [new]);
}
