//! Every field of every body that is read, bent in every way: the door answers, nothing panics, nothing grows.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test may panic")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Mutex;

use serde_json::Value;
use windlass::clock::now;
use windlass::event::Hint;
use windlass::forge::Kind;
use windlass::forge::Request;
use windlass::secret::Secret;

mod bend;
mod door;
mod told;
#[path = "../world/mod.rs"]
mod world;

use bend::Bend;
use door::SECRET;
use told::Class;
use told::TOLD;
use told::Told;
use world::door::Door;
use world::door::LIMITS;
use world::wire;
use world::wire::Reply;
use world::wire::Wire;

/// How many connections carry small bodies, and how many large ones?
const CONNECTIONS: usize = 8;
const HEAVY_CONNECTIONS: usize = 2;

/// How much more memory may the process take while it is sent large bodies, in MiB? That holds the bodies of this
/// test too: a large one is here three times before it is there once.
const MEMORY_MIB: usize = 64;

fn secret() -> Secret {
    Secret::new(SECRET).unwrap()
}

/// What is said of a delivery, and what must come of it.
struct Case {
    kind: Kind,
    told: &'static Told,
    path: String,
    bend: Arc<Bend>,
}

impl Case {
    fn all(kinds: fn(&Told) -> Vec<Kind>, bends: Vec<Bend>, fits: fn(&Told, &str) -> bool) -> Vec<Self> {
        let bends: Vec<_> = bends.into_iter().map(Arc::new).collect();
        let mut cases = Vec::new();
        for told in TOLD {
            for kind in kinds(told) {
                for path in told.paths().into_iter().filter(|path| fits(told, path)) {
                    for bend in &bends {
                        cases.push(Self { kind, told, path: path.clone(), bend: bend.clone() });
                    }
                }
            }
        }
        cases
    }

    fn name(&self) -> String {
        format!("{} {}{} {}", self.kind, self.told.name, self.path, self.bend.name)
    }

    /// Returns whether an event must come of it; `None` where both are right.
    fn leads_to_an_event(&self) -> Option<bool> {
        match self.told.class(&self.path) {
            Class::Needed if self.bend.breaks => Some(false),
            Class::Unread if self.bend.is_json => Some(true),
            Class::Needed | Class::Read | Class::Unread => None,
        }
    }

    /// Makes the body, which is not kept: all large ones together are too large.
    fn body(&self) -> Vec<u8> {
        self.bend.body(&serde_json::from_str(self.told.body).unwrap(), &self.path)
    }

    fn request(&self) -> Vec<u8> {
        let body = self.body();
        let headers = self.told.headers(self.kind, &body, &secret());
        let headers: Vec<(&str, &str)> =
            headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        wire::request("POST", &format!("/hooks/{}", self.kind), &headers, &body)
    }

    fn judge(&self, reply: Option<Reply>) -> u16 {
        let status = reply.unwrap_or_else(|| panic!("{}: no answer", self.name())).status;
        let fine = match self.leads_to_an_event() {
            Some(true) => status == 202,
            Some(false) => status == 200,
            None => matches!(status, 200 | 202),
        };
        assert!(fine, "{}: {status}", self.name());
        status
    }
}

/// Sends all cases over some connections, and returns how many were accepted.
async fn send(door: &Door, cases: Vec<Case>, connections: usize) -> u64 {
    let cases = Arc::new(Mutex::new(cases));
    let sent = (0..connections).map(|_| tokio::spawn(one_by_one(door.address, cases.clone())));
    let mut accepted = 0;
    for sent in sent.collect::<Vec<_>>() {
        accepted += sent.await.unwrap();
    }
    accepted
}

async fn one_by_one(address: SocketAddr, cases: Arc<Mutex<Vec<Case>>>) -> u64 {
    let mut wire = Wire::to(address).await.unwrap();
    let mut accepted = 0;
    loop {
        let Some(case) = cases.lock().unwrap().pop() else { return accepted };
        wire.send(&case.request()).await;
        accepted += u64::from(case.judge(wire.reply().await) == 202);
    }
}

/// Returns a number of MiB that Linux keeps of this process.
fn mib(name: &str) -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() / 1024
}

#[tokio::test(flavor = "multi_thread")]
async fn a_field_that_is_bent_is_an_event_or_a_reason_and_never_an_error() {
    let door = door::open().await;
    let cases = Case::all(|told| told.kinds.to_vec(), bend::light(), |_, _| true);
    eprintln!("{} small bodies", cases.len());
    let accepted = send(&door, cases, CONNECTIONS).await;
    door.close(accepted).await;
}

