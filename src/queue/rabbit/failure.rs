//! What the broker says, as errors of the queue.

use std::sync::Arc;
use std::time::Duration;

use lapin::ErrorKind;
use lapin::protocol::AMQPErrorKind;
use lapin::protocol::AMQPHardError;
use lapin::protocol::AMQPSoftError;
use tokio::time::timeout;

use crate::queue::ANSWER_WITHIN;
use crate::queue::Error;

/// Names the step that failed: it continues the words "failed to".
pub(super) fn failed(step: &'static str, error: lapin::Error) -> Error {
    let refused = matches!(
        protocol(&error),
        Some(
            AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED)
                | AMQPErrorKind::Hard(AMQPHardError::NOTALLOWED)
        )
    );
    let source = Arc::new(error);
    if refused { Error::Refused { step, source } } else { Error::Broker { step, source } }
}

/// The same for what is declared, where other arguments are a failure of their own.
pub(super) fn undeclared(name: &str, error: lapin::Error) -> Error {
    let other = matches!(
        protocol(&error),
        Some(
            AMQPErrorKind::Soft(AMQPSoftError::PRECONDITIONFAILED)
                | AMQPErrorKind::Hard(AMQPHardError::COMMANDINVALID)
        )
    );
    if other {
        Error::Conflict { name: name.to_owned(), source: Arc::new(error) }
    } else {
        failed("declare the queues of a lane", error)
    }
}

/// Whether the broker said that what was named is not there.
pub(super) fn is_missing(error: &Error) -> bool {
    let (Error::Broker { source, .. } | Error::Refused { source, .. }) = error else { return false };
    matches!(protocol(source), Some(AMQPErrorKind::Soft(AMQPSoftError::NOTFOUND)))
}

/// Whether the broker could not make what was to be declared, or was not done with it: another try may find it done.
pub(super) fn is_unready(error: &Error) -> bool {
    let Error::Broker { source, .. } = error else { return false };
    matches!(
        protocol(source),
        Some(
            AMQPErrorKind::Soft(AMQPSoftError::NOTFOUND) | AMQPErrorKind::Hard(AMQPHardError::INTERNALERROR)
        )
    )
}

/// Whether another connection has what was named for itself.
pub(super) fn is_locked(error: &Error) -> bool {
    let Error::Broker { source, .. } = error else { return false };
    matches!(protocol(source), Some(AMQPErrorKind::Soft(AMQPSoftError::RESOURCELOCKED)))
}

/// Returns what the broker said, in its own words.
pub(super) fn words(error: &lapin::Error) -> String {
    if let ErrorKind::ProtocolError(said) = error.kind() {
        said.get_message().to_string()
    } else {
        error.to_string()
    }
}

fn protocol(error: &lapin::Error) -> Option<&AMQPErrorKind> {
    if let ErrorKind::ProtocolError(error) = error.kind() { Some(error.kind()) } else { None }
}

/// Waits for the broker's answer, within bounds.
pub(super) async fn answer<T>(
    step: &'static str,
    asked: impl Future<Output = Result<T, lapin::Error>>,
) -> Result<T, Error> {
    within(ANSWER_WITHIN, async { asked.await.map_err(|error| failed(step, error)) }).await
}

/// Waits no longer than that for what may hang with a broker that does not answer.
pub(super) async fn within<T>(
    limit: Duration,
    asked: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    timeout(limit, asked).await.unwrap_or(Err(Error::Unanswered))
}
