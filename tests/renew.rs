//! Secrets of webhooks, lists of signers and kubeconfigs are renewed while windlass runs: a real process, real files, real
//! signals.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test may panic")]

use std::io::BufRead;
use std::io::BufReader;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::time::Duration;

use tokio::sync::mpsc;
use windlass::clock::now;
use windlass::forge::Kind;
use windlass::secret::Secret;

mod world;

use world::kube::Kube;
use world::wire;
use world::wire::Wire;

/// How long may it take until something shows?
const PATIENCE: Duration = Duration::from_secs(30);

const OLD: &str = "the old secret of the webhook";
const NEW: &str = "the new secret of the webhook";
const AGAIN: &str = "the newest secret of the webhook";

const SETTINGS: &str = r#"
[data]
dir = "data"
[door]
listen = "127.0.0.1:0"
unsigned_rate = 0
[log]
format = "json"
[[forges]]
name = "gitea"
kind = "gitea"
url = "https://git.example.org"
webhook_secrets = [{ file = "old" }, { file = "secrets/new" }]
[[sources]]
name = "shop"
forge = "gitea"
repository = "team/shop"
poll = "off"
signed_by = "signers"
"#;

/// A list of who may sign.
const SIGNERS: &str =
    "a@example.org ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAVQalaY5uTar/Tp9cR2m2dMQvkNjKP19tlpEvBIFW4P\n";

struct Windlass {
    child: Child,
    log: mpsc::UnboundedReceiver<String>,
    door: SocketAddr,
}

impl Windlass {
    async fn start(folder: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_windlass"))
            .args(["run", "--config", "windlass.toml"])
            .current_dir(folder)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (lines, log) = mpsc::unbounded_channel();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        std::thread::spawn(move || {
            stderr.lines().map_while(Result::ok).try_for_each(|line| lines.send(line))
        });
        let mut one = Self { child, log, door: "127.0.0.1:0".parse().unwrap() };
        let line = one.logged("windlass runs").await;
        one.door = line["listen"].as_str().unwrap().parse().unwrap();
        one
    }

    /// Waits for a line of the log.
    async fn logged(&mut self, words: &str) -> serde_json::Value {
        let found = async {
            loop {
                let line = self.log.recv().await.expect("the process lives");
                let line: serde_json::Value = serde_json::from_str(&line).unwrap();
                if line["message"].as_str().is_some_and(|message| message.contains(words)) {
                    return line;
                }
            }
        };
        tokio::time::timeout(PATIENCE, found).await.unwrap_or_else(|_| panic!("no line in time: {words}"))
    }

