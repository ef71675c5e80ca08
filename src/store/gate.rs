//! What keeps targets closed and what waits for them: the pauses and other orders of people, and the targets where
//! something is held. Every process that shares the store sees the same.

use crate::application::Name;
use crate::application::Target;
use crate::commit::CommitId;
use crate::moment::Moment;
use crate::pause::Audited;
use crate::pause::Order;
use crate::pause::Pause;
use crate::pause::Scope;
use crate::store::Error;
use crate::store::Store;
use crate::store::column;
use crate::store::news;
use crate::store::sql::Row;
use crate::store::sql::Tx;
use crate::store::sql::query;

/// How many pauses, held targets or wishes are read at once? Those beyond are seen when others are gone.
pub(super) const AT_ONCE: u32 = 10_000;

/// How many orders may be asked for at once?
const ORDERS_AT_ONCE: u32 = 1_000;

/// A target where something waits for it to open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The target.
    pub target: Target,
    /// The source of its application.
    pub source: Name,
    /// Do commits wait there?
    pub commits: bool,
    /// Does drift wait there to be corrected?
    pub drift: bool,
    /// Since when.
    pub since: Moment,
    /// When it was last found closed.
    pub noted_at: Moment,
    /// When it opens, as far as that was known then.
    pub until: Option<Moment>,
    /// What closed it then, in words.
    pub why: String,
}

/// A pass of a target that a person wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// By what it is granted.
    pub number: i64,
    /// The target.
    pub target: Target,
    /// Whatever windows and pauses say?
    pub regardless: bool,
    /// The commit of which it may prune all that left it, whatever the guard says.
    pub prunes: Option<CommitId>,
}

