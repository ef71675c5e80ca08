//! What the parent says once a pass has ended: how far it came, and what its members are.

use std::collections::BTreeMap;

use crate::annotation::Turn;
use crate::applyset::Parent;
use crate::drift::Sum;
use crate::fault::chain;
use crate::object::ObjectId;

use super::Error;
use super::Ready;
use super::Reconciler;

/// How many objects that a pass did not write does the parent name?
const UNWRITTEN: usize = 500;

/// Returns whether the parent already said all that this pass would have it say, so that it is not written.
fn is_as_before(now: &Parent, before: &Parent) -> bool {
    let (new, old) = (&now.fence, &before.fence);
    old.done
        && old.members == new.members
        && (old.next, &old.unwritten) == (new.next, &new.unwritten)
        && old.withheld == new.withheld
        && old.owned == new.owned
        && old.reads == new.reads
        && (&old.installation, &old.source, &old.inputs, old.definition)
            == (&new.installation, &new.source, &new.inputs, new.definition)
        && (&now.group_kinds, &now.namespaces) == (&before.group_kinds, &before.namespaces)
}

impl Reconciler {
    /// Writes what a pass that was refused half-way has come to, so that drift of what it wrote is corrected. Where that
    /// cannot be written, or is too much, drift waits for the next pass of a commit.
    pub(super) async fn break_off(
        &self,
        ready: Ready,
        mut parent: Parent,
        sum: Sum,
        unwritten: BTreeMap<ObjectId, (Turn, Sum)>,
    ) {
        let target = ready.begun.job.target.clone();
        if unwritten.len() > UNWRITTEN {
            tracing::warn!(target.name = %target, objects = unwritten.len(), "drift waits for the next commit: more was not written than is remembered");
            return;
        }
        // What left the commit is still there, too.
        let next = unwritten.values().map(|(turn, _)| *turn).min();
        parent.fence.next = Some(next.unwrap_or(Turn::LEAVING).min(Turn::LEAVING));
        parent.fence.unwritten = unwritten.into_keys().collect();
        if let Err(error) = self.close(ready, parent, sum).await {
            tracing::warn!(target.name = %target, "drift waits for the next commit: failed to {}", chain(&error));
        }
    }

    /// Writes that the pass got to its end, and returns the parent, with the kinds and namespaces that members are of and in.
    pub(super) async fn close(&self, ready: Ready, mut parent: Parent, sum: Sum) -> Result<Parent, Error> {
        parent.fence.done = true;
        parent.fence.members = sum.count;
        parent.fence.owned = Some(sum.marks);
        let mut namespaces = ready.extent.namespaces;
        if !ready.unknown.is_empty() {
            // Members of a kind that could not be listed may be in any of those that had some.
            namespaces.extend(ready.begun.parent.namespaces.iter().cloned());
        }
        parent.group_kinds = ready.extent.kinds.into_iter().chain(ready.unknown).collect();
        parent.namespaces = namespaces;
        // Where the fence was never taken, the version that was read still stands. Where it was, the parent says that a
        // pass is under way, and drift is left to that.
        let fenced = parent.resource_version != ready.begun.parent.resource_version;
        if fenced || !is_as_before(&parent, &ready.begun.parent) {
            return self.take(&ready.begun.job.target.cluster, &parent).await;
        }
        Ok(parent)
    }
}
