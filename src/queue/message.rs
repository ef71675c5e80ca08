//! Words as messages: which lane and partition each goes to, and how it is read again. Each carries the trace of the
//! step that makes it.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::event::Event;
use crate::job::Job;
use crate::job::Watch;
use crate::outcome::Report;
use crate::outcome::Told;
use crate::queue::Dead;
use crate::queue::Draft;
use crate::queue::Lane;
use crate::queue::Lease;
use crate::trail::current;

impl Draft {
    /// Returns an event as a message; those of one source stay in order.
    #[must_use]
    pub fn event(event: &Event) -> Self {
        let partition = event.source.to_string();
        Self { lane: Lane::events(), id: event.id.clone(), partition, body: body(event), trace: current() }
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

impl Lease {
    /// Reads what the message says, in a form of at most the version `newest`.
    ///
    /// # Errors
    /// Words for whoever looks at dead letters: it is not of this form, or a newer windlass wrote it.
    pub fn read<T: DeserializeOwned>(&self, newest: u32) -> Result<T, String> {
        read(&self.body, newest)
    }
}

impl Dead {
    /// Reads what the message says, as [`Lease::read`] does.
    ///
    /// # Errors
    /// It is not of this form, or a newer windlass wrote it.
    pub fn read<T: DeserializeOwned>(&self, newest: u32) -> Result<T, String> {
        read(&self.body, newest)
    }
}

fn read<T: DeserializeOwned>(body: &str, newest: u32) -> Result<T, String> {
    let value: Value =
        serde_json::from_str(body).map_err(|error| format!("the message is not JSON: {error}"))?;
    let found = value.get("version").and_then(Value::as_u64).unwrap_or_default();
    if found > u64::from(newest) {
        return Err(format!(
            "the message has version {found} and this windlass reads up to {newest}: run the newer one, then replay it"
        ));
    }
    serde_json::from_value(value).map_err(|error| format!("the message is not of this form: {error}"))
}

/// Words of this crate always turn into JSON; an empty body would be buried by whoever reads it, and be seen.
fn body<T: Serialize>(word: &T) -> String {
    serde_json::to_string(word).unwrap_or_default()
}

fn subject(told: &Told) -> String {
    let (source, commit) = match told {
        Told::Heard(heard) => return heard.delivery.clone(),
        Told::Considered(considered) => return considered.event.clone(),
        Told::Run(progress) => (&progress.source, &progress.commit),
        Told::Rerun { source, commit, .. }
        | Told::Roster { source, commit, .. }
        | Told::Covered { source, commit, .. }
        | Told::Superseded { source, commit, .. }
        | Told::Waiting { source, commit, .. }
        | Told::Buried { source, commit, .. } => (source, commit),
    };
    format!("{source}/{commit}")
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
            let why = read::<Watch>(body, 1).unwrap_err();
            assert!(why.contains(expected), "{why}");
        }
    }
}
