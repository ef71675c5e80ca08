//! Judges answers of forges to statuses.
//!
//! The first line of an input is the status code and the phase that was posted, then follow headers up to an empty
//! line, and the body. Every kind of forge judges it.

use std::time::Duration;

use windlass::commit::CommitId;
use windlass::forge::Answer;
use windlass::forge::Found;
use windlass::forge::HttpAnswer;
use windlass::forge::Kind;
use windlass::forge::StatusPost;
use windlass::outcome::Phase;

use super::NOW;
use super::borrowed;
use super::expect_words;
use super::headers;
use super::line;

/// How long may an answer hold statuses back?
const LONGEST_WAIT: Duration = Duration::from_secs(3600);
/// How long may the meaning of an answer be, in characters?
const MEANING_CHARS: usize = 500;

/// Judges any answer.
pub fn run(input: &[u8]) {
    let (first, rest) = line(input);
    let (found, body) = headers(rest);
    let first = String::from_utf8_lossy(first);
    let (status, phase) = first.split_once(' ').unwrap_or((&first, ""));
    let status = status.parse().unwrap_or(400);
    let phase = Phase::from_word(phase).unwrap_or(Phase::Running);
    let found = borrowed(&found);
    let answer = HttpAnswer { status, headers: &found, body, now: NOW };
    for kind in Kind::ALL {
        judge(kind, phase, &answer);
    }
}

fn judge(kind: Kind, phase: Phase, answer: &HttpAnswer<'_>) {
    let commit = CommitId::parse(&"a".repeat(40)).unwrap();
    let post = StatusPost {
        api: "https://forge.example/api",
        repository: "team/shop",
        commit: &commit,
        context: "windlass/shop@east",
        phase,
        description: "words",
        target_url: None,
    };
    let request = kind.rules().describe(&post);
    let fine = (200..300).contains(&answer.status);
    match kind.rules().found(&post, answer) {
        Found::Same => assert!(fine),
        Found::Other => {}
        Found::Unknown(meant) => assert!(!fine || meant == Answer::Unsure(None), "{meant:?}"),
    }
    match kind.rules().classify(&request, answer) {
        Answer::Taken => assert!(fine || (kind == Kind::Gitlab && answer.status == 400)),
        Answer::TakenLast(wait) => assert!(fine && wait <= LONGEST_WAIT, "{wait:?}"),
        Answer::Later(wait) | Answer::Unsure(wait) => {
            assert!(!fine && wait.unwrap_or_default() <= LONGEST_WAIT, "{wait:?}");
        }
        Answer::Limited => assert!(!fine),
        Answer::Ours(words) | Answer::Never(words) => {
            assert!(!fine, "{words}");
            expect_words(&words, MEANING_CHARS);
        }
    }
}
