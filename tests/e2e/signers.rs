//! Sources whose commits must be signed.

use std::sync::Arc;

use serde_json::json;
use windlass::commit::CommitId;
use windlass::outcome::Phase;
use windlass::reconcile::Required;
use windlass::signer::Signers;

use crate::world::kube::Asked;
use crate::world::manifests::config_map;
use crate::world::signing::SigningKey;
use crate::world::windlass::MAIN;
use crate::world::windlass::World;
use crate::world::windlass::source;

/// The key that may sign, and one that may not.
fn keys() -> [SigningKey; 2] {
    [SigningKey::of(1), SigningKey::of(2)]
}

/// Lets only some keys sign, from the next start on.
async fn require(w: &mut World, keys: &[&SigningKey]) {
    let list = list(keys);
    w.change_settings(|settings| {
        settings.sources.values_mut().for_each(|source| source.signed_by = Some(list.clone()));
    });
    w.restart().await;
}

/// Lets only some keys sign, as after SIGHUP.
fn renew(w: &World, keys: &[&SigningKey]) {
    let required = Required::from([(source(), Some(list(keys)))]);
    w.crew.workers().for_each(|worker| worker.policy.renew(required.clone()));
}

fn list(keys: &[&SigningKey]) -> Arc<Signers> {
    let lines: String = keys.iter().map(|key| key.listed()).collect();
    Arc::new(Signers::read(&lines).unwrap())
}

/// Commits files, signs the commit, pushes it and posts the delivery.
async fn ship_signed(w: &mut World, key: &SigningKey, files: &[(&str, &str)]) -> CommitId {
    w.repo.commit("change", files);
    let commit = format!("{}\n", w.repo.git(&["cat-file", "commit", "HEAD"]));
    std::fs::write(w.repo.folder().join(".git/signed"), key.sign(&commit)).unwrap();
    let id = w.repo.git(&["hash-object", "-t", "commit", "-w", ".git/signed"]);
    w.repo.git(&["reset", "--quiet", "--soft", &id]);
    w.repo.slip_in(MAIN);
    let id = CommitId::parse(&id).unwrap();
    w.push(&id).await;
    id
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_signed_changes_nothing_and_a_signed_commit_heals() {
    World::run(async |w| {
        let [ours, theirs] = keys();
        require(w, &[&ours]).await;
        let (one, two) = (config_map("one", "1"), config_map("two", "1"));
        let first = ship_signed(w, &ours, &[("shop/one.yaml", &one), ("shop/two.yaml", &two)]).await;
        w.settle().await;
        w.expect(&first, "shop@east", "success", &["2 created"]).await;

        // One object changes, one comes, one leaves.
        let mark = w.east.mark();
        w.repo.remove(&["shop/two.yaml"]);
        let (changed, more) = (config_map("one", "2"), config_map("three", "2"));
        let files = [("shop/one.yaml", changed.as_str()), ("shop/three.yaml", more.as_str())];
        let second = w.ship(&files).await;
        w.settle().await;
        let words = ["verify", second.short(), "of source code", "is not signed", "git commit --amend"];
        w.expect(&second, "shop@east", "failure", &words).await;
        let third = ship_signed(w, &theirs, &files).await;
        w.settle().await;
        w.expect(&third, "shop@east", "failure", &["is signed by SSH key SHA256:", "which is not listed"])
            .await;
        let asked = w.east.asked_since(mark, &w.installation).await;
        let writes: Vec<&Asked> = asked.iter().filter(|asked| asked.is_write()).collect();
        assert!(writes.is_empty(), "{writes:#?}");
        let live = [w.value("one").await, w.value("two").await, w.value("three").await];
        assert_eq!(live, [Some("1".to_owned()), Some("1".to_owned()), None]);
        assert_eq!(w.runs().await.last().map(|run| run.phase), Some(Phase::Failed));

        let fourth = ship_signed(w, &ours, &[("shop/one.yaml", &config_map("one", "3"))]).await;
        w.settle().await;
        w.expect(&fourth, "shop@east", "success", &["1 configured, 1 created, 1 pruned"]).await;
        assert_eq!(w.value("one").await.as_deref(), Some("3"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_commit_is_applied_once_its_key_is_listed() {
    World::run(async |w| {
        let [ours, theirs] = keys();
        require(w, &[&ours]).await;
        let first = ship_signed(w, &theirs, &[("shop/one.yaml", &config_map("one", "1"))]).await;
        w.settle().await;
        w.expect(&first, "shop@east", "failure", &["which is not listed"]).await;
        renew(w, &[&ours, &theirs]);
        w.expect_healed(&first);
        w.ask_again("shop").await;
        w.settle().await;
        w.expect(&first, "shop@east", "success", &["1 created"]).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unsigned_commit_shares_no_verdict_of_a_signed_one() {
    World::run(async |w| {
        let [ours, _] = keys();
        require(w, &[&ours]).await;
        let first = ship_signed(w, &ours, &[("shop/one.yaml", &config_map("one", "1"))]).await;
        w.settle().await;
        let second = w.ship(&[("shop/one.yaml", &config_map("one", "2"))]).await;
        w.settle().await;
        // What it declares is what the cluster holds already.
        let third = w.ship(&[("shop/one.yaml", &config_map("one", "1"))]).await;
        w.settle().await;
        w.expect(&first, "shop@east", "success", &[]).await;
        for refused in [&second, &third] {
            w.expect(refused, "shop@east", "failure", &["is not signed"]).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn drift_is_corrected_by_the_applied_commit_though_the_tip_is_refused() {
    World::run(async |w| {
        let [ours, _] = keys();
        require(w, &[&ours]).await;
        ship_signed(w, &ours, &[("shop/one.yaml", &config_map("one", "1"))]).await;
        w.settle().await;
        w.ship(&[("shop/one.yaml", &config_map("one", "2"))]).await;
        w.settle().await;
        let _patrol = w.patrol();
        edit(w, "drifted").await;
        w.drift_is_seen().await;
        w.settle().await;
        assert_eq!(w.value("one").await.as_deref(), Some("1"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_key_signed_that_left_the_list_is_not_written_against_drift_either() {
    World::run(async |w| {
        let [ours, theirs] = keys();
        require(w, &[&ours]).await;
        let first = ship_signed(w, &ours, &[("shop/one.yaml", &config_map("one", "1"))]).await;
        w.settle().await;
        renew(w, &[&theirs]);
        let _patrol = w.patrol();
        edit(w, "drifted").await;
        w.drift_is_seen().await;
        w.settle().await;
        assert_eq!(w.value("one").await.as_deref(), Some("drifted"));
        let (_, drift) = w.store().drifts(None, 1).await.unwrap().remove(0);
        assert_eq!((&drift.commit, drift.corrected), (&first, false));
        let said = drift.problems[0].to_string();
        assert!(said.contains("which is not listed"), "{said}");
        w.expect(&first, "shop@east", "success", &[]).await;
    })
    .await;
}

/// Changes the value of the ConfigMap, as somebody with `kubectl edit` would.
async fn edit(w: &World, value: &str) {
    let path = format!("{}?fieldManager=somebody", w.path_of("one"));
    w.east.change(&path, &json!({ "data": { "key": value } })).await;
}
