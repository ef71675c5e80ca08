//! Beginning, ending and undoing the writer's transactions.

use sqlx::ConnectOptions;

use crate::queue::sqlite::open;
use crate::queue::sqlite::operation::Mode;
use crate::queue::sqlite::writer::Writer;

impl Writer {
    /// Begins a transaction that promises `mode`. Every command crosses to the database's thread and back, so what the
    /// connection must be told first goes along.
    pub(super) async fn begin(&mut self, mode: Mode) -> Result<(), sqlx::Error> {
        let begun = if self.mode == Some(mode) {
            self.tell("BEGIN IMMEDIATE").await
        } else {
            self.mode = None;
            let statements = format!("{} BEGIN IMMEDIATE", self.options.pragmas(mode));
            let told =
                sqlx::raw_sql(sqlx::AssertSqlSafe(statements)).execute(&mut self.table.connection).await;
            told.map(|_| self.mode = Some(mode))
        };
        if begun.is_err() {
            self.roll_back().await;
        }
        begun
    }

    /// Ends the transaction; when that fails, it counts as not done.
    pub(super) async fn commit(&mut self) -> Result<(), sqlx::Error> {
        let committed = self.tell("COMMIT").await;
        if committed.is_err() {
            self.roll_back().await;
        }
        committed
    }

    async fn tell(&mut self, statement: &'static str) -> Result<(), sqlx::Error> {
        sqlx::query(statement).execute(&mut self.table.connection).await.map(drop)
    }

    /// Leaves no transaction behind. SQLite ends some by itself when they fail, and a connection may be beyond use;
    /// whenever in doubt a fresh one takes its place.
    pub(super) async fn roll_back(&mut self) {
        if self.tell("ROLLBACK").await.is_ok() {
            return;
        }
        match open::writing(&self.path).connect().await {
            Ok(fresh) => {
                self.mode = None;
                drop(std::mem::replace(&mut self.table.connection, fresh));
            }
            Err(error) => {
                tracing::warn!(error = %error, "failed to open the queue again, trying with the next use")
            }
        }
    }
}
