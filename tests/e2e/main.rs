//! The main job on real parts, end to end: signed deliveries through the real door, a real forge, real clusters.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test ends where it fails"
)]

mod health;
mod objects;
mod races;
mod refs;
mod refusals;
#[path = "../world/mod.rs"]
mod world;
