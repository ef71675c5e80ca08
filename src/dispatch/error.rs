//! Why an event could not be dispatched.

use crate::application::Name;
use crate::commit::RefName;
use crate::fault::Fault;

/// Why an event could not be dispatched; each message reads on after "failed to".
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The event names a source that the settings do not.
    #[error("find source {0} in the settings")]
    UnknownSource(Name),
    /// The repository shows the ref where it stood before the push.
    #[error("see the push to {0} in its repository yet")]
    Lagging(RefName),
    /// The source.
    #[error(transparent)]
    Source(#[from] crate::source::Error),
    /// The store.
    #[error(transparent)]
    Store(#[from] crate::store::Error),
    /// The queue.
    #[error(transparent)]
    Queue(#[from] crate::queue::Error),
}

impl Error {
    /// Returns whether it is for the author of the pushed commit: then it is the commit's verdict.
    #[must_use]
    pub fn is_the_commits(&self) -> bool {
        use crate::source::Error as Source;
        matches!(self, Self::Source(Source::Outgrown { .. } | Source::TooManyRefs { .. }))
    }

    /// Returns whose turn it is.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            // Another process may have read newer settings.
            Self::UnknownSource(_) | Self::Lagging(_) => Fault::Passing,
            Self::Source(error) => error.fault(),
            Self::Store(error) => error.fault(),
            Self::Queue(error) => error.fault(),
        }
    }
}
