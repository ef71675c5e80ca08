//! A windlass in one process with its repository and its namespace, and what a push to it costs.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use futures::StreamExt;
use serde_json::json;
use tokio::time::Instant;
use windlass::commit::CommitId;
use windlass::commit::RefName;
use windlass::event::Push;

use crate::floor;
use crate::knock::Delivery;
use crate::knock::Knocker;
use crate::shapes::Files;
use crate::world::bed;
use crate::world::git::Repo;
use crate::world::kube::Kube;
use crate::world::process::Feed;
use crate::world::process::Home;
use crate::world::process::Process;
use crate::world::unique;

/// The secret of the webhook; nobody else knows of it.
const SECRET: &str = "the bench signs with this";

/// How long may one push take until all is healthy?
const PATIENCE: Duration = Duration::from_secs(120);

/// How many requests does the floor make at once? The fastest of them counts.
const AT_ONCE: [usize; 3] = [8, 16, 32];

/// How long between two looks at an object that drifted?
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Clock ticks in a second, as Linux counts the time of processes.
const TICKS: f64 = 100.0;

/// Returns how many seconds of a core a process has used.
pub fn cpu_of(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let after_name = stat.rsplit_once(')').unwrap().1;
    let ticks = after_name.split_whitespace().skip(11).take(2);
    ticks.map(|ticks| ticks.parse::<f64>().unwrap()).sum::<f64>() / TICKS
}

/// What a push costs.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// From the delivery to the last verdict.
    pub seconds: f64,
    /// Requests to the API server.
    pub requests: usize,
    /// Seconds of a core.
    pub cpu: f64,
}

/// Everything around one windlass.
pub struct Scene {
    repo: Repo,
    kube: Kube,
    namespace: String,
    /// Windlass's own namespace, which also tells its requests from others'.
    installation: String,
    home: Home,
    process: Process,
    feed: Feed,
}

impl Scene {
    /// Starts windlass with these applications, each of which reads the folder of its name.
    pub async fn new(program: &Path, applications: &[String]) -> Self {
        let (repo, kube) = tokio::join!(Repo::create(), Kube::connect("east"));
        let id = unique();
        let (namespace, installation) = (format!("engine-{id}"), format!("windlass-{id}"));
        kube.make_namespace(&namespace).await;
        let home = Home::new(&settings(&repo, &namespace, &installation, applications));
        let process = start(program, &home, &installation).await;
        let feed = process.feed();
        Self { repo, kube, namespace, installation, home, process, feed }
    }

    /// Stops windlass and starts it again.
    pub async fn restart(&mut self, program: &Path) {
        self.process.signal("TERM");
        self.process.ended(PATIENCE).await.expect("windlass stops");
        self.process = start(program, &self.home, &self.installation).await;
        self.feed = self.process.feed();
    }

    /// Commits and pushes files, posts the delivery, and waits until so many applications are healthy at it.
    pub async fn push(&mut self, files: &Files, applications: usize) -> Cost {
        let files: Vec<_> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
        let commit = self.repo.commit("change", &files);
        self.repo.push("refs/heads/main");
        let push = Push {
            repository: self.repo.full_name(),
            reference: RefName::parse("refs/heads/main").unwrap(),
            before: None,
            after: Some(commit.clone()),
            forced: false,
        };
        let delivery = Delivery::new(&push, SECRET, 0);
        let mut knocker = Knocker::connect(&self.process.door).await;
        let pid = self.process.pid();
        let (mark, cpu, started) = (self.kube.mark(), cpu_of(pid), Instant::now());
        assert_eq!(knocker.knock(&delivery).await, 202);
        let all = self.healthy(&commit, applications);
        tokio::time::timeout(PATIENCE, all).await.expect("all is healthy in time");
        let (seconds, cpu) = (started.elapsed().as_secs_f64(), cpu_of(pid) - cpu);
        let requests = self.kube.asked_since(mark, &self.installation).await.len();
        Cost { seconds, requests, cpu }
    }

