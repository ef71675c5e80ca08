//! The patrol of a world, and its way to dispatch.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use windlass::dispatch::Step;

use super::crew::Works;
use super::until;
use super::windlass::World;

/// How long does one worker look for a wish?
const WAIT: Duration = Duration::from_millis(20);

impl World {
    /// Watches the clusters for drift until what is returned is dropped.
    pub fn patrol(&self) -> JoinSet<()> {
        let patrol = Arc::clone(&self.crew.worker().roles.patrols[0]);
        let mut set = JoinSet::new();
        set.spawn(async move { patrol.run().await });
        set
    }

    /// Waits until the patrol has asked for a pass, and hands the wish on to dispatch.
    pub async fn drift_is_seen(&self) {
        self.wish_is_handed_on("drift is seen").await;
    }

    /// Hands on what a worker has asked for by now; says whether there was something.
    pub async fn is_asked(&self) -> bool {
        let handed_on = self.crew.first(WAIT, async |line, wait| {
            let step = line.dispatch().dispatcher.ask_step("shared", wait).await.unwrap();
            (step == Step::HandedOn).then_some(())
        });
        handed_on.await.is_some()
    }

    /// Waits until a worker has asked for something, and hands the wish on to dispatch.
    pub async fn wish_is_handed_on(&self, what: &str) {
        until(what, async || self.is_asked().await.then_some(())).await;
    }
}
