use std::collections::BTreeMap;

use super::Attempt;
use super::Hook;
use super::ask_again;
use super::ask_attempts;
use super::classify;
use super::leads_to;
use super::missed;
use super::read_attempts;
use super::read_hooks;
use super::window;
use crate::forge::Answer;
use crate::forge::HttpAnswer;
use crate::moment::Moment;

const URL: &str = "https://windlass.example.org/hooks/github";

fn answer<'a>(status: u16, headers: &'a [(&'a str, &'a str)], body: &'a str) -> HttpAnswer<'a> {
    HttpAnswer { status, headers, body: body.as_bytes(), now: Moment(0) }
}

/// An attempt as its number, its delivery, a minute, and what was answered.
type Row = (u64, &'static str, u64, u16);

/// An attempt at a delivery at a minute, and what was answered.
fn attempt(id: u64, guid: &str, minute: u64, status_code: u16) -> Attempt {
    let delivered_at = format!("2026-11-27T00:{minute:02}:00Z");
    Attempt { id, guid: guid.to_owned(), delivered_at, status_code }
}

#[test]
fn what_no_attempt_brought_is_missed_and_the_oldest_comes_first() {
    let cases: &[(&[Row], &[u64])] = &[
        (&[], &[]),
        (&[(1, "a", 10, 200)], &[]),
        (&[(1, "a", 10, 202)], &[]),
        (&[(1, "a", 10, 503)], &[1]),
        (&[(1, "a", 10, 401)], &[1]),
        // Nothing was answered in time.
        (&[(1, "a", 10, 0)], &[1]),
        // A later attempt, or an earlier one, brought it.
        (&[(2, "a", 20, 202), (1, "a", 10, 503)], &[]),
        (&[(2, "a", 20, 503), (1, "a", 10, 202)], &[]),
        // Asked for by its first attempt, however many there were.
        (&[(3, "a", 30, 500), (2, "a", 20, 502), (1, "a", 10, 503)], &[1]),
        (&[(4, "b", 40, 500), (3, "c", 30, 202), (2, "a", 20, 503), (1, "d", 10, 0)], &[1, 2, 4]),
        (&[(2, "b", 10, 500), (1, "a", 10, 500)], &[1, 2]),
        // Too old.
        (&[(1, "a", 4, 503), (2, "b", 5, 503)], &[2]),
        (&[(2, "a", 20, 503), (1, "a", 4, 503)], &[]),
    ];
    for (attempts, expected) in cases {
        let attempts: Vec<Attempt> =
            attempts.iter().map(|(id, guid, minute, status)| attempt(*id, guid, *minute, *status)).collect();
        let found = missed(&attempts, "2026-11-27T00:05:00Z", &BTreeMap::new(), Moment(0));
        assert_eq!(found.iter().map(|(id, _)| *id).collect::<Vec<_>>(), *expected, "{attempts:?}");
    }
}

#[test]
fn how_long_github_keeps_a_delivery_depends_on_whose_it_is() {
    for (api, days) in [
        ("https://api.github.com", 3),
        ("https://api.octo.ghe.com", 3),
        ("https://github.example.org/api/v3", 7),
        ("https://example.org/api.github.com", 7),
    ] {
        assert_eq!(window(api).as_secs(), days * 24 * 3_600, "{api}");
    }
}

#[test]
fn what_was_asked_for_is_left_alone_for_a_while_and_not_asked_for_for_ever() {
    let asked = BTreeMap::from([("a".to_owned(), Moment(1_000))]);
    let one = [attempt(1, "a", 10, 503), attempt(2, "b", 20, 503)];
    for (now, expected) in [(1_000, 1), (600_999, 1), (601_000, 2)] {
        assert_eq!(missed(&one, "", &asked, Moment(now)).len(), expected, "{now}");
    }
    let tried = |times| (0..times).map(|id| attempt(id, "a", id, 503)).collect::<Vec<_>>();
    assert_eq!(missed(&tried(11), "", &BTreeMap::new(), Moment(0)).len(), 1);
    assert_eq!(missed(&tried(12), "", &BTreeMap::new(), Moment(0)), []);
}

#[test]
fn attempts_are_read_page_by_page() {
    let body = r#"[{"id": 12, "guid": "0b989ba4", "delivered_at": "2026-11-27T00:10:00Z", "redelivery": false,
        "duration": 0.27, "status": "OK", "status_code": 200, "event": "push", "action": null,
        "installation_id": 1, "repository_id": 2, "throttled_at": null}]"#;
    let link = "<https://api.github.com/app/hook/deliveries?per_page=100&cursor=v1_77-a%3D>; rel=\"next\"";
    let (attempts, cursor) = read_attempts(&answer(200, &[("link", link)], body)).unwrap();
    assert_eq!(attempts, [attempt(12, "0b989ba4", 10, 200)]);
    assert_eq!(cursor.as_deref(), Some("v1_77-a%3D"));
    let app = ask_attempts("https://api.github.com", &Hook::App, cursor.as_deref());
    assert_eq!(app.url, "https://api.github.com/app/hook/deliveries?per_page=100&cursor=v1_77-a%3D");
    let hook = Hook::Repository("team/shop".into(), 5);
    let own = ask_attempts("https://api.github.com", &hook, None);
    assert_eq!(own.url, "https://api.github.com/repos/team/shop/hooks/5/deliveries?per_page=100");
    let again = ask_again("https://api.github.com", &hook, 12);
    assert_eq!(again.url, "https://api.github.com/repos/team/shop/hooks/5/deliveries/12/attempts");
    assert_eq!((again.method, classify(&answer(202, &[], "{}"))), ("POST", Answer::Taken));
    for status in [404, 422] {
        assert!(matches!(classify(&answer(status, &[], "")), Answer::Never(_)), "one delivery alone");
    }
    for link in [
        "<https://api.github.com/x?cursor=v1>; rel=\"prev\"",
        "<https://api.github.com/x?page=2>; rel=\"next\"",
        "<https://api.github.com/x?cursor=>; rel=\"next\"",
        "<https://api.github.com/x?cursor=a b>; rel=\"next\"",
        "<https://api.github.com/x?cursor=a#/../..>; rel=\"next\"",
        "rel=\"next\"",
        "",
    ] {
        assert_eq!(read_attempts(&answer(200, &[("link", link)], "[]")), Ok((Vec::new(), None)), "{link}");
    }
}

