//! Deliveries, signed by others, and what windlass makes of them.

use std::io::Seek;
use std::io::Write;
use std::process::Command;
use std::process::Stdio;

use windlass::event::Hint;
use windlass::forge::Kind;
use windlass::forge::Request;
use windlass::moment::Moment;
use windlass::secret::Secret;

/// When the deliveries arrive.
pub const NOW: Moment = Moment(1_790_000_000_000);

/// The secret of those hooks whose secret the tests choose.
pub const SECRET: &str = "a secret of the test material";

pub const JSON: &str = "application/json";
pub const FORM: &str = "application/x-www-form-urlencoded";

/// How many seconds may Python take to sign them all?
const SIGNED_WITHIN: &str = "60";

/// Reads a key and then bodies, each as hexadecimal digits on a line of its own, and writes the signature of each body.
const SIGNER: &str = r#"
import hmac, sys
lines = (bytes.fromhex(line) for line in sys.stdin)
key = next(lines)
for body in lines:
    print(hmac.new(key, body, "sha256").hexdigest())
"#;

/// Signs bodies with Python's HMAC-SHA256, in hexadecimal digits.
pub fn signatures(bodies: &[&[u8]]) -> Vec<String> {
    let mut lines = tempfile::tempfile().unwrap();
    writeln!(lines, "{}", hex::encode(SECRET)).unwrap();
    for body in bodies {
        writeln!(lines, "{}", hex::encode(body)).unwrap();
    }
    lines.rewind().unwrap();
    let mut python = Command::new("timeout");
    python.args([SIGNED_WITHIN, "python3", "-c", SIGNER]).stdin(lines).stderr(Stdio::inherit());
    let output = python.output().expect("timeout and python3 are there: run scripts/bed up");
    assert!(output.status.success(), "python3 ended with {}", output.status);
    let digests: Vec<String> = String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect();
    assert_eq!(digests.len(), bodies.len());
    digests
}

/// Encodes a payload as the field of a form.
pub fn form(payload: &[u8]) -> Vec<u8> {
    let mut url = reqwest::Url::parse("http://form/").unwrap();
    url.query_pairs_mut().append_pair("payload", std::str::from_utf8(payload).unwrap());
    url.query().unwrap().as_bytes().to_vec()
}

/// Returns what a forge's rules make of a delivery; `None` when its signature does not hold.
pub fn hear(kind: Kind, headers: &[(&str, &str)], body: &[u8], secret: &str) -> Option<Hint> {
    let secrets = [Secret::new("the secret of another hook").unwrap(), Secret::new(secret).unwrap()];
    let delivery = kind.rules().verify(&Request { headers, body, now: NOW }, &secrets)?;
    assert_eq!(delivery.secret(), 1);
    Some(kind.rules().read(&delivery))
}

/// Returns why a hint is ignored; `None` when it is acted on.
pub fn why(hint: &Hint) -> Option<&str> {
    if let Hint::Ignored { why } = hint { Some(why) } else { None }
}

/// Says a hint in one line.
pub fn line(hint: &Hint) -> String {
    why(hint).map_or_else(|| hint.to_string(), str::to_owned)
}
