//! The store, through its public door, on real files and on a real Postgres.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail by panicking")]

mod between;
mod deliveries;
mod desk;
mod drifts;
mod explain;
mod gate;
mod ledger;
mod memory;
mod outbox;
mod pins;
mod place;
mod prune;
mod reach;
mod stall;
mod upgrade;
