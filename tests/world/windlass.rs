//! One windlass, put together from its public parts in this process, between the bed's real servers.

use std::net::SocketAddr;
use std::net::TcpListener;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use windlass::application::Name;
use windlass::application::Target;
use windlass::commit::CommitId;
use windlass::commit::RefName;
use windlass::courier::Courier;
use windlass::dispatch;
use windlass::event::Event;
use windlass::event::Push;
use windlass::event::What;
use windlass::forge::Kind;
use windlass::job::Job;
use windlass::line::Line;
use windlass::moment::Moment;
use windlass::queue::Draft;
use windlass::queue::Lane;
use windlass::queue::Lease;
use windlass::reconcile;
use windlass::report;
use windlass::secret::Secret;
use windlass::server::Guests;
use windlass::server::Limits;
use windlass::settings::Settings;
use windlass::store::Run;

use super::ending::Expected;
use super::git::Repo;
use super::git::Status;
use super::journal;
use super::kube::Kube;
use super::proxy::Proxy;
use super::setup::HOOK_SECRET;
use super::setup::Made;
use super::setup::Setup;
use super::unique;

/// The branch that every application of a world follows.
pub const MAIN: &str = "refs/heads/main";

/// How long may a single step wait for its message?
pub const STEP: Duration = Duration::from_secs(10);

/// A windlass with a repository, two clusters and a door.
pub struct World {
    /// The repository that is the source `code`.
    pub repo: Repo,
    /// The cluster `east`, by its administrator.
    pub east: Kube,
    /// The cluster `west`, by its administrator.
    pub west: Kube,
    /// The namespace of objects that name none, in both clusters.
    pub namespace: String,
    /// The name of this windlass, and of its own namespace in both clusters.
    pub installation: String,
    /// The line: its roles, its queue and its store.
    pub line: Line,
    /// The settings that it was made by.
    pub settings: Settings,
    pub(super) expected: Expected,
    pub(super) proxies: Option<(Proxy, Proxy)>,
    /// The commits of all deliveries so far.
    pub delivered: Vec<CommitId>,
    tip: Option<CommitId>,
    door: Door,
    folder: tempfile::TempDir,
}

/// The real door on a port of its own.
struct Door {
    address: SocketAddr,
    stop: Arc<Notify>,
    server: JoinHandle<std::io::Result<()>>,
}

impl Door {
    fn open(settings: &Settings, line: &Line) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, stop) = (listener.local_addr().unwrap(), Arc::new(Notify::new()));
        let (intake, stopped) = (line.intake.clone(), stop.clone());
        let limits = Limits { workers: 1, ..settings.door.limits };
        let stopped = async move { stopped.notified().await };
        let server = tokio::spawn(windlass::server::serve(
            limits,
            Guests::default(),
            intake,
            Arc::new(String::new),
            listener,
            stopped,
        ));
        Self { address, stop, server }
    }

    async fn close(self) {
        self.stop.notify_one();
        self.server.await.unwrap().unwrap();
    }
}

impl World {
    /// Runs a test in a world of the default setup and checks how it ended.
    pub async fn run(test: impl AsyncFnOnce(&mut Self)) {
        Self::run_in(Setup::default(), test).await;
    }

    pub(super) async fn run_in(setup: Setup, test: impl AsyncFnOnce(&mut Self)) {
        journal::begin();
        let mut world = Self::make(&setup).await;
        let ended = AssertUnwindSafe(async {
            test(&mut world).await;
            world.check_the_end().await;
        });
        let ended = ended.catch_unwind().await;
        world.clear_away().await;
        if let Err(panic) = ended {
            std::panic::resume_unwind(panic);
        }
    }

    async fn make(setup: &Setup) -> Self {
        let id = unique();
        let (installation, namespace) = (format!("windlass-{id}"), format!("shop-{id}"));
        let folder = tempfile::tempdir().unwrap();
        let proxies = setup.proxied.then(|| (Proxy::before_cluster("east"), Proxy::before_gitea()));
        let (repo, east, west) = tokio::join!(Repo::create(), Kube::connect("east"), Kube::connect("west"));
        tokio::join!(east.make_namespace(&namespace), west.make_namespace(&namespace));
        let gitea =
            proxies.as_ref().map_or_else(|| super::bed("WINDLASS_BED_GITEA_URL"), |(_, gitea)| &gitea.url);
        let made = Made {
            installation: &installation,
            namespace: &namespace,
            repo: &repo,
            gitea,
            east: proxies.as_ref().map(|(east, _)| east),
        };
        let settings = setup.settings(folder.path(), &made);
        let line = Line::build(&settings).await.unwrap();
        let door = Door::open(&settings, &line);
        let (expected, delivered, tip) = (Expected::default(), Vec::new(), None);
        Self {
            repo,
            east,
            west,
            namespace,
            installation,
            line,
            settings,
            expected,
            proxies,
            delivered,
            tip,
            door,
            folder,
        }
    }

