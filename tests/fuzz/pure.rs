//! The words and rules of windlass, which need neither tokio nor Kubernetes nor Git to be built: their floors see to
//! that, and so the fuzzer is built in a minute. The targets take this for windlass.
#![allow(missing_docs, reason = "the modules have their own")]

// Floor 0.
#[path = "../../src/application.rs"]
pub mod application;
#[path = "../../src/commit.rs"]
pub mod commit;
#[path = "../../src/event.rs"]
pub mod event;
#[path = "../../src/explanation.rs"]
pub mod explanation;
#[path = "../../src/fault.rs"]
pub mod fault;
#[path = "../../src/job.rs"]
pub mod job;
#[path = "../../src/member.rs"]
pub mod member;
#[path = "../../src/moment.rs"]
pub mod moment;
#[path = "../../src/object.rs"]
pub mod object;
#[path = "../../src/outcome.rs"]
pub mod outcome;
#[path = "../../src/reference/mod.rs"]
pub mod reference;
#[path = "../../src/secret.rs"]
pub mod secret;
#[path = "../../src/trace.rs"]
pub mod trace;

// Floor 1.
#[path = "../../src/applyset.rs"]
pub mod applyset;
#[path = "../../src/bucket.rs"]
pub mod bucket;
#[path = "../../src/drift.rs"]
pub mod drift;
#[path = "../../src/forge/mod.rs"]
pub mod forge;
#[path = "../../src/guard.rs"]
pub mod guard;
#[path = "../../src/health/mod.rs"]
pub mod health;
#[path = "../../src/ledger.rs"]
pub mod ledger;
#[path = "../../src/manifest/mod.rs"]
pub mod manifest;
#[path = "../../src/mask.rs"]
pub mod mask;
#[path = "../../src/phrase.rs"]
pub mod phrase;
#[path = "../../src/plan.rs"]
pub mod plan;
#[path = "../../src/select.rs"]
pub mod select;
