//! Whatever an API server sends, it is bounded.

use tokio::io::AsyncWriteExt;
use tokio::io::BufReader;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use windlass::application::Name;
use windlass::cluster::Place;
use windlass::cluster::SIGHTINGS;
use windlass::cluster::Seen;
use windlass::cluster::Selector;
use windlass::fault::Fault;

use crate::PATIENCE;
use crate::answer;
use crate::connect;
use crate::head;

/// How many bytes does the fake send before it has sent enough? More than any answer may have.
const ENOUGH: usize = 400 << 20;
/// How much does the fake send at once?
const PIECE: usize = 64 << 10;

/// Starts a server of two kinds whose answer to a path that holds `endless` never ends; returns its address and, for
/// each endless answer, how much of it was taken.
async fn server(endless: &'static str) -> (String, tokio::sync::mpsc::UnboundedReceiver<usize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (taken, all) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, endless, taken.clone()));
        }
    });
    (address, all)
}

async fn serve(stream: TcpStream, endless: &str, taken: tokio::sync::mpsc::UnboundedSender<usize>) {
    let mut stream = BufReader::new(stream);
    while let Some(line) = head(&mut stream).await {
        if line.contains(endless) {
            let _gone = taken.send(pour(&mut stream).await);
            return;
        }
        if stream.write_all(answer(&line).as_bytes()).await.is_err() {
            return;
        }
    }
}

/// Sends one endless JSON text, and returns how much of it was taken.
async fn pour(stream: &mut BufReader<TcpStream>) -> usize {
    let head =
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n{\"type\":\"ADDED\",\"object\":{\"a\":\"";
    let mut sent = 0;
    let mut piece = head.as_bytes().to_vec();
    while sent < ENOUGH && stream.write_all(&piece).await.is_ok() {
        sent += piece.len();
        piece = vec![b'x'; PIECE];
    }
    sent
}

#[tokio::test]
async fn an_endless_object_and_an_endless_discovery_are_broken_off() {
    let (address, mut taken) = server("/api").await;
    let cluster = connect(&address).await;
    let object = cluster.parent(&Name::parse("shop").unwrap()).await.unwrap_err();
    let kinds = cluster.kinds().await.unwrap_err();
    for error in [object, kinds] {
        assert_eq!(error.fault(), Fault::Passing, "{error}");
        assert!(error.to_string().contains("length limit exceeded"), "{error}");
    }
    for _ in 0..2 {
        let taken = tokio::time::timeout(PATIENCE, taken.recv()).await.unwrap().unwrap();
        assert!(taken < ENOUGH, "all of it was read");
    }
}

#[tokio::test]
async fn an_endless_line_of_a_watch_is_broken_off_and_told() {
    let (address, mut taken) = server("watch=").await;
    let cluster = connect(&address).await;
    let kinds = cluster.kinds().await.unwrap();
    let (sender, mut seen) = tokio::sync::mpsc::channel(SIGHTINGS);
    let place = Place { api_version: "v1", kind: "ConfigMap", namespace: Some("shop") };
    cluster.follow(&kinds, &place, Selector::Label("a=b".to_owned()), None, sender);
    let listed = tokio::time::timeout(PATIENCE, seen.recv()).await.unwrap().unwrap();
    assert!(matches!(&listed, Seen::Listed(listed) if listed.objects.is_empty()), "{listed:?}");
    let first = tokio::time::timeout(PATIENCE, seen.recv()).await.unwrap().unwrap();
    assert!(matches!(&first, Seen::Lost(error) if error.fault() == Fault::Passing), "{first:?}");
    let taken = tokio::time::timeout(PATIENCE, taken.recv()).await.unwrap().unwrap();
    assert!(taken < ENOUGH, "all of it was read");
}
