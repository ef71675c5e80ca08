//! What can go wrong with the queue, and whose turn it is then.

use std::path::PathBuf;
use std::sync::Arc;

use crate::fault::Fault;
use crate::queue::ANSWER_WITHIN;
use crate::queue::BODY_BYTES;
use crate::queue::DRAFTS;
use crate::queue::PUBLISH_WITHIN;
use crate::queue::WAITERS;

/// Why the queue refused or failed. Each message continues the words "failed to".
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// Another process has the file.
    #[error(
        "open the queue {path}: another windlass holds it; stop that one, or give this one a file of its own"
    )]
    Held {
        /// The file.
        path: PathBuf,
    },
    /// The file was written by a version that knows more than this one.
    #[error(
        "open the queue {path}: its schema is {found} and this windlass knows {known}; run the newer windlass, or move the file away: it can be rebuilt"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// The schema of the file.
        found: i64,
        /// The newest schema that this windlass reads.
        known: i64,
    },
    /// The file is a database of something else.
    #[error("open the queue {path}: it is a database, but not a queue; name another file")]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// The file is not a sound database.
    #[error(
        "read the queue {path}: it is damaged; move it away together with its -wal and -shm files and start again: the queue can be rebuilt"
    )]
    Corrupt {
        /// The file.
        path: PathBuf,
    },
    /// The file could not be opened.
    #[error("open the queue {path}: see that its directory exists and may be written")]
    Open {
        /// The file.
        path: PathBuf,
        /// What the database said.
        #[source]
        source: Arc<sqlx::Error>,
    },
    /// The lock file beside the database could not be made.
    #[error("lock the queue with {path}: see that its directory exists and may be written")]
    Lock {
        /// The lock file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: Arc<std::io::Error>,
    },
    /// There is no room for more.
    #[error(
        "write to the queue {path}: its disk or its own limit is full; free space, or see why nobody works"
    )]
    Full {
        /// The file.
        path: PathBuf,
    },
    /// The messages could not be stored; none of them was.
    #[error("store the messages")]
    Store(#[source] Arc<sqlx::Error>),
    /// No message could be taken.
    #[error("take a message")]
    Take(#[source] Arc<sqlx::Error>),
    /// A lease could not be prolonged or settled; it stays as it is and ends with its time.
    #[error("settle a message")]
    Settle(#[source] Arc<sqlx::Error>),
    /// Dead letters could not be sent back.
    #[error("replay a dead message")]
    Replay(#[source] Arc<sqlx::Error>),
    /// A dead letter could not be taken away; it is still there.
    #[error("discard a dead message")]
    Discard(#[source] Arc<sqlx::Error>),
    /// Dead letters or depths could not be read.
    #[error("read the state of the queue")]
    Read(#[source] Arc<sqlx::Error>),
    /// What was given as the URL of the broker is none. The text does not show it: it holds a password.
    #[error("read the URL of the broker: {why}; write it as amqps://user:password@host:5671/virtual-host")]
    Url {
        /// What is wrong with it.
        why: &'static str,
    },
    /// The broker lacks what windlass stands on.
    #[error(
        "use the broker: it is RabbitMQ {found}, and windlass needs {} or newer, where workers share a lane evenly; upgrade it",
        crate::queue::rabbit::OLDEST
    )]
    TooOld {
        /// What it says that it is.
        found: String,
    },
    /// The broker does not let this user do that.
    #[error("{step}: the broker refuses this user; see its password, its virtual host and its permissions")]
    Refused {
        /// What was tried.
        step: &'static str,
        /// What the broker said.
        #[source]
        source: Arc<lapin::Error>,
    },
    /// A queue or an exchange of that name was made in another way.
    #[error(
        "declare {name}: the broker has it with other arguments; empty and delete it, or use a virtual host of windlass's own"
    )]
    Conflict {
        /// The queue or exchange.
        name: String,
        /// What the broker said.
        #[source]
        source: Arc<lapin::Error>,
    },
    /// A queue or an exchange is missing, and this user may not make it.
    #[error(
        "find {name} at the broker, where this user may make nothing: run `windlass queue apply` with one who may"
    )]
    Undeclared {
        /// The queue or exchange.
        name: String,
    },
    /// The broker is away or ended the connection.
    #[error("{step}: the broker did not do it; see that it runs and can be reached")]
    Broker {
        /// What was tried.
        step: &'static str,
        /// What the connection said.
        #[source]
        source: Arc<lapin::Error>,
    },
    /// The broker takes nothing from anybody until it has room again. What was on its way to it may be stored then.
    #[error(
        "store the messages: the broker is short of memory or disk; give it more, or see why nobody works"
    )]
    Blocked,
    /// The broker refused a message that it could not store.
    #[error("store message {id}: the broker has no room for it or no queue; see its log")]
    Unstored {
        /// The message.
        id: String,
    },
    /// No confirm came in time. The messages may still be stored: publishing them again is right.
    #[error("confirm the messages within {} s; publish them again", PUBLISH_WITHIN.as_secs())]
    Unconfirmed,
    /// No answer came in time; whether the operation took place is not known.
    #[error("get an answer from the queue within {} s", ANSWER_WITHIN.as_secs())]
    Unanswered,
    /// A body is larger than the queue carries.
    #[error("publish message {id}: its body has {bytes} bytes, the queue carries {BODY_BYTES}")]
    TooLarge {
        /// The message.
        id: String,
        /// The size of its body.
        bytes: usize,
    },
    /// A lane, an id or a partition is longer than the queue carries.
    #[error("publish a message: its {what} has {bytes} bytes, the queue carries {most}")]
    TooLong {
        /// Which name.
        what: &'static str,
        /// How long it is.
        bytes: usize,
        /// How long it may be.
        most: usize,
    },
    /// More messages than one publish carries.
    #[error("publish {count} messages at once: publish at most {DRAFTS}")]
    TooMany {
        /// How many there were.
        count: usize,
    },
    /// More consumers wait than the queue holds.
    #[error("wait for a message: {WAITERS} consumers wait already; start fewer")]
    Crowded,
    /// The queue was closed, or its writer is gone.
    #[error("reach the queue: it is closed; restart windlass if it is not stopping")]
    Closed,
}

