//! From a reference to commits in the cache.

use std::collections::BTreeMap;

use git2::RemoteConnection;
use git2::Repository;

use crate::commit::CommitId;
use crate::commit::RefName;
use crate::reference::Reference;
use crate::source::Resolved;
use crate::source::Shared;
use crate::source::cache::id_of;
use crate::source::error::Error;
use crate::source::http::Call;
use crate::source::stop::Stop;
use crate::source::wire::Fetched;
use crate::source::wire::Wire;

/// How many commits of a commit's history are fetched with it, itself included?
const ALONE: i32 = 1;

/// Resolves a reference and fetches what is missing. A cache that turns out broken is taken away and cloned anew, once.
pub(super) fn resolve(
    shared: &Shared,
    reference: &Reference,
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

/// Does work with the cache, and once more with a new one where it turns out broken.
pub(super) fn with_a_whole_cache<T>(
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
            tracing::warn!(source = %shared.settings.name, why, "the cache is of no use and is cloned anew");
            cache.renew(age, stop)?;
            work()
        }
        other => other,
    }
}

fn attempt(
    shared: &Shared,
    reference: &Reference,
    also: &[CommitId],
    stop: &Stop,
) -> Result<Resolved, Error> {
    let age = shared.cache.age();
    let repository = shared.cache.open(stop)?;
    if let Reference::Commit(fixed) = reference {
        let asked: Vec<&CommitId> = also.iter().chain([fixed]).collect();
        if shared.cache.has(&repository, fixed)? && shared.missing(&repository, &asked)?.is_empty() {
            let found = shared.outcome(&repository, Some(fixed), also)?;
            return Ok(Resolved { tip: Some(fixed.clone()), name: None, found });
        }
    }
    let wire = shared.wire(stop);
    let mut remote = wire.remote(&repository)?;
    let mut line = wire.dial(&mut remote)?;
    by_one_digest(shared, &wire, &line, &repository)?;
    let (name, tip) = stand(&wire, &line, reference)?;
    let asked: Vec<&CommitId> = tip.iter().chain(also).collect();
    if !shared.missing(&repository, &asked)?.is_empty() {
        let writing = shared.cache.write(stop)?;
        if shared.cache.age() != age {
            return Err(shared.cache.outdated("it was cloned anew meanwhile"));
        }
        // Another fetch may have brought them while this one waited.
        let wanted = shared.missing(&repository, &asked)?;
        if !wanted.is_empty() {
            if wire.fetch(line.remote(), &wanted, ALONE)? == Fetched::Withheld && wanted.len() > 1 {
                one_by_one(&wire, &repository, &wanted)?;
            }
            shared.cache.tidy(&repository, &asked, &writing)?;
        }
    }
    let fixed = matches!(reference, Reference::Commit(_));
    let tip = tip.filter(|tip| !fixed || came(&repository, tip));
    let found = shared.outcome(&repository, tip.as_ref(), also)?;
    Ok(Resolved { tip, name, found })
}

/// Lets the cache be made anew where it names objects otherwise than the server. The first fetch of a source finds that
/// out, and the first of a repository that was itself made anew.
fn by_one_digest(
    shared: &Shared,
    wire: &Wire<'_>,
    line: &RemoteConnection<'_, '_, '_>,
    repository: &Repository,
) -> Result<(), Error> {
    let Some(format) = wire.format(line)? else { return Ok(()) };
    if format == repository.object_format() {
        return Ok(());
    }
    shared.cache.names_by(format);
    Err(shared.cache.outdated(&format!("the source names its objects by {format}")))
}

/// Returns where a reference leads by the list that a connection gave, and the ref that says so. A fixed commit leads
/// to itself; whether it is there shows when it is fetched.
fn stand(
    wire: &Wire<'_>,
    line: &RemoteConnection<'_, '_, '_>,
    reference: &Reference,
) -> Result<(Option<RefName>, Option<CommitId>), Error> {
    match reference {
        Reference::Name(name) => {
            let tip = wire.tip(line, name)?;
            Ok((tip.is_some().then(|| name.clone()), tip))
        }
        Reference::Tags(range) => {
            let tips = wire.tips(line)?;
            let highest = range.highest(tips.keys()).and_then(|name| tips.get_key_value(name));
            Ok(highest.map(|(name, tip)| (name.clone(), tip.clone())).unzip())
        }
        Reference::Commit(fixed) => Ok((None, Some(fixed.clone()))),
    }
}

/// Fetches commits over a connection each, since a server that lacks one of them sends none. What it withholds stays
/// out of the cache.
fn one_by_one(wire: &Wire<'_>, repository: &Repository, wanted: &[&CommitId]) -> Result<(), Error> {
    for commit in wanted {
        let mut remote = wire.remote(repository)?;
        let mut line = wire.dial(&mut remote)?;
        let _withheld_or_all = wire.fetch(line.remote(), &[commit], ALONE)?;
    }
    Ok(())
}

impl Shared {
    pub(super) fn wire<'a>(&'a self, stop: &'a Stop) -> Wire<'a> {
        let call = Call::new(self, stop);
        Wire { settings: &self.settings, stop, call }
    }

    /// Returns those of some commits that the cache lacks and could have, each once.
    fn missing<'a>(
        &self,
        repository: &Repository,
        asked: &[&'a CommitId],
    ) -> Result<Vec<&'a CommitId>, Error> {
        let mut missing = Vec::new();
        for commit in asked {
            // What has no id here is not there either, and asking for it would be asking for a ref of that name.
            let known = id_of(repository, commit).is_some();
            if known && !missing.contains(commit) && !self.cache.has(repository, commit)? {
                missing.push(*commit);
            }
        }
        Ok(missing)
    }

    /// Returns those of the other commits that are in the cache now. The tip must be there too, where there is one.
    fn outcome(
        &self,
        repository: &Repository,
        tip: Option<&CommitId>,
        also: &[CommitId],
    ) -> Result<Vec<CommitId>, Error> {
        if let Some(tip) = tip
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
        Ok(found)
    }

    /// Tells a tip that is no commit, which came, from one that did not come.
    fn no_tip(&self, repository: &Repository, tip: &CommitId) -> Error {
        let source_name = self.settings.name.clone();
        if came(repository, tip) {
            Error::NotACommit { source_name, id: tip.clone() }
        } else {
            Error::Withheld { source_name, commit: tip.clone() }
        }
    }
}

/// Returns whether something of this id came, commit or not.
fn came(repository: &Repository, id: &CommitId) -> bool {
    id_of(repository, id).is_some_and(|id| repository.odb().is_ok_and(|store| store.exists(id)))
}
