//! A `windlass run` of its own for one sequence, between two proxies, with a repository and namespaces of its own.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use windlass::commit::CommitId;

use crate::apps::App;
use crate::crew::Crew;
use crate::objects::Kind;
use crate::objects::Names;
use crate::world::PATIENCE;
use crate::world::git::Repo;
use crate::world::kube::Kube;
use crate::world::plan;
use crate::world::plan::Plan;
use crate::world::proxy::Held;
use crate::world::proxy::Proxy;
use crate::world::unique;

/// How long between two looks whether windlass has something left to do? Many look at the same time.
const LOOK_EVERY: Duration = Duration::from_millis(80);

/// The ref that the application follows.
pub const MAIN: &str = "refs/heads/main";

/// The parts.
pub struct Stage {
    pub names: Names,
    pub repo: Repo,
    pub kube: Kube,
    /// Between windlass and the API server.
    pub east: Proxy,
    /// Between windlass and Gitea.
    pub gitea: Proxy,
    pub crew: Crew,
    /// Does windlass run?
    pub up: bool,
    /// Was it ever killed? Then statuses may have been told twice.
    pub killed: bool,
    /// What was held when it was killed: it never goes on its way.
    graves: Vec<Held>,
    /// Is windlass forbidden some kind at present?
    forbidden: Arc<AtomicBool>,
    /// Does a person keep the application at a commit? Then other commits wait.
    pub kept: bool,
    /// May an application wait for a commit that mends another one?
    pub waits: bool,
    /// The files of the last commit.
    files: Vec<String>,
}

impl Stage {
    /// Makes everything; windlass does not run yet.
    pub async fn new(apps: &[App], depends: bool) -> Self {
        let names = Names::new(&unique());
        let (repo, kube, crew) = tokio::join!(Repo::create(), Kube::connect("east"), Crew::new());
        tokio::join!(kube.make_namespace(&names.home), kube.make_namespace(&names.annex));
        let (east, gitea) = (Proxy::before_cluster("east"), Proxy::before_gitea());
        let stage = Self {
            names,
            repo,
            kube,
            east,
            gitea,
            crew,
            up: false,
            killed: false,
            graves: Vec::new(),
            forbidden: Arc::default(),
            kept: false,
            waits: false,
            files: Vec::new(),
        };
        stage.write_settings(apps, depends);
        stage
    }

    fn write_settings(&self, apps: &[App], depends: bool) {
        let kubeconfig = self.crew.home.config().with_file_name("east.kubeconfig");
        std::fs::write(&kubeconfig, self.east.kubeconfig()).unwrap();
        let plan = Plan {
            sections: "[sweep]\npoll = \"10s\"\n",
            gitea: &self.gitea.url,
            repository: &self.repo.full_name(),
            secret: plan::SECRET,
            token: plan::TOKEN,
            clusters: &[("east", "east.kubeconfig")],
            installation: &self.names.installation,
            namespace: &self.names.home,
        };
        let follows = format!("ref = \"{MAIN}\"");
        let application = |app: &App| {
            let path = if apps.len() > 1 { format!("path = \"{}\"", app.name()) } else { String::new() };
            let waits = if depends && *app == App::Till { "depends_on = [\"shop\"]" } else { "" };
            plan.application(app.name(), &follows, &["east"], &format!("{path}\n{waits}"))
        };
        let applications: String = apps.iter().map(application).collect();
        self.crew.home.write(&(plan.text() + &applications));
    }

    /// Starts windlass where it does not run.
    pub async fn start(&mut self) {
        if !self.up {
            self.crew.start(&self.names.installation).await;
            self.up = true;
        }
    }

    /// Kills windlass, as a power cut would. What `held` holds is never released.
    pub fn kill(&mut self, held: Option<Held>) {
        self.crew.end();
        self.graves.extend(held);
        (self.up, self.killed) = (false, true);
    }

    /// Kills windlass, takes away all that it remembers, and starts it; says whether it could be taken away.
    pub async fn forget(&mut self) -> bool {
        if !self.crew.is_alone() {
            return false;
        }
        self.kill(None);
        std::fs::remove_dir_all(self.crew.home.data()).unwrap();
        self.start().await;
        true
    }

    /// Commits these files and no others, with a message; pushes nothing.
    pub fn commit(&mut self, message: &str, files: &[(String, String)]) -> CommitId {
        let stale = self.files.iter().filter(|path| files.iter().all(|(other, _)| other != *path));
        self.repo.remove(&stale.map(String::as_str).collect::<Vec<_>>());
        self.files = files.iter().map(|(path, _)| path.clone()).collect();
        let files: Vec<_> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
        self.repo.commit(message, &files)
    }

