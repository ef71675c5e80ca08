//! windlass.
// Floor 0: words.
pub mod application;
pub mod commit;
pub mod event;
pub mod fault;
pub mod job;
pub mod moment;
pub mod object;
pub mod outcome;
pub mod secret;
// Floor 1: rules.
pub mod manifest;
// Floor 2: hands.
pub mod source;
