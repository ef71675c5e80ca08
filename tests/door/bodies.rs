//! Bodies, and how large, slow and broken they may be.

use std::time::Duration;

use windlass::forge::Kind;
use windlass::server::Limits;

use crate::scene;
use crate::scene::LIMITS;
use crate::scene::NEW;
use crate::scene::Sent;
use crate::scene::push;
use crate::world::wire;
use crate::world::wire::Wire;

#[tokio::test]
async fn a_body_may_be_as_large_as_the_limit_and_not_a_byte_larger() {
    let door = scene::open(LIMITS).await;
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
    door.close(0).await;
}

#[tokio::test]
async fn a_large_body_that_nobody_waits_for_is_still_answered() {
    let door = scene::open(LIMITS).await;
    let sent = Sent::push(Kind::Gitea);
    let chunk = vec![b' '; 1 << 20];
    let bytes = wire::chunked(&sent.path, &sent.headers(), &[&chunk[..]; 8]);
    assert_eq!(door.ask(&bytes).await.status, 413);
    door.close(0).await;
}

#[tokio::test]
async fn a_body_that_does_not_come_in_time_is_given_up() {
    let door = scene::open(Limits { body_within: Duration::from_millis(200), ..LIMITS }).await;
    let sent = Sent::push(Kind::Gitea);
    let bytes = sent.bytes();
    for part in [&bytes[..bytes.len() - 1], &bytes[..bytes.len() - sent.body.len()]] {
        assert_eq!(door.ask(part).await.status, 408);
    }
    door.close(0).await;
}

#[tokio::test]
async fn broken_chunks_are_refused() {
    let door = scene::open(LIMITS).await;
    let sent = Sent::push(Kind::Gitea);
    let mut bytes = wire::head("POST", &sent.path, &sent.headers(), "transfer-encoding: chunked\r\n");
    bytes.extend_from_slice(b"zz\r\nno number\r\n");
    let mut wire = Wire::to(door.address).await.unwrap();
    wire.send(&bytes).await;
    assert!(wire.reply().await.is_none_or(|reply| reply.status == 400));
    door.close(0).await;
}

#[tokio::test]
async fn all_bodies_together_have_a_bound() {
    let large = 25 << 20;
    let door = scene::open(Limits { body_bytes: large, ..LIMITS }).await;
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
    door.close(0).await;
}
