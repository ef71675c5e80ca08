//! The fence: the parent object, replaced only as it was read.

use std::collections::BTreeSet;

use crate::annotation::Turn;
use crate::application::Name;
use crate::application::Target;
use crate::applyset;
use crate::applyset::Parent;
use crate::job::Reason;
use crate::member;

use super::Begun;
use super::Error;
use super::Ready;
use super::Reconciler;

/// A pass that holds the fence.
#[derive(Debug)]
pub struct Fenced {
    pub(super) ready: Ready,
    /// The parent as this run wrote it; whoever writes it again ends this run.
    pub(super) parent: Parent,
    pub(super) manager: String,
}

/// Returns the first turn of which nothing is known to be written.
fn reached(begun: &Begun) -> Turn {
    begun.rollout().and(begun.parent.fence.next).unwrap_or(Turn::NONE_YET)
}

impl Reconciler {
    /// Takes the fence: replaces the parent at the version that was read first, with the kinds and namespaces of what
    /// is about to be written, so that nothing that this run creates can be orphaned.
    ///
    /// # Errors
    /// Another run that took it meanwhile; the cluster.
    #[tracing::instrument(skip_all)]
    pub async fn fence(&self, ready: Ready) -> Result<Fenced, Error> {
        let begun = &ready.begun;
        let mut parent = begun.parent.clone();
        let again = begun.job.reason == Reason::Drifted;
        let idle = ready.writes.is_empty() && ready.leaving.is_empty() && ready.prune.is_empty();
        let idle = idle && (again || begun.is_known_done());
        let now = applyset::Fence {
            installation: self.hands.installation.clone(),
            cluster: begun.job.target.cluster.to_string(),
            run: begun.run.clone(),
            generation: parent.fence.generation + 1,
            source: Some(begun.job.application.source.clone()),
            reads: Some(applyset::Reads::of(&begun.job.application, &begun.job.target.cluster)),
            commit: Some(begun.tip.clone()),
            inputs: Some(begun.inputs.clone()),
            definition: begun.job.definition,
            done: false,
            members: parent.fence.members,
            owned: None,
            again,
            since: parent.fence.made_true().cloned(),
            // Drift of what is written changes nothing about what is not. And until a pass is through, nothing is known to
            // be written but what the rollout had come to that it goes on with.
            next: if again { parent.fence.next } else { Some(reached(begun)) },
            withheld: ready.withheld.clone(),
            unwritten: if again { parent.fence.unwritten.clone() } else { BTreeSet::new() },
        };
        parent.group_kinds.extend(ready.extent.kinds.iter().cloned());
        parent.namespaces.extend(ready.extent.namespaces.iter().cloned());
        let manager = member::manager(&begun.job.target.application);
        parent.fence = now;
        if idle {
            self.confirm(begun).await?;
            if again {
                // That there is no drift is no run of its own.
                let generation = parent.fence.generation;
                parent.fence =
                    applyset::Fence { generation, done: false, owned: None, ..begun.parent.fence.clone() };
            }
            // Nothing will be written and the parent says all of this already, so there is nothing to fence.
            return Ok(Fenced { ready, parent, manager });
        }
        // No status tells of drift. And of a tip that nobody told of yet, only what became of it is said: where this pass
        // gets to no end and the next one finds another tip, nobody would ever say more.
        let own = !again && begun.tip == begun.job.commit && begun.job.rollout.is_none();
        let running = if own { vec![self.running(begun)] } else { Vec::new() };
        let (told, fenced) = tokio::join!(self.tell(running), self.take(&begun.job.target.cluster, &parent),);
        if let Err(error) = told {
            // That it runs is news for people; a broker that takes nothing for now stops no pass.
            tracing::warn!(run.id = begun.run, %error, "failed to report that a run began: failed to {error}");
        }
        Ok(Fenced { parent: fenced?, ready, manager })
    }

    /// Replaces the parent, and says who did when somebody else did.
    pub(super) async fn take(&self, cluster: &Name, parent: &Parent) -> Result<Parent, Error> {
        let cluster = self.cluster(cluster)?.in_run(&parent.fence.run);
        match cluster.fence(parent).await {
            Ok(parent) => Ok(parent),
            // One that was there and is not any more was deleted with its application.
            Err(error)
                if error.answer().is_some_and(|answer| {
                    answer.is_conflict() || (answer.is_not_found() && parent.resource_version.is_some())
                }) =>
            {
                Err(Error::Overtaken(parent.fence.run.clone()))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Looks whether this run still holds the fence.
    pub(super) async fn still_ours(&self, target: &Target, parent: &Parent) -> Result<(), Error> {
        let now = self.cluster(&target.cluster)?.parent(&target.application).await?;
        // One run may go on in several passes, of which each takes the fence anew.
        let ours = (now.fence.run.as_str(), now.fence.generation)
            == (parent.fence.run.as_str(), parent.fence.generation);
        if ours { Ok(()) } else { Err(Error::Overtaken(now.fence.run)) }
    }
}
