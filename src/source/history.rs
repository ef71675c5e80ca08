//! The commits between two others: what is read of a repository's history, and no more of it than that.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::HashSet;

use git2::Commit;
use git2::ErrorCode;
use git2::Oid;
use git2::Repository;

use crate::commit::CommitId;
use crate::source::Shared;
use crate::source::cache::id_of;
use crate::source::error::Error;
use crate::source::resolve::with_a_whole_cache;
use crate::source::stop::Stop;
use crate::source::tree::MESSAGE_BYTES;

/// How many commits of history are fetched where those of the cache do not tell, at first and then?
const DEPTHS: [i32; 2] = [64, 1_000];
/// How many commits are looked at on the way to one?
const COMMITS: usize = 1_000;
/// How many commits are returned?
const FOUND: usize = 4;

/// What is known of the commits between two others.
#[derive(Debug, Default)]
struct Between {
    /// Those that were looked for.
    found: Vec<CommitId>,
    /// Is there nothing else that could be among them?
    whole: bool,
}

/// A commit on the way to another one; the newest comes first.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Step {
    seconds: i64,
    id: Oid,
}

/// Returns those commits that lead to `tip` and not to `since` and whose message is one that is looked for, the newest
/// first, with as much history as it takes to be certain. Of those that may as well lead to `since` it returns none.
pub(super) fn since(
    shared: &Shared,
    (tip, since): (&CommitId, &CommitId),
    looked_for: &dyn Fn(&str) -> bool,
    stop: &Stop,
) -> Result<Vec<CommitId>, Error> {
    with_a_whole_cache(shared, stop, || {
        let age = shared.cache.age();
        let repository = shared.cache.open(stop)?;
        let mut known = between(shared, &repository, (tip, since), looked_for)?;
        for depth in DEPTHS {
            if known.whole {
                break;
            }
            deepen(shared, (&repository, age), (tip, depth), stop)?;
            known = between(shared, &repository, (tip, since), looked_for)?;
        }
        Ok(known.found)
    })
}

/// Fetches so many commits of the history of one.
fn deepen(
    shared: &Shared,
    (repository, age): (&Repository, u64),
    (tip, depth): (&CommitId, i32),
    stop: &Stop,
) -> Result<(), Error> {
    let wire = shared.wire(stop);
    let mut remote = wire.remote(repository)?;
    let mut line = wire.dial(&mut remote)?;
    let writing = shared.cache.write(stop)?;
    if shared.cache.age() != age {
        return Err(shared.cache.outdated("it was cloned anew meanwhile"));
    }
    let _withheld_or_all = wire.fetch(line.remote(), &[tip], depth)?;
    shared.cache.tidy(repository, &[tip], &writing)
}

/// Finds out what the cache knows.
fn between(
    shared: &Shared,
    repository: &Repository,
    (tip, since): (&CommitId, &CommitId),
    looked_for: &dyn Fn(&str) -> bool,
) -> Result<Between, Error> {
    let (Some(tip), Some(since)) = (id_of(repository, tip), id_of(repository, since)) else {
        return Ok(Between { found: Vec::new(), whole: true });
    };
    let mut before = Walk::default();
    before.go(shared, repository, since, &HashSet::new(), &mut |_, _| ())?;
    let mut candidates = Vec::new();
    let mut on_the_way = Walk::default();
    on_the_way.go(shared, repository, tip, &before.seen, &mut |step, message| {
        if looked_for(message) {
            candidates.push((step.seconds, step.id));
        }
    })?;
    // Whatever is older than the end of what is known of the other commit's past may be part of that past.
    let is_certain = |(seconds, _): &(i64, Oid)| before.cut.is_none_or(|cut| *seconds > cut);
    let whole = on_the_way.cut.is_none() && candidates.iter().all(is_certain);
    let certain = candidates.iter().filter(|one| is_certain(one)).take(FOUND);
    let found = certain.filter_map(|(_, id)| CommitId::parse(&id.to_string()).ok()).collect();
    Ok(Between { found, whole })
}

/// A way back through history, as far as the cache has it.
#[derive(Debug, Default)]
struct Walk {
    seen: HashSet<Oid>,
    /// The time of the newest commit of which a parent is not there.
    cut: Option<i64>,
}

impl Walk {
    /// Goes back from a commit, the newest first, and not on from those that are known.
    fn go(
        &mut self,
        shared: &Shared,
        repository: &Repository,
        from: Oid,
        known: &HashSet<Oid>,
        found: &mut dyn FnMut(&Step, &str),
    ) -> Result<(), Error> {
        let mut ahead: BinaryHeap<(Step, Reverse<i64>)> = BinaryHeap::new();
        if !known.contains(&from) {
            ahead.push((Step { seconds: i64::MAX, id: from }, Reverse(i64::MAX)));
        }
        while let Some((Step { id, .. }, Reverse(child))) = ahead.pop() {
            if !self.seen.insert(id) {
                continue;
            }
            let commit = match repository.find_commit(id) {
                Ok(commit) if self.seen.len() <= COMMITS => commit,
                Err(e) if e.code() != ErrorCode::NotFound => return Err(shared.cache.broken(&e)),
                Ok(_) | Err(_) => {
                    self.seen.remove(&id);
                    self.cut = self.cut.max(Some(child));
                    continue;
                }
            };
            let seconds = commit.time().seconds();
            let bytes = commit.message_bytes();
            let message = String::from_utf8_lossy(bytes.get(..MESSAGE_BYTES).unwrap_or(bytes));
            found(&Step { seconds, id }, &message);
            let behind = parents(repository, &commit).into_iter();
            for parent in behind.filter(|parent| !known.contains(parent)) {
                let time = repository.find_commit(parent).map_or(i64::MIN, |commit| commit.time().seconds());
                ahead.push((Step { seconds: time, id: parent }, Reverse(seconds)));
            }
        }
        Ok(())
    }
}

/// Returns the parents that a commit itself names. Those that libgit2 tells of end where a fetch has ended.
fn parents(repository: &Repository, commit: &Commit<'_>) -> Vec<Oid> {
    let header = commit.raw_header_bytes().split(|byte| *byte == b'\n');
    let named = header.filter_map(|line| std::str::from_utf8(line).ok()?.strip_prefix("parent "));
    named.filter_map(|name| id_of(repository, &CommitId::parse(name).ok()?)).collect()
}
