//! An event that was answered 2xx is never lost; and a payload never decides what is deployed.

use std::time::Duration;

use sqlx::Connection;
use windlass::commit::CommitId;

use crate::world::manifests::config_map;
use crate::world::settling::lanes;
use crate::world::until;
use crate::world::windlass::STEP;
use crate::world::windlass::World;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_1_a_delivery_that_was_answered_202_survives_every_crash_after_it() {
    World::run(async |w| {
        let first = w.ship(&[("shop/one.yaml", &config_map("one", "1"))]).await;
        w.restart().await;
        // Each role takes its message and dies with it, and then dies again once its work is done.
        let [events, jobs, _, _, reports] = lanes();
        assert!(w.crew.next(&events, STEP).await.is_some());
        w.restart().await;
        w.dispatch_step().await;
        w.restart().await;
        assert!(w.crew.next(&jobs, STEP).await.is_some());
        w.restart().await;
        w.reconcile_step().await;
        w.restart().await;
        assert!(w.crew.next(&reports, STEP).await.is_some());
        w.restart().await;
        w.settle().await;
        assert_eq!(w.value("one").await.as_deref(), Some("1"));
        w.expect(&first, "shop@east", "success", &["1 created"]).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_1_without_a_durable_confirm_there_is_no_202() {
    World::run(async |w| {
        let first = w.commit(&[("shop/one.yaml", &config_map("one", "1"))]);
        let toxic = w.restart_behind_a_proxy().await;
        let mut other = match &toxic {
            Some(toxic) => {
                toxic.silence().await;
                None
            }
            None => Some(locked(&w.data().join("queue.db")).await),
        };
        let early = tokio::time::timeout(Duration::from_millis(500), w.deliver(None, Some(&first))).await;
        assert!(early.is_err(), "answered {early:?} while nothing could be written");
        assert_eq!(w.deliver(None, Some(&first)).await, 503);
        if let Some(toxic) = &toxic {
            toxic.speak().await;
        }
        if let Some(other) = other.take() {
            other.close().await.unwrap();
        }
        until("the door takes deliveries again", async || {
            (w.deliver(None, Some(&first)).await == 202).then_some(())
        })
        .await;
        w.delivered.push(first.clone());
        w.settle().await;
        w.expect(&first, "shop@east", "success", &["1 created"]).await;
    })
    .await;
}

/// Holds the lock of the file of the embedded queue, as long as it is not closed.
async fn locked(file: &std::path::Path) -> sqlx::SqliteConnection {
    let file = sqlx::sqlite::SqliteConnectOptions::new().filename(file);
    let mut other = sqlx::SqliteConnection::connect_with(&file).await.unwrap();
    sqlx::query("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
    other
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_2_a_signed_payload_that_names_another_commit_deploys_the_tip() {
    World::run(async |w| {
        // A commit of another branch, and one that does not exist.
        let evil = w.repo.commit("evil", &[("shop/one.yaml", &config_map("one", "evil"))]);
        w.repo.push("refs/heads/evil");
        let nowhere = CommitId::parse(&"d".repeat(40)).unwrap();
        let first = w.commit(&[("shop/one.yaml", &config_map("one", "1"))]);
        for claimed in [&nowhere, &evil] {
            assert_eq!(w.deliver(None, Some(claimed)).await, 202);
        }
        w.dispatch_step().await;
        w.dispatch_step().await;
        w.settle().await;
        assert_eq!(w.value("one").await.as_deref(), Some("1"));
        w.expect(&first, "shop@east", "success", &["1 created"]).await;
        w.expect(&evil, "shop@east", "warning", &["superseded by", first.short()]).await;
        assert_eq!(w.runs().await.len(), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_2_deliveries_in_any_order_end_at_the_tip() {
    World::run(async |w| {
        let commits: Vec<CommitId> =
            ["1", "2", "3"].map(|value| w.commit(&[("shop/one.yaml", &config_map("one", value))])).into();
        let before = [None, Some(&commits[0]), Some(&commits[1])];
        for position in [2, 0, 1] {
            w.push_from(before[position], &commits[position]).await;
            w.settle().await;
            assert_eq!(w.value("one").await.as_deref(), Some("3"));
        }
        w.expect(&commits[2], "shop@east", "success", &["1 created"]).await;
        for overtaken in &commits[..2] {
            w.expect(overtaken, "shop@east", "warning", &["superseded by", commits[2].short()]).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_2_a_pass_makes_the_tip_true_and_not_the_commit_of_its_job() {
    World::run(async |w| {
        let first = w.ship(&[("shop/one.yaml", &config_map("one", "1"))]).await;
        w.dispatch_step().await;
        let second = w.commit(&[("shop/one.yaml", &config_map("one", "2"))]);
        w.reconcile_step().await;
        assert_eq!(w.value("one").await.as_deref(), Some("2"));
        w.push_from(Some(&first), &second).await;
        w.settle().await;
        assert_eq!(w.value("one").await.as_deref(), Some("2"));
        w.expect(&first, "shop@east", "warning", &["superseded by", second.short()]).await;
        w.expect(&second, "shop@east", "success", &["1 created"]).await;
    })
    .await;
}
