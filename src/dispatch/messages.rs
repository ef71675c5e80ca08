//! What a dispatch makes: rosters, reports of what is superseded, jobs, and what is remembered with them.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crate::application::Application;
use crate::application::Target;
use crate::clock::now;
use crate::commit::CommitId;
use crate::event::Event;
use crate::explanation::Considered;
use crate::job::Back;
use crate::job::Job;
use crate::job::Permit;
use crate::lanes::Lanes;
use crate::moment::Moment;
use crate::outcome::Report;
use crate::outcome::Told;
use crate::queue::Draft;
use crate::reference::Reference;
use crate::select::Memory;
use crate::select::Touched;
use crate::store::Held;
use crate::window::Closed;
use crate::window::Gate;
use crate::window::State;

use super::question::Question;

/// What a dispatch has made so far.
pub(super) struct Made<'a> {
    pub(super) event: &'a Event,
    lanes: &'a Lanes,
    gate: &'a Gate<'a>,
    /// Does a person want it whatever windows and pauses say?
    pub(super) regardless: bool,
    /// The commit of which a person lets all be pruned that left it.
    pub(super) prunes: Option<CommitId>,
    /// Those that wait for others, and in words for what.
    pub(super) awaited: BTreeMap<Target, String>,
    /// How an earlier commit is made true again, where it is.
    pub(super) back: Option<Back>,
    /// The rosters come first, so that a row is most often open before its job begins; the ledger takes them in any
    /// order.
    pub(super) reports: Vec<Draft>,
    pub(super) jobs: Vec<Draft>,
    pub(super) memory: Vec<Memory>,
    /// Those of the targets in memory that are closed, and have no job.
    pub(super) held: BTreeMap<Target, Held>,
    /// How many targets had their commit overtaken already.
    pub(super) superseded: usize,
    /// The commits that have a roster.
    called: BTreeSet<CommitId>,
    /// Commits that touch nothing more and have no roster.
    pub(super) quiet: BTreeSet<CommitId>,
    /// Where each reference led.
    pub(super) led: Vec<(Reference, Option<CommitId>)>,
    /// Why nothing is touched, where nothing is.
    pub(super) why: Vec<String>,
    /// What is decided about whom, for history.
    pub(super) notes: &'a mut Considered,
}

impl<'a> Made<'a> {
    pub(super) fn new(
        event: &'a Event,
        lanes: &'a Lanes,
        gate: &'a Gate<'a>,
        notes: &'a mut Considered,
    ) -> Self {
        Self {
            event,
            lanes,
            gate,
            regardless: false,
            prunes: None,
            awaited: BTreeMap::new(),
            back: None,
            reports: Vec::new(),
            jobs: Vec::new(),
            memory: Vec::new(),
            held: BTreeMap::new(),
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
        self.touches_nothing(tip);
    }

    /// Adds that a commit touches nothing more.
    pub(super) fn touches_nothing(&mut self, commit: &CommitId) {
        if !self.called.contains(commit) {
            self.quiet.insert(commit.clone());
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
            match self.permit(&one.target) {
                Ok(permit) => self.job(question, application, (one, permit), commit, &dispatch),
                Err(closed) => self.hold(&one.target, commit, &dispatch, closed),
            }
            self.memory.push(remembered(question, one, commit, &dispatch));
        }
    }

    /// Returns for how long a job may begin to write, where its target is not closed.
    fn permit(&self, target: &Target) -> Result<Permit, Closed> {
        if self.regardless {
            return Ok(Permit::Regardless);
        }
        match (self.gate.push(target), self.awaited.get(target)) {
            (State::Closed(closed), _) => Err(closed),
            (State::Open { .. }, Some(why)) => Err(Closed { until: None, why: why.clone() }),
            (State::Open { until }, None) => Ok(permit(until)),
        }
    }

    /// Has a commit wait for its target to open.
    fn hold(&mut self, target: &Target, commit: &CommitId, dispatch: &str, closed: Closed) {
        let Closed { until, why } = closed;
        let (dispatch, source, at) = (dispatch.to_owned(), self.event.source.clone(), now());
        let subject = target.to_string();
        if let Some(note) = self.notes.decisions.iter_mut().find(|note| note.subject == subject) {
            note.why = format!("waiting: {why}");
        }
        self.report(Told::Held {
            dispatch,
            source: source.clone(),
            commit: commit.clone(),
            target: target.clone(),
            why: why.clone(),
        });
        let target = target.clone();
        let held = Held {
            target: target.clone(),
            source,
            commits: true,
            drift: false,
            since: at,
            noted_at: at,
            until,
            why,
        };
        let _before = self.held.insert(target, held);
    }

    fn report(&mut self, what: Told) {
        self.reports.push(Draft::report(&Report::new(now(), what)));
    }

    fn job(
        &mut self,
        question: &Question<'_>,
        application: &Application,
        (one, permit): (&Touched, Permit),
        commit: &CommitId,
        dispatch: &str,
    ) {
        let job = Job {
            version: match self.back {
                Some(_) => crate::job::FOURTH,
                None => crate::job::version(one.reason, application, permit, &[]),
            },
            target: one.target.clone(),
            dispatch: dispatch.to_owned(),
            application: application.clone(),
            definition: one.definition,
            commit: commit.clone(),
            inputs: one.inputs.clone(),
            before: question.before.clone(),
            reason: one.reason,
            received_at: self.event.received_at,
            permit,
            fights: Vec::new(),
            rollout: None,
            back: self.back.clone(),
            prunes: self.prunes.clone(),
        };
        self.jobs.push(Draft::job(self.lanes.of(&job.target.cluster), &job));
    }
}

/// Returns for how long a job may begin to write in a target that is open until then.
pub(super) fn permit(until: Option<Moment>) -> Permit {
    until.map_or(Permit::Usual, Permit::Until)
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
