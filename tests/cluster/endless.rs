//! Whatever an API server sends, it is bounded: a fake at the wire, since a real one does not misbehave like this.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::time::Duration;

use tokio::io::AsyncBufReadExt;
use tokio::io::AsyncWriteExt;
use tokio::io::BufReader;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use windlass::application::Name;
use windlass::cluster::Cluster;
use windlass::cluster::Place;
use windlass::cluster::SIGHTINGS;
use windlass::cluster::Seen;
use windlass::cluster::Selector;
use windlass::cluster::Settings;
use windlass::fault::Fault;

/// How many bytes does the fake send before it has sent enough? More than any answer may have.
const ENOUGH: usize = 400 << 20;
/// How long may a test wait for windlass to break off?
const PATIENCE: Duration = Duration::from_secs(25);
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
        let body = body(&line);
        let answer = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// Returns the first line of a request without a body.
async fn head(stream: &mut BufReader<TcpStream>) -> Option<String> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        match stream.read_line(&mut line).await {
            Ok(0) | Err(_) => return None,
            Ok(_) if line.trim().is_empty() => return lines.into_iter().next(),
            Ok(_) => lines.push(line),
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

fn body(line: &str) -> String {
    let path = line.split(' ').nth(1).unwrap_or_default();
    let answer = match path {
        "/api" => {
            serde_json::json!({ "kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": [] })
        }
        "/apis" => serde_json::json!({ "kind": "APIGroupList", "apiVersion": "v1", "groups": [] }),
        "/api/v1" => serde_json::json!({ "kind": "APIResourceList", "groupVersion": "v1", "resources": [
            { "name": "configmaps", "singularName": "configmap", "namespaced": true, "kind": "ConfigMap",
              "verbs": ["list", "watch", "get", "create", "patch", "delete"] }] }),
        _ => serde_json::json!({ "kind": "ConfigMapList", "apiVersion": "v1",
            "metadata": { "resourceVersion": "7" }, "items": [] }),
    };
    answer.to_string()
}

async fn connect(address: &str) -> Cluster {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("kubeconfig");
    let text = format!(
        "{{apiVersion: v1, kind: Config, current-context: a, contexts: [{{name: a, context: {{cluster: a, user: a}}}}], \
         clusters: [{{name: a, cluster: {{server: \"{address}\"}}}}], users: [{{name: a, user: {{}}}}]}}"
    );
    std::fs::write(&file, text).unwrap();
    let settings = Settings {
        name: Name::parse("east").unwrap(),
        kubeconfig: Some(file),
        context: None,
        namespace: "windlass".to_owned(),
        requests: 1,
        installation: Name::parse("windlass").unwrap(),
    };
    Cluster::connect(settings).await.unwrap()
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
