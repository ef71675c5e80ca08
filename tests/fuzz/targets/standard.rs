//! Verifies Standard Webhooks, and holds the answer against the words of the specification.
//!
//! An input is an id, a time and a list of signatures, a line each, and the body. In the list, `GOOD` stands for the
//! signature that is right for the rest.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::Hmac;
use hmac::KeyInit;
use hmac::Mac;
use sha2::Sha256;
use windlass::forge::Kind;
use windlass::forge::Request;
use windlass::secret::Secret;

use super::NOW;
use super::line;
use super::text;

const KEY: &str = "C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

/// How many seconds may a time be off?
const TOLERANCE: i128 = 300;
/// How many signatures of one list are looked at?
const SIGNATURES: usize = 16;

/// Verifies any id, time, list and body.
pub fn run(input: &[u8]) {
    let (id, rest) = line(input);
    let (time, rest) = line(rest);
    let (list, body) = line(rest);
    let (id, time, list) = (text(id), text(time), text(list));
    let key = STANDARD.decode(KEY).unwrap();
    let mut code = Hmac::<Sha256>::new_from_slice(&key).unwrap();
    code.update(&[id.as_bytes(), b".", time.as_bytes(), b".", body].concat());
    let good = STANDARD.encode(code.finalize().into_bytes());
    let list = list.replace("GOOD", &good);
    let headers =
        [("webhook-id", id.as_str()), ("webhook-timestamp", time.as_str()), ("webhook-signature", &list)];
    let request = Request { headers: &headers, body, now: NOW };
    let secrets =
        [Secret::new("a plain token beside it").unwrap(), Secret::new(&format!("whsec_{KEY}")).unwrap()];
    let heard = Kind::Gitlab.rules().verify(&request, &secrets).map(|delivery| delivery.secret());
    let fine = is_id(&id) && is_fresh(&time) && is_among(&good, &list);
    assert_eq!(heard, fine.then_some(1), "id {id:?}, time {time:?}, list {list:?}");
}

fn is_id(id: &str) -> bool {
    !id.is_empty() && !id.contains('.')
}

fn is_fresh(time: &str) -> bool {
    let digits = !time.is_empty() && time.bytes().all(|b| b.is_ascii_digit());
    // What has more digits than this is far away, whatever zeros it starts with may say.
    let seconds: Option<i128> = time.parse().ok();
    digits && seconds.is_some_and(|at| (i128::from(NOW.0 / 1000) - at).abs() <= TOLERANCE)
}

fn is_among(good: &str, list: &str) -> bool {
    let items = list.split(' ').filter(|item| item.starts_with("v1,")).take(SIGNATURES);
    items.into_iter().any(|item| item == format!("v1,{good}"))
}
