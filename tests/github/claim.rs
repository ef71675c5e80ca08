//! The App's key, made by OpenSSL for the tests, and what GitHub makes of a claim that it signs.

use std::io::Write;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::Stdio;
use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

/// How far may a claim reach into the future, in seconds?
const FURTHEST: i64 = 600;

/// The files of a key.
pub struct Pair {
    pub folder: tempfile::TempDir,
}

impl Pair {
    /// Makes a key of so many bits.
    pub fn new(bits: u32) -> Self {
        let pair = Self { folder: tempfile::tempdir().unwrap() };
        pair.openssl(&["genrsa", "-out", "pkcs8.pem", &bits.to_string()]);
        pair.openssl(&["rsa", "-in", "pkcs8.pem", "-traditional", "-out", "pkcs1.pem"]);
        pair.openssl(&["rsa", "-in", "pkcs8.pem", "-pubout", "-out", "public.pem"]);
        pair
    }

    /// Returns the files of a good key, which all tests of a process share: making one takes a while.
    pub fn good() -> Self {
        static TEXTS: LazyLock<[(&str, String); 3]> = LazyLock::new(|| {
            let made = Pair::new(2048);
            ["pkcs1.pem", "pkcs8.pem", "public.pem"].map(|file| (file, made.text(file)))
        });
        let pair = Self { folder: tempfile::tempdir().unwrap() };
        TEXTS.iter().for_each(|(file, text)| std::fs::write(pair.path(file), text).unwrap());
        pair
    }

    pub fn openssl(&self, arguments: &[&str]) {
        let mut command = Command::new("openssl");
        let done = command.args(arguments).current_dir(self.folder.path()).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }

    pub fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    pub fn text(&self, file: &str) -> String {
        std::fs::read_to_string(self.path(file)).unwrap()
    }
}

/// Says what is wrong with a claim, in GitHub's words.
pub fn wrong(token: &str, public: &Path, now: i64, known: &[&str]) -> Option<&'static str> {
    let parts: Vec<&str> = token.split('.').collect();
    let [head, says, signature] = parts.as_slice() else {
        return Some("A JSON web token could not be decoded");
    };
    let read = |part: &str| -> Value {
        URL_SAFE_NO_PAD
            .decode(part)
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .unwrap_or_default()
    };
    let signed = format!("{head}.{says}");
    let (head, says) = (read(head), read(says));
    if head["alg"] != "RS256" || !holds(&signed, &URL_SAFE_NO_PAD.decode(signature).ok()?, public) {
        return Some("A JSON web token could not be decoded");
    }
    let time = |name: &str| says[name].as_i64().unwrap_or(i64::MAX);
    if time("iat") > now {
        return Some(
            "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued",
        );
    }
    if time("exp") <= now {
        return Some(
            "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires",
        );
    }
    if time("exp") > now + FURTHEST {
        return Some("'Expiration time' claim ('exp') is too far in the future");
    }
    let is_known = says["iss"].as_str().is_some_and(|id| known.contains(&id));
    (!is_known).then_some("'Issuer' claim ('iss') must be an Integer")
}

fn holds(text: &str, signature: &[u8], public: &Path) -> bool {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("signature");
    std::fs::write(&file, signature).unwrap();
    let mut command = Command::new("openssl");
    command.args(["dgst", "-sha256", "-verify"]).arg(public).arg("-signature").arg(&file);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    child.wait().unwrap().success()
}
