//! One push after the other: how long after its delivery is what done?

use std::path::Path;
use std::time::Duration;

use futures::StreamExt;
use kube::Api;
use kube::api::DynamicObject;
use kube::api::WatchEvent;
use kube::api::WatchParams;
use serde_json::Value;
use serde_json::json;
use tokio::sync::watch;
use tokio::time::Instant;
use windlass::commit::RefName;
use windlass::event::Push;

use crate::floor::Floor;
use crate::floor::config_maps;
use crate::knock::Delivery;
use crate::knock::Knocker;
use crate::numbers::Times;
use crate::say;
use crate::statuses::Statuses;
use crate::world::bed;
use crate::world::git::Repo;
use crate::world::git::api;
use crate::world::process::Home;
use crate::world::process::Process;

/// The secret of the webhook; nobody else knows of it.
const SECRET: &str = "the bench signs with this";

/// How long may anything that is waited for take?
const PATIENCE: Duration = Duration::from_secs(60);

/// For how long is nothing asked of the door before its floor is measured?
const QUIET: Duration = Duration::from_millis(200);

/// How many pushes come before those that count?
const WARM_UP: usize = 2;

/// What is measured of each push, and its goals: p50 and p95 in milliseconds.
const POINTS: [(&str, Option<f64>, Option<f64>); 9] = [
    ("answered 202", Some(2.0), None),
    ("pending status", None, None),
    ("applied", Some(120.0), Some(250.0)),
    ("final status", None, None),
    ("final aggregate", None, None),
    ("floor: an empty answer", None, None),
    ("floor: 16 KiB to the disk", None, None),
    ("floor: fetch", None, None),
    ("floor: fetch and 3 API calls", None, None),
];

/// Measures so many pushes, prints a table and returns the numbers.
pub async fn measure(program: &Path, pushes: usize, pause: Duration) -> Value {
    let repo = Repo::create().await;
    let id = uuid::Uuid::now_v7().simple().to_string();
    let namespace = format!("bench-{}", &id[id.len() - 8..]);
    let cluster = crate::world::kube::Kube::connect("east").await;
    cluster.make_namespace(&namespace).await;
    let (statuses, home) = (Statuses::start(), Home::new(""));
    home.write(&settings(&repo, &namespace, &statuses));
    let environment = [("SECRET", SECRET), ("TOKEN", bed("WINDLASS_BED_GITEA_BOT_TOKEN"))];
    let process = Process::start(program, &home.config(), &environment).await;
    let run = Run {
        floor: Floor::new(&repo.url, &namespace).await,
        applied: follow(config_maps(&namespace).await).await,
        door: process.door.clone(),
        statuses,
        repo,
    };
    let mut all: [Times; POINTS.len()] = Default::default();
    for number in 0..WARM_UP + pushes {
        let times = run.push(number, pause).await;
        if number >= WARM_UP {
            all.iter_mut().zip(times).for_each(|(all, time)| all.add(time));
        }
    }
    let peak = process.peak_memory();
    show(&all, peak, &stations(&process));
    api("DELETE", &format!("/repos/{}/{}", bed("WINDLASS_BED_GITEA_ORG"), run.repo.name), &Value::Null).await;
    cluster.delete(&format!("/api/v1/namespaces/{namespace}")).await;
    let points = POINTS.iter().zip(&all).map(|((name, ..), times)| ((*name).to_owned(), times.json()));
    json!({ "points": points.collect::<serde_json::Map<_, _>>(), "peak_memory_kib": peak })
}

struct Run {
    repo: Repo,
    statuses: Statuses,
    floor: Floor,
    door: String,
    applied: watch::Receiver<(String, Instant)>,
}

impl Run {
    /// Pushes a change, posts its delivery, and returns the times of all points.
    async fn push(&self, number: usize, pause: Duration) -> [Duration; POINTS.len()] {
        let mut knocker = Knocker::connect(&self.door).await;
        let value = number.to_string();
        let manifest = format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: measured\ndata:\n  value: \"{value}\"\n"
        );
        let before = (number > 0).then(|| self.repo.head());
        let commit = self.repo.commit("change one ConfigMap", &[("measured.yaml", &manifest)]);
        self.repo.push("refs/heads/main");
        let push = Push {
            repository: format!("{}/{}", bed("WINDLASS_BED_GITEA_ORG"), self.repo.name),
            reference: RefName::parse("refs/heads/main").unwrap(),
            before,
            after: Some(commit.clone()),
            forced: false,
        };
        let delivery = Delivery::new(&push, SECRET, 8 << 10);
        // why: the bench asks how busy the machine is at the delivery, and that is a matter of time.
        tokio::time::sleep(pause).await;
        let started = Instant::now();
        assert_eq!(knocker.knock(&delivery).await, 202);
        let answered = started.elapsed();
        let mut applied = self.applied.clone();
        let seen = tokio::time::timeout(PATIENCE, applied.wait_for(|(seen, _)| *seen == value)).await;
        let applied = seen.expect("the change arrives in time").unwrap().1;
        let (commit, own) = (commit.as_str(), "windlass/bench@east");
        let pending = self.statuses.taken(commit, own, |_| true).await;
        let last = self.statuses.taken(commit, own, |state| state == "success").await;
        let whole = self.statuses.taken(commit, "windlass", |state| state == "success").await;
        let (fetch, calls) = self.floor.measure(number).await;
        // why: a delivery comes after a while without one, so its floor is measured like that as well.
        tokio::time::sleep(QUIET).await;
        let (empty, durable) = (knocker.look().await, self.floor.durable().await);
        let since = |at: Instant| at.duration_since(started);
        let [pending, applied, last, whole] = [pending, applied, last, whole].map(since);
        [answered, pending, applied, last, whole, empty, durable, fetch, fetch + calls]
    }
}

