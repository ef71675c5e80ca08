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
pub mod ledger;
pub mod phrase;

// Floor 2: hands.
pub mod courier;
pub mod queue;
pub mod store;

// Floor 3: flow.
pub mod report;