impl Store {
    /// Returns all pauses, by what they are for.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn pauses(&self) -> Result<Vec<Pause>, Error> {
        let rows = query(
            "SELECT application, cluster, who, why, since FROM pauses ORDER BY application, cluster LIMIT $1",
        )
        .bind(AT_ONCE)
        .rows(self.read())
        .await?;
        let pause = |row: &Row| {
            Ok(Pause {
                scope: scope(row)?,
                by: column::text(row, "who")?,
                why: column::text(row, "why")?,
                since: column::moment(row, "since")?,
            })
        };
        rows.iter().map(pause).collect()
    }

    /// Pauses something, and notes so in the audit. What is paused already has the new reason from then on.
    ///
    /// # Errors
    /// The store cannot be written; then nothing is paused.
    pub async fn pause(&self, pause: &Pause) -> Result<(), Error> {
        let Pause { scope, by, why, since } = pause.clone();
        let mut tx = self.write().begin().await?;
        query(
            "INSERT INTO pauses (application, cluster, who, why, since) VALUES ($1, $2, $3, $4, $5) \
             ON CONFLICT (application, cluster) DO UPDATE SET who = excluded.who, why = excluded.why, \
             since = excluded.since",
        )
        .bind(part(scope.application.as_ref()))
        .bind(part(scope.cluster.as_ref()))
        .bind(by.as_str())
        .bind(why.as_str())
        .bind(since.0)
        .run(&mut tx)
        .await?;
        note(&mut tx, &Audited { at: since, by, order: Order::Pause, scope, why }).await?;
        self.end(tx).await
    }

    /// Ends a pause, and notes so in the audit. Returns whether there was one of exactly that scope.
    ///
    /// # Errors
    /// The store cannot be written; then nothing has changed.
    pub async fn resume(&self, scope: &Scope, by: &str, why: &str, at: Moment) -> Result<bool, Error> {
        let mut tx = self.write().begin().await?;
        let ended = query("DELETE FROM pauses WHERE application = $1 AND cluster = $2")
            .bind(part(scope.application.as_ref()))
            .bind(part(scope.cluster.as_ref()))
            .run(&mut tx)
            .await?;
        if ended == 0 {
            return Ok(false);
        }
        let (by, why) = (by.to_owned(), why.to_owned());
        note(&mut tx, &Audited { at, by, order: Order::Resume, scope: scope.clone(), why }).await?;
        self.end(tx).await.map(|()| true)
    }

    /// Notes that a person wants a pass of some targets, in the audit too.
    ///
    /// # Errors
    /// The store cannot be written; then nothing is asked for.
    pub async fn wish(
        &self,
        targets: &[Target],
        order: &Audited,
        prunes: Option<&CommitId>,
    ) -> Result<(), Error> {
        let mut tx = self.write().begin().await?;
        for target in targets {
            wished(&mut tx, target, order.order == Order::Override, prunes).await?;
        }
        note(&mut tx, order).await?;
        self.end(tx).await
    }

    /// Notes an order in the audit that somebody carries out without windlass.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn note(&self, order: &Audited) -> Result<(), Error> {
        let mut tx = self.write().begin().await?;
        note(&mut tx, order).await?;
        self.end(tx).await
    }

    /// Returns the wishes that were not granted yet, the oldest first.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn wishes(&self) -> Result<Vec<Wish>, Error> {
        let rows =
            query("SELECT seq, application, cluster, regardless, prunes FROM wishes ORDER BY seq LIMIT $1")
                .bind(AT_ONCE)
                .rows(self.read())
                .await?;
        let wish = |row: &Row| {
            Ok(Wish {
                number: column::number(row, "seq")?,
                target: column::target(row)?,
                regardless: column::number(row, "regardless")? == 1,
                prunes: column::text_or_none(row, "prunes")?.and_then(|text| CommitId::parse(&text).ok()),
            })
        };
        rows.iter().map(wish).collect()
    }

    /// Takes a wish away, once it was asked for.
    ///
    /// # Errors
    /// The store cannot be written; the wish then stays.
    pub async fn grant(&self, wish: &Wish) -> Result<(), Error> {
        query("DELETE FROM wishes WHERE seq = $1").bind(wish.number).run(self.write()).await.map(drop)
    }

    /// Returns the last orders, the newest first; at most 1,000.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn orders(&self, limit: u32) -> Result<Vec<Audited>, Error> {
        let rows =
            query("SELECT at, who, what, application, cluster, why FROM audit ORDER BY seq DESC LIMIT $1")
                .bind(limit.min(ORDERS_AT_ONCE))
                .rows(self.read())
                .await?;
        let order = |row: &Row| {
            let order = Order::from_word(&column::text(row, "what")?);
            Ok(Audited {
                at: column::moment(row, "at")?,
                by: column::text(row, "who")?,
                order: order.ok_or(Error::Damaged { what: "an order" })?,
                scope: scope(row)?,
                why: column::text(row, "why")?,
            })
        };
        rows.iter().map(order).collect()
    }

    /// Returns the targets where something waits, by name.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn held(&self) -> Result<Vec<Held>, Error> {
        let rows = query(
            "SELECT application, cluster, source, commits, drift, since, noted_at, until, why FROM held \
             ORDER BY application, cluster LIMIT $1",
        )
        .bind(AT_ONCE)
        .rows(self.read())
        .await?;
        let held = |row: &Row| {
            Ok(Held {
                target: column::target(row)?,
                source: column::name(row, "source")?,
                commits: column::number(row, "commits")? == 1,
                drift: column::number(row, "drift")? == 1,
                since: column::moment(row, "since")?,
                noted_at: column::moment(row, "noted_at")?,
                until: column::number_or_none(row, "until")?.map(Moment),
                why: column::text(row, "why")?,
            })
        };
        rows.iter().map(held).collect()
    }

    /// Notes that something waits in targets; what waits there already goes on to.
    ///
    /// # Errors
    /// The store cannot be written; then none is noted.
    pub async fn hold(&self, targets: &[Held]) -> Result<(), Error> {
        if targets.is_empty() {
            return Ok(());
        }
        let mut tx = self.write().begin().await?;
        for Held { target, source, commits, drift, since, noted_at, until, why } in targets {
            query(
                "INSERT INTO held (application, cluster, source, commits, drift, since, until, why, noted_at) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (application, cluster) DO UPDATE SET \
                 source = excluded.source, noted_at = excluded.noted_at, until = excluded.until, why = excluded.why, \
                 commits = CASE WHEN excluded.commits = 1 THEN 1 ELSE held.commits END, \
                 drift = CASE WHEN excluded.drift = 1 THEN 1 ELSE held.drift END",
            )
            .bind(target.application.as_str())
            .bind(target.cluster.as_str())
            .bind(source.as_str())
            .bind(*commits)
            .bind(*drift)
            .bind(since.0)
            .bind(until.map(|until| until.0))
            .bind(why.as_str())
            .bind(noted_at.0)
            .run(&mut tx)
            .await?;
        }
        self.end(tx).await
    }

    /// Notes that drift of a target waits no more; its commits may.
    ///
    /// # Errors
    /// The store cannot be written; it then counts as held.
    pub async fn release_drift(&self, target: &Target) -> Result<(), Error> {
        let (application, cluster) = (target.application.as_str(), target.cluster.as_str());
        // In this order a process that ends in between leaves no row of which nothing waits.
        query("DELETE FROM held WHERE application = $1 AND cluster = $2 AND commits = 0")
            .bind(application)
            .bind(cluster)
            .run(self.write())
            .await?;
        query("UPDATE held SET drift = 0 WHERE application = $1 AND cluster = $2")
            .bind(application)
            .bind(cluster)
            .run(self.write())
            .await
            .map(drop)
    }

    /// Notes that nothing waits in a target any more.
    ///
    /// # Errors
    /// The store cannot be written; it then counts as held.
    pub async fn release(&self, target: &Target) -> Result<(), Error> {
        query("DELETE FROM held WHERE application = $1 AND cluster = $2")
            .bind(target.application.as_str())
            .bind(target.cluster.as_str())
            .run(self.write())
            .await
            .map(drop)
    }

    /// Returns the commits that are pending in a target, the oldest first; of more than `limit`, the newest.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn pending(&self, source: &Name, target: &Target, limit: u32) -> Result<Vec<CommitId>, Error> {
        let rows = query(
            "SELECT commit_id FROM ledger WHERE open = 1 AND phase = 'pending' AND source = $1 \
             AND application = $2 AND cluster = $3 ORDER BY opened_at DESC, commit_id DESC LIMIT $4",
        )
        .bind(source.as_str())
        .bind(target.application.as_str())
        .bind(target.cluster.as_str())
        .bind(limit)
        .rows(self.read())
        .await?;
        rows.iter().rev().map(column::commit).collect()
    }

    /// Ends a transaction, and tells whoever opens targets to look.
    pub(super) async fn end(&self, mut tx: Tx) -> Result<(), Error> {
        if let Tx::Postgres(_) = tx {
            // Told with the end of the transaction, also when this process ends right after.
            query("SELECT pg_notify($1, '')").bind(news::GATE).rows(&mut tx).await?;
        }
        tx.commit().await?;
        self.look_at_the_gate();
        Ok(())
    }

    /// Tells whoever opens targets, in this process, that something has changed that concerns them.
    pub fn look_at_the_gate(&self) {
        self.inner.news.gate.notify_waiters();
    }

    /// Waits until something has changed that concerns who opens targets: since `look` began, which is done first.
    /// Such news may be lost.
    pub async fn at_the_gate<T>(
        &self,
        look: impl Future<Output = T>,
        wait: impl FnOnce(&T) -> std::time::Duration,
    ) -> T {
        let mut news = std::pin::pin!(self.inner.news.gate.notified());
        news.as_mut().enable();
        let looked = look.await;
        // Whether there were news or not, it is time to look again.
        let _ended = tokio::time::timeout(wait(&looked), news).await;
        looked
    }
}

