use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::Purpose;
use super::ask_installation;
use super::ask_token;
use super::blames_token;
use super::claim;
use super::read_installation;
use super::read_token;
use super::signed;
use crate::forge::Answer;
use crate::forge::HttpAnswer;
use crate::moment::Moment;
use crate::secret::Secret;

const NOW: Moment = Moment(1_700_000_000_900);

fn answer<'a>(status: u16, headers: &'a [(&'a str, &'a str)], body: &'a str) -> HttpAnswer<'a> {
    HttpAnswer { status, headers, body: body.as_bytes(), now: NOW }
}

fn part(token: &str, at: usize) -> serde_json::Value {
    let bytes = URL_SAFE_NO_PAD.decode(token.split('.').nth(at).unwrap()).unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

#[test]
fn a_claim_is_dated_back_and_holds_for_less_than_ten_minutes() {
    let token = signed(&claim("Iv1.0123", NOW), b"\xfb\xff");
    assert_eq!(part(&token, 0), serde_json::json!({"alg": "RS256", "typ": "JWT"}));
    let says = serde_json::json!({"iat": 1_699_999_940, "exp": 1_700_000_540, "iss": "Iv1.0123"});
    assert_eq!(part(&token, 1), says);
    // The alphabet of URLs, without padding.
    assert_eq!(token.split('.').nth(2), Some("-_8"));
    assert_eq!(token.split('.').count(), 3);
}

#[test]
fn a_token_is_asked_for_one_purpose_in_one_repository() {
    let ask = ask_installation("https://api.github.com", "team/sh op");
    assert_eq!((ask.method, ask.body.as_str()), ("GET", ""));
    assert_eq!(ask.url, "https://api.github.com/repos/team/sh%20op/installation");
    for (purpose, permissions) in [
        (Purpose::Read, serde_json::json!({"contents": "read"})),
        (Purpose::Post, serde_json::json!({"checks": "write"})),
        (Purpose::Hooks, serde_json::json!({"repository_hooks": "write"})),
    ] {
        let ask = ask_token("https://api.github.com", 42, "team/shop", purpose);
        assert_eq!(ask.method, "POST");
        assert_eq!(ask.url, "https://api.github.com/app/installations/42/access_tokens");
        let body: serde_json::Value = serde_json::from_str(&ask.body).unwrap();
        assert_eq!(body, serde_json::json!({"repositories": ["shop"], "permissions": permissions}));
        for (name, value) in [
            ("content-type", "application/json"),
            ("accept", "application/vnd.github+json"),
            ("x-github-api-version", "2022-11-28"),
        ] {
            assert!(ask.headers.contains(&(name, value.to_owned())), "{:?}", ask.headers);
        }
    }
}

#[test]
fn an_installation_is_a_number() {
    assert_eq!(read_installation(&answer(200, &[], r#"{"id": 42, "app_id": 7}"#)), Ok(42));
    for body in ["", "[]", "{}", r#"{"id": "42"}"#, r#"{"id": -1}"#] {
        assert!(matches!(read_installation(&answer(200, &[], body)), Err(Answer::Ours(_))), "{body}");
    }
}

#[test]
fn a_token_is_opaque_and_may_be_long() {
    let long = format!("ghs_{}", "a.b-c_".repeat(2_000));
    for token in [long.as_str(), "ghs_16C7e42F292c6912E7710c838347Ae178B4a"] {
        let body = serde_json::json!({"token": token, "expires_at": "2026-11-27T01:00:00Z"}).to_string();
        let grant = read_token(Purpose::Read, &answer(201, &[], &body)).unwrap();
        assert_eq!(grant.token, Secret::new(token).unwrap());
        assert_eq!(grant.expires_at, "2026-11-27T01:00:00Z");
        assert!(!format!("{grant:?}").contains(token));
    }
    for body in [
        "",
        r#"{"token": "ghs_16C7e42F292c6912E7710c838347Ae178B4a"}"#,
        r#"{"token": "", "expires_at": "2026-11-27T01:00:00Z"}"#,
    ] {
        let read = read_token(Purpose::Read, &answer(201, &[], body));
        assert!(matches!(read, Err(Answer::Ours(_))), "{body}");
    }
}

/// A status, headers, a body, and what the answer means: a time to wait, or words of what to do.
type Case = (u16, &'static [(&'static str, &'static str)], &'static str, Result<Option<u64>, &'static str>);

#[test]
fn what_github_refuses_an_app_says_what_to_do() {
    let cases: [Case; 12] = [
        (
            401,
            &[],
            r#"{"message": "'Expiration time' claim ('exp') is too far"}"#,
            Err("app.key of this forge"),
        ),
        (401, &[], r#"{"message": "'Expiration time' claim"}"#, Err("('Expiration time' claim")),
        (403, &[], r#"{"message": "This installation has been suspended"}"#, Err("is suspended")),
        (404, &[], "", Err("install")),
        (422, &[], r#"{"message": "The permissions requested are not granted"}"#, Err("checks: write")),
        (301, &[], "", Err("present names")),
        (403, &[("retry-after", "7")], "", Ok(Some(7))),
        (429, &[], "", Ok(Some(0))),
        (403, &[], r#"{"message": "You have exceeded a secondary rate limit."}"#, Ok(Some(0))),
        (403, &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1700000009")], "", Ok(Some(10))),
        (500, &[], "<html>", Ok(None)),
        (503, &[("retry-after", "3")], "", Ok(Some(3))),
    ];
    for (status, headers, body, expected) in cases {
        let given = answer(status, headers, body);
        let refused = read_token(Purpose::Post, &given).unwrap_err();
        let told = |answer: &Answer| match answer {
            Answer::Later(wait) | Answer::Unsure(wait) => Ok(wait.map(|wait| wait.as_secs())),
            Answer::Limited => Ok(Some(0)),
            Answer::Ours(why) => Err(why.clone()),
            Answer::Taken | Answer::TakenLast(_) | Answer::Never(_) => panic!("{answer:?}"),
        };
        for refused in [refused, read_installation(&given).unwrap_err()] {
            match (expected, told(&refused)) {
                // Without a permission there is none to name.
                (Err(words), Err(why)) => {
                    assert!(why.contains(words) || words == "checks: write", "{status}: {why}");
                }
                (wait, told) => assert_eq!(told, wait.map_err(str::to_owned), "{status}"),
            }
        }
    }
}

#[test]
fn a_token_is_blamed_for_what_another_one_might_be_let_do() {
    for (status, headers, blamed) in [
        (200, &[][..], false),
        (401, &[], true),
        (403, &[], true),
        (404, &[], true),
        (403, &[("retry-after", "1")], false),
        (422, &[], false),
        (429, &[], false),
        (500, &[], false),
    ] {
        assert_eq!(blames_token(&answer(status, headers, "")), blamed, "{status} {headers:?}");
    }
}
