use super::Gitlab;
use crate::commit::CommitId;
use crate::commit::RefName;
use crate::event::Hint;
use crate::event::Push;
use crate::forge::Forge;
use crate::forge::HttpRequest;
use crate::forge::Request;
use crate::forge::StatusPost;
use crate::moment::Moment;
use crate::outcome::Phase;
use crate::secret::Secret;

const NOW: Moment = Moment(1_649_367_553_000);
const TOKEN: &str = "a plain token of this test";
const OLD_TOKEN: &str = "an older token of this test";
const KEY: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

type Headers<'a> = Vec<(&'a str, &'a str)>;

fn secret(text: &str) -> Secret {
    Secret::new(text).unwrap()
}

/// Returns the id of a delivery and which secret it holds by.
fn verify(headers: &[(&str, &str)], body: &str, secrets: &[&str]) -> Option<(String, usize)> {
    let secrets: Vec<Secret> = secrets.iter().map(|text| secret(text)).collect();
    let request = Request { headers, body: body.as_bytes(), now: NOW };
    Gitlab.verify(&request, &secrets).map(|delivery| (delivery.id().to_owned(), delivery.secret()))
}

fn read(event: &str, body: &str) -> Hint {
    let headers = [("x-gitlab-event", event), ("x-gitlab-token", TOKEN)];
    let request = Request { headers: &headers, body: body.as_bytes(), now: NOW };
    Gitlab.read(&Gitlab.verify(&request, &[secret(TOKEN)]).unwrap())
}

fn why(event: &str, body: &str) -> String {
    match read(event, body) {
        Hint::Ignored { why } => why,
        told @ (Hint::Push(_) | Hint::PullRequest(_) | Hint::Rerun(_)) => panic!("{body}: {told:?}"),
    }
}

#[test]
fn a_token_holds_when_it_is_one_of_the_secrets_and_comes_once() {
    let secrets = [OLD_TOKEN, KEY, TOKEN];
    let cases: &[(&[&str], Option<usize>)] = &[
        (&[TOKEN], Some(2)),
        (&[OLD_TOKEN], Some(0)),
        (&[], None),
        (&[""], None),
        (&["\u{fffd}"], None),
        (&["a plain token of this tes"], None),
        (&["a plain token of this test "], None),
        (&[TOKEN, TOKEN], None),
        (&[TOKEN, ""], None),
        // A key is for signatures: whoever only sends it has proven nothing that GitLab would.
        (&[KEY], None),
    ];
    for (tokens, expected) in cases {
        let headers: Headers<'_> = tokens.iter().map(|token| ("x-gitlab-token", *token)).collect();
        assert_eq!(verify(&headers, "{}", &secrets).map(|(_, secret)| secret), *expected, "{tokens:?}");
    }
    assert_eq!(verify(&[("x-gitlab-token", TOKEN)], "{}", &[]), None);
}

#[test]
fn a_signature_that_is_there_must_hold_whatever_the_token_says() {
    let made = Gitlab.sign("Push Hook", "id-1", b"{}", &secret(KEY), NOW);
    let signed: Headers<'_> = made.iter().map(|(name, value)| (*name, value.as_str())).collect();
    // What stands in the place of a header, and the secret that the delivery then holds by.
    let cases: &[(&str, &[&str], Option<usize>)] = &[
        ("x-gitlab-token", &[TOKEN], Some(1)),
        ("x-gitlab-token", &["nobody's token"], Some(1)),
        ("webhook-signature", &[""], None),
        ("webhook-signature", &["v1,AAAA"], None),
        ("webhook-signature", &["\u{fffd}"], None),
        ("webhook-signature", &[&made[5].1, &made[5].1], None),
        ("webhook-id", &["id-2"], None),
        ("webhook-timestamp", &["1649367554"], None),
        ("webhook-timestamp", &[], None),
        // Without it, the token is what counts.
        ("webhook-signature", &[], Some(0)),
    ];
    for (name, values, expected) in cases {
        let mut headers = [&signed[..], &[("x-gitlab-token", TOKEN)]].concat();
        headers.retain(|(found, _)| found != name);
        headers.extend(values.iter().map(|value| (*name, *value)));
        let held = verify(&headers, "{}", &[TOKEN, KEY]).map(|(_, secret)| secret);
        assert_eq!(held, *expected, "{name} {values:?}");
        // Who has no key for it cannot know that it holds.
        let unknown = verify(&headers, "{}", &[TOKEN]).map(|(_, secret)| secret);
        assert_eq!(unknown, expected.filter(|secret| *secret == 0), "{name} {values:?}");
    }
}