    async fn clear_away(self) {
        for namespace in [&self.namespace, &self.installation] {
            let path = format!("/api/v1/namespaces/{namespace}");
            tokio::join!(self.east.delete(&path), self.west.delete(&path));
        }
        self.repo.discard().await;
        self.door.close().await;
        if let Some((east, gitea)) = &self.proxies {
            tokio::join!(east.stop(), gitea.stop());
        }
    }

    /// The proxy between windlass and `east`; there is one after [`Setup::proxied`].
    #[track_caller]
    pub fn before_east(&self) -> &Proxy {
        &self.proxies.as_ref().expect("Setup::proxied").0
    }

    /// The proxy between windlass and the forge.
    #[track_caller]
    pub fn before_gitea(&self) -> &Proxy {
        &self.proxies.as_ref().expect("Setup::proxied").1
    }

    /// Where the data of this windlass is.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Ends this windlass where it stands, as a crash would, and starts it anew on the data that it left.
    pub async fn restart(&mut self) {
        self.restart_after(|_| {}).await;
    }

    /// As [`World::restart`], but the data is gone.
    pub async fn lose_data(&mut self) {
        self.restart_after(|data| std::fs::remove_dir_all(data).unwrap()).await;
    }

    async fn restart_after(&mut self, meanwhile: impl FnOnce(&std::path::Path)) {
        self.line.queue.clone().close().await;
        self.line.store.clone().close().await;
        meanwhile(&self.data());
        self.line = Line::build(&self.settings).await.unwrap();
        let door = Door::open(&self.settings, &self.line);
        std::mem::replace(&mut self.door, door).close().await;
    }

    /// Writes files, commits them and pushes the commit to `main`; the forge has it then, and no delivery was sent.
    pub fn commit(&self, files: &[(&str, &str)]) -> CommitId {
        self.commit_saying("change", files)
    }

    /// As [`World::commit`], with a message.
    pub fn commit_saying(&self, message: &str, files: &[(&str, &str)]) -> CommitId {
        let commit = self.repo.commit(message, files);
        self.repo.force_push(MAIN);
        commit
    }

    /// Posts the delivery that Gitea sends for a push of `main` from the commit of the last delivery to this one.
    pub async fn push(&mut self, commit: &CommitId) {
        let before = self.tip.replace(commit.clone());
        self.push_from(before.as_ref(), commit).await;
    }

    /// As [`World::push`], from a commit that the test names.
    pub async fn push_from(&mut self, before: Option<&CommitId>, commit: &CommitId) {
        let status = self.deliver(before, Some(commit)).await;
        assert_eq!(status, 202, "the door takes a signed delivery");
        self.delivered.push(commit.clone());
    }

    /// Commits files, pushes them and posts the delivery.
    pub async fn ship(&mut self, files: &[(&str, &str)]) -> CommitId {
        let commit = self.commit(files);
        self.push(&commit).await;
        commit
    }

    /// Posts a signed delivery about `main` and returns the status code of the answer.
    pub async fn deliver(&self, before: Option<&CommitId>, after: Option<&CommitId>) -> u16 {
        self.deliver_of(MAIN, before, after).await
    }

    /// As [`World::deliver`], about a ref that the test names.
    pub async fn deliver_of(
        &self,
        reference: &str,
        before: Option<&CommitId>,
        after: Option<&CommitId>,
    ) -> u16 {
        let push = Push {
            repository: self.repo.full_name(),
            reference: RefName::parse(reference).unwrap(),
            before: before.cloned(),
            after: after.cloned(),
            forced: false,
        };
        let (event, body) = Kind::Gitea.rules().make_up(&push);
        self.knock(event, body, HOOK_SECRET).await
    }

    /// Posts a body to the door, signed with a secret, and returns the status code of the answer.
    pub async fn knock(&self, event: &str, body: String, secret: &str) -> u16 {
        let secret = Secret::new(secret).unwrap();
        let headers = Kind::Gitea.rules().sign(event, &unique(), body.as_bytes(), &secret, now());
        let url = format!("{}/hooks/gitea", self.door_url());
        Courier::new().unwrap().knock(&url, &headers, body).await.unwrap().0
    }

    /// Where the door is.
    pub fn door_url(&self) -> String {
        format!("http://{}", self.door.address)
    }

