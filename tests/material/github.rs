//! Deliveries of GitHub: those that Octokit is made from, those of two clients, and signatures that others made.

use std::collections::BTreeMap;

use windlass::event::Hint;
use windlass::forge::Kind;
use windlass::secret::Secret;

use crate::hearing::FORM;
use crate::hearing::JSON;
use crate::hearing::NOW;
use crate::hearing::SECRET;
use crate::hearing::form;
use crate::hearing::hear;
use crate::hearing::line;
use crate::hearing::signatures;
use crate::hearing::why;
use crate::shelf;

const EXAMPLES: &str = "npm/node_modules/@octokit/webhooks-examples";
const FOLDERS: [&str; 6] = ["api.github.com", "ghes-31", "ghes-32", "ghes-33", "ghes-34", "ghes-35"];

const ID: &str = "72d3162e-cc78-11e3-81ab-4c9367dc0958";

/// The events that are counted one by one; of all others there is one line.
const WATCHED: [&str; 7] = ["push", "ping", "pull_request", "check_run", "check_suite", "create", "delete"];

struct Example {
    folder: &'static str,
    event: String,
    body: Vec<u8>,
}

fn examples() -> Vec<Example> {
    let mut examples = Vec::new();
    for folder in FOLDERS {
        for event in shelf::json(&format!("{EXAMPLES}/{folder}/index.json")).as_array().unwrap() {
            for payload in event["examples"].as_array().unwrap() {
                let event = event["name"].as_str().unwrap().to_owned();
                examples.push(Example { folder, event, body: serde_json::to_vec(payload).unwrap() });
            }
        }
    }
    examples
}

/// Returns what is made of a body that GitHub would send with this signature.
fn heard(event: &str, content_type: &str, body: &[u8], digits: &str) -> Option<Hint> {
    let signature = format!("sha256={digits}");
    let headers = [
        ("accept", "*/*"),
        ("content-type", content_type),
        ("user-agent", "GitHub-Hookshot/044aadd"),
        ("x-github-delivery", ID),
        ("x-github-event", event),
        ("x-github-hook-id", "292430182"),
        ("x-hub-signature", "sha1=7d38cdd689735b008b3c702edd92eea23791c5f6"),
        ("x-hub-signature-256", &signature),
    ];
    hear(Kind::Github, &headers, body, SECRET)
}

#[test]
fn every_example_of_github_is_heard_as_json_and_as_a_form_and_counts_as_the_table_says() {
    let examples = examples();
    let forms: Vec<Vec<u8>> = examples.iter().map(|example| form(&example.body)).collect();
    let bodies = examples.iter().map(|example| &*example.body).chain(forms.iter().map(|form| &**form));
    let digits = signatures(&bodies.collect::<Vec<_>>());
    let (of_json, of_forms) = digits.split_at(examples.len());
    let mut counts: BTreeMap<(&str, &str), [u32; 2]> = BTreeMap::new();
    for (at, Example { folder, event, body }) in examples.iter().enumerate() {
        let hint = heard(event, JSON, body, &of_json[at]).expect("Python's signature holds");
        assert_eq!(heard(event, FORM, &forms[at], &of_forms[at]).as_ref(), Some(&hint), "{folder} {event}");
        assert!(heard(event, FORM, &forms[at], &of_json[at]).is_none(), "a form is signed as it is sent");
        let reason = why(&hint);
        assert!(reason.is_none_or(|why| !why.is_empty() && !why.contains("of no use")), "{event}: {hint:?}");
        let event = WATCHED.into_iter().find(|watched| watched == event).unwrap_or("others");
        counts.entry((folder, event)).or_default()[usize::from(reason.is_some())] += 1;
    }
    let rows = counts.iter();
    let table: Vec<String> = rows
        .map(|((folder, event), [acted, ignored])| format!("{folder} {event}: {acted} {ignored}"))
        .collect();
    shelf::same("examples of GitHub that are acted on, and that are ignored", &table, COUNTS);
}

