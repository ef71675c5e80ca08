//! Whether the repository shows a push yet: a replica may lag behind the hook that it sent.

use crate::clock::now;
use crate::source::Resolved;

use super::Dispatcher;
use super::Error;
use super::Question;

/// For how long after its event may a ref still stand where it stood before, in milliseconds?
const LAG_MS: u64 = 60_000;

impl Dispatcher {
    /// Returns whether the repository seems not to show the push yet: its ref stands where it stood before, or where
    /// it was last seen although the pushed commit was never answered and is not there at all. One that is there was
    /// overtaken by a push that came before its turn.
    pub(super) async fn is_lagging(
        &self,
        question: &Question<'_>,
        resolved: &Resolved,
    ) -> Result<bool, Error> {
        let (event, tip) = (question.event, resolved.tip.as_ref());
        let (Some(after), None) = (question.after, question.only) else { return Ok(false) };
        if tip == Some(after) || now().since(event.received_at) >= LAG_MS {
            return Ok(false);
        }
        if tip.is_none() || tip == question.before {
            return Ok(true);
        }
        if resolved.found.contains(after) {
            return Ok(false);
        }
        let seen = self.store.seen(&event.source).await?;
        let unmoved = seen.get(&question.reference) == tip;
        Ok(unmoved && self.store.verdicts(&event.source, after).await?.is_empty())
    }
}
