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
use windlass::event::Event;
use windlass::event::Push;
use windlass::event::What;
use windlass::forge::Kind;
use windlass::line::Line;
use windlass::moment::Moment;
use windlass::opening::Opener;
use windlass::queue::Draft;
use windlass::queue::Lane;
use windlass::queue::Queue;
use windlass::reconcile::Reconciler;
use windlass::secret::Secret;
use windlass::server::Guests;
use windlass::server::Limits;
use windlass::settings::Settings;
use windlass::store::Run;
use windlass::store::Sought;
use windlass::store::Store;
use windlass::sweep::Sweeper;

use super::crew::Crew;
use super::crew::Servers;
use super::crew::Works;
use super::ending::Expected;
use super::git::Repo;
use super::git::Status;
use super::journal;
use super::kube::Kube;
use super::proxy::Proxy;
use super::setup::HOOK_SECRET;
use super::setup::Made;
use super::setup::Setup;
use super::toxic::Toxic;
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
    /// Its processes.
    pub crew: Arc<Crew>,
    /// The settings that each of them was made by.
    pub settings: Vec<Settings>,
    pub(super) expected: Expected,
    pub(super) proxies: Option<(Proxy, Proxy)>,
    /// The commits of all deliveries so far.
    pub delivered: Vec<CommitId>,
    tip: Option<CommitId>,
    door: Door,
    pub(super) servers: Option<Servers>,
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
        let servers = Servers::where_asked().await;
        let gitea =
            proxies.as_ref().map_or_else(|| super::bed("WINDLASS_BED_GITEA_URL"), |(_, gitea)| &gitea.url);
        let made = Made {
            installation: &installation,
            namespace: &namespace,
            repo: &repo,
            gitea,
            east: proxies.as_ref().map(|(east, _)| east),
            servers: servers.as_ref(),
        };
        let settings = setup.settings(folder.path(), &made);
        let crew = Arc::new(Crew::build(&settings).await);
        let door = Door::open(&settings[0], crew.door());
        let (expected, delivered, tip) = (Expected::default(), Vec::new(), None);
        Self {
            repo,
            east,
            west,
            namespace,
            installation,
            crew,
            settings,
            expected,
            proxies,
            delivered,
            tip,
            door,
            servers,
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
        self.crew.close().await;
        self.start().await;
    }

    /// As [`World::restart`], but the data is gone.
    pub async fn lose_data(&mut self) {
        self.crew.close().await;
        std::fs::remove_dir_all(self.data()).unwrap();
        if self.servers.is_some() {
            self.servers = Servers::where_asked().await;
            let [broker, database] = self.servers.as_ref().unwrap().urls();
            self.change_settings(|settings| {
                settings.queue.url = Some(Secret::new(&broker).unwrap());
                settings.store.url = settings.store.url.as_ref().map(|_| Secret::new(&database).unwrap());
            });
        }
        self.start().await;
    }

    async fn start(&mut self) {
        self.crew = Arc::new(Crew::build(&self.settings).await);
        let door = Door::open(&self.settings[0], self.crew.door());
        std::mem::replace(&mut self.door, door).close().await;
    }

    /// Changes the settings that count from the next start on.
    pub fn change_settings(&mut self, change: impl Fn(&mut Settings)) {
        self.settings.iter_mut().for_each(change);
    }

    /// Puts a proxy between the door and the broker, where there is one, and starts anew.
    pub async fn restart_behind_a_proxy(&mut self) -> Option<Toxic> {
        let broker = self.servers.as_ref()?.broker();
        let toxic = Toxic::before(broker.admin.authority()).await;
        let url = Secret::new(&broker.url(Some(&toxic.authority))).unwrap();
        self.settings[0].queue.url = Some(url);
        self.restart().await;
        Some(toxic)
    }

    /// The history.
    pub fn store(&self) -> &Store {
        self.crew.worker().history()
    }

    /// The queue, as one of the workers has it.
    pub fn queue(&self) -> &Queue {
        &self.crew.worker().queue
    }

    /// What makes passes, in the process of one of the workers.
    pub fn reconciler(&self) -> &Reconciler {
        &self.crew.worker().roles.reconcile[0]
    }

    /// The sweep, in the process of one of the workers.
    pub fn sweeper(&self) -> &Sweeper {
        &self.crew.worker().dispatch().sweeper
    }

    /// What asks for targets that have opened, in the process of one of the workers.
    pub fn opener(&self) -> &Arc<Opener> {
        &self.crew.worker().dispatch().opener
    }

    /// Writes files, commits them and pushes the commit to `main`; the forge has it then, and no delivery was sent.
    pub fn commit(&self, files: &[(&str, &str)]) -> CommitId {
        self.commit_saying("change", files)
    }

    /// As [`World::commit`], with a message.
    pub fn commit_saying(&self, message: &str, files: &[(&str, &str)]) -> CommitId {
        let commit = self.repo.commit(message, files);
        self.repo.slip_in(MAIN);
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

    /// Returns the settings file, with which a command of windlass is called.
    pub fn config(&self) -> PathBuf {
        self.folder.path().join("windlass.toml")
    }

    /// Where the door is.
    pub fn door_url(&self) -> String {
        format!("http://{}", self.door.address)
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
        self.queue()
            .publish(vec![Draft { lane: Lane::events(), id, partition, body, trace: None }])
            .await
            .unwrap();
    }

    /// Sweeps the source, and looks after what nobody else would end.
    pub async fn sweep(&self) -> windlass::sweep::Swept {
        let swept = self.sweeper().step(&source(), false).await.unwrap();
        let tended = self.sweeper().tend().await.unwrap();
        windlass::sweep::Swept { again: tended.again, closed: tended.closed, ..swept }
    }

    /// Returns the runs so far, the oldest first.
    pub async fn runs(&self) -> Vec<Run> {
        let mut runs = self.store().runs(&Sought::default(), 1_000).await.unwrap();
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
