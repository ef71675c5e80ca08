//! The door as a forge and as a stranger meet it: a real server on a real port over a real queue.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test may panic")]

mod bodies;
mod ends;
mod events;
mod guests;
mod pages;
mod scene;
mod signatures;
#[path = "../world/mod.rs"]
mod world;
