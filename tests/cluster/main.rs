//! An API server that does what a real one does seldom or never: fakes at the wire.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod endless;
mod follow;
mod kubeconfig;

use std::path::Path;
use std::time::Duration;

use tokio::io::AsyncBufReadExt;
use tokio::io::BufReader;
use tokio::net::TcpStream;
use windlass::application::Name;
use windlass::cluster::Cluster;
use windlass::cluster::Error;
use windlass::cluster::Settings;

/// How long may a test wait for windlass?
const PATIENCE: Duration = Duration::from_secs(25);

/// Returns the first line of a request without a body.
async fn head(stream: &mut BufReader<TcpStream>) -> Option<String> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        match stream.read_line(&mut line).await {
            Ok(0) | Err(_) => return None,
            Ok(_) if line.trim().is_empty() => return lines.into_iter().next(),
            Ok(_) => lines.push(line),
        }
    }
}

/// Returns the whole answer to a request that is for discovery or for an empty list.
fn answer(line: &str) -> String {
    let path = line.split(' ').nth(1).unwrap_or_default();
    let body = match path {
        "/api" => {
            serde_json::json!({ "kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": [] })
        }
        "/apis" => serde_json::json!({ "kind": "APIGroupList", "apiVersion": "v1", "groups": [] }),
        "/api/v1" => serde_json::json!({ "kind": "APIResourceList", "groupVersion": "v1", "resources": [
            { "name": "configmaps", "singularName": "configmap", "namespaced": true, "kind": "ConfigMap",
              "verbs": ["list", "watch", "get", "create", "patch", "delete"] }] }),
        _ => serde_json::json!({ "kind": "ConfigMapList", "apiVersion": "v1",
            "metadata": { "resourceVersion": "7" }, "items": [] }),
    };
    answer_of("200 OK", &body.to_string())
}

/// Returns an answer of JSON as it goes over the wire.
fn answer_of(status: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}")
}

/// Writes a kubeconfig of one user, and connects by it.
async fn connect_as(file: &Path, cluster: &str, user: &str) -> Result<Cluster, Error> {
    let text = format!(
        "{{apiVersion: v1, kind: Config, current-context: a, contexts: [{{name: a, context: {{cluster: a, user: a}}}}], \
         clusters: [{{name: a, cluster: {{{cluster}}}}}], users: [{{name: a, user: {{{user}}}}}]}}"
    );
    std::fs::write(file, text).unwrap();
    let settings = Settings {
        name: Name::parse("east").unwrap(),
        kubeconfig: Some(file.to_owned()),
        context: None,
        namespace: "windlass".to_owned(),
        requests: 1,
        installation: Name::parse("windlass").unwrap(),
    };
    Cluster::connect(settings).await
}

async fn connect(address: &str) -> Cluster {
    let folder = tempfile::tempdir().unwrap();
    let server = format!("server: \"{address}\"");
    connect_as(&folder.path().join("kubeconfig"), &server, "").await.unwrap()
}
