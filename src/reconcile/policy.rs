//! Whose commits are made true: what no listed key signed is written for no reason, not even against drift.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::PoisonError;
use std::sync::RwLock;

use crate::application::Name;
use crate::fault::Fault;
use crate::outcome::Problem;
use crate::signer::Signers;

use super::Begun;
use super::Error;
use super::Reconciler;

/// The keys that must have signed the commits of each source; nothing for one whose commits need not be signed.
pub type Required = BTreeMap<Name, Option<Arc<Signers>>>;

/// Whose commits are made true, by source. Clones share it, so that it changes for all at once.
#[derive(Clone, Debug, Default)]
pub struct Policy(Arc<RwLock<Required>>);

impl Policy {
    /// Takes what is required of each source.
    #[must_use]
    pub fn new(required: Required) -> Self {
        Self(Arc::new(RwLock::new(required)))
    }

    /// Takes what is required from now on. A source that is not named keeps what was required: it left the settings,
    /// and until this process ends, its commits are still applied.
    pub fn renew(&self, required: Required) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).extend(required);
    }

    fn of(&self, source: &Name) -> Option<Arc<Signers>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(source).cloned().flatten()
    }
}

impl Reconciler {
    /// Holds the commit that is to be made true against the policy of its source. The problem is why it is refused.
    ///
    /// A pass after drift is held against it too. The parent object names the commit that it applies, and whoever may
    /// write there shall not have anything applied that nobody signed; and a key that was taken out of the list shall
    /// count for nothing from then on. A key that only ended does not stand in its way, since its end is compared with
    /// the time that the commit is of.
    #[tracing::instrument(name = "verify", skip_all)]
    pub(super) async fn refusal(&self, begun: &Begun) -> Result<Option<Problem>, Error> {
        let source = &begun.job.application.source;
        let Some(signers) = self.hands.policy.of(source) else { return Ok(None) };
        let object = match self.source(source)?.object(&begun.tip).await {
            Ok(object) => object,
            Err(error) if error.fault() == Fault::Theirs => return Ok(Some(Error::from(error).problem())),
            Err(error) => return Err(error.into()),
        };
        match signers.judge(&begun.tip, &object) {
            Ok(key) => {
                tracing::info!(run.id = begun.run, target.name = %begun.job.target, commit.id = %begun.tip, key,
                    "the commit is signed");
                Ok(None)
            }
            Err(refusal) => {
                let (commit, source_name) = (begun.tip.clone(), source.clone());
                Ok(Some(Error::Signature { commit, source_name, refusal }.problem()))
            }
        }
    }
}
