//! Tokens that do not last.

use futures::future::BoxFuture;

use crate::fault::Fault;
use crate::secret::Secret;

/// Where the tokens of a source come from that do not last.
pub trait Tokens: Send + Sync {
    /// Returns a token that may read the source now. Whoever waits no longer drops the question.
    fn token(&self) -> BoxFuture<'static, Result<Secret, NoToken>>;

    /// Hears that the server refused a token, so that it is not given again.
    fn refused(&self, token: &Secret);
}

/// Why there is no token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoToken {
    /// Whose turn it is.
    pub fault: Fault,
    /// What failed and what to do, after "failed to".
    pub why: String,
}
