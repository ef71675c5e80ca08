//! A process that falls silent in the middle of its turn, because it or its network stopped.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use windlass::fault::Fault;
use windlass::moment::Moment;
use windlass::outcome::Told;
use windlass::secret::Secret;
use windlass::store::Store;

use crate::desk::Desk;
use crate::desk::at;
use crate::desk::commit;
use crate::desk::name;
use crate::desk::target;
use crate::place::Place;
use crate::place::on_postgres;

/// How long may the turn of a silent process, and the call of the process itself, last?
const FREED_WITHIN: Duration = Duration::from_secs(60);

/// What a transaction says first after it has its turn.
const FIRST_WORDS: &[u8] = b"INSERT INTO rosters";

/// How many transactions fall silent? As many as one process has under way at most.
const SILENT: usize = 4;

/// Passes everything on, until it is told how many connections fall silent: from their next first words on, they are
/// dead to both sides, and neither is told.
struct Wire {
    port: u16,
    armed: Arc<AtomicUsize>,
    silent: Arc<Semaphore>,
}

impl Wire {
    async fn to(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (armed, silent) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
        let own = (armed.clone(), silent.clone());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(&server).await.unwrap();
                tokio::spawn(pass(client, server, own.clone()));
            }
        });
        Self { port, armed, silent }
    }
}

async fn pass(client: TcpStream, server: TcpStream, (armed, silent): (Arc<AtomicUsize>, Arc<Semaphore>)) {
    let (mut client_read, mut client_write) = client.into_split();
    let (mut server_read, mut server_write) = server.into_split();
    let dead = Arc::new(AtomicBool::new(false));
    let is_dead = dead.clone();
    let there = async {
        let mut bytes = vec![0; 64 << 10];
        while let Ok(length @ 1..) = client_read.read(&mut bytes).await {
            let says = bytes[..length].windows(FIRST_WORDS.len()).any(|words| words == FIRST_WORDS);
            let less = |left: usize| left.checked_sub(1);
            if says && armed.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less).is_ok() {
                dead.store(true, Ordering::SeqCst);
                silent.add_permits(1);
                // Both sockets stay open for as long as the test lasts.
                std::future::pending::<()>().await;
            }
            if server_write.write_all(&bytes[..length]).await.is_err() {
                break;
            }
        }
    };
    let back = async {
        let mut bytes = vec![0; 64 << 10];
        while let Ok(length) = server_read.read(&mut bytes).await {
            if is_dead.load(Ordering::SeqCst) {
                std::future::pending::<()>().await;
            }
            if length == 0 || client_write.write_all(&bytes[..length]).await.is_err() {
                break;
            }
        }
    };
    tokio::select! {
        () = there => {}
        () = back => {}
    }
}

async fn a_process_that_falls_silent_in_its_turn_holds_nobody_up_for_long(place: Place) {
    let desk = Desk::new(&place).await;
    let url = desk.home.url().expose();
    let (credentials, rest) = url.rsplit_once('@').unwrap();
    let (server, rest) = rest.split_once('/').unwrap();
    let wire = Wire::to(server.to_owned()).await;
    let url = format!("{credentials}@127.0.0.1:{}/{rest}", wire.port);
    let slow = Store::connect(&Secret::new(&url).unwrap()).await.unwrap();
    wire.armed.store(SILENT, Ordering::SeqCst);
    let calls = (0..SILENT).map(|number| {
        let slow = slow.clone();
        tokio::spawn(async move { slow.record(&at(5_000, of(&format!("git-{number}")))).await })
    });
    let calls: Vec<_> = calls.collect();
    let _all = wire.silent.acquire_many(SILENT.try_into().unwrap()).await.unwrap();
    let began = tokio::time::Instant::now();
    assert!(recorded(&desk.store, began).await > 0, "a silent process had the turn");
    for call in calls {
        let ended = tokio::time::timeout(FREED_WITHIN, call).await.unwrap();
        let error = ended.unwrap().unwrap_err();
        assert_eq!(error.fault(), Fault::Passing, "{error:?}");
    }
    // It goes on over other connections.
    recorded(&slow, began).await;
    for number in 0..SILENT {
        let left = desk.store.verdicts(&name(&format!("git-{number}")), &commit('a')).await.unwrap();
        assert_eq!(left.len(), usize::from(number == 0));
    }
}

/// Records until it is taken in; returns how often it was not.
async fn recorded(store: &Store, began: tokio::time::Instant) -> u32 {
    let mut refused = 0;
    while let Err(error) = store.record(&at(5_000, of("git-0"))).await {
        assert_eq!(error.fault(), Fault::Passing, "{error:?}");
        assert!(began.elapsed() < FREED_WITHIN, "the silent process still holds others up");
        refused += 1;
    }
    refused
}

fn of(source: &str) -> Told {
    Told::Roster {
        dispatch: "d".into(),
        source: name(source),
        commit: commit('a'),
        targets: vec![target("shop@east")],
        received_at: Moment(1_000),
    }
}

on_postgres!(a_process_that_falls_silent_in_its_turn_holds_nobody_up_for_long);
