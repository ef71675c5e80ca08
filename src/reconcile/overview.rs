//! One look at all parents of a cluster for many passes that begin together, and where their refs lead after it.
//!
//! A pass reads its parent, and resolves its ref after that: whoever takes the fence in between had a tip as new as this
//! one. Both hold as well where many passes share one list of parents and one answer of the forge that came after it: each
//! takes the fence at the version that was listed, or makes sure that the parent still has it where it takes none. So a
//! commit that touches a thousand applications asks the forge a few times, and not a thousand times.

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

use super::Begun;
use super::Error;
use super::Reconciler;

/// For how long is a look good? A pass by an older one would more often find that another run took the fence meanwhile.
const GOOD_FOR: Duration = Duration::from_secs(5);

/// Within which time must passes of two other applications that follow the same ref have begun, so that a look at all pays?
const TOGETHER: Duration = GOOD_FOR;

/// After which time is looked anew for a pass that the last look does not serve?
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Passes of more than how many applications?
const OTHERS: usize = 2;

/// How long may the list take, and how long the forge? Passes that share neither wait for them, too.
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

/// A source, and what is followed there.
type Followed = (Name, Reference);

#[derive(Default)]
struct Look {
    /// When the last pass of each application began, and what it follows, as far as that was not long ago.
    begun: BTreeMap<Name, (Instant, Followed)>,
    /// When the parents were listed.
    listed_at: Option<Instant>,
    /// The parents that no pass has used yet.
    parents: BTreeMap<String, Parent>,
    /// Where refs led after that.
    tips: BTreeMap<Followed, CommitId>,
    /// Until when each pass looks for itself: all of the cluster, by no name, or those of a source.
    apart: BTreeMap<Option<Name>, Instant>,
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
    fn is_one_of_many(&mut self, application: &Name, followed: &Followed, now: Instant) -> bool {
        self.begun.retain(|_, (at, _)| now.duration_since(*at) < TOGETHER);
        self.apart.retain(|_, until| now < *until);
        self.begun.insert(application.clone(), (now, followed.clone()));
        let apart = self.apart.contains_key(&None) || self.apart.contains_key(&Some(followed.0.clone()));
        !apart && self.begun.values().filter(|(_, other)| other == followed).count() > OTHERS
    }

    /// Returns whether the look may serve a pass for a commit of an application whose last pass ended then: it came after
    /// that, and what the ref led to is not known to be something else.
    fn serves(&self, last_end: Option<Instant>, tip: Option<bool>, now: Instant) -> bool {
        let Some(listed_at) = self.listed_at else { return false };
        now.duration_since(listed_at) < GOOD_FOR
            && last_end.is_none_or(|at| at < listed_at)
            && tip != Some(false)
    }

    /// Has each pass look for itself for a while, or each of one source.
    fn part(&mut self, source: Option<&Name>, now: Instant) {
        self.apart.insert(source.cloned(), now + APART_FOR);
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
        let followed = (job.application.source.clone(), job.application.reference.clone());
        // Held while the cluster and the forge are asked: whoever comes meanwhile is to have the same answers.
        let mut look = overview.look.lock().await;
        let many = look.is_one_of_many(&job.target.application, &followed, Instant::now());
        let plain = job.rollout.is_none() && job.back.is_none();
        if !many || !plain || !matches!(job.reason, Reason::Moved | Reason::Unsure) {
            return Ok(None);
        }
        let is_tip = look.tips.get(&followed).map(|tip| *tip == job.commit);
        let last_end = overview.last_end(&job.target.application);
        if !look.serves(last_end, is_tip, Instant::now()) && !look.renew(cluster).await {
            return Ok(None);
        }
        let Some(tip) = self.shared_tip(&mut look, &followed).await?.filter(|tip| *tip == job.commit) else {
            return Ok(None);
        };
        let application = &job.target.application;
        let parent = look.parents.remove(&parent_name(application));
        Ok(Some((parent.unwrap_or_else(|| Parent::absent(application, cluster.namespace())), tip)))
    }

