//! Which targets an event touches, and the jobs that follow.
//!
//! Comes in: events. Goes out: for each commit that must be answered a roster, and a job for each touched target. What
//! a delivery says of commits and files is a hint: the ref is resolved here, and what targets read is compared by
//! tree ids. A target that is not touched gets neither job nor status nor request.

mod ends;
mod error;
mod lag;
mod messages;
mod notes;
mod rerun;

use std::collections::BTreeMap;
use std::time::Duration;

use tracing::Instrument;

use crate::application::Application;
use crate::application::Name;
use crate::application::Target;
use crate::clock::now;
use crate::commit::CommitId;
use crate::commit::Inputs;
use crate::commit::RefName;
use crate::event::Event;
use crate::event::What;
use crate::explanation::Considered;
use crate::fault::Fault;
use crate::fault::chain;
use crate::queue::DELIVERY_LIMIT;
use crate::queue::DRAFTS;
use crate::queue::Lane;
use crate::queue::Lease;
use crate::queue::Queue;
use crate::queue::Settled;
use crate::select::Candidate;
use crate::select::Memory;
use crate::select::Touched;
use crate::select::select;
use crate::source::Source;
use crate::store::Store;

pub use error::Error;

/// How long is an event put back at first? Doubled each time.
const RETRY_AFTER: Duration = Duration::from_millis(100);

/// How long is an event put back at most while the repository does not show its push yet?
const LAG_AT_MOST: Duration = Duration::from_secs(5);

/// How long is an event put back at most for another reason? With the queue's limit of deliveries this bridges more than
/// ten minutes of a forge that is away.
const RETRY_AT_MOST: Duration = Duration::from_secs(60);

/// The dispatch role.
pub struct Dispatcher {
    queue: Queue,
    store: Store,
    sources: BTreeMap<Name, Source>,
    applications: Vec<Application>,
    lane: String,
}

/// What a step did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// There was nothing to do.
    Idle,
    /// The event touches nothing.
    Nothing {
        /// Why.
        why: String,
    },
    /// Jobs were published.
    Dispatched {
        /// How many.
        jobs: usize,
        /// How many targets had their commit overtaken already.
        superseded: usize,
    },
    /// Targets were asked for again, each by an event of its own.
    Asked {
        /// How many.
        targets: usize,
    },
    /// The event was put back for later.
    Retried {
        /// Why.
        why: String,
    },
    /// The event was buried.
    Buried {
        /// Why.
        why: String,
    },
    /// The event had been given to somebody else meanwhile.
    Lost,
}

/// An event, as dispatch understands it.
#[derive(Debug)]
struct Question<'a> {
    event: &'a Event,
    reference: RefName,
    before: Option<&'a CommitId>,
    /// A commit that must be answered, where the event names one.
    after: Option<&'a CommitId>,
    /// The only target in question, which counts as touched whatever is remembered.
    only: Option<&'a Target>,
}

impl Dispatcher {
    /// Takes its hands and the applications by which it selects.
    #[must_use]
    pub fn new(
        queue: Queue,
        store: Store,
        sources: BTreeMap<Name, Source>,
        applications: Vec<Application>,
        lane: String,
    ) -> Self {
        Self { queue, store, sources, applications, lane }
    }

    /// Takes one event, waiting for it up to `wait`, and dispatches it.
    ///
    /// # Errors
    /// Only those of the queue; everything else becomes a retry or a burial.
    pub async fn step(&self, wait: Duration) -> Result<Step, crate::queue::Error> {
        let Some(lease) = self.queue.next(&Lane::events(), wait).await? else { return Ok(Step::Idle) };
        let event: Event = match lease.read(crate::event::VERSION) {
            Ok(event) => event,
            Err(why) => return self.bury(&lease, why).await,
        };
        let span = tracing::info_span!("dispatch", event.id = event.id, source = %event.source);
        let mut notes = Considered::new(&event.id, &event.source);
        let dispatched = self.dispatch(&event, &mut notes).instrument(span).await;
        self.settle(&lease, &event, notes, dispatched).await
    }