#[test]
fn a_webhook_is_ours_by_where_it_leads() {
    let config = |url: &str| format!(r#"{{"content_type": "json", "secret": "********", "url": "{url}"}}"#);
    for (url, ours) in [
        (URL.to_owned(), true),
        (format!("{URL}/shop"), true),
        (format!("{URL}-other"), false),
        ("https://elsewhere.example.org/hooks/github".to_owned(), false),
        (String::new(), false),
    ] {
        assert_eq!(leads_to(URL, &answer(200, &[], &config(&url))), Ok(ours), "{url}");
    }
    assert_eq!(leads_to(URL, &answer(404, &[], "")), Ok(false));
    assert_eq!(leads_to(URL, &answer(200, &[], "{}")), Ok(false));
    let hook = |id: u64, active: bool, url: &str| {
        format!(r#"{{"id": {id}, "active": {active}, "events": ["push"], "config": {}}}"#, config(url))
    };
    let hooks = [
        hook(1, true, "https://ci.example.org/"),
        hook(2, true, URL),
        hook(3, false, URL),
        hook(4, true, URL),
    ];
    assert_eq!(read_hooks(URL, &answer(200, &[], &format!("[{}]", hooks.join(",")))), Ok(vec![2, 4]));
}

#[test]
fn what_is_not_shown_says_which_right_is_missing() {
    for (status, headers, expected) in [
        (403, &[][..], "Webhooks: read and write"),
        (404, &[], "administer the repository's webhooks"),
        (401, &[], "refuses the token"),
    ] {
        let refused = read_attempts(&answer(status, headers, "")).unwrap_err();
        assert!(matches!(&refused, Answer::Ours(why) if why.contains(expected)), "{refused:?}");
    }
    assert!(matches!(read_attempts(&answer(403, &[("retry-after", "5")], "")), Err(Answer::Later(Some(_)))));
    assert!(matches!(read_attempts(&answer(502, &[], "")), Err(Answer::Unsure(None))));
    assert!(matches!(read_attempts(&answer(200, &[], "{}")), Err(Answer::Ours(_))));
}
