//! When in a rollout something is written.

use std::fmt;

/// A part of a rollout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Hooks that come before all others.
    Before,
    /// All that is no hook, and hooks that come with it.
    Sync,
    /// Hooks that come when all others are healthy.
    After,
    /// All is written, and the last of it waited for.
    End,
}

impl Stage {
    const ALL: [Self; 4] = [Self::Before, Self::Sync, Self::After, Self::End];

    /// Returns the word for it, which is also how it is written down.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Before => "before",
            Self::Sync => "sync",
            Self::After => "after",
            Self::End => "end",
        }
    }
}

/// A wave of a stage. What comes first is less.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Turn {
    /// The stage.
    pub stage: Stage,
    /// The wave.
    pub wave: i32,
}

impl Turn {
    /// What comes before all turns.
    pub const NONE_YET: Self = Self { stage: Stage::Before, wave: i32::MIN };

    /// The turn of what leaves the commit: after all that is written in its waves.
    pub const LEAVING: Self = Self { stage: Stage::Sync, wave: i32::MAX };

    /// The end of a rollout.
    pub const END: Self = Self { stage: Stage::End, wave: 0 };

    /// Reads a turn as it is written down, such as `sync -1`; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (word, wave) = text.split_once(' ')?;
        let stage = Stage::ALL.into_iter().find(|stage| stage.word() == word)?;
        Some(Self { stage, wave: wave.parse().ok()? })
    }
}

impl fmt::Display for Turn {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {}", self.stage.word(), self.wave)
    }
}

#[cfg(test)]
mod tests {
    use super::Stage;
    use super::Turn;

    #[test]
    fn turns_come_by_stage_and_wave_and_read_back() {
        let of = |stage, wave| Turn { stage, wave };
        let turns = [
            of(Stage::Before, 9),
            of(Stage::Sync, -1),
            of(Stage::Sync, 0),
            of(Stage::Sync, 2),
            of(Stage::After, -5),
            Turn::END,
        ];
        assert!(turns.is_sorted_by(|a, b| a < b));
        for turn in turns {
            assert_eq!(Turn::parse(&turn.to_string()), Some(turn));
        }
        for text in ["", "sync", "sync x", "later 1", "sync 99999999999"] {
            assert_eq!(Turn::parse(text), None, "{text}");
        }
    }
}
