//! From a ref to commits in the cache.

use std::collections::BTreeMap;

use git2::Repository;

use crate::commit::CommitId;
use crate::commit::RefName;
use crate::source::Resolved;
use crate::source::Shared;
use crate::source::error::Error;
use crate::source::http::Call;
use crate::source::stop::Stop;
use crate::source::wire::Fetched;
use crate::source::wire::Wire;

/// Resolves a ref and fetches what is missing. A cache that turns out broken is taken away and cloned anew, once.
pub(super) fn resolve(
    shared: &Shared,
    reference: &RefName,
    also: &[CommitId],
    stop: &Stop,
) -> Result<Resolved, Error> {
    with_a_whole_cache(shared, stop, || attempt(shared, reference, also, stop))
}

/// Lists every ref.
pub(super) fn tips(shared: &Shared, stop: &Stop) -> Result<BTreeMap<RefName, CommitId>, Error> {
    with_a_whole_cache(shared, stop, || {
        let repository = shared.cache.open(stop)?;
        let wire = shared.wire(stop);
        let mut remote = wire.remote(&repository)?;
        let line = wire.dial(&mut remote)?;
        wire.tips(&line)
    })
}

fn with_a_whole_cache<T>(
    shared: &Shared,
    stop: &Stop,
    work: impl Fn() -> Result<T, Error>,
) -> Result<T, Error> {
    let cache = &shared.cache;
    let age = cache.age();
    if cache.is_spent() {
        tracing::info!(source = %shared.settings.name, "the cache is broken or too large and is cloned anew");
        cache.renew(age, stop)?;
    }
    let age = cache.age();
    match work() {
        Err(Error::Cache { why, .. }) => {
            tracing::warn!(source = %shared.settings.name, why, "the cache is broken and is cloned anew");
            cache.renew(age, stop)?;
            work()
        }
        other => other,
    }
}

fn attempt(shared: &Shared, reference: &RefName, also: &[CommitId], stop: &Stop) -> Result<Resolved, Error> {
    let age = shared.cache.age();
    let repository = shared.cache.open(stop)?;
    let wire = shared.wire(stop);
    let mut remote = wire.remote(&repository)?;
    let mut line = wire.dial(&mut remote)?;
    let tip = wire.tip(&line, reference)?;
    let asked: Vec<&CommitId> = tip.iter().chain(also).collect();
    if !shared.missing(&repository, &asked)?.is_empty() {
        let writing = shared.cache.write(stop)?;
        if shared.cache.age() != age {
            return Err(Error::Cache {
                source_name: shared.settings.name.clone(),
                why: "it was cloned anew meanwhile".to_owned(),
            });
        }
        // Another fetch may have brought them while this one waited.
        let wanted = shared.missing(&repository, &asked)?;
        if !wanted.is_empty() {
            if wire.fetch(line.remote(), &wanted)? == Fetched::Withheld && wanted.len() > 1 {
                one_by_one(&wire, &repository, &wanted)?;
            }
            shared.cache.tidy(&repository, &asked, &writing)?;
        }
    }
    shared.outcome(&repository, tip, also)
}

/// Fetches commits over a connection each, since a server that lacks one of them sends none. What it withholds stays
/// out of the cache.
fn one_by_one(wire: &Wire<'_>, repository: &Repository, wanted: &[&CommitId]) -> Result<(), Error> {
    for commit in wanted {
        let mut remote = wire.remote(repository)?;
        let mut line = wire.dial(&mut remote)?;
        let _withheld_or_all = wire.fetch(line.remote(), &[commit])?;
    }
    Ok(())
}

impl Shared {
    fn wire<'a>(&'a self, stop: &'a Stop) -> Wire<'a> {
        let call = Call::new(self, stop);
        Wire { settings: &self.settings, stop, call }
    }

    /// Returns those of some commits that the cache does not have, each once.
    fn missing<'a>(
        &self,
        repository: &Repository,
        asked: &[&'a CommitId],
    ) -> Result<Vec<&'a CommitId>, Error> {
        let mut missing = Vec::new();
        for commit in asked {
            if !missing.contains(commit) && !self.cache.has(repository, commit)? {
                missing.push(*commit);
            }
        }
        Ok(missing)
    }

    fn outcome(
        &self,
        repository: &Repository,
        tip: Option<CommitId>,
        also: &[CommitId],
    ) -> Result<Resolved, Error> {
        if let Some(tip) = &tip
            && !self.cache.has(repository, tip)?
        {
            return Err(self.no_tip(repository, tip));
        }
        let mut found = Vec::new();
        for commit in also {
            if self.cache.has(repository, commit)? {
                found.push(commit.clone());
            }
        }
        Ok(Resolved { tip, found })
    }

    /// Tells a tip that is no commit, which came, from one that did not come.
    fn no_tip(&self, repository: &Repository, tip: &CommitId) -> Error {
        let source_name = self.settings.name.clone();
        let came =
            git2::Oid::from_str(tip.as_str()).is_ok_and(|id| repository.odb().is_ok_and(|o| o.exists(id)));
        if came {
            Error::NotACommit { source_name, id: tip.clone() }
        } else {
            Error::Withheld { source_name, commit: tip.clone() }
        }
    }
}
