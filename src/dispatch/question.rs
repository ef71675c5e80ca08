//! What an event asks of one reference.

use crate::application::Target;
use crate::commit::CommitId;
use crate::event::Event;
use crate::event::What;
use crate::reference::Reference;

/// An event, as dispatch understands it for one reference that it may concern.
#[derive(Debug)]
pub(super) struct Question<'a> {
    pub(super) event: &'a Event,
    pub(super) reference: &'a Reference,
    /// Where the reference led before, where that is known; a tip that is there still may be a lagging replica's.
    pub(super) before: Option<CommitId>,
    /// A commit that must be answered, where the event names one.
    pub(super) after: Option<&'a CommitId>,
    /// The only target in question, which counts as touched whatever is remembered.
    pub(super) only: Option<&'a Target>,
}

impl<'a> Question<'a> {
    /// Reads an event. `seen` is where dispatch last saw the reference lead.
    ///
    /// A pushed commit must be answered where its ref alone decides. Among the tags of a range it is the highest that
    /// does, and one that is not chosen is nobody's: it gets no status. The commit before such a push is the tag's own
    /// and not the range's, which led to what was `seen`.
    pub(super) fn of(event: &'a Event, reference: &'a Reference, seen: Option<CommitId>) -> Self {
        let (before, after, only) = match (&event.what, reference) {
            (What::Push { before, after, .. }, Reference::Name(_)) => (before.clone(), after.as_ref(), None),
            (What::Push { .. } | What::Sweep { .. }, Reference::Tags(_)) => (seen, None, None),
            (What::Push { .. }, Reference::Commit(_))
            | (What::Sweep { .. }, Reference::Name(_) | Reference::Commit(_)) => (None, None, None),
            (What::Again { target, commit }, _) => (None, commit.as_ref(), Some(target)),
            (What::Sync { target, .. }, _) => (None, None, Some(target)),
            (What::PullRequest { .. } | What::Rerun { .. } | What::Drift { .. } | What::Failed { .. }, _) => {
                (None, None, None)
            }
        };
        Self { event, reference, before, after, only }
    }

    /// Returns whether its answer is one for all that follow the reference. About one target it is not: a delivery that was
    /// lost is still to be found for the others. Of a fixed commit no delivery tells.
    pub(super) fn answers_for_all(&self) -> bool {
        self.only.is_none() || matches!(self.reference, Reference::Commit(_))
    }
}

/// Says why an event concerns no application.
pub(super) fn nobody(event: &Event) -> String {
    match &event.what {
        What::Push { reference, .. } | What::Sweep { reference } => {
            format!("no application reads {reference} of {}", event.source)
        }
        What::PullRequest { number, .. } => {
            format!("pull request {number} is not checked: windlass acts on refs only so far")
        }
        What::Rerun { commit, .. } => format!("nobody follows checks of {}", commit.short()),
        What::Again { target, .. }
        | What::Drift { target, .. }
        | What::Sync { target, .. }
        | What::Failed { target, .. } => {
            format!("no application {} of {} is configured", target.application, event.source)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Question;
    use crate::application::Name;
    use crate::application::Target;
    use crate::commit::CommitId;
    use crate::commit::RefName;
    use crate::event::Event;
    use crate::event::What;
    use crate::moment::Moment;
    use crate::reference::Reference;

    #[test]
    fn what_an_event_asks_of_a_reference_by_table() {
        let id = |digit: char| CommitId::parse(&digit.to_string().repeat(40)).unwrap();
        let name = |text| Name::parse(text).unwrap();
        let reference = RefName::parse("refs/tags/v1.0.0").unwrap();
        let push = What::Push {
            reference: reference.clone(),
            before: Some(id('b')),
            after: Some(id('a')),
            forced: false,
        };
        let sweep = What::Sweep { reference };
        let target = Target { application: name("shop"), cluster: name("east") };
        let again = What::Again { target, commit: Some(id('a')) };
        // event, reference → before, after, only
        let cases = [
            (&push, "refs/tags/v1.0.0", Some('b'), Some('a'), false),
            (&push, "tags 1.x", Some('5'), None, false),
            (&sweep, "refs/tags/v1.0.0", None, None, false),
            (&sweep, "tags 1.x", Some('5'), None, false),
            (&again, "refs/tags/v1.0.0", None, Some('a'), true),
            (&again, "tags 1.x", None, Some('a'), true),
            (&again, &"c".repeat(40), None, Some('a'), true),
        ];
        for (what, reference, before, after, only) in cases {
            let event = Event {
                version: crate::event::VERSION,
                id: "e".into(),
                source: name("code"),
                what: what.clone(),
                received_at: Moment(0),
            };
            let reference = Reference::parse(reference).unwrap();
            let question = Question::of(&event, &reference, Some(id('5')));
            assert_eq!(question.before, before.map(id), "{what:?} {reference}");
            assert_eq!(question.after, after.map(id).as_ref(), "{what:?} {reference}");
            assert_eq!(question.only.is_some(), only, "{what:?} {reference}");
        }
    }
}
