//! The tables, and how an older store becomes a current one.

use std::path::Path;
use std::time::Duration;

use sqlx::PgConnection;
use sqlx::PgPool;
use sqlx::SqlitePool;

use crate::store::Error;
use crate::store::turn;

/// A step from one form to the next. Both texts make the same tables; on Postgres texts compare by their bytes, as they
/// do on SQLite.
struct Step {
    sqlite: &'static str,
    postgres: &'static str,
}

/// The steps from an empty store to the current form; step `n` leads to form `n`, from 1. A released step never changes.
const STEPS: &[Step] = &[
    Step { sqlite: include_str!("step1.sql"), postgres: include_str!("postgres/step1.sql") },
    Step { sqlite: include_str!("step2.sql"), postgres: include_str!("postgres/step2.sql") },
    Step { sqlite: include_str!("step3.sql"), postgres: include_str!("postgres/step3.sql") },
    Step { sqlite: include_str!("step4.sql"), postgres: include_str!("postgres/step4.sql") },
    Step { sqlite: include_str!("step5.sql"), postgres: include_str!("postgres/step5.sql") },
    Step { sqlite: include_str!("step6.sql"), postgres: include_str!("postgres/step6.sql") },
    Step { sqlite: include_str!("step7.sql"), postgres: include_str!("postgres/step7.sql") },
    Step { sqlite: include_str!("step8.sql"), postgres: include_str!("postgres/step8.sql") },
    Step { sqlite: include_str!("step9.sql"), postgres: include_str!("postgres/step9.sql") },
];

/// How long may a database take to come to the current form, with the wait for another process that brings it there?
const MIGRATE_WITHIN: Duration = Duration::from_secs(600);

/// The same for Postgres, which otherwise ends statements sooner.
const PATIENCE: &str = "SET LOCAL statement_timeout = '10min'; SET LOCAL lock_timeout = '10min'";

/// For how long may a step wait for a table that is in use? It is tried again at the next start.
const SOON: &str = "SET LOCAL lock_timeout = '5s'";

/// Brings a file to the current form, one transaction a step.
pub async fn bring_up_file(pool: &SqlitePool, path: &Path) -> Result<(), Error> {
    let failed = |source| Error::Open { path: path.to_owned(), source };
    let found: i64 = sqlx::query_scalar("PRAGMA user_version").fetch_one(pool).await.map_err(failed)?;
    for (to, step) in missing(found, &path.display().to_string())? {
        take(pool, to, step.sqlite).await?;
    }
    Ok(())
}

/// Returns the steps that lead on from a form, each with the form that it leads to.
fn missing(found: i64, place: &str) -> Result<impl Iterator<Item = (i64, &'static Step)>, Error> {
    let known = i64::try_from(STEPS.len()).unwrap_or(i64::MAX);
    if found > known {
        return Err(Error::Newer { place: place.to_owned(), found, known });
    }
    Ok((1..).zip(STEPS).filter(move |(to, _)| *to > found))
}

async fn take(pool: &SqlitePool, to: i64, step: &'static str) -> Result<(), Error> {
    let failed = |source| Error::Migrate { to, source };
    let mut tx = pool.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
    // Another process may have taken the step while this one waited for its turn.
    let found: i64 = sqlx::query_scalar("PRAGMA user_version").fetch_one(&mut *tx).await.map_err(failed)?;
    if found < to {
        sqlx::raw_sql(step).execute(&mut *tx).await.map_err(failed)?;
    }
    tx.commit().await.map_err(failed)
}

/// Brings a database to the current form, in one transaction and under a lock that all processes share.
pub async fn bring_up_database(pool: &PgPool, place: &str) -> Result<(), Error> {
    let known = i64::try_from(STEPS.len()).unwrap_or(i64::MAX);
    let failed = |source| Error::Migrate { to: known, source };
    let all = async {
        let mut tx = pool.begin().await.map_err(failed)?;
        sqlx::raw_sql(PATIENCE).execute(&mut *tx).await.map_err(failed)?;
        let lock = sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(turn::key("form"));
        lock.execute(&mut *tx).await.map_err(failed)?;
        let found = form(&mut tx).await.map_err(failed)?;
        // Who waits for a table holds up all who come after, and the processes that run are among them.
        sqlx::raw_sql(SOON).execute(&mut *tx).await.map_err(failed)?;
        for (to, step) in missing(found, place)? {
            let failed = |source| Error::Migrate { to, source };
            sqlx::raw_sql(step.postgres).execute(&mut *tx).await.map_err(failed)?;
            let note = sqlx::query("UPDATE windlass_form SET number = $1").bind(to);
            note.execute(&mut *tx).await.map_err(failed)?;
        }
        tx.commit().await.map_err(failed)
    };
    let late = |_| Err(failed(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())));
    tokio::time::timeout(MIGRATE_WITHIN, all).await.unwrap_or_else(late)
}

