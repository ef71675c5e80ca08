//! What every form of a part must keep, as tests that take the part's maker.

pub mod queue;
