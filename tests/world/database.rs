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
        self.url_over(None)
    }

    /// Returns its address over another way to the server.
    pub fn url_over(&self, authority: Option<&str>) -> String {
        let bed = bed("WINDLASS_BED_POSTGRES_URL");
        let (address, more) = bed.split_once('?').map_or((bed, String::new()), |(a, m)| (a, format!("?{m}")));
        let (server, _) = address.rsplit_once('/').unwrap();
        let own = self.authority();
        let server = authority.map_or(server.to_owned(), |other| server.replace(&own, other));
        format!("{server}/{}{more}", self.name)
    }

    /// Returns where the server is.
    pub fn authority(&self) -> String {
        let (_, rest) = bed("WINDLASS_BED_POSTGRES_URL").split_once("://").unwrap();
        let authority = rest.split(['/', '?']).next().unwrap();
        authority.rsplit_once('@').map_or(authority, |(_, host)| host).to_owned()
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
