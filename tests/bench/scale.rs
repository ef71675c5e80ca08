//! More and more workers on the same work: how many targets a second, against one worker?
//!
//! All applications are in one cluster, each request to which takes 100 ms longer than it would, so that waiting is the
//! limit and not this machine. Each worker has four slots and caches of its own.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use serde_json::json;
use sqlx::Connection;
use sqlx::PgConnection;
use tokio::time::Instant;
use windlass::commit::RefName;
use windlass::event::Push;

use crate::knock::Delivery;
use crate::knock::Knocker;
use crate::say;
use crate::world::bed;
use crate::world::broker::Ground;
use crate::world::database::Database;
use crate::world::git::Repo;
use crate::world::kube::Kube;
use crate::world::process::Home;
use crate::world::process::Process;
use crate::world::process::part;
use crate::world::toxic::Toxic;
use crate::world::unique;

/// The secret of the webhook; nobody else knows of it.
const SECRET: &str = "the bench signs with this";

/// How much longer does a request to the cluster take, there and back?
const LATENCY: Duration = Duration::from_millis(100);

/// How long may one round take?
const PATIENCE: Duration = Duration::from_secs(600);

/// How long between two looks at the history?
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Measures with so many applications, prints a table and returns the numbers.
pub async fn measure(program: &Path, applications: usize, all: &[usize]) -> Value {
    say(&format!(
        "{applications} applications in one cluster, {} ms more for each request, four slots a worker\n",
        LATENCY.as_millis()
    ));
    say(&format!(
        "{:>8}{:>14}{:>16}{:>14}{:>12}",
        "workers", "seconds", "targets/s", "efficiency", "doubled"
    ));
    let (mut alone, mut rows) = (0.0, Vec::new());
    for &workers in all {
        let mut scene = Scene::new(program, applications, workers).await;
        scene.push("first").await;
        scene.settled().await;
        let took = scene.timed("second").await;
        let rate = applications as f64 / took.as_secs_f64();
        if alone == 0.0 {
            alone = rate / workers as f64;
        }
        let efficiency = rate / (alone * workers as f64);
        let doubled = scene.doubled().await;
        let seconds = took.as_secs_f64();
        say(&format!("{workers:>8}{seconds:>14.1}{rate:>16.1}{efficiency:>14.2}{doubled:>12}"));
        scene.tell_times();
        let row = json!({ "workers": workers, "seconds": seconds, "targets_per_second": rate,
            "efficiency": efficiency, "doubled": doubled });
        rows.push(row);
        if workers == 4 {
            rows.push(scene.rebalance().await);
        }
        scene.clear().await;
    }
    say(
        "\ngoals: efficiency 0.9 at 8; a worker that joins works within 5 s, one that is killed is replaced within 15 s; doubled 0",
    );
    json!(rows)
}

/// One windlass of a door and several workers.
struct Scene {
    program: std::path::PathBuf,
    ground: Ground,
    database: Database,
    repo: Repo,
    kube: Kube,
    namespace: String,
    home: Home,
    _slow: Toxic,
    door: Process,
    workers: Vec<Process>,
    applications: usize,
}

impl Scene {
    async fn new(program: &Path, applications: usize, workers: usize) -> Self {
        let (ground, database, repo, kube) =
            tokio::join!(Ground::new(), Database::create(), Repo::create(), Kube::connect("east"));
        let namespace = format!("scale-{}", unique());
        kube.make_namespace(&namespace).await;
        let api = bed("WINDLASS_BED_EAST_URL").trim_start_matches("https://");
        let slow = Toxic::before(api).await;
        slow.delay(LATENCY / 2).await;
        let home = Home::new(&settings(&repo, &namespace, applications));
        let kubeconfig = std::fs::read_to_string(bed("WINDLASS_BED_EAST_KUBECONFIG")).unwrap();
        let kubeconfig = kubeconfig.replace(api, &slow.authority);
        std::fs::write(home.config().with_file_name("east.kubeconfig"), kubeconfig).unwrap();
        let door = start(program, "serve", &home, "door", &ground, &database).await;
        let mut scene = Self {
            program: program.to_owned(),
            ground,
            database,
            repo,
            kube,
            namespace,
            home,
            _slow: slow,
            door,
            workers: Vec::new(),
            applications,
        };
        for _ in 0..workers {
            scene.join().await;
        }
        scene
    }

