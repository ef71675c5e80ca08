//! A real door on a real port over a real queue of its own.

use std::net::SocketAddr;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinHandle;
use windlass::event::Event;
use windlass::intake::Intake;
use windlass::queue::Lane;
use windlass::queue::Queue;
use windlass::queue::Settled;
use windlass::server::Guests;
use windlass::server::Limits;

use super::wire;
use super::wire::PATIENCE;
use super::wire::Reply;
use super::wire::Wire;

/// The limits of a door, where a test has no reason for others.
pub const LIMITS: Limits = Limits {
    body_bytes: 4 << 20,
    body_within: Duration::from_secs(10),
    idle_within: Duration::from_secs(30),
    connections: 256,
    workers: 2,
    announce_for: Duration::ZERO,
    stop_within: Duration::from_secs(10),
};

/// A door that is open.
pub struct Door {
    /// Where it is.
    pub address: SocketAddr,
    /// What it hears.
    pub queue: Queue,
    stop: Arc<Notify>,
    server: JoinHandle<std::io::Result<()>>,
    _folder: tempfile::TempDir,
}

impl Door {
    /// Opens one to some guests, with what is to be behind it, over its queue.
    pub async fn open(limits: Limits, guests: Guests, intake: impl FnOnce(Queue) -> Intake) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let queue = Queue::open(&folder.path().join("queue.db")).await.unwrap();
        let intake = Arc::new(intake(queue.clone()));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let stop = Arc::new(Notify::new());
        let stopped = stop.clone();
        let stopped = async move { stopped.notified().await };
        let metrics = Arc::new(|| "windlass_up 1\n".to_owned());
        let server =
            tokio::spawn(windlass::server::serve(limits, guests, intake, metrics, listener, stopped));
        Self { address, queue, stop, server, _folder: folder }
    }

    /// Returns the answer to a request on a connection of its own.
    pub async fn ask(&self, request: &[u8]) -> Reply {
        let mut wire = Wire::to(self.address).await.unwrap();
        wire.send(request).await;
        wire.reply().await.expect("an answer")
    }

    /// Returns a page.
    pub async fn get(&self, path: &str) -> Reply {
        self.ask(&wire::request("GET", path, &[], b"")).await
    }

    /// Returns all events in the queue, which then has none.
    pub async fn events(&self) -> Vec<(String, Event)> {
        let mut events = Vec::new();
        while let Some(lease) = self.queue.next(&Lane::events(), Duration::ZERO).await.unwrap() {
            let event: Event = serde_json::from_str(&lease.body).unwrap();
            let (id, partition) = (lease.id.as_str(), lease.partition.as_str());
            assert_eq!((id, partition), (event.id.as_str(), event.source.as_str()));
            assert_eq!(self.queue.ack(&lease).await.unwrap(), Settled::Done);
            events.push((lease.id, event));
        }
        events
    }

    /// Ends it, and checks that so many events are left over.
    pub async fn close(self, left: u64) {
        assert_eq!(self.queue.depth(&Lane::events()).await.unwrap().count, left);
        self.stop();
        self.stopped().await;
    }

    /// Tells it to stop.
    pub fn stop(&self) {
        self.stop.notify_one();
    }

    /// Waits until it has stopped.
    pub async fn stopped(self) {
        tokio::time::timeout(PATIENCE, self.server).await.expect("a stop in time").unwrap().unwrap();
    }
}
