//! One writer per target: who was thought dead and comes back cannot undo what its successor did.

use windlass::job::Job;
use windlass::reconcile::Applied;
use windlass::reconcile::Ended;
use windlass::reconcile::Error;
use windlass::reconcile::Ready;
use windlass::reconcile::Start;

use crate::world::manifests::config_map;
use crate::world::proxy::is_write;
use crate::world::setup::Setup;
use crate::world::windlass::World;

/// Brings a pass to where everything is known good and nothing is written.
async fn until_the_fence(w: &World, job: &Job) -> Ready {
    let Start::Go(begun) = w.reconciler().begin(job).await.unwrap() else {
        panic!("the pass has nothing to do")
    };
    w.reconciler().prepare(*begun).await.unwrap().expect("a good commit")
}

/// Brings a pass to where everything is written and nothing is pruned.
async fn until_prune(w: &World, job: &Job) -> Result<Applied, Error> {
    let reconciler = w.reconciler();
    reconciler.apply(reconciler.fence(until_the_fence(w, job).await).await?).await
}

/// Makes a whole pass.
async fn pass(w: &World, job: &Job) -> Result<Ended, Error> {
    let reconciler = w.reconciler();
    reconciler.finish(reconciler.prune(until_prune(w, job).await?).await?).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_3_a_pass_that_was_frozen_before_the_fence_writes_nothing() {
    World::run(async |w| {
        w.ship(&[("shop/one.yaml", &config_map("one", "1"))]).await;
        w.settle().await;
        w.ship(&[("shop/one.yaml", &config_map("one", "older"))]).await;
        w.dispatch_step().await;
        let (lease, job) = w.take_job().await;
        let frozen = until_the_fence(w, &job).await;
        w.ship(&[("shop/one.yaml", &config_map("one", "newer"))]).await;
        pass(w, &job).await.unwrap();
        let mark = w.east.mark();
        let thawed = w.reconciler().fence(frozen).await;
        assert!(matches!(thawed, Err(Error::Overtaken(_))), "{thawed:?}");
        let written: Vec<_> = w.east.asked_since(mark, &w.installation).await;
        let written: Vec<_> = written.iter().filter(|one| one.is_write() && one.code < 300).collect();
        assert!(written.is_empty(), "{written:?}");
        assert_eq!(w.value("one").await.as_deref(), Some("newer"));
        // The job comes again, as the one who died would have it.
        w.crew.retry(&lease, std::time::Duration::ZERO).await;
        w.settle().await;
        assert_eq!(w.value("one").await.as_deref(), Some("newer"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_3_a_pass_that_was_frozen_before_prune_deletes_nothing() {
    World::run(async |w| {
        let two = ("shop/two.yaml", config_map("two", "2"));
        w.ship(&[("shop/one.yaml", &config_map("one", "1")), (two.0, &two.1)]).await;
        w.settle().await;
        w.repo.remove(&[two.0]);
        w.ship(&[("shop/one.yaml", &config_map("one", "older"))]).await;
        w.dispatch_step().await;
        let (lease, job) = w.take_job().await;
        let frozen = until_prune(w, &job).await.unwrap();
        assert_eq!(w.value("one").await.as_deref(), Some("older"));
        // The newer commit wants the object that the older one is about to delete.
        w.ship(&[("shop/one.yaml", &config_map("one", "newer")), (two.0, &two.1)]).await;
        pass(w, &job).await.unwrap();
        let thawed = w.reconciler().prune(frozen).await;
        assert!(matches!(thawed, Err(Error::Overtaken(_))), "{thawed:?}");
        assert_eq!(w.value("two").await.as_deref(), Some("2"));
        w.crew.retry(&lease, std::time::Duration::ZERO).await;
        w.settle().await;
        assert_eq!(w.east.config_maps(&w.namespace).await, ["one", "two"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_3_a_write_that_was_under_way_for_too_long_is_refused() {
    Setup::proxied()
        .run(async |w| {
            w.ship(&[("shop/one.yaml", &config_map("one", "1"))]).await;
            w.settle().await;
            w.ship(&[("shop/one.yaml", &config_map("one", "older"))]).await;
            w.dispatch_step().await;
            let (lease, job) = w.take_job().await;
            let held = w.before_east().hold(|line| is_write(line) && line.contains("configmaps/one"));
            let frozen = async {
                let error = pass(w, &job).await.unwrap_err();
                assert!(matches!(error, Error::Overtaken(_)), "{error}");
            };
            let successor = async {
                held.arrived().await;
                w.commit(&[("shop/one.yaml", &config_map("one", "newer"))]);
                pass(w, &job).await.unwrap();
                assert_eq!(w.value("one").await.as_deref(), Some("newer"));
                held.release();
            };
            tokio::join!(frozen, successor);
            assert_eq!(w.value("one").await.as_deref(), Some("newer"));
            w.crew.retry(&lease, std::time::Duration::ZERO).await;
            w.settle().await;
            assert_eq!(w.value("one").await.as_deref(), Some("newer"));
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_3_what_a_dead_pass_still_creates_is_gone_with_the_next() {
    Setup::proxied()
        .run(async |w| {
            w.ship(&[("shop/one.yaml", &config_map("one", "1"))]).await;
            w.settle().await;
            w.ship(&[("shop/two.yaml", &config_map("two", "late"))]).await;
            w.dispatch_step().await;
            let (lease, job) = w.take_job().await;
            let held = w.before_east().hold(|line| is_write(line) && line.contains("configmaps/two"));
            let frozen = async { pass(w, &job).await.unwrap_err() };
            let successor = async {
                held.arrived().await;
                w.repo.remove(&["shop/two.yaml"]);
                w.commit(&[("shop/one.yaml", &config_map("one", "newer"))]);
                pass(w, &job).await.unwrap();
                held.release();
            };
            let (error, ()) = tokio::join!(frozen, successor);
            assert!(matches!(error, Error::Overtaken(_)), "{error}");
            assert_eq!(w.value("two").await.as_deref(), Some("late"), "it was under way already");
            w.crew.retry(&lease, std::time::Duration::ZERO).await;
            w.settle().await;
            w.ship(&[("shop/one.yaml", &config_map("one", "newest"))]).await;
            w.settle().await;
            assert_eq!(w.east.config_maps(&w.namespace).await, ["one"]);
        })
        .await;
}
