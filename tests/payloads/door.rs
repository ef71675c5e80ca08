//! A real door on a real port over a real queue, with one forge of each kind.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinHandle;
use windlass::application::Name;
use windlass::forge::Kind;
use windlass::intake::Intake;
use windlass::intake::Keys;
use windlass::intake::Known;
use windlass::queue::Lane;
use windlass::queue::Queue;
use windlass::secret::Secret;
use windlass::server::Guests;
use windlass::server::Limits;

/// Signs for all sources but `other`.
pub const SECRET: &str = "the secret of the hook";
/// Signs for the source `other` alone.
pub const OTHERS: &str = "the secret of one source";
/// Signs as [`SECRET`] does, at GitLab alone: a signing token.
pub const KEY: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

/// The limits of the door.
pub const LIMITS: Limits = Limits {
    body_bytes: 4 << 20,
    body_within: Duration::from_secs(10),
    idle_within: Duration::from_secs(30),
    connections: 256,
    workers: 2,
    announce_for: Duration::ZERO,
    stop_within: Duration::from_secs(10),
};

/// A door with a forge of each kind, called like it, each with the sources `shop` and `other`.
pub struct Door {
    /// Where it is.
    pub address: SocketAddr,
    queue: Queue,
    stop: Arc<Notify>,
    server: JoinHandle<std::io::Result<()>>,
    _folder: tempfile::TempDir,
}

impl Door {
    /// Opens it.
    pub async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let queue = Queue::open(&folder.path().join("queue.db")).await.unwrap();
        let name = |text: &str| Name::parse(text).unwrap();
        let secrets = |kind| if kind == Kind::Gitlab { vec![SECRET, KEY] } else { vec![SECRET] };
        let known = |kind: Kind| Known {
            kind,
            keys: Keys {
                shared: secrets(kind).into_iter().map(|text| Secret::new(text).unwrap()).collect(),
                own: BTreeMap::from([(name("other"), vec![Secret::new(OTHERS).unwrap()])]),
            },
            sources: ["shop", "other"].map(|source| (name(source), format!("team/{source}"))).to_vec(),
        };
        let forges = Kind::ALL.map(|kind| (name(kind.word()), known(kind)));
        let intake = Arc::new(Intake::new(BTreeMap::from(forges), queue.clone()));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let stop = Arc::new(Notify::new());
        let stopped = stop.clone();
        let stopped = async move { stopped.notified().await };
        let metrics = Arc::new(String::new);
        let server = tokio::spawn(windlass::server::serve(
            LIMITS,
            Guests::default(),
            intake,
            metrics,
            listener,
            stopped,
        ));
        Self { address, queue, stop, server, _folder: folder }
    }

    /// Ends it, and checks that every event that was accepted is in the queue, and nothing else.
    pub async fn close(self, accepted: u64) {
        let depth = self.queue.depth(&Lane::events()).await.unwrap();
        assert_eq!(depth.count, accepted);
        self.stop.notify_one();
        self.server.await.unwrap().unwrap();
    }
}
