//! Statuses on their way to a forge: what is due, and what became of it. Only the newest state of a status is ever
//! due; those that it overtook are never sent.

use std::time::Duration;

use crate::application::Name;
use crate::forge::github::checks::Check;
use crate::moment::Moment;
use crate::outcome::Phase;
use crate::store::Due;
use crate::store::Error;
use crate::store::Store;
use crate::store::column;
use crate::store::sql::Row;
use crate::store::sql::query;
use crate::store::turn::Turn;
use crate::trace::Trace;

/// How many statuses may be asked for at once?
const DUE_AT_ONCE: u32 = 1_000;

impl Store {
    /// Returns statuses that a forge has not been told as they are, the oldest first; at most 1,000.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn due(&self, now: Moment, limit: u32) -> Result<Vec<Due>, Error> {
        self.due_but(now, limit, &[]).await
    }

    /// Returns the same without the statuses of some sources.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn due_but(&self, now: Moment, limit: u32, without: &[Name]) -> Result<Vec<Due>, Error> {
        let rows = query(
            "SELECT id, source, commit_id, context, application, cluster, run, phase, description, version, tries, sent, \
             shown, trace, posted_phase, posted_at, (SELECT opened_at FROM ledger WHERE ledger.source = statuses.source \
             AND ledger.commit_id = statuses.commit_id AND ledger.application = statuses.application \
             AND ledger.cluster = statuses.cluster) AS opened_at FROM statuses WHERE wanting = 1 AND muted = 0 AND due_at <= $1 \
             AND replace($2, '\"' || source || '\"', '') = $2 ORDER BY id LIMIT $3",
        )
        .bind(now.0)
        .bind(list(without))
        .bind(limit.min(DUE_AT_ONCE))
        .rows(self.read())
        .await?;
        rows.iter().map(due).collect()
    }

    /// Notes what is known of the check run that shows a status, and from when on it is due again, at once without a
    /// time. The forge may have heard of it, so it is never muted from then on.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn showing(
        &self,
        status: i64,
        check: Option<&Check>,
        again: Option<Moment>,
    ) -> Result<(), Error> {
        let check = check.map(|check| column::to_json(check, "a check run")).transpose()?;
        query("UPDATE statuses SET shown = $1, due_at = $2, muted = 0 WHERE id = $3")
            .bind(check)
            .bind(again.map_or(0, |again| again.0))
            .bind(status)
            .run(self.write())
            .await?;
        Ok(())
    }

    /// Notes that a forge is being sent a status as `due` has it. Should nobody hear of the answer, it is due again at
    /// `again`, and unsure. The forge may have heard of it, so it is never muted from then on.
    ///
    /// # Errors
    /// The store cannot be written; nothing shall be sent then.
    pub async fn sending(&self, due: &Due, again: Moment) -> Result<(), Error> {
        query("UPDATE statuses SET sent = $1, due_at = $2, muted = 0 WHERE id = $3")
            .bind(due.version)
            .bind(again.0)
            .bind(due.id)
            .run(self.write())
            .await?;
        Ok(())
    }

    /// Notes that a forge does not show a status that it was sent: it is to be sent again, at once.
    ///
    /// # Errors
    /// The store cannot be written; the forge is then asked again.
    pub async fn not_sent(&self, due: &Due) -> Result<(), Error> {
        query("UPDATE statuses SET sent = NULL WHERE id = $1").bind(due.id).run(self.write()).await?;
        Ok(())
    }

    /// Notes that a forge was told a status, and shows it, as `due` has it. A state that came meanwhile stays due.
    ///
    /// # Errors
    /// The store cannot be written; the status will then be looked for.
    pub async fn posted(&self, due: &Due, at: Moment) -> Result<(), Error> {
        let check = due.check.as_ref().map(|check| column::to_json(check, "a check run")).transpose()?;
        query(
            "UPDATE statuses SET posted_phase = $1, posted_description = $2, posted_at = $3, \
             wanting = CASE WHEN phase = $1 AND description = $2 AND version = $6 THEN 0 ELSE 1 END, muted = 0, due_at = 0, tries = 0, why = NULL, \
             sent = NULL, shown = $5 WHERE id = $4",
        )
        .bind(due.phase.word())
        .bind(due.description.as_str())
        .bind(at.0)
        .bind(due.id)
        .bind(check)
        .bind(due.version)
        .run(self.write())
        .await?;
        Ok(())
    }

    /// Puts a status off after a failed try, whatever state it has come to meanwhile: it is the forge that is waited
    /// for. Where `due` is unsure, the forge may have taken it all the same. It is never muted from then on.
    ///
    /// # Errors
    /// The store cannot be written; the status then stays due.
    pub async fn postpone(&self, due: &Due, until: Moment, why: &str) -> Result<(), Error> {
        query(
            "UPDATE statuses SET due_at = $1, tries = tries + 1, why = $2, sent = $3, muted = 0 WHERE id = $4",
        )
        .bind(until.0)
        .bind(why)
        .bind(due.unsure.then_some(due.version))
        .bind(due.id)
        .run(self.write())
        .await?;
        Ok(())
    }

    /// Gives a status up in the state that `due` has. A later state is due again.
    ///
    /// # Errors
    /// The store cannot be written; the status then stays due.
    pub async fn give_up(&self, due: &Due, why: &str) -> Result<(), Error> {
        query(
            "UPDATE statuses SET wanting = 0, tries = 0, sent = NULL, why = $1 WHERE id = $2 AND version = $3",
        )
        .bind(why)
        .bind(due.id)
        .bind(due.version)
        .run(self.write())
        .await?;
        Ok(())
    }

    /// Puts off all statuses of a source until its forge may be asked again; those due later stay so.
    ///
    /// # Errors
    /// The store cannot be written; the statuses then stay due.
    pub async fn hold_back(&self, source: &Name, until: Moment) -> Result<(), Error> {
        let mut tx = self.begin(&Turn::Source(source)).await?;
        // No index has the source with nothing behind it: all that was ever posted for it is not to be walked.
        query(
            "UPDATE statuses SET due_at = $1 WHERE wanting = 1 AND muted = 0 AND due_at < $1 AND source || '' = $2",
        )
        .bind(until.0)
        .bind(source.as_str())
        .run(&mut tx)
        .await?;
        tx.commit().await
    }

    /// Returns when the next status is due; `None` when none is waiting.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn next_due(&self) -> Result<Option<Moment>, Error> {
        self.next_due_but(&[]).await
    }

    async fn next_due_but(&self, without: &[Name]) -> Result<Option<Moment>, Error> {
        let next = query(
            "SELECT due_at FROM statuses WHERE wanting = 1 AND muted = 0 \
             AND replace($1, '\"' || source || '\"', '') = $1 ORDER BY due_at LIMIT 1",
        )
        .bind(list(without))
        .row(self.read())
        .await?;
        next.map(|row| column::moment(&row, "due_at")).transpose()
    }

    /// Waits until a status is due, a report has come in, or `most` has passed.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn wait_due(&self, now: Moment, most: Duration) -> Result<(), Error> {
        self.wait_due_but(now, most, &[]).await
    }

    /// Waits the same way, whatever is due of some sources.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn wait_due_but(&self, now: Moment, most: Duration, without: &[Name]) -> Result<(), Error> {
        let mut news = std::pin::pin!(self.inner.news.next());
        // From here on no report goes unheard, also not one that comes while the store is read.
        news.as_mut().enable();
        let wait = match self.next_due_but(without).await? {
            Some(next) => most.min(Duration::from_millis(next.since(now))),
            None => most,
        };
        if !wait.is_zero() {
            // Both ends of the wait are fine: the caller looks again.
            let _ended = tokio::time::timeout(wait, news).await;
        }
        Ok(())
    }

    /// Wakes whoever waits for statuses to become due.
    pub(super) fn announce(&self) {
        self.inner.news.announce();
    }
}

