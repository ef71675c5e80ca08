//! A target that is to be made as its reference says now, and the commits that waited for it to open.

use crate::application::Application;
use crate::application::Target;
use crate::clock::now;
use crate::commit::CommitId;
use crate::event::Event;
use crate::explanation::Considered;
use crate::job::Reason;
use crate::outcome::Report;
use crate::outcome::Told;
use crate::queue::Draft;
use crate::select::Candidate;
use crate::select::Touched;

use super::Dispatcher;
use super::Error;
use super::Step;
use super::messages::Made;
use super::question;
use super::question::Question;

/// How many commits that wait are answered at once? The newest; the sweep looks after the others.
const WAITING: u32 = 100;

impl Dispatcher {
    /// Asks for a pass of the tip, and answers every commit that waits: one that reads the same shares the fate of that
    /// pass, any other is superseded. While the target is closed, all of them wait on, unless a person wants it `regardless`.
    /// Of a target that is pinned, the commit that it is kept at is made true again.
    pub(super) async fn sync(
        &self,
        event: &Event,
        target: &Target,
        (regardless, prunes): (bool, Option<&CommitId>),
        notes: &mut Considered,
    ) -> Result<Step, Error> {
        let Some(application) = self.configured(event, target) else {
            return Ok(Step::Nothing { why: question::nobody(event) });
        };
        if let Some(pin) = self.store.pins().await?.into_iter().find(|pin| pin.target == *target) {
            return self.keep(event, application, &pin, notes).await;
        }
        let source =
            self.sources.get(&event.source).ok_or_else(|| Error::UnknownSource(event.source.clone()))?;
        let gate = self.gate().await?;
        let mut made = Made::new(event, &self.lanes, &gate, notes);
        made.regardless = regardless;
        made.prunes = prunes.cloned();
        let waiting = self.store.pending(&event.source, target, WAITING).await?;
        let resolved = source.resolve(&application.reference, &waiting).await?;
        let (found, lost): (Vec<CommitId>, Vec<CommitId>) = waiting
            .into_iter()
            .partition(|one| resolved.tip.as_ref() == Some(one) || resolved.found.contains(one));
        for commit in lost {
            made.reports.push(self.ended(event, target, application, commit, resolved.tip.as_ref()));
        }
        if let Some(tip) = &resolved.tip {
            let commits: Vec<CommitId> =
                found.iter().filter(|one| *one != tip).chain([tip]).cloned().collect();
            let question = Question::of(event, &application.reference, None);
            let candidates = self.candidates(source, &[application], &commits, |one| one == target).await?;
            made.awaited.extend(self.awaited(source, &question, &[application], tip).await?);
            for one in candidates.iter().flat_map(|candidate| touched(candidate, found.contains(tip))) {
                let Some(commit) = commits.get(one.commit) else { continue };
                made.add(&question, commit, tip, &[&one], &[application]);
            }
        } else {
            for commit in found {
                made.reports.push(self.ended(event, target, application, commit, None));
            }
            made.leads_nowhere(&application.reference);
            self.store.release(target).await?;
        }
        self.publish(made).await
    }

    /// Returns the application of a target, where it is configured.
    pub(super) fn configured(&self, event: &Event, target: &Target) -> Option<&Application> {
        self.applications.of_target(&event.source, target)
    }

    /// Ends a commit that cannot be answered any more: it is gone, or its reference is.
    fn ended(
        &self,
        event: &Event,
        target: &Target,
        application: &Application,
        commit: CommitId,
        tip: Option<&CommitId>,
    ) -> Draft {
        let (dispatch, source, target) = (event.id.clone(), event.source.clone(), target.clone());
        let what = match tip {
            Some(by) => Told::Superseded { dispatch, source, commit, target, by: by.clone() },
            None => {
                let why = format!("{}; nothing was deleted", application.reference.absence());
                Told::Buried { dispatch, source, commit, target, why }
            }
        };
        Draft::report(&Report::new(now(), what))
    }
}

/// Returns what is to be answered at each commit that waits, the tip being the last. The tip itself is answered where it
/// waits, or where nothing else would bring about the pass. The first pass is a whole one.
fn touched(candidate: &Candidate, tip_waits: bool) -> Vec<Touched> {
    let (tip, last) = (candidate.inputs.last(), candidate.inputs.len().saturating_sub(1));
    let mut whole = false;
    let mut all = Vec::new();
    for (commit, inputs) in candidate.inputs.iter().enumerate() {
        let overtaken = tip != Some(inputs);
        if commit == last && !tip_waits && whole {
            continue;
        }
        let reason = if overtaken || whole { Reason::Moved } else { Reason::Unsure };
        whole |= !overtaken;
        let (target, definition) = (candidate.target.clone(), candidate.definition);
        all.push(Touched { target, definition, commit, inputs: inputs.clone(), reason, overtaken });
    }
    all
}

#[cfg(test)]
mod tests {
    use super::touched;
    use crate::application::Name;
    use crate::application::Target;
    use crate::commit::Inputs;
    use crate::job::Reason;
    use crate::job::Reason::Moved;
    use crate::job::Reason::Unsure;
    use crate::select::Candidate;

    #[test]
    fn what_waited_is_answered_by_table() {
        let target =
            Target { application: Name::parse("shop").unwrap(), cluster: Name::parse("east").unwrap() };
        // what each commit reads, the tip last; does the tip wait → commit, reason, overtaken
        type Case = (&'static [&'static str], bool, &'static [(usize, Reason, bool)]);
        let cases: [Case; 6] = [
            (&["x"], true, &[(0, Unsure, false)]),
            (&["x"], false, &[(0, Unsure, false)]),
            (&["x", "y"], true, &[(0, Moved, true), (1, Unsure, false)]),
            (&["x", "y"], false, &[(0, Moved, true), (1, Unsure, false)]),
            (&["x", "y", "x"], false, &[(0, Unsure, false), (1, Moved, true)]),
            (&["x", "x", "x"], true, &[(0, Unsure, false), (1, Moved, false), (2, Moved, false)]),
        ];
        for (inputs, tip_waits, expected) in cases {
            let all = inputs.iter().map(|text| Inputs((*text).into())).collect();
            let candidate = Candidate { target: target.clone(), definition: 1, inputs: all };
            let found: Vec<_> = touched(&candidate, tip_waits)
                .iter()
                .map(|one| (one.commit, one.reason, one.overtaken))
                .collect();
            assert_eq!(found, expected, "{inputs:?} {tip_waits}");
        }
    }
}
