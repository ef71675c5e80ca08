//! Following objects through watches that end, break off and come too late.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use serde_json::Value;
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::io::BufReader;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::Instant;
use windlass::cluster::Place;
use windlass::cluster::SIGHTINGS;
use windlass::cluster::Seen;
use windlass::cluster::Selector;

use crate::PATIENCE;
use crate::answer;
use crate::answer_of;
use crate::connect;
use crate::head;

/// What the server makes of a watch; of those that nobody wrote down, nothing: they stay open.
#[derive(Clone)]
enum Watch {
    /// These events, and a proper end.
    Ends(Vec<Value>),
    /// These events, and half of another one.
    BreaksOff(Vec<Value>),
    /// These events, and nothing more for now.
    Goes(Vec<Value>),
    /// No event, since it no longer knows that version.
    TooLate,
}

/// What one server is asked, and how it answers: lists with one object, first at version 7, then at 17.
struct Server {
    watches: Mutex<VecDeque<Watch>>,
    lists: Mutex<u32>,
    asked: mpsc::UnboundedSender<String>,
}

fn event(kind: &str, name: &str, version: u32) -> Value {
    json!({ "type": kind, "object": object(name, version) })
}

fn object(name: &str, version: u32) -> Value {
    json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": {
        "name": name, "namespace": "shop", "uid": name, "resourceVersion": version.to_string() } })
}

/// The refusal of a version that is too old, as servers send it.
fn too_old() -> Value {
    json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": 410,
        "reason": "Expired", "message": "too old resource version" })
}

async fn serve(stream: TcpStream, server: Arc<Server>) {
    let mut stream = BufReader::new(stream);
    while let Some(line) = head(&mut stream).await {
        let watches = line.contains("watch=");
        if !line.contains("/configmaps") {
            stream.write_all(answer(&line).as_bytes()).await.unwrap();
            continue;
        }
        let version = line.split_once("resourceVersion=").map_or("", |(_, rest)| rest);
        let version: String = version.chars().take_while(char::is_ascii_digit).collect();
        let _ended = server.asked.send(if watches { format!("watch {version}") } else { "list".to_owned() });
        if watches {
            let watch = server.watches.lock().unwrap().pop_front().unwrap_or(Watch::Goes(Vec::new()));
            return show(&mut stream, watch).await;
        }
        stream.write_all(list(&server).as_bytes()).await.unwrap();
    }
}

fn list(server: &Server) -> String {
    let mut lists = server.lists.lock().unwrap();
    let version = 7 + 10 * *lists;
    *lists += 1;
    let items = [object(&format!("listed-{version}"), version)];
    let list = json!({ "kind": "ConfigMapList", "apiVersion": "v1", "items": items,
        "metadata": { "resourceVersion": version.to_string() } });
    answer_of("200 OK", &list.to_string())
}

async fn show(stream: &mut BufReader<TcpStream>, watch: Watch) {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
    let chunk = |text: &str| format!("{:x}\r\n{text}\r\n", text.len());
    let chunks =
        |events: &[Value]| -> String { events.iter().map(|one| chunk(&format!("{one}\n"))).collect() };
    let (text, goes_on) = match watch {
        Watch::Ends(events) => (format!("{head}{}0\r\n\r\n", chunks(&events)), false),
        Watch::BreaksOff(events) => (format!("{head}{}{}", chunks(&events), chunk("{\"type\":\"ADD")), false),
        Watch::Goes(events) => (format!("{head}{}", chunks(&events)), true),
        Watch::TooLate => (answer_of("410 Gone", &too_old().to_string()), false),
    };
    stream.write_all(text.as_bytes()).await.unwrap();
    if goes_on {
        std::future::pending().await
    }
}

/// What is seen through a server with these watches, and what it was asked for it.
struct Scene {
    seen: mpsc::Receiver<Seen>,
    asked: mpsc::UnboundedReceiver<String>,
}