    /// Goes back to a commit, whose files are these.
    pub fn go_back(&mut self, commit: &CommitId, files: &[(String, String)]) {
        self.repo.git(&["reset", "--quiet", "--hard", &commit.to_string()]);
        self.files = files.iter().map(|(path, _)| path.clone()).collect();
    }

    /// Posts the delivery of a push; returns whether windlass took it.
    pub async fn deliver(&mut self, before: Option<&CommitId>, after: &CommitId) -> bool {
        if !self.up {
            return false;
        }
        self.crew.deliver(&self.repo.full_name(), before, after).await == Some(202)
    }

    /// Has a person give an order by a command.
    pub fn order(&self, words: &[&str]) {
        self.crew.order(&self.names.installation, words);
    }

    /// Forbids windlass everything about a kind, but its own records.
    pub fn forbid(&mut self, kind: Kind) {
        let (plural, own) = (kind.words().2, format!("/namespaces/{}/", self.names.installation));
        let flag = Arc::new(AtomicBool::new(true));
        self.forbidden = Arc::clone(&flag);
        self.east.refuse(usize::MAX, 403, move |line| {
            let path = line.split([' ', '?']).nth(1).unwrap_or_default();
            flag.load(Ordering::Relaxed) && path.split('/').any(|word| word == plural) && !path.contains(&own)
        });
    }

    /// Gives it back.
    pub fn allow(&self) {
        self.forbidden.store(false, Ordering::Relaxed);
    }

    /// Makes everything work again.
    pub async fn heal(&mut self) {
        self.allow();
        self.east.heal();
        self.gitea.heal();
        self.start().await;
    }

    /// Returns what windlass has left to do: messages, commits without a verdict, and statuses that the forge was not
    /// told yet.
    async fn left(&self) -> Result<(), String> {
        let messages = self.crew.messages().await.0;
        if messages > 0 {
            return Err(format!("{messages} messages are left"));
        }
        // Both at once: many look often.
        let query = if self.kept || self.waits {
            "SELECT (SELECT count(*) FROM ledger WHERE open = 1 AND NOT EXISTS (SELECT 1 FROM held WHERE \
             held.application = ledger.application AND held.cluster = ledger.cluster)) * 1000000 + \
             (SELECT count(*) FROM statuses WHERE wanting = 1 AND muted = 0)"
        } else {
            "SELECT (SELECT count(*) FROM ledger WHERE open = 1) * 1000000 + \
             (SELECT count(*) FROM statuses WHERE wanting = 1 AND muted = 0)"
        };
        let both = self.crew.history(query).await;
        let (open, untold) = (both / 1_000_000, both % 1_000_000);
        if both == 0 {
            return Ok(());
        }
        let row = "SELECT commit_id || ' ' || application || ' ' || phase FROM ledger WHERE open = 1 ORDER BY moved_at LIMIT 1";
        let first = self.crew.text(row).await.unwrap_or_default();
        Err(format!("{open} verdicts are open, such as {first}; {untold} statuses are untold"))
    }

    /// Waits until windlass has nothing left to do.
    pub async fn quiet(&self) {
        self.until("windlass has nothing left to do", async || {
            self.left().await?;
            // Between two looks the last message may have made another one.
            self.left().await
        })
        .await;
    }

    /// Waits until dispatch has seen this commit at the tip.
    pub async fn seen(&self, commit: &CommitId) {
        self.until("dispatch has seen the tip", async || {
            let seen = self.crew.text("SELECT commit_id FROM refs").await.unwrap_or_default();
            if seen == commit.to_string() { Ok(()) } else { Err(format!("it saw {seen}, not {commit}")) }
        })
        .await;
    }

    /// Looks until it is so, for a minute at most.
    pub async fn until(&self, what: &str, mut look: impl AsyncFnMut() -> Result<(), String>) {
        let end = tokio::time::Instant::now() + PATIENCE;
        while let Err(why) = look().await {
            assert!(tokio::time::Instant::now() < end, "within {} s: {what}: {why}", PATIENCE.as_secs());
            // why: what is looked at gives no sign by itself.
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Takes everything away.
    pub async fn clear(mut self) {
        self.crew.end();
        let Names { home, annex, own, installation, group } = &self.names;
        let definition = format!("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.{group}");
        self.kube.delete(&definition).await;
        for namespace in [home, annex, own, installation] {
            self.gone(&format!("/api/v1/namespaces/{namespace}")).await;
        }
        self.repo.discard().await;
        tokio::join!(self.east.stop(), self.gitea.stop());
    }

    /// Deletes a namespace, unless that is under way.
    async fn gone(&self, path: &str) {
        match self.kube.ask("DELETE", path, "application/json", &serde_json::Value::Null).await {
            Ok(_) | Err((404 | 409, _)) => {}
            Err((code, words)) => panic!("DELETE {path}: {code} {words}"),
        }
    }
}
