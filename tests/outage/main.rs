//! Two hundred pushes to a real Gitea whose own webhook tells a real windlass; in their midst Gitea is killed and started
//! again, and then its database is locked. Every delivery that was accepted is explained, and every commit that was
//! seen has one verdict, by Gitea's own account.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test ends where it fails"
)]

use std::collections::BTreeMap;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;

use sqlx::ConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;
use tokio::time::Instant;
use windlass::clock::now;
use windlass::commit::CommitId;
use windlass::commit::RefName;
use windlass::courier::Courier;
use windlass::event::Push;
use windlass::explanation::LedTo;
use windlass::forge::Kind;
use windlass::secret::Secret;
use windlass::store::Store;

mod gitea;
#[path = "../world/mod.rs"]
mod world;

use gitea::Gitea;
use world::bed;
use world::git::git;
use world::kube::Kube;
use world::manifests::config_map;
use world::plan;
use world::plan::Plan;
use world::process::Home;
use world::process::Process;
use world::unique;
use world::until;

/// The secret of the webhook.
const SECRET: &str = "the secret of the webhook";

/// How many branches are pushed to, each read by an application?
const BRANCHES: usize = 4;

/// How often is each pushed to?
const PUSHES: usize = 50;

/// How many statuses are on their way when Gitea is killed, at least?
const ON_THEIR_WAY: i64 = 3;

/// For how long is Gitea's database locked?
const LOCKED_FOR: Duration = Duration::from_secs(5);

/// How long may a push be tried, while Gitea is away?
const PUSHED_WITHIN: Duration = Duration::from_secs(60);

/// How long may windlass take to be done with all of it?
const DONE_WITHIN: Duration = Duration::from_secs(240);

fn settings(gitea: &Gitea, repository: &str, installation: &str, namespace: &str) -> String {
    let plan = Plan {
        sections: "[sweep]\npoll = \"10s\"",
        gitea: &gitea.url,
        repository,
        secret: plan::SECRET,
        token: plan::TOKEN,
        clusters: &[("east", bed("WINDLASS_BED_EAST_KUBECONFIG"))],
        installation,
        namespace,
    };
    let lane = |branch| {
        let follows = format!("ref = \"refs/heads/lane-{branch}\"");
        plan.application(&format!("shop-{branch}"), &follows, &["east"], &format!("path = \"lane-{branch}\""))
    };
    plan.text() + &(0..BRANCHES).map(lane).collect::<String>()
}

/// Commits to each branch's folder and pushes all branches, again and again; returns the commits of each. One `git push`
/// of several refs is as many pushes to Gitea, which tells of each by itself.
fn push_all(folder: &Path, origin: &str, pushed: &AtomicUsize) -> Vec<Vec<String>> {
    git(folder, &["init", "--quiet"]);
    git(folder, &["remote", "add", "origin", origin]);
    let mut commits = vec![Vec::new(); BRANCHES];
    for number in 0..PUSHES {
        let mut refspecs = Vec::new();
        for (branch, commits) in commits.iter_mut().enumerate() {
            let lane = folder.join(format!("lane-{branch}"));
            std::fs::create_dir_all(&lane).unwrap();
            let text = config_map(&format!("lane-{branch}"), &number.to_string());
            std::fs::write(lane.join("lane.yaml"), text).unwrap();
            git(folder, &["add", "--all"]);
            git(folder, &["commit", "--quiet", "--message", &format!("number {number}")]);
            let commit = git(folder, &["rev-parse", "HEAD"]);
            refspecs.push(format!("{commit}:refs/heads/lane-{branch}"));
            commits.push(commit);
        }
        push(folder, &refspecs);
        pushed.fetch_add(BRANCHES, Ordering::Relaxed);
    }
    commits
}

