//! The messages that a dispatch makes: rosters, reports of what is superseded, and jobs.

use crate::application::Application;
use crate::clock::now;
use crate::commit::CommitId;
use crate::job::Job;
use crate::outcome::Report;
use crate::outcome::Told;
use crate::queue::Draft;
use crate::select::Memory;
use crate::select::Touched;

use super::Question;
use super::remembered;

/// What a dispatch has made so far.
pub(super) struct Made<'a> {
    question: &'a Question<'a>,
    lane: &'a str,
    reports: Vec<Draft>,
    jobs: Vec<Draft>,
    pub(super) memory: Vec<Memory>,
}

impl<'a> Made<'a> {
    pub(super) fn new(question: &'a Question<'a>, lane: &'a str) -> Self {
        Self { question, lane, reports: Vec::new(), jobs: Vec::new(), memory: Vec::new() }
    }

    /// Adds what follows for one commit.
    pub(super) fn add(
        &mut self,
        commit: &CommitId,
        tip: &CommitId,
        touched: &[&Touched],
        applications: &[&Application],
    ) {
        if touched.is_empty() {
            return;
        }
        let dispatch = uuid::Uuid::now_v7().to_string();
        let (event, source) = (self.question.event, &self.question.event.source);
        let targets = touched.iter().map(|one| one.target.clone()).collect();
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
                continue;
            }
            let application =
                applications.iter().find(|application| application.name == one.target.application);
            let Some(application) = application else { continue };
            self.job(application, one, commit, &dispatch);
            self.memory.push(remembered(self.question, one, commit, &dispatch));
        }
    }

    fn report(&mut self, what: Told) {
        self.reports.push(Draft::report(&Report { version: crate::outcome::VERSION, at: now(), what }));
    }

    fn job(&mut self, application: &Application, one: &Touched, commit: &CommitId, dispatch: &str) {
        let job = Job {
            version: crate::job::VERSION,
            target: one.target.clone(),
            dispatch: dispatch.to_owned(),
            application: application.clone(),
            definition: one.definition,
            commit: commit.clone(),
            inputs: one.inputs.clone(),
            before: self.question.before.cloned(),
            reason: one.reason,
            received_at: self.question.event.received_at,
        };
        self.jobs.push(Draft::job(self.lane, &job));
    }

    /// Returns all messages, the rosters first, so that a row is most often open before its job begins; the ledger takes
    /// them in any order.
    pub(super) fn drafts(self) -> Vec<Draft> {
        let mut drafts = self.reports;
        drafts.extend(self.jobs);
        drafts
    }
}
