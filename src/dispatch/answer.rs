//! The answer to an event for one reference: where it leads, and whom that touches.

use crate::application::Application;
use crate::application::Target;
use crate::commit::CommitId;
use crate::commit::Inputs;
use crate::event::Event;
use crate::reference::Reference;
use crate::select::Candidate;
use crate::select::Touched;
use crate::select::select;
use crate::source::Source;

use super::Dispatcher;
use super::Error;
use super::messages::Made;
use super::notes;
use super::question::Question;

impl Dispatcher {
    /// Adds to what is made whatever follows for the applications of one reference.
    pub(super) async fn answer(
        &self,
        event: &Event,
        reference: &Reference,
        applications: &[&Application],
        made: &mut Made<'_>,
    ) -> Result<(), Error> {
        let source =
            self.sources.get(&event.source).ok_or_else(|| Error::UnknownSource(event.source.clone()))?;
        let seen = match reference {
            Reference::Tags(_) => self.store.seen(&event.source).await?.remove(reference),
            Reference::Name(_) | Reference::Commit(_) => None,
        };
        let question = Question::of(event, reference, seen);
        let also: Vec<CommitId> = question.after.cloned().into_iter().collect();
        let resolved = source.resolve(reference, &also).await?;
        self.wait_for_the_push(&question, &resolved).await?;
        let Some(tip) = resolved.tip else {
            self.end_overdue(&question, None).await?;
            tracing::warn!(event.id = event.id, source = %event.source, %reference, "leads nowhere");
            made.leads_nowhere(reference);
            return Ok(());
        };
        if question.after.is_some_and(|after| *after != tip && !resolved.found.contains(after)) {
            self.end_overdue(&question, Some(&tip)).await?;
        }
        let overtaken = question.after.filter(|after| **after != tip && resolved.found.contains(after));
        let commits: Vec<CommitId> = overtaken.into_iter().chain([&tip]).cloned().collect();
        if let (Reference::Tags(range), Some(name)) = (reference, resolved.name) {
            tracing::info!(event.id = event.id, source = %event.source, %range, tag = %name, commit.id = %tip, "tag chosen");
        }
        self.select(source, &question, applications, &commits, made).await?;
        if question.answers_for_all() {
            made.led.push((reference.clone(), Some(tip)));
        }
        Ok(())
    }

    /// Adds what follows for each commit, the older first, the last being the tip.
    async fn select(
        &self,
        source: &Source,
        question: &Question<'_>,
        applications: &[&Application],
        commits: &[CommitId],
        made: &mut Made<'_>,
    ) -> Result<(), Error> {
        let Some(tip) = commits.last() else { return Ok(()) };
        let wanted = |target: &Target| question.only.is_none_or(|only| target == only);
        let candidates = self.candidates(source, applications, commits, wanted).await?;
        made.awaited.extend(self.awaited(source, question, applications, tip).await?);
        let memory = self.store.memory(&question.event.source).await?;
        let touched = select(&candidates, commits.len(), &memory, question.only.is_some());
        notes::note_targets(made.notes, &candidates, &touched);
        made.notes.commits.extend(
            commits.iter().filter(|one| !made.notes.commits.contains(one)).cloned().collect::<Vec<_>>(),
        );
        for (position, commit) in commits.iter().enumerate() {
            let here: Vec<&Touched> = touched.iter().filter(|one| one.commit == position).collect();
            made.add(question, commit, tip, &here, applications);
            // A pass may have come upon it and made it true before its turn came.
            if here.is_empty() && commit != tip && question.only.is_none() {
                made.touches_nothing(commit);
            }
        }
        if touched.is_empty() {
            made.leads_to_nothing_new(tip);
        }
        Ok(())
    }

    /// Returns what the wanted targets of some applications read at each commit.
    pub(super) async fn candidates(
        &self,
        source: &Source,
        applications: &[&Application],
        commits: &[CommitId],
        wanted: impl Fn(&Target) -> bool,
    ) -> Result<Vec<Candidate>, Error> {
        let numbers = self.store.definitions(applications).await?;
        let mut targets = Vec::new();
        for application in applications {
            let Some(definition) = numbers.get(&application.name) else { continue };
            let targets_of = application.targets().filter(&wanted);
            targets.extend(targets_of.map(|target| (*application, target, *definition)));
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
}
