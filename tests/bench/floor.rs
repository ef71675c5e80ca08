//! What the same work costs without windlass: fetching one commit, three requests to the API server, an empty answer of
//! an HTTP server and one wait for the disk.
//!
//! The `git` command fetches, in the way that costs it the fewest requests: the older protocol, with the token sent at
//! once. Its start is part of the time. libgit2's own client is no floor: it waits 40 ms for each request's body.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use base64::Engine;
use kube::Api;
use kube::api::ApiResource;
use kube::api::DynamicObject;
use kube::api::GroupVersionKind;
use kube::api::Patch;
use kube::api::PatchParams;
use kube::config::KubeConfigOptions;
use kube::config::Kubeconfig;
use serde_json::Value;
use serde_json::json;
use tokio::time::Instant;

use crate::world::bed;
use crate::world::git::git;

/// A bare repository and a client, warm after the first use.
pub struct Floor {
    cache: tempfile::TempDir,
    url: String,
    objects: Api<DynamicObject>,
}

impl Floor {
    /// Prepares it for a repository and a namespace of `east`.
    pub async fn new(url: &str, namespace: &str) -> Self {
        let cache = tempfile::tempdir().unwrap();
        git(cache.path(), &["init", "--quiet", "--bare"]);
        Self { cache, url: url.to_owned(), objects: config_maps(namespace).await }
    }

    /// Makes 16 KiB more of a file durable, as much as a delivery adds to the queue's log; returns how long it took.
    pub async fn durable(&self) -> Duration {
        let path = self.cache.path().join("durable");
        let append = move || {
            let mut file = std::fs::File::options().create(true).append(true).open(path).unwrap();
            let started = Instant::now();
            file.write_all(&[0x5a; 16 << 10]).unwrap();
            file.sync_all().unwrap();
            started.elapsed()
        };
        tokio::task::spawn_blocking(append).await.unwrap()
    }

    /// Fetches the tip, then reads a ConfigMap, applies it dry, and applies it; returns how long both took.
    pub async fn measure(&self, value: usize) -> (Duration, Duration) {
        let (folder, url) = (self.cache.path().to_owned(), self.url.clone());
        let started = Instant::now();
        tokio::task::spawn_blocking(move || fetch(&folder, &url)).await.unwrap();
        let fetched = started.elapsed();
        let started = Instant::now();
        drop(self.objects.get_opt("floor").await.unwrap());
        let object = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "floor" },
            "data": { "value": value.to_string() } });
        let apply = PatchParams::apply("floor").force();
        self.objects.patch("floor", &apply.clone().dry_run(), &Patch::Apply(&object)).await.unwrap();
        self.objects.patch("floor", &apply, &Patch::Apply(&object)).await.unwrap();
        (fetched, started.elapsed())
    }
}

fn fetch(folder: &Path, url: &str) {
    let (user, token) = (bed("WINDLASS_BED_GITEA_BOT"), bed("WINDLASS_BED_GITEA_BOT_TOKEN"));
    let basic = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{token}"));
    let header = format!("http.extraHeader=Authorization: Basic {basic}");
    let (tip, options) = ("+refs/heads/main:refs/heads/main", ["--quiet", "--depth=1", "--no-tags"]);
    let quick = ["-c", "protocol.version=0", "-c", "gc.auto=0", "-c", "maintenance.auto=false"];
    git(folder, &[&["-c", &header], &quick[..], &["fetch"], &options, &[url, tip]].concat());
}

/// Returns the ConfigMaps of a namespace of `east`, as its administrator.
pub async fn config_maps(namespace: &str) -> Api<DynamicObject> {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("", "v1", "ConfigMap"));
    Api::namespaced_with(client().await, namespace, &resource)
}

/// Returns a client of `east`, as its administrator.
pub async fn client() -> kube::Client {
    let kubeconfig = Kubeconfig::read_from(bed("WINDLASS_BED_EAST_KUBECONFIG")).unwrap();
    let config =
        kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    kube::Client::try_from(config).unwrap()
}

/// Applies an object, given as YAML, to a namespace.
pub async fn apply(client: &kube::Client, namespace: &str, text: &str, dry: bool) {
    let field = |start: &str| text.lines().find_map(|line| line.strip_prefix(start)).unwrap();
    let (kind, name) = (field("kind: ").to_lowercase(), field("  name: "));
    let group = match field("apiVersion: ") {
        "v1" => "/api/v1".to_owned(),
        group => format!("/apis/{group}"),
    };
    let plural = if kind == "ingress" { "ingresses".to_owned() } else { format!("{kind}s") };
    let dry = if dry { "&dryRun=All" } else { "" };
    let path = format!("{group}/namespaces/{namespace}/{plural}/{name}?fieldManager=floor&force=true{dry}");
    let request = http::Request::builder().method("PATCH").uri(path);
    let request = request.header("content-type", "application/apply-patch+yaml");
    let _object: Value = client.request(request.body(text.as_bytes().to_vec()).unwrap()).await.unwrap();
}
