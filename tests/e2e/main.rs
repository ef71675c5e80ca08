//! The main job on real parts, end to end: signed deliveries through the real door, a real forge, real clusters.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test ends where it fails"
)]

mod annotations;
mod conflicts;
mod deletion;
mod depends;
mod drift;
mod early;
mod explained;
mod force;
mod going;
mod health;
mod hooks;
mod ignored;
mod moves;
mod objects;
mod past;
mod promise_1_and_2;
mod promise_3;
mod promise_4;
mod promise_5_and_7;
mod promise_6;
mod promise_8_to_10;
mod races;
mod refs;
mod refusals;
mod rollback;
mod signers;
mod tags;
mod takeover;
mod timed;
mod unchanged;
mod waves;
mod window;
mod withheld;
#[path = "../world/mod.rs"]
mod world;
