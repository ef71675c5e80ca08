//! What is read of history: the commits between two others.

use windlass::commit::CommitId;
use windlass::source::OnTheWay;

use crate::MAIN;
use crate::Scene;

/// The message of a commit that is looked for.
const WANTED: &str = "wanted";

/// Makes a commit of an empty tree, with its parents, at a second of a day.
fn made(scene: &Scene, message: &str, second: u32, parents: &[&CommitId]) -> CommitId {
    holding(scene, &scene.mktree(""), message, second, parents)
}

/// Makes a commit of a tree.
fn holding(scene: &Scene, tree: &str, message: &str, second: u32, parents: &[&CommitId]) -> CommitId {
    let at = 1_700_000_000 + second;
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
    let on_the_way = asked(scene, tip, since).await.into_iter();
    on_the_way.map(|one| one.commit).collect()
}

async fn asked(scene: &Scene, tip: &CommitId, since: &CommitId) -> Vec<OnTheWay> {
    scene.source.since(tip, since, "shop", |message| message.trim() == WANTED).await.unwrap()
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
    // And what came after a commit is not known where a part of the way is not.
    let tip = made(&scene, "merge", 2_002, &[&tip, &line(&scene, &branch, 4, 1_100)]);
    assert_eq!(found(&scene, &tip, &since).await, []);
}

#[tokio::test]
async fn a_history_that_does_not_begin_at_what_was_there_brings_nothing() {
    let scene = Scene::new().await;
    let root = made(&scene, "root", 0, &[]);
    let since = made(&scene, "thrown away", 10, &[&root]);
    assert_eq!(found(&scene, &since, &root).await, []);
    let forced = made(&scene, WANTED, 20, &[&root]);
    assert_eq!(found(&scene, &forced, &since).await, []);
    assert_eq!(found(&scene, &forced, &root).await, [forced]);
}

#[tokio::test]
async fn each_content_that_came_after_a_commit_is_told_once() {
    let scene = Scene::new().await;
    let tree = |content: &str| {
        let blob = scene.blob(content);
        let shop = scene.mktree(&format!("100644 blob {blob}\tx.yaml"));
        scene.mktree(&format!("040000 tree {shop}\tshop"))
    };
    let [first, second, third] = ["1", "2", "3"].map(tree);
    let since = holding(&scene, &first, "applied", 0, &[]);
    let branch = holding(&scene, &third, "before it, and beside it", 1, &[&since]);
    let wanted = holding(&scene, &second, WANTED, 2, &[&since]);
    let same = holding(&scene, &second, "the same", 3, &[&wanted]);
    let back = holding(&scene, &first, "back", 4, &[&same]);
    let again = holding(&scene, &first, "back still", 5, &[&back]);
    let elsewhere = holding(&scene, &second, "once more", 6, &[&again]);
    let tip = holding(&scene, &third, "merge", 7, &[&elsewhere, &branch]);
    found(&scene, &tip, &since).await;
    let on_the_way = asked(&scene, &tip, &since).await;
    let [one] = on_the_way.as_slice() else { panic!("{on_the_way:?}") };
    assert_eq!((&one.commit, one.parents.as_slice()), (&wanted, std::slice::from_ref(&since)));
    let [later] = one.later.as_slice() else { panic!("{one:?}") };
    assert!([back, again].contains(later), "{one:?}");
    // On every way from it to the tip, however far along it.
    let left = holding(&scene, &second, "one", 8, &[&wanted]);
    let right = holding(&scene, &second, "other", 9, &[&wanted]);
    let right = holding(&scene, &first, "back there", 10, &[&right]);
    let right = holding(&scene, &second, "and gone", 11, &[&right]);
    for parents in [[&left, &right], [&right, &left]] {
        let tip = holding(&scene, &third, "merge", 12, &parents);
        let tip = holding(&scene, &third, "the last", 13, &[&tip]);
        found(&scene, &tip, &since).await;
        let on_the_way = asked(&scene, &tip, &since).await;
        let [one] = on_the_way.as_slice() else { panic!("{on_the_way:?}") };
        assert_eq!(one.later.len(), 1, "{one:?}");
    }
}
