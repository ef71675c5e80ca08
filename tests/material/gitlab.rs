//! Deliveries of GitLab, with which its own client is tested, as hooks of a project and of a whole instance; once with
//! a secret token, once signed by the library of Standard Webhooks as GitLab from 19.0 on signs.

use standardwebhooks::Webhook;
use windlass::event::Hint;
use windlass::forge::Kind;
use windlass::secret::Secret;

use crate::hearing::JSON;
use crate::hearing::NOW;
use crate::hearing::hear;
use crate::hearing::line;
use crate::shelf;

const TOKEN: &str = "a secret token of the test material";
const KEY: &str = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
const ID: &str = "f5e5f430-f57b-4e6e-9fac-d9128cd7232f";

struct Delivery {
    name: String,
    event: String,
    body: Vec<u8>,
}

/// All deliveries, each as GitLab calls it: `Push Hook`, or `System Hook` for what only a whole instance tells.
fn deliveries() -> Vec<Delivery> {
    let folder = "gitlab/webhooks/";
    let delivery = |file: String| {
        let kind = shelf::json(&file)["object_kind"].as_str().unwrap_or("system").to_owned();
        let word = |word: &str| format!("{}{} ", word[..1].to_uppercase(), &word[1..]);
        let event = kind.split('_').map(word).collect::<String>() + "Hook";
        let name = file.trim_start_matches(folder).trim_end_matches(".json").to_owned();
        Delivery { name, event, body: shelf::bytes(&file) }
    };
    shelf::files(folder, ".json").into_iter().map(delivery).collect()
}

fn with_token(event: &str, body: &[u8], token: &str) -> Option<Hint> {
    let headers = [
        ("content-type", JSON),
        ("idempotency-key", ID),
        ("x-gitlab-event", event),
        ("x-gitlab-event-uuid", "13792a34-cac6-4fda-95a8-c58e00a3954e"),
        ("x-gitlab-instance", "https://gitlab.example.org"),
        ("x-gitlab-token", token),
    ];
    hear(Kind::Gitlab, &headers, body, TOKEN)
}

/// Hears a body that was signed, as the body `signed`, so many seconds ago.
fn with_signature(event: &str, body: &[u8], signed: &[u8], ago: i64) -> Option<Hint> {
    let time = NOW.0 / 1000 - ago;
    let signature = Webhook::new(KEY).unwrap().sign(ID, time, signed).unwrap();
    let time = time.to_string();
    let headers = [
        ("content-type", JSON),
        ("idempotency-key", ID),
        ("webhook-id", ID),
        ("webhook-signature", &signature),
        ("webhook-timestamp", &time),
        ("x-gitlab-event", event),
    ];
    hear(Kind::Gitlab, &headers, body, KEY)
}

#[test]
fn every_delivery_of_gitlab_is_heard_by_token_and_by_signature_and_read_as_the_table_says() {
    let mut table = Vec::new();
    for Delivery { name, event, body } in deliveries() {
        let hint = with_token(&event, &body, TOKEN).expect("the token is the secret");
        table.push(format!("{name}: {}", line(&hint)));
        assert_eq!(with_signature(&event, &body, &body, 0), Some(hint), "{name}");
    }
    shelf::same("deliveries of GitLab", &table, TABLE);
}

const TABLE: &str = "\
build: windlass does not act on the event Build Hook
deployment: windlass does not act on the event Deployment Hook
emoji_issue: windlass does not act on the event Emoji Hook
emoji_merge_request: windlass does not act on the event Emoji Hook
emoji_note_commit: windlass does not act on the event Emoji Hook
emoji_note_issue: windlass does not act on the event Emoji Hook
emoji_note_merge_request: windlass does not act on the event Emoji Hook
emoji_note_snippet: windlass does not act on the event Emoji Hook
emoji_snippet: windlass does not act on the event Emoji Hook
feature_flag: windlass does not act on the event Feature Flag Hook
group_merge_request: the payload of this merge request is of no use: a needed field is missing or has another type (line 103, column 3)
issue: windlass does not act on the event Issue Hook
job: windlass does not act on the event Build Hook
member: windlass does not act on the event user_add_to_group
merge_request: pull request 1 of gitlabhq/gitlab-test was opened: da1560886d4f from its own repository for refs/heads/master
milestone_group: windlass does not act on the event Milestone Hook
milestone_project: windlass does not act on the event Milestone Hook
note_commit: windlass does not act on the event Note Hook
note_issue: windlass does not act on the event Note Hook
note_merge_request: windlass does not act on the event Note Hook
note_snippet: windlass does not act on the event Note Hook
pipeline: windlass does not act on the event Pipeline Hook
project: windlass does not act on the event project_create
push: push of refs/heads/master in mike/diaspora from 95790bf891e7 to da1560886d4f
release: windlass does not act on the event Release Hook
resource_access_token_group: windlass does not act on the event Access Token Hook
resource_access_token_project: windlass does not act on the event Access Token Hook
service_merge_request: pull request 2 of test/woodpecker was updated: 0ab96a10266b from its own repository for refs/heads/master
subgroup: windlass does not act on the event subgroup_create
tag_push: push of refs/tags/v1.0.0 in jsmith/example to 82b3d5ae55f7
vulnerability: windlass does not act on the event Vulnerability Hook
wiki_page: windlass does not act on the event Wiki Page Hook
";

#[test]
fn a_hook_of_the_whole_instance_tells_the_same_pushes() {
    for Delivery { name, event, body } in deliveries() {
        let (of_project, of_all) =
            (with_token(&event, &body, TOKEN).unwrap(), with_token("System Hook", &body, TOKEN).unwrap());
        assert_eq!(matches!(of_all, Hint::Push(_)), ["push", "tag_push"].contains(&name.as_str()), "{name}");
        if matches!(of_all, Hint::Push(_)) {
            assert_eq!(of_all, of_project);
        }
    }
}

#[test]
fn what_another_signed_differently_or_long_ago_is_unheard() {
    for Delivery { name, event, body } in deliveries() {
        assert_eq!(with_token(&event, &body, &TOKEN[1..]), None, "{name}");
        assert_eq!(with_token(&event, &body, ""), None, "{name}");
        assert_eq!(with_signature(&event, &body, &[&body[..], b"\n"].concat(), 0), None, "{name}");
        assert!(with_signature(&event, &body, &body, 300).is_some(), "{name}");
        assert_eq!(with_signature(&event, &body, &body, 301), None, "{name}");
        assert_eq!(with_signature(&event, &body, &body, -301), None, "{name}");
    }
}

/// The library checks by the machine's own clock, so this is signed now.
#[test]
fn the_library_of_standard_webhooks_holds_what_windlass_signs() {
    for Delivery { name, event, body } in deliveries() {
        let made =
            Kind::Gitlab.rules().sign(&event, ID, &body, &Secret::new(KEY).unwrap(), windlass::clock::now());
        let mut headers = http::HeaderMap::new();
        for (header, value) in made {
            headers.insert(header, value.parse().unwrap());
        }
        let library = Webhook::new(KEY).unwrap();
        assert!(library.verify(&body, &headers).is_ok(), "{name}");
        assert!(library.verify(&[&body[..], b"\n"].concat(), &headers).is_err(), "{name}");
    }
}
