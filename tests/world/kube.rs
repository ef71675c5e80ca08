//! A cluster of the bed, as its administrator sees it.

use std::io::Read;
use std::io::Seek;
use std::io::SeekFrom;

use kube::config::KubeConfigOptions;
use kube::config::Kubeconfig;
use serde_json::Value;
use serde_json::json;

use super::bed;
use super::until;

/// A cluster's API with all rights. Objects are JSON, and paths are those of the API.
#[derive(Clone)]
pub struct Kube {
    client: kube::Client,
    /// Where its API server writes who asked what.
    audit: &'static str,
}

/// A request, as the API server's audit log has it.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The verb, such as `patch` or `list`.
    pub verb: String,
    /// The path and the query.
    pub uri: String,
    /// The status code of the answer.
    pub code: u64,
    /// The run in whose name it was asked, if any.
    pub run: Option<String>,
    /// When it came in and when its answer went out, as texts that sort by time.
    pub from: String,
    pub to: String,
}

impl Asked {
    /// Returns whether it changed something, or would have.
    pub fn is_write(&self) -> bool {
        !matches!(self.verb.as_str(), "get" | "list" | "watch") && !self.uri.contains("dryRun")
    }
}

impl Kube {
    /// Connects to `east` or `west`.
    pub async fn connect(cluster: &str) -> Self {
        windlass::courier::prepare();
        let cluster = cluster.to_uppercase();
        let text = std::fs::read_to_string(bed(&format!("WINDLASS_BED_{cluster}_KUBECONFIG")))
            .expect("a kubeconfig");
        let kubeconfig = Kubeconfig::from_yaml(&text).unwrap();
        let config =
            kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
        let client = kube::Client::try_from(config).unwrap();
        Self { client, audit: bed(&format!("WINDLASS_BED_AUDIT_{cluster}")) }
    }

    /// Sends a request and returns the answer, or the status code and the words of a refusal.
    pub async fn ask(
        &self,
        method: &str,
        path: &str,
        kind: &str,
        body: &Value,
    ) -> Result<Value, (u16, String)> {
        let bytes = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let request = http::Request::builder().method(method).uri(path).header("content-type", kind);
        match self.client.request::<Value>(request.body(bytes).unwrap()).await {
            Ok(answer) => Ok(answer),
            Err(kube::Error::Api(status)) => Err((status.code, status.message)),
            Err(error) => panic!("{method} {path}: {error}: run scripts/bed up"),
        }
    }

    #[track_caller]
    fn done(what: &str, answer: Result<Value, (u16, String)>) -> Value {
        answer.unwrap_or_else(|(code, words)| panic!("{what}: {code} {words}"))
    }

    /// Returns an object, or nothing where there is none.
    pub async fn find(&self, path: &str) -> Option<Value> {
        match self.ask("GET", path, "application/json", &Value::Null).await {
            Ok(value) => Some(value),
            Err((404, _)) => None,
            Err((code, words)) => panic!("GET {path}: {code} {words}"),
        }
    }

    /// Returns the objects of a list.
    pub async fn list(&self, path: &str) -> Vec<Value> {
        let list = Self::done(path, self.ask("GET", path, "application/json", &Value::Null).await);
        list["items"].as_array().cloned().unwrap_or_default()
    }

    /// Creates an object under the path of its kind.
    pub async fn create(&self, path: &str, object: &Value) -> Value {
        Self::done(path, self.ask("POST", path, "application/json", object).await)
    }

    /// Changes an object by a merge patch, as somebody's hand would.
    pub async fn change(&self, path: &str, patch: &Value) -> Value {
        Self::done(path, self.ask("PATCH", path, "application/merge-patch+json", patch).await)
    }

    /// Applies an object, given as YAML, at its path with a field manager.
    pub async fn apply(&self, path: &str, text: &str) {
        let request = http::Request::builder().method("PATCH").uri(path);
        let request = request.header("content-type", "application/apply-patch+yaml");
        let answer = self.client.request::<Value>(request.body(text.as_bytes().to_vec()).unwrap()).await;
        answer.unwrap_or_else(|error| panic!("PATCH {path}: {error}"));
    }

    /// Deletes an object; one that is not there is deleted.
    pub async fn delete(&self, path: &str) {
        match self.ask("DELETE", path, "application/json", &Value::Null).await {
            Ok(_) | Err((404, _)) => {}
            Err((code, words)) => panic!("DELETE {path}: {code} {words}"),
        }
    }

    /// Makes a namespace.
    pub async fn make_namespace(&self, name: &str) {
        let object = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } });
        self.create("/api/v1/namespaces", &object).await;
    }

    /// Returns the names of the ConfigMaps of a namespace, without the one that the cluster puts into each.
    pub async fn config_maps(&self, namespace: &str) -> Vec<String> {
        let items = self.list(&format!("/api/v1/namespaces/{namespace}/configmaps")).await;
        let names = items.iter().map(|item| item["metadata"]["name"].as_str().unwrap().to_owned());
        names.filter(|name| name != "kube-root-ca.crt").collect()
    }

    /// Returns a place in the audit log from which [`Kube::asked_since`] reads.
    pub fn mark(&self) -> u64 {
        std::fs::metadata(self.audit).unwrap().len()
    }

    /// Returns what one installation of windlass asked since a mark, in order.
    pub async fn asked_since(&self, mark: u64, installation: &str) -> Vec<Asked> {
        let end = format!("({installation})");
        self.asked_by(mark, |agent| agent.ends_with(&end)).await
    }

    /// Returns what such user agents asked since a mark, in order.
    pub async fn asked_by(&self, mark: u64, such: impl Fn(&str) -> bool) -> Vec<Asked> {
        // What was asked before this is in the log when this is.
        let last = format!("/api/v1/namespaces/last-{}", uuid::Uuid::now_v7().simple());
        assert_eq!(self.find(&last).await, None);
        let log = until("the audit log has the last request", async || {
            let log = self.log_since(mark);
            log.contains(&last).then_some(log)
        });
        let mut asked = Vec::new();
        for line in log.await.lines() {
            let Ok(entry) = serde_json::from_str::<Value>(line) else { continue };
            let text = |key: &str| entry[key].as_str().unwrap_or_default().to_owned();
            if entry["stage"] == "ResponseComplete" && such(&text("userAgent")) {
                let code = entry["responseStatus"]["code"].as_u64().unwrap_or_default();
                let agent = text("userAgent");
                let run = agent.split(' ').find_map(|word| word.strip_prefix("run/")).map(str::to_owned);
                let [from, to] = ["requestReceivedTimestamp", "stageTimestamp"].map(text);
                asked.push(Asked { verb: text("verb"), uri: text("requestURI"), code, run, from, to });
            }
        }
        asked
    }

    fn log_since(&self, mark: u64) -> String {
        let mut file = std::fs::File::open(self.audit).unwrap();
        file.seek(SeekFrom::Start(mark)).unwrap();
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}
