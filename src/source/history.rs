//! The commits between two others: what is read of a repository's history, and no more of it than that.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::HashMap;
use std::collections::HashSet;

use git2::Commit;
use git2::ErrorCode;
use git2::Oid;
use git2::Repository;

use crate::commit::CommitId;
use crate::commit::Inputs;
use crate::source::Shared;
use crate::source::cache::id_of;
use crate::source::error::Error;
use crate::source::resolve::with_a_whole_cache;
use crate::source::stop::Stop;
use crate::source::tree::MESSAGE_BYTES;
use crate::source::tree::Snapshot;

/// How many commits of history are fetched where those of the cache do not tell, at first and then?
const DEPTHS: [i32; 2] = [64, 1_000];
/// How many commits are looked at on the way to one?
const COMMITS: usize = 1_000;
/// How many commits are returned?
const FOUND: usize = 4;
/// How many parents of a commit are returned?
const PARENTS: usize = 2;

/// A commit that leads to another one, and what stands around it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OnTheWay {
    /// The commit.
    pub commit: CommitId,
    /// Those that it names as its parents, at most two.
    pub parents: Vec<CommitId>,
    /// Those that come after it and before the other one: one for each content of the path that is neither its own nor
    /// the other one's.
    pub later: Vec<CommitId>,
}

/// What is known of the commits between two others.
#[derive(Debug, Default)]
struct Between {
    /// Those that were looked for.
    found: Vec<OnTheWay>,
    /// Is there nothing else that could be among them?
    whole: bool,
}

/// A commit on the way to another one; the newest comes first.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Step {
    seconds: i64,
    id: Oid,
}

/// What is looked for.
pub(super) struct Question<'a> {
    /// Where the way ends, and from where it leads there.
    pub(super) tip: &'a CommitId,
    pub(super) since: &'a CommitId,
    /// The path whose contents tell commits apart.
    pub(super) path: &'a str,
    /// Is this the message of a commit that is looked for?
    pub(super) says: &'a dyn Fn(&str) -> bool,
}

/// Returns those commits that lead to the tip and not to `since`, where that leads to the tip itself, and whose message is
/// one that is looked for, the newest first, with as much history as it takes to be certain. Of those that may as well
/// lead to `since`, and where something else may lead to the tip, it returns none.
pub(super) fn since(shared: &Shared, asked: &Question<'_>, stop: &Stop) -> Result<Vec<OnTheWay>, Error> {
    with_a_whole_cache(shared, stop, || {
        let age = shared.cache.age();
        let repository = shared.cache.open(stop)?;
        let mut known = between(shared, &repository, asked)?;
        for depth in DEPTHS {
            if known.whole {
                break;
            }
            deepen(shared, (&repository, age), (asked.tip, depth), stop)?;
            known = between(shared, &repository, asked)?;
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
fn between(shared: &Shared, repository: &Repository, asked: &Question<'_>) -> Result<Between, Error> {
    let none = |whole| Ok(Between { found: Vec::new(), whole });
    let (Some(tip), Some(since)) = (id_of(repository, asked.tip), id_of(repository, asked.since)) else {
        return none(true);
    };
    let mut before = Walk::default();
    before.go(shared, repository, since, &HashSet::new(), &mut |_, _| ())?;
    let mut candidates = Vec::new();
    let mut way = Walk::default();
    way.go(shared, repository, tip, &before.seen, &mut |step, message| {
        if (asked.says)(message) {
            candidates.push((step.seconds, step.id));
        }
    })?;
    // Where a part of the way is unknown, so is what came after a commit; and one that does not begin at `since` is that
    // of another history.
    if way.cut.is_some() || !way.children.contains_key(&since) {
        return none(way.cut.is_none());
    }
    // Whatever is older than the end of what is known of the other commit's past may be part of that past.
    let is_certain = |(seconds, _): &(i64, Oid)| before.cut.is_none_or(|cut| *seconds > cut);
    let whole = candidates.iter().all(is_certain);
    let mut contents = Contents { shared, repository, path: asked.path, known: HashMap::new() };
    let certain = candidates.iter().filter(|one| is_certain(one)).take(FOUND);
    let found = certain.map(|(_, id)| contents.around(&way, *id, tip)).collect::<Result<_, _>>()?;
    Ok(Between { found, whole })
}

/// What stands at a path of commits.
struct Contents<'a> {
    shared: &'a Shared,
    repository: &'a Repository,
    path: &'a str,
    known: HashMap<Oid, Inputs>,
}

impl Contents<'_> {
    /// Returns a commit with what stands around it on the way to the tip.
    fn around(&mut self, way: &Walk, id: Oid, tip: Oid) -> Result<OnTheWay, Error> {
        let commit = self.repository.find_commit(id).map_err(|e| self.shared.cache.broken(&e))?;
        let mut seen = HashSet::from([self.of(id)?, self.of(tip)?]);
        let mut later = Vec::new();
        for after in way.after(id) {
            if seen.insert(self.of(after)?) {
                later.extend(named(after));
            }
        }
        let parents = parents(self.repository, &commit).into_iter().take(PARENTS).filter_map(named).collect();
        later.sort_unstable();
        let commit = named(id).ok_or_else(|| self.shared.cache.outdated("a commit has no name"))?;
        Ok(OnTheWay { commit, parents, later })
    }

    /// Returns what stands at the path of one.
    fn of(&mut self, id: Oid) -> Result<Inputs, Error> {
        if let Some(known) = self.known.get(&id) {
            return Ok(known.clone());
        }
        let Some(commit) = named(id) else { return Ok(Inputs::absent()) };
        let snapshot = Snapshot::of(self.repository, &self.shared.cache, &commit)?;
        let gone = || self.shared.cache.outdated("a commit of its history is gone");
        let inputs = snapshot.ok_or_else(gone)?.inputs(self.path)?;
        self.known.insert(id, inputs.clone());
        Ok(inputs)
    }
}

/// A way back through history, as far as the cache has it.
#[derive(Debug, Default)]
struct Walk {
    seen: HashSet<Oid>,
    /// The time of the newest commit of which a parent is not there.
    cut: Option<i64>,
    /// Those that name each one as a parent.
    children: HashMap<Oid, Vec<Oid>>,
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
            for parent in parents(repository, &commit) {
                self.children.entry(parent).or_default().push(id);
                if known.contains(&parent) {
                    continue;
                }
                let time = repository.find_commit(parent).map_or(i64::MIN, |commit| commit.time().seconds());
                ahead.push((Step { seconds: time, id: parent }, Reverse(seconds)));
            }
        }
        Ok(())
    }

    /// Returns those from which the way back leads to one.
    fn after(&self, id: Oid) -> HashSet<Oid> {
        let (mut after, mut ahead) = (HashSet::new(), vec![id]);
        while let Some(one) = ahead.pop() {
            let children = self.children.get(&one).into_iter().flatten();
            ahead.extend(children.filter(|child| after.insert(**child)));
        }
        after
    }
}

fn named(id: Oid) -> Option<CommitId> {
    CommitId::parse(&id.to_string()).ok()
}

/// Returns the parents that a commit itself names. Those that libgit2 tells of end where a fetch has ended.
fn parents(repository: &Repository, commit: &Commit<'_>) -> Vec<Oid> {
    let header = commit.raw_header_bytes().split(|byte| *byte == b'\n');
    let named = header.filter_map(|line| std::str::from_utf8(line).ok()?.strip_prefix("parent "));
    named.filter_map(|name| id_of(repository, &CommitId::parse(name).ok()?)).collect()
}
