//! Each role runs by itself with its own settings and its own rights at the broker, and with no others.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test ends where it fails"
)]

mod house;
mod processes;
mod rights;
mod words;
#[path = "../world/mod.rs"]
mod world;
