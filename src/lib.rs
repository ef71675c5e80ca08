//! windlass: a GitOps engine.
//!
//! A push to a Git forge arrives as a signed webhook. Windlass queues it durably, fetches the commit with its own
//! read-only credentials, makes every affected Kubernetes cluster equal to what the commit declares, and answers on the
//! commit: pending, then exactly one true verdict per target. This page is how it is built.
//!
//! # The line
//!
//! ```text
//!  forge ──▶ door ──▶ events ──▶ dispatch ──▶ jobs ──▶ reconcile ──▶ reports ──▶ report ──▶ forge
//!            server,  queue      select:      queue    source, manifest,  queue   ledger, store,
//!            intake,             tree ids              plan, dry-run,             courier
//!            forge                                     fence, apply, prune
//!  clock ──▶ sweep ──▶ events ◀── asks ◀── patrol ◀──     │
//!                                                         └──▶ watches ──▶ health ──▶ reports
//! ```
//!
//! - [`server`] lets in who may knock ([`bucket`]) and reads a bounded body, [`intake`] lets the [`forge`] rules check its
//!   signature and read it, and answers 202 only after the [`queue`] has confirmed the [`event`].
//! - [`dispatch`] resolves what applications follow (a [`mod@reference`]) itself, compares what each target reads by tree
//!   ids ([`mod@select`]), opens the rows of
//!   the touched targets (a roster), and publishes one [`job`] for each. Untouched targets get nothing.
//! - [`reconcile`] makes a pass: parent and tip → who signed it → [`manifest`] → live members → [`plan`] → dry-run of everything →
//!   fence → writes by wave and rank → prune under the [`guard`] → report. What single objects ask for otherwise, their
//!   [`annotation`]s say; what rules of the settings leave to others ([`mod@ignore`]) goes the same way. A wait for
//!   [`health`] is a message of its own, so a slow rollout holds nothing up; where a wave comes after it, or something that is
//!   being deleted has to be made anew, its end is the next [`job`] of the same run. What a pass lacks that another
//!   application may bring, a namespace or a kind, has it put back for a while.
//! - [`report`] records first ([`ledger`], [`store`]), as many reports together as wait, and posts second ([`courier`]),
//!   so a forge that is away loses nothing; what may have arrived there is looked for before it is posted again.
//! - [`sweep`] looks at the refs itself, so a lost delivery heals, and asks again for rows that stay open too long;
//!   [`recover`] has GitHub send again what it could not deliver.
//! - [`patrol`] watches the metadata of what was applied, and asks for a pass of the applied commit where somebody else
//!   changed or deleted it ([`drift`]); what happened while nobody watched it tells from what the parent says that
//!   members own. Such a pass is told to history alone: no verdict is rewritten.
//!   Where somebody undoes the same correction again and again, it gives way.
//! - A [`window`] or a [`mod@pause`] closes targets, and so does another target that they depend on until it is healthy:
//!   [`dispatch`] then opens their rows and holds the rest back, and [`opening`] asks for it as soon as they open. Before its first write, a pass looks once more whether it may.
//! - Where a commit was written and does not work, [`reconcile`] tells [`dispatch`], which gives out the last one that was
//!   healthy where the application wants it so; and the one at which a person keeps a target, until that is released.
//! - What nobody could work on is a dead letter: [`letters`] shows it and sends it back, also through [`control`], the
//!   socket of a process that runs.
//! - What was heard, and what was decided about each application, goes the way of reports into history as an
//!   [`explanation`].
//! - A [`mod@trace`] begins with each delivery and rides along with messages and statuses, beside what they say: the
//!   [`trail`] that they leave. [`telemetry`] exports it.
//!
//! `windlass run` is all of this in one process over SQLite. `windlass serve` is the door and `windlass work` the rest, or
//! one [`role`] of it, as often as is needed: [`queue`] and [`store`] then are at RabbitMQ and in Postgres, behind the same
//! contract and the same tests. Each process reads only the [`settings`] that its part of the line needs.
//!
//! - A cluster belongs to a lane ([`lanes`]). Its jobs, waits and reports go over queues of that lane, so that whoever
//!   serves one lane reaches nothing of another; what it says of others' targets is not believed.
//! - The jobs of a target are in one of 64 queues, which one worker at a time takes from; so all applications of one
//!   cluster spread over all workers, and each target has one of them. Who has nothing to do claims queues of who has too
//!   much.
//! - What one process does for all, the sweep, the posting and the patrol of a lane, is a duty: a message that one process at a time has.
//!
//! # What keeps it true
//!
//! - **A payload is a hint.** What is deployed is the tip of the ref as the repository shows it during the pass, so a
//!   replayed or late delivery rolls nothing back.
//! - **What must be signed is.** Where a source says so, the commit of every pass is held against a list of keys
//!   ([`signer`]) before anything of it is read; what a pass after drift applies too.
//! - **One writer per target.** Jobs of a target are taken one at a time; and before its first write, and again before
//!   prune, a pass replaces the parent object at the version that it read first. Whoever lost that race stops. Changed
//!   objects are written with the uid and version that were read. So passes that begin together may share one list of
//!   parents, and one answer of the forge that came after it, and ask neither each for itself.
//! - **An object moves from one application to another** without being deleted ([`reconcile`]): whoever no longer declares
//!   it leaves it while another of the same reference does, and whoever declares it takes it, field manager and label,
//!   once its owner does so no longer at its own tip. Each finds that out by itself, from the settings and from what the
//!   parents say of what their applications read.
//! - **What others applied before is taken over whole**: the fields that kubectl, Flux, Argo CD or Helm own in an object become
//!   windlass's at its first write ([`mod@takeover`]), so that what leaves the commit goes and nobody else's field does. A
//!   field that somebody else set otherwise is taken by name, or, where an application wants it so, not at all.
//! - **Only what is ours is deleted**: members by label ([`member`]) that windlass itself applied, within the guard,
//!   never because something failed to load, parse or list.
//! - **Order of words**: a roster is published before its jobs, and the ledger takes reports in any order; a verdict is
//!   durable before the parent says "done"; a message is acknowledged last. A crash anywhere repeats work and loses none.
//! - **Nobody is led astray**: forges and repositories are reached at public addresses ([`dial`]), or at private ones where
//!   the settings say so; no redirect leads to another host, and a token goes to its own host only.
//! - **Everything can be rebuilt** from the repositories, the clusters and the settings.
//!
//! # Floors
//!
//! A module names only modules of lower floors, and each outside crate has one home; `tests/architecture.rs` holds this.
//!
//! | floor | modules | may |
//! |---|---|---|
//! | 0 words | annotation application commit event explanation fault ignore job member moment object outcome pause reference role secret trace | hold values |
//! | 1 rules | applyset breaker bucket drift forge guard health lanes ledger manifest mask phrase plan select signer takeover window | decide; no I/O, no async, no log |
//! | 2 hands | dial trail, and on them clock cluster courier queue source store | do I/O; decide nothing |
//! | 3 flow | dispatch intake letters opening patrol reconcile recover report sweep | call rules and hands in order |
//! | 4 doors | cli control server worker | meet people, forges and the clock |
//! | 5 root | line reload settings telemetry, and the program | put it together |
//!
//! # What is deliberately absent
//!
//! - No trait around Kubernetes, Git, HTTP or time: tests run on the real ones, and faults are made on the wire.
//! - No checkout: blobs are read from the object database, so there are no symlinks, hooks, filters or submodules.
//! - No test hooks in production code; loops call public `step`s, and so do tests.
//! - No program that a kubeconfig names is run, and no file that it names is read.
//! - No deletion of an application because it left the settings: what it applied stays, and the patrol tells of it, until
//!   a person asks for that ([`reconcile`]: a pass that declares nothing, under the same fence, whose parent goes last).

