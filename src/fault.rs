//! Whose turn it is after something failed.

use serde::{Deserialize, Serialize};

/// Who has to act on a failure, and so what the line does with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// The author of the commit: the verdict is failure, and nothing is retried.
    Theirs,
    /// Nobody: the same step may succeed later, so it is retried.
    Passing,
    /// Whoever runs windlass: the verdict is error, and the job is buried.
    Ours,
}

impl Fault {
    /// Returns the word for it in metrics.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Theirs => "theirs",
            Self::Passing => "passing",
            Self::Ours => "ours",
        }
    }
}

/// Returns an error with its causes, each after a colon: the text fits after "failed to".
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
