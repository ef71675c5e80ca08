//! The tables, and how an older file becomes a current one.

use std::path::Path;

use sqlx::SqlitePool;

use crate::store::Error;

/// The steps from an empty file to the current form; step `n` leads to form `n + 1`. A released step never changes.
const STEPS: &[&str] = &[include_str!("step1.sql"), include_str!("step2.sql"), include_str!("step3.sql")];

/// Brings the file to the current form, one transaction a step.
pub async fn bring_up(pool: &SqlitePool, path: &Path) -> Result<(), Error> {
    let failed = |source| Error::Open { path: path.to_owned(), source };
    let found: i64 = sqlx::query_scalar("PRAGMA user_version").fetch_one(pool).await.map_err(failed)?;
    let known = i64::try_from(STEPS.len()).unwrap_or(i64::MAX);
    if found > known {
        return Err(Error::Newer { path: path.to_owned(), found, known });
    }
    for (to, step) in (1..).zip(STEPS) {
        if to > found {
            take(pool, to, step).await?;
        }
    }
    Ok(())
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
        let pages: i64 = sqlx::query_scalar("PRAGMA page_count").fetch_one(store.write()).await.unwrap();
        let limit = sqlx::AssertSqlSafe(format!("PRAGMA max_page_count = {}", pages + 4));
        sqlx::query(limit).execute(store.write()).await.unwrap();
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
        sqlx::query("PRAGMA max_page_count = 100000").execute(store.write()).await.unwrap();
        store.record(&roster(taken)).await.unwrap();
        assert_eq!(store.due(Moment(0), 1_000).await.unwrap().len(), due.len() + 4);
    }

    #[tokio::test]
    async fn a_file_of_the_first_form_is_brought_up_with_all_that_is_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.db");
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&path).create_if_missing(true);
        let first = sqlx::SqlitePool::connect_with(options).await.unwrap();
        sqlx::raw_sql(super::STEPS[0]).execute(&first).await.unwrap();
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
        sqlx::query("PRAGMA user_version = 7").execute(store.write()).await.unwrap();
        store.close().await;
        let error = Store::open(&path).await.err().unwrap();
        assert!(matches!(error, Error::Newer { found: 7, known: 3, .. }), "{error:?}");
        assert_eq!(error.fault(), Fault::Ours);
    }
}
