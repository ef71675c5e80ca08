//! The turn of a transaction among those of all processes.

use sha2::Digest;
use sha2::Sha256;

use crate::application::Name;
use crate::store::Error;
use crate::store::sql::Tx;
use crate::store::sql::query;

/// What transactions may not work on at the same time.
pub enum Turn<'a> {
    Source(&'a Name),
    Application(&'a Name),
    Forge(&'a Name),
}

impl Turn<'_> {
    /// Waits for the turn, which ends with the transaction. SQLite has one writer, whose turn it always is.
    pub async fn take(&self, tx: &mut Tx) -> Result<(), Error> {
        if let Tx::Postgres(_) = tx {
            query("SELECT pg_advisory_xact_lock($1)").bind(self.key()).rows(tx).await?;
        }
        Ok(())
    }

    /// Returns the number of its lock. Two turns with one number would only wait for each other.
    pub fn key(&self) -> i64 {
        let (kind, name) = match self {
            Self::Source(name) => ("source", name),
            Self::Application(name) => ("application", name),
            Self::Forge(name) => ("forge", name),
        };
        key(&format!("{kind} {}", name.as_str()))
    }
}

/// Returns the number of a lock of windlass.
pub fn key(what: &str) -> i64 {
    let digest: [u8; 32] = Sha256::digest(format!("windlass {what}")).into();
    digest.first_chunk().copied().map_or(0, i64::from_be_bytes)
}