/// Returns one kind of forge for one of the bodies of which the same is read.
fn one_of_a_kind(told: &Told) -> Vec<Kind> {
    let read = |told: &Told| (told.kinds[0], told.needs, told.reads);
    let first = TOLD.iter().find(|first| read(first) == read(told)).unwrap();
    if first.name == told.name { vec![told.kinds[0]] } else { Vec::new() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_or_deep_value_takes_no_more_memory_than_its_body() {
    let door = door::open().await;
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    let before = mib("VmRSS");
    // What is read of each body, and one field that is not.
    let fits = |told: &Told, path: &str| {
        told.class(path) != Class::Unread || ["/commits", "/sender"].contains(&path)
    };
    let cases = Case::all(one_of_a_kind, bend::heavy(), fits);
    eprintln!("{} large bodies", cases.len());
    let accepted = send(&door, cases, HEAVY_CONNECTIONS).await;
    let (most, after) = (mib("VmHWM"), mib("VmRSS"));
    eprintln!("memory in MiB: {before} before, {most} at most, {after} after");
    assert!(most - before <= MEMORY_MIB, "{} MiB more", most - before);
    door.close(accepted).await;
}

#[tokio::test]
async fn a_body_above_the_limit_is_refused_as_too_large_whatever_it_tells() {
    let door = door::open().await;
    for told in TOLD {
        for kind in told.kinds {
            let path = format!("/hooks/{kind}");
            let padded = |length: usize| format!("{}{}", told.body, " ".repeat(length - told.body.len()));
            let large = padded(LIMITS.body_bytes + 1);
            // Nothing of it is signed: it is refused before anybody looks.
            let headers = [("content-type", "application/json")];
            let mut wire = Wire::to(door.address).await.unwrap();
            wire.send(&wire::request("POST", &path, &headers, large.as_bytes())).await;
            assert_eq!(wire.reply().await.unwrap().status, 413, "{kind} {}", told.name);
            let mut wire = Wire::to(door.address).await.unwrap();
            let (first, second) = large.as_bytes().split_at(LIMITS.body_bytes);
            wire.send(&wire::chunked(&path, &headers, &[first, second])).await;
            assert_eq!(wire.reply().await.unwrap().status, 413, "{kind} {} in chunks", told.name);
        }
    }
    door.close(0).await;
}

/// Verifies and reads, as the intake does.
fn read(told: &Told, kind: Kind, body: &[u8]) -> Hint {
    let headers = told.headers(kind, body, &secret());
    hear(kind, &headers, body)
}

fn hear(kind: Kind, headers: &[(&str, String)], body: &[u8]) -> Hint {
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let request = Request { headers: &headers, body, now: now() };
    let delivery = kind.rules().verify(&request, &[secret()]).expect("it is signed");
    kind.rules().read(&delivery)
}

/// Sends the same in a form, which is signed as the forge does; `None` where the forge has no forms.
fn read_form(told: &Told, kind: Kind, json: &[u8]) -> Option<Hint> {
    let form = json.iter().fold("payload=".to_owned(), |form, byte| form + &format!("%{byte:02X}"));
    let signed = match kind {
        Kind::Github => form.as_bytes(),
        Kind::Gitea | Kind::Forgejo => json,
        Kind::Gitlab => return None,
    };
    let mut headers = told.headers(kind, signed, &secret());
    headers.retain(|(name, _)| *name != "content-type");
    headers.push(("content-type", "application/x-www-form-urlencoded".to_owned()));
    Some(hear(kind, &headers, form.as_bytes()))
}

#[test]
fn a_field_that_is_bent_is_read_alike_as_json_and_in_a_form_and_what_is_not_read_changes_nothing() {
    for case in Case::all(|told| told.kinds.to_vec(), bend::light(), |_, _| true) {
        let body = case.body();
        let hint = read(case.told, case.kind, &body);
        if let Some(form) = read_form(case.told, case.kind, &body) {
            assert_eq!(form, hint, "{}", case.name());
        }
        let plain = read(case.told, case.kind, case.told.body.as_bytes());
        let ignored = matches!(hint, Hint::Ignored { .. });
        match case.leads_to_an_event() {
            Some(true) => assert_eq!(hint, plain, "{}", case.name()),
            Some(false) => assert!(ignored, "{}: {hint:?}", case.name()),
            None => {}
        }
    }
}

/// Bytes that mean something to JSON, to a name, or to nobody.
const BYTES: &[u8] = b"\0\n \"\\/{}[]:,0-eaE.~\x7f\x80\xc3\xff";

#[test]
fn a_body_that_is_cut_off_or_has_another_byte_anywhere_is_read_or_ignored() {
    for told in TOLD {
        let kind = told.kinds[0];
        // Written without spaces, in which nothing happens.
        let whole = serde_json::from_str::<Value>(told.body).unwrap().to_string().into_bytes();
        for at in 0..whole.len() {
            let cut = read(told, kind, &whole[..at]);
            assert!(matches!(cut, Hint::Ignored { .. }), "{} cut at {at}: {cut:?}", told.name);
            let mut other = whole.clone();
            for byte in BYTES {
                other[at] = *byte;
                if let Hint::Ignored { why } = read(told, kind, &other) {
                    assert!(!why.chars().any(char::is_control), "{} {byte} at {at}: {why:?}", told.name);
                }
            }
        }
    }
}
