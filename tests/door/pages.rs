//! Which pages there are, and what they take.

use windlass::forge::Kind;

use crate::scene;
use crate::scene::LIMITS;
use crate::scene::Sent;
use crate::world::wire;
use crate::world::wire::Wire;

#[tokio::test]
async fn only_known_pages_answer_and_only_to_their_methods() {
    let door = scene::open(LIMITS).await;
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
    door.close(0).await;
}

#[tokio::test]
async fn only_json_and_forms_are_read_and_nothing_is_unpacked() {
    let door = scene::open(LIMITS).await;
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
    door.close(0).await;
}