    /// Takes the next event.
    pub async fn dispatch_step(&self) -> dispatch::Step {
        self.line.roles.dispatcher.step(STEP).await.unwrap()
    }

    /// Takes the next job.
    pub async fn reconcile_step(&self) -> reconcile::Step {
        self.line.roles.reconciler.step(STEP).await.unwrap()
    }

    /// Takes the next job off the queue, as a worker does that then works on it by itself.
    pub async fn take_job(&self) -> (Lease, Job) {
        let lease = self.line.queue.next(&Lane::jobs("shared"), STEP).await.unwrap().expect("a job");
        let job = serde_json::from_str(&lease.body).unwrap();
        (lease, job)
    }

    /// Takes the next job in the background.
    pub fn reconcile_beside(&self) -> JoinHandle<reconcile::Step> {
        let reconciler = self.line.roles.reconciler.clone();
        tokio::spawn(async move { reconciler.step(STEP).await.unwrap() })
    }

    /// Takes the next wait for health and sees it to its end.
    pub async fn watch_step(&self) -> reconcile::Step {
        self.line.roles.reconciler.watch_step(STEP).await.unwrap()
    }

    /// Takes the next report.
    pub async fn report_step(&self) -> report::Step {
        self.line.roles.reporter.step(STEP).await.unwrap()
    }

    /// Takes every report that is there.
    pub async fn report_all(&self) {
        while self.line.roles.reporter.step(Duration::ZERO).await.unwrap() != report::Step::Idle {}
    }

    /// Posts the statuses that are due.
    pub async fn post_step(&self) -> report::Posted {
        self.line.roles.poster.step(now()).await.unwrap()
    }

    /// Asks for a whole pass of an application in `east`, as a person would.
    pub async fn ask_again(&self, application: &str) {
        let target =
            Target { application: Name::parse(application).unwrap(), cluster: Name::parse("east").unwrap() };
        let (id, what) = (unique(), What::Again { target, commit: None });
        let event = Event {
            version: windlass::event::VERSION,
            id: id.clone(),
            source: source(),
            what,
            received_at: now(),
        };
        let (partition, body) = (source().to_string(), serde_json::to_string(&event).unwrap());
        self.line
            .queue
            .publish(vec![Draft { lane: Lane::events(), id, partition, body, trace: None }])
            .await
            .unwrap();
    }

    /// Sweeps the source, and looks after what nobody else would end.
    pub async fn sweep(&self) -> windlass::sweep::Swept {
        let swept = self.line.roles.sweeper.step(&source(), false).await.unwrap();
        let tended = self.line.roles.sweeper.tend().await.unwrap();
        windlass::sweep::Swept { again: tended.again, closed: tended.closed, ..swept }
    }

    /// Returns the runs so far, the oldest first.
    pub async fn runs(&self) -> Vec<Run> {
        let mut runs = self.line.store.runs(None, 1_000).await.unwrap();
        runs.reverse();
        runs
    }

    /// Returns a ConfigMap's value in `east`, or nothing where it is not there.
    pub async fn value(&self, name: &str) -> Option<String> {
        let found = self.east.find(&self.path_of(name)).await?;
        Some(found["data"]["key"].as_str().unwrap_or_default().to_owned())
    }

    /// Returns the path of a ConfigMap in the applications' namespace.
    pub fn path_of(&self, name: &str) -> String {
        format!("/api/v1/namespaces/{}/configmaps/{name}", self.namespace)
    }

    /// Returns the newest status of a target, such as `shop@east`, on a commit; of the whole for an empty target.
    pub async fn status(&self, commit: &CommitId, target: &str) -> Option<Status> {
        let context = if target.is_empty() { "windlass".to_owned() } else { format!("windlass/{target}") };
        self.repo.statuses(commit).await.into_iter().rfind(|status| status.context == context)
    }

    /// Checks the newest status of a target on a commit: its state, and words that its description must have.
    pub async fn expect(&self, commit: &CommitId, target: &str, state: &str, words: &[&str]) {
        let Some(status) = self.status(commit, target).await else {
            let all = self.repo.statuses(commit).await;
            panic!("no status of {target} on {}: {all:#?}", commit.short());
        };
        let fits = status.state == state && words.iter().all(|word| status.description.contains(word));
        assert!(fits, "expected {state} {words:?}, found {status}");
    }
}

/// Returns the name of the source of every world.
pub fn source() -> Name {
    Name::parse("code").unwrap()
}

/// Returns the time as windlass reads it.
pub fn now() -> Moment {
    Moment(jiff::Timestamp::now().as_millisecond())
}
