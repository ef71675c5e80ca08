//! Statements that run on SQLite and on Postgres alike: with `$1` for a parameter, lists as one text, and numbers for
//! what is true. Only tables, opening and the turn of a writer differ, and none of them is here.

use std::future::Future;
use std::time::Duration;

use sqlx::PgPool;
use sqlx::Postgres;
use sqlx::Sqlite;
use sqlx::SqlitePool;
use sqlx::Transaction;
use sqlx::postgres::PgArguments;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteArguments;
use sqlx::sqlite::SqliteRow;

use crate::store::Error;

/// How long may Postgres take for one statement, with all that it waits for before it?
///
/// Postgres itself gives up earlier; this is for a network that swallows the answer.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// Connections to one of the two.
pub enum Pool {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

/// A transaction; dropped, it is rolled back.
pub enum Tx {
    Sqlite(Transaction<'static, Sqlite>),
    Postgres(Transaction<'static, Postgres>),
}

/// A row as it was read; `column` takes it apart.
pub enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

/// Where a statement runs: on any connection by itself, or within a transaction.
pub enum On<'a> {
    Pool(&'a Pool),
    Tx(&'a mut Tx),
}

/// What a parameter may be.
pub enum Value {
    Text(Option<String>),
    Number(Option<i64>),
}

/// A statement with its parameters.
pub struct Query {
    text: &'static str,
    values: Vec<Value>,
}

/// Begins a statement.
pub fn query(text: &'static str) -> Query {
    Query { text, values: Vec::new() }
}

impl Pool {
    /// Begins a transaction. SQLite's is the only one that writes; one of Postgres sees with each statement what
    /// others have committed by then, whatever the database has as its default.
    pub async fn begin(&self) -> Result<Tx, Error> {
        let begun = match self {
            Self::Sqlite(pool) => pool.begin_with("BEGIN IMMEDIATE").await.map(Tx::Sqlite),
            Self::Postgres(pool) => {
                answered(pool.begin_with("BEGIN ISOLATION LEVEL READ COMMITTED")).await.map(Tx::Postgres)
            }
        };
        begun.map_err(Error::Write)
    }

    pub async fn close(&self) {
        match self {
            Self::Sqlite(pool) => pool.close().await,
            // A connection that does not answer closes with the process.
            Self::Postgres(pool) => {
                let _closed = tokio::time::timeout(ANSWER_WITHIN, pool.close()).await;
            }
        }
    }
}

impl Tx {
    /// Ends the transaction; what it wrote is on the disk when this returns.
    pub async fn commit(self) -> Result<(), Error> {
        let committed = match self {
            Self::Sqlite(tx) => tx.commit().await,
            Self::Postgres(tx) => answered(tx.commit()).await,
        };
        committed.map_err(Error::Write)
    }
}

impl Query {
    /// Adds the next parameter.
    pub fn bind(mut self, value: impl Into<Value>) -> Self {
        self.values.push(value.into());
        self
    }

    /// Runs the statement and returns all its rows, which the statement itself must bound.
    pub async fn rows(self, on: impl Into<On<'_>>) -> Result<Vec<Row>, Error> {
        let failed = if self.text.starts_with("SELECT") { Error::Read } else { Error::Write };
        let rows = match on.into() {
            On::Pool(Pool::Sqlite(pool)) => sqlite_rows(self.sqlite().fetch_all(pool).await),
            On::Tx(Tx::Sqlite(tx)) => sqlite_rows(self.sqlite().fetch_all(&mut **tx).await),
            On::Pool(Pool::Postgres(pool)) => postgres_rows(answered(self.postgres().fetch_all(pool)).await),
            On::Tx(Tx::Postgres(tx)) => postgres_rows(answered(self.postgres().fetch_all(&mut **tx)).await),
        };
        rows.map_err(failed)
    }

    /// Runs the statement and returns its first row. It has at most one, or few.
    pub async fn row(self, on: impl Into<On<'_>>) -> Result<Option<Row>, Error> {
        self.rows(on).await.map(|rows| rows.into_iter().next())
    }

    /// Runs the statement and returns how many rows it touched.
    pub async fn run(self, on: impl Into<On<'_>>) -> Result<u64, Error> {
        let done = match on.into() {
            On::Pool(Pool::Sqlite(pool)) => {
                self.sqlite().execute(pool).await.map(|done| done.rows_affected())
            }
            On::Tx(Tx::Sqlite(tx)) => self.sqlite().execute(&mut **tx).await.map(|done| done.rows_affected()),
            On::Pool(Pool::Postgres(pool)) => {
                answered(self.postgres().execute(pool)).await.map(|done| done.rows_affected())
            }
            On::Tx(Tx::Postgres(tx)) => {
                answered(self.postgres().execute(&mut **tx)).await.map(|done| done.rows_affected())
            }
        };
        done.map_err(Error::Write)
    }

    fn sqlite(self) -> sqlx::query::Query<'static, Sqlite, SqliteArguments> {
        self.values.into_iter().fold(sqlx::query(self.text), |query, value| match value {
            Value::Text(text) => query.bind(text),
            Value::Number(number) => query.bind(number),
        })
    }

    fn postgres(self) -> sqlx::query::Query<'static, Postgres, PgArguments> {
        self.values.into_iter().fold(sqlx::query(self.text), |query, value| match value {
            Value::Text(text) => query.bind(text),
            Value::Number(number) => query.bind(number),
        })
    }
}

fn sqlite_rows(rows: Result<Vec<SqliteRow>, sqlx::Error>) -> Result<Vec<Row>, sqlx::Error> {
    rows.map(|rows| rows.into_iter().map(Row::Sqlite).collect())
}

fn postgres_rows(rows: Result<Vec<PgRow>, sqlx::Error>) -> Result<Vec<Row>, sqlx::Error> {
    rows.map(|rows| rows.into_iter().map(Row::Postgres).collect())
}

/// Bounds the wait for an answer of Postgres.
pub async fn answered<T>(call: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
    let late = |_| Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()));
    tokio::time::timeout(ANSWER_WITHIN, call).await.unwrap_or_else(late)
}

impl<'a> From<&'a Pool> for On<'a> {
    fn from(pool: &'a Pool) -> Self {
        Self::Pool(pool)
    }
}

impl<'a> From<&'a mut Tx> for On<'a> {
    fn from(tx: &'a mut Tx) -> Self {
        Self::Tx(tx)
    }
}

impl From<String> for Value {
    /// Takes a text as both keep it: Postgres has no character for zero in a text.
    fn from(text: String) -> Self {
        Self::Text(Some(if text.contains('\0') { text.replace('\0', "\u{fffd}") } else { text }))
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl From<Option<&str>> for Value {
    fn from(text: Option<&str>) -> Self {
        text.map_or(Self::Text(None), Self::from)
    }
}

impl From<Option<String>> for Value {
    fn from(text: Option<String>) -> Self {
        text.map_or(Self::Text(None), Self::from)
    }
}

impl From<Option<i64>> for Value {
    fn from(number: Option<i64>) -> Self {
        Self::Number(number)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Number(Some(number))
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        i64::from(number).into()
    }
}

impl From<bool> for Value {
    fn from(truth: bool) -> Self {
        i64::from(truth).into()
    }
}
