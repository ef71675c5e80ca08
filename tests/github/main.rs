//! windlass as a GitHub App. GitHub itself cannot run here, so a small one stands in for it at the wire.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test ends where it fails"
)]

mod app;
mod checks;
mod claim;
mod deliveries;
mod git;
mod hub;
mod pace;
mod reading;
mod recovering;
mod rerun;
mod runs;
#[path = "../stand/mod.rs"]
mod stand;
mod statuses;
#[path = "../world/mod.rs"]
mod world;
