//! Which targets a movement of a ref touches.
//!
//! Comes in: what each target reads at the commits in question, and dispatch's memory. Goes out: the targets to work
//! on, for each commit that must be answered, and those of them that wait for others. It never looks at what a delivery
//! says about changed files.

mod applications;
mod dependency;

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::Serialize;

use crate::application::Name;
use crate::application::Target;
use crate::commit::CommitId;
use crate::commit::Inputs;
use crate::job::Reason;
use crate::reference::Reference;

pub use applications::Applications;
pub use dependency::awaited;
pub use dependency::refused;

/// What dispatch remembers of a target. It may be lost: then the target counts as touched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// The target.
    pub target: Target,
    /// The source of its application when it was last dispatched.
    pub source: Name,
    /// What it followed then.
    pub reference: Reference,
    /// What it read then.
    pub inputs: Inputs,
    /// The commit then.
    pub commit: CommitId,
    /// The number of its application's definition then.
    pub definition: u64,
    /// The dispatch.
    pub dispatch: String,
    /// What became of it.
    pub state: State,
}

/// What became of a dispatch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Its verdict is not known yet.
    Open,
    /// It ended healthy.
    Closed,
    /// It ended otherwise.
    Failed,
    /// An earlier commit was made true again in its place; it is tried again when somebody asks, or what is read moves on.
    RolledBack,
}

impl State {
    /// Returns the word that the store uses.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closed => "closed",
            Self::Failed => "failed",
            Self::RolledBack => "rolled_back",
        }
    }

    /// Reads the word back.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Open, Self::Closed, Self::Failed, Self::RolledBack]
            .into_iter()
            .find(|state| state.word() == word)
    }
}

/// A target that could be touched, and what it reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The target.
    pub target: Target,
    /// The number of its application's definition.
    pub definition: u64,
    /// What it reads at each commit in question, in the order of the commits.
    pub inputs: Vec<Inputs>,
}

/// A target that is touched by a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Touched {
    /// The target.
    pub target: Target,
    /// The number of its application's definition.
    pub definition: u64,
    /// The position of the commit among those in question.
    pub commit: usize,
    /// What the target reads there.
    pub inputs: Inputs,
    /// Why it is worked on.
    pub reason: Reason,
    /// Does the newest commit in question, the tip, read something else? Then this one is superseded already.
    pub overtaken: bool,
}

/// Returns the touched targets for `commits` commits, the older first, the last being the tip.
///
/// A target is touched by a commit when its inputs or its definition differ from those last dispatched (by this call
/// or before), or when its last dispatch failed, is open or is unknown. Of two commits with equal inputs only the
/// first counts. `forced` makes every candidate touched by the first commit, and asks for whole passes, whatever is
/// remembered.
#[must_use]
pub fn select(candidates: &[Candidate], commits: usize, memory: &[Memory], forced: bool) -> Vec<Touched> {
    let memory: BTreeMap<&Target, &Memory> = memory.iter().map(|row| (&row.target, row)).collect();
    let mut touched = Vec::new();
    for candidate in candidates {
        let row = memory.get(&candidate.target).copied();
        let tip = candidate.inputs.last();
        let mut last: Option<&Inputs> = None;
        for (commit, inputs) in candidate.inputs.iter().enumerate().take(commits) {
            let reason = match last {
                Some(before) => {
                    (before != inputs).then_some(if forced { Reason::Unsure } else { Reason::Moved })
                }
                None if forced => Some(Reason::Unsure),
                None => against(row, inputs, candidate.definition),
            };
            let Some(reason) = reason else { continue };
            last = Some(inputs);
            touched.push(Touched {
                target: candidate.target.clone(),
                definition: candidate.definition,
                commit,
                inputs: inputs.clone(),
                reason,
                overtaken: tip != Some(inputs),
            });
        }
    }
    touched
}

/// Returns whether a target was last dispatched with this commit and definition, and not in vain: for a fixed commit,
/// which no movement of a ref brings up again.
#[must_use]
pub fn is_dispatched(row: Option<&Memory>, commit: &CommitId, definition: u64) -> bool {
    row.is_some_and(|row| row.commit == *commit && row.definition == definition && row.state != State::Failed)
}

fn against(row: Option<&Memory>, inputs: &Inputs, definition: u64) -> Option<Reason> {
    let Some(row) = row else { return Some(Reason::Unsure) };
    if row.inputs != *inputs || row.definition != definition {
        return Some(Reason::Moved);
    }
    match row.state {
        State::Closed | State::RolledBack => None,
        State::Open => Some(Reason::Moved),
        State::Failed => Some(Reason::Unsure),
    }
}

#[cfg(test)]
mod tests {
    use super::Candidate;
    use super::Memory;
    use super::State;
    use super::is_dispatched;
    use super::select;
    use crate::application::Name;
    use crate::application::Target;
    use crate::commit::CommitId;
    use crate::commit::Inputs;
    use crate::job::Reason;
    use crate::reference::Reference;

