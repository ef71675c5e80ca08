//! What dispatch remembers: the work that it last made for each target, the numbers of definitions, and where
//! references led.

use std::collections::BTreeMap;

use sha2::Digest;
use sha2::Sha256;

use crate::application::Application;
use crate::application::Name;
use crate::application::Target;
use crate::commit::CommitId;
use crate::commit::Inputs;
use crate::outcome::Phase;
use crate::reference::Reference;
use crate::select::Memory;
use crate::select::State;
use crate::store::Error;
use crate::store::Store;
use crate::store::column;
use crate::store::sql::Row;
use crate::store::sql::Tx;
use crate::store::sql::query;
use crate::store::turn::Turn;

impl Store {
    /// Returns what is remembered of the targets of a source, by target.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn memory(&self, source: &Name) -> Result<Vec<Memory>, Error> {
        let rows = query(
            "SELECT application, cluster, source, reference, inputs, commit_id, definition, dispatch, state FROM memory \
             WHERE source = $1 ORDER BY application, cluster",
        )
            .bind(source.as_str())
            .rows(self.read())
            .await?;
        rows.iter().map(remembered).collect()
    }

    /// Remembers work before it is published, all of it or none; it is on the disk when this returns.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn open_targets(&self, rows: &[Memory]) -> Result<(), Error> {
        let Some(first) = rows.first() else {
            return Ok(());
        };
        let mut tx = self.begin(&Turn::Source(&first.source)).await?;
        for row in rows {
            remember(&mut tx, row).await?;
        }
        tx.commit().await
    }

    /// Remembers that an earlier commit is made true again in a target, in the place of what read `inputs`; where something
    /// else was dispatched since, nothing.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn rolled_back(&self, target: &Target, inputs: &Inputs) -> Result<(), Error> {
        query("UPDATE memory SET state = $1 WHERE application = $2 AND cluster = $3 AND inputs = $4")
            .bind(State::RolledBack.word())
            .bind(target.application.as_str())
            .bind(target.cluster.as_str())
            .bind(inputs.0.as_str())
            .run(self.write())
            .await
            .map(drop)
    }

    /// Returns the number of an application's definition. It grows by one whenever the definition changes.
    ///
    /// The first number is the time in seconds, so that a store that was lost and made anew does not count from below
    /// what the clusters have seen: a target never goes back to a lower number.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn definition(&self, application: &Application) -> Result<u64, Error> {
        let digest = digest(application)?;
        let mut tx = self.begin(&Turn::Application(&application.name)).await?;
        let known = query("SELECT number, digest FROM definitions WHERE application = $1")
            .bind(application.name.as_str())
            .row(&mut tx)
            .await?;
        let number = match known {
            Some(row) if column::text(&row, "digest")? == digest => {
                return unsigned(column::number(&row, "number")?);
            }
            Some(row) => column::number(&row, "number")?.saturating_add(1),
            None => jiff::Timestamp::now().as_second(),
        };
        query(
            "INSERT INTO definitions (application, number, digest) VALUES ($1, $2, $3) \
             ON CONFLICT (application) DO UPDATE SET number = excluded.number, digest = excluded.digest",
        )
        .bind(application.name.as_str())
        .bind(number)
        .bind(digest)
        .run(&mut tx)
        .await?;
        tx.commit().await?;
        unsigned(number)
    }

    /// Returns the numbers of the definitions of some applications, by their names, as [`Store::definition`] does for one: in
    /// one request where none has changed.
    ///
    /// # Errors
    /// As [`Store::definition`].
    pub async fn definitions(&self, applications: &[&Application]) -> Result<BTreeMap<Name, u64>, Error> {
        let names = || applications.iter().map(|one| one.name.as_str());
        let (Some(first), Some(last)) = (names().min(), names().max()) else { return Ok(BTreeMap::new()) };
        // Whatever order the database gives to names: one that it leaves out is asked for by itself.
        let rows =
            query("SELECT application, number, digest FROM definitions WHERE application BETWEEN $1 AND $2")
                .bind(first)
                .bind(last)
                .rows(self.read())
                .await?;
        let mut known = BTreeMap::new();
        for row in &rows {
            let number = unsigned(column::number(row, "number")?)?;
            known.insert(column::text(row, "application")?, (column::text(row, "digest")?, number));
        }
        let mut numbers = BTreeMap::new();
        for application in applications {
            let number = match known.get(application.name.as_str()) {
                Some((digest, number)) if *digest == self::digest(application)? => *number,
                Some(_) | None => self.definition(application).await?,
            };
            numbers.insert(application.name.clone(), number);
        }
        Ok(numbers)
    }

    /// Returns where the references of a source led when dispatch last looked.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn seen(&self, source: &Name) -> Result<BTreeMap<Reference, CommitId>, Error> {
        let rows = query("SELECT reference, commit_id FROM refs WHERE source = $1")
            .bind(source.as_str())
            .rows(self.read())
            .await?;
        rows.iter().map(|row| Ok((column::reference(row)?, column::commit(row)?))).collect()
    }

    /// Remembers where a reference leads; `None` when it leads nowhere.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn saw(
        &self,
        source: &Name,
        reference: &Reference,
        commit: Option<&CommitId>,
    ) -> Result<(), Error> {
        let query = match commit {
            Some(commit) => query(
                "INSERT INTO refs (source, reference, commit_id) VALUES ($1, $2, $3) \
                     ON CONFLICT (source, reference) DO UPDATE SET commit_id = excluded.commit_id",
            )
            .bind(source.as_str())
            .bind(reference.to_string())
            .bind(commit.as_str()),
            None => query("DELETE FROM refs WHERE source = $1 AND reference = $2")
                .bind(source.as_str())
                .bind(reference.to_string()),
        };
        query.run(self.write()).await?;
        Ok(())
    }
}

