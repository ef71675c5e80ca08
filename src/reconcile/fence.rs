//! The fence: the parent object, replaced only as it was read.

use crate::application::Name;
use crate::application::Target;
use crate::applyset;
use crate::applyset::Parent;
use crate::member;

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
        let idle = ready.writes.is_empty() && ready.prune.is_empty() && begun.is_known_done();
        let now = applyset::Fence {
            installation: self.hands.installation.clone(),
            cluster: begun.job.target.cluster.to_string(),
            run: begun.run.clone(),
            generation: parent.fence.generation + 1,
            commit: Some(begun.tip.clone()),
            inputs: Some(begun.inputs.clone()),
            definition: begun.job.definition,
            done: false,
        };
        parent.group_kinds.extend(ready.extent.kinds.iter().cloned());
        parent.namespaces.extend(ready.extent.namespaces.iter().cloned());
        let manager = member::manager(&begun.job.target.application);
        parent.fence = now;
        if idle {
            // Nothing will be written and the parent says all of this already, so there is nothing to fence.
            return Ok(Fenced { ready, parent, manager });
        }
        let (told, fenced) = tokio::join!(
            self.tell(vec![self.running(begun)]),
            self.take(&begun.job.target.cluster, &parent),
        );
        told?;
        Ok(Fenced { parent: fenced?, ready, manager })
    }

    /// Replaces the parent, and says who did when somebody else did.
    pub(super) async fn take(&self, cluster: &Name, parent: &Parent) -> Result<Parent, Error> {
        let cluster = self.cluster(cluster)?.in_run(&parent.fence.run);
        match cluster.fence(parent).await {
            Ok(parent) => Ok(parent),
            Err(error) if error.answer().is_some_and(crate::cluster::Answer::is_conflict) => {
                Err(Error::Overtaken(parent.fence.run.clone()))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Looks whether this run still holds the fence.
    pub(super) async fn still_ours(&self, target: &Target, parent: &Parent) -> Result<(), Error> {
        let now = self.cluster(&target.cluster)?.parent(&target.application).await?;
        if now.fence.run == parent.fence.run { Ok(()) } else { Err(Error::Overtaken(now.fence.run)) }
    }
}