#[test]
fn a_delivery_is_called_by_what_names_it_for_certain() {
    let digest = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
    let cases: &[(&[(&str, &str)], &str)] = &[
        (&[("idempotency-key", "id-1"), ("webhook-id", "id-2")], "id-1"),
        (&[("webhook-id", "id-2")], "id-2"),
        (&[("idempotency-key", "id 1")], digest),
        (&[("x-gitlab-event-uuid", "id-3"), ("x-gitlab-webhook-uuid", "id-4")], digest),
    ];
    for (headers, id) in cases {
        let headers = [headers, &[("x-gitlab-token", TOKEN)][..]].concat();
        assert_eq!(verify(&headers, "{}", &[TOKEN]).unwrap().0, *id, "{headers:?}");
    }
    let signed = Gitlab.sign("Push Hook", "id-1", b"{}", &secret(KEY), NOW);
    let mut headers: Headers<'_> = signed.iter().map(|(name, value)| (*name, value.as_str())).collect();
    assert_eq!(headers[1], ("idempotency-key", "id-1"));
    headers[1].1 = "id-9";
    assert_eq!(verify(&headers, "{}", &[KEY]), Some(("id-1".to_owned(), 0)));
}

#[test]
fn a_key_that_is_none_is_never_sent_as_it_is() {
    let headers = Gitlab.sign("Push Hook", "id-1", b"{}", &secret("whsec_but what follows is no key"), NOW);
    assert!(!headers.iter().any(|(_, value)| value.contains("whsec_")), "{headers:?}");
    assert_eq!(headers.len(), 3);
}

fn body(kind: &str, reference: &str, before: &str, after: &str, checkout: &str, path: &str) -> String {
    serde_json::json!({
        "object_kind": kind, "event_name": kind, "ref": reference, "before": before, "after": after,
        "checkout_sha": Some(checkout).filter(|checkout| !checkout.is_empty()),
        "message": "a tag's own words", "user_email": "[REDACTED]", "project_id": 15,
        "project": {
            "id": 15, "name": "Shop", "path_with_namespace": path, "default_branch": "main", "ci_config_path": null,
        },
        "commits": [{ "id": after, "added": ["a"], "modified": [], "removed": [] }],
        "total_commits_count": 4,
        "repository": { "name": "Shop", "url": "git@gitlab.example.org:team/shop.git" },
        "push_options": {},
    })
    .to_string()
}

#[test]
fn pushes_are_read_as_gitlab_tells_them() {
    let [a, b, c] = ["a", "b", "c"].map(|digit| digit.repeat(40));
    let (zeros, long, long_zeros) = ("0".repeat(40), "d".repeat(64), "0".repeat(64));
    let (main, tag) = ("refs/heads/main", "refs/tags/v1.0");
    // The event, kind, ref, before, after, checkout_sha, path; then the commits before and after that are meant.
    let cases = [
        (["Push Hook", "push", main, &a, &b, &b, "team/shop"], Some(&a), Some(&b)),
        (["Push Hook", "push", main, &zeros, &b, &b, "team/shop"], None, Some(&b)),
        (["Push Hook", "push", main, &a, &zeros, "", "team/shop"], Some(&a), None),
        (["Push Hook", "push", main, &a, &zeros, &b, "team/shop"], Some(&a), None),
        (["Push Hook", "push", main, &a, &b, "", "team/web/eu/shop"], Some(&a), Some(&b)),
        (["Push Hook", "push", main, &long_zeros, &long, &long, "team/shop"], None, Some(&long)),
        (["Push Hook", "push", main, &long, &long_zeros, "", "team/shop"], Some(&long), None),
        // A light tag is the commit, an annotated one an object of its own.
        (["Tag Push Hook", "tag_push", tag, &zeros, &b, &b, "team/shop"], None, Some(&b)),
        (["Tag Push Hook", "tag_push", tag, &zeros, &b, &c, "team/shop"], None, Some(&c)),
        (["Tag Push Hook", "tag_push", tag, &a, &zeros, "", "team/shop"], Some(&a), None),
        (["System Hook", "push", main, &a, &b, &b, "team/shop"], Some(&a), Some(&b)),
        (["System Hook", "tag_push", tag, &zeros, &b, &c, "team/shop"], None, Some(&c)),
    ];
    for ([event, kind, reference, before, after, checkout, path], from, to) in cases {
        let id = |id: Option<&String>| id.map(|id| CommitId::parse(id).unwrap());
        let push = Push {
            repository: path.to_owned(),
            reference: RefName::parse(reference).unwrap(),
            before: id(from),
            after: id(to),
            forced: false,
        };
        let body = body(kind, reference, before, after, checkout, path);
        assert_eq!(read(event, &body), Hint::Push(push), "{event} {body}");
    }
}

#[test]
fn what_it_makes_up_is_a_tag_or_a_branch_of_any_group() {
    for (reference, event) in [("refs/heads/x", "Push Hook"), ("refs/tags/x", "Tag Push Hook")] {
        for after in [None, Some(CommitId::parse(&"e".repeat(64)).unwrap())] {
            let push = Push {
                repository: "team/web/shop".to_owned(),
                reference: RefName::parse(reference).unwrap(),
                before: Some(CommitId::parse(&"d".repeat(64)).unwrap()),
                after,
                forced: false,
            };
            let (named, body) = Gitlab.make_up(&push);
            assert_eq!(named, event);
            for event in [event, "System Hook"] {
                assert_eq!(read(event, &body), Hint::Push(push.clone()));
            }
        }
    }
}