    /// Acknowledges an event, puts it back or buries it, and tells history.
    async fn settle(
        &self,
        lease: &Lease,
        event: &Event,
        notes: Considered,
        dispatched: Result<Step, Error>,
    ) -> Result<Step, crate::queue::Error> {
        match dispatched {
            Ok(step) => {
                self.tell(event, notes, &step).await;
                match self.queue.ack(lease).await? {
                    Settled::Done => Ok(step),
                    Settled::Lost => Ok(Step::Lost),
                }
            }
            Err(error) if error.fault() == Fault::Passing && lease.deliveries < DELIVERY_LIMIT => {
                let doubled = 2_u32.saturating_pow(lease.deliveries.saturating_sub(1));
                let lagging = matches!(error, Error::Lagging(_));
                let most = if lagging { LAG_AT_MOST } else { RETRY_AT_MOST };
                let after = RETRY_AFTER.saturating_mul(doubled).min(most);
                let why = format!("failed to {}", chain(&error));
                tracing::warn!(event.id = event.id, source = %event.source, attempt = lease.deliveries, why, "put back");
                let step = Step::Retried { why };
                self.tell(event, notes, &step).await;
                let _settled = self.queue.retry(lease, after).await?;
                Ok(step)
            }
            Err(error) => {
                let why = format!("failed to {}", chain(&error));
                if error.is_the_commits() {
                    self.turn_down(event, &why).await?;
                }
                self.tell(event, notes, &Step::Buried { why: why.clone() }).await;
                self.bury(lease, why).await
            }
        }
    }

    async fn bury(&self, lease: &Lease, why: String) -> Result<Step, crate::queue::Error> {
        tracing::error!(message.id = lease.id, why, "event buried; the next sweep looks again");
        let _settled = self.queue.bury(lease, &why).await?;
        Ok(Step::Buried { why })
    }

    async fn dispatch(&self, event: &Event, notes: &mut Considered) -> Result<Step, Error> {
        let question = match &event.what {
            What::PullRequest { number, .. } => {
                let why = format!("pull request {number} is not checked: windlass acts on refs only so far");
                return Ok(Step::Nothing { why });
            }
            What::Rerun { commit, target } => return self.rerun(event, commit, target.as_ref()).await,
            What::Push { reference, before, after, .. } => Question {
                event,
                reference: reference.clone(),
                before: before.as_ref(),
                after: after.as_ref(),
                only: None,
            },
            What::Sweep { reference } => {
                Question { event, reference: reference.clone(), before: None, after: None, only: None }
            }
            What::Again { target, commit } => {
                let application = self.applications.iter().find(|one| one.name == target.application);
                let Some(application) = application else {
                    return Ok(Step::Nothing {
                        why: format!("no application {} is configured", target.application),
                    });
                };
                let reference = application.reference.clone();
                Question { event, reference, before: None, after: commit.as_ref(), only: Some(target) }
            }
        };
        notes::note_others(notes, &question, &self.applications);
        let applications = self.concerned(&question);
        if applications.is_empty() {
            let why = format!("no application reads {} of {}", question.reference, event.source);
            return Ok(Step::Nothing { why });
        }
        self.answer(&question, &applications, notes).await
    }

    fn concerned(&self, question: &Question<'_>) -> Vec<&Application> {
        let reads =
            |one: &&Application| one.source == question.event.source && one.reference == question.reference;
        let asked = |one: &&Application| question.only.is_none_or(|only| one.name == only.application);
        self.applications.iter().filter(reads).filter(asked).collect()
    }

