//! One look at all parents of a cluster for many passes that begin together, and where their refs lead after it.
//!
//! A pass reads its parent, and resolves its ref after that: whoever takes the fence in between had a tip as new as this
//! one. Both hold as well where many passes share one list of parents and one answer of the forge that came after it: each
//! takes the fence at the version that was listed. So a commit that touches a thousand applications asks the forge a few
//! times, and not a thousand times.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::application::Name;
use crate::applyset::Parent;
use crate::cluster::Cluster;
use crate::commit::CommitId;
use crate::job::Job;
use crate::job::Reason;
use crate::reference::Reference;
use crate::source::Source;

use super::Error;
use super::Reconciler;

/// For how long is a look good? A pass by an older one would more often find that another run took the fence meanwhile.
const GOOD_FOR: Duration = Duration::from_secs(5);

/// Within which time must two other passes have begun in the same cluster, so that a look at all pays?
const TOGETHER: Duration = GOOD_FOR;

/// For how long does each pass look for itself after a look failed, or where there are too many parents?
const APART: Duration = Duration::from_secs(60);

/// How many parents are listed at most for a few passes?
const PARENTS: usize = 2_000;

/// What passes of one cluster saw together.
#[derive(Default)]
pub(super) struct Overview {
    look: Mutex<Look>,
}

#[derive(Default)]
struct Look {
    /// When the last two passes began.
    begun: [Option<Instant>; 2],
    /// When the parents were listed.
    listed_at: Option<Instant>,
    /// The parents that no pass has used yet.
    parents: BTreeMap<String, Parent>,
    /// The applications that have used theirs.
    used: BTreeSet<Name>,
    /// Where refs led after that.
    tips: BTreeMap<(Name, Reference), CommitId>,
    apart_until: Option<Instant>,
}

impl Look {
    /// Notes that a pass begins, and returns whether it is one of many.
    fn is_one_of_many(&mut self, now: Instant) -> bool {
        let [first, second] = self.begun;
        self.begun = [second, Some(now)];
        let lately = |at: Option<Instant>| at.is_some_and(|at| now.duration_since(at) < TOGETHER);
        lately(first) && lately(second) && self.apart_until.is_none_or(|until| now >= until)
    }

    fn is_good(&self, now: Instant) -> bool {
        self.listed_at.is_some_and(|at| now.duration_since(at) < GOOD_FOR)
    }

    /// Has each pass look for itself for a while.
    fn part(&mut self, now: Instant) {
        *self = Self { apart_until: Some(now + APART), ..Self::default() };
    }
}

impl Reconciler {
    /// Returns the parent of a job's target and the tip of its ref, where the pass is one of many that see them together;
    /// nothing where it is to look for itself, which it also is where something else than the job's commit is the tip.
    ///
    /// # Errors
    /// The source.
    pub(super) async fn overview(&self, job: &Job) -> Result<Option<(Parent, CommitId)>, Error> {
        let (cluster, source) = (self.cluster(&job.target.cluster)?, self.source(&job.application.source)?);
        let Some(overview) = self.overviews.get(&job.target.cluster) else { return Ok(None) };
        if !matches!(job.reason, Reason::Moved | Reason::Unsure) {
            return Ok(None);
        }
        // Held while the cluster and the forge are asked: whoever comes meanwhile is to have the same answers.
        let mut look = overview.look.lock().await;
        let now = Instant::now();
        if !look.is_one_of_many(now) {
            return Ok(None);
        }
        if !look.is_good(now) && !list(&mut look, cluster).await {
            look.part(now);
            return Ok(None);
        }
        let application = &job.target.application;
        if !look.used.insert(application.clone()) {
            return Ok(None);
        }
        let parent = look.parents.remove(&crate::applyset::parent_name(application));
        let parent = parent.unwrap_or_else(|| Parent::absent(application, cluster.namespace()));
        match tip(&mut look, source, job).await {
            Ok(tip) => Ok(tip.filter(|tip| *tip == job.commit).map(|tip| (parent, tip))),
            Err(error) => {
                look.part(now);
                Err(error)
            }
        }
    }
}

/// Lists the parents of a cluster; returns whether they are of use.
async fn list(look: &mut Look, cluster: &Cluster) -> bool {
    let listed_at = Instant::now();
    let Ok(parents) = cluster.parents().await else { return false };
    if parents.len() > PARENTS {
        return false;
    }
    let parents = parents.into_iter().map(|parent| (parent.name.clone(), parent)).collect();
    *look = Look { begun: look.begun, listed_at: Some(listed_at), parents, ..Look::default() };
    true
}

/// Returns where a ref leads, as the forge said after the parents were listed.
async fn tip(look: &mut Look, source: &Source, job: &Job) -> Result<Option<CommitId>, Error> {
    let key = (job.application.source.clone(), job.application.reference.clone());
    if let Some(tip) = look.tips.get(&key) {
        return Ok(Some(tip.clone()));
    }
    let tip = source.resolve(&job.application.reference, &[]).await?.tip;
    if let Some(tip) = &tip {
        look.tips.insert(key, tip.clone());
    }
    Ok(tip)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::APART;
    use super::GOOD_FOR;
    use super::Look;

    #[test]
    fn only_passes_that_begin_together_share_a_look() {
        let (start, mut look) = (Instant::now(), Look::default());
        let begun = [0, 10, 20, 9_000, 9_010, 9_020, 9_030];
        let begins = |ms: &u64| look.is_one_of_many(start + Duration::from_millis(*ms));
        let many: Vec<u64> = begun.into_iter().filter(begins).collect();
        assert_eq!(many, [20, 9_020, 9_030]);
        look.listed_at = Some(start);
        assert!(look.is_good(start + GOOD_FOR / 2) && !look.is_good(start + GOOD_FOR));
        look.part(start);
        let at = |look: &mut Look, after: Duration| (0..3).map(|_| look.is_one_of_many(start + after)).last();
        assert!(!look.is_good(start));
        assert_eq!(at(&mut look, APART / 2), Some(false));
        assert_eq!(at(&mut look, APART), Some(true));
    }
}
