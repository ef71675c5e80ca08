//! Ends: of connections that ask for nothing, of the queue, and of the door itself.

use std::time::Duration;

use windlass::forge::Kind;
use windlass::server::Limits;

use crate::scene;
use crate::scene::LIMITS;
use crate::scene::NEW;
use crate::scene::Sent;
use crate::world::wire;
use crate::world::wire::PATIENCE;
use crate::world::wire::Wire;

#[tokio::test]
async fn nobody_holds_a_connection_without_asking_for_something() {
    let door = scene::open(Limits { idle_within: Duration::from_secs(1), ..LIMITS }).await;
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
    door.close(0).await;
}

#[tokio::test]
async fn without_a_confirm_the_forge_is_told_to_come_again() {
    let door = scene::open(LIMITS).await;
    door.queue.clone().close().await;
    let reply = door.ask(&Sent::push(Kind::Gitea).bytes()).await;
    assert_eq!((reply.status, reply.header("retry-after")), (503, Some("5")));
    let ping = Sent::signed(Kind::Gitea, "ping", "{}", NEW);
    assert_eq!(door.ask(&ping.bytes()).await.status, 200);
    assert_eq!((door.get("/readyz").await.status, door.get("/healthz").await.status), (503, 200));
    door.stop();
    door.stopped().await;
}

#[tokio::test]
async fn a_stop_is_announced_and_lets_requests_finish() {
    let door = scene::open(Limits { announce_for: Duration::from_secs(1), ..LIMITS }).await;
    let bytes = Sent::push(Kind::Gitea).bytes();
    let (first, last) = bytes.split_at(bytes.len() - 1);
    let mut open = Wire::to(door.address).await.unwrap();
    open.send(first).await;
    door.stop();
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
    door.stopped().await;
}
