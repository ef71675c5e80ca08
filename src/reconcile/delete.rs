//! The deletion of an application that left the settings, because a person asks for it; and which ones there are.
//!
//! It is a pass that declares nothing: it takes the fence, so that a pass under way stops, and deletes the members in the
//! reverse order of writing, each stage once the one before it is gone. The parent goes last. Until then another deletion
//! finds by it what is left, so one that broke off, or could not delete everything, is simply asked for again.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::application::Application;
use crate::application::Name;
use crate::application::Target;
use crate::applyset;
use crate::commit::CommitId;
use crate::object::Live;
use crate::object::ObjectId;
use crate::plan;
use crate::plan::How;
use crate::plan::Removal;

use super::Error;
use super::Reconciler;
use super::departing::Departing;

/// How long may all objects of an application take to be gone, where nobody says otherwise?
pub const GONE_WITHIN: Duration = Duration::from_mins(5);

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Order<'a> {
    /// The application, in the cluster.
    pub target: &'a Target,
    /// How it is deleted.
    pub how: How,
    /// How long its objects may take to be gone.
    pub within: Duration,
}

/// What became of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is gone.
    Deleted,
    /// It is as it was, and nobody's.
    Orphaned,
    /// It stays, for this reason.
    Kept(String),
    /// It stays for this reason, and the application with it.
    Held(String),
    /// It is still there, for this reason.
    Going(String),
    /// It could not be deleted or let go, for this reason.
    Failed(String),
}

/// What became of an application.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Departed {
    /// Is nothing left of it, the parent neither?
    pub done: bool,
    /// How many of its objects were not looked after, since others were still there that had to go first.
    pub untouched: usize,
}

/// Why an application was not deleted; each message reads on after "failed to".
#[derive(Debug, thiserror::Error)]
pub enum Undeleted {
    /// It is not there.
    #[error("delete {target}: it has no parent in that cluster, so there is nothing to delete; {}", there(.known))]
    Absent {
        /// The target.
        target: Target,
        /// The applications that have parents there.
        known: Vec<Name>,
    },
    /// Another installation of windlass writes it.
    #[error("delete {0}: it belongs to the installation `{1}`; delete it with the settings of that one")]
    Foreign(Target, String),
    /// Its cluster has another name, by which it is written.
    #[error("delete {0}: it belongs to this cluster by the name `{1}`; ask for {application}@{1}", application = .0.application)]
    Twice(Target, String),
    /// What it consists of cannot be found out.
    #[error("delete {target}, of which nothing was deleted: {why}")]
    Unlisted {
        /// The target.
        target: Target,
        /// What could not be listed, and what to do.
        why: String,
    },
    /// Somebody else took the fence.
    #[error(
        "delete {0}: somebody else wrote its parent meanwhile, such as a windlass whose settings still have it; restart \
         that with the new settings, then run this again"
    )]
    Overtaken(Target),
    /// Something else.
    #[error(transparent)]
    Other(#[from] Error),
}

impl From<crate::cluster::Error> for Undeleted {
    fn from(error: crate::cluster::Error) -> Self {
        Self::Other(error.into())
    }
}

/// An application that left the settings, and whose parent is still there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Behind {
    /// The application, in the cluster.
    pub target: Target,
    /// How many members it had when a pass last got to its end.
    pub members: u64,
    /// The commit that was written last.
    pub commit: Option<CommitId>,
}

impl Reconciler {
    /// Deletes what an application left in a cluster, and tells `tell` of each object. What it returns is true when nobody
    /// takes a hand in it meanwhile: whether the settings still have it is for the caller to know.
    ///
    /// # Errors
    /// An application that is not there or another's; what cannot be listed; another run that took the fence; the cluster.
    pub async fn depart(
        &self,
        order: Order<'_>,
        tell: &mut (dyn FnMut(&ObjectId, &Fate) + Send),
    ) -> Result<Departed, Undeleted> {
        let mut departing = Departing::begin(self, order, tell).await?;
        let members = departing.members().await?;
        let Removal { stages, released, held } = plan::removal(&departing.manager, members, order.how);
        held.into_iter().for_each(|(live, why)| departing.keep(live, Fate::Held(why)));
        let mut stages = stages.into_iter();
        while let Some(stage) = stages.next() {
            let later = stages.as_slice().iter().flatten();
            let there = stage.iter().chain(later).chain(released.iter().map(|(live, _)| live));
            departing.hold_fence(there).await?;
            if !departing.delete(stage).await? {
                break;
            }
        }
        let rest: Vec<Live> = stages.flatten().collect();
        if departing.left.is_empty() && rest.is_empty() {
            return departing.finish(released).await;
        }
        let there = rest.iter().chain(released.iter().map(|(live, _)| live));
        departing.hold_fence(there).await?;
        for (live, why) in released {
            departing.tell(&live.id, &Fate::Kept(why.unwrap_or_default()));
        }
        Ok(Departed { done: false, untouched: rest.len() })
    }

    /// Returns the applications that this installation left behind in each cluster that is reached from here: those whose
    /// parents are there, and that the settings no longer have.
    pub async fn left_behind(
        &self,
        applications: &[Application],
    ) -> Vec<(Name, Result<Vec<Behind>, crate::cluster::Error>)> {
        let declared: BTreeSet<Target> = applications.iter().flat_map(Application::targets).collect();
        let looks = self.hands.clusters.iter().map(|(name, cluster)| {
            let declared = &declared;
            async move {
                let parents = cluster.parents().await;
                let behind = |parent: &applyset::Parent| {
                    let target = applyset::left_behind(parent, &self.hands.installation, name, declared)?;
                    let (members, commit) = (parent.fence.members, parent.fence.commit.clone());
                    Some(Behind { target, members, commit })
                };
                (name.clone(), parents.map(|parents| parents.iter().filter_map(behind).collect()))
            }
        });
        futures::future::join_all(looks).await
    }
}

/// Says which applications there are.
fn there(known: &[Name]) -> String {
    if known.is_empty() {
        return "no application has one there".to_owned();
    }
    let names: Vec<&str> = known.iter().map(Name::as_str).collect();
    format!("these have one there: {}", names.join(", "))
}