#[test]
fn everything_else_is_ignored_with_a_reason() {
    let cases = [
        ("Merge Request Hook", "{}", "the payload of this merge request is of no use"),
        ("Pipeline Hook", "not even JSON", "does not act on the event Pipeline Hook"),
        ("", "{}", "does not name its event"),
        ("push hook", "{}", "does not act on"),
        (
            "System Hook",
            r#"{"event_name":"repository_update"}"#,
            "does not act on the event repository_update",
        ),
        (
            "System Hook",
            r#"{"object_kind":"merge_request"}"#,
            "the payload of this merge request is of no use",
        ),
        ("System Hook", "{}", "does not name its event"),
        ("System Hook", "[", "the payload of this system hook is of no use"),
        ("System Hook", r#"{"event_name":7}"#, "the payload of this system hook is of no use"),
        ("System Hook", r#"{"event_name":"push"}"#, "the payload of this push is of no use"),
        ("Push Hook", r#"{"text":"a template of one's own"}"#, "the payload of this push is of no use"),
        ("Push Hook", "payload=%7B%7D", "no JSON"),
    ];
    for (event, body, expected) in cases {
        let said = why(event, body);
        assert!(said.contains(expected), "{said}");
    }
}

#[test]
fn no_payload_does_harm() {
    let id = format!("\"{}\"", "a".repeat(40));
    let shop = r#"{"path_with_namespace":"a/b"}"#;
    let whole = |fields: [&str; 5]| {
        let [reference, before, after, checkout, project] = fields;
        format!(
            r#"{{"event_name":"push","ref":{reference},"before":{before},"after":{after},"checkout_sha":{checkout},"project":{project}}}"#
        )
    };
    let good = ["\"refs/heads/main\"", &id, &id, &id, shop];
    assert!(matches!(read("Push Hook", &whole(good)), Hint::Push(_)));
    let mut bodies: Vec<String> =
        ["", "null", "[]", "{", "\u{feff}{}", "7", "\"\""].map(str::to_owned).into();
    for at in 0..good.len() {
        for bad in ["1", "[]", "{}", "\"\"", "\"x\"", "\"AAAA\"", "[[1]]", "true"] {
            let mut fields = good;
            fields[at] = bad;
            bodies.push(whole(fields));
        }
    }
    let deep = ["a"; 22].join("/");
    for name in
        ["a", "/b", "a/", "a//b", "//", "a/b/", "a b/c", "a\\n/b", &deep, &"a/".repeat(200), &"é".repeat(200)]
    {
        let project = format!(r#"{{"path_with_namespace":"{name}"}}"#);
        bodies.push(whole([good[0], good[1], good[2], good[3], &project]));
    }
    bodies.push(format!("{}{}", "[".repeat(100_000), "]".repeat(100_000)));
    bodies.push(whole([&"{\"a\":".repeat(100_000), &id, &id, &id, shop]));
    for event in ["Push Hook", "Tag Push Hook", "System Hook"] {
        for body in &bodies {
            let why = why(event, body);
            assert!(why.contains("of no use") && why.len() < 200, "{why}");
        }
    }
}

fn post(phase: Phase, repository: &str, target_url: Option<&str>) -> HttpRequest {
    Gitlab.describe(&StatusPost {
        api: "https://gitlab.com/api/v4",
        repository,
        commit: &CommitId::parse(&"c".repeat(40)).unwrap(),
        context: "windlass/shop@east",
        phase,
        description: "all\nis well",
        target_url,
    })
}

#[test]
fn statuses_are_told_in_gitlabs_words() {
    for (phase, state) in [
        (Phase::Pending, "pending"),
        (Phase::Running, "running"),
        (Phase::Applied, "running"),
        (Phase::Healthy, "success"),
        (Phase::Failed, "failed"),
        (Phase::Error, "failed"),
        (Phase::Superseded, "canceled"),
    ] {
        let request = post(phase, "team/web/shop.x", None);
        let path = format!("/projects/team%2Fweb%2Fshop.x/statuses/{}", "c".repeat(40));
        assert_eq!(request.url, format!("https://gitlab.com/api/v4{path}"));
        assert_eq!((request.method, request.scheme, request.phase), ("POST", "Bearer", phase));
        let body: serde_json::Value = serde_json::from_str(&request.body).unwrap();
        let expected = serde_json::json!({
            "state": state, "name": "windlass/shop@east", "description": "all is well",
        });
        assert_eq!(body, expected);
    }
}

#[test]
fn an_address_that_is_too_long_is_left_out() {
    let url = |length: usize| format!("https://windlass/{}", "r".repeat(length - 17));
    for (url, kept) in [(url(255), true), (url(256), false)] {
        let request = post(Phase::Healthy, "team/shop", Some(&url));
        let body: serde_json::Value = serde_json::from_str(&request.body).unwrap();
        assert_eq!(body.get("target_url").and_then(|url| url.as_str()), kept.then_some(url.as_str()));
    }
}
