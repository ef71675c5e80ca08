//! Columns as words: every value is parsed again on its way out, so that a damaged file never becomes a wrong word.

use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::Digest;
use sha2::Sha256;
use sqlx::Row as _;

use crate::application::Name;
use crate::application::Target;
use crate::commit::CommitId;
use crate::moment::Moment;
use crate::outcome::Phase;
use crate::reference::Reference;
use crate::store::Error;
use crate::store::sql::Row;

/// Reads a column of either kind of row.
macro_rules! read {
    ($row:expr, $column:expr) => {
        match $row {
            Row::Sqlite(row) => row.try_get($column),
            Row::Postgres(row) => row.try_get($column),
        }
        .map_err(Error::Read)
    };
}

pub fn text(row: &Row, column: &'static str) -> Result<String, Error> {
    read!(row, column)
}

pub fn text_or_none(row: &Row, column: &'static str) -> Result<Option<String>, Error> {
    read!(row, column)
}

pub fn number(row: &Row, column: &'static str) -> Result<i64, Error> {
    read!(row, column)
}

pub fn number_or_none(row: &Row, column: &'static str) -> Result<Option<i64>, Error> {
    read!(row, column)
}

pub fn moment(row: &Row, column: &'static str) -> Result<Moment, Error> {
    number(row, column).map(Moment)
}

pub fn name(row: &Row, column: &'static str) -> Result<Name, Error> {
    Name::parse(&text(row, column)?).map_err(|_| Error::Damaged { what: column })
}

pub fn target(row: &Row) -> Result<Target, Error> {
    Ok(Target { application: name(row, "application")?, cluster: name(row, "cluster")? })
}

pub fn commit(row: &Row) -> Result<CommitId, Error> {
    CommitId::parse(&text(row, "commit_id")?).map_err(|_| Error::Damaged { what: "a commit id" })
}

pub fn reference(row: &Row) -> Result<Reference, Error> {
    Reference::parse(&text(row, "reference")?).map_err(|_| Error::Damaged { what: "a reference" })
}

pub fn phase(row: &Row) -> Result<Phase, Error> {
    Phase::from_word(&text(row, "phase")?).ok_or(Error::Damaged { what: "a phase" })
}

pub fn json<T: DeserializeOwned>(row: &Row, column: &'static str) -> Result<T, Error> {
    serde_json::from_str(&text(row, column)?).map_err(|_| Error::Damaged { what: column })
}

pub fn json_or_none<T: DeserializeOwned>(row: &Row, column: &'static str) -> Result<Option<T>, Error> {
    let text = text_or_none(row, column)?;
    text.map(|text| serde_json::from_str(&text).map_err(|_| Error::Damaged { what: column })).transpose()
}

/// Writes a word as JSON. The words have no maps with keys that JSON lacks, so this does not fail for them.
pub fn to_json<T: Serialize>(value: &T, what: &'static str) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|_| Error::Damaged { what })
}

/// How many bytes of a name from outside may an index hold? Postgres refuses a row whose key is longer than 2.7 KB.
const KEY_BYTES: usize = 1_000;

/// Returns a name from outside as a key: itself, or, where it is long, how it begins with the digest of all of it.
pub fn key(name: &str) -> String {
    if name.len() <= KEY_BYTES {
        return name.to_owned();
    }
    let begin: String = name.chars().take(KEY_BYTES / 4).collect();
    format!("{begin}… {}", hex::encode(Sha256::digest(name)))
}
