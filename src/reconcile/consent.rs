//! Consent to a prune: what a commit, or a person for one commit, allows to delete that the guard would keep.

use std::collections::BTreeSet;

use crate::applyset::Reads;
use crate::commit::CommitId;
use crate::fault::Fault;
use crate::fault::chain;
use crate::guard;
use crate::object::Live;
use crate::object::ObjectId;
use crate::source;
use crate::source::OnTheWay;

use super::Begun;
use super::Error;
use super::Reconciler;

/// How many contents that came after a consenting commit are read? Beyond, it consents to nothing.
const LATER: usize = 16;

/// To which of the objects that leave the commit is consented?
#[derive(Debug)]
enum Consent {
    /// To all.
    Whole,
    /// To those that commits left out for good which consent and are not applied yet.
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
        known: guard::Known<'_>,
    ) -> Result<guard::Judged, Error> {
        if !begun.job.application.prune {
            let why = "the application does not prune".to_owned();
            let kept = leaving.into_iter().map(|live| (live, why.clone())).collect();
            return Ok(guard::Judged { kept, ..guard::Judged::default() });
        }
        if leaving.is_empty() {
            return Ok(guard::Judged::default());
        }
        let limits = &self.hands.guard;
        let without = |_: &ObjectId| false;
        if known.wanted == 0 || guard::is_free(&leaving, known, limits) {
            return Ok(guard::judge(leaving, known, limits, without));
        }
        let consent = self.consent(begun).await?;
        Ok(guard::judge(leaving, known, limits, |id| consent.covers(id)))
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
        let message = self.source(&job.application.source)?.message(&begun.tip).await?;
        if guard::consents(&message, job.target.application.as_str()) {
            return Ok(Consent::Whole);
        }
        let Some(since) = begun.parent.fence.made_true().filter(|since| **since != begun.tip) else {
            return Ok(Consent::By(BTreeSet::new()));
        };
        match self.left_out(begun, since).await {
            Ok(left_out) => Ok(Consent::By(left_out)),
            // A history that takes too long to fetch will do so the next time, too.
            Err(error)
                if error.fault() == Fault::Passing
                    && !matches!(error, Error::Source(source::Error::Late { .. })) =>
            {
                Err(error)
            }
            Err(error) => {
                tracing::warn!(target.name = %job.target, "commits on the way to the tip consent to nothing: failed to {}", chain(&error));
                Ok(Consent::By(BTreeSet::new()))
            }
        }
    }

    /// Returns what was left out on the way from a commit to the tip with consent, and never brought back.
    async fn left_out(&self, begun: &Begun, since: &CommitId) -> Result<BTreeSet<ObjectId>, Error> {
        let job = &begun.job;
        let (application, reads) =
            (job.target.application.clone(), Reads::of(&job.application, &job.target.cluster));
        let says_so = move |message: &str| guard::consents(message, application.as_str());
        let repository = self.source(&job.application.source)?;
        let mut left_out = BTreeSet::new();
        for passed in repository.since(&begun.tip, since, &reads.path, says_so).await? {
            left_out.extend(self.left_out_by(begun, &passed, &reads).await?.unwrap_or_default());
        }
        Ok(left_out)
    }

    /// Returns what a commit declares no longer that a parent of it did, and none after it does: what it merely never had
    /// is none of its business, and what somebody brought back leaves again without it. `None` where one of them cannot be
    /// read, they are too many, or the commit declares no object at all: nobody consents to the loss of everything.
    async fn left_out_by(
        &self,
        begun: &Begun,
        passed: &OnTheWay,
        reads: &Reads,
    ) -> Result<Option<BTreeSet<ObjectId>>, Error> {
        let declared = self.ids_at(begun, &passed.commit, reads).await?;
        let Some(declared) = declared.filter(|declared| !declared.is_empty()) else { return Ok(None) };
        let mut left_out = BTreeSet::new();
        for parent in &passed.parents {
            left_out.extend(self.ids_at(begun, parent, reads).await?.unwrap_or_default());
        }
        left_out = &left_out - &declared;
        if passed.later.len() > LATER {
            return Ok(None);
        }
        for later in &passed.later {
            let Some(declared) = self.ids_at(begun, later, reads).await? else { return Ok(None) };
            left_out = &left_out - &declared;
        }
        Ok(Some(left_out))
    }
}
