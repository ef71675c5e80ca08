//! How every test must leave its windlass: nothing left to do, nothing dead, nothing open, every commit answered.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use windlass::commit::CommitId;
use windlass::moment::Moment;
use windlass::outcome::Phase;
use windlass::store::Verdict;

use super::settling::lanes;
use super::windlass::World;
use super::windlass::source;

/// With how many targets is a commit told of as a whole only?
const TOLD_ONE_BY_ONE: usize = 20;

/// What a test expects of its ending besides.
#[derive(Default)]
pub struct Expected {
    dead: bool,
    healed: BTreeSet<CommitId>,
    repeated: bool,
    forgotten: bool,
}

impl World {
    /// Says that messages may have been buried.
    pub fn expect_dead(&mut self) {
        self.expected.dead = true;
    }

    /// Says that this commit failed at first and was made true later: it may have two verdicts.
    pub fn expect_healed(&mut self, commit: &CommitId) {
        self.expected.healed.insert(commit.clone());
    }

    /// Says that an answer of the forge was lost, so that it may have been told the same verdict twice.
    pub fn expect_repeated(&mut self) {
        self.expected.repeated = true;
    }

    /// Says that the data was lost, so that what came before has verdicts at the forge only.
    pub fn expect_forgotten(&mut self) {
        self.expected.forgotten = true;
        self.delivered.clear();
    }

    /// Returns what became of a commit, by target.
    pub async fn verdicts(&self, commit: &CommitId) -> Vec<Verdict> {
        self.store().verdicts(&source(), commit).await.unwrap()
    }

    /// Checks the ending.
    pub(super) async fn check_the_end(&self) {
        let mut wrong = Vec::new();
        for lane in lanes() {
            let (count, dead) = self.crew.depth(&lane).await;
            if count > 0 {
                wrong.push(format!("{count} messages are left in {lane}"));
            }
            if dead > 0 && !self.expected.dead {
                wrong.push(format!("{dead} messages are dead in {lane}"));
            }
        }
        for (_, target, commit) in self.store().overdue(Moment(i64::MAX), 100).await.unwrap() {
            wrong.push(format!("{} in {target} is still open", commit.short()));
        }
        if self.store().next_due().await.unwrap().is_some() {
            wrong.push("a status is still due".to_owned());
        }
        let delivered: BTreeSet<&CommitId> = self.delivered.iter().collect();
        for commit in delivered {
            wrong.extend(self.wrong_at_the_forge(commit).await);
        }
        assert!(wrong.is_empty(), "{wrong:#?}\n{}", self.dump().await);
    }

    /// Returns what is wrong with the statuses of a commit at the forge: each must have exactly one verdict, the one
    /// that windlass itself remembers.
    async fn wrong_at_the_forge(&self, commit: &CommitId) -> Vec<String> {
        let verdicts = self.verdicts(commit).await;
        let mut wanted: BTreeMap<String, Option<&str>> = BTreeMap::new();
        if !verdicts.is_empty() {
            wanted.insert("windlass".to_owned(), None);
        }
        if verdicts.len() <= TOLD_ONE_BY_ONE {
            let of = |verdict: &Verdict| {
                (format!("windlass/{}", verdict.target), Some(state_of(verdict.row.phase)))
            };
            wanted.extend(verdicts.iter().map(of));
        }
        let mut finals: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for status in self.repo.statuses(commit).await {
            let found = finals.entry(status.context.clone()).or_default();
            // What follows a final state counts too: nothing may.
            if status.is_final() || !found.is_empty() {
                found.push(status.state);
            }
        }
        let mut wrong = Vec::new();
        for (context, state) in &wanted {
            let mut found = finals.remove(context).unwrap_or_default();
            if self.expected.repeated {
                found.dedup();
            }
            let right = state.is_none_or(|state| found.last().is_some_and(|last| last == state));
            let one = found.len() == 1 || (found.len() > 1 && self.expected.healed.contains(commit));
            if !right || !one {
                let commit = commit.short();
                wrong.push(format!("{commit} has the verdicts {found:?} in {context}, not one {state:?}"));
            }
        }
        if !self.expected.forgotten {
            let strange: Vec<_> = finals.keys().collect();
            if !strange.is_empty() {
                wrong.push(format!("{} has the statuses {strange:?} of untouched targets", commit.short()));
            }
        }
        wrong
    }
}

/// Returns the word by which Gitea knows a final phase.
fn state_of(phase: Phase) -> &'static str {
    match phase {
        Phase::Healthy => "success",
        Phase::Failed => "failure",
        Phase::Error => "error",
        Phase::Superseded => "warning",
        Phase::Pending | Phase::Running | Phase::Applied => "pending",
    }
}
