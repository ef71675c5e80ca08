//! Traces, as a collector gets them: from the hook to the status that is posted.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test ends where it fails"
)]

mod away;
mod collector;
#[path = "../stand/mod.rs"]
mod stand;
mod whole;
#[path = "../world/mod.rs"]
mod world;
