//! Beginning, ending and undoing the writer's transactions.

use sqlx::ConnectOptions;

use crate::queue::sqlite::open;
use crate::queue::sqlite::operation::Mode;
use crate::queue::sqlite::writer::Writer;

impl Writer {
    /// Begins a transaction that promises `mode`.
    pub(super) async fn begin(&mut self, mode: Mode) -> Result<(), sqlx::Error> {
        if self.mode != Some(mode) {
            self.mode = None;
            let pragmas = sqlx::AssertSqlSafe(self.options.pragmas(mode));
            sqlx::raw_sql(pragmas).execute(&mut self.table.connection).await?;
            self.mode = Some(mode);
        }
        match sqlx::query("BEGIN IMMEDIATE").execute(&mut self.table.connection).await {
            Ok(_) => Ok(()),
            Err(error) => {
                self.roll_back().await;
                Err(error)
            }
        }
    }

    /// Ends the transaction; when that fails, nothing of it was done.
    pub(super) async fn commit(&mut self) -> Result<(), sqlx::Error> {
        match sqlx::query("COMMIT").execute(&mut self.table.connection).await {
            Ok(_) => Ok(()),
            Err(error) => {
                self.roll_back().await;
                Err(error)
            }
        }
    }

    /// Leaves no transaction behind. SQLite ends some by itself when they fail, and a connection may be beyond use;
    /// whenever in doubt a fresh one takes its place.
    pub(super) async fn roll_back(&mut self) {
        if sqlx::query("ROLLBACK").execute(&mut self.table.connection).await.is_ok() {
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
