//! One look at all parents of a cluster for many passes that begin together, and where their refs lead after it.
//!
//! A pass reads its parent, and resolves its ref after that: whoever takes the fence in between had a tip as new as this
//! one. Both hold as well where many passes share one list of parents and one answer of the forge that came after it: each
//! takes the fence at the version that was listed. So a commit that touches a thousand applications asks the forge a few
//! times, and not a thousand times.

use std::collections::BTreeMap;
use std::sync::PoisonError;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;
use tokio::time::timeout;

use crate::application::Name;
use crate::applyset::Parent;
use crate::applyset::parent_name;
use crate::cluster::Cluster;
use crate::commit::CommitId;
use crate::job::Job;
use crate::job::Reason;
use crate::reference::Reference;

use super::Error;
use super::Reconciler;

/// For how long is a look good? A pass by an older one would more often find that another run took the fence meanwhile.
const GOOD_FOR: Duration = Duration::from_secs(5);

/// Within which time must passes of two other applications have begun in the same cluster, so that a look at all pays?
const TOGETHER: Duration = GOOD_FOR;

/// After which time is looked anew for a pass that the last look does not serve?
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Passes of more than how many applications?
const OTHERS: usize = 2;

/// How long may a look take? Passes of other sources wait for it, too.
const LOOK_WITHIN: Duration = Duration::from_secs(3);

/// For how long does each pass look for itself after a look failed, or where there are too many parents?
const APART_FOR: Duration = Duration::from_mins(1);

/// How many parents are listed at most for a few passes?
const PARENTS: usize = 2_000;

/// What passes of one cluster saw together.
#[derive(Default)]
pub(super) struct Overview {
    look: Mutex<Look>,
    /// When the last pass of each application ended, as far as that was not long ago.
    ended: std::sync::Mutex<BTreeMap<Name, Instant>>,
}

#[derive(Default)]
struct Look {
    /// When the last pass of each application began, as far as that was not long ago.
    begun: BTreeMap<Name, Instant>,
    /// When the parents were listed.
    listed_at: Option<Instant>,
    /// The parents that no pass has used yet.
    parents: BTreeMap<String, Parent>,
    /// Where refs led after that.
    tips: BTreeMap<(Name, Reference), CommitId>,
    apart_until: Option<Instant>,
}

impl Overview {
    /// Notes that a pass of an application has ended: it may have taken the fence since the parents were listed.
    pub(super) fn note_end(&self, application: &Name) {
        let now = Instant::now();
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        ended.retain(|_, at| now.duration_since(*at) < GOOD_FOR);
        ended.insert(application.clone(), now);
    }

    fn last_end(&self, application: &Name) -> Option<Instant> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner).get(application).copied()
    }
}

impl Look {
    /// Notes that a pass of an application begins, and returns whether it is one of many that may share a look.
    fn is_one_of_many(&mut self, application: &Name, now: Instant) -> bool {
        self.begun.retain(|_, at| now.duration_since(*at) < TOGETHER);
        self.begun.insert(application.clone(), now);
        self.begun.len() > OTHERS && self.apart_until.is_none_or(|until| now >= until)
    }

    /// Returns whether the look may serve a pass for a commit of an application whose last pass ended then: it came after
    /// that, and what the ref led to is not known to be something else.
    fn serves(&self, last_end: Option<Instant>, tip: Option<bool>, now: Instant) -> bool {
        let Some(listed_at) = self.listed_at else { return false };
        now.duration_since(listed_at) < GOOD_FOR
            && last_end.is_none_or(|at| at < listed_at)
            && tip != Some(false)
    }

    /// Has each pass look for itself for a while.
    fn part(&mut self, now: Instant) {
        (self.parents, self.tips, self.listed_at) = (BTreeMap::new(), BTreeMap::new(), None);
        self.apart_until = Some(now + APART_FOR);
    }
}

