//! `windlass pause`, `resume`, `sync`, `rollback`, `release` and `audit`, as a person calls them: while windlass is stopped, and while it runs.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that panics has failed"
)]

use std::process::Command;
use std::process::Output;
use std::time::Duration;

use serde_json::Value;
use windlass::store::Store;

use process::Home;
use process::Process;

#[path = "world/process.rs"]
#[allow(dead_code, reason = "no test uses all of it")]
mod process;

const PROGRAM: &str = env!("CARGO_BIN_EXE_windlass");

/// How soon must a windlass that runs have seen what a command wrote? It looks by itself once a minute.
const AT_ONCE: Duration = Duration::from_secs(20);

/// A forge and clusters that are never reached.
const LISTS: &str = r#"
[[forges]]
name = "gitea"
kind = "gitea"
private = true
url = "http://127.0.0.1:1"
webhook_secrets = [{ env = "SECRET" }]
[[sources]]
name = "code"
forge = "gitea"
repository = "team/code"
poll = "off"
[[clusters]]
name = "east"
kubeconfig = "kubeconfig"
[[clusters]]
name = "west"
kubeconfig = "kubeconfig"
[[applications]]
name = "shop"
source = "code"
ref = "refs/heads/main"
clusters = ["east", "west"]
"#;

const KUBECONFIG: &str = r#"{"apiVersion":"v1","kind":"Config","current-context":"c",
    "clusters":[{"name":"c","cluster":{"server":"http://127.0.0.1:1"}}],
    "contexts":[{"name":"c","context":{"cluster":"c","user":"c"}}],"users":[{"name":"c","user":{}}]}"#;

fn home() -> Home {
    let home = Home::new(LISTS);
    std::fs::write(home.config().with_file_name("kubeconfig"), KUBECONFIG).unwrap();
    home
}

