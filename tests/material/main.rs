//! The rules of forges and the courier, held against material that was not written here: deliveries as the forges'
//! own clients are tested with them, recorded traffic of the real APIs, signers of others, and official descriptions of
//! the APIs. `scripts/bed` gets it from the package registries; nothing of it is in this tree.
//!
//! Many tests end in a table. When one differs, it prints the whole of it, to be looked at and put in the place of the old.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test ends where it fails"
)]

mod answers;
mod app;
mod contract;
mod document;
mod github;
mod gitlab;
mod hearing;
mod prism;
mod recording;
mod replay;
mod shelf;
#[path = "../world/mod.rs"]
mod world;
