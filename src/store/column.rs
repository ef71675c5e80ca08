//! Columns as words: every value is parsed again on its way out, so that a damaged file never becomes a wrong word.

use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use crate::application::Name;
use crate::application::Target;
use crate::commit::CommitId;
use crate::moment::Moment;
use crate::outcome::Phase;
use crate::reference::Reference;
use crate::store::Error;

pub fn text(row: &SqliteRow, column: &'static str) -> Result<String, Error> {
    row.try_get(column).map_err(Error::Read)
}

pub fn text_or_none(row: &SqliteRow, column: &'static str) -> Result<Option<String>, Error> {
    row.try_get(column).map_err(Error::Read)
}

pub fn number(row: &SqliteRow, column: &'static str) -> Result<i64, Error> {
    row.try_get(column).map_err(Error::Read)
}

pub fn number_or_none(row: &SqliteRow, column: &'static str) -> Result<Option<i64>, Error> {
    row.try_get(column).map_err(Error::Read)
}

pub fn moment(row: &SqliteRow, column: &'static str) -> Result<Moment, Error> {
    number(row, column).map(Moment)
}

pub fn name(row: &SqliteRow, column: &'static str) -> Result<Name, Error> {
    Name::parse(&text(row, column)?).map_err(|_| Error::Damaged { what: column })
}

pub fn target(row: &SqliteRow) -> Result<Target, Error> {
    Ok(Target { application: name(row, "application")?, cluster: name(row, "cluster")? })
}

pub fn commit(row: &SqliteRow) -> Result<CommitId, Error> {
    CommitId::parse(&text(row, "commit_id")?).map_err(|_| Error::Damaged { what: "a commit id" })
}

pub fn reference(row: &SqliteRow) -> Result<Reference, Error> {
    Reference::parse(&text(row, "reference")?).map_err(|_| Error::Damaged { what: "a reference" })
}

pub fn phase(row: &SqliteRow) -> Result<Phase, Error> {
    Phase::from_word(&text(row, "phase")?).ok_or(Error::Damaged { what: "a phase" })
}

pub fn json<T: DeserializeOwned>(row: &SqliteRow, column: &'static str) -> Result<T, Error> {
    serde_json::from_str(&text(row, column)?).map_err(|_| Error::Damaged { what: column })
}

pub fn json_or_none<T: DeserializeOwned>(row: &SqliteRow, column: &'static str) -> Result<Option<T>, Error> {
    let text = text_or_none(row, column)?;
    text.map(|text| serde_json::from_str(&text).map_err(|_| Error::Damaged { what: column })).transpose()
}

/// Writes a word as JSON. The words have no maps with keys that JSON lacks, so this does not fail for them.
pub fn to_json<T: Serialize>(value: &T, what: &'static str) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|_| Error::Damaged { what })
}