    fn target() -> Target {
        Target { application: Name::parse("shop").unwrap(), cluster: Name::parse("east").unwrap() }
    }

    fn memory(inputs: &str, state: State) -> Vec<Memory> {
        vec![Memory {
            target: target(),
            source: Name::parse("code").unwrap(),
            reference: Reference::parse("refs/heads/main").unwrap(),
            inputs: Inputs(inputs.into()),
            commit: CommitId::parse(&"a".repeat(40)).unwrap(),
            definition: 1,
            dispatch: "d".into(),
            state,
        }]
    }

    #[test]
    fn what_a_movement_touches_by_table() {
        use State::Closed;
        use State::Failed;
        use State::Open;
        use State::RolledBack;
        // memory, inputs of each commit, definition → (commit, reason, overtaken)
        type Case = (Vec<Memory>, Vec<&'static str>, u64, Vec<(usize, Reason, bool)>);
        let cases: Vec<Case> = vec![
            (vec![], vec!["x"], 1, vec![(0, Reason::Unsure, false)]),
            (memory("x", Closed), vec!["x"], 1, vec![]),
            (memory("x", Closed), vec!["y"], 1, vec![(0, Reason::Moved, false)]),
            (memory("x", Closed), vec!["x"], 2, vec![(0, Reason::Moved, false)]),
            (memory("x", Open), vec!["x"], 1, vec![(0, Reason::Moved, false)]),
            (memory("x", Failed), vec!["x"], 1, vec![(0, Reason::Unsure, false)]),
            // What did not work is not tried again because somebody looks, or pushes something else.
            (memory("x", RolledBack), vec!["x"], 1, vec![]),
            (memory("x", RolledBack), vec!["y"], 1, vec![(0, Reason::Moved, false)]),
            (memory("x", RolledBack), vec!["x"], 2, vec![(0, Reason::Moved, false)]),
            // The pushed commit was overtaken before it was dispatched.
            (
                memory("x", Closed),
                vec!["y", "z"],
                1,
                vec![(0, Reason::Moved, true), (1, Reason::Moved, false)],
            ),
            // It changed nothing here, the tip does.
            (memory("x", Closed), vec!["x", "z"], 1, vec![(1, Reason::Moved, false)]),
            // The tip reads the same, so it shares the first one's fate.
            (memory("x", Closed), vec!["y", "y"], 1, vec![(0, Reason::Moved, false)]),
            // The tip went back to what is there: it must still be made true after the overtaken one.
            (
                memory("x", Closed),
                vec!["y", "x"],
                1,
                vec![(0, Reason::Moved, true), (1, Reason::Moved, false)],
            ),
        ];
        for (memory, inputs, definition, expected) in cases {
            let inputs: Vec<_> = inputs.into_iter().map(|text| Inputs(text.into())).collect();
            let commits = inputs.len();
            let candidate = Candidate { target: target(), definition, inputs };
            let touched = select(std::slice::from_ref(&candidate), commits, &memory, false);
            let found: Vec<_> = touched.iter().map(|t| (t.commit, t.reason, t.overtaken)).collect();
            assert_eq!(found, expected, "{memory:?} {candidate:?}");
        }
    }

    #[test]
    fn a_forced_event_touches_what_is_closed_too() {
        let candidate = Candidate { target: target(), definition: 1, inputs: vec![Inputs("x".into())] };
        let touched = select(&[candidate], 1, &memory("x", State::Closed), true);
        assert_eq!(touched.len(), 1);
        assert_eq!(touched[0].reason, Reason::Unsure);
        // Of a commit that was overtaken, the pass of the tip is a whole one too.
        let inputs = ["x", "y"].map(|text| Inputs(text.into())).to_vec();
        let candidate = Candidate { target: target(), definition: 1, inputs };
        let touched = select(&[candidate], 2, &memory("y", State::Closed), true);
        let found: Vec<_> = touched.iter().map(|one| (one.reason, one.overtaken)).collect();
        assert_eq!(found, [(Reason::Unsure, true), (Reason::Unsure, false)]);
    }

    #[test]
    fn a_fixed_commit_is_asked_for_until_it_was_dispatched_as_it_is_defined() {
        let (a, b) = ("a".repeat(40), "b".repeat(40));
        for (state, commit, definition, dispatched) in [
            (Some(State::Closed), &a, 1, true),
            (Some(State::Open), &a, 1, true),
            (Some(State::Failed), &a, 1, false),
            (Some(State::Closed), &b, 1, false),
            (Some(State::Closed), &a, 2, false),
            (None, &a, 1, false),
        ] {
            let row = state.map(|state| memory("x", state));
            let row = row.as_ref().and_then(|rows| rows.first());
            let commit = CommitId::parse(commit).unwrap();
            assert_eq!(
                is_dispatched(row, &commit, definition),
                dispatched,
                "{state:?} {commit} {definition}"
            );
        }
    }
}
