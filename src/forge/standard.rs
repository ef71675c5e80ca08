//! Standard Webhooks: a signature over a delivery's id, its time and its body
//! (<https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::Mac;

use crate::forge::Request;
use crate::forge::signature;
use crate::forge::signature::Claim;
use crate::forge::signature::Code;
use crate::moment::Moment;
use crate::secret::Secret;

/// The header that a signed delivery has and no other.
pub const SIGNATURE: &str = "webhook-signature";

const ID: &str = "webhook-id";
const TIMESTAMP: &str = "webhook-timestamp";

/// What starts the text of a key.
const PREFIX: &str = "whsec_";

/// How many bytes may a key have?
const KEY_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// How far may a delivery's time be from ours, either way, in seconds? The libraries of the specification say so.
const TOLERANCE: u64 = 300;

/// How many signatures of one delivery are looked at? There are several while a key is rotated.
const SIGNATURES: usize = 16;

/// Says whether a secret is a key for signatures, and so not one that is sent as it is.
pub fn is_key(secret: &Secret) -> bool {
    secret.expose().starts_with(PREFIX)
}

/// Reads a key; `None` when it is none, or not one of a fitting length.
pub fn key(secret: &Secret) -> Option<Vec<u8>> {
    let key = STANDARD.decode(secret.expose().strip_prefix(PREFIX)?).ok()?;
    Some(key).filter(|key| KEY_BYTES.contains(&key.len()))
}

/// Returns the first secret, from 0, that is a key and by which a signature of the request holds, when all else about
/// it is as it must be. The work is the same for every reason for which it is not.
pub fn holds(request: &Request<'_>, secrets: &[Secret]) -> Option<usize> {
    let id = request.only(ID).filter(|id| is_id(id));
    let time = request.only(TIMESTAMP).filter(|time| is_fresh(time, request.now));
    let whole = id.is_some() & time.is_some();
    let (id, time) = (id.unwrap_or_default(), time.unwrap_or_default());
    let claims = claims(request.only(SIGNATURE).unwrap_or_default());
    let mut found = None;
    for (index, secret) in secrets.iter().enumerate() {
        let Some(code) = key(secret).and_then(|key| code(&key, id, time, request.body)) else { continue };
        let fine = claims.iter().fold(false, |fine, claim| {
            let equal = code.clone().verify_slice(&claim.unwrap_or_default()).is_ok();
            fine | (equal & claim.is_some())
        });
        if fine & whole && found.is_none() {
            found = Some(index);
        }
    }
    found
}

/// Returns the headers of a delivery that is signed with a key; none when it is no key.
pub fn sign(secret: &Secret, id: &str, body: &[u8], now: Moment) -> Vec<(&'static str, String)> {
    let time = seconds(now).to_string();
    let Some(code) = key(secret).and_then(|key| code(&key, id, &time, body)) else { return Vec::new() };
    let signature = format!("v1,{}", STANDARD.encode(code.finalize().into_bytes()));
    vec![(ID, id.to_owned()), (TIMESTAMP, time), (SIGNATURE, signature)]
}

fn code(key: &[u8], id: &str, time: &str, body: &[u8]) -> Option<Code> {
    signature::code(key, &[id.as_bytes(), b".", time.as_bytes(), b".", body])
}

/// A dot would let an id run into the time.
fn is_id(text: &str) -> bool {
    !text.is_empty() && !text.contains('.')
}

fn is_fresh(text: &str, now: Moment) -> bool {
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    let time: Option<i64> = text.parse().ok();
    time.is_some_and(|time| digits && seconds(now).abs_diff(time) <= TOLERANCE)
}

fn seconds(moment: Moment) -> i64 {
    moment.0.div_euclid(1000)
}