// Floor 0: words.
pub mod annotation;
pub mod application;
pub mod commit;
pub mod event;
pub mod explanation;
pub mod fault;
pub mod ignore;
pub mod job;
pub mod member;
pub mod moment;
pub mod object;
pub mod outcome;
pub mod pause;
pub mod reference;
pub mod role;
pub mod secret;
pub mod trace;

// Floor 1: rules.
pub mod applyset;
pub mod breaker;
pub mod bucket;
pub mod drift;
pub mod forge;
pub mod guard;
pub mod health;
pub mod lanes;
pub mod ledger;
pub mod manifest;
pub mod mask;
pub mod phrase;
pub mod plan;
pub mod select;
pub mod signer;
pub mod takeover;
pub mod window;

// Floor 2: hands. The first two are what others reach out with, and what they write down with what they leave.
pub mod dial;
pub mod trail;

pub mod clock;
pub mod cluster;
pub mod courier;
pub mod queue;
pub mod source;
pub mod store;

// Floor 3: flow.
pub mod dispatch;
pub mod intake;
pub mod letters;
pub mod opening;
pub mod patrol;
pub mod reconcile;
pub mod recover;
pub mod report;
pub mod sweep;

// Floor 4: doors.
pub mod cli;
pub mod control;
pub mod server;
pub mod worker;

// Floor 5: root.
pub mod line;
pub mod reload;
pub mod settings;
pub mod telemetry;
