//! Words as messages: which lane and partition each goes to, and how it is read again. Each carries the trace of the
//! step that makes it.

use std::time::Duration;

use serde::Deserialize;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::event::Event;
use crate::explanation::Heard;
use crate::job::Job;
use crate::job::Watch;
use crate::outcome::Report;
use crate::outcome::Told;
use crate::queue::DELIVERY_LIMIT;
use crate::queue::Dead;
use crate::queue::Draft;
use crate::queue::Lane;
use crate::queue::Lease;
use crate::trail::current;

/// For how long is a message put off that only a newer windlass reads?
const NEWER_AFTER: Duration = Duration::from_secs(60);

impl Draft {
    /// Returns an event as a message; those of one source stay in order.
    #[must_use]
    pub fn event(event: &Event) -> Self {
        let partition = event.source.to_string();
        Self { lane: Lane::events(), id: event.id.clone(), partition, body: body(event), trace: current() }
    }

    /// Returns an event as a message that carries the record of its delivery along to whoever tells history of it.
    #[must_use]
    pub fn delivered(event: &Event, heard: &Heard) -> Self {
        Self { body: body(&Delivered { event, heard }), ..Self::event(event) }
    }

    /// Returns a job as a message of the lane `lane`; those of one target are worked on one at a time.
    #[must_use]
    pub fn job(lane: &str, job: &Job) -> Self {
        let partition = job.target.to_string();
        let id = format!("{}/{partition}", job.dispatch);
        Self { lane: Lane::jobs(lane), id, partition, body: body(job), trace: current() }
    }

    /// Returns a wait for health as a message of the lane `lane`; each is a partition of its own.
    #[must_use]
    pub fn watch(lane: &str, watch: &Watch) -> Self {
        Self {
            lane: Lane::watch(lane),
            id: watch.run.clone(),
            partition: watch.run.clone(),
            body: body(watch),
            trace: current(),
        }
    }

    /// Returns a report as a message; those about one commit, one delivery or one event stay in order.
    #[must_use]
    pub fn report(report: &Report) -> Self {
        let partition = subject(&report.what);
        let id = uuid::Uuid::now_v7().to_string();
        Self { lane: Lane::reports(), id, partition, body: body(report), trace: current() }
    }

    /// Returns a report of a worker that serves `lane`, as a message.
    #[must_use]
    pub fn report_of(lane: &str, report: &Report) -> Self {
        Self { lane: Lane::reports_of(lane), ..Self::report(report) }
    }

    /// Returns an event that a worker which serves `lane` asks for, as a message.
    #[must_use]
    pub fn ask(lane: &str, event: &Event) -> Self {
        Self { lane: Lane::asks(lane), ..Self::event(event) }
    }
}

/// An event beside the record of its delivery. Whoever knows of events alone passes the record over.
#[derive(Serialize)]
struct Delivered<'a> {
    #[serde(flatten)]
    event: &'a Event,
    heard: &'a Heard,
}

/// What is read of it beside the event.
#[derive(Deserialize)]
struct Carried {
    heard: Heard,
}

impl Lease {
    /// Reads what the message says, in a form of at most the version `newest`.
    ///
    /// # Errors
    /// It is not of this form, or a newer windlass wrote it.
    pub fn read<T: DeserializeOwned>(&self, newest: u32) -> Result<T, Unread> {
        read(&self.body, newest)
    }

    /// Returns the record of the delivery that an event came with, where it carries one.
    #[must_use]
    pub fn heard(&self) -> Option<Heard> {
        serde_json::from_str::<Carried>(&self.body).ok().map(|carried| carried.heard)
    }
}

impl Dead {
    /// Reads what the message says, as [`Lease::read`] does.
    ///
    /// # Errors
    /// It is not of this form, or a newer windlass wrote it.
    pub fn read<T: DeserializeOwned>(&self, newest: u32) -> Result<T, Unread> {
        read(&self.body, newest)
    }
}

/// Why a message cannot be read, in words for whoever looks at dead letters.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unread {
    /// A newer windlass wrote it.
    #[error(
        "the message has version {found} and this windlass reads up to {newest}: run the newer one, then replay it"
    )]
    Newer {
        /// The version of its form.
        found: u64,
        /// The newest one that is known.
        newest: u32,
    },
    /// It is not what such messages are.
    #[error("the message is {0}")]
    Malformed(String),
}

impl Lease {
    /// Returns for how long a message that cannot be read is put off, where somebody else may be able to: while processes
    /// are replaced one after the other, newer ones read what older ones cannot.
    #[must_use]
    pub fn newer_for(&self, unread: &Unread) -> Option<Duration> {
        let newer = matches!(unread, Unread::Newer { .. });
        (newer && self.deliveries < DELIVERY_LIMIT).then_some(NEWER_AFTER)
    }
}

fn read<T: DeserializeOwned>(body: &str, newest: u32) -> Result<T, Unread> {
    let malformed = |what: &str, error: serde_json::Error| Unread::Malformed(format!("{what}: {error}"));
    let value: Value = serde_json::from_str(body).map_err(|error| malformed("not JSON", error))?;
    let found = value.get("version").and_then(Value::as_u64).unwrap_or_default();
    if found > u64::from(newest) {
        return Err(Unread::Newer { found, newest });
    }
    serde_json::from_value(value).map_err(|error| malformed("not of this form", error))
}

/// Words of this crate always turn into JSON; an empty body would be buried by whoever reads it, and be seen.
fn body<T: Serialize>(word: &T) -> String {
    serde_json::to_string(word).unwrap_or_default()
}

/// Returns what a report is about. Those of one target of a commit come in their order; the others need none, and may be
/// taken in together.
fn subject(told: &Told) -> String {
    let (source, commit, target) = match told {
        Told::Heard(heard) => return heard.delivery.clone(),
        Told::Considered(considered) => return considered.event.clone(),
        Told::Run(progress) => (&progress.source, &progress.commit, Some(&progress.target)),
        Told::Drift(drift) => (&drift.source, &drift.commit, Some(&drift.target)),
        Told::Rerun { source, commit, .. } | Told::Roster { source, commit, .. } => (source, commit, None),
        Told::Covered { source, commit, target, .. }
        | Told::Superseded { source, commit, target, .. }
        | Told::Waiting { source, commit, target, .. }
        | Told::Held { source, commit, target, .. }
        | Told::RolledBack { source, commit, target, .. }
        | Told::Buried { source, commit, target, .. } => (source, commit, Some(target)),
    };
    let target = target.map(|target| format!("/{target}")).unwrap_or_default();
    format!("{source}/{commit}{target}")
}

#[cfg(test)]
mod tests {
    use super::read;
    use crate::job::Watch;

    #[test]
    fn what_cannot_be_read_says_why() {
        let cases = [
            (r#"{"version":99}"#, "version 99"),
            ("{", "not JSON"),
            (r#"{"version":1}"#, "not of this form"),
            ("[]", "not of this form"),
        ];
        for (body, expected) in cases {
            let why = read::<Watch>(body, 1).unwrap_err().to_string();
            assert!(why.contains(expected), "{why}");
        }
    }
}