    /// Starts one more worker.
    async fn join(&mut self) {
        let name = format!("worker-{}", self.workers.len());
        let worker = start(&self.program, "work", &self.home, &name, &self.ground, &self.database).await;
        self.workers.push(worker);
    }

    /// Pushes a change of every application and tells the door.
    async fn push(&self, value: &str) {
        let manifest = |number: usize| {
            let text = format!(
                "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a{number}\ndata:\n  value: \"{value}\"\n"
            );
            (format!("a{number}/one.yaml"), text)
        };
        let files: Vec<_> = (0..self.applications).map(manifest).collect();
        let files: Vec<_> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
        let commit = self.repo.commit("change all", &files);
        self.repo.push("refs/heads/main");
        let push = Push {
            repository: self.repo.full_name(),
            reference: RefName::parse("refs/heads/main").unwrap(),
            before: None,
            after: Some(commit),
            forced: false,
        };
        let mut knocker = Knocker::connect(&self.door.door).await;
        assert_eq!(knocker.knock(&Delivery::new(&push, SECRET, 0)).await, 202);
    }

    /// Returns one number from the history.
    async fn ask(&self, query: &'static str) -> usize {
        let mut connection = PgConnection::connect(&self.database.url()).await.unwrap();
        let number: i64 = sqlx::query_scalar(query).fetch_one(&mut connection).await.unwrap();
        usize::try_from(number).unwrap()
    }

    async fn verdicts(&self) -> usize {
        self.ask("SELECT count(*) FROM ledger WHERE open = 0").await
    }

