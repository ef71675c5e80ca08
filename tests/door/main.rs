//! The door as a forge and as a stranger meet it: a real server on a real port over a real queue.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinHandle;
use windlass::application::Name;
use windlass::bucket::Rate;
use windlass::clock::now;
use windlass::commit::CommitId;
use windlass::commit::RefName;
use windlass::event::Event;
use windlass::event::Push;
use windlass::event::What;
use windlass::forge::Kind;
use windlass::intake::Intake;
use windlass::intake::Keys;
use windlass::intake::Known;
use windlass::moment::Moment;
use windlass::queue::Lane;
use windlass::queue::Queue;
use windlass::secret::Secret;
use windlass::server::Guests;
use windlass::server::Limits;

mod events;
mod guests;

#[path = "../wire/mod.rs"]
mod wire;

use wire::PATIENCE;
use wire::Reply;
use wire::Wire;

const NEW: &str = "the new secret of the hook";
const OLD: &str = "the old secret of the hook";
/// The secret of the source `other` alone.
const OWN: &str = "the secret of one source";
/// A signing token, as GitLab makes them.
const KEY: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

const LIMITS: Limits = Limits {
    body_bytes: 64 << 10,
    body_within: Duration::from_secs(10),
    idle_within: Duration::from_secs(30),
    connections: 256,
    workers: 2,
    announce_for: Duration::ZERO,
    stop_within: Duration::from_secs(10),
};

/// A door on its own port with its own queue: a forge of each kind, called like it, each with a source `team/shop`;
/// at `github`, a second source reads the same repository.
struct Door {
    address: SocketAddr,
    queue: Queue,
    stop: Arc<Notify>,
    server: JoinHandle<std::io::Result<()>>,
    folder: tempfile::TempDir,
}

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

impl Door {
    async fn open(limits: Limits) -> Self {
        Self::open_to(limits, Guests::default(), None).await
    }

    /// Opens a door to some guests, each source of which may be heard of so often.
    async fn open_to(limits: Limits, guests: Guests, rate: Option<Rate>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let queue = Queue::open(&folder.path().join("queue.db")).await.unwrap();
        let mut forges = BTreeMap::new();
        for kind in Kind::ALL {
            let mut sources = vec![(name(&format!("shop-{kind}")), "Team/Shop".to_owned())];
            if kind == Kind::Github {
                sources.push((name("other"), "team/shop".to_owned()));
            }
            let secrets = [NEW, OLD, KEY].map(|text| Secret::new(text).unwrap()).to_vec();
            let own = BTreeMap::from([(name("other"), vec![Secret::new(OWN).unwrap()])]);
            forges.insert(name(kind.word()), Known { kind, keys: Keys { shared: secrets, own }, sources });
        }
        let intake = Arc::new(Intake::new(forges, queue.clone()).at_most(rate));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let stop = Arc::new(Notify::new());
        let stopped = stop.clone();
        let stopped = async move { stopped.notified().await };
        let metrics = Arc::new(|| "windlass_up 1\n".to_owned());
        let server =
            tokio::spawn(windlass::server::serve(limits, guests, intake, metrics, listener, stopped));
        Self { address, queue, stop, server, folder }
    }

    async fn ask(&self, request: &[u8]) -> Reply {
        let mut wire = Wire::to(self.address).await.unwrap();
        wire.send(request).await;
        wire.reply().await.expect("an answer")
    }

    async fn get(&self, path: &str) -> Reply {
        self.ask(&wire::request("GET", path, &[], b"")).await
    }

    /// Returns all events in the queue, which then has none.
    async fn events(&self) -> Vec<(String, Event)> {
        let mut events = Vec::new();
        while let Some(lease) = self.queue.next(&Lane::events(), Duration::ZERO).await.unwrap() {
            let event: Event = serde_json::from_str(&lease.body).unwrap();
            assert_eq!(
                (lease.id.as_str(), lease.partition.as_str()),
                (event.id.as_str(), event.source.as_str())
            );
            assert_eq!(self.queue.ack(&lease).await.unwrap(), windlass::queue::Settled::Done);
            events.push((lease.id, event));
        }
        events
    }

    /// Ends the door and checks that nothing is left over.
    async fn close(self) {
        assert_eq!(self.events().await, []);
        self.stop.notify_one();
        tokio::time::timeout(PATIENCE, self.server).await.expect("a stop in time").unwrap().unwrap();
        self.queue.close().await;
        self.folder.close().unwrap();
    }
}

