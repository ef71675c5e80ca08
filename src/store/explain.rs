//! What is known of one commit: for whoever asks why it is as it is.

use crate::application::Name;
use crate::commit::CommitId;
use crate::moment::Moment;
use crate::outcome::Phase;
use crate::store::Error;
use crate::store::Store;
use crate::store::column;
use crate::store::sql::Row;
use crate::store::sql::query;

/// How many commits may begin alike?
const COMMITS_AT_ONCE: u32 = 20;

/// How many statuses of a commit are read back?
const STATUSES_AT_ONCE: u32 = 10_000;

/// A status of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Its name at the forge.
    pub context: String,
    /// What it says.
    pub phase: Phase,
    /// What happened, as one line.
    pub description: String,
    /// Whether the forge was told so.
    pub posting: Posting,
}

/// How far a status has come on its way to the forge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Posting {
    /// The forge took it as it is, at this time.
    Posted(Moment),
    /// It is to be posted, at this time at the earliest.
    Waiting {
        /// When it is due.
        due_at: Moment,
        /// How often it failed in a row.
        tries: u64,
        /// Why it was put off, where it was.
        why: Option<String>,
    },
    /// It will not be posted, and why.
    GivenUp(String),
    /// It is not posted, since the commit touches too many targets for a status each.
    Withheld,
}

impl Store {
    /// Returns the commits whose id starts with `prefix` and that touched a target, with their sources; at most 20.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn commits(&self, prefix: &str) -> Result<Vec<(Name, CommitId)>, Error> {
        // A range and no pattern, so that whatever is asked for means itself; no digit comes after `f`.
        let rows = query(
            "SELECT DISTINCT source, commit_id FROM ledger WHERE commit_id >= $1 AND commit_id < $1 || 'g' \
             ORDER BY source, commit_id LIMIT $2",
        )
        .bind(prefix)
        .bind(COMMITS_AT_ONCE)
        .rows(self.read())
        .await?;
        rows.iter().map(|row| Ok((column::name(row, "source")?, column::commit(row)?))).collect()
    }

    /// Returns the statuses of a commit, by their names.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn statuses(&self, source: &Name, commit: &CommitId) -> Result<Vec<Status>, Error> {
        let rows =
            query(
                "SELECT context, phase, description, posted_phase, posted_description, posted_at, muted, wanting, \
                 tries, due_at, why FROM statuses WHERE source = $1 AND commit_id = $2 ORDER BY context LIMIT $3",
            )
                .bind(source.as_str())
                .bind(commit.as_str())
                .bind(STATUSES_AT_ONCE)
                .rows(self.read())
                .await?;
        rows.iter().map(status).collect()
    }
}

fn status(row: &Row) -> Result<Status, Error> {
    let (phase, description) = (column::phase(row)?, column::text(row, "description")?);
    let is = |name| Ok::<_, Error>(column::number(row, name)? == 1);
    let posted = column::text_or_none(row, "posted_phase")?.as_deref() == Some(phase.word())
        && column::text_or_none(row, "posted_description")?.as_deref() == Some(&description);
    let why = column::text_or_none(row, "why")?;
    let posting = if posted {
        Posting::Posted(column::moment(row, "posted_at")?)
    } else if is("muted")? {
        Posting::Withheld
    } else if is("wanting")? {
        let tries = u64::try_from(column::number(row, "tries")?).unwrap_or_default();
        Posting::Waiting { due_at: column::moment(row, "due_at")?, tries, why }
    } else {
        Posting::GivenUp(why.unwrap_or_default())
    };
    Ok(Status { context: column::text(row, "context")?, phase, description, posting })
}