fn part(name: Option<&Name>) -> &str {
    name.map_or("", Name::as_str)
}

fn scope(row: &Row) -> Result<Scope, Error> {
    let part = |column: &'static str| {
        let text = column::text(row, column)?;
        if text.is_empty() { Ok(None) } else { column::name(row, column).map(Some) }
    };
    Ok(Scope { application: part("application")?, cluster: part("cluster")? })
}

/// Adds the wish for a pass of a target.
pub(super) async fn wished(
    tx: &mut Tx,
    target: &Target,
    regardless: bool,
    prunes: Option<&CommitId>,
) -> Result<(), Error> {
    query("INSERT INTO wishes (application, cluster, regardless, prunes) VALUES ($1, $2, $3, $4)")
        .bind(target.application.as_str())
        .bind(target.cluster.as_str())
        .bind(regardless)
        .bind(prunes.map(CommitId::as_str))
        .run(tx)
        .await
        .map(drop)
}

/// Adds an order to the audit.
pub(super) async fn note(tx: &mut Tx, order: &Audited) -> Result<(), Error> {
    query("INSERT INTO audit (at, who, what, application, cluster, why) VALUES ($1, $2, $3, $4, $5, $6)")
        .bind(order.at.0)
        .bind(order.by.as_str())
        .bind(order.order.word())
        .bind(part(order.scope.application.as_ref()))
        .bind(part(order.scope.cluster.as_ref()))
        .bind(order.why.as_str())
        .run(tx)
        .await
        .map(drop)
}