/// How many are acted on, and how many are ignored.
const COUNTS: &str = "\
api.github.com check_run: 0 9
api.github.com check_suite: 2 7
api.github.com create: 0 5
api.github.com delete: 0 4
api.github.com others: 0 262
api.github.com ping: 0 4
api.github.com pull_request: 12 17
api.github.com push: 7 0
ghes-31 check_run: 0 1
ghes-31 check_suite: 0 1
ghes-31 create: 0 1
ghes-31 delete: 0 1
ghes-31 others: 0 42
ghes-31 ping: 0 1
ghes-31 pull_request: 1 0
ghes-31 push: 1 0
ghes-32 check_run: 0 1
ghes-32 check_suite: 0 1
ghes-32 create: 0 1
ghes-32 delete: 0 1
ghes-32 others: 0 42
ghes-32 ping: 0 1
ghes-32 pull_request: 1 0
ghes-32 push: 1 0
ghes-33 check_run: 0 1
ghes-33 check_suite: 0 1
ghes-33 create: 0 1
ghes-33 delete: 0 1
ghes-33 others: 0 43
ghes-33 ping: 0 1
ghes-33 pull_request: 1 0
ghes-33 push: 1 0
ghes-34 check_run: 0 3
ghes-34 check_suite: 1 3
ghes-34 create: 0 2
ghes-34 delete: 0 2
ghes-34 others: 0 102
ghes-34 ping: 0 2
ghes-34 pull_request: 3 4
ghes-34 push: 2 0
ghes-35 check_run: 0 3
ghes-35 check_suite: 1 3
ghes-35 create: 0 2
ghes-35 delete: 0 2
ghes-35 others: 0 103
ghes-35 ping: 0 2
ghes-35 pull_request: 3 4
ghes-35 push: 2 0
";

#[test]
fn the_pushes_of_the_examples_are_read_ref_by_ref_and_gitea_s_rules_read_the_same() {
    let pushes: Vec<Example> = examples().into_iter().filter(|example| example.event == "push").collect();
    let digits = signatures(&pushes.iter().map(|push| &*push.body).collect::<Vec<_>>());
    let mut table = Vec::new();
    for (Example { folder, body, .. }, digits) in pushes.iter().zip(&digits) {
        let hint = heard("push", JSON, body, digits).unwrap();
        table.push(format!("{folder} {}", line(&hint)));
        for kind in [Kind::Gitea, Kind::Forgejo] {
            let prefixed = format!("sha256={digits}");
            for content_type in [JSON, FORM] {
                let headers = [
                    ("content-type", content_type),
                    ("x-forgejo-event", "push"),
                    ("x-forgejo-signature", digits),
                    ("x-gitea-delivery", ID),
                    ("x-gitea-event", "push"),
                    ("x-gitea-signature", digits),
                    ("x-github-event", "push"),
                    ("x-gogs-signature", digits),
                    ("x-hub-signature-256", &prefixed),
                ];
                let sent = if content_type == FORM { form(body) } else { body.clone() };
                assert_eq!(
                    hear(kind, &headers, &sent, SECRET).as_ref(),
                    Some(&hint),
                    "{kind} {content_type}"
                );
                let other = [&sent[..], b" "].concat();
                assert!(hear(kind, &headers, &other, SECRET).is_none(), "{kind} {content_type}");
            }
        }
    }
    shelf::same("pushes of GitHub's examples", &table, PUSHES);
}

const PUSHES: &str = "\
api.github.com push of refs/tags/simple-tag in Codertocat/Hello-World to 6113728f27ae
api.github.com deletion of refs/tags/simple-tag in Codertocat/Hello-World
api.github.com deletion of refs/tags/simple-tag in Codertocat/Hello-World
api.github.com deletion of refs/tags/simple-tag in Codertocat/Hello-World
api.github.com push of refs/heads/master in Codertocat/Hello-World to 6113728f27ae
api.github.com push of refs/heads/master in Codertocat/Hello-World to 6113728f27ae
api.github.com deletion of refs/tags/simple-tag in Codertocat/Hello-World
ghes-31 deletion of refs/tags/simple-tag in Codertocat/Hello-World
ghes-32 deletion of refs/tags/simple-tag in Codertocat/Hello-World
ghes-33 push of refs/tags/simple-tag in Codertocat/Hello-World to 6113728f27ae
ghes-34 push of refs/tags/simple-tag in Codertocat/Hello-World to 6113728f27ae
ghes-34 push of refs/tags/simple-tag in Codertocat/Hello-World to 6113728f27ae
ghes-35 push of refs/tags/simple-tag in Codertocat/Hello-World to 6113728f27ae
ghes-35 push of refs/tags/simple-tag in Codertocat/Hello-World to 6113728f27ae
";

#[test]
fn windlass_signs_as_python_does() {
    let examples = examples();
    let digits = signatures(&examples.iter().map(|example| &*example.body).collect::<Vec<_>>());
    for (Example { event, body, .. }, digits) in examples.iter().zip(&digits) {
        for kind in [Kind::Github, Kind::Gitea, Kind::Forgejo] {
            let headers = kind.rules().sign(event, ID, body, &Secret::new(SECRET).unwrap(), NOW);
            let own = headers.iter().find(|(name, _)| *name == "x-hub-signature-256").unwrap();
            assert_eq!(own.1, format!("sha256={digits}"), "{kind} {event}");
        }
    }
}

