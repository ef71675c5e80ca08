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
pub mod forge;
pub mod manifest;

// Floor 2: hands.
pub mod queue;
pub mod source;

// Floor 3: flow.
pub mod intake;

// Floor 4: doors.
pub mod cli;
pub mod server;

// Floor 5: the root.
pub mod settings;
pub mod telemetry;
