//! Reads lists of signers, and judges commits by one.
//!
//! The first byte of an input says what the rest is: `l` for a list, anything else for a commit as Git stores it.

use windlass::commit::CommitId;
use windlass::signer::Signers;

/// The list that commits are judged by. The private halves of its keys are gone.
const LIST: &str = include_str!("../seeds/signers/list");
/// All that these keys ever signed; a seed each.
const SIGNED: [&[u8]; 4] = [
    include_bytes!("../seeds/signers/ssh-ed25519"),
    include_bytes!("../seeds/signers/ssh-p256"),
    include_bytes!("../seeds/signers/openpgp-ed"),
    include_bytes!("../seeds/signers/sha256"),
];

/// How many problems of a list are told at most?
const PROBLEMS: usize = 20;
/// How long may a problem be, in characters?
const PROBLEM_CHARS: usize = 400;

/// Reads any bytes.
pub fn run(input: &[u8]) {
    let Some((kind, bytes)) = input.split_first() else { return };
    if *kind == b'l' { list(bytes) } else { commit(bytes) }
}

fn list(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Err(wrong) = Signers::read(text) {
        assert!((1..=PROBLEMS).contains(&wrong.len()));
        for one in wrong {
            assert!((1..=text.lines().count().max(1)).contains(&one.line), "{one}");
            super::expect_words(&one.to_string(), PROBLEM_CHARS);
        }
    }
}

fn commit(bytes: &[u8]) {
    let signers = Signers::read(&LIST[1..]).expect("the list is good");
    for digits in [40, 64] {
        let id = CommitId::parse(&"a".repeat(digits)).unwrap();
        match signers.judge(&id, bytes) {
            Ok(_) => {
                let signed = SIGNED.iter().any(|seed| unsigned(&seed[1..]) == unsigned(bytes));
                assert!(signed, "nobody signed this");
            }
            Err(refusal) => super::expect_words(&refusal.to_string(), PROBLEM_CHARS),
        }
    }
}

/// Returns a commit without the headers that no signature is over.
fn unsigned(commit: &[u8]) -> Vec<u8> {
    let end = commit.windows(2).position(|two| two == b"\n\n").map_or(commit.len(), |end| end + 1);
    let (head, message) = commit.split_at(end);
    let (mut rest, mut dropped) = (Vec::new(), false);
    for line in head.split_inclusive(|byte| *byte == b'\n') {
        dropped = if line.starts_with(b" ") { dropped } else { line.starts_with(b"gpgsig") };
        if !dropped {
            rest.extend_from_slice(line);
        }
    }
    [&rest, message].concat()
}
