//! News that statuses may have become due, or that targets may have opened: within this process and, on Postgres, between
//! processes. News may be lost; whoever waits for them also looks by itself now and then.

use std::sync::Arc;
use std::time::Duration;

use sqlx::PgPool;
use sqlx::postgres::PgConnectOptions;
use sqlx::postgres::PgListener;
use sqlx::postgres::PgPoolOptions;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use tokio::task::AbortHandle;
use uuid::Uuid;

use crate::fault::chain;
use crate::store::TURN_WITHIN;
use crate::store::sql;

/// Where do processes call each other? Within one database.
const CHANNEL: &str = "windlass_due";

/// Where do they call each other about what keeps targets closed?
pub const GATE: &str = "windlass_gate";

/// How long may a connection say nothing before another takes its place? One that is dead says nothing, too.
const SILENT_AT_MOST: Duration = Duration::from_secs(60);

/// How long is the pause after a connection failed?
const AGAIN_AFTER: Duration = Duration::from_secs(5);

/// The news of one store.
pub struct News {
    here: Arc<Notify>,
    /// Told when something has changed that keeps targets closed, or waits for them.
    pub gate: Arc<Notify>,
    abroad: Option<Abroad>,
}

/// The other processes: calls for them gather while one is under way.
struct Abroad {
    call: Arc<Notify>,
    carrier: AbortHandle,
}

impl News {
    /// Returns news within this process.
    pub fn here() -> Self {
        Self { here: Arc::new(Notify::new()), gate: Arc::new(Notify::new()), abroad: None }
    }

    /// Returns news between the processes that share a database; a task carries them until they are dropped.
    pub fn between(options: PgConnectOptions, pool: PgPool) -> Self {
        let [here, gate, call] = [(); 3].map(|()| Arc::new(Notify::new()));
        let own = Uuid::now_v7().to_string();
        let (heard, calls) = ([here.clone(), gate.clone()], call.clone());
        let carrier = tokio::spawn(async move {
            tokio::join!(hear(&options, &heard, &own), tell(&pool, &calls, &own));
        });
        Self { here, gate, abroad: Some(Abroad { call, carrier: carrier.abort_handle() }) }
    }

    /// Wakes whoever waits, here and elsewhere.
    pub fn announce(&self) {
        self.here.notify_waiters();
        if let Some(abroad) = &self.abroad {
            abroad.call.notify_one();
        }
    }

    /// Returns what ends with the next news.
    pub fn next(&self) -> Notified<'_> {
        self.here.notified()
    }

    /// Ends what goes to other processes and comes from them.
    pub fn stop(&self) {
        if let Some(abroad) = &self.abroad {
            abroad.carrier.abort();
        }
    }
}

impl Drop for News {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Calls the other processes whenever there are news.
async fn tell(pool: &PgPool, calls: &Notify, own: &str) {
    loop {
        calls.notified().await;
        let call = sqlx::query("SELECT pg_notify($1, $2)").bind(CHANNEL).bind(own);
        if let Err(error) = sql::answered(call.execute(pool)).await {
            tracing::debug!(error = chain(&error), "could not call other processes; they look by themselves");
            tokio::time::sleep(AGAIN_AFTER).await;
        }
    }
}

/// Hears the calls of other processes, over one connection after the other.
async fn hear(options: &PgConnectOptions, heard: &[Arc<Notify>; 2], own: &str) {
    loop {
        if let Err(error) = listen(options, heard, own).await {
            tracing::debug!(error = chain(&error), "cannot hear other processes for now");
            tokio::time::sleep(AGAIN_AFTER).await;
        }
    }
}

/// Hears calls until the connection is lost, or silent for long.
async fn listen(options: &PgConnectOptions, heard: &[Arc<Notify>; 2], own: &str) -> Result<(), sqlx::Error> {
    let [due, gate] = heard;
    let pool = PgPoolOptions::new().max_connections(1).acquire_timeout(TURN_WITHIN);
    let pool = pool.connect_lazy_with(options.clone());
    let mut listener = PgListener::connect_with(&pool).await?;
    listener.eager_reconnect(false);
    sql::answered(listener.listen_all([CHANNEL, GATE])).await?;
    // Whatever was called before this went unheard.
    heard.iter().for_each(|heard| heard.notify_waiters());
    loop {
        match tokio::time::timeout(SILENT_AT_MOST, listener.try_recv()).await {
            Ok(call) => match call? {
                Some(call) if call.payload() == own => {}
                Some(call) if call.channel() == GATE => gate.notify_waiters(),
                Some(_) => due.notify_waiters(),
                None => return Err(sqlx::Error::Io(std::io::ErrorKind::ConnectionAborted.into())),
            },
            Err(_silent) => return Ok(()),
        }
    }
}