/// Ends the remembered work of a target, if `dispatch` is the one that made it.
///
/// A healthy end closes only what was remembered with the `inputs` of the run, where they are known: a job that found a
/// newer tip makes that one true, not what was dispatched.
///
/// A bad end outweighs a healthy one of the same dispatch, in whatever order they come: the next event then makes
/// one more pass, which is cheap.
pub async fn end(
    tx: &mut Tx,
    target: &Target,
    dispatch: &str,
    phase: Phase,
    inputs: Option<&Inputs>,
) -> Result<(), Error> {
    let state = match phase {
        Phase::Healthy => State::Closed,
        Phase::Failed | Phase::Error => State::Failed,
        Phase::Pending | Phase::Running | Phase::Applied | Phase::Superseded => return Ok(()),
    };
    query(
        "UPDATE memory SET state = $1 WHERE application = $2 AND cluster = $3 AND dispatch = $4 \
         AND ((state <> 'rolled_back' AND $1 = 'failed') OR (state = 'open' AND ($5 IS NULL OR inputs = $5)))",
    )
    .bind(state.word())
    .bind(target.application.as_str())
    .bind(target.cluster.as_str())
    .bind(dispatch)
    .bind(inputs.map(|inputs| inputs.0.as_str()))
    .run(tx)
    .await?;
    Ok(())
}

async fn remember(tx: &mut Tx, row: &Memory) -> Result<(), Error> {
    query(
        "INSERT INTO memory \
         (application, cluster, source, reference, inputs, commit_id, definition, dispatch, state) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (application, cluster) DO UPDATE SET \
         source = excluded.source, reference = excluded.reference, inputs = excluded.inputs, \
         commit_id = excluded.commit_id, definition = excluded.definition, dispatch = excluded.dispatch, \
         state = excluded.state",
    )
    .bind(row.target.application.as_str())
    .bind(row.target.cluster.as_str())
    .bind(row.source.as_str())
    .bind(row.reference.to_string())
    .bind(row.inputs.0.as_str())
    .bind(row.commit.as_str())
    .bind(i64::try_from(row.definition).unwrap_or(i64::MAX))
    .bind(row.dispatch.as_str())
    .bind(row.state.word())
    .run(tx)
    .await?;
    Ok(())
}

fn remembered(row: &Row) -> Result<Memory, Error> {
    let state: String = column::text(row, "state")?;
    Ok(Memory {
        target: column::target(row)?,
        source: column::name(row, "source")?,
        reference: column::reference(row)?,
        inputs: Inputs(column::text(row, "inputs")?),
        commit: column::commit(row)?,
        definition: unsigned(column::number(row, "definition")?)?,
        dispatch: column::text(row, "dispatch")?,
        state: State::from_word(&state).ok_or(Error::Damaged { what: "the state of a target" })?,
    })
}

/// Returns a digest that is equal exactly for equal definitions: keys are sorted on the way through a value.
fn digest(application: &Application) -> Result<String, Error> {
    let what = "a definition";
    let value = serde_json::to_value(application).map_err(|_| Error::Damaged { what })?;
    Ok(hex::encode(Sha256::digest(column::to_json(&value, what)?)))
}

fn unsigned(number: i64) -> Result<u64, Error> {
    u64::try_from(number).map_err(|_| Error::Damaged { what: "the number of a definition" })
}