/// Pushes until Gitea takes it.
fn push(folder: &Path, refspecs: &[String]) {
    let begun = Instant::now();
    loop {
        let tried = Command::new("git")
            .args(["push", "--quiet", "origin"])
            .args(refspecs)
            .current_dir(folder)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_TERMINAL_PROMPT", "0")
            .output()
            .unwrap();
        if tried.status.success() {
            return;
        }
        assert!(begun.elapsed() < PUSHED_WITHIN, "{}", String::from_utf8_lossy(&tried.stderr));
        // why: Gitea is away, and tells nobody when it is back.
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Waits until so many pushes are done.
async fn reached(pushed: &AtomicUsize, count: usize) {
    let begun = Instant::now();
    while pushed.load(Ordering::Relaxed) < count {
        assert!(begun.elapsed() < DONE_WITHIN, "only {} pushes", pushed.load(Ordering::Relaxed));
        // why: programs of their own tell nobody how far they are.
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn number(file: PathBuf, query: &'static str) -> i64 {
    let mut connection = SqliteConnectOptions::new().filename(file).read_only(true).connect().await.unwrap();
    sqlx::query_scalar(query).fetch_one(&mut connection).await.unwrap()
}

async fn untold(data: &Path) -> i64 {
    let query = "SELECT count(*) FROM statuses WHERE wanting = 1 AND muted = 0";
    number(data.join("store.db"), query).await
}

/// Posts a delivery of the first push of the first lane, as Gitea sends it.
async fn deliver(windlass: &Process, repository: &str, commit: &str) {
    let push = Push {
        repository: repository.to_owned(),
        reference: RefName::parse("refs/heads/lane-0").unwrap(),
        before: None,
        after: Some(CommitId::parse(commit).unwrap()),
        forced: false,
    };
    let rules = Kind::Gitea.rules();
    let (event, body) = rules.make_up(&push);
    let headers = rules.sign(event, &unique(), body.as_bytes(), &Secret::new(SECRET).unwrap(), now());
    let url = format!("{}/hooks/gitea", windlass.door);
    assert_eq!(Courier::new().unwrap().knock(&url, &headers, body).await.unwrap().0, 202);
}

/// Waits until a status and an event have found nobody.
async fn found_nobody(data: &Path) {
    until("a status has found nobody", async || {
        let tries = number(data.join("store.db"), "SELECT count(*) FROM statuses WHERE tries > 0").await;
        (tries > 0).then_some(())
    })
    .await;
    until("an event has found nobody", async || {
        let query = "SELECT count(*) FROM considered WHERE considered LIKE '%put back%'";
        (number(data.join("store.db"), query).await > 0).then_some(())
    })
    .await;
}

/// Waits until nothing is left to do: no message, no open row, no status to post.
async fn done(data: &Path) {
    let left = async || {
        number(data.join("queue.db"), "SELECT count(*) FROM messages WHERE state < 4").await
            + number(data.join("store.db"), "SELECT count(*) FROM ledger WHERE open = 1").await
            + untold(data).await
    };
    let begun = Instant::now();
    while left().await > 0 || left().await > 0 {
        assert!(begun.elapsed() < DONE_WITHIN, "{} things are left", left().await);
        // why: a process of its own tells nobody when it is done.
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Makes sure that each delivery was looked at to its end; returns how many there were.
async fn check_deliveries(data: &Path) -> usize {
    let store = Store::open(&data.join("store.db")).await.unwrap();
    let heard = store.deliveries(None, 1_000).await.unwrap();
    for one in &heard {
        let LedTo::Accepted { events } = &one.led_to else { continue };
        for (event, _) in events {
            let considered = store.considered(event).await.unwrap();
            let considered =
                considered.unwrap_or_else(|| panic!("delivery {} is not explained", one.delivery));
            let ended =
                considered.end.starts_with("dispatched") || considered.end.starts_with("nothing to do");
            assert!(ended, "{considered:?}");
        }
    }
    store.close().await;
    heard.len()
}

/// Makes sure that a commit has one verdict in each context, told once, or none at all; returns the verdict for the
/// target.
fn verdict(statuses: &[(String, String)], tip: bool) -> Option<String> {
    let mut contexts: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (context, state) in statuses {
        contexts.entry(context).or_default().push(state);
    }
    for states in contexts.values() {
        let finals: Vec<&&str> = states.iter().filter(|state| **state != "pending").collect();
        assert_eq!(finals.len(), 1, "{statuses:?}");
        assert_eq!(finals.first().copied(), states.last(), "{statuses:?}");
        let allowed: &[&str] = if tip { &["success"] } else { &["success", "warning"] };
        assert!(allowed.contains(finals[0]), "tip: {tip}, {statuses:?}");
    }
    assert!(!tip || contexts.len() == 2, "{statuses:?}");
    contexts
        .iter()
        .find(|(context, _)| context.contains('@'))
        .map(|(_, states)| (*states.last().unwrap()).to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn through_two_hundred_pushes_a_kill_and_a_lock_each_commit_has_one_verdict() {
    // Another test of this process may have chosen it already; it is the same one.
    drop(rustls::crypto::ring::default_provider().install_default());
    let id = unique();
    let (installation, namespace) = (format!("windlass-{id}"), format!("shop-{id}"));
    let (mut gitea, kube) = tokio::join!(Gitea::start(), Kube::connect("east"));
    kube.make_namespace(&namespace).await;
    let repository = gitea.repository().await;
    let home = Home::new(&settings(&gitea, &repository, &installation, &namespace));
    let environment = [
        ("SECRET", SECRET),
        ("TOKEN", gitea.token.as_str()),
        ("WINDLASS__DATA__INSTALLATION", installation.as_str()),
    ];
    let windlass =
        Process::start(Path::new(env!("CARGO_BIN_EXE_windlass")), &home.config(), &environment).await;
    let hook = serde_json::json!({
        "type": "gitea", "active": true, "events": ["push", "delete"],
        "config": { "url": format!("{}/hooks/gitea", windlass.door), "content_type": "json", "secret": SECRET },
    });
    gitea.ask("POST", &format!("/repos/{repository}/hooks"), &hook).await;
    let pushed = Arc::new(AtomicUsize::new(0));
    let (folder, origin, counted) = (gitea.work(), gitea.origin(&repository), pushed.clone());
    let work = folder.clone();
    let pusher = tokio::task::spawn_blocking(move || push_all(&folder, &origin, &counted));
    reached(&pushed, BRANCHES * PUSHES / 2).await;
    let data = home.data();
    until("statuses are on their way", async || (untold(&data).await >= ON_THEIR_WAY).then_some(())).await;
    gitea.kill();
    // A delivery that Gitea sent with its last breath, about what nobody can look at now.
    let first = git(&work, &["rev-list", "--max-parents=0", "HEAD"]);
    deliver(&windlass, &repository, &first).await;
    found_nobody(&data).await;
    gitea.run().await;
    reached(&pushed, BRANCHES * PUSHES * 3 / 4).await;
    gitea.lock(LOCKED_FOR).await;
    let lanes = pusher.await.unwrap();
    // The last push may have been told by nobody but the sweep.
    for (branch, commits) in lanes.iter().enumerate() {
        let path = format!("/api/v1/namespaces/{namespace}/configmaps/lane-{branch}");
        let last = (commits.len() - 1).to_string();
        until("the tips are applied", async || {
            kube.find(&path).await.filter(|found| found["data"]["key"] == last.as_str()).map(drop)
        })
        .await;
    }
    done(&home.data()).await;
    let heard = check_deliveries(&home.data()).await;
    let mut verdicts: BTreeMap<Option<String>, usize> = BTreeMap::new();
    for commits in &lanes {
        for commit in commits {
            let statuses = gitea.statuses(&repository, commit).await;
            *verdicts.entry(verdict(&statuses, commits.last() == Some(commit))).or_default() += 1;
        }
    }
    assert!(heard >= PUSHES, "Gitea's own webhook told of few pushes: {heard}; {verdicts:?}");
    drop(windlass);
    for namespace in [&namespace, &installation] {
        kube.delete(&format!("/api/v1/namespaces/{namespace}")).await;
    }
}