fn call(home: &Home, line: &str, more: &[&str]) -> Output {
    let mut command = Command::new(PROGRAM);
    command.args(line.split(' ')).args(more).arg("--config").arg(home.config()).env_clear();
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

fn lines(output: &Output) -> Vec<Value> {
    said(output).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn pauses_are_made_shown_and_ended_and_the_audit_keeps_it_all() {
    let home = home();
    complained(&call(&home, "pause shop --why disk", &[]), "has windlass run with these settings?");
    std::fs::create_dir_all(home.data()).unwrap();
    Store::open(&home.data().join("store.db")).await.unwrap().close().await;
    assert!(said(&call(&home, "pause --list", &[])).contains("Nothing is paused"));
    for (line, more, words) in [
        ("pause blog --why disk", &[][..], "find blog in the settings: no application is such; known: shop"),
        ("pause shop@north --why disk", &[], "find shop@north in the settings"),
        ("pause --cluster north --why disk", &[], "find cluster north in the settings"),
        ("pause Shop --why disk", &[], "read \"Shop\""),
        ("pause shop --why", &["two\nlines"], "read --why: give 1 to 200 characters, on one line"),
        ("resume shop", &[], "resume shop: that is not paused; what is: nothing"),
        ("sync blog", &[], "find blog in the settings"),
    ] {
        complained(&call(&home, line, more), words);
    }
    assert!(
        said(&call(&home, "pause shop@east --by ana --why", &["the disk is full"]))
            .contains("Paused: shop@east")
    );
    assert!(said(&call(&home, "pause --all --why audit", &[])).contains("Paused: everything"));
    complained(&call(&home, "resume shop", &[]), "not paused; what is: everything, shop@east");
    let shown = lines(&call(&home, "pause --list --json", &[]));
    let paused: Vec<_> = shown.iter().map(|one| (one["paused"].as_str(), one["why"].as_str())).collect();
    assert_eq!(paused, [(Some("everything"), Some("audit")), (Some("shop@east"), Some("the disk is full"))]);
    assert!(shown[1]["by"].as_str().unwrap().starts_with("ana ("), "{shown:?}");
    let resumed = said(&call(&home, "resume --all", &[]));
    assert!(
        resumed.contains("Resumed: everything") && resumed.contains("Still paused: shop@east"),
        "{resumed}"
    );
    let asked = said(&call(&home, "sync shop --override --why", &["an outage"]));
    assert!(asked.contains("shop@east, shop@west"), "{asked}");
    let orders = lines(&call(&home, "audit --json", &[]));
    let told: Vec<_> =
        orders.iter().map(|one| (one["order"].as_str().unwrap(), one["for"].as_str().unwrap())).collect();
    let expected =
        [("override", "shop"), ("resume", "everything"), ("pause", "everything"), ("pause", "shop@east")];
    assert_eq!(told, expected);
    assert_eq!(orders[0]["why"], "an outage");
    assert!(said(&call(&home, "audit --limit 1", &[])).contains("an outage"));
}

#[tokio::test]
async fn targets_are_kept_at_a_commit_and_released() {
    let home = home();
    std::fs::create_dir_all(home.data()).unwrap();
    Store::open(&home.data().join("store.db")).await.unwrap().close().await;
    assert_eq!(said(&call(&home, "rollback --list", &[])), "Nothing is kept at a commit.\n");
    let commit = "0123456789".repeat(4);
    let rollback = |target: &str, to: &str| {
        let line = format!("rollback {target} --to {to} --by ana --why");
        call(&home, &line, &["checkout is slow"])
    };
    for (target, to, words) in [
        ("blog", commit.as_str(), "find blog in the settings: no application is such; known: shop"),
        ("shop", "main", "read the commit: \"main\" is none"),
        ("shop", "0123", "find 0123 among the commits of code that were answered: give its whole id"),
    ] {
        complained(&rollback(target, to), words);
    }
    complained(
        &call(&home, "release shop", &[]),
        "release shop: that is not kept at a commit; what is: nothing",
    );
    let kept = said(&rollback("shop", &commit));
    assert!(kept.starts_with("Kept at 012345678901: shop@east, shop@west."), "{kept}");
    let shown = lines(&call(&home, "rollback --list --json", &[]));
    let kept: Vec<_> = shown.iter().map(|one| (one["kept"].as_str(), one["commit"].as_str())).collect();
    let at = Some(commit.as_str());
    assert_eq!(kept, [(Some("shop@east"), at), (Some("shop@west"), at)]);
    let synced = said(&call(&home, "sync shop@east", &[]));
    assert!(synced.contains("shop@east is kept at 012345678901, which is made true again"), "{synced}");
    let released = said(&call(&home, "release shop@west --why mended", &[]));
    assert!(released.starts_with("Released: shop@west."), "{released}");
    complained(&call(&home, "release shop@west", &[]), "what is: shop@east");
    let orders = lines(&call(&home, "audit --json", &[]));
    let told: Vec<_> = orders.iter().map(|one| (one["order"].as_str(), one["for"].as_str())).collect();
    let order = |word, of| (Some(word), Some(of));
    assert_eq!(told, [order("release", "shop@west"), order("sync", "shop@east"), order("rollback", "shop")]);
    let why = orders[2]["why"].as_str().unwrap();
    assert_eq!(why, format!("to {commit}: checkout is slow"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_windlass_that_runs_sees_it_at_once() {
    let home = home();
    let environment = [("SECRET", "the secret of this webhook")];
    let mut process = Process::start(std::path::Path::new(PROGRAM), &home.config(), &environment).await;
    let store = Store::open(&home.data().join("store.db")).await.unwrap();
    let ended = call(&home, "sync shop@east", &[]);
    assert!(
        said(&ended).contains("Asked for a pass of shop@east. It is made now") && ended.stderr.is_empty(),
        "{ended:?}"
    );
    let granted = async {
        while !store.wishes().await.unwrap().is_empty() {
            // why: the file does not tell.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(AT_ONCE, granted).await.expect("the wish is granted at once");
    process.kill();
    let ended = call(&home, "sync shop@east", &[]);
    assert!(said(&ended).contains("as soon as windlass is started"), "{ended:?}");
    store.close().await;
}
