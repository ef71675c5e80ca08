//! Where a store can be. The same claims are tried in each place, on stores of their own.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering;

use sqlx::Connection;
use sqlx::PgConnection;
use windlass::secret::Secret;
use windlass::store::Store;

/// Tries claims on both: each is a function of the place.
macro_rules! on_both {
    ($($claim:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test]
            async fn $claim() {
                super::$claim($crate::place::Place::Sqlite).await;
            })+
        }
        $crate::place::on_postgres!($($claim),+);
    };
}
pub(crate) use on_both;

/// Tries claims on Postgres alone.
macro_rules! on_postgres {
    ($($claim:ident),+ $(,)?) => {
        mod postgres {
            $(#[tokio::test]
            async fn $claim() {
                $crate::place::with_database(super::$claim).await;
            })+
        }
    };
}
pub(crate) use on_postgres;

#[derive(Clone)]
pub enum Place {
    Sqlite,
    /// The database of one claim, and how many stores it holds, each in a schema of its own.
    Postgres(String, Arc<AtomicU32>),
}

/// One store's own file or schema of a database.
pub enum Home {
    File(tempfile::TempDir),
    Database(Secret),
}

impl Place {
    pub async fn home(&self) -> Home {
        match self {
            Self::Sqlite => Home::File(tempfile::tempdir().unwrap()),
            Self::Postgres(database, stores) => {
                let url = url_of(database);
                let schema = format!("store{}", stores.fetch_add(1, Ordering::Relaxed));
                let mut admin = PgConnection::connect(&url).await.unwrap();
                execute(&mut admin, format!("CREATE SCHEMA {schema}")).await;
                let and = if url.contains('?') { '&' } else { '?' };
                let own = format!("{url}{and}options=-c%20search_path%3D{schema}");
                Home::Database(Secret::new(&own).unwrap())
            }
        }
    }
}

impl Home {
    pub async fn store(&self) -> Store {
        match self {
            Self::File(folder) => Store::open(&folder.path().join("store.db")).await.unwrap(),
            Self::Database(url) => Store::connect(url).await.unwrap(),
        }
    }

    /// The address of a database.
    pub fn url(&self) -> &Secret {
        match self {
            Self::File(_) => panic!("a store in a file has no address"),
            Self::Database(url) => url,
        }
    }
}

/// Tries a claim on Postgres and drops its database afterwards, whatever became of it.
pub async fn with_database<F>(claim: impl FnOnce(Place) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let name = format!("store_{}", uuid::Uuid::now_v7().simple());
    let mut admin = PgConnection::connect(&bed()).await.unwrap();
    execute(&mut admin, format!("CREATE DATABASE {name} TEMPLATE template0")).await;
    let ended = tokio::spawn(claim(Place::Postgres(name.clone(), Arc::default()))).await;
    execute(&mut admin, format!("DROP DATABASE {name} WITH (FORCE)")).await;
    if let Err(error) = ended {
        std::panic::resume_unwind(error.into_panic());
    }
}

/// The address of the bed's Postgres, or of one's own.
fn bed() -> String {
    let key = "WINDLASS_BED_POSTGRES_URL";
    let said = || {
        let home = || PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cache/windlass-bed");
        let bed = std::env::var_os("WINDLASS_BED").map_or_else(home, PathBuf::from);
        let text = std::fs::read_to_string(bed.join("run/env")).ok()?;
        let value = text.lines().filter_map(|line| line.split_once('=')).find(|(name, _)| *name == key);
        value.map(|(_, value)| value.to_owned())
    };
    let value = std::env::var(key).ok().or_else(said);
    value.unwrap_or_else(|| panic!("the bed knows no {key}: run scripts/bed up postgres"))
}

/// The bed's address with another database.
fn url_of(name: &str) -> String {
    let bed = bed();
    let (address, more) = bed.split_once('?').map_or((&*bed, String::new()), |(a, m)| (a, format!("?{m}")));
    let (server, _) = address.rsplit_once('/').unwrap();
    format!("{server}/{name}{more}")
}

pub async fn execute(connection: &mut PgConnection, statement: String) {
    sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(connection).await.unwrap();
}