/// Watches the ConfigMap that is changed, and says which value it has since when.
async fn follow(objects: Api<DynamicObject>) -> watch::Receiver<(String, Instant)> {
    let (sender, seen) = watch::channel((String::new(), Instant::now()));
    let params = WatchParams::default().fields("metadata.name=measured");
    tokio::spawn(async move {
        loop {
            let mut stream = Box::pin(objects.watch(&params, "0").await.unwrap());
            while let Some(Ok(event)) = stream.next().await {
                if let WatchEvent::Added(object) | WatchEvent::Modified(object) = event {
                    let value = object.data["data"]["value"].as_str().unwrap().to_owned();
                    sender.send_replace((value, Instant::now()));
                }
            }
        }
    });
    seen
}

/// Returns, from windlass's own log, how long after the delivery each station was reached.
fn stations(process: &Process) -> Vec<(&'static str, Times)> {
    let mut stations: Vec<(&str, Times)> = ["dispatched", "job taken", "run applied", "run healthy"]
        .map(|name| (name, Times::default()))
        .to_vec();
    let at = |line: &Value| line["timestamp"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    let (mut accepted, mut count) = (None, 0);
    for line in process.lines().iter().filter(|line| line.is_object()) {
        let message = line["message"].as_str().unwrap_or_default();
        if message == "delivery accepted" {
            accepted = Some(at(line));
            count += 1;
        }
        let station = stations.iter_mut().find(|(name, _)| *name == message);
        if let (Some((_, times)), Some(accepted), true) = (station, accepted, count > WARM_UP) {
            times.add(Duration::try_from(at(line).duration_since(accepted)).unwrap_or_default());
        }
    }
    stations.retain(|(_, times)| times.count() > 0);
    stations
}

fn show(all: &[Times; POINTS.len()], peak: u64, stations: &[(&str, Times)]) {
    let floor = all[POINTS.len() - 1].percentile(50);
    say(&format!("{} pushes, each changes one ConfigMap; milliseconds since the delivery\n", all[0].count()));
    say(&format!("{:<30}{:>9}{:>9}{:>9}{:>9}   goal p50, p95", "", "p50", "p95", "p99", "× floor"));
    for ((name, p50, p95), times) in POINTS.iter().zip(all) {
        let [a, b, c] = [50, 95, 99].map(|percent| times.percentile(percent));
        let goal = |goal: &Option<f64>| goal.map_or_else(|| "-".to_owned(), |goal| goal.to_string());
        let goals = if p50.is_some() { format!("{}, {}", goal(p50), goal(p95)) } else { String::new() };
        say(&format!("{name:<30}{a:>9.1}{b:>9.1}{c:>9.1}{:>9.2}   {goals}", a / floor));
    }
    say("\nwindlass's own log, milliseconds since it accepted the delivery\n");
    for (name, times) in stations {
        let [a, b, c] = [50, 95, 99].map(|percent| times.percentile(percent));
        say(&format!("{name:<30}{a:>9.1}{b:>9.1}{c:>9.1}"));
    }
    say(&format!("\npeak resident memory: {:.1} MiB (goal: 64)", peak as f64 / 1024.0));
}

fn settings(repo: &Repo, namespace: &str, statuses: &Statuses) -> String {
    let (url, api) = (bed("WINDLASS_BED_GITEA_URL"), &statuses.api);
    let (organisation, name) = (bed("WINDLASS_BED_GITEA_ORG"), &repo.name);
    let kubeconfig = bed("WINDLASS_BED_EAST_KUBECONFIG");
    format!(
        r#"
[[forges]]
name = "gitea"
kind = "gitea"
private = true
url = "{url}"
api = "{api}"
webhook_secrets = [{{ env = "SECRET" }}]
token = {{ env = "TOKEN" }}
read_token = {{ env = "TOKEN" }}

[[sources]]
name = "bench"
forge = "gitea"
repository = "{organisation}/{name}"

[[clusters]]
name = "east"
kubeconfig = "{kubeconfig}"
namespace = "{namespace}"

[[applications]]
name = "bench"
source = "bench"
ref = "refs/heads/main"
clusters = ["east"]
namespace = "{namespace}"
"#
    )
}