/// Reads the signatures of a list with spaces between; those of other versions are passed over. There is at least one
/// claim, so that a list without any costs what a list with one does.
fn claims(list: &str) -> Vec<Claim> {
    let signatures = list.split(' ').filter_map(|item| item.strip_prefix("v1,"));
    let mut claims: Vec<Claim> = signatures
        .take(SIGNATURES)
        .map(|text| STANDARD.decode(text).ok().and_then(|bytes| bytes.try_into().ok()))
        .collect();
    if claims.is_empty() {
        claims.push(None);
    }
    claims
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use hmac::Mac;

    use super::ID;
    use super::SIGNATURE;
    use super::SIGNATURES;
    use super::TIMESTAMP;
    use super::code;
    use super::holds;
    use super::key;
    use super::sign;
    use crate::forge::Request;
    use crate::moment::Moment;
    use crate::secret::Secret;

    // The vector of the specification's own libraries.
    const KEY: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
    const MESSAGE: &str = "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk";
    const TIME: &str = "1649367553";
    const BODY: &str = r#"{"email":"test@example.com","username":"test_user"}"#;
    const GOOD: &str = "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=";
    const NOW: Moment = Moment(1_649_367_553_000);

    const OTHER_KEY: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    fn heard(headers: &[(&str, &str)], body: &str, now: Moment) -> Option<usize> {
        let secrets = ["a plain token of this test", OTHER_KEY, KEY].map(|text| Secret::new(text).unwrap());
        holds(&Request { headers, body: body.as_bytes(), now }, &secrets)
    }

    fn signed(signature: &str) -> Option<usize> {
        heard(&[(ID, MESSAGE), (TIMESTAMP, TIME), (SIGNATURE, signature)], BODY, NOW)
    }

    #[test]
    fn the_vector_of_the_specification_holds_and_is_made() {
        assert_eq!(signed(GOOD), Some(2));
        let made = sign(&Secret::new(KEY).unwrap(), MESSAGE, BODY.as_bytes(), NOW);
        let expected = [(ID, MESSAGE), (TIMESTAMP, TIME), (SIGNATURE, GOOD)];
        assert_eq!(made, expected.map(|(name, value)| (name, value.to_owned())));
    }

    #[test]
    fn id_time_and_body_are_covered_and_each_is_there_once() {
        let good = [(ID, MESSAGE), (TIMESTAMP, TIME), (SIGNATURE, GOOD)];
        assert_eq!(heard(&good, &format!("{BODY}\n"), NOW), None);
        for at in 0..good.len() {
            let mut without = good.to_vec();
            without.remove(at);
            assert_eq!(heard(&without, BODY, NOW), None, "without {}", good[at].0);
            let mut twice = good.to_vec();
            twice.push(good[at]);
            assert_eq!(heard(&twice, BODY, NOW), None, "{} twice", good[at].0);
        }
        for (at, bad) in [
            (0, ""),
            (0, "msg_27UH4WbU6Z5A5EzD8u03UvzRbpl"),
            (1, "1649367554"),
            (1, "+1649367553"),
            (1, "1649367553.0"),
            (1, "01649367553"),
            (1, ""),
            (1, "now"),
        ] {
            let mut other = good;
            other[at].1 = bad;
            assert_eq!(heard(&other, BODY, NOW), None, "{} {bad:?}", good[at].0);
        }
    }

    #[test]
    fn what_was_signed_cannot_be_cut_elsewhere() {
        let secret = Secret::new(KEY).unwrap();
        let made = sign(&secret, "a", b"1649367553.{}", Moment(7000));
        let cut = [(ID, "a.7"), (TIMESTAMP, TIME), (SIGNATURE, made[2].1.as_str())];
        assert_eq!(heard(&cut, "{}", NOW), None);
    }

    #[test]
    fn whoever_has_the_key_must_give_an_id_and_a_time_too() {
        let secret = Secret::new(KEY).unwrap();
        type Case = (&'static [(&'static str, &'static str)], &'static str, &'static str, bool);
        let cases: &[Case] = &[
            (&[(ID, MESSAGE), (TIMESTAMP, TIME)], MESSAGE, TIME, true),
            (&[(ID, MESSAGE)], MESSAGE, "", false),
            (&[(TIMESTAMP, TIME)], "", TIME, false),
            (&[(ID, ""), (TIMESTAMP, TIME)], "", TIME, false),
            (&[(ID, MESSAGE), (TIMESTAMP, "")], MESSAGE, "", false),
            (&[(ID, MESSAGE), (TIMESTAMP, "+1649367553")], MESSAGE, "+1649367553", false),
            (&[], "", "", false),
        ];
        for (headers, id, time, fine) in cases {
            let code = code(&key(&secret).unwrap(), id, time, BODY.as_bytes()).unwrap();
            let signature = format!("v1,{}", STANDARD.encode(code.finalize().into_bytes()));
            let headers = [headers, &[(SIGNATURE, signature.as_str())][..]].concat();
            assert_eq!(heard(&headers, BODY, NOW), fine.then_some(2), "{headers:?}");
        }
    }

    #[test]
    fn a_time_more_than_five_minutes_away_is_none() {
        let headers = [(ID, MESSAGE), (TIMESTAMP, TIME), (SIGNATURE, GOOD)];
        for (off, fine) in [
            (0, true),
            (-300_000, true),
            (300_000, true),
            (-301_000, false),
            (301_000, false),
            (300_999, true),
            (-300_001, false),
        ] {
            assert_eq!(heard(&headers, BODY, Moment(NOW.0 + off)), fine.then_some(2), "{off}");
        }
        assert_eq!(heard(&headers, BODY, Moment(i64::MIN)), None);
        assert_eq!(heard(&headers, BODY, Moment(i64::MAX)), None);
    }

    #[test]
    fn one_signature_of_several_is_enough() {
        let other = format!("v1,{}", "A".repeat(43) + "=");
        let crowd = format!("{} {GOOD}", vec![other.as_str(); SIGNATURES].join(" "));
        let (first, last) = (format!("{GOOD} {other}"), format!("{other} {GOOD}"));
        let ed25519 = format!("v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw== v2,x  {GOOD} ");
        for (list, held) in [
            (first.as_str(), true),
            (last.as_str(), true),
            (ed25519.as_str(), true),
            (other.as_str(), false),
            (crowd.as_str(), false),
            ("", false),
            ("v1,", false),
            (&GOOD["v1,".len()..], false),
            (&GOOD[.."v1,".len() + 43], false),
            (&GOOD.replace("v1,", "v1a,"), false),
            (&GOOD.replace("v1,", "V1,"), false),
            (&GOOD.replace("v1,", "v1, "), false),
            (&GOOD.replace(' ', ","), true),
            (&format!("{GOOD},{GOOD}"), false),
        ] {
            assert_eq!(signed(list), held.then_some(2), "{list}");
        }
    }

    #[test]
    fn keys_are_base64_of_24_to_64_bytes() {
        for (text, bytes) in [
            (KEY.to_owned(), Some(24)),
            (format!("whsec_{}", "QUFB".repeat(21) + "QQ=="), Some(64)),
            (format!("whsec_{}", "QUFB".repeat(21) + "QUE="), None),
            (format!("whsec_{}", "QUFB".repeat(7) + "QUE="), None),
            (format!("whsec_{}", "QUFB".repeat(8) + "QQ"), None),
            (KEY.replace("whsec_", "whsk_"), None),
            (KEY.replace('+', "-"), None),
        ] {
            let key = key(&Secret::new(&text).unwrap());
            assert_eq!(key.map(|key| key.len()), bytes, "{text}");
        }
        assert_eq!(sign(&Secret::new("a plain token of this test").unwrap(), "a", b"", NOW), []);
    }
}
