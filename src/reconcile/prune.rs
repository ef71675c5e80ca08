//! The prune: what left the commit goes, the last written first.

use futures::StreamExt;
use futures::stream;

use crate::fault::Fault;
use crate::outcome::Action;
use crate::outcome::Change;
use crate::outcome::Problem;
use crate::plan;

use super::Applied;
use super::Error;
use super::Reconciler;

impl Reconciler {
    /// Prunes what left the commit, the last written first, after making sure that this run still holds the fence.
    ///
    /// # Errors
    /// As [`Reconciler::apply`].
    #[tracing::instrument(skip_all)]
    pub async fn prune(&self, mut applied: Applied) -> Result<Applied, Error> {
        let prune = std::mem::take(&mut applied.fenced.ready.prune);
        if !applied.problems.is_empty() || prune.is_empty() {
            prune.iter().for_each(|live| applied.fenced.ready.extent.add(&live.id));
            return Ok(applied);
        }
        let name = applied.fenced.ready.begun.job.target.cluster.clone();
        applied.fenced.parent = self.take(&name, &applied.fenced.parent).await?;
        let begun = &applied.fenced.ready.begun;
        let (cluster, kinds) = (self.cluster_of(begun)?, begun.kinds.clone());
        for stage in plan::stages_in_reverse(prune) {
            let deletes = stage.into_iter().map(|live| {
                let (cluster, kinds) = (&cluster, &kinds);
                async move {
                    let answer = cluster.delete(kinds, &live).await;
                    (live, answer)
                }
            });
            let answers: Vec<_> =
                stream::iter(deletes.collect::<Vec<_>>()).buffered(cluster.requests()).collect().await;
            for (live, answer) in answers {
                match answer {
                    Ok(()) => {
                        applied.changes.push(Change { object: live.id, action: Action::Pruned, note: None });
                    }
                    Err(error) if error.fault() == Fault::Theirs => {
                        applied.fenced.ready.extent.add(&live.id);
                        let message = format!("failed to {error}");
                        applied.problems.push(Problem { object: Some(live.id), place: None, message });
                    }
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(applied)
    }
}
