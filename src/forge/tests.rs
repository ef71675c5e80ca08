use std::time::Duration;

use super::Answer;
use super::HttpAnswer;
use super::HttpRequest;
use super::Kind;
use super::Request;
use super::StatusPost;
use crate::commit::CommitId;
use crate::commit::RefName;
use crate::event::Hint;
use crate::event::Push;
use crate::moment::Moment;
use crate::outcome::Phase;
use crate::secret::Secret;

type Headers = Vec<(&'static str, String)>;
type Answered = (Kind, u16, &'static [(&'static str, &'static str)], &'static str, &'static str);

const NOW: Moment = Moment(1_000_000);

/// A secret by which a kind of forge signs all of a body.
fn secret(kind: Kind) -> Secret {
    let text = match kind {
        Kind::Gitea | Kind::Forgejo | Kind::Github => "the secret of the test",
        Kind::Gitlab => "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
    };
    Secret::new(text).unwrap()
}

/// What a kind of forge calls a push.
fn push_event(kind: Kind) -> &'static str {
    kind.rules().make_up(&push(Some("a"))).0
}

fn sign(kind: Kind, event: &str, id: &str, body: &[u8]) -> Headers {
    kind.rules().sign(event, id, body, &secret(kind), NOW)
}

fn push(after: Option<&str>) -> Push {
    Push {
        repository: "Team/shop".to_owned(),
        reference: RefName::parse("refs/heads/feature/x").unwrap(),
        before: None,
        after: after.map(|digit| CommitId::parse(&digit.repeat(40)).unwrap()),
        forced: false,
    }
}

/// What a forge makes of a request: `None` when it is unsigned.
fn hear(kind: Kind, headers: &Headers, body: &[u8]) -> Option<(String, Hint)> {
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let secrets = [Secret::new("an older secret here").unwrap(), secret(kind)];
    let delivery = kind.rules().verify(&Request { headers: &headers, body, now: NOW }, &secrets)?;
    assert_eq!(delivery.secret(), 1);
    Some((delivery.id().to_owned(), kind.rules().read(&delivery)))
}

fn why(kind: Kind, event: &str, body: &str) -> String {
    let headers = sign(kind, event, "id-1", body.as_bytes());
    match hear(kind, &headers, body.as_bytes()).unwrap().1 {
        Hint::Ignored { why } => why,
        told @ (Hint::Push(_) | Hint::PullRequest(_) | Hint::Rerun(_)) => panic!("{told:?}"),
    }
}

#[test]
fn what_a_forge_would_send_is_heard_as_it_was_meant() {
    for kind in Kind::ALL {
        for push in [push(Some("a")), push(None)] {
            let (event, body) = kind.rules().make_up(&push);
            let headers = sign(kind, event, "id-1", body.as_bytes());
            let heard = hear(kind, &headers, body.as_bytes());
            assert_eq!(heard, Some(("id-1".to_owned(), Hint::Push(push))), "{kind}");
        }
    }
}

#[test]
fn a_signature_that_does_not_hold_in_every_respect_is_unheard() {
    let body = b"{}";
    for kind in Kind::ALL {
        let good = || sign(kind, "push", "id-1", body);
        assert!(hear(kind, &good(), body).is_some());
        assert!(hear(kind, &good(), b"{}\n").is_none());
        assert!(hear(kind, &good(), b"").is_none());
        let other = secret(kind).expose().replace("the secret", "a secret").replace("C2FV", "D2FV");
        let wrong = kind.rules().sign("push", "id-1", body, &Secret::new(&other).unwrap(), NOW);
        assert!(hear(kind, &wrong, body).is_none());
        let signatures: Vec<usize> =
            (0..good().len()).filter(|at| good()[*at].0.contains("signature")).collect();
        let without: Headers = good().into_iter().filter(|(name, _)| !name.contains("signature")).collect();
        assert!(hear(kind, &without, body).is_none());
        for at in signatures {
            let value = good()[at].1.clone();
            let digits = value.trim_start_matches("sha256=").trim_start_matches("v1,");
            for bad in
                ["", "sha256=", &value[1..], &format!("sha1={digits}"), &format!("{value}x"), "\u{fffd}"]
            {
                let mut headers = good();
                headers[at].1 = bad.to_owned();
                assert!(hear(kind, &headers, body).is_none(), "{kind} {} {bad:?}", headers[at].0);
            }
            let mut twice = good();
            twice.push(twice[at].clone());
            assert!(hear(kind, &twice, body).is_none(), "{kind} {} twice", twice[at].0);
        }
    }
}

#[test]
fn sha1_counts_for_nothing() {
    let mut headers = sign(Kind::Github, "push", "id-1", b"{}");
    headers.retain(|(name, _)| *name != "x-hub-signature-256");
    headers.push(("x-hub-signature", "sha1=d2f9a0b2ffb0cbb0ce6f6b1c0bb6c7a2ae39c5a1".to_owned()));
    assert!(hear(Kind::Github, &headers, b"{}").is_none());
}

#[test]
fn forms_are_signed_as_each_forge_signs_them() {
    let (event, json) = Kind::Github.rules().make_up(&push(Some("b")));
    let encoded: String = json.bytes().map(|b| format!("%{b:02x}")).collect();
    let form = format!("payload={encoded}");
    for kind in [Kind::Gitea, Kind::Forgejo, Kind::Github] {
        for (signed, over) in [("json", json.as_bytes()), ("form", form.as_bytes())] {
            let mut headers = sign(kind, event, "id-1", over);
            headers[0].1 = "application/X-www-form-urlencoded; charset=utf-8".to_owned();
            let holds = (kind == Kind::Github) == (signed == "form");
            let expected = holds.then(|| ("id-1".to_owned(), Hint::Push(push(Some("b")))));
            assert_eq!(hear(kind, &headers, form.as_bytes()), expected, "{kind} {signed}");
        }
    }
}

#[test]
fn a_delivery_without_a_usable_id_is_called_by_its_digest() {
    let digest = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
    for kind in Kind::ALL {
        for id in ["a b", "a/x", "a_b", &"a".repeat(65), "é"] {
            let headers = sign(kind, "push", id, b"{}");
            assert_eq!(hear(kind, &headers, b"{}").unwrap().0, digest, "{kind} {id:?}");
        }
    }
    let headers = sign(Kind::Github, "push", "", b"{}");
    assert_eq!(hear(Kind::Github, &headers, b"{}").unwrap().0, digest);
}

#[test]
fn an_annotated_tag_counts_as_the_commit_behind_it() {
    let (tag, commit, zeros) = ("a".repeat(40), "b".repeat(40), "0".repeat(40));
    let head = format!("{{\"id\":\"{commit}\"}}");
    let cases = [
        ("refs/tags/v1", &tag, head.as_str(), Some(&commit)),
        ("refs/tags/v1", &tag, "null", Some(&tag)),
        ("refs/heads/v1", &tag, head.as_str(), Some(&tag)),
        ("refs/tags/v1", &zeros, "null", None),
        ("refs/tags/v1", &zeros, head.as_str(), None),
    ];
    for kind in [Kind::Github, Kind::Gitea, Kind::Forgejo] {
        for (reference, after, head, expected) in &cases {
            let body = format!(
                "{{\"ref\":\"{reference}\",\"before\":\"{zeros}\",\"after\":\"{after}\",\"head_commit\":{head},\
                 \"repository\":{{\"full_name\":\"a/b\"}}}}"
            );
            let (_, hint) = hear(kind, &sign(kind, "push", "id", body.as_bytes()), body.as_bytes()).unwrap();
            let Hint::Push(push) = hint else { panic!("{hint:?}") };
            assert_eq!(
                push.after.as_ref().map(|id| id.as_str()),
                expected.map(String::as_str),
                "{kind} {reference}"
            );
        }
    }
}

#[test]
fn other_events_are_ignored_with_a_reason() {
    for kind in Kind::ALL {
        assert!(why(kind, "ping", "{}").starts_with("ping"));
        assert!(why(kind, "issues", "not even JSON").contains("issues"));
        assert!(why(kind, "", "{}").contains("does not name"));
        assert!(why(kind, &"é\u{7}x".repeat(999), "{}").len() < 100);
    }
    assert!(why(Kind::Github, "delete", "{}").contains("delete"));
    assert!(
        why(Kind::Gitea, "delete", r#"{"ref":"x","ref_type":"wiki","repository":{"full_name":"a/b"}}"#)
            .contains("neither a branch nor a tag")
    );
}

#[test]
fn no_payload_does_harm() {
    let id = "a".repeat(40);
    let whole = |reference: &str, before: &str, after: &str, repository: &str| {
        format!(r#"{{"ref":{reference},"before":{before},"after":{after},"repository":{repository}}}"#)
    };
    let (id, zero) = (format!("\"{id}\""), format!("\"{}\"", "0".repeat(40)));
    let (main, shop) = ("\"refs/heads/main\"", "{\"full_name\":\"a/b\"}");
    let mut bodies =
        vec![String::new(), "null".to_owned(), "[]".to_owned(), "{".to_owned(), "\u{feff}{}".to_owned()];
    for bad in ["null", "1", "[]", "{}", "\"\"", "\"x\"", "\"AAAA\"", "[[1]]"] {
        bodies.push(whole(bad, &id, &zero, shop));
        bodies.push(whole(main, bad, &id, shop));
        bodies.push(whole(main, &id, bad, shop));
        bodies.push(whole(main, &id, &id, bad));
        bodies.push(whole(main, &id, &id, &format!("{{\"full_name\":{bad}}}")));
    }
    for name in ["a", "a/b/c", "/b", "a/", "//", "a b/c", "a\\n/b", &"a/".repeat(200)] {
        bodies.push(whole(main, &id, &id, &format!("{{\"full_name\":\"{name}\"}}")));
    }
    let deep = 100_000;
    bodies.push(format!("{}{}", "[".repeat(deep), "]".repeat(deep)));
    bodies.push(whole(&"{\"a\":".repeat(deep), &id, &id, shop));
    for kind in Kind::ALL {
        for body in &bodies {
            let why = why(kind, push_event(kind), body);
            assert!(why.contains("of no use") && why.len() < 200, "{why}");
        }
    }
    let many = format!("{{\"x\":[{}0],{}", "[],".repeat(1_000_000), &whole(main, &zero, &id, shop)[1..]);
    let headers = sign(Kind::Gitea, "push", "id-1", many.as_bytes());
    assert!(matches!(hear(Kind::Gitea, &headers, many.as_bytes()), Some((_, Hint::Push(_)))));
}

#[test]
fn statuses_are_told_in_each_forges_words() {
    let commit = CommitId::parse(&"c".repeat(40)).unwrap();
    let cases = [
        (Phase::Pending, "pending", "pending"),
        (Phase::Running, "pending", "pending"),
        (Phase::Applied, "pending", "pending"),
        (Phase::Healthy, "success", "success"),
        (Phase::Failed, "failure", "failure"),
        (Phase::Error, "error", "error"),
        (Phase::Superseded, "warning", "error"),
    ];
    for (phase, gitea, github) in cases {
        for (kind, state, scheme) in [(Kind::Gitea, gitea, "token"), (Kind::Github, github, "Bearer")] {
            let request = kind.rules().describe(&StatusPost {
                api: "http://forge/api",
                repository: "team/a shop",
                commit: &commit,
                context: "windlass/shop@east",
                phase,
                description: "all\nis well",
                target_url: None,
            });
            assert_eq!(request.url, format!("http://forge/api/repos/team/a%20shop/statuses/{commit}"));
            assert_eq!((request.method, request.scheme), ("POST", scheme));
            let body: serde_json::Value = serde_json::from_str(&request.body).unwrap();
            let expected = serde_json::json!({
                "state": state, "context": "windlass/shop@east", "description": "all is well",
            });
            assert_eq!(body, expected);
        }
    }
}

/// The request that posts a status of this phase.
fn posted(kind: Kind, phase: Phase) -> HttpRequest {
    kind.rules().describe(&StatusPost {
        api: "http://forge/api",
        repository: "team/shop",
        commit: &CommitId::parse(&"c".repeat(40)).unwrap(),
        context: "windlass/shop@east",
        phase,
        description: "all is well",
        target_url: None,
    })
}

#[test]
fn descriptions_are_cut_between_characters() {
    let commit = CommitId::parse(&"c".repeat(40)).unwrap();
    for (kind, limit) in [(Kind::Gitea, 255), (Kind::Forgejo, 255), (Kind::Github, 140), (Kind::Gitlab, 255)]
    {
        for (length, expected) in
            [(limit, "é".repeat(limit)), (limit + 1, format!("{}…", "é".repeat(limit - 1)))]
        {
            let request = kind.rules().describe(&StatusPost {
                api: "http://forge",
                repository: "../..",
                commit: &commit,
                context: "windlass",
                phase: Phase::Healthy,
                description: &"é".repeat(length),
                target_url: Some("http://windlass/runs/1"),
            });
            let body: serde_json::Value = serde_json::from_str(&request.body).unwrap();
            assert_eq!(body["description"], expected);
            assert_eq!(body["target_url"], "http://windlass/runs/1");
            assert!(!request.url.contains(".."), "{}", request.url);
        }
    }
}

#[test]
fn answers_say_whose_turn_it_is() {
    let later = |seconds| Answer::Later(Some(Duration::from_secs(seconds)));
    let cases: &[Answered] = &[
        (Kind::Gitea, 201, &[], "", "taken"),
        (Kind::Gitea, 301, &[], "", "ours"),
        (Kind::Gitea, 401, &[], "", "ours"),
        (Kind::Gitea, 403, &[], r#"{"message":"token lacks scope"}"#, "ours"),
        (Kind::Gitea, 404, &[], "", "ours"),
        (Kind::Gitea, 410, &[], "", "never"),
        (Kind::Gitea, 422, &[], "[[[", "never"),
        (Kind::Gitea, 408, &[], "", "unsure"),
        (Kind::Gitea, 423, &[], "", "later"),
        (Kind::Gitea, 429, &[], "", "limited"),
        (Kind::Gitea, 429, &[("retry-after", "7")], "", "7"),
        (Kind::Gitea, 500, &[], "", "unsure"),
        (Kind::Gitea, 503, &[("retry-after", "7")], "", "unsure 7"),
        (Kind::Gitea, 503, &[("retry-after", "Wed, 21 Oct 2026 07:28:00 GMT")], "", "unsure"),
        (Kind::Gitea, 503, &[("retry-after", "99999999")], "", "unsure 3600"),
        (Kind::Github, 201, &[("x-ratelimit-remaining", "0")], "", "taken"),
        (Kind::Github, 201, &[("x-ratelimit-remaining", "1"), ("x-ratelimit-reset", "1030")], "", "taken"),
        (Kind::Github, 201, &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1030")], "", "last"),
        (Kind::Gitlab, 201, &[("ratelimit-remaining", "0"), ("ratelimit-reset", "1030")], "", "last"),
        (Kind::Gitlab, 201, &[("ratelimit-remaining", "9"), ("ratelimit-reset", "1030")], "", "taken"),
        (Kind::Github, 403, &[("retry-after", "9")], "", "9"),
        (Kind::Github, 403, &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1030")], "", "31"),
        (Kind::Github, 403, &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1")], "", "1"),
        (Kind::Github, 429, &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "soon")], "", "limited"),
        (Kind::Github, 403, &[], r#"{"message":"You have exceeded a Secondary rate limit"}"#, "limited"),
        (Kind::Github, 403, &[("x-ratelimit-remaining", "17")], r#"{"message":"Not allowed"}"#, "ours"),
        (Kind::Github, 429, &[], "", "limited"),
        (Kind::Github, 422, &[], r#"{"message":"too many statuses"}"#, "never"),
        (Kind::Github, 502, &[], "", "unsure"),
        (Kind::Gitlab, 400, &[], "Cannot transition status via :success from :success", "taken"),
        (Kind::Gitlab, 400, &[], "Cannot transition status via :success from :running", "never"),
        (Kind::Gitlab, 409, &[], "", "later"),
        (Kind::Gitlab, 429, &[("ratelimit-reset", "1030")], "Retry later", "31"),
    ];
    for (kind, status, headers, body, expected) in cases {
        let answer = HttpAnswer { status: *status, headers, body: body.as_bytes(), now: NOW };
        let said = kind.rules().classify(&posted(*kind, Phase::Healthy), &answer);
        let fine = match *expected {
            "taken" => said == Answer::Taken,
            "last" => said == Answer::TakenLast(Duration::from_secs(31)),
            "later" => said == Answer::Later(None),
            "limited" => said == Answer::Limited,
            "unsure" => said == Answer::Unsure(None),
            "unsure 7" => said == Answer::Unsure(Some(Duration::from_secs(7))),
            "unsure 3600" => said == Answer::Unsure(Some(Duration::from_secs(3600))),
            "ours" => matches!(said, Answer::Ours(_)),
            "never" => matches!(said, Answer::Never(_)),
            seconds => said == later(seconds.parse().unwrap()),
        };
        assert!(fine, "{kind} {status} {headers:?}: {said:?}");
    }
}

#[test]
fn each_forge_has_its_api_where_it_is() {
    for (kind, url, api) in [
        (Kind::Gitea, "http://127.0.0.1:3000", "http://127.0.0.1:3000/api/v1"),
        (Kind::Forgejo, "https://codeberg.org", "https://codeberg.org/api/v1"),
        (Kind::Github, "https://github.com", "https://api.github.com"),
        (Kind::Github, "https://git.example.org", "https://git.example.org/api/v3"),
        (Kind::Gitlab, "https://gitlab.com", "https://gitlab.com/api/v4"),
    ] {
        assert_eq!(kind.rules().api(url), api);
        assert_eq!(Kind::from_word(kind.word()), Some(kind));
    }
}
