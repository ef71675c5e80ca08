//! Consent to a prune: what a commit, or a person for one commit, allows to delete that the guard would keep.

use std::collections::BTreeSet;

use crate::applyset::Reads;
use crate::commit::CommitId;
use crate::fault::Fault;
use crate::fault::chain;
use crate::guard;
use crate::object::Live;
use crate::object::ObjectId;
use crate::reference::Reference;
use crate::source;

use super::Begun;
use super::Error;
use super::Reconciler;

/// How many parents of a commit are looked at?
const PARENTS: usize = 2;

/// To which of the objects that leave the commit is consented?
#[derive(Debug)]
enum Consent {
    /// To all.
    Whole,
    /// To those that commits left out which consent and are not applied yet.
    By(BTreeSet<ObjectId>),
}

impl Consent {
    fn covers(&self, id: &ObjectId) -> bool {
        match self {
            Self::Whole => true,
            Self::By(left_out) => left_out.contains(id),
        }
    }
}

impl Reconciler {
    /// Judges which of the objects that left the commit may be deleted.
    ///
    /// # Errors
    /// The source, where the next try may find it otherwise.
    pub(super) async fn judge(
        &self,
        begun: &Begun,
        leaving: Vec<Live>,
        members: usize,
        wanted: usize,
    ) -> Result<guard::Judged, Error> {
        if !begun.job.application.prune {
            let why = "the application does not prune".to_owned();
            let kept = leaving.into_iter().map(|live| (live, why.clone())).collect();
            return Ok(guard::Judged { prune: Vec::new(), kept });
        }
        if leaving.is_empty() {
            return Ok(guard::Judged::default());
        }
        let limits = self.hands.guard;
        let without = |_: &ObjectId| false;
        if wanted == 0 || guard::is_free(&leaving, members, limits) {
            return Ok(guard::judge(leaving, members, wanted, limits, without));
        }
        let consent = self.consent(begun).await?;
        Ok(guard::judge(leaving, members, wanted, limits, |id| consent.covers(id)))
    }

    /// Finds out to what is consented: by a person, by the tip, or by a commit on the way to it.
    async fn consent(&self, begun: &Begun) -> Result<Consent, Error> {
        let job = &begun.job;
        if job.prunes.as_ref() == Some(&begun.tip) {
            return Ok(Consent::Whole);
        }
        // A commit that is made true again said so of what left it then.
        if job.back.is_some() {
            return Ok(Consent::By(BTreeSet::new()));
        }
        let application = job.target.application.clone();
        let repository = self.source(&job.application.source)?;
        if guard::consents(&repository.message(&begun.tip).await?, application.as_str()) {
            return Ok(Consent::Whole);
        }
        let Some(since) = begun.parent.fence.made_true().filter(|since| **since != begun.tip) else {
            return Ok(Consent::By(BTreeSet::new()));
        };
        let says_so = move |message: &str| guard::consents(message, application.as_str());
        let on_the_way = match repository.since(&begun.tip, since, says_so).await {
            Ok(commits) => commits,
            // A history that takes too long to fetch will do so the next time, too.
            Err(error) if error.fault() == Fault::Passing && !matches!(error, source::Error::Late { .. }) => {
                return Err(error.into());
            }
            Err(error) => {
                tracing::warn!(target.name = %job.target, "commits on the way to the tip consent to nothing: failed to {}", chain(&error));
                Vec::new()
            }
        };
        let mut left_out = BTreeSet::new();
        for commit in on_the_way {
            left_out.extend(self.left_out_by(begun, &commit).await?);
        }
        Ok(Consent::By(left_out))
    }

    /// Returns what a commit declares no longer that a parent of it did: what it merely never had is none of its business.
    async fn left_out_by(&self, begun: &Begun, commit: &CommitId) -> Result<BTreeSet<ObjectId>, Error> {
        let mut left_out = BTreeSet::new();
        let Some(declared) = self.declared_then(begun, commit).await? else { return Ok(left_out) };
        let object = self.source(&begun.job.application.source)?.object(commit).await?;
        for parent in parents(&object) {
            left_out.extend(self.declared_then(begun, &parent).await?.unwrap_or_default());
        }
        Ok(&left_out - &declared)
    }

    /// Returns what the application declared at a commit; `None` where that cannot be read, or is no object at all: nobody
    /// consents to the loss of everything.
    async fn declared_then(
        &self,
        begun: &Begun,
        commit: &CommitId,
    ) -> Result<Option<BTreeSet<ObjectId>>, Error> {
        let job = &begun.job;
        let repository = self.source(&job.application.source)?;
        match repository.resolve(&Reference::Commit(commit.clone()), &[]).await {
            Ok(resolved) if resolved.tip.is_some() => {}
            Ok(_) | Err(source::Error::Withheld { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        let reads = Reads::of(&job.application, &job.target.cluster);
        Ok(self.ids_at(begun, commit, &reads).await?.filter(|declared| !declared.is_empty()))
    }
}

/// Returns the parents that a commit names, as Git stores it.
fn parents(object: &[u8]) -> Vec<CommitId> {
    let header = object.split(|byte| *byte == b'\n').take_while(|line| !line.is_empty());
    let named = header.filter_map(|line| std::str::from_utf8(line).ok()?.strip_prefix("parent "));
    named.filter_map(|name| CommitId::parse(name).ok()).take(PARENTS).collect()
}
