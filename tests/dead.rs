//! `windlass dead`, as a person calls it: while windlass is stopped, and while it runs.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that panics has failed"
)]

use std::io::Read;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;
use std::process::Output;
use std::time::Duration;

use serde_json::Value;
use windlass::application::Application;
use windlass::application::Name;
use windlass::application::OnFailure;
use windlass::application::Target;
use windlass::commit::CommitId;
use windlass::commit::Inputs;
use windlass::event::Event;
use windlass::event::What;
use windlass::job::Job;
use windlass::job::Reason;
use windlass::moment::Moment;
use windlass::queue::Draft;
use windlass::queue::Lane;
use windlass::queue::Queue;
use windlass::queue::Settled;
use windlass::reference::Reference;

use process::Home;
use process::Process;

#[path = "world/process.rs"]
#[allow(dead_code, reason = "no test uses all of it")]
mod process;

const PROGRAM: &str = env!("CARGO_BIN_EXE_windlass");
/// How long may a process take to end, and a message to come?
const SOON: Duration = Duration::from_secs(20);

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn job() -> Job {
    let commit = CommitId::parse(&"a".repeat(40)).unwrap();
    Job {
        version: windlass::job::VERSION,
        target: Target { application: name("shop"), cluster: name("east") },
        dispatch: "d1".to_owned(),
        application: Application {
            name: name("shop"),
            source: name("repo"),
            reference: Reference::Commit(commit.clone()),
            path: String::new(),
            clusters: vec![name("east")],
            namespace: "default".to_owned(),
            prune: true,
            health_deadline_ms: 1,
            self_heal: windlass::application::SelfHeal::Correct,
            conflicts: windlass::application::Conflicts::Take,
            takes_over: Vec::new(),
            propagation: windlass::application::Propagation::Background,
            stable_for_ms: None,
            depends_on: Vec::new(),
            on_failure: OnFailure::default(),
            service_account: None,
            ignore: Vec::new(),
        },
        definition: 1,
        commit,
        inputs: Inputs::absent(),
        before: None,
        reason: Reason::Moved,
        received_at: Moment(1),
        rollout: None,
        back: None,
        prunes: None,
        permit: windlass::job::Permit::Usual,
        fights: Vec::new(),
    }
}

/// Buries a job and an event that nobody can read.
async fn bury(home: &Home) {
    std::fs::create_dir_all(home.data()).unwrap();
    let queue = Queue::open(&home.data().join("queue.db")).await.unwrap();
    let odd = Draft {
        lane: Lane::events(),
        id: "odd".to_owned(),
        partition: "repo".to_owned(),
        body: "{\"odd\":1}".to_owned(),
        trace: None,
    };
    for (draft, why) in [
        (Draft::job("shared", &job()), "the namespace is missing\nand more"),
        (odd, "the message is not of this form"),
    ] {
        let lane = draft.lane.clone();
        queue.publish(vec![draft]).await.unwrap();
        let lease = queue.next(&lane, SOON).await.unwrap().unwrap();
        assert_eq!(queue.bury(&lease, why).await.unwrap(), Settled::Done);
    }
    queue.close().await;
}

fn dead(home: &Home, arguments: &[&str]) -> Output {
    let mut command = Command::new(PROGRAM);
    command.arg("dead").args(arguments).arg("--config").arg(home.config()).env_clear();
    command.output().unwrap()
}

#[track_caller]
fn said(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[track_caller]
fn complained(output: &Output, words: &str) {
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && error.contains(words), "{error}");
}

