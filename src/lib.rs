//! windlass.
pub mod commit;
pub mod event;
pub mod fault;
pub mod object;
pub mod secret;
