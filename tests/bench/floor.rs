//! What the same work costs without windlass: fetching one commit, and three requests to the API server.

use std::time::Duration;

use kube::Api;
use kube::api::ApiResource;
use kube::api::DynamicObject;
use kube::api::GroupVersionKind;
use kube::api::Patch;
use kube::api::PatchParams;
use kube::config::KubeConfigOptions;
use kube::config::Kubeconfig;
use serde_json::json;
use tokio::time::Instant;

use crate::world::bed;

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
        drop(git2::Repository::init_bare(cache.path()).unwrap());
        let (user, token) = (bed("WINDLASS_BED_GITEA_BOT"), bed("WINDLASS_BED_GITEA_BOT_TOKEN"));
        let url = url.replacen("://", &format!("://{user}:{token}@"), 1);
        Self { cache, url, objects: config_maps(namespace).await }
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

fn fetch(folder: &std::path::Path, url: &str) {
    let repository = git2::Repository::open_bare(folder).unwrap();
    let mut remote = repository.remote_anonymous(url).unwrap();
    let mut options = git2::FetchOptions::new();
    options.depth(1).download_tags(git2::AutotagOption::None);
    remote.fetch(&["+refs/heads/main:refs/heads/main"], Some(&mut options), None).unwrap();
}

/// Returns the ConfigMaps of a namespace of `east`, as its administrator.
pub async fn config_maps(namespace: &str) -> Api<DynamicObject> {
    let kubeconfig = Kubeconfig::read_from(bed("WINDLASS_BED_EAST_KUBECONFIG")).unwrap();
    let config =
        kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    let client = kube::Client::try_from(config).unwrap();
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("", "v1", "ConfigMap"));
    Api::namespaced_with(client, namespace, &resource)
}
