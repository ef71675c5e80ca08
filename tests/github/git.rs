//! Repositories of the stand-in, served by the `git` command to whoever has a token that may read them.

use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::process::Stdio;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::hub::State;
use crate::hub::message;
use crate::stand::Heard;
use crate::stand::Said;

/// Makes a repository with one commit on `main`, and returns the commit.
pub fn make(folder: &Path) -> String {
    make_of(folder, "a: 1\n")
}

/// As [`make`], with a text in its one file.
pub fn make_of(folder: &Path, text: &str) -> String {
    let git = |arguments: &[&str]| {
        let mut command = Command::new("git");
        let who = ["-c", "user.name=test", "-c", "user.email=test@example.org"];
        let done = command.current_dir(folder).args(who).args(arguments).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap()
    };
    git(&["init", "--quiet", "--initial-branch=main"]);
    std::fs::write(folder.join("a.yaml"), text).unwrap();
    git(&["add", "."]);
    git(&["commit", "--quiet", "--message=one"]);
    git(&["rev-parse", "HEAD"]).trim().to_owned()
}

/// Answers a request of Git's smart protocol.
pub fn answer(state: &State, heard: &Heard, repository: &str, rest: &str) -> Said {
    let given = heard.authorization.strip_prefix("Basic ").and_then(|text| STANDARD.decode(text).ok());
    let given = given.and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default();
    let token = given.strip_prefix("x-access-token:").unwrap_or_default();
    match state.may(token, repository, "contents", "read") {
        Err(401) => return message(401, "Invalid username or token."),
        Err(_) => return message(404, "Repository not found."),
        Ok(()) => {}
    }
    let Some(folder) = state.repositories.get(repository) else {
        return message(404, "Repository not found.");
    };
    match (heard.method.as_str(), rest) {
        ("GET", "info/refs") if heard.query == "service=git-upload-pack" => {
            let refs = upload_pack(folder, &["--advertise-refs"], &[]);
            let body = [b"001e# service=git-upload-pack\n0000".to_vec(), refs].concat();
            Said::new(200, "application/x-git-upload-pack-advertisement", body)
        }
        ("POST", "git-upload-pack") => {
            let body = upload_pack(folder, &[], &heard.body);
            Said::new(200, "application/x-git-upload-pack-result", body)
        }
        _ => message(404, "Not Found"),
    }
}

fn upload_pack(folder: &Path, more: &[&str], input: &[u8]) -> Vec<u8> {
    let mut command = Command::new("git");
    command.args(["-c", "uploadpack.allowAnySHA1InWant=true", "upload-pack", "--stateless-rpc"]);
    let mut child =
        command.args(more).arg(folder).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input).unwrap();
    drop(stdin);
    child.wait_with_output().unwrap().stdout
}