    /// Returns where a ref leads, as the forge said after the parents were listed; nothing where it does not say so in time.
    async fn shared_tip(&self, look: &mut Look, followed: &Followed) -> Result<Option<CommitId>, Error> {
        if let Some(tip) = look.tips.get(followed) {
            return Ok(Some(tip.clone()));
        }
        let (source, reference) = (self.source(&followed.0)?, &followed.1);
        match timeout(LOOK_WITHIN, source.resolve(reference, &[])).await {
            Ok(Ok(resolved)) => {
                look.tips.extend(resolved.tip.clone().map(|tip| (followed.clone(), tip)));
                Ok(resolved.tip)
            }
            // The pass finds out by itself what is the matter.
            Ok(Err(_)) | Err(_) => {
                look.part(Some(&followed.0), Instant::now());
                Ok(None)
            }
        }
    }

    /// Makes sure that the parent of a pass still is as it was read, where the pass takes no fence by it.
    ///
    /// # Errors
    /// Another run that took the fence since; the cluster.
    pub(super) async fn confirm(&self, begun: &Begun) -> Result<(), Error> {
        if !begun.is_shared {
            return Ok(());
        }
        let target = &begun.job.target;
        let now = self.cluster(&target.cluster)?.parent(&target.application).await?;
        if now.resource_version == begun.parent.resource_version {
            Ok(())
        } else {
            Err(Error::Overtaken(now.fence.run))
        }
    }
}

impl Look {
    /// Lists the parents of a cluster, unless that was done just now; returns whether they are of use.
    async fn renew(&mut self, cluster: &Cluster) -> bool {
        let now = Instant::now();
        if self.listed_at.is_some_and(|at| now.duration_since(at) < AGAIN_AFTER) {
            return false;
        }
        match timeout(LOOK_WITHIN, cluster.parents_up_to(PARENTS)).await {
            Ok(Ok(Some(parents))) => {
                self.parents = parents.into_iter().map(|parent| (parent.name.clone(), parent)).collect();
                self.tips.clear();
                self.listed_at = Some(now);
                true
            }
            Ok(Ok(None) | Err(_)) | Err(_) => {
                self.part(None, Instant::now());
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::APART_FOR;
    use super::Look;
    use super::Name;
    use super::Reference;
    use crate::commit::CommitId;

    fn commit() -> CommitId {
        CommitId::parse(&"a".repeat(40)).unwrap()
    }

    #[test]
    fn only_passes_of_several_applications_that_begin_together_share_a_look() {
        let (start, mut look) = (Instant::now(), Look::default());
        let followed = |source: &str| (Name::parse(source).unwrap(), Reference::Commit(commit()));
        let begins = |look: &mut Look, application: &str, source: &str, after: Duration| {
            look.is_one_of_many(&Name::parse(application).unwrap(), &followed(source), start + after)
        };
        for (ms, application, source, many) in [
            (0, "a", "one", false),
            (10, "a", "one", false),
            (20, "b", "one", false),
            (25, "z", "two", false),
            (30, "c", "one", true),
            (40, "a", "one", true),
            (50, "y", "two", false),
            (9_000, "e", "one", false),
            (9_010, "f", "one", false),
            (9_020, "g", "one", true),
        ] {
            let begun = begins(&mut look, application, source, Duration::from_millis(ms));
            assert_eq!(begun, many, "{application} of {source} at {ms}");
        }
        assert_eq!(look.begun.len(), 3, "what is long ago is forgotten");
        let many = |look: &mut Look, source: &str, after: Duration| {
            ["u", "v", "w"].map(|name| begins(look, &format!("{name}-{source}"), source, after))[2]
        };
        look.part(Some(&followed("one").0), start);
        assert!(!many(&mut look, "one", APART_FOR / 2) && many(&mut look, "two", APART_FOR / 2));
        look.part(None, start);
        assert!(!many(&mut look, "two", APART_FOR / 2) && many(&mut look, "two", APART_FOR));
        assert!(look.apart.is_empty());
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
