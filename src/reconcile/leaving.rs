//! What is being deleted, or is gone by itself, while the commit declares it.

use futures::StreamExt;
use futures::stream;

use crate::job::Reason;
use crate::object::Live;
use crate::object::passes_away;
use crate::plan::Left;
use crate::plan::Write;

use super::Begun;
use super::Error;
use super::Reconciler;
use super::check::Checker;
use super::check::Verdict;
use super::prepare::Sorted;

/// Returns whether the object of a write is being deleted.
pub(super) fn is_going(write: &Write) -> bool {
    write.live.as_ref().is_some_and(Live::is_terminating)
}

/// Parts what is being deleted from the writes. A pass after drift leaves it: that it is gone will be drift.
pub(super) fn parted(begun: &Begun, writes: &mut Vec<Write>, left: &mut Vec<Left>) -> Vec<Write> {
    left.extend(without_past(begun, writes));
    let going: Vec<Write> = writes.extract_if(.., |write| is_going(write)).collect();
    if begun.job.reason != Reason::Drifted {
        return going;
    }
    left.extend(going.into_iter().map(|write| Left { id: write.manifest.id, live: write.live, why: None }));
    Vec::new()
}

/// Returns whether the Job of a write has a time to live and is to be made by this pass. One of the commit before that is
/// being deleted is gone in a moment, and only that nothing of it is there tells of one that was made.
pub(super) fn is_timed(begun: &Begun, write: &Write) -> bool {
    let is_asked = begun.job.reason != Reason::Drifted;
    is_asked && passes_away(&write.manifest.value) && !is_past(begun, write)
}

/// Returns whether this commit has made the Job of a write already, and its time to live is over: each is made once for
/// what the application reads.
fn is_past(begun: &Begun, write: &Write) -> bool {
    let reached = begun.rollout().and(begun.parent.fence.next);
    let made = begun.is_known_done() || reached.is_some_and(|next| write.wish.turn() < next);
    let is_there = write.live.as_ref().is_some_and(|live| !live.is_terminating());
    made && !is_there && passes_away(&write.manifest.value)
}

/// Parts such Jobs from the writes.
fn without_past(begun: &Begun, writes: &mut Vec<Write>) -> Vec<Left> {
    writes
        .extract_if(.., |write| is_past(begun, write))
        .map(|write| Left { id: write.manifest.id, live: None, why: None })
        .collect()
}

impl Reconciler {
    /// Lets the server check dry what is being deleted and is to be there again.
    pub(super) async fn sort_leaving(
        &self,
        checker: &Checker<'_>,
        going: Vec<Write>,
        sorted: &mut Sorted,
    ) -> Result<(), Error> {
        let checks: Vec<_> = going.into_iter().map(|write| checker.check_leaving(write)).collect();
        let checked = stream::iter(checks).buffered(checker.cluster.requests()).collect::<Vec<_>>().await;
        for checked in checked {
            match checked? {
                Ok(Verdict::Left(left)) => sorted.left.push(left),
                Ok(Verdict::Fine(checked)) => sorted.leaving.push(*checked),
                Ok(Verdict::Early(problem) | Verdict::Doubtful(_, problem)) | Err(problem) => {
                    sorted.early.push(problem);
                }
            }
        }
        Ok(())
    }
}
