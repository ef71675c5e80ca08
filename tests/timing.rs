//! How long a refusal takes says nothing about why: requests that are wrong in different ways are sent in a random
//! order, and whoever measures the answers cannot tell the ways apart.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test may panic")]

use tokio::time::Instant;
use windlass::clock::now;
use windlass::forge::Kind;
use windlass::moment::Moment;
use windlass::secret::Secret;

#[allow(dead_code, reason = "the tests of payloads use more of it")]
#[path = "payloads/door.rs"]
mod door;
mod world;

use door::KEY;
use door::OTHERS;
use door::SECRET;
use world::door::Door;
use world::wire;
use world::wire::Wire;

/// How large is the body? Large enough that the code over it takes most of the time.
const BODY_BYTES: usize = 3 << 20;
/// How often is each request sent?
const TIMES: usize = 30;

/// How often may a request of one cause be answered later than one of another, of all pairs of them? Half of the time
/// when nobody can tell them apart. By chance it is beyond these once in millions of runs; whoever answers before the
/// code of the body was computed is beyond them always.
const LATER: std::ops::RangeInclusive<f64> = 0.1..=0.9;

/// One way of being wrong.
struct Cause {
    name: &'static str,
    headers: Vec<(&'static str, String)>,
    millis: Vec<f64>,
}

type Headers = Vec<(&'static str, String)>;

fn body() -> Vec<u8> {
    vec![b' '; BODY_BYTES]
}

fn signed(kind: Kind, secret: &str, at: Moment) -> Headers {
    kind.rules().sign("push", "delivery-1", &body(), &Secret::new(secret).unwrap(), at)
}

fn without(headers: &Headers, names: &[&str]) -> Headers {
    headers.iter().filter(|(name, _)| !names.contains(name)).cloned().collect()
}

fn with(headers: &Headers, name: &'static str, value: &str) -> Headers {
    let mut headers = without(headers, &[name]);
    headers.push((name, value.to_owned()));
    headers
}

fn cause(name: &'static str, headers: Headers) -> Cause {
    Cause { name, headers, millis: Vec::new() }
}

/// The causes at GitHub, the first being what the others are held against.
fn github() -> Vec<Cause> {
    const NAME: &str = "x-hub-signature-256";
    let wrong = signed(Kind::Github, "a secret of nobody", now());
    let digits = "ab".repeat(32);
    let mut twice = wrong.clone();
    twice.push(wrong.iter().find(|(name, _)| *name == NAME).unwrap().clone());
    vec![
        cause("a wrong secret", wrong.clone()),
        cause("no signature", without(&wrong, &[NAME])),
        cause("an empty signature", with(&wrong, NAME, "")),
        cause("a signature that is too short", with(&wrong, NAME, "sha256=abcd")),
        cause("a signature that is too long", with(&wrong, NAME, &format!("sha256={digits}{digits}"))),
        cause("a signature that is no number", with(&wrong, NAME, &format!("sha256={}", "zz".repeat(32)))),
        cause("a signature of another kind", with(&wrong, NAME, &format!("sha1={digits}"))),
        cause("two signatures", twice),
        cause("the secret of another source", signed(Kind::Github, OTHERS, now())),
    ]
}

/// The same at Gitea, which has two headers with it.
fn gitea() -> Vec<Cause> {
    const NAMES: [&str; 2] = ["x-gitea-signature", "x-hub-signature-256"];
    let wrong = signed(Kind::Gitea, "a secret of nobody", now());
    vec![
        cause("a wrong secret", wrong.clone()),
        cause("no signature", without(&wrong, &NAMES)),
        cause("an empty signature", with(&with(&wrong, NAMES[0], ""), NAMES[1], "sha256=")),
        cause("one signature of two", without(&wrong, &NAMES[..1])),
        cause("the secret of another source", signed(Kind::Gitea, OTHERS, now())),
    ]
}

/// The causes where a delivery has GitLab's signature.
fn gitlab_signed() -> Vec<Cause> {
    const LIST: &str = "webhook-signature";
    let wrong = signed(Kind::Gitlab, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", now());
    vec![
        cause("a wrong key", wrong.clone()),
        cause("an empty list", with(&wrong, LIST, "")),
        cause("a list without a version that is known", with(&wrong, LIST, "v1a,AAAA")),
        cause("a signature that is too short", with(&wrong, LIST, "v1,AAAA")),
        cause("no id", without(&wrong, &["webhook-id"])),
        cause("no time", without(&wrong, &["webhook-timestamp"])),
        cause(
            "a time that is over, by the right key",
            signed(Kind::Gitlab, KEY, Moment(now().0 - 3_600_000)),
        ),
    ]
}

/// The causes where it has a token.
fn gitlab_token() -> Vec<Cause> {
    const NAME: &str = "x-gitlab-token";
    let wrong = signed(Kind::Gitlab, "a secret of nobody", now());
    vec![
        cause("a wrong token", wrong.clone()),
        cause("no token", without(&wrong, &[NAME])),
        cause("all of the token but its end", with(&wrong, NAME, &SECRET[..SECRET.len() - 1])),
        cause("the token of another source", with(&wrong, NAME, OTHERS)),
        cause("the key for signatures", with(&wrong, NAME, KEY)),
    ]
}

/// Sends a request but for its last byte, and returns how many milliseconds pass from there to the answer.
async fn measured(door: &Door, kind: Kind, headers: &Headers) -> f64 {
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let bytes = wire::request("POST", &format!("/hooks/{kind}"), &headers, &body());
    let (most, last) = bytes.split_at(bytes.len() - 1);
    let mut wire = Wire::to(door.address).await.unwrap();
    wire.send(most).await;
    let begun = Instant::now();
    wire.send(last).await;
    let reply = wire.reply().await.expect("an answer");
    assert_eq!(reply.status, 401);
    begun.elapsed().as_secs_f64() * 1000.0
}

/// Returns numbers below `below`, which look random and are the same in each run.
fn dice(below: usize) -> impl FnMut() -> usize {
    let mut state = 0x9e37_79b9_u32;
    move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        usize::try_from(state >> 8).unwrap() % below
    }
}

/// Sends all requests in a random order, one at a time.
async fn measure(kind: Kind, mut causes: Vec<Cause>) -> Vec<Cause> {
    let door = door::open().await;
    let mut order: Vec<usize> = (0..causes.len() * TIMES).map(|at| at % causes.len()).collect();
    let mut dice = dice(order.len());
    for at in 0..order.len() {
        order.swap(at, dice());
    }
    for which in order {
        let millis = measured(&door, kind, &causes[which].headers).await;
        causes[which].millis.push(millis);
    }
    door.close(0).await;
    causes
}

fn mean(numbers: &[f64]) -> f64 {
    numbers.iter().sum::<f64>() / f64::from(u32::try_from(numbers.len()).unwrap())
}

/// Returns the number that this share of all is not above.
fn quantile(numbers: &[f64], percent: usize) -> f64 {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[(sorted.len() - 1) * percent / 100]
}

/// Returns Welch's t: by how many standard errors two means differ.
fn welch(first: &[f64], second: &[f64]) -> f64 {
    let spread = |numbers: &[f64]| {
        let middle = mean(numbers);
        let squares: Vec<f64> = numbers.iter().map(|number| (number - middle).powi(2)).collect();
        mean(&squares) / f64::from(u32::try_from(numbers.len() - 1).unwrap())
    };
    (mean(first) - mean(second)) / (spread(first) + spread(second)).sqrt()
}

/// Returns in which share of all pairs the first is later than the second (Mann and Whitney's U, over all pairs): one
/// slow answer, as on a busy machine, counts no more than any other.
fn later(first: &[f64], second: &[f64]) -> f64 {
    let pairs = first.iter().flat_map(|one| second.iter().map(move |other| f64::from(u8::from(one > other))));
    mean(&pairs.collect::<Vec<_>>())
}

async fn tells_nothing(kind: Kind, causes: Vec<Cause>) {
    let causes = measure(kind, causes).await;
    let mut wrong = Vec::new();
    eprintln!("{kind}: milliseconds from the last byte to the answer, over {TIMES} requests each");
    for cause in &causes {
        let (millis, others) = (&cause.millis, &causes[0].millis);
        let later = later(millis, others);
        eprintln!(
            "  median {:7.2}  mean {:7.2}  p10 {:7.2}  p90 {:7.2}  later {later:.2}  Welch's t {:6.2}  {}",
            quantile(millis, 50),
            mean(millis),
            quantile(millis, 10),
            quantile(millis, 90),
            welch(millis, others),
            cause.name,
        );
        if !std::ptr::eq(cause, &causes[0]) && !LATER.contains(&later) {
            wrong.push(format!("{} is told from {} ({later:.2})", cause.name, causes[0].name));
        }
    }
    assert!(wrong.is_empty(), "{kind}: {}", wrong.join(", "));
}

#[tokio::test]
async fn a_refusal_takes_as_long_whatever_is_wrong() {
    // One after the other, since each measures time.
    tells_nothing(Kind::Github, github()).await;
    tells_nothing(Kind::Gitea, gitea()).await;
    tells_nothing(Kind::Gitlab, gitlab_signed()).await;
    tells_nothing(Kind::Gitlab, gitlab_token()).await;
}