    async fn stop(mut self) {
        signal(&self.child, "TERM");
        self.logged("stopped").await;
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Windlass {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn signal(child: &Child, name: &str) {
    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
}

/// Delivers a ping, and returns the code of the answer.
async fn ping(door: SocketAddr, secret: &str) -> u16 {
    let headers = Kind::Gitea.rules().sign("ping", "id-1", b"{}", &Secret::new(secret).unwrap(), now());
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let mut wire = Wire::to(door).await.unwrap();
    wire.send(&wire::request("POST", "/hooks/gitea", &headers, b"{}")).await;
    wire.reply().await.expect("an answer").status
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("secrets")).unwrap();
    for (file, text) in
        [("windlass.toml", SETTINGS), ("old", OLD), ("secrets/new", OLD), ("signers", SIGNERS)]
    {
        std::fs::write(folder.path().join(file), text).unwrap();
    }
    folder
}

#[tokio::test]
async fn a_secret_is_rotated_under_load_and_no_delivery_is_refused() {
    let folder = folder();
    let mut windlass = Windlass::start(folder.path()).await;
    let door = windlass.door;
    assert_eq!([ping(door, OLD).await, ping(door, NEW).await], [200, 401]);
    let (stop, mut stopped) = tokio::sync::watch::channel(false);
    let load = tokio::spawn(async move {
        let mut answers = Vec::new();
        while !*stopped.borrow_and_update() {
            answers.push(ping(door, OLD).await);
        }
        answers
    });
    std::fs::write(folder.path().join("secrets/new"), NEW).unwrap();
    windlass.logged("were read again").await;
    assert_eq!(ping(door, NEW).await, 200);
    stop.send_replace(true);
    let answers = load.await.unwrap();
    assert!(answers.len() > 1 && answers.iter().all(|answer| *answer == 200), "{answers:?}");
    // A file that takes the place of another, as most programs write them, counts too.
    std::fs::write(folder.path().join("next"), AGAIN).unwrap();
    std::fs::rename(folder.path().join("next"), folder.path().join("old")).unwrap();
    windlass.logged("were read again").await;
    assert_eq!([ping(door, OLD).await, ping(door, NEW).await, ping(door, AGAIN).await], [401, 200, 200]);
    windlass.stop().await;
}

#[tokio::test]
async fn sighup_reads_secrets_again_and_settings_in_error_change_nothing() {
    let folder = folder();
    let mut windlass = Windlass::start(folder.path()).await;
    let door = windlass.door;
    signal(&windlass.child, "HUP");
    windlass.logged("were read again").await;
    std::fs::write(folder.path().join("old"), "short").unwrap();
    let line = windlass.logged("webhook_secrets").await;
    assert_eq!(line["level"], "ERROR");
    windlass.logged("stay as they are").await;
    assert_eq!(ping(door, OLD).await, 200);
    std::fs::write(folder.path().join("windlass.toml"), SETTINGS.replace("{ file = \"old\" }, ", ""))
        .unwrap();
    // Other files are watched from now on, and are read once more, lest a change before that be missed.
    windlass.logged("were read again").await;
    windlass.logged("were read again").await;
    assert_eq!(ping(door, OLD).await, 200);
    std::fs::write(folder.path().join("secrets/new"), NEW).unwrap();
    windlass.logged("were read again").await;
    assert_eq!([ping(door, OLD).await, ping(door, NEW).await], [401, 200]);
    windlass.stop().await;
}

#[tokio::test]
async fn a_list_of_signers_is_read_again_when_its_file_changes() {
    let folder = folder();
    let mut windlass = Windlass::start(folder.path()).await;
    let file = folder.path().join("signers");
    std::fs::write(&file, format!("# people\n{SIGNERS}")).unwrap();
    windlass.logged("the lists of signers were read again").await;
    std::fs::write(&file, format!("{SIGNERS}a@example.org ssh-dss AAAA\n")).unwrap();
    let line = windlass.logged("sources[0].signed_by").await;
    assert_eq!(line["level"], "ERROR");
    assert!(line["message"].as_str().unwrap().contains("line 2: "), "{line}");
    windlass.logged("the lists of signers stay as they are").await;
    windlass.stop().await;
}

/// A cluster, and an application in it, whose parents are watched from the start on.
const CLUSTER: &str = r#"
[[clusters]]
name = "east"
kubeconfig = "east.kubeconfig"
[[applications]]
name = "shop"
source = "shop"
ref = "refs/heads/main"
clusters = ["east"]
"#;

#[tokio::test]
async fn a_kubeconfig_is_read_again_when_its_file_changes() {
    let (folder, east) = (folder(), Kube::connect("east").await);
    let installation = format!("renew-{}", world::unique());
    let named = format!("[data]\ninstallation = \"{installation}\"\n");
    let text = format!("{}{CLUSTER}", SETTINGS.replace("[data]\n", &named));
    std::fs::write(folder.path().join("windlass.toml"), text).unwrap();
    let good = std::fs::read_to_string(world::bed("WINDLASS_BED_EAST_KUBECONFIG")).unwrap();
    let line_with = |word: &str| good.lines().find(|line| line.contains(word)).unwrap();
    let file = folder.path().join("east.kubeconfig");
    let write = |old: &str, new: &str| std::fs::write(&file, good.replace(old, new)).unwrap();

    // One whose authority is not that of the server, then one whose token has ended.
    write(line_with("certificate-authority-data"), "");
    let mark = east.mark();
    let mut windlass = Windlass::start(folder.path()).await;
    let line = windlass.logged("drift is not seen for now").await;
    assert!(line["message"].as_str().unwrap().contains("certificate"), "{line}");
    write(line_with("token: "), "      token: ended");
    windlass.logged("the kubeconfig was read again").await;
    let line = windlass.logged("drift is not seen for now").await;
    assert!(line["message"].as_str().unwrap().contains("Unauthorized"), "{line}");
    assert!(east.asked_since(mark, &installation).await.iter().all(|asked| asked.code != 200));

    write(line_with("server: "), "      server: https://alice:sesame@192.0.2.1");
    let line = windlass.logged("it names the server https://192.0.2.1:443").await;
    assert!(line["level"] == "ERROR" && !line.to_string().contains("sesame"), "{line}");

    write("", "");
    windlass.logged("the kubeconfig was read again").await;
    let answered = async || east.asked_since(mark, &installation).await.iter().any(|asked| asked.code == 200);
    world::until("the cluster answers", async || answered().await.then_some(())).await;
    windlass.stop().await;
}