fn push() -> Push {
    Push {
        repository: "team/shop".to_owned(),
        reference: RefName::parse("refs/heads/main").unwrap(),
        before: Some(CommitId::parse(&"a".repeat(40)).unwrap()),
        after: Some(CommitId::parse(&"b".repeat(40)).unwrap()),
        forced: false,
    }
}

/// What a forge would send.
struct Sent {
    headers: Vec<(&'static str, String)>,
    body: String,
    path: String,
}

impl Sent {
    fn signed(kind: Kind, event: &str, body: &str, secret: &str) -> Self {
        let headers =
            kind.rules().sign(event, "delivery-1", body.as_bytes(), &Secret::new(secret).unwrap(), now());
        Self { headers, body: body.to_owned(), path: format!("/hooks/{kind}") }
    }

    fn push(kind: Kind) -> Self {
        let (event, body) = kind.rules().make_up(&push());
        Self::signed(kind, event, &body, NEW)
    }

    fn headers(&self) -> Vec<(&str, &str)> {
        self.headers.iter().map(|(name, value)| (*name, value.as_str())).collect()
    }

    fn set(mut self, name: &'static str, value: &str) -> Self {
        self.headers.retain(|(found, _)| *found != name);
        self.headers.push((name, value.to_owned()));
        self
    }

