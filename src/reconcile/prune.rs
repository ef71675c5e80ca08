//! The prune: what left the commit goes, the last written first.

use futures::StreamExt;
use futures::stream;

use crate::annotation::Wish;
use crate::application::Propagation;
use crate::application::Target;
use crate::applyset::Parent;
use crate::cluster::Answer;
use crate::cluster::Cluster;
use crate::cluster::Deleted;
use crate::cluster::Kinds;
use crate::fault::Fault;
use crate::member;
use crate::object::Live;
use crate::outcome::Action;
use crate::outcome::Change;
use crate::outcome::Problem;
use crate::plan;

use super::Applied;
use super::Error;
use super::Reconciler;
use super::turns::Waiting;
use super::write::RACES;

/// Returns when what an object owns goes with it, where it usually does so: before a hook is made anew, the pods of the one
/// before it have to be gone.
fn propagation(live: &Live, usual: Propagation) -> Propagation {
    if Wish::of(&live.value).is_made_anew() { Propagation::Foreground } else { usual }
}

impl Reconciler {
    /// Prunes what left the commit, the last written first, after making sure that this run still holds the fence.
    ///
    /// # Errors
    /// As [`Reconciler::apply`].
    #[tracing::instrument(skip_all)]
    pub async fn prune(&self, mut applied: Applied) -> Result<Applied, Error> {
        let prune = std::mem::take(&mut applied.fenced.ready.prune);
        if !applied.problems.is_empty() || prune.is_empty() || applied.held.next.is_some() {
            for live in &prune {
                applied.fenced.ready.extent.add(&live.id);
                applied.count(live);
            }
            return Ok(applied);
        }
        let name = applied.fenced.ready.begun.job.target.cluster.clone();
        applied.fenced.parent = self.take(&name, &applied.fenced.parent).await?;
        let begun = &applied.fenced.ready.begun;
        let (cluster, kinds) = (self.cluster_of(begun)?, begun.kinds.clone());
        let (target, parent) = (begun.job.target.clone(), applied.fenced.parent.clone());
        let how = begun.job.application.propagation;
        for stage in plan::stages_in_reverse(prune) {
            // What a successor declares again may be as it was, so that no version tells; only the fence does.
            self.still_ours(&target, &parent).await?;
            let deletes = stage.into_iter().map(|live| {
                let (cluster, kinds, target, parent) = (&cluster, &kinds, &target, &parent);
                async move {
                    let answer = self.delete(cluster, kinds, (target, parent), live.clone(), how).await;
                    (live, answer)
                }
            });
            let answers: Vec<_> =
                stream::iter(deletes.collect::<Vec<_>>()).buffered(cluster.requests()).collect().await;
            for (live, answer) in answers {
                match answer {
                    Ok(deleted) => {
                        applied.fenced.parent.fence.withheld.remove(&live.id);
                        if deleted == Deleted::Going {
                            // The next pass has to look for it.
                            applied.fenced.ready.extent.add(&live.id);
                            applied.waiting.push(Waiting::going(&live));
                        }
                        applied.changes.push(Change { object: live.id, action: Action::Pruned, note: None });
                    }
                    Err(error) if error.fault() == Fault::Theirs => {
                        applied.fenced.ready.extent.add(&live.id);
                        applied.count(&live);
                        let message = format!("failed to {error}");
                        applied.problems.push(Problem { object: Some(live.id), place: None, message });
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(applied)
    }

    /// Deletes one object. Where it changed since it was read, the fence is looked at, then the object, three times: its
    /// status may be written all the time.
    pub(super) async fn delete(
        &self,
        cluster: &Cluster,
        kinds: &Kinds,
        (target, parent): (&Target, &Parent),
        mut live: Live,
        usual: Propagation,
    ) -> Result<Deleted, Error> {
        let mut tries = 0;
        loop {
            tries += 1;
            let error = match cluster.delete(kinds, &live, propagation(&live, usual)).await {
                Ok(deleted) => return Ok(deleted),
                Err(error) => error,
            };
            if !error.answer().is_some_and(Answer::is_conflict) || tries >= RACES {
                return Err(error.into());
            }
            self.still_ours(target, parent).await?;
            let object = [(live.api_version.as_str(), &live.id)];
            let found = cluster.read(kinds, &object).await;
            let found = found
                .map_err(|errors| errors.into_iter().next().map_or_else(|| error.into(), Error::from))?;
            match found.into_iter().next() {
                // Another application may have taken it meanwhile.
                Some(now)
                    if now.uid() == live.uid()
                        && now.label(member::PART_OF) == Some(&parent.id())
                        && plan::is_ours(&now, &member::manager(&target.application)) =>
                {
                    live = now
                }
                // Gone, or another one that is not ours.
                Some(_) | None => return Ok(Deleted::Gone),
            }
        }
    }
}
