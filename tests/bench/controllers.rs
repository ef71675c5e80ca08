//! The controllers of Flux, on this machine and against `east`. Its kinds are there for as long as they run: windlass is
//! measured in a cluster that knows nothing of them.

use std::fs::File;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;

use futures::StreamExt;
use serde_json::Value;
use serde_json::json;
use tempfile::TempDir;

use crate::scene::cpu_of;
use crate::world::bed;
use crate::world::kube::Kube;
use crate::world::process::peak_memory_of;
use crate::world::until;

/// The programs, as `scripts/bed build flux` builds them.
const PROGRAMS: [&str; 3] = ["notification-controller", "source-controller", "kustomize-controller"];

/// How many objects does each controller work on at once? As many as in the benchmark that Flux publishes.
const CONCURRENT: usize = 20;

/// How many requests are made at once where many objects are alike?
pub const AT_ONCE: usize = 16;

/// Where the kinds are.
const KINDS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

/// The kinds of which this bench makes objects; Flux holds them by finalizers.
const HELD: [(&str, &str); 2] = [
    ("kustomize.toolkit.fluxcd.io/v1", "kustomizations"),
    ("source.toolkit.fluxcd.io/v1", "gitrepositories"),
];

/// Controllers that run. They are killed when this is dropped.
pub struct Controllers {
    children: Vec<Child>,
    folder: TempDir,
    /// What the user agent of each begins with.
    installation: String,
}

impl Controllers {
    /// Gives the cluster the kinds, starts the controllers and waits until they are ready. Their installation is also the
    /// namespace of theirs, which must be there.
    pub async fn start(kube: &Kube, installation: &str) -> Self {
        for (name, file) in kinds() {
            let text = std::fs::read_to_string(file).unwrap();
            kube.apply(&format!("{KINDS}/{name}?fieldManager=bench&force=true"), &text).await;
        }
        for (name, _) in kinds() {
            let path = format!("{KINDS}/{name}");
            until("a kind of Flux is served", async || {
                kube.find(&path).await.filter(|kind| holds(kind, "Established")).map(drop)
            })
            .await;
        }
        let folder = tempfile::tempdir().unwrap();
        let mut started = Self { children: Vec::new(), folder, installation: installation.to_owned() };
        let events = free_address();
        for name in PROGRAMS {
            let health = free_address();
            started.launch(name, &health, &events);
            let ready = format!("http://{health}/readyz");
            until(&format!("{name} is ready"), async || {
                let answer = reqwest::get(&ready).await.ok()?;
                answer.status().is_success().then_some(())
            })
            .await;
        }
        started
    }

    /// Starts one, which serves its health at an address; events go to the one that listens for them.
    fn launch(&mut self, name: &str, health: &str, events: &str) {
        let folder = self.folder.path();
        let log = File::create(self.log(name)).unwrap();
        // Its user agent begins with the name that it is started by.
        let program = folder.join(format!("{}.{name}", self.installation));
        std::os::unix::fs::symlink(Path::new(bed("WINDLASS_BED_DIR")).join("bin/flux").join(name), &program)
            .unwrap();
        // It ends with this process, also where that is killed: nobody else would end it.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL"]).arg(program).env_clear();
        command.arg("--watch-all-namespaces").arg(format!("--concurrent={CONCURRENT}"));
        command.arg(format!("--health-addr={health}")).arg(format!("--metrics-addr={}", free_address()));
        command.args(own_options(name, events, folder));
        command.env("KUBECONFIG", bed("WINDLASS_BED_EAST_KUBECONFIG"));
        command.env("RUNTIME_NAMESPACE", &self.installation).env("HOME", folder).env("TMPDIR", folder);
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        self.children.push(command.spawn().expect("setpriv starts"));
    }

    fn log(&self, name: &str) -> PathBuf {
        self.folder.path().join(format!("{name}.log"))
    }

    /// Returns how many seconds of a core all of them have used.
    pub fn cpu(&self) -> f64 {
        self.children.iter().map(|child| cpu_of(child.id())).sum()
    }

    /// Returns the most memory that each of them held at once, added up, in KiB.
    pub fn peak_memory(&self) -> u64 {
        self.children.iter().map(|child| peak_memory_of(child.id())).sum()
    }
}

impl Drop for Controllers {
    fn drop(&mut self) {
        for child in &mut self.children {
            drop(child.kill());
            drop(child.wait());
        }
        if std::thread::panicking() {
            for name in PROGRAMS {
                let log = std::fs::read_to_string(self.log(name)).unwrap_or_default();
                let lines: Vec<_> = log.lines().rev().filter(|line| line.contains("error")).take(5).collect();
                crate::say(&format!("the last errors of {name}, newest first:\n{}", lines.join("\n")));
            }
        }
    }
}

/// Returns the options that a controller does not share with all others.
fn own_options(name: &str, events: &str, folder: &Path) -> Vec<String> {
    let mut options = vec![format!("--events-addr=http://{events}/")];
    if name == "notification-controller" {
        options = vec![format!("--events-addr={events}"), format!("--receiverAddr={}", free_address())];
    }
    if name == "source-controller" {
        let storage = free_address();
        options.push(format!("--storage-path={}", folder.display()));
        options.push(format!("--storage-addr={storage}"));
        options.push(format!("--storage-adv-addr={storage}"));
    }
    options
}

/// Takes the kinds of Flux out of the cluster, with all objects of them, also those that an earlier measurement left.
pub async fn withdraw(kube: &Kube) {
    for (group, plural) in HELD {
        let all = kube.find(&format!("/apis/{group}/{plural}")).await.unwrap_or_default();
        let items = all["items"].as_array().cloned().unwrap_or_default();
        let freed = items.iter().map(async |item| {
            let text = |key: &str| item["metadata"][key].as_str().unwrap();
            let path = format!("/apis/{group}/namespaces/{}/{plural}/{}", text("namespace"), text("name"));
            kube.change(&path, &json!({ "metadata": { "finalizers": null } })).await
        });
        futures::stream::iter(freed).buffer_unordered(AT_ONCE).collect::<Vec<_>>().await;
    }
    for (name, _) in kinds() {
        kube.delete(&format!("{KINDS}/{name}")).await;
    }
    for (name, _) in kinds() {
        let path = format!("{KINDS}/{name}");
        until("a kind of Flux is gone", async || kube.find(&path).await.is_none().then_some(())).await;
    }
}

/// Returns whether an object has a condition that is true.
pub fn holds(object: &Value, condition: &str) -> bool {
    let conditions = object["status"]["conditions"].as_array();
    conditions.is_some_and(|all| all.iter().any(|one| one["type"] == condition && one["status"] == "True"))
}

/// Returns the names of all kinds, and the files that declare them: these are named `GROUP_PLURAL.yaml`.
fn kinds() -> Vec<(String, PathBuf)> {
    let mut kinds = Vec::new();
    for program in PROGRAMS {
        let folder = Path::new(bed("WINDLASS_BED_DIR")).join("share/flux").join(program);
        for entry in std::fs::read_dir(folder).expect("the kinds are there: run scripts/bed build flux") {
            let file = entry.unwrap().path();
            let stem = file.file_stem().unwrap().to_str().unwrap();
            let (group, plural) = stem.split_once('_').unwrap();
            kinds.push((format!("{plural}.{group}"), file));
        }
    }
    kinds
}

/// Returns an address of this machine at which nobody listens.
fn free_address() -> String {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}
