//! What a dispatch makes: rosters, reports of what is superseded, jobs, and what is remembered with them.

use std::collections::BTreeSet;

use crate::application::Application;
use crate::clock::now;
use crate::commit::CommitId;
use crate::event::Event;
use crate::explanation::Considered;
use crate::job::Job;
use crate::lanes::Lanes;
use crate::outcome::Report;
use crate::outcome::Told;
use crate::queue::Draft;
use crate::reference::Reference;
use crate::select::Memory;
use crate::select::Touched;

use super::question::Question;

/// What a dispatch has made so far.
pub(super) struct Made<'a> {
    pub(super) event: &'a Event,
    lanes: &'a Lanes,
    /// The rosters come first, so that a row is most often open before its job begins; the ledger takes them in any
    /// order.
    pub(super) reports: Vec<Draft>,
    pub(super) jobs: Vec<Draft>,
    pub(super) memory: Vec<Memory>,
    /// How many targets had their commit overtaken already.
    pub(super) superseded: usize,
    /// The commits that have a roster.
    called: BTreeSet<CommitId>,
    /// Tips that touch nothing more and have no roster.
    pub(super) quiet: BTreeSet<CommitId>,
    /// Where each reference led.
    pub(super) led: Vec<(Reference, Option<CommitId>)>,
    /// Why nothing is touched, where nothing is.
    pub(super) why: Vec<String>,
    /// What is decided about whom, for history.
    pub(super) notes: &'a mut Considered,
}

impl<'a> Made<'a> {
    pub(super) fn new(event: &'a Event, lanes: &'a Lanes, notes: &'a mut Considered) -> Self {
        Self {
            event,
            lanes,
            reports: Vec::new(),
            jobs: Vec::new(),
            memory: Vec::new(),
            superseded: 0,
            called: BTreeSet::new(),
            quiet: BTreeSet::new(),
            led: Vec::new(),
            why: Vec::new(),
            notes,
        }
    }

    /// Adds that a reference leads nowhere.
    pub(super) fn leads_nowhere(&mut self, reference: &Reference) {
        self.why.push(format!("{}: nothing is applied and nothing deleted", reference.absence()));
        self.led.push((reference.clone(), None));
    }

    /// Adds that a reference leads somewhere where nothing more is to do.
    pub(super) fn leads_to_nothing_new(&mut self, tip: &CommitId) {
        const WHY: &str = "what the applications read is as last dispatched";
        if !self.why.iter().any(|why| why == WHY) {
            self.why.push(WHY.to_owned());
        }
        if !self.called.contains(tip) {
            self.quiet.insert(tip.clone());
        }
    }

    /// Adds what follows for one commit.
    pub(super) fn add(
        &mut self,
        question: &Question<'_>,
        commit: &CommitId,
        tip: &CommitId,
        touched: &[&Touched],
        applications: &[&Application],
    ) {
        if touched.is_empty() {
            return;
        }
        let dispatch = uuid::Uuid::now_v7().to_string();
        let (event, source) = (self.event, &self.event.source);
        let targets = touched.iter().map(|one| one.target.clone()).collect();
        self.called.insert(commit.clone());
        self.quiet.remove(commit);
        self.report(Told::Roster {
            dispatch: dispatch.clone(),
            source: source.clone(),
            commit: commit.clone(),
            targets,
            received_at: event.received_at,
        });
        for one in touched {
            if one.overtaken {
                let (dispatch, source) = (dispatch.clone(), source.clone());
                let (commit, target, by) = (commit.clone(), one.target.clone(), tip.clone());
                self.report(Told::Superseded { dispatch, source, commit, target, by });
                self.superseded += 1;
                continue;
            }
            let application =
                applications.iter().find(|application| application.name == one.target.application);
            let Some(application) = application else { continue };
            self.job(question, application, one, commit, &dispatch);
            self.memory.push(remembered(question, one, commit, &dispatch));
        }
    }

    fn report(&mut self, what: Told) {
        self.reports.push(Draft::report(&Report { version: crate::outcome::VERSION, at: now(), what }));
    }

    fn job(
        &mut self,
        question: &Question<'_>,
        application: &Application,
        one: &Touched,
        commit: &CommitId,
        dispatch: &str,
    ) {
        let job = Job {
            version: crate::job::VERSION,
            target: one.target.clone(),
            dispatch: dispatch.to_owned(),
            application: application.clone(),
            definition: one.definition,
            commit: commit.clone(),
            inputs: one.inputs.clone(),
            before: question.before.clone(),
            reason: one.reason,
            received_at: self.event.received_at,
        };
        self.jobs.push(Draft::job(self.lanes.of(&job.target.cluster), &job));
    }
}

/// Returns the row that dispatch keeps of a touched target.
fn remembered(question: &Question<'_>, touched: &Touched, commit: &CommitId, dispatch: &str) -> Memory {
    Memory {
        target: touched.target.clone(),
        source: question.event.source.clone(),
        reference: question.reference.clone(),
        inputs: touched.inputs.clone(),
        commit: commit.clone(),
        definition: touched.definition,
        dispatch: dispatch.to_owned(),
        state: crate::select::State::Open,
    }
}
