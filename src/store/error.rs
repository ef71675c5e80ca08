//! What can go wrong with the store.

use std::path::PathBuf;

use crate::fault::Fault;

/// Why the store could not do something. The texts fit after "failed to".
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file could not be opened, or is not a store.
    #[error("open the store {path} (if it is damaged, move it away: only history is lost)")]
    Open {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        #[source]
        source: sqlx::Error,
    },
    /// The URL of the database is none.
    #[error("read the URL of the store (it has the form postgres://user:password@host:port/database)")]
    Url(#[source] sqlx::Error),
    /// The database did not answer, or did not let windlass in.
    #[error(
        "reach the store {place} (it must answer and let this user in; beyond this machine with TLS and a certificate of its name, unless sslmode in its URL says otherwise)"
    )]
    Reach {
        /// The host, port and database.
        place: String,
        /// What sqlx says.
        #[source]
        source: sqlx::Error,
    },
    /// A newer windlass wrote the store.
    #[error(
        "open the store {place}: its form {found} is newer than {known}, the newest that this windlass knows; run the newer windlass, or give this one another store"
    )]
    Newer {
        /// The file, or the host, port and database.
        place: String,
        /// The form of the store.
        found: i64,
        /// The newest form that this windlass knows.
        known: i64,
    },
    /// The store could not be brought to the form that this windlass writes.
    #[error(
        "bring the store to form {to} (its disk needs room and must be writable, and a user of Postgres needs the right to make tables)"
    )]
    Migrate {
        /// The form that could not be reached.
        to: i64,
        /// What the database says.
        #[source]
        source: sqlx::Error,
    },
    /// Something could not be read.
    #[error("read from the store")]
    Read(#[source] sqlx::Error),
    /// Something could not be written; nothing of it was, unless only the answer was lost.
    #[error("write to the store (its disk needs room and must be writable)")]
    Write(#[source] sqlx::Error),
    /// The store holds something that no windlass of this form writes.
    #[error(
        "understand what the store holds as {what} (if it is damaged, move it away: only history is lost)"
    )]
    Damaged {
        /// What it was read as.
        what: &'static str,
    },
}

impl Error {
    /// Says whose turn it is: a full disk, a held file or a database that is away may pass, the rest is for whoever runs
    /// windlass.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::Read(_) | Self::Write(_) | Self::Migrate { .. } => Fault::Passing,
            Self::Reach { source, .. } => reaching(source),
            Self::Open { .. } | Self::Url(_) | Self::Newer { .. } | Self::Damaged { .. } => Fault::Ours,
        }
    }
}

/// A database that says no to this user, knows no such database or cannot show whose it is does so until somebody acts;
/// all else may pass.
fn reaching(error: &sqlx::Error) -> Fault {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    let refused = code.is_some_and(|code| code.starts_with("28") || code.starts_with("3D"));
    // A certificate that does not fit comes as data that does not.
    let misfit = matches!(error, sqlx::Error::Io(io) if io.kind() == std::io::ErrorKind::InvalidData);
    if refused || misfit || matches!(error, sqlx::Error::Configuration(_) | sqlx::Error::Tls(_)) {
        Fault::Ours
    } else {
        Fault::Passing
    }
}
