//! What becomes of commits, told at GitLab. GitLab itself cannot run here, so a small one stands in for it at the wire:
//! its statuses move as GitLab's do, it answers in GitLab's words, and recorded traffic of gitlab.com holds it to that.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test ends where it fails"
)]

mod hooks;
mod lab;
mod limits;
mod posting;
mod promise;
mod recorded;
#[path = "../material/recording.rs"]
#[allow(dead_code, reason = "one forge's recordings are needed")]
mod recording;
#[path = "../material/shelf.rs"]
#[allow(dead_code, reason = "one forge's recordings are needed")]
mod shelf;
#[path = "../stand/mod.rs"]
mod stand;
mod station;
mod statuses;
mod switched;
mod waiting;
#[path = "../world/mod.rs"]
mod world;
