//! A Postgres database of its own, made and taken away through the bed's.

use sqlx::Connection;
use sqlx::PgConnection;

use super::bed;
use super::unique;

/// A database that is dropped with this.
pub struct Database {
    name: String,
}

impl Database {
    /// Makes one.
    pub async fn create() -> Self {
        let name = format!("world_{}", unique());
        execute(format!("CREATE DATABASE {name} TEMPLATE template0")).await;
        Self { name }
    }

    /// Returns its address.
    pub fn url(&self) -> String {
        let bed = bed("WINDLASS_BED_POSTGRES_URL");
        let (address, more) = bed.split_once('?').map_or((bed, String::new()), |(a, m)| (a, format!("?{m}")));
        let (server, _) = address.rsplit_once('/').unwrap();
        format!("{server}/{}{more}", self.name)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let statement = format!("DROP DATABASE {} WITH (FORCE)", self.name);
        // A runtime of its own, since the test's may be the one that panicked.
        let gone = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(execute(statement));
        });
        drop(gone.join());
    }
}

async fn execute(statement: String) {
    let mut admin = PgConnection::connect(bed("WINDLASS_BED_POSTGRES_URL")).await.unwrap();
    sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&mut admin).await.unwrap();
}
