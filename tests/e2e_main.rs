//! The main job on real parts: a signed push turns a real cluster, and the commit tells how that went.

mod world;

use world::manifests::config_map;
use world::windlass::World;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_push_creates_changes_and_prunes() {
    World::run(async |w| {
        let (one, two) = (config_map("one", "1"), config_map("two", "2"));
        let first = w.ship(&[("shop/one.yaml", &one), ("shop/two.yaml", &two)]).await;
        w.settle().await;
        assert_eq!(w.value("one").await.as_deref(), Some("1"));
        w.expect(&first, "shop@east", "success", &["2 created", "healthy in"]).await;
        w.expect(&first, "", "success", &["1 target healthy"]).await;
        w.repo.remove(&["shop/two.yaml"]);
        let second = w.ship(&[("shop/one.yaml", &config_map("one", "changed"))]).await;
        w.settle().await;
        assert_eq!(w.value("one").await.as_deref(), Some("changed"));
        assert_eq!(w.value("two").await, None);
        w.expect(&second, "shop@east", "success", &["1 configured, 1 pruned, healthy in"]).await;
    })
    .await;
}