#[test]
fn the_deliveries_of_octocrab_are_read() {
    let folder = "crates/octocrab/tests/resources/";
    let files = shelf::files(folder, "_webhook_event.json");
    let bodies: Vec<Vec<u8>> = files.iter().map(|file| shelf::bytes(file)).collect();
    let digits = signatures(&bodies.iter().map(Vec::as_slice).collect::<Vec<_>>());
    let events = ["push", "ping", "pull_request", "installation_repositories", "installation", "repository"];
    let mut table = Vec::new();
    for ((file, body), digits) in files.iter().zip(&bodies).zip(&digits) {
        let name = file.trim_start_matches(folder).trim_end_matches("_webhook_event.json");
        let event = events.into_iter().find(|event| name.starts_with(event)).unwrap_or(name);
        table.push(format!("{name}: {}", line(&heard(event, JSON, body, digits).unwrap())));
    }
    shelf::same("octocrab's deliveries", &table, OCTOCRAB);
}

const OCTOCRAB: &str = "\
commit_comment_created: windlass does not act on the event commit_comment_created
installation_created: windlass does not act on the event installation
installation_deleted: windlass does not act on the event installation
installation_new_permissions_accepted: windlass does not act on the event installation
installation_repositories_removed: windlass does not act on the event installation_repositories
issue_comment_created: windlass does not act on the event issue_comment_created
issue_comment_deleted: windlass does not act on the event issue_comment_deleted
issue_comment_edited: windlass does not act on the event issue_comment_edited
issues_labeled: windlass does not act on the event issues_labeled
issues_opened: windlass does not act on the event issues_opened
ping: ping: this hook reaches windlass and its signature holds
pull_request_closed: pull request 2 of gagbo/ouro-closures was closed: 36afaef2afdf from its own repository for refs/heads/trunk
pull_request_opened: pull request 2 of gagbo/ouro-closures was opened: 36afaef2afdf from its own repository for refs/heads/trunk
pull_request_synchronize: pull request 5 of gagbo/ouro-closures was updated: 7e39d83fc6a9 from its own repository for refs/heads/trunk
push: push of refs/tags/v0.2.1 in gagbo/app-test-repo to bd7a63727468
repository_deleted: windlass does not act on the event repository
";

/// Both vectors are in octocrab's `tests/webhook_verification_tests.rs`.
#[test]
fn the_signatures_that_octocrab_knows_hold() {
    let ping = shelf::bytes("crates/octocrab/tests/resources/ping_webhook_event.json");
    let vectors = shelf::text("crates/octocrab/tests/webhook_verification_tests.rs");
    // HMAC fills a short key up with zeros, so this is the same key, and long enough to be a secret here.
    let filled = format!("secret{}", "\0".repeat(10));
    let cases = [
        (
            filled.as_str(),
            "644edc258faa19127a9f816e1c61b092b59d715fbefb0c8cc26b8a2cab781de1",
            ping.as_slice(),
        ),
        (
            "my_super_secret_webhook_key",
            "595685dd78af239765cb7383cf96e137f33a8b92f08b290f463cd22582f65007",
            BODY,
        ),
    ];
    for (secret, digits, body) in cases {
        assert!(vectors.contains(digits) && vectors.contains(secret.trim_end_matches('\0')), "{digits}");
        let signature = format!("sha256={digits}");
        let headers = [("x-github-event", "ping"), ("x-hub-signature-256", signature.as_str())];
        let hint = hear(Kind::Github, &headers, body, secret).expect("the signature holds");
        assert!(why(&hint).is_some_and(|why| why.starts_with("ping")), "{hint:?}");
        let other = [body, b"\n"].concat();
        assert!(hear(Kind::Github, &headers, &other, secret).is_none());
    }
}

const BODY: &[u8] = br#"{"action":"opened","issue":{"number":1}}"#;

#[test]
fn the_form_that_gidgethub_received_is_read() {
    let folder = "python/gidgethub/tests/samples/ping_urlencoded";
    let (body, headers) =
        (shelf::bytes(&format!("{folder}/body")), shelf::json(&format!("{folder}/200.json")));
    // It came without a signature.
    let digits = signatures(&[&body]).remove(0);
    let signature = format!("sha256={digits}");
    let mut headers: Vec<(&str, &str)> = headers
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str().unwrap()))
        .collect();
    assert!(hear(Kind::Github, &headers, &body, SECRET).is_none());
    headers.push(("x-hub-signature-256", &signature));
    let hint = hear(Kind::Github, &headers, &body, SECRET).unwrap();
    assert!(why(&hint).is_some_and(|why| why.starts_with("ping")), "{hint:?}");
    // Whether the field is found shows only where the payload is read.
    let index = headers.iter().position(|(name, _)| *name == "x-github-event").unwrap();
    headers[index].1 = "push";
    let hint = hear(Kind::Github, &headers, &body, SECRET).unwrap();
    assert!(why(&hint).is_some_and(|why| why.contains("a needed field is missing")), "{hint:?}");
}
