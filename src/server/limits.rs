//! What the server allows itself and its guests.

use std::time::Duration;

/// The bounds of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How many bytes may a body have?
    pub body_bytes: usize,
    /// How long may a body take to arrive?
    pub body_within: Duration,
    /// How long may a connection be idle between requests?
    pub idle_within: Duration,
    /// How many connections may be open at once?
    pub connections: usize,
    /// How many threads serve requests?
    pub workers: usize,
    /// For how long is the server not ready before it stops to listen?
    pub announce_for: Duration,
    /// How long may requests take to finish after that?
    pub stop_within: Duration,
}
