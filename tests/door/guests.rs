//! Who may come in, and how often.

use std::collections::BTreeMap;

use windlass::bucket::Rate;
use windlass::forge::Kind;
use windlass::server::Guests;
use windlass::server::Network;

use crate::scene;
use crate::scene::LIMITS;
use crate::scene::NEW;
use crate::scene::Sent;
use crate::scene::name;
use crate::world::door::Door;
use crate::world::wire;
use crate::world::wire::Reply;

fn ranges(texts: &[&str]) -> Vec<Network> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn unsigned() -> Sent {
    Sent::push(Kind::Gitea).set("x-gitea-signature", &"0".repeat(64))
}

/// Knocks as if a proxy had brought the request from this address.
async fn from(door: &Door, sent: Sent, address: &str) -> Reply {
    door.ask(&sent.set("x-forwarded-for", address).bytes()).await
}

#[tokio::test]
async fn whoever_sends_unsigned_requests_waits_while_others_and_signed_ones_are_heard() {
    let rate = Rate { a_minute: 3, at_once: 3 };
    let guests = Guests::new(ranges(&["127.0.0.0/8"]), BTreeMap::new(), Some(rate));
    let door = scene::open_to(LIMITS, guests, None).await;
    // Signed deliveries cost nothing.
    for _ in 0..10 {
        assert_eq!(from(&door, Sent::push(Kind::Gitea), "192.0.2.1").await.status, 202);
    }
    for _ in 0..3 {
        assert_eq!(from(&door, unsigned(), "192.0.2.1").await.status, 401);
    }
    let reply = from(&door, unsigned(), "192.0.2.1").await;
    assert_eq!(reply.status, 429, "{}", reply.body);
    let wait: u64 = reply.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=21).contains(&wait), "{wait}");
    // A forge that shares an address with strangers is heard whatever they send.
    assert_eq!(from(&door, Sent::push(Kind::Gitea), "192.0.2.1").await.status, 202);
    assert_eq!(from(&door, unsigned(), "192.0.2.2").await.status, 401);
    assert_eq!(from(&door, Sent::push(Kind::Gitea), "192.0.2.2").await.status, 202);
    assert_eq!(door.events().await.len(), 12);
    door.close(0).await;
}

#[tokio::test]
async fn a_source_is_heard_of_so_often_and_no_oftener() {
    let rate = Rate { a_minute: 1, at_once: 2 };
    let door = scene::open_to(LIMITS, Guests::default(), Some(rate)).await;
    for expected in [202, 202, 429, 429] {
        assert_eq!(door.ask(&Sent::push(Kind::Gitea).bytes()).await.status, expected);
    }
    // What is ignored, and other sources, are not bounded by that.
    assert_eq!(door.ask(&Sent::signed(Kind::Gitea, "ping", "{}", NEW).bytes()).await.status, 200);
    assert_eq!(door.ask(&Sent::push(Kind::Gitlab).bytes()).await.status, 202);
    let reply = door.ask(&Sent::push(Kind::Gitea).bytes()).await;
    assert!(reply.header("retry-after").is_some_and(|wait| wait.parse::<u64>().unwrap() <= 61));
    assert_eq!(door.events().await.len(), 3);
    door.close(0).await;
}

#[tokio::test]
async fn only_listed_addresses_may_call_a_forge_that_has_a_list() {
    let allowed = BTreeMap::from([(name("gitea"), ranges(&["192.0.2.0/24"]))]);
    let guests = Guests::new(ranges(&["127.0.0.1"]), allowed, None);
    let door = scene::open_to(LIMITS, guests, None).await;
    for (kind, address, expected) in [
        (Kind::Gitea, "192.0.2.9", 202),
        (Kind::Gitea, "198.51.100.1", 403),
        // The right signature does not help, and who claims to come from there is not believed.
        (Kind::Gitea, "192.0.2.9, 198.51.100.1", 403),
        (Kind::Gitlab, "198.51.100.1", 202),
    ] {
        let reply = from(&door, Sent::push(kind), address).await;
        assert_eq!(reply.status, expected, "{kind} {address}: {}", reply.body);
    }
    assert_eq!(door.ask(&Sent::push(Kind::Gitea).bytes()).await.status, 403);
    assert_eq!(door.events().await.len(), 2);
    door.close(0).await;
}

#[tokio::test]
async fn a_chain_of_proxies_is_followed_to_its_end_whoever_adds_a_header_of_its_own() {
    let allowed = BTreeMap::from([(name("gitea"), ranges(&["192.0.2.0/24", "10.0.0.9"]))]);
    let guests = Guests::new(ranges(&["127.0.0.1", "10.0.0.0/8"]), allowed, None);
    let door = scene::open_to(LIMITS, guests, None).await;
    let hops = |count: usize| format!("192.0.2.9{}", ", 10.0.0.1".repeat(count));
    let (sixteen, seventeen) = (hops(15), hops(16));
    let cases: [(&[&str], u16); 9] = [
        (&["192.0.2.9, 10.0.0.1"], 202),
        (&["198.51.100.1, 192.0.2.9, 10.0.0.1, 10.0.0.2"], 202),
        // What a stranger claims to come from stands before what the first proxy noted of it.
        (&["192.0.2.9, 198.51.100.1, 10.0.0.1"], 403),
        // Each may add a header of its own, the last the last one.
        (&["192.0.2.9", "10.0.0.1"], 202),
        (&["192.0.2.9", "198.51.100.1, 10.0.0.1"], 403),
        (&["10.0.0.1", "192.0.2.9"], 202),
        // Where one says what is no address, nobody knows who comes.
        (&["192.0.2.9, unknown, 10.0.0.9"], 403),
        (&[&sixteen], 202),
        (&[&seventeen], 403),
    ];
    for (values, expected) in cases {
        let mut sent = Sent::push(Kind::Gitea);
        sent.headers.extend(values.iter().map(|value| ("x-forwarded-for", (*value).to_owned())));
        let reply = door.ask(&sent.bytes()).await;
        assert_eq!(reply.status, expected, "{values:?}: {}", reply.body);
    }
    door.close(5).await;
}

#[tokio::test]
async fn headers_are_bounded_in_size_and_number() {
    let door = scene::open(LIMITS).await;
    let sent = Sent::push(Kind::Gitea);
    let long = "a".repeat(256 << 10);
    let reply = door.ask(&wire::request("POST", "/hooks/gitea", &[("x-long", &long)], b"{}")).await;
    assert!((400..500).contains(&reply.status), "{}", reply.status);
    let names: Vec<String> = (0..500).map(|number| format!("x-{number}")).collect();
    let many: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "1")).collect();
    let reply = door.ask(&wire::request("POST", "/hooks/gitea", &many, b"{}")).await;
    assert!((400..500).contains(&reply.status), "{}", reply.status);
    assert_eq!(door.ask(&sent.bytes()).await.status, 202);
    assert_eq!(door.events().await.len(), 1);
    door.close(0).await;
}
