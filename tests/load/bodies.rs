//! Bodies that are far too large.

use std::time::Duration;

use crate::Busy;
use crate::world::wire;
use crate::world::wire::Reply;
use crate::world::wire::Wire;

/// How large is a body?
const BODY_BYTES: usize = 50_000_000;

/// How large may one be, and in what parts is it sent?
const LIMIT: usize = 5 << 20;
const PART: usize = 1 << 16;

/// How many bytes of bodies does the door keep at once?
const KEPT: usize = 64 << 20;

/// The headers of a stranger.
const HEADERS: [(&str, &str); 2] = [("content-type", "application/json"), ("x-gitea-event", "push")];

/// How many are sent at once?
const AT_ONCE: usize = 16;

/// How much more memory may bodies take that name their length, and others, in KiB? The first are not read; of the
/// others, the door keeps 64 MiB at once and 64 KiB of each connection.
const NAMED_KIB: usize = 8 << 10;
const UNNAMED_KIB: usize = 96 << 10;

/// How many deliveries are sent meanwhile?
const DELIVERIES: usize = 100;

/// Sends the beginning of a body of fifty megabytes: of one that names its length the first bytes, of another a little more
/// than is taken. Returns the answer, which must come then, and how much of the rest was taken after it.
async fn send(busy: &Busy, is_named: bool) -> (Option<Reply>, usize) {
    let mut wire = Wire::to(busy.address).await.unwrap();
    let (length, first) = if is_named {
        (format!("content-length: {BODY_BYTES}\r\n"), PART)
    } else {
        ("transfer-encoding: chunked\r\n".to_owned(), LIMIT + PART)
    };
    let part = vec![b' '; PART];
    let chunk = if is_named { part } else { [format!("{PART:x}\r\n").as_bytes(), &part, b"\r\n"].concat() };
    wire.send(&wire::head("POST", "/hooks/gitea", &HEADERS, &length)).await;
    let mut sent = 0;
    while sent < first && wire.give(&chunk).await {
        sent += PART;
    }
    let reply = wire.reply().await;
    while sent < BODY_BYTES && wire.give(&chunk).await {
        sent += PART;
    }
    (reply, sent)
}

async fn refused(is_named: bool, more_kib: usize) {
    let busy = Busy::start("", 1_024).await;
    busy.deliver(DELIVERIES).await;
    busy.forget_peak();
    let before = busy.kib("VmRSS");
    let strangers = futures::future::join_all((0..AT_ONCE).map(|_| send(&busy, is_named)));
    let (answers, slowest) = tokio::join!(strangers, busy.deliver(DELIVERIES));
    let peak = busy.kib("VmHWM");
    let statuses: Vec<Option<u16>> =
        answers.iter().map(|(reply, _)| reply.as_ref().map(|r| r.status)).collect();
    let sent: Vec<usize> = answers.iter().map(|(_, sent)| sent >> 20).collect();
    eprintln!(
        "{AT_ONCE} bodies of {BODY_BYTES}: answered {statuses:?} after {sent:?} MiB; KiB before {before}, at most {peak}; \
         slowest delivery {slowest:?}"
    );
    assert!(
        statuses.iter().all(|status| status.is_none_or(|status| [413, 503].contains(&status))),
        "{statuses:?}"
    );
    assert!(peak <= before + more_kib, "{peak} KiB after {before}");
    // And then it is as before.
    assert!(busy.deliver(DELIVERIES).await < Duration::from_secs(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_of_fifty_megabytes_at_once_are_refused_by_their_length_and_others_are_heard() {
    refused(true, NAMED_KIB).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_of_fifty_megabytes_in_chunks_at_once_are_refused_at_the_limit_and_others_are_heard() {
    refused(false, UNNAMED_KIB).await;
}

/// Begins a body of the limit's length, and holds it back after so many bytes.
async fn hold(busy: &Busy, bytes: usize) -> Wire {
    let mut wire = Wire::to(busy.address).await.unwrap();
    let length = format!("content-length: {LIMIT}\r\n");
    wire.send(&wire::head("POST", "/hooks/gitea", &HEADERS, &length)).await;
    wire.send(&vec![b' '; bytes]).await;
    wire
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_that_are_held_back_take_nothing_from_those_who_send_theirs() {
    let busy = Busy::start("", 1_024).await;
    let mut held = Vec::new();
    let mut left = KEPT;
    while left > 0 {
        let bytes = left.min(LIMIT - 1);
        held.push(hold(&busy, bytes).await);
        left -= bytes;
    }
    // why: nobody tells when the door has read what was sent.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let slowest = busy.deliver(DELIVERIES).await;
    eprintln!("{} bodies are held back; slowest delivery {slowest:?}", held.len());
}
