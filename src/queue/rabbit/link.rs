//! A connection that comes back: whoever needs it gets the living one, or a new one, or hears why there is none.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use lapin::Channel;
use lapin::Connection;
use lapin::ConnectionProperties;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::queue::ANSWER_WITHIN;
use crate::queue::Error;
use crate::queue::rabbit::address::Address;
use crate::queue::rabbit::failure::answer;
use crate::queue::rabbit::failure::failed;
use crate::queue::rabbit::failure::within;

/// How long is the broker left alone after a connection failed? Twice as long after each further failure.
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
/// How long is it left alone at most?
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// One connection to the broker, over which one kind of traffic goes.
pub(super) struct Link {
    address: Arc<Address>,
    name: String,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    connection: Option<Arc<Connection>>,
    // Invariant: until then, everybody hears this error again instead of knocking.
    pause: Option<(Instant, Duration, Error)>,
}

impl fmt::Debug for Link {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Link").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Link {
    /// Returns a link that connects when it is first needed; `name` is how the broker lists it.
    pub(super) fn new(address: Arc<Address>, name: String) -> Self {
        Self { address, name, state: Mutex::default() }
    }

    /// Returns the living connection, or makes one.
    ///
    /// # Errors
    /// There is none, and the broker could not be reached, now or a moment ago.
    pub(super) async fn connection(&self) -> Result<Arc<Connection>, Error> {
        let mut state = self.state.lock().await;
        if let Some(connection) = state.connection.as_ref().filter(|found| found.status().connected()) {
            return Ok(Arc::clone(connection));
        }
        state.connection = None;
        if let Some((until, _, error)) = state.pause.as_ref().filter(|(until, ..)| Instant::now() < *until) {
            let _until = until;
            return Err(error.clone());
        }
        match within(ANSWER_WITHIN, self.connect()).await {
            Ok(connection) => {
                let connection = Arc::new(connection);
                state.connection = Some(Arc::clone(&connection));
                state.pause = None;
                Ok(connection)
            }
            Err(error) => {
                let last = state.pause.take().map_or(Duration::ZERO, |(_, pause, _)| pause);
                let pause = last.saturating_mul(2).clamp(SHORTEST_PAUSE, LONGEST_PAUSE);
                state.pause = Some((Instant::now() + pause, pause, error.clone()));
                Err(error)
            }
        }
    }

    async fn connect(&self) -> Result<Connection, Error> {
        let properties = ConnectionProperties::default().with_connection_name(self.name.as_str().into());
        let step = "connect to the broker";
        let runtime = lapin::runtime::default_runtime().map_err(|error| failed(step, error))?;
        let uri = self.address.uri();
        let connected = Connection::connect_uri_with_config(uri, properties, self.address.tls(), runtime);
        connected.await.map_err(|error| failed(step, error))
    }

    /// Opens a channel on the living connection.
    ///
    /// # Errors
    /// There is no connection, or no answer.
    pub(super) async fn channel(&self) -> Result<Channel, Error> {
        let connection = self.connection().await?;
        self.open(&connection).await
    }

    /// Opens a channel on that connection.
    ///
    /// # Errors
    /// It has ended, or does not answer.
    pub(super) async fn open(&self, connection: &Arc<Connection>) -> Result<Channel, Error> {
        let opened = answer("open a channel at the broker", connection.create_channel()).await;
        if matches!(opened, Err(Error::Broker { .. })) {
            // It has ended, or it has no room for one more: a new one has.
            self.forget(connection).await;
        }
        opened
    }

    /// Whether the broker said that it takes nothing for now.
    pub(super) async fn is_blocked(&self) -> bool {
        self.state.lock().await.connection.as_ref().is_some_and(|connection| connection.status().blocked())
    }

    /// Lets that connection go, since it is of no use any more. A newer one stays.
    pub(super) async fn forget(&self, sick: &Arc<Connection>) {
        let mut state = self.state.lock().await;
        if let Some(connection) = state.connection.take_if(|found| Arc::ptr_eq(found, sick)) {
            // A task of its own, since one that hangs takes its time to end as well.
            tokio::spawn(close(connection));
        }
    }

    /// Ends the connection.
    pub(super) async fn close(&self) {
        if let Some(connection) = self.state.lock().await.connection.take() {
            close(connection).await;
        }
    }
}

/// The library's own end of a dropped connection leaves it open when an answer was still expected, with all that the
/// broker had given it; so it is told.
impl Drop for Link {
    fn drop(&mut self) {
        let left = self.state.get_mut().connection.take();
        // Without a runtime, the connection has ended with it.
        if let (Some(connection), Ok(runtime)) = (left, tokio::runtime::Handle::try_current()) {
            runtime.spawn(close(connection));
        }
    }
}

async fn close(connection: Arc<Connection>) {
    let closed = answer("close the connection to the broker", connection.close(200, "done".into())).await;
    if let Err(error) = closed {
        tracing::debug!(error = %crate::fault::chain(&error), "the connection ended without a farewell");
    }
}