/// Returns names as one text. No name has a quote, so that a name in quotes is in it exactly when it was listed.
fn list(names: &[Name]) -> String {
    serde_json::Value::from_iter(names.iter().map(Name::as_str)).to_string()
}

/// Returns when the event behind a status reached windlass, where the forge is to hear a verdict on a target for the first
/// time. What is told once more at the press of a button says nothing of how long a verdict took.
fn verdict_on(row: &Row) -> Result<Option<Moment>, Error> {
    let told = column::text_or_none(row, "posted_phase")?.and_then(|word| Phase::from_word(&word));
    let first = match told {
        Some(told) => !told.is_final(),
        None => column::number_or_none(row, "posted_at")?.is_none(),
    };
    let opened = column::number_or_none(row, "opened_at")?.map(Moment);
    Ok(opened.filter(|_| first).filter(|_| column::phase(row).is_ok_and(Phase::is_final)))
}

fn due(row: &Row) -> Result<Due, Error> {
    let target = match column::text_or_none(row, "application")? {
        Some(_) => Some(column::target(row)?),
        None => None,
    };
    let version = column::number(row, "version")?;
    Ok(Due {
        id: column::number(row, "id")?,
        source: column::name(row, "source")?,
        commit: column::commit(row)?,
        context: column::text(row, "context")?,
        phase: column::phase(row)?,
        description: column::text(row, "description")?,
        target,
        run: column::text_or_none(row, "run")?,
        version,
        unsure: column::number_or_none(row, "sent")? == Some(version),
        tries: u32::try_from(column::number(row, "tries")?).unwrap_or(u32::MAX),
        check: column::json_or_none(row, "shown")?,
        trace: column::text_or_none(row, "trace")?.as_deref().and_then(Trace::parse),
        verdict_on: verdict_on(row)?,
    })
}
