//! A broker that is short of memory or disk: it tells whoever publishes, and reads nothing more from them.
//!
//! A real alarm would hold up everything on the same broker. So a proxy speaks for it: it reads the frames of the
//! protocol, puts the broker's own words between them, and holds back those of connections that publish.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::io::AsyncRead;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedReadHalf;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::mpsc;
use tokio::sync::watch;
use tokio::time::Instant;

use windlass::fault::Fault;
use windlass::queue::Error;
use windlass::queue::Queue;
use windlass::queue::Settled;
use windlass::queue::rabbit::Options;
use windlass::secret::Secret;

use crate::contract::queue::draft;
use crate::contract::queue::lane;
use crate::contract::queue::publish;
use crate::contract::queue::take;
use crate::world::broker::Ground;
use crate::world::until;

/// `connection.blocked("test")`, as a method frame on channel 0.
const BLOCKED: &[u8] = b"\x01\x00\x00\x00\x00\x00\x09\x00\x0a\x00\x3c\x04test\xce";
/// `connection.unblocked()`.
const UNBLOCKED: &[u8] = b"\x01\x00\x00\x00\x00\x00\x04\x00\x0a\x00\x3d\xce";
/// How a method frame of `basic.publish` goes on after its header.
const PUBLISH: &[u8] = b"\x00\x3c\x00\x28";
/// What a client says before its first frame.
const HELLO: usize = 8;
/// How many frames may wait for a slow client?
const FRAMES: usize = 1_024;

/// A broker whose memory is at an end when the test says so.
struct Short {
    authority: String,
    alarm: watch::Sender<bool>,
}

impl Short {
    async fn before(upstream: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let authority = listener.local_addr().unwrap().to_string();
        let (alarm, alarmed) = watch::channel(false);
        let upstream = upstream.to_owned();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let broker = TcpStream::connect(&upstream).await.unwrap();
                relay(client, broker, alarmed.clone());
            }
        });
        Self { authority, alarm }
    }
}

/// Passes frames on in both directions, and the broker's words about its alarm between them.
fn relay(client: TcpStream, broker: TcpStream, alarmed: watch::Receiver<bool>) {
    let (from_client, to_client) = client.into_split();
    let (from_broker, to_broker) = broker.into_split();
    let (words, said) = mpsc::channel(FRAMES);
    let publishes = Arc::new(AtomicBool::new(false));
    tokio::spawn(hear(from_broker, words.clone()));
    tokio::spawn(tell(to_client, said));
    tokio::spawn(warn(alarmed.clone(), Arc::clone(&publishes), words.clone()));
    tokio::spawn(pass(from_client, to_broker, alarmed, publishes, words));
}

async fn hear(mut broker: OwnedReadHalf, words: mpsc::Sender<Vec<u8>>) {
    while let Some(frame) = frame(&mut broker).await {
        if words.send(frame).await.is_err() {
            return;
        }
    }
}

async fn tell(mut client: OwnedWriteHalf, mut said: mpsc::Receiver<Vec<u8>>) {
    while let Some(frame) = said.recv().await {
        if client.write_all(&frame).await.is_err() {
            return;
        }
    }
}

/// Tells a connection that publishes when the alarm begins and ends.
async fn warn(mut alarmed: watch::Receiver<bool>, publishes: Arc<AtomicBool>, words: mpsc::Sender<Vec<u8>>) {
    while alarmed.changed().await.is_ok() {
        let word = if *alarmed.borrow_and_update() { BLOCKED } else { UNBLOCKED };
        if publishes.load(Ordering::SeqCst) && words.send(word.to_vec()).await.is_err() {
            return;
        }
    }
}

async fn pass(
    mut client: OwnedReadHalf,
    mut broker: OwnedWriteHalf,
    mut alarmed: watch::Receiver<bool>,
    publishes: Arc<AtomicBool>,
    words: mpsc::Sender<Vec<u8>>,
) {
    let mut hello = [0; HELLO];
    if client.read_exact(&mut hello).await.is_err() || broker.write_all(&hello).await.is_err() {
        return;
    }
    while let Some(frame) = frame(&mut client).await {
        if frame[0] == 1
            && frame[7..].starts_with(PUBLISH)
            && !publishes.swap(true, Ordering::SeqCst)
            && *alarmed.borrow()
        {
            drop(words.send(BLOCKED.to_vec()).await);
        }
        if publishes.load(Ordering::SeqCst) && alarmed.wait_for(|alarm| !alarm).await.is_err() {
            return;
        }
        if broker.write_all(&frame).await.is_err() {
            return;
        }
    }
}

async fn frame(stream: &mut (impl AsyncRead + Unpin)) -> Option<Vec<u8>> {
    let mut frame = vec![0; 7];
    stream.read_exact(&mut frame).await.ok()?;
    let length = u32::from_be_bytes(frame[3..7].try_into().unwrap());
    frame.resize(8 + usize::try_from(length).unwrap(), 0);
    stream.read_exact(&mut frame[7..]).await.ok()?;
    Some(frame)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_short_of_memory_takes_no_messages_and_settles_all_the_same() {
    let ground = Ground::new().await;
    let broker = Short::before(ground.admin.authority()).await;
    let url = Secret::new(&ground.url(Some(&broker.authority))).unwrap();
    let options = Options { lanes: vec![lane()], ..Options::new(url, "one") };
    let queue = Queue::connect(options.clone()).await.unwrap();
    publish(&queue, &[("a", "1"), ("b", "2")]).await;
    let lease = take(&queue).await;

    broker.alarm.send(true).unwrap();
    let fresh = Queue::connect(options).await.unwrap();
    for queue in [&queue, &fresh] {
        // The first one is on its way already when the broker says so.
        for id in ["unknown", "no"] {
            let asked = Instant::now();
            let refused = queue.publish(vec![draft("d", id)]).await.unwrap_err();
            assert!(matches!(refused, Error::Blocked), "{refused:?}");
            assert_eq!(refused.fault(), Fault::Passing);
            assert!(asked.elapsed() < Duration::from_secs(1), "{:?}", asked.elapsed());
        }
    }
    assert_eq!(queue.extend(&lease).await.unwrap(), Settled::Done);
    assert_eq!(queue.ack(&lease).await.unwrap(), Settled::Done);
    let second = take(&queue).await;
    // What would have to be published cannot be settled, and is not lost.
    assert!(queue.retry(&second, Duration::ZERO).await.is_err());
    assert_eq!(queue.extend(&second).await.unwrap(), Settled::Done);

    broker.alarm.send(false).unwrap();
    until("the broker takes messages again", async || queue.publish(vec![draft("f", "3")]).await.ok()).await;
    assert_eq!(queue.retry(&second, Duration::ZERO).await.unwrap(), Settled::Done);
}