    async fn answer(
        &self,
        question: &Question<'_>,
        applications: &[&Application],
        notes: &mut Considered,
    ) -> Result<Step, Error> {
        let event = question.event;
        let source =
            self.sources.get(&event.source).ok_or_else(|| Error::UnknownSource(event.source.clone()))?;
        let also: Vec<CommitId> = question.after.cloned().into_iter().collect();
        let resolved = source.resolve(&question.reference, &also).await?;
        if self.is_lagging(question, &resolved).await? {
            return Err(Error::Lagging(question.reference.clone()));
        }
        let Some(tip) = resolved.tip else {
            self.store.saw(&event.source, &question.reference, None).await?;
            self.end_overdue(question, None).await?;
            let why =
                format!("{} does not exist: nothing is applied and nothing deleted", question.reference);
            tracing::info!(event.id = event.id, source = %event.source, why, "ref is gone");
            return Ok(Step::Nothing { why });
        };
        if question.after.is_some_and(|after| *after != tip && !resolved.found.contains(after)) {
            self.end_overdue(question, Some(&tip)).await?;
        }
        let overtaken = question.after.filter(|after| **after != tip && resolved.found.contains(after));
        let commits: Vec<CommitId> = overtaken.into_iter().chain([&tip]).cloned().collect();
        let candidates = self.candidates(source, question, applications, &commits).await?;
        let memory = self.store.memory(&event.source).await?;
        let touched = select(&candidates, commits.len(), &memory, question.only.is_some());
        notes::note_targets(notes, &candidates, &touched);
        notes.commits.clone_from(&commits);
        let step = self.publish(question, applications, &commits, touched).await?;
        self.store.saw(&event.source, &question.reference, Some(&tip)).await?;
        Ok(step)
    }

    async fn candidates(
        &self,
        source: &Source,
        question: &Question<'_>,
        applications: &[&Application],
        commits: &[CommitId],
    ) -> Result<Vec<Candidate>, Error> {
        let mut targets = Vec::new();
        for application in applications {
            let definition = self.store.definition(application).await?;
            let wanted = |target: &Target| question.only.is_none_or(|only| target == only);
            targets.extend(
                application.targets().filter(wanted).map(|target| (*application, target, definition)),
            );
        }
        let paths: Vec<String> =
            targets.iter().map(|(one, target, _)| one.path_in(&target.cluster)).collect();
        let mut inputs: Vec<Vec<Inputs>> = vec![Vec::new(); targets.len()];
        for commit in commits {
            for (all, one) in inputs.iter_mut().zip(source.inputs_of(commit, &paths).await?) {
                all.push(one);
            }
        }
        let candidates = targets.into_iter().zip(inputs);
        Ok(candidates
            .map(|((_, target, definition), inputs)| Candidate { target, definition, inputs })
            .collect())
    }

    /// Remembers the touched targets as open, and only then publishes: rosters first, then what is superseded, then
    /// the jobs.
    async fn publish(
        &self,
        question: &Question<'_>,
        applications: &[&Application],
        commits: &[CommitId],
        touched: Vec<Touched>,
    ) -> Result<Step, Error> {
        let event = question.event;
        if touched.is_empty() {
            let why = "what the applications read is as last dispatched".to_owned();
            self.call_off(event, commits).await?;
            tracing::info!(event.id = event.id, source = %event.source, why, "nothing touched");
            return Ok(Step::Nothing { why });
        }
        let mut made = messages::Made::new(question, &self.lane);
        for (position, commit) in commits.iter().enumerate() {
            let here: Vec<&Touched> = touched.iter().filter(|one| one.commit == position).collect();
            made.add(commit, commits.last().unwrap_or(commit), &here, applications);
        }
        let (jobs, superseded) = (made.memory.len(), touched.len() - made.memory.len());
        self.store.open_targets(&made.memory).await?;
        let drafts = made.drafts();
        for part in drafts.chunks(DRAFTS) {
            self.queue.publish(part.to_vec()).await?;
        }
        tracing::info!(event.id = event.id, source = %event.source, jobs, superseded,
            since_delivery_ms = now().since(event.received_at), "dispatched");
        Ok(Step::Dispatched { jobs, superseded })
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
