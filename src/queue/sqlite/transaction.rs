//! Beginning, ending and undoing the writer's transactions.

use sqlx::ConnectOptions;

use crate::queue::sqlite::open;
use crate::queue::sqlite::operation::Mode;
use crate::queue::sqlite::writer::Writer;

impl Writer {
    /// Begins a transaction that promises `mode`.
    pub(super) async fn begin(&mut self, mode: Mode) -> Result<(), sqlx::Error> {
        let begun = self.promise(mode).await;
        let begun = if begun.is_ok() { self.tell("BEGIN IMMEDIATE").await } else { begun };
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

    /// Tells the connection what the next transaction promises, unless it knows.
    async fn promise(&mut self, mode: Mode) -> Result<(), sqlx::Error> {
        if self.mode != Some(mode) {
            self.mode = None;
            let pragmas = sqlx::AssertSqlSafe(self.options.pragmas(mode));
            sqlx::raw_sql(pragmas).execute(&mut self.table.connection).await?;
            self.mode = Some(mode);
        }
        Ok(())
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