/// All that can be asked gives the same answers from the file and through the socket.
fn ask_everything(home: &Home) {
    let list = said(&dead(home, &["list"]));
    let lines: Vec<&str> = list.lines().collect();
    assert_eq!(lines.len(), 3, "{list}");
    assert!(lines[1].contains("events") && lines[1].contains("odd"), "the latest first: {list}");
    for part in ["jobs.shared", "d1/shop@east", " 1 ", "shop@east", "the namespace is missing"] {
        assert!(lines[2].contains(part), "{part}: {list}");
    }
    assert!(!list.contains("and more"), "a line for each: {list}");
    assert_eq!(said(&dead(home, &["list", "--limit", "1"])).lines().count(), 2);
    let json = said(&dead(home, &["list", "--json"]));
    let json: Vec<Value> = json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&json[1]["target"], &json[1]["source"]), (&"shop@east".into(), &"repo".into()));
    assert_eq!(
        (&json[0]["id"], &json[0]["attempts"], &json[0]["target"]),
        (&"odd".into(), &1.into(), &Value::Null)
    );
    let whole = said(&dead(home, &["show", "jobs.shared", "d1/shop@east"]));
    for part in ["source     repo\n", "target     shop@east\n", "  and more\n", "    \"dispatch\": \"d1\""] {
        assert!(whole.contains(part), "{part}: {whole}");
    }
    for action in ["show", "replay", "drop"] {
        complained(&dead(home, &[action, "jobs.shared", "another"]), "see `windlass dead list`");
        complained(&dead(home, &[action, "reports", "d1/shop@east"]), "see `windlass dead list`");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_windlass_s_letters_are_shown_sent_back_and_dropped() {
    let home = Home::new("");
    complained(&dead(&home, &["list"]), "has windlass run with these settings?");
    bury(&home).await;
    ask_everything(&home);
    assert!(said(&dead(&home, &["replay", "jobs.shared", "d1/shop@east"])).contains("asks for a new job"));
    assert!(said(&dead(&home, &["replay", "events", "odd"])).contains("end of its line"));
    assert_eq!(said(&dead(&home, &["list"])), "No dead letters.\n");
    let queue = Queue::open(&home.data().join("queue.db")).await.unwrap();
    let wish = queue.next(&Lane::events(), SOON).await.unwrap().unwrap();
    let event: Event = wish.read(windlass::event::VERSION).unwrap();
    let Job { target, commit, .. } = job();
    assert_eq!((event.source, event.what), (name("repo"), What::Again { target, commit: Some(commit) }));
    assert_eq!(queue.ack(&wish).await.unwrap(), Settled::Done);
    assert_eq!(queue.next(&Lane::events(), SOON).await.unwrap().unwrap().id, "odd");
    assert_eq!(
        queue.next(&Lane::jobs("shared"), Duration::ZERO).await.unwrap(),
        None,
        "no old job came back"
    );
}

/// Asks at the socket with these bytes.
fn whisper(socket: &Path, bytes: &[u8]) -> String {
    let mut stream = UnixStream::connect(socket).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    // It may be answered, and left, before all of it was said.
    let _cut_off = stream.write_all(bytes);
    let mut answer = String::new();
    // It is cut off, too, where something was left unread.
    let _cut_off = stream.read_to_string(&mut answer);
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_windlass_is_asked_through_its_socket() {
    let home = Home::new("");
    bury(&home).await;
    let socket = home.data().join("control.sock");
    // As a process leaves it that was killed.
    drop(UnixListener::bind(&socket).unwrap());
    assert_eq!(said(&dead(&home, &["list"])).lines().count(), 3);
    let mut process = Process::start(Path::new(PROGRAM), &home.config(), &[]).await;
    assert_eq!(std::fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
    ask_everything(&home);
    assert!(said(&dead(&home, &["drop", "events", "odd"])).contains("gone for good"));
    assert!(said(&dead(&home, &["replay", "jobs.shared", "d1/shop@east"])).contains("asks for a new job"));
    assert_eq!(said(&dead(&home, &["list"])), "No dead letters.\n");
    for (bytes, words) in [
        (&b"nonsense\n"[..], "understand the question"),
        (&b"{\"explode\":1}\n"[..], "understand the question"),
        (&[b'x'; 1 << 20][..], "too long"),
    ] {
        let answer = whisper(&socket, bytes);
        // The end of an answer to who says too much may be lost on the way.
        assert!(answer.contains(words) || bytes.len() > 100 && answer.is_empty(), "{answer}");
    }
    assert_eq!(said(&dead(&home, &["list"])), "No dead letters.\n");
    process.kill();
    assert!(socket.exists(), "nobody took it away");
    assert_eq!(said(&dead(&home, &["list"])), "No dead letters.\n", "from the file");
    let mut process = Process::start(Path::new(PROGRAM), &home.config(), &[]).await;
    process.signal("TERM");
    assert!(process.ended(SOON).await.is_some_and(|status| status.success()), "{}", process.said());
    assert!(!socket.exists(), "it went with its process");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_folder_that_lies_too_deep_for_a_socket_stops_nobody() {
    let home = Home::new("");
    let text = std::fs::read_to_string(home.config()).unwrap();
    let deep = format!("dir = \"{}\"", "d".repeat(100));
    std::fs::write(home.config(), text.replace("dir = \"data\"", &deep)).unwrap();
    let mut process = Process::start(Path::new(PROGRAM), &home.config(), &[]).await;
    let warns = |line: &Value| {
        let text = line["message"].as_str().unwrap_or_default();
        text.contains("at most 107") && text.contains("only while this process is stopped")
    };
    assert!(process.until(SOON, warns).await.is_some(), "{}", process.said());
    complained(&dead(&home, &["list"]), "another windlass holds it");
    process.kill();
    assert_eq!(said(&dead(&home, &["list"])), "No dead letters.\n");
}