    /// Waits until there are so many verdicts.
    async fn until(&self, verdicts: usize) {
        let end = Instant::now() + PATIENCE;
        while self.verdicts().await < verdicts {
            assert!(Instant::now() < end, "it ends in time");
            // why: the history does not tell that it has grown.
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn settled(&self) {
        self.until(self.applications).await;
    }

    /// Pushes a change and returns how long it takes until every application has its verdict.
    async fn timed(&self, value: &str) -> Duration {
        let (before, started) = (self.verdicts().await, Instant::now());
        self.push(value).await;
        self.until(before + self.applications).await;
        started.elapsed()
    }

    /// Tells, from the logs of the workers, when the last push was dispatched and how its jobs were shared.
    fn tell_times(&self) {
        let at = |line: &Value| line["timestamp"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
        let said = |lines: &[Value], message: &str| -> Vec<jiff::Timestamp> {
            lines.iter().filter(|line| line["message"] == message).map(at).collect()
        };
        let accepted = said(&self.door.lines(), "delivery accepted").into_iter().max().unwrap();
        let since = |at: jiff::Timestamp| at.duration_since(accepted).as_secs_f64();
        let (mut dispatched, mut first, mut last, mut shares) = (0.0, f64::MAX, 0.0_f64, Vec::new());
        for worker in &self.workers {
            let lines = worker.lines();
            dispatched = said(&lines, "dispatched").into_iter().map(since).fold(dispatched, f64::max);
            let taken = said(&lines, "job taken").into_iter().filter(|at| *at > accepted);
            let taken: Vec<f64> = taken.map(since).collect();
            first = taken.iter().copied().fold(first, f64::min);
            last = said(&lines, "run healthy").into_iter().map(since).fold(last, f64::max);
            shares.push(taken.len());
        }
        say(&format!(
            "{:>8}dispatched after {dispatched:.1} s, first job after {first:.1} s, last verdict after {last:.1} s; jobs by worker {shares:?}",
            ""
        ));
    }

    /// Returns how many runs there were more than needed.
    async fn doubled(&self) -> usize {
        self.ask("SELECT count(*) - count(DISTINCT (application, cluster, commit_id)) FROM runs").await
    }

    /// Returns how long it takes until a worker that joins works, and until one that is killed is replaced.
    async fn rebalance(&mut self) -> Value {
        let before = self.verdicts().await;
        self.push("third").await;
        self.until(before + self.applications / 8).await;
        let joined = Instant::now();
        self.join().await;
        let newest = self.workers.last_mut().unwrap();
        let taken = newest.until(PATIENCE, |line| line["message"] == "job taken").await;
        assert!(taken.is_some(), "it works at all");
        let join = joined.elapsed();
        self.until(before + self.applications / 2).await;
        let killed = Instant::now();
        self.workers[0].kill();
        let lost: Vec<String> = taken_by(&self.workers[0], "run healthy");
        let open: Vec<String> =
            taken_by(&self.workers[0], "job taken").into_iter().filter(|one| !lost.contains(one)).collect();
        let mut left = open.len();
        while left > 0 && killed.elapsed() < PATIENCE {
            // why: the others say in their logs what they took, and several are looked at.
            tokio::time::sleep(LOOK_EVERY).await;
            let others: Vec<String> =
                self.workers[1..].iter().flat_map(|one| taken_by(one, "job taken")).collect();
            left = open.iter().filter(|one| !others.contains(one)).count();
        }
        let kill = killed.elapsed();
        self.until(before + self.applications).await;
        say(&format!(
            "{:>8}a fifth worker took its first job {:.1} s after it was started; what a killed one had was taken within {:.1} s",
            "",
            join.as_secs_f64(),
            kill.as_secs_f64()
        ));
        json!({ "join_seconds": join.as_secs_f64(), "kill_seconds": kill.as_secs_f64() })
    }

    async fn clear(self) {
        drop(self.workers);
        drop(self.door);
        self.kube.delete(&format!("/api/v1/namespaces/{}", self.namespace)).await;
        self.repo.discard().await;
    }
}

/// Returns the targets, with their commits, about which a process has said something.
fn taken_by(process: &Process, message: &str) -> Vec<String> {
    let lines = process.lines();
    let such = lines.iter().filter(|line| line["message"] == message);
    such.map(|line| format!("{} {}", line["target.name"], line["commit.id"])).collect()
}

async fn start(
    program: &Path,
    name: &str,
    home: &Home,
    folder: &str,
    ground: &Ground,
    database: &Database,
) -> Process {
    let data = home.data().join(folder).display().to_string();
    let (broker, database) = (ground.url(None), database.url());
    let environment = [
        ("SECRET", SECRET),
        ("TOKEN", bed("WINDLASS_BED_GITEA_BOT_TOKEN")),
        ("WINDLASS__QUEUE__URL", &broker),
        ("WINDLASS__STORE__URL", &database),
        ("WINDLASS__DATA__DIR", &data),
        ("WINDLASS__WORK__LISTEN", "127.0.0.1:0"),
    ];
    Process::launch(&mut part(program, name, &home.config(), &environment)).await
}

fn settings(repo: &Repo, namespace: &str, applications: usize) -> String {
    let (url, repository) = (bed("WINDLASS_BED_GITEA_URL"), repo.full_name());
    let mut text = format!(
        "[reconcile]\nparallel = 4\n[[forges]]\nname = \"gitea\"\nkind = \"gitea\"\nprivate = true\nurl = \"{url}\"\n\
         webhook_secrets = [{{ env = \"SECRET\" }}]\ntoken = {{ env = \"TOKEN\" }}\nread_token = {{ env = \"TOKEN\" }}\n\
         [[sources]]\nname = \"bench\"\nforge = \"gitea\"\nrepository = \"{repository}\"\n\
         [[clusters]]\nname = \"east\"\nkubeconfig = \"east.kubeconfig\"\nnamespace = \"{namespace}\"\n"
    );
    for number in 0..applications {
        text += &format!(
            "[[applications]]\nname = \"a{number}\"\nsource = \"bench\"\nref = \"refs/heads/main\"\npath = \"a{number}\"\n\
             clusters = [\"east\"]\nnamespace = \"{namespace}\"\n"
        );
    }
    text
}
