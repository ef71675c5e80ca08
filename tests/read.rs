//! `windlass read`, as a person calls it.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::io::Write;
use std::process::Command;
use std::process::Output;
use std::process::Stdio;

use windlass::commit::CommitId;
use windlass::commit::RefName;
use windlass::event::Push;
use windlass::forge::Kind;

fn read(forge: &str, event: &str, body: &[u8]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_windlass"));
    let command = command.args(["read", "--forge", forge, "--event", event, "-"]);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(body).unwrap();
    child.wait_with_output().unwrap()
}

fn said(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn each_forge_s_push_and_deletion_is_read_as_it_would_be_at_the_door() {
    let id = |digit: &str| CommitId::parse(&digit.repeat(40)).unwrap();
    for kind in Kind::ALL {
        let push = Push {
            repository: "team/shop".to_owned(),
            reference: RefName::parse("refs/heads/main").unwrap(),
            before: Some(id("a")),
            after: Some(id("b")),
            forced: false,
        };
        let (event, body) = kind.rules().make_up(&push);
        let text = said(&read(kind.word(), event, body.as_bytes()));
        let (before, after) = ("a".repeat(40), "b".repeat(40));
        for part in ["push\n", "repository   team/shop\n", "ref          refs/heads/main\n", &before, &after]
        {
            assert!(text.contains(part), "{kind}: {part}\n{text}");
        }
        assert!(text.contains("No signature was checked."), "{text}");
        let (event, body) = kind.rules().make_up(&Push { after: None, ..push });
        let text = said(&read(kind.word(), event, body.as_bytes()));
        assert!(text.contains("after        nothing: the ref was deleted\n"), "{kind}: {text}");
    }
}

#[test]
fn what_is_ignored_says_why() {
    for (forge, event, body, words) in [
        ("github", "star", "{}", "does not act on the event star"),
        ("github", "ping", "{}", "this hook reaches windlass"),
        ("gitlab", "Push Hook", "{", "ignored"),
        ("gitea", "push", "[]", "ignored"),
    ] {
        let text = said(&read(forge, event, body.as_bytes()));
        assert!(text.starts_with("ignored      ") && text.contains(words), "{forge} {event}: {text}");
    }
}

#[test]
fn a_form_is_read_as_the_json_in_it() {
    let form = |body: &[u8]| {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("body");
        std::fs::write(&file, body).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_windlass"));
        command.args(["read", "--forge", "github", "--event", "ping", "--form"]).arg(&file).output().unwrap()
    };
    let text = said(&form(b"payload=%7B%22zen%22%3A%22x%22%7D"));
    assert!(text.contains("this hook reaches windlass"), "{text}");
    for body in [&b"other=a"[..], b"payload=a&payload=b", b"{}"] {
        let output = form(body);
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(1) && words.contains("no field payload"), "{words}");
    }
}

#[test]
fn wrong_arguments_end_with_2() {
    assert_eq!(read("bitbucket", "push", b"{}").status.code(), Some(2));
}
