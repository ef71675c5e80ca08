//! Repositories in the bed's Gitea, written to with the `git` command.

use std::path::Path;
use std::process::Command;

use windlass::commit::CommitId;

use super::bed;
use super::bed_or_none;

/// A status as the forge holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// `pending`, `success`, `failure`, `error` or, for a superseded commit, `warning`.
    pub state: String,
    /// Its name.
    pub context: String,
    /// Its one line.
    pub description: String,
}

impl Status {
    fn read(item: &serde_json::Value) -> Self {
        let text = |key: &str| item[key].as_str().unwrap_or_default().to_owned();
        Self { state: text("status"), context: text("context"), description: text("description") }
    }

    /// Returns whether it is a verdict.
    pub fn is_final(&self) -> bool {
        self.state != "pending"
    }
}

impl std::fmt::Display for Status {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{} {}: {}", self.state, self.context, self.description)
    }
}

/// A repository in the bed's organisation, with a work tree of its own.
pub struct Repo {
    folder: tempfile::TempDir,
    /// Its name, unique.
    pub name: String,
    /// Its URL, without credentials.
    pub url: String,
}

impl Repo {
    /// Creates an empty, private repository in Gitea and a work tree on the branch `main`.
    pub async fn create() -> Self {
        let name = format!("repo-{}", uuid::Uuid::now_v7().simple());
        let (base, org) = (bed("WINDLASS_BED_GITEA_URL"), bed("WINDLASS_BED_GITEA_ORG"));
        let body = serde_json::json!({"name": name, "private": true, "default_branch": "main"});
        api("POST", &format!("/orgs/{org}/repos"), &body).await;
        let folder = tempfile::tempdir().unwrap();
        let url = format!("{base}/{org}/{name}.git");
        let repo = Self { folder, name, url };
        let (user, token) = (bed("WINDLASS_BED_GITEA_ADMIN"), bed("WINDLASS_BED_GITEA_ADMIN_TOKEN"));
        let origin = repo.url.replacen("://", &format!("://{user}:{token}@"), 1);
        repo.git(&["init", "--quiet", "--initial-branch=main"]);
        repo.git(&["remote", "add", "origin", &origin]);
        repo
    }

    /// Its name with its organisation's, as deliveries and APIs say it.
    pub fn full_name(&self) -> String {
        format!("{}/{}", bed("WINDLASS_BED_GITEA_ORG"), self.name)
    }

    /// Takes files out of the work tree; the next commit is without them.
    pub fn remove(&self, paths: &[&str]) {
        for path in paths {
            std::fs::remove_file(self.folder().join(path)).unwrap();
        }
    }

    /// Returns every status of a commit that the forge was told, in the order in which it was.
    pub async fn statuses(&self, commit: &CommitId) -> Vec<Status> {
        let mut statuses: Vec<(u64, Status)> = Vec::new();
        for page in 1.. {
            let path = format!("/repos/{}/commits/{commit}/statuses?limit=50&page={page}", self.full_name());
            let answer = api("GET", &path, &serde_json::Value::Null).await;
            let items = answer.as_array().cloned().unwrap_or_default();
            statuses.extend(items.iter().map(|item| (item["id"].as_u64().unwrap(), Status::read(item))));
            if items.len() < 50 {
                break;
            }
        }
        statuses.sort_by_key(|(id, _)| *id);
        statuses.into_iter().map(|(_, status)| status).collect()
    }

    /// Deletes the repository at the forge, which else keeps it.
    pub async fn discard(&self) {
        api("DELETE", &format!("/repos/{}", self.full_name()), &serde_json::Value::Null).await;
    }

    /// The work tree.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Writes files, commits everything and returns the commit; pushes nothing.
    pub fn commit(&self, message: &str, files: &[(&str, &str)]) -> CommitId {
        for (path, content) in files {
            let path = self.folder().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "--message", message]);
        self.head()
    }

    /// Returns the commit that the work tree is at.
    pub fn head(&self) -> CommitId {
        CommitId::parse(&self.git(&["rev-parse", "HEAD"])).unwrap()
    }

    /// Pushes the work tree's commit to a ref, such as `refs/heads/main`.
    pub fn push(&self, reference: &str) {
        self.git(&["push", "--quiet", "origin", &format!("HEAD:{reference}")]);
    }

    /// As [`Repo::push`], also when that throws commits away.
    pub fn force_push(&self, reference: &str) {
        self.git(&["push", "--quiet", "--force", "origin", &format!("HEAD:{reference}")]);
    }

    /// As [`Repo::force_push`], straight into the files of the forge where the bed has them: it looks at nothing then, and
    /// so takes a tenth of the time.
    pub fn slip_in(&self, reference: &str) {
        self.slip(&format!("HEAD:{reference}"));
    }

    /// Deletes a ref in the same way.
    pub fn slip_out(&self, reference: &str) {
        self.slip(&format!(":{reference}"));
    }

    fn slip(&self, what: &str) {
        let org = bed("WINDLASS_BED_GITEA_ORG");
        let Some(repositories) = bed_or_none("WINDLASS_BED_GITEA_REPOSITORIES") else {
            self.git(&["push", "--quiet", "--force", "origin", what]);
            return;
        };
        let path = format!("{repositories}/{org}/{}.git", self.name);
        let receive = "--receive-pack=git -c core.hooksPath=/dev/null -c core.fsync=none -c receive.denyDeleteCurrent=ignore receive-pack";
        self.git(&["push", "--quiet", "--force", receive, &path, what]);
    }

    /// Deletes a ref at the forge.
    pub fn delete(&self, reference: &str) {
        self.git(&["push", "--quiet", "origin", "--delete", reference]);
    }

    /// Runs `git` in the work tree and returns what it prints.
    #[track_caller]
    pub fn git(&self, arguments: &[&str]) -> String {
        git(self.folder(), arguments)
    }
}

/// Runs `git` in a folder and returns what it prints, trimmed; panics with its words when it fails.
#[track_caller]
pub fn git(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .args(["-c", "user.name=bed", "-c", "user.email=bed@example.com", "-c", "protocol.version=2"])
        .args(arguments)
        .current_dir(folder)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_TERMINAL_PROMPT", "0")
        .output()
        .expect("git runs");
    let (said, failed) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "git {arguments:?}: {failed}");
    said.trim().to_owned()
}

/// Sends a request to Gitea's API as its administrator and returns the answer; panics when it is no success.
pub async fn api(method: &str, path: &str, body: &serde_json::Value) -> serde_json::Value {
    // Another test of this process may have chosen it already; it is the same one.
    drop(rustls::crypto::ring::default_provider().install_default());
    let url = format!("{}/api/v1{path}", bed("WINDLASS_BED_GITEA_URL"));
    // Without the roots of trust of this machine, whose reading takes longer than all else.
    let client = reqwest::Client::builder().tls_certs_only(None).build().unwrap();
    let answer = client
        .request(method.parse().unwrap(), &url)
        .header("Authorization", format!("token {}", bed("WINDLASS_BED_GITEA_ADMIN_TOKEN")))
        .json(body)
        .send()
        .await
        .expect("the bed's Gitea answers: run scripts/bed up");
    let (status, text) = (answer.status(), answer.text().await.unwrap());
    assert!(status.is_success(), "{method} {path}: {status} {text}");
    serde_json::from_str(&text).unwrap_or_default()
}