    /// Waits until so many applications are healthy at a commit.
    async fn healthy(&mut self, commit: &CommitId, applications: usize) {
        let mut names = BTreeSet::new();
        while names.len() < applications {
            let line = self.feed.next().await;
            let message = line["message"].as_str().unwrap_or_default();
            assert!(message != "run failed", "{line}");
            if message == "run healthy" && line["commit.id"] == commit.as_str() {
                names.insert(line["target.name"].to_string());
            }
        }
    }

    /// Applies the objects of files dry, then applies them, in a namespace of their own, as fast as a client can; returns
    /// the seconds of the best number of requests at once.
    pub async fn floor(&self, files: &Files) -> f64 {
        let objects: Vec<&str> = files.iter().flat_map(|(_, text)| documents(text)).collect();
        let client = floor::client().await;
        let mut best = f64::MAX;
        for at_once in AT_ONCE {
            let namespace = format!("floor-{}", unique());
            self.kube.make_namespace(&namespace).await;
            let started = Instant::now();
            for dry in [true, false] {
                let applied = objects.iter().map(|object| floor::apply(&client, &namespace, object, dry));
                futures::stream::iter(applied).buffer_unordered(at_once).collect::<Vec<_>>().await;
            }
            best = best.min(started.elapsed().as_secs_f64());
            self.kube.delete(&format!("/api/v1/namespaces/{namespace}")).await;
        }
        best
    }

    /// Changes a ConfigMap by hand and returns how long it takes until it is as declared.
    pub async fn drift(&self, round: usize) -> Duration {
        let path = format!("/api/v1/namespaces/{}/configmaps/map-{}", self.namespace, round + 1);
        self.kube.change(&path, &json!({ "data": { "value": "by hand" } })).await;
        let started = Instant::now();
        while self.kube.find(&path).await.unwrap()["data"]["value"] == "by hand" {
            assert!(
                started.elapsed() < PATIENCE,
                "drift is not healed; windlass said:\n{}",
                self.process.said()
            );
            // why: an object gives no sign of its own here, and a watch would be one more load.
            tokio::time::sleep(LOOK_EVERY).await;
        }
        started.elapsed()
    }

    /// Returns the most memory that windlass held at once, in KiB.
    pub fn peak_memory(&self) -> u64 {
        self.process.peak_memory()
    }

    /// Deletes what was made.
    pub async fn clear(self) {
        drop(self.process);
        for namespace in [&self.namespace, &self.installation] {
            self.kube.delete(&format!("/api/v1/namespaces/{namespace}")).await;
        }
        self.repo.discard().await;
    }
}

async fn start(program: &Path, home: &Home, installation: &str) -> Process {
    let environment = [
        ("SECRET", SECRET),
        ("TOKEN", bed("WINDLASS_BED_GITEA_BOT_TOKEN")),
        ("WINDLASS__DATA__INSTALLATION", installation),
    ];
    Process::start(program, &home.config(), &environment).await
}

fn documents(text: &str) -> Vec<&str> {
    text.split("---\n").filter(|text| text.contains("kind: ")).collect()
}

fn settings(repo: &Repo, namespace: &str, installation: &str, applications: &[String]) -> String {
    let kubeconfig = bed("WINDLASS_BED_EAST_KUBECONFIG");
    let plan = crate::world::plan::Plan {
        sections: "",
        gitea: bed("WINDLASS_BED_GITEA_URL"),
        repository: &repo.full_name(),
        secret: crate::world::plan::SECRET,
        token: crate::world::plan::TOKEN,
        clusters: &[("east", kubeconfig)],
        installation,
        namespace,
    };
    let application = |name: &String| {
        plan.application(name, "ref = \"refs/heads/main\"", &["east"], &format!("path = \"{name}\""))
    };
    plan.text() + &applications.iter().map(application).collect::<String>()
}