    fn bytes(&self) -> Vec<u8> {
        wire::request("POST", &self.path, &self.headers(), self.body.as_bytes())
    }
}

#[tokio::test]
async fn a_signed_push_is_one_event_for_each_source_of_its_repository() {
    let door = Door::open(LIMITS).await;
    for (kind, sources) in [
        (Kind::Gitea, vec!["shop-gitea"]),
        (Kind::Forgejo, vec!["shop-forgejo"]),
        (Kind::Github, vec!["other", "shop-github"]),
        (Kind::Gitlab, vec!["shop-gitlab"]),
    ] {
        let reply = door.ask(&Sent::push(kind).bytes()).await;
        assert_eq!(
            (reply.status, reply.json()),
            (202, serde_json::json!({"id": "delivery-1", "events": sources.len()}))
        );
        let mut events = door.events().await;
        events.sort_by(|a, b| a.1.source.cmp(&b.1.source));
        let found: Vec<&str> = events.iter().map(|(_, event)| event.source.as_str()).collect();
        assert_eq!(found, sources);
        for (_, event) in &events {
            let Push { reference, before, after, forced, .. } = push();
            assert_eq!(event.what, What::Push { reference, before, after, forced });
        }
        if let [(first, _), (second, _)] = &events[..] {
            assert_ne!(first, second);
        }
    }
    door.close().await;
}

#[tokio::test]
async fn a_webhook_of_one_source_has_its_own_secret_and_speaks_for_it_alone() {
    let door = Door::open(LIMITS).await;
    let (event, body) = Kind::Github.rules().make_up(&push());
    let (_, foreign) = Kind::Github.rules().make_up(&Push { repository: "team/blog".to_owned(), ..push() });
    let cases = [
        ("/hooks/github/other", OWN, &body, 202),
        ("/hooks/github/other", NEW, &body, 401),
        ("/hooks/github", OWN, &body, 401),
        ("/hooks/github/shop-github", OWN, &body, 401),
        // Without secrets of its own a source's webhook has those of the forge.
        ("/hooks/github/shop-github", NEW, &body, 202),
        ("/hooks/github/other", OWN, &foreign, 200),
        ("/hooks/github/shop-gitea", OWN, &body, 404),
        ("/hooks/github/nobody", NEW, &body, 404),
        ("/hooks/github/other/more", OWN, &body, 404),
        ("/hooks/github/", NEW, &body, 404),
    ];
    for (path, secret, body, expected) in cases {
        let sent = Sent { path: path.to_owned(), ..Sent::signed(Kind::Github, event, body, secret) };
        let reply = door.ask(&sent.bytes()).await;
        assert_eq!(reply.status, expected, "{path} {secret}: {}", reply.body);
        let sources: Vec<String> =
            door.events().await.iter().map(|(_, event)| event.source.to_string()).collect();
        let only = path.rsplit('/').next().unwrap();
        assert_eq!(sources, if expected == 202 { vec![only] } else { Vec::new() }, "{path} {secret}");
    }
    door.close().await;
}

#[tokio::test]
async fn a_deleted_branch_is_an_event_without_an_after() {
    let door = Door::open(LIMITS).await;
    let (event, body) = Kind::Gitea.rules().make_up(&Push { before: None, after: None, ..push() });
    assert_eq!(event, "delete");
    assert_eq!(door.ask(&Sent::signed(Kind::Gitea, event, &body, NEW).bytes()).await.status, 202);
    let events = door.events().await;
    assert!(matches!(events[0].1.what, What::Push { after: None, .. }), "{events:?}");
    door.close().await;
}

#[tokio::test]
async fn every_configured_secret_holds_and_a_delivery_is_taken_as_often_as_it_comes() {
    let door = Door::open(LIMITS).await;
    let (event, body) = Kind::Github.rules().make_up(&push());
    for secret in [NEW, OLD, NEW] {
        assert_eq!(door.ask(&Sent::signed(Kind::Github, event, &body, secret).bytes()).await.status, 202);
    }
    assert_eq!(door.events().await.len(), 6);
    door.close().await;
}

#[tokio::test]
async fn whatever_is_wrong_with_a_signature_the_answer_is_the_same() {
    let door = Door::open(LIMITS).await;
    let (event, body) = Kind::Github.rules().make_up(&push());
    let digits = "0".repeat(64);
    let mut twice = Sent::push(Kind::Github);
    twice.headers.push(twice.headers.last().unwrap().clone());
    let mut tampered = Sent::push(Kind::Github);
    tampered.body.push('\n');
    let mut none = Sent::push(Kind::Github);
    none.headers.retain(|(name, _)| !name.contains("signature"));
    let sent = [
        Sent::signed(Kind::Github, event, &body, "some other secret"),
        Sent::push(Kind::Github).set("x-hub-signature-256", "sha256="),
        Sent::push(Kind::Github).set("x-hub-signature-256", ""),
        Sent::push(Kind::Github).set("x-hub-signature-256", &format!("sha256={digits}")),
        Sent::push(Kind::Github).set("x-hub-signature-256", &format!("sha1={digits}")),
        Sent::push(Kind::Github).set("x-hub-signature-256", "sha256=é"),
        twice,
        tampered,
        none,
    ];
    let mut answers = Vec::new();
    for sent in sent {
        let reply = door.ask(&sent.bytes()).await;
        assert_eq!(reply.header("content-type"), Some("application/problem+json"));
        answers.push((reply.status, reply.body));
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert_eq!(answers[0].0, 401);
    door.close().await;
}

#[tokio::test]
async fn a_delivery_with_a_signing_token_holds_for_its_time_and_by_its_signature_alone() {
    let door = Door::open(LIMITS).await;
    let (event, body) = Kind::Gitlab.rules().make_up(&push());
    let signed = |minutes: i64| {
        let at = Moment(now().0 + minutes * 60_000);
        let key = Secret::new(KEY).unwrap();
        let headers = Kind::Gitlab.rules().sign(event, "delivery-1", body.as_bytes(), &key, at);
        Sent { headers, body: body.clone(), path: "/hooks/gitlab".to_owned() }
    };
    for (sent, status) in [
        (signed(0), 202),
        (signed(-4), 202),
        (signed(4), 202),
        (signed(-6), 401),
        (signed(6), 401),
        (signed(-6).set("x-gitlab-token", NEW), 401),
        (signed(0).set("webhook-id", "delivery-2").set("x-gitlab-token", NEW), 401),
        (Sent::push(Kind::Gitlab).set("x-gitlab-token", KEY), 401),
    ] {
        assert_eq!(door.ask(&sent.bytes()).await.status, status, "{:?}", sent.headers);
    }
    assert_eq!(door.events().await.len(), 3);
    door.close().await;
}

#[tokio::test]
async fn authentic_deliveries_that_lead_to_nothing_are_ignored_with_a_reason() {
    let door = Door::open(LIMITS).await;
    let elsewhere = Kind::Gitea.rules().make_up(&Push { repository: "team/other".to_owned(), ..push() }).1;
    for (event, body, why) in [
        ("ping", "{}", "ping"),
        ("issues", "{}", "windlass does not act on the event issues"),
        ("push", "{\"ref\":", "of no use"),
        ("push", &elsewhere, "no source is configured for team/other"),
    ] {
        let reply = door.ask(&Sent::signed(Kind::Gitea, event, body, NEW).bytes()).await;
        assert_eq!(reply.status, 200);
        let said = reply.json()["ignored"].as_str().unwrap().to_owned();
        assert!(said.contains(why), "{said}");
    }
    door.close().await;
}

#[tokio::test]
async fn only_known_pages_answer_and_only_to_their_methods() {
    let door = Door::open(LIMITS).await;
    for path in [
        "/",
        "/hooks",
        "/hooks/",
        "/hooks/nobody",
        "/hooks/gitea/x",
        "/hooks/../metrics",
        "/hooks/%67itea%20",
    ] {
        let sent = Sent { path: path.to_owned(), ..Sent::push(Kind::Gitea) };
        let reply = door.ask(&sent.bytes()).await;
        assert_eq!(
            (reply.status, reply.header("content-type")),
            (404, Some("application/problem+json")),
            "{path}"
        );
    }
    for (method, path, allowed) in [
        ("GET", "/hooks/gitea", "post"),
        ("PUT", "/hooks/gitea", "post"),
        ("DELETE", "/hooks/nobody", "post"),
        ("POST", "/metrics", "get, head"),
        ("PATCH", "/healthz", "get, head"),
    ] {
        let reply = door.ask(&wire::request(method, path, &[], b"")).await;
        assert_eq!((reply.status, reply.header("allow")), (405, Some(allowed)), "{method} {path}");
    }
    let mut wire = Wire::to(door.address).await.unwrap();
    wire.send(&wire::request("HEAD", "/hooks/gitea", &[("connection", "close")], b"")).await;
    assert!(wire.head().await.starts_with("http/1.1 405 "));
    assert_eq!((door.get("/healthz").await.status, door.get("/readyz").await.status), (200, 200));
    assert_eq!(door.get("/metrics").await.body, "windlass_up 1\n");
    door.close().await;
}

#[tokio::test]
async fn only_json_and_forms_are_read_and_nothing_is_unpacked() {
    let door = Door::open(LIMITS).await;
    let cases = [
        ("content-type", "text/plain", 415),
        ("content-type", "", 415),
        ("content-type", "multipart/form-data; boundary=x", 415),
        ("content-type", "application/json; charset=utf-8", 202),
        ("content-encoding", "gzip", 415),
        ("content-encoding", "identity", 202),
    ];
    for (header, value, status) in cases {
        let reply = door.ask(&Sent::push(Kind::Gitea).set(header, value).bytes()).await;
        assert_eq!(reply.status, status, "{header}: {value}");
    }
    let mut none = Sent::push(Kind::Gitea);
    none.headers.retain(|(name, _)| *name != "content-type");
    assert_eq!(door.ask(&none.bytes()).await.status, 415);
    assert_eq!(door.events().await.len(), 2);
    door.close().await;
}

#[tokio::test]
async fn a_form_is_heard_as_its_forge_signs_it() {
    let door = Door::open(LIMITS).await;
    let (event, json) = Kind::Github.rules().make_up(&push());
    let encoded: String = json.bytes().map(|b| format!("%{b:02X}")).collect();
    let form = format!("payload={encoded}");
    for (kind, signed) in [(Kind::Github, &form), (Kind::Gitea, &json)] {
        let mut sent =
            Sent::signed(kind, event, signed, NEW).set("content-type", "application/x-www-form-urlencoded");
        sent.body.clone_from(&form);
        assert_eq!(door.ask(&sent.bytes()).await.status, 202, "{kind}");
    }
    assert_eq!(door.events().await.len(), 3);
    door.close().await;
}

#[tokio::test]
async fn a_body_may_be_as_large_as_the_limit_and_not_a_byte_larger() {
    let door = Door::open(LIMITS).await;
    let (event, body) = Kind::Gitea.rules().make_up(&push());
    for (length, status) in
        [(LIMITS.body_bytes - 1, 202), (LIMITS.body_bytes, 202), (LIMITS.body_bytes + 1, 413)]
    {
        let padded = format!("{body}{}", " ".repeat(length - body.len()));
        let sent = Sent::signed(Kind::Gitea, event, &padded, NEW);
        assert_eq!(door.ask(&sent.bytes()).await.status, status, "{length}");
        let (first, second) = padded.as_bytes().split_at(1000);
        let bytes = wire::chunked(&sent.path, &sent.headers(), &[first, second]);
        assert_eq!(door.ask(&bytes).await.status, status, "{length} in chunks");
    }
    let sent = Sent::push(Kind::Gitea);
    let bytes = wire::head("POST", &sent.path, &sent.headers(), "content-length: 99999999999\r\n");
    assert_eq!(door.ask(&bytes).await.status, 413);
    assert_eq!(door.events().await.len(), 4);
    door.close().await;
}

#[tokio::test]
async fn a_large_body_that_nobody_waits_for_is_still_answered() {
    let door = Door::open(LIMITS).await;
    let sent = Sent::push(Kind::Gitea);
    let chunk = vec![b' '; 1 << 20];
    let bytes = wire::chunked(&sent.path, &sent.headers(), &[&chunk[..]; 8]);
    assert_eq!(door.ask(&bytes).await.status, 413);
    door.close().await;
}

#[tokio::test]
async fn a_body_that_does_not_come_in_time_is_given_up() {
    let door = Door::open(Limits { body_within: Duration::from_millis(200), ..LIMITS }).await;
    let sent = Sent::push(Kind::Gitea);
    let bytes = sent.bytes();
    for part in [&bytes[..bytes.len() - 1], &bytes[..bytes.len() - sent.body.len()]] {
        assert_eq!(door.ask(part).await.status, 408);
    }
    door.close().await;
}

#[tokio::test]
async fn nobody_holds_a_connection_without_asking_for_something() {
    let door = Door::open(Limits { idle_within: Duration::from_secs(1), ..LIMITS }).await;
    let health = wire::request("GET", "/healthz", &[], b"");
    let unread = wire::head("POST", "/healthz", &[], "transfer-encoding: chunked\r\n");
    let starts: [(&str, Vec<u8>, &[u8]); 3] = [
        ("the head of a second request that never ends", [health, b"GET".to_vec()].concat(), b""),
        ("the rest of a body that was refused", unread, b"1\r\n \r\n"),
        ("a first head that never ends", b"GET / HTTP/1.1\r\n".to_vec(), b""),
    ];
    let held = starts.map(|(what, start, drip)| async move {
        let mut wire = Wire::to(door.address).await.unwrap();
        wire.send(&start).await;
        assert!(wire.is_cut_off(drip).await, "{what}");
    });
    futures::future::join_all(held).await;
    door.close().await;
}

#[tokio::test]
async fn broken_chunks_are_refused() {
    let door = Door::open(LIMITS).await;
    let sent = Sent::push(Kind::Gitea);
    let mut bytes = wire::head("POST", &sent.path, &sent.headers(), "transfer-encoding: chunked\r\n");
    bytes.extend_from_slice(b"zz\r\nno number\r\n");
    let mut wire = Wire::to(door.address).await.unwrap();
    wire.send(&bytes).await;
    assert!(wire.reply().await.is_none_or(|reply| reply.status == 400));
    door.close().await;
}

#[tokio::test]
async fn all_bodies_together_have_a_bound() {
    let large = 25 << 20;
    let door = Door::open(Limits { body_bytes: large, ..LIMITS }).await;
    let sent = Sent::push(Kind::Gitea);
    let start = wire::head("POST", &sent.path, &sent.headers(), &format!("content-length: {large}\r\n"));
    let bytes = [start, vec![b' '; large - 1]].concat();
    // Three bodies of which the last byte never comes are more than the 64 MiB that there are.
    let mut wires = Vec::new();
    for _ in 0..3 {
        let (address, bytes) = (door.address, bytes.clone());
        wires.push(tokio::spawn(async move {
            let mut wire = Wire::to(address).await.unwrap();
            wire.send(&bytes).await;
            wire.reply().await
        }));
    }
    let (first, _, others) = futures::future::select_all(wires).await;
    assert_eq!(first.unwrap().unwrap().status, 503);
    others.into_iter().for_each(|other| other.abort());
    door.close().await;
}

#[tokio::test]
async fn without_a_confirm_the_forge_is_told_to_come_again() {
    let door = Door::open(LIMITS).await;
    door.queue.clone().close().await;
    let reply = door.ask(&Sent::push(Kind::Gitea).bytes()).await;
    assert_eq!((reply.status, reply.header("retry-after")), (503, Some("5")));
    let ping = Sent::signed(Kind::Gitea, "ping", "{}", NEW);
    assert_eq!(door.ask(&ping.bytes()).await.status, 200);
    assert_eq!((door.get("/readyz").await.status, door.get("/healthz").await.status), (503, 200));
    door.stop.notify_one();
    door.server.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_stop_is_announced_and_lets_requests_finish() {
    let door = Door::open(Limits { announce_for: Duration::from_secs(1), ..LIMITS }).await;
    let bytes = Sent::push(Kind::Gitea).bytes();
    let (first, last) = bytes.split_at(bytes.len() - 1);
    let mut open = Wire::to(door.address).await.unwrap();
    open.send(first).await;
    door.stop.notify_one();
    let until = tokio::time::Instant::now() + PATIENCE;
    while door.get("/readyz").await.body != "stopping\n" {
        assert!(tokio::time::Instant::now() < until);
    }
    // The door still answers while the stop is announced; then nobody is let in any more.
    while let Ok(mut wire) = Wire::to(door.address).await {
        assert!(tokio::time::Instant::now() < until);
        wire.send(&wire::request("GET", "/healthz", &[], b"")).await;
        if wire.reply().await.is_none() {
            break;
        }
    }
    open.send(last).await;
    assert_eq!(open.reply().await.expect("an answer").status, 202);
    tokio::time::timeout(PATIENCE, door.server).await.expect("a stop in time").unwrap().unwrap();
}
