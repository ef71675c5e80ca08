//! What was decided about each application and target when an event was looked at, in words for people.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crate::application::Application;
use crate::application::Name;
use crate::application::Target;
use crate::clock::now;
use crate::event::Event;
use crate::explanation::Considered;
use crate::job::Reason;
use crate::outcome::Report;
use crate::outcome::Told;
use crate::queue::Draft;
use crate::queue::Lease;
use crate::select::Candidate;
use crate::select::Touched;

use super::Dispatcher;
use super::Step;

/// Notes those of some applications that an event does not concern.
pub(super) fn note_others<'a>(
    notes: &mut Considered,
    all: impl Iterator<Item = &'a Application>,
    concerned: &[&Application],
) {
    let concerned: BTreeSet<&Name> = concerned.iter().map(|one| &one.name).collect();
    for one in all.filter(|one| !concerned.contains(&one.name)) {
        notes.note(one.name.to_string(), false, format!("it follows {}", one.reference));
    }
}

/// Notes which targets are touched and which are not.
pub(super) fn note_targets(notes: &mut Considered, candidates: &[Candidate], touched: &[Touched]) {
    let mut why: BTreeMap<&Target, &str> = BTreeMap::new();
    for one in touched {
        why.insert(&one.target, in_words(one));
    }
    // Those that lead to work come first, since there is room for so many only.
    for candidate in candidates.iter().filter(|one| why.contains_key(&one.target)) {
        let why = why.get(&candidate.target).copied().unwrap_or_default();
        notes.note(candidate.target.to_string(), true, why.to_owned());
    }
    for candidate in candidates.iter().filter(|one| !why.contains_key(&one.target)) {
        let why = "what it reads is as it was last dispatched, and that ended healthy";
        notes.note(candidate.target.to_string(), false, why.to_owned());
    }
}

fn in_words(touched: &Touched) -> &'static str {
    match (touched.overtaken, touched.reason) {
        (true, _) => "the tip of the ref reads something else already: superseded",
        (false, Reason::Moved) => "what it reads or its definition is another, or its last verdict is open",
        (false, Reason::Unsure | Reason::Drifted | Reason::Failed) => {
            "its last dispatch failed or is not known: a full pass"
        }
    }
}

impl Dispatcher {
    /// Tells history of the delivery that a message carries, and what became of its event. History that cannot be told keeps
    /// no event from its end.
    pub(super) async fn tell(&self, lease: &Lease, event: &Event, mut notes: Considered, step: &Step) {
        if !event.what.is_delivered() {
            return;
        }
        notes.end = ended(step);
        let heard = lease.heard().map(|heard| Report::new(heard.received_at, Told::Heard(heard)));
        let considered = Report::new(now(), Told::Considered(notes));
        let reports = heard.iter().chain([&considered]).map(Draft::report).collect();
        if let Err(error) = self.queue.publish(reports).await {
            let error = crate::fault::chain(&error);
            tracing::warn!(
                event.id = event.id,
                "what became of the event is in this log only: failed to {error}"
            );
        }
    }
}

fn ended(step: &Step) -> String {
    match step {
        Step::Idle | Step::HandedOn | Step::Lost => String::new(),
        Step::Nothing { why } => format!("nothing to do: {why}"),
        Step::Dispatched { jobs, superseded: 0 } => format!("dispatched: jobs {jobs}"),
        Step::Dispatched { jobs, superseded } => {
            format!("dispatched: jobs {jobs}, superseded {superseded}")
        }
        Step::Held { targets } => format!("waiting: closed targets {targets}"),
        Step::Asked { targets } => format!("asked for {targets} targets again"),
        Step::Retried { why } => format!("put back for later: {why}"),
        Step::Buried { why } => format!("given up: {why}"),
    }
}