impl Error {
    /// Says whose turn it is: whoever runs windlass, or nobody. The author of a commit never.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::Held { .. }
            | Self::Newer { .. }
            | Self::Foreign { .. }
            | Self::Corrupt { .. }
            | Self::Open { .. }
            | Self::Lock { .. }
            | Self::Url { .. }
            | Self::TooOld { .. }
            | Self::Refused { .. }
            | Self::Conflict { .. }
            | Self::Undeclared { .. }
            | Self::TooLarge { .. }
            | Self::TooLong { .. }
            | Self::TooMany { .. }
            | Self::Crowded => Fault::Ours,
            Self::Full { .. }
            | Self::Store(_)
            | Self::Take(_)
            | Self::Settle(_)
            | Self::Replay(_)
            | Self::Discard(_)
            | Self::Read(_)
            | Self::Broker { .. }
            | Self::Blocked
            | Self::Unstored { .. }
            | Self::Unconfirmed
            | Self::Unanswered
            | Self::Closed => Fault::Passing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Error;
    use crate::fault::Fault;

    #[test]
    fn what_only_a_person_can_cure_is_ours_and_the_rest_passes() {
        let path = std::path::PathBuf::from("/var/lib/windlass/queue.db");
        for (error, fault) in [
            (Error::Held { path: path.clone() }, Fault::Ours),
            (Error::Newer { path: path.clone(), found: 9, known: 1 }, Fault::Ours),
            (Error::Corrupt { path: path.clone() }, Fault::Ours),
            (Error::TooLarge { id: "a".to_owned(), bytes: 1 }, Fault::Ours),
            (Error::Full { path }, Fault::Passing),
            (Error::Unconfirmed, Fault::Passing),
            (Error::Closed, Fault::Passing),
        ] {
            assert_eq!(error.fault(), fault, "{error}");
        }
    }
}
