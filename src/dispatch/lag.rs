//! Whether the repository shows a push yet: a replica may lag behind the hook that it sent.

use crate::clock::now;
use crate::commit::CommitId;
use crate::event::What;
use crate::reference::Reference;
use crate::source::Resolved;

use super::Dispatcher;
use super::Error;
use super::question::Question;

/// For how long after its event may a ref still stand where it stood before, in milliseconds?
const LAG_MS: u64 = 60_000;

impl Dispatcher {
    /// Ends the dispatch for now when the repository seems not to show the push yet. A deletion is not waited for.
    pub(super) async fn wait_for_the_push(
        &self,
        question: &Question<'_>,
        resolved: &Resolved,
    ) -> Result<(), Error> {
        let event = question.event;
        let What::Push { reference: pushed, before, after: Some(after), .. } = &event.what else {
            return Ok(());
        };
        let tip = resolved.tip.as_ref();
        if tip == Some(after) || now().since(event.received_at) >= LAG_MS {
            return Ok(());
        }
        let lagging = match question.reference {
            Reference::Name(_) => self.is_behind(question, resolved, after).await?,
            // Where the chosen tag is the pushed one, it must have moved. Where it is another, the pushed one would have
            // been chosen if it were seen and the higher of the two. A lower one is not worth a wait.
            Reference::Tags(_) if resolved.name.as_ref() == Some(pushed) => tip == before.as_ref(),
            Reference::Tags(range) => range.prefers(pushed, resolved.name.as_ref()),
            Reference::Commit(_) => false,
        };
        if lagging { Err(Error::Lagging(pushed.clone())) } else { Ok(()) }
    }

    /// Returns whether a ref stands where it stood before, or where it was last seen although the pushed commit was
    /// never answered and is not there at all. One that is there was overtaken by a push that came before its turn.
    async fn is_behind(
        &self,
        question: &Question<'_>,
        resolved: &Resolved,
        after: &CommitId,
    ) -> Result<bool, Error> {
        let (source, tip) = (&question.event.source, resolved.tip.as_ref());
        if tip.is_none() || tip == question.before.as_ref() {
            return Ok(true);
        }
        if resolved.found.contains(after) {
            return Ok(false);
        }
        let seen = self.store.seen(source).await?;
        let unmoved = seen.get(question.reference) == tip;
        Ok(unmoved && self.store.verdicts(source, after).await?.is_empty())
    }
}
