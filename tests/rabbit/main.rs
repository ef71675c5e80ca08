//! The queue keeps its contract at RabbitMQ, and what only a broker can break.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that panics has failed"
)]

use crate::world::broker::Ground;

mod alarm;
mod claims;
#[path = "../contract/mod.rs"]
mod contract;
mod duties;
mod furnish;
mod network;
mod sharing;
mod trouble;
#[path = "../world/mod.rs"]
mod world;

macro_rules! rabbit_keeps {
    ($part:ident: $($case:ident)*) => {$(
        #[tokio::test(flavor = "multi_thread")]
        async fn $case() {
            let ground = Ground::new().await;
            contract::queue::$part::$case(async |lease_for| ground.open(lease_for).await).await;
        }
    )*};
}

contract::queue::every_case!(rabbit_keeps);
