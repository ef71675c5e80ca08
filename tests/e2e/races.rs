//! Things that happen at the same time, put in the order that hurts most.

use windlass::dispatch;
use windlass::outcome::Phase;
use windlass::reconcile;

use crate::world::manifests::config_map;
use crate::world::proxy::is_write;
use crate::world::setup::Setup;
use crate::world::windlass::World;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_five_pushes_during_a_stalled_pass_the_last_is_made_true_in_one_more_pass() {
    Setup::proxied()
        .run(async |w| {
            let held = w.before_east().hold_answer(|line| line.contains("dryRun"));
            let mut commits = vec![w.ship(&[("shop/one.yaml", &config_map("one", "1"))]).await];
            w.dispatch_step().await;
            let first = w.reconcile_beside();
            held.arrived().await;
            for value in ["2", "3", "4", "5"] {
                commits.push(w.ship(&[("shop/one.yaml", &config_map("one", value))]).await);
                w.dispatch_step().await;
            }
            held.release();
            let step = first.await.unwrap();
            assert!(matches!(step, reconcile::Step::Done(_)), "{step:?}");
            w.settle().await;
            assert_eq!(w.value("one").await.as_deref(), Some("5"));
            let runs = w.runs().await;
            assert!(runs.len() <= 2, "{}", w.dump().await);
            for overtaken in &commits[1..4] {
                w.expect(overtaken, "shop@east", "warning", &["superseded by", commits[4].short()]).await;
            }
            w.expect(&commits[4], "shop@east", "success", &["1 configured"]).await;
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_only_a_pass_came_upon_that_got_to_no_end_stays_unanswered() {
    Setup::proxied()
        .run(async |w| {
            let first = w.ship(&[("shop/one.yaml", &config_map("one", "1"))]).await;
            w.dispatch_step().await;
            // Nobody tells of this one, and the pass that finds it cannot take the fence.
            let second = w.commit(&[("shop/one.yaml", &config_map("one", "2"))]);
            w.before_east().refuse(1, 503, |line| is_write(line) && line.contains("/configmaps"));
            let step = w.reconcile_step().await;
            assert!(matches!(&step, reconcile::Step::Retried { .. }), "{step:?}");
            let third = w.ship(&[("shop/one.yaml", &config_map("one", "3"))]).await;
            w.settle().await;
            w.expect(&first, "shop@east", "warning", &["superseded by", third.short()]).await;
            w.expect(&third, "shop@east", "success", &["1 created"]).await;
            assert!(w.verdicts(&second).await.is_empty(), "{}", w.dump().await);
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_was_made_true_and_overtaken_before_its_turn_is_answered_as_a_whole() {
    Setup::default()
        .run(async |w| {
            w.ship(&[("shop/one.yaml", &config_map("one", "1"))]).await;
            w.dispatch_step().await;
            // It reads as the first does, and the first's pass finds it at the tip.
            let second = w.ship(&[]).await;
            w.reconcile_step().await;
            w.report_all().await;
            w.ship(&[("shop/one.yaml", &config_map("one", "3"))]).await;
            w.settle().await;
            w.expect(&second, "shop@east", "success", &["1 created"]).await;
            w.expect(&second, "", "success", &["1 target healthy"]).await;
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hook_that_is_faster_than_its_ref_is_waited_for() {
    Setup::default()
        .run(async |w| {
            w.ship(&[("shop/one.yaml", &config_map("one", "1"))]).await;
            w.settle().await;
            // The delivery names a commit that the repository does not show yet.
            let second = w.repo.commit("later", &[("shop/one.yaml", &config_map("one", "2"))]);
            w.push(&second).await;
            for _ in 0..3 {
                let step = w.dispatch_step().await;
                assert!(matches!(&step, dispatch::Step::Retried { why } if why.contains("yet")), "{step:?}");
            }
            w.repo.slip_in(crate::world::windlass::MAIN);
            w.settle().await;
            assert_eq!(w.value("one").await.as_deref(), Some("2"));
            w.expect(&second, "shop@east", "success", &["1 configured"]).await;
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_reverts_while_its_predecessor_is_applied_wins() {
    Setup::proxied()
        .run(async |w| {
            let first = w.ship(&[("shop/one.yaml", &config_map("one", "healthy"))]).await;
            w.settle().await;
            let held = w.before_east().hold_answer(|line| is_write(line) && line.contains("configmaps/one"));
            let second = w.ship(&[("shop/one.yaml", &config_map("one", "broken"))]).await;
            w.dispatch_step().await;
            let pass = w.reconcile_beside();
            held.arrived().await;
            let third = w.ship(&[("shop/one.yaml", &config_map("one", "healthy"))]).await;
            w.dispatch_step().await;
            assert_eq!(w.value("one").await.as_deref(), Some("broken"));
            held.release();
            pass.await.unwrap();
            w.settle().await;
            assert_eq!(w.value("one").await.as_deref(), Some("healthy"));
            w.expect(&third, "shop@east", "success", &["1 configured"]).await;
            assert_eq!(w.verdicts(&first).await[0].row.phase, Phase::Healthy);
            assert!(w.verdicts(&second).await[0].row.phase.is_final());
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_of_the_first_delivery_rolls_nothing_back() {
    Setup::proxied()
        .run(async |w| {
            let mut commits = Vec::new();
            for value in ["1", "2", "3", "4", "5"] {
                commits.push(w.ship(&[("shop/one.yaml", &config_map("one", value))]).await);
            }
            w.settle().await;
            w.before_east().asked();
            let runs = w.runs().await.len();
            assert_eq!(w.deliver(None, Some(&commits[0])).await, 202);
            assert_eq!(w.deliver(Some(&commits[0]), Some(&commits[1])).await, 202);
            w.settle().await;
            assert_eq!(w.value("one").await.as_deref(), Some("5"));
            let writes: Vec<_> = w.before_east().asked().into_iter().filter(|line| is_write(line)).collect();
            assert!(writes.is_empty(), "{writes:?}");
            assert!(w.runs().await.len() <= runs + 1, "{}", w.dump().await);
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_reads_as_the_tip_does_shares_its_verdict() {
    Setup::default()
        .run(async |w| {
            let first = w.commit(&[("shop/one.yaml", &config_map("one", "1"))]);
            let second = w.commit(&[("README.md", "nothing of the shop\n")]);
            for commit in [&first, &second] {
                w.push(commit).await;
                w.settle().await;
            }
            w.expect(&first, "shop@east", "success", &["1 created"]).await;
            assert_eq!(w.runs().await.len(), 1);
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_push_while_everything_runs_at_once_is_answered_like_any_other() {
    Setup::default()
        .run(async |w| {
            let files = |value: &str| config_map("one", value);
            let mut commits = Vec::new();
            for value in 0..6 {
                commits.push(w.commit(&[("shop/one.yaml", &files(&value.to_string()))]));
            }
            let stir = async {
                for (position, commit) in commits.iter().enumerate() {
                    let before = position.checked_sub(1).map(|before| &commits[before]);
                    assert_eq!(w.deliver(before, Some(commit)).await, 202);
                }
            };
            tokio::join!(stir, w.settle());
            w.settle().await;
            assert_eq!(w.value("one").await.as_deref(), Some("5"));
            w.expect(&commits[5], "shop@east", "success", &["healthy in"]).await;
            for overtaken in &commits[..5] {
                w.expect(overtaken, "shop@east", "warning", &["superseded by", commits[5].short()]).await;
            }
            w.delivered.extend(commits);
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_ends_hands_a_pass_back_that_has_written_nothing_and_finishes_one_that_has() {
    Setup::proxied()
        .run(async |w| {
            w.ship(&[("shop/one.yaml", &config_map("one", "1"))]).await;
            w.settle().await;
            let second = w.ship(&[("shop/one.yaml", &config_map("one", "2"))]).await;
            w.dispatch_step().await;
            let held = w.before_east().hold(|line| line.contains("dryRun"));
            let (east, pass) = (w.before_east(), w.reconcile_beside());
            held.arrived().await;
            w.crew.workers().for_each(|line| line.roles.reconcile[0].wind_down());
            east.asked();
            held.release();
            let step = pass.await.unwrap();
            assert!(matches!(&step, reconcile::Step::Retried { after, .. } if after.is_zero()), "{step:?}");
            let written: Vec<_> = w.before_east().asked().into_iter().filter(|line| is_write(line)).collect();
            assert!(written.is_empty(), "{written:?}");
            w.restart().await;
            let held = w.before_east().hold(|line| is_write(line) && line.contains("configmaps/one"));
            let pass = w.reconcile_beside();
            held.arrived().await;
            w.crew.workers().for_each(|line| line.roles.reconcile[0].wind_down());
            held.release();
            assert!(matches!(pass.await.unwrap(), reconcile::Step::Done(_)), "what was begun is finished");
            w.restart().await;
            w.settle().await;
            w.expect(&second, "shop@east", "success", &["1 configured"]).await;
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newer_commit_waits_for_no_retry_of_an_older_one() {
    World::run(async |w| {
        // It is somebody else's, is being deleted and does not go, so that whatever writes it is tried again and again.
        let metadata = serde_json::json!({ "name": "held", "finalizers": ["bed.example.org/hold"] });
        let held = serde_json::json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata });
        w.east.create(&format!("/api/v1/namespaces/{}/configmaps", w.namespace), &held).await;
        w.east.delete(&w.path_of("held")).await;
        let second = w.ship(&[("shop/held.yaml", &config_map("held", "2"))]).await;
        w.dispatch_step().await;
        let tried = w.reconcile_step().await;
        assert!(matches!(tried, reconcile::Step::Retried { .. }), "{tried:?}");
        w.repo.remove(&["shop/held.yaml"]);
        let third = w.ship(&[("shop/one.yaml", &config_map("one", "1"))]).await;
        w.dispatch_step().await;
        let done = w.reconcile_step().await;
        assert!(matches!(done, reconcile::Step::Done(_)), "{done:?}");
        assert_eq!(w.value("one").await.as_deref(), Some("1"));
        w.east.change(&w.path_of("held"), &serde_json::json!({ "metadata": { "finalizers": null } })).await;
        w.settle().await;
        w.expect(&second, "shop@east", "warning", &["superseded by", third.short()]).await;
        w.expect(&third, "shop@east", "success", &["healthy in"]).await;
    })
    .await;
}
