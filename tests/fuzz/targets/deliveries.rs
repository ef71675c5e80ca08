//! Verifies and reads deliveries of each kind of forge.
//!
//! The first line of an input says how it comes: `signed` with a signature made here, `form` the same in a form, and
//! anything else as it stands. Then follow headers up to an empty line, and the body.

use windlass::application::Name;
use windlass::event::Event;
use windlass::event::Hint;
use windlass::event::VERSION;
use windlass::event::What;
use windlass::forge::Delivery;
use windlass::forge::Kind;
use windlass::forge::Request;
use windlass::secret::Secret;

use super::NOW;
use super::borrowed;
use super::expect_words;
use super::headers;
use super::line;

/// No input can know them, so none is signed by them.
const SECRETS: [&str; 3] = [
    "the first secret that no input knows",
    "the second secret that no input knows",
    "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
];

/// How long may a reason be, in characters?
const WHY_CHARS: usize = 400;
/// How long may the message of an event be, in bytes?
const EVENT_BYTES: usize = 4096;

/// Reads as Forgejo's.
pub fn forgejo(input: &[u8]) {
    run(Kind::Forgejo, input);
}

/// Reads as Gitea's.
pub fn gitea(input: &[u8]) {
    run(Kind::Gitea, input);
}

/// Reads as GitHub's.
pub fn github(input: &[u8]) {
    run(Kind::Github, input);
}

/// Reads as GitLab's.
pub fn gitlab(input: &[u8]) {
    run(Kind::Gitlab, input);
}

fn run(kind: Kind, input: &[u8]) {
    let secrets = SECRETS.map(|text| Secret::new(text).unwrap());
    let (how, rest) = line(input);
    let (given, body) = headers(rest);
    // Signatures by keys are a form of GitLab's alone.
    let keyed = usize::from(given.len() % 2 == 1 && kind == Kind::Gitlab) * 2;
    match how {
        b"signed" => signed(kind, &secrets, keyed, given, body),
        // GitLab has no forms.
        b"form" if kind != Kind::Gitlab => form(kind, &secrets, given, body),
        _ => {
            let given = borrowed(&given);
            let request = Request { headers: &given, body, now: NOW };
            assert!(kind.rules().verify(&request, &secrets).is_none(), "heard without a signature");
        }
    }
}

/// Keeps the headers that do not stand for a signature of their own.
fn plain(given: Vec<(String, String)>) -> Vec<(String, String)> {
    let signs = |name: &str| ["signature", "token", "webhook-"].iter().any(|word| name.contains(word));
    given.into_iter().filter(|(name, _)| !signs(name)).collect()
}

fn signed(kind: Kind, secrets: &[Secret], by: usize, given: Vec<(String, String)>, body: &[u8]) {
    let mut all = plain(given);
    all.retain(|(name, _)| name != "content-type");
    let made = kind.rules().sign("push", "delivery-1", body, &secrets[by], NOW);
    all.extend(made.into_iter().map(|(name, value)| (name.to_owned(), value)));
    let all = borrowed(&all);
    let request = Request { headers: &all, body, now: NOW };
    let delivery = kind.rules().verify(&request, secrets).expect("what is signed is heard");
    assert_eq!((delivery.secret(), delivery.body()), (by, body));
    read(kind, &delivery);
    if !body.is_empty() {
        let cut = Request { body: &body[1..], ..request };
        let token = kind == Kind::Gitlab && by == 0;
        assert_eq!(kind.rules().verify(&cut, secrets).is_some(), token, "another body is heard");
    }
}

fn form(kind: Kind, secrets: &[Secret], given: Vec<(String, String)>, json: &[u8]) {
    let mut all = vec![("content-type".to_owned(), "application/x-www-form-urlencoded".to_owned())];
    all.extend(plain(given));
    let mut form = b"payload=".to_vec();
    for byte in json {
        form.extend_from_slice(format!("%{byte:02x}").as_bytes());
    }
    // GitHub signs what it sends, the others what they mean.
    let means = if kind == Kind::Github { &form[..] } else { json };
    let made = kind.rules().sign("push", "delivery-1", means, &secrets[1], NOW);
    all.extend(made.into_iter().map(|(name, value)| (name.to_owned(), value)));
    let all = borrowed(&all);
    let request = Request { headers: &all, body: &form, now: NOW };
    let delivery = kind.rules().verify(&request, secrets).expect("a signed form is heard");
    assert_eq!((delivery.secret(), delivery.body()), (1, json));
    read(kind, &delivery);
}

/// Reads a delivery as the intake does.
fn read(kind: Kind, delivery: &Delivery<'_>) {
    let id = delivery.id();
    assert!((1..=64).contains(&id.len()), "{id:?}");
    assert!(id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'), "{id:?}");
    let hint = kind.rules().read(delivery);
    if let Hint::Ignored { why } = &hint {
        expect_words(why, WHY_CHARS);
    }
    let repository = match &hint {
        Hint::Ignored { .. } => return,
        Hint::Push(push) => push.repository.clone(),
        Hint::PullRequest(request) => request.repository.clone(),
        Hint::Rerun(rerun) => rerun.repository.clone(),
    };
    expect_words(&hint.to_string(), 4 * WHY_CHARS);
    let parts = repository.split('/').count();
    assert!((2..=kind.name_parts()).contains(&parts) && repository.len() <= 256, "{repository:?}");
    expect_words(&repository, 256);
    let Some(what) = Option::<What>::from(&hint) else { panic!("{hint} says nothing") };
    let event = Event {
        version: VERSION,
        id: id.to_owned(),
        source: Name::parse("shop").unwrap(),
        what,
        received_at: NOW,
    };
    let message = serde_json::to_string(&event).unwrap();
    assert!(message.len() <= EVENT_BYTES, "an event of {} bytes", message.len());
    assert_eq!(serde_json::from_str::<Event>(&message).unwrap(), event);
}