/// Returns the form of a database, from 0 where it is empty.
async fn form(connection: &mut PgConnection) -> Result<i64, sqlx::Error> {
    // A user who may only read and write rows gets along with tables that are there.
    let there = "SELECT to_regclass('windlass_form') IS NOT NULL";
    if !sqlx::query_scalar(there).fetch_one(&mut *connection).await? {
        let fresh =
            "CREATE TABLE windlass_form (number BIGINT NOT NULL); INSERT INTO windlass_form VALUES (0)";
        sqlx::raw_sql(fresh).execute(&mut *connection).await?;
    }
    sqlx::query_scalar("SELECT number FROM windlass_form").fetch_one(connection).await
}

#[cfg(test)]
mod tests {
    use crate::application::Name;
    use crate::application::Target;
    use crate::commit::CommitId;
    use crate::fault::Fault;
    use crate::moment::Moment;
    use crate::outcome::Report;
    use crate::outcome::Told;
    use crate::outcome::VERSION;
    use crate::store::Error;
    use crate::store::Store;
    use crate::store::sql::Pool;

    fn file(store: &Store) -> &sqlx::SqlitePool {
        match store.write() {
            Pool::Sqlite(pool) => pool,
            Pool::Postgres(_) => panic!("a store in a file"),
        }
    }

    fn roster(number: u32) -> Report {
        let target = |cluster: &str| Target {
            application: Name::parse("shop").unwrap(),
            cluster: Name::parse(cluster).unwrap(),
        };
        let told = Told::Roster {
            dispatch: format!("dispatch-{number}"),
            source: Name::parse("shop").unwrap(),
            commit: CommitId::parse(&format!("{:040x}", number + 1)).unwrap(),
            targets: ["east", "west", "north"].map(target).to_vec(),
            received_at: Moment(0),
        };
        Report { version: VERSION, at: Moment(0), what: told }
    }

    #[tokio::test]
    async fn a_full_disk_takes_nothing_in_by_halves_and_passes() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store.db")).await.unwrap();
        let pages: i64 = sqlx::query_scalar("PRAGMA page_count").fetch_one(file(&store)).await.unwrap();
        let limit = sqlx::AssertSqlSafe(format!("PRAGMA max_page_count = {}", pages + 4));
        sqlx::query(limit).execute(file(&store)).await.unwrap();
        let mut taken = 0;
        let error = loop {
            match store.record(&roster(taken)).await {
                Ok(()) => taken += 1,
                Err(error) => break error,
            }
        };
        assert!(matches!(error, Error::Write(_)), "{error:?}");
        assert_eq!(error.fault(), Fault::Passing);
        let due = store.due(Moment(0), 1_000).await.unwrap();
        assert_eq!(due.len(), 4 * usize::try_from(taken).unwrap());
        sqlx::query("PRAGMA max_page_count = 100000").execute(file(&store)).await.unwrap();
        store.record(&roster(taken)).await.unwrap();
        assert_eq!(store.due(Moment(0), 1_000).await.unwrap().len(), due.len() + 4);
    }

    #[tokio::test]
    async fn a_file_of_the_first_form_is_brought_up_with_all_that_is_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.db");
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&path).create_if_missing(true);
        let first = sqlx::SqlitePool::connect_with(options).await.unwrap();
        sqlx::raw_sql(super::STEPS[0].sqlite).execute(&first).await.unwrap();
        let insert = "INSERT INTO statuses (source, commit_id, context, phase, description) \
            VALUES ('shop', '0000000000000000000000000000000000000001', 'windlass', 'pending', 'queued')";
        sqlx::query(insert).execute(&first).await.unwrap();
        first.close().await;
        let store = Store::open(&path).await.unwrap();
        let due = store.due(Moment(0), 10).await.unwrap();
        assert_eq!((due.len(), due[0].context.as_str(), &due[0].check), (1, "windlass", &None));
    }

    #[tokio::test]
    async fn a_file_of_a_newer_windlass_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.db");
        let store = Store::open(&path).await.unwrap();
        let next = i64::try_from(super::STEPS.len()).unwrap() + 1;
        let pragma = sqlx::AssertSqlSafe(format!("PRAGMA user_version = {next}"));
        sqlx::query(pragma).execute(file(&store)).await.unwrap();
        store.close().await;
        let error = Store::open(&path).await.err().unwrap();
        assert!(
            matches!(error, Error::Newer { found, known, .. } if found == next && known == next - 1),
            "{error:?}"
        );
        assert_eq!(error.fault(), Fault::Ours);
    }
}
