//! A Gitea of this test's own, which may be killed and held up without harm to others.

use std::net::TcpListener;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use sqlx::ConnectOptions;
use sqlx::Connection;
use sqlx::sqlite::SqliteConnectOptions;

use crate::world::bed;
use crate::world::until;

/// The administrator, who owns the repository and whose token windlass has.
const OWNER: &str = "keeper";

/// A Gitea on a port and in a folder of its own, with the settings and the program of the bed's.
pub struct Gitea {
    folder: tempfile::TempDir,
    pub url: String,
    pub token: String,
    process: Option<Child>,
}

impl Gitea {
    /// Starts it, empty.
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let theirs = Path::new(bed("WINDLASS_BED_RUN")).join("gitea");
        let settings = std::fs::read_to_string(theirs.join("app.ini")).unwrap();
        let old = bed("WINDLASS_BED_GITEA_URL").rsplit(':').next().unwrap();
        let (from, to) = (theirs.to_str().unwrap(), folder.path().to_str().unwrap());
        let settings = settings.replace(from, to).replace(old, &port.to_string());
        std::fs::write(folder.path().join("app.ini"), settings).unwrap();
        std::fs::copy(theirs.join("git"), folder.path().join("git")).unwrap();
        std::fs::create_dir(folder.path().join("home")).unwrap();
        let url = format!("http://127.0.0.1:{port}");
        let mut one = Self { folder, url, token: String::new(), process: None };
        one.command(&["migrate"]);
        one.command(&[
            "admin",
            "user",
            "create",
            "--admin",
            "--username",
            OWNER,
            "--email",
            "keeper@bed.invalid",
            "--random-password",
            "--must-change-password=false",
        ]);
        let token =
            ["admin", "user", "generate-access-token", "--username", OWNER, "--scopes", "all", "--raw"];
        one.token = one.command(&token).lines().last().unwrap().trim().to_owned();
        one.run().await;
        one
    }

    fn program(&self) -> Command {
        let mut command = Command::new(Path::new(bed("WINDLASS_BED_DIR")).join("bin/gitea"));
        command.arg("--config").arg(self.folder.path().join("app.ini"));
        command
            .env_remove("GIT_DIR")
            .env_remove("GIT_CONFIG_GLOBAL")
            .env("HOME", self.folder.path().join("home"));
        command.stdin(Stdio::null());
        command
    }

    fn command(&self, arguments: &[&str]) -> String {
        let output = self.program().args(arguments).output().unwrap();
        assert!(output.status.success(), "gitea {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs it on the data that is there, and waits until it answers.
    pub async fn run(&mut self) {
        let mut command = self.program();
        command.arg("web").stdout(Stdio::null()).stderr(Stdio::null());
        self.process = Some(command.spawn().unwrap());
        let version = format!("{}/api/v1/version", self.url);
        let client = reqwest::Client::new();
        until("Gitea answers", async || {
            client.get(&version).send().await.ok().filter(|answer| answer.status().is_success()).map(drop)
        })
        .await;
    }

    /// Kills it as a power cut would.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            // It may have ended by itself.
            drop(process.kill());
            drop(process.wait());
        }
    }

    /// Lets nobody write to its database for so long.
    pub async fn lock(&self, time: Duration) {
        let options = SqliteConnectOptions::new().filename(self.folder.path().join("gitea.db"));
        let mut connection = options.busy_timeout(Duration::from_secs(30)).connect().await.unwrap();
        sqlx::query("BEGIN IMMEDIATE").execute(&mut connection).await.unwrap();
        // why: that is how long the database is locked.
        tokio::time::sleep(time).await;
        sqlx::query("ROLLBACK").execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }

    /// Makes a repository and returns its name with its owner's.
    pub async fn repository(&self) -> String {
        self.ask("POST", "/user/repos", &serde_json::json!({ "name": "shop", "private": true })).await;
        format!("{OWNER}/shop")
    }

    /// Returns the address of a repository, with the owner's credentials.
    pub fn origin(&self, repository: &str) -> String {
        let token = &self.token;
        format!("{}/{repository}.git", self.url.replacen("://", &format!("://{OWNER}:{token}@"), 1))
    }

    /// Asks the API, which must say yes.
    pub async fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        let request =
            reqwest::Client::new().request(method.parse().unwrap(), format!("{}/api/v1{path}", self.url));
        let request = request.header("authorization", format!("token {}", self.token)).json(body);
        let answer = request.send().await.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert!(status.is_success(), "{method} {path}: {status} {text}");
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// Returns the states of a commit's statuses in the order in which they were posted, by context.
    pub async fn statuses(&self, repository: &str, commit: &str) -> Vec<(String, String)> {
        let path = format!("/repos/{repository}/commits/{commit}/statuses?limit=1000&sort=oldest");
        let answer = self.ask("GET", &path, &Value::Null).await;
        let text = |item: &Value, key: &str| item[key].as_str().unwrap_or_default().to_owned();
        let mut items = answer.as_array().cloned().unwrap_or_default();
        items.sort_by_key(|item| item["id"].as_u64());
        items.iter().map(|item| (text(item, "context"), text(item, "status"))).collect()
    }

    /// Makes a folder for a work tree.
    pub fn work(&self) -> PathBuf {
        let folder = self.folder.path().join("work");
        std::fs::create_dir(&folder).unwrap();
        folder
    }
}

impl Drop for Gitea {
    fn drop(&mut self) {
        self.kill();
    }
}