impl Scene {
    async fn of(watches: impl IntoIterator<Item = Watch>, since: Option<&str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let (sender, asked) = mpsc::unbounded_channel();
        let watches = Mutex::new(watches.into_iter().collect());
        let server = Arc::new(Server { watches, lists: Mutex::default(), asked: sender });
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&server)));
            }
        });
        let cluster = connect(&address).await;
        let kinds = cluster.kinds().await.unwrap();
        let (sender, seen) = mpsc::channel(SIGHTINGS);
        let place = Place { api_version: "v1", kind: "ConfigMap", namespace: Some("shop") };
        cluster.follow(&kinds, &place, Selector::Label("a=b".to_owned()), since.map(str::to_owned), sender);
        Self { seen, asked }
    }

    /// Checks what is seen next, and what the server was asked meanwhile.
    async fn expect(&mut self, seen: &[&str], asked: &[&str]) {
        for expected in seen {
            let next = tokio::time::timeout(PATIENCE, self.seen.recv()).await;
            let next = next.unwrap_or_else(|_| panic!("{expected} is not seen")).unwrap();
            assert_eq!(said(&next), *expected);
        }
        for expected in asked {
            let next = tokio::time::timeout(PATIENCE, self.asked.recv()).await;
            assert_eq!(next.unwrap_or_else(|_| panic!("{expected} is not asked")).unwrap(), *expected);
        }
        assert_eq!(self.asked.try_recv().ok(), None, "and nothing else");
    }
}

fn said(seen: &Seen) -> String {
    match seen {
        Seen::There(live) => format!("there: {}", live.id.name),
        Seen::Gone(live) => format!("gone: {}", live.id.name),
        Seen::Listed(listed) => format!("listed: {}", listed.objects.len()),
        Seen::Lost(error) => format!("lost: {error}"),
    }
}

#[tokio::test]
async fn a_watch_whose_version_the_server_no_longer_knows_is_told_and_lists_anew() {
    let lost = "lost: watch ConfigMap of v1: too old resource version";
    let error = json!({ "type": "ERROR", "object": too_old() });
    let expired = Watch::Ends(vec![event("ADDED", "a", 8), error]);
    for (watch, between) in [(expired, &["there: a", lost][..]), (Watch::TooLate, &[lost])] {
        let mut scene = Scene::of([watch, Watch::Goes(vec![event("MODIFIED", "b", 18)])], None).await;
        let seen =
            [&["there: listed-7", "listed: 1"], between, &["there: listed-17", "listed: 1", "there: b"]]
                .concat();
        scene.expect(&seen, &["list", "watch 7", "list", "watch 17"]).await;
    }
}

#[tokio::test]
async fn a_watch_that_ends_or_breaks_off_goes_on_where_it_was_without_a_list() {
    let events = || vec![event("ADDED", "a", 8), event("DELETED", "a", 9)];
    let bookmark = || json!({ "type": "BOOKMARK", "object": object("", 12) });
    for (first, version) in [
        (Watch::Ends(events()), "watch 9"),
        (Watch::BreaksOff(events()), "watch 9"),
        (Watch::BreaksOff([events(), vec![bookmark()]].concat()), "watch 12"),
    ] {
        let mut scene = Scene::of([first, Watch::Goes(vec![event("ADDED", "b", 13)])], None).await;
        let seen = ["there: listed-7", "listed: 1", "there: a", "gone: a", "there: b"];
        scene.expect(&seen, &["list", "watch 7", version]).await;
    }
}

#[tokio::test]
async fn since_a_version_only_what_changed_is_told_as_long_as_the_server_knows_it() {
    let goes = || Watch::Goes(vec![event("ADDED", "b", 13)]);
    let mut known = Scene::of([Watch::Ends(vec![event("ADDED", "a", 8)]), goes()], Some("5")).await;
    known.expect(&["there: a", "there: b"], &["watch 5", "watch 8"]).await;
    // What it no longer knows is listed at once, and nothing was lost.
    let expired = Watch::Ends(vec![json!({ "type": "ERROR", "object": too_old() })]);
    for gone in [Watch::TooLate, expired] {
        let mut scene = Scene::of([gone, goes()], Some("5")).await;
        let seen = ["there: listed-7", "listed: 1", "there: b"];
        scene.expect(&seen, &["watch 5", "list", "watch 7"]).await;
    }
}

#[tokio::test]
async fn a_server_that_ends_every_watch_at_once_is_not_asked_without_a_pause() {
    let mut scene = Scene::of(vec![Watch::Ends(Vec::new()); 1_000], None).await;
    let begun = Instant::now();
    for expected in ["list", "watch 7", "watch 7", "watch 7", "watch 7"] {
        let asked = tokio::time::timeout(PATIENCE, scene.asked.recv()).await.unwrap();
        assert_eq!(asked.unwrap(), expected);
    }
    assert!(begun.elapsed() > Duration::from_secs(2), "{:?}", begun.elapsed());
}
