//! The demo's repository in Gitea: a webhook that leads to windlass, pushes, and the statuses of commits.

use std::time::Duration;

use serde_json::Value;
use serde_json::json;
use windlass::commit::CommitId;

use crate::news::News;
use crate::news::Sender;
use crate::world::bed;
use crate::world::git::Repo;
use crate::world::git::api;

/// How long between two looks at the statuses of a commit? Gitea has no way to be told of them.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The repository.
pub struct Forge {
    repo: Repo,
    http: reqwest::Client,
    /// As `owner/name`.
    pub full_name: String,
    /// The secret of the webhook.
    pub secret: String,
}

impl Forge {
    /// Makes a repository without commits.
    pub async fn new() -> Self {
        let repo = Repo::create().await;
        let full_name = format!("{}/{}", bed("WINDLASS_BED_GITEA_ORG"), repo.name);
        let secret = uuid::Uuid::now_v7().simple().to_string();
        Self { repo, http: reqwest::Client::new(), full_name, secret }
    }

    /// Makes Gitea tell `url` about pushes.
    pub async fn hook(&self, url: &str) {
        let hook = json!({
            "type": "gitea", "active": true, "events": ["push"],
            "config": { "url": url, "content_type": "json", "secret": self.secret },
        });
        api("POST", &format!("/repos/{}/hooks", self.full_name), &hook).await;
    }

    /// Commits files and removals (files without content) and returns the commit.
    pub fn commit(&self, message: &str, files: &[(&str, Option<String>)]) -> CommitId {
        for (path, content) in files {
            let path = self.repo.folder().join(path);
            match content {
                Some(content) => std::fs::write(path, content).unwrap(),
                None => std::fs::remove_file(path).unwrap(),
            }
        }
        self.repo.commit(message, &[])
    }

    /// Pushes what was committed to the branch `main`.
    pub fn push(&self) {
        self.repo.push("refs/heads/main");
    }

    /// Deletes the repository.
    pub async fn delete(&self) {
        api("DELETE", &format!("/repos/{}", self.full_name), &Value::Null).await;
    }

    /// Returns the statuses of a commit, the first one first; none while Gitea does not know it.
    pub async fn statuses(&self, commit: &CommitId) -> Vec<Value> {
        let (base, token) = (bed("WINDLASS_BED_GITEA_URL"), bed("WINDLASS_BED_GITEA_ADMIN_TOKEN"));
        let url = format!("{base}/api/v1/repos/{}/commits/{commit}/statuses?limit=50", self.full_name);
        let answer = self.http.get(url).header("Authorization", format!("token {token}")).send().await;
        let answer = answer.expect("Gitea answers").json::<Vec<Value>>().await;
        let mut statuses = answer.unwrap_or_default();
        statuses.sort_by_key(|status| status["id"].as_i64());
        statuses
    }

    /// Tells of every status of a commit, until it is dropped.
    pub async fn follow(&self, commit: &CommitId, sender: &Sender) {
        let mut known = 0;
        loop {
            let statuses = self.statuses(commit).await;
            for status in statuses.iter().skip(known) {
                let text = |key: &str| status[key].as_str().unwrap_or_default();
                sender.tell(News::status(text("status"), text("context"), text("description")));
            }
            known = statuses.len().max(known);
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}