impl Reconciler {
    /// Returns the parent of a job's target and the tip of its ref, where the pass is one of many that see them together;
    /// nothing where it is to look for itself, which it also is where something else than the job's commit is the tip.
    ///
    /// # Errors
    /// A job that names what the settings do not.
    pub(super) async fn overview(&self, job: &Job) -> Result<Option<(Parent, CommitId)>, Error> {
        let cluster = self.cluster(&job.target.cluster)?;
        let Some(overview) = self.overviews.get(&job.target.cluster) else { return Ok(None) };
        // Held while the cluster and the forge are asked: whoever comes meanwhile is to have the same answers.
        let mut look = overview.look.lock().await;
        let many = look.is_one_of_many(&job.target.application, Instant::now());
        if !many || job.rollout.is_some() || !matches!(job.reason, Reason::Moved | Reason::Unsure) {
            return Ok(None);
        }
        let last_end = overview.last_end(&job.target.application);
        match timeout(LOOK_WITHIN, self.look(&mut look, cluster, job, last_end)).await {
            Ok(Ok(seen)) => Ok(seen),
            // The pass finds out by itself what is the matter.
            Ok(Err(_)) | Err(_) => {
                look.part(Instant::now());
                Ok(None)
            }
        }
    }

    /// Lists the parents and resolves the ref, as far as that was not done for another pass.
    async fn look(
        &self,
        look: &mut Look,
        cluster: &Cluster,
        job: &Job,
        last_end: Option<Instant>,
    ) -> Result<Option<(Parent, CommitId)>, Error> {
        let (application, now) = (&job.target.application, Instant::now());
        let key = (job.application.source.clone(), job.application.reference.clone());
        let is_tip = look.tips.get(&key).map(|tip| *tip == job.commit);
        if !look.serves(last_end, is_tip, now) {
            if look.listed_at.is_some_and(|at| now.duration_since(at) < AGAIN_AFTER) {
                return Ok(None);
            }
            let Some(parents) = cluster.parents_up_to(PARENTS).await? else {
                look.part(now);
                return Ok(None);
            };
            look.parents = parents.into_iter().map(|parent| (parent.name.clone(), parent)).collect();
            look.tips.clear();
            look.listed_at = Some(now);
        }
        if !look.tips.contains_key(&key) {
            let resolved = self.source(&key.0)?.resolve(&key.1, &[]).await?;
            let Some(tip) = resolved.tip else { return Ok(None) };
            look.tips.insert(key.clone(), tip);
        }
        let Some(tip) = look.tips.get(&key).filter(|tip| **tip == job.commit).cloned() else {
            return Ok(None);
        };
        let parent = look.parents.remove(&parent_name(application));
        Ok(Some((parent.unwrap_or_else(|| Parent::absent(application, cluster.namespace())), tip)))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::APART_FOR;
    use super::Look;
    use super::Name;

    #[test]
    fn only_passes_of_several_applications_that_begin_together_share_a_look() {
        let (start, mut look) = (Instant::now(), Look::default());
        let begins = |look: &mut Look, application: &str, after: Duration| {
            look.is_one_of_many(&Name::parse(application).unwrap(), start + after)
        };
        for (ms, application, many) in [
            (0, "a", false),
            (10, "a", false),
            (20, "b", false),
            (30, "c", true),
            (40, "a", true),
            (9_000, "e", false),
            (9_010, "f", false),
            (9_020, "g", true),
        ] {
            let begun = begins(&mut look, application, Duration::from_millis(ms));
            assert_eq!(begun, many, "{application} at {ms}");
        }
        assert_eq!(look.begun.len(), 3, "what is long ago is forgotten");
        look.part(start);
        for (after, many) in [(APART_FOR / 2, false), (APART_FOR, true)] {
            let begun = ["x", "y", "z"].map(|name| begins(&mut look, name, after));
            assert_eq!(begun[2], many);
        }
    }

    #[test]
    fn a_look_serves_whose_last_pass_ended_before_it_and_whose_commit_was_the_tip() {
        let (start, mut look) = (Instant::now(), Look::default());
        let at = |ms: u64| start + Duration::from_millis(ms);
        assert!(!look.serves(None, None, start), "there is none");
        look.listed_at = Some(at(1_000));
        for (last_end, tip, now, serves) in [
            (None, None, 1_010, true),
            (None, Some(true), 1_010, true),
            (None, Some(false), 1_010, false),
            (Some(900), Some(true), 1_010, true),
            (Some(1_000), Some(true), 1_010, false),
            (Some(1_005), Some(true), 1_010, false),
            (None, Some(true), 5_999, true),
            (None, Some(true), 6_000, false),
        ] {
            let found = look.serves(last_end.map(at), tip, at(now));
            assert_eq!(found, serves, "{last_end:?} {tip:?} {now}");
        }
    }
}
