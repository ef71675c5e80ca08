//! Every role as a process of its own, with its own settings, secrets and user at the broker, and with no others.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use windlass::clock::now;
use windlass::commit::CommitId;
use windlass::commit::RefName;
use windlass::courier::Courier;
use windlass::event::Push;
use windlass::forge::Kind;
use windlass::secret::Secret;

use crate::house::House;
use crate::world::bed;
use crate::world::database::Database;
use crate::world::git::Repo;
use crate::world::kube::Kube;
use crate::world::manifests::config_map;
use crate::world::process::Home;
use crate::world::process::Process;
use crate::world::unique;
use crate::world::until;

/// The secret of the webhook.
const HOOK: &str = "the secret of a hook of the roles";

/// How long may a process take to stop?
const STOP_WITHIN: Duration = Duration::from_secs(25);

/// A windlass in four processes.
struct Parted {
    house: House,
    database: Database,
    repo: Repo,
    kube: Kube,
    namespace: String,
    installation: String,
    home: Home,
}

impl Parted {
    async fn new() -> Self {
        let (id, house) = (unique(), House::build().await);
        house.furnish().await;
        let (repo, kube, database) = tokio::join!(Repo::create(), Kube::connect("east"), Database::create());
        let (namespace, installation) = (format!("shop-{id}"), format!("windlass-{id}"));
        kube.make_namespace(&namespace).await;
        let home = Home::new("");
        let own = Self { house, database, repo, kube, namespace, installation, home };
        own.write_kubeconfig();
        own
    }

    fn write_kubeconfig(&self) {
        let kubeconfig = std::fs::read_to_string(bed("WINDLASS_BED_EAST_KUBECONFIG")).unwrap();
        std::fs::write(self.home.config().with_file_name("east.kubeconfig"), kubeconfig).unwrap();
    }

    fn forge(&self, keys: &str) -> String {
        let (gitea, repository) = (bed("WINDLASS_BED_GITEA_URL"), self.repo.full_name());
        format!(
            "[[forges]]\nname = \"gitea\"\nkind = \"gitea\"\nprivate = true\nurl = \"{gitea}\"\n{keys}\n\
             [[sources]]\nname = \"code\"\nforge = \"gitea\"\nrepository = \"{repository}\"\n"
        )
    }

    fn cluster(&self, keys: &str) -> String {
        let namespace = &self.installation;
        format!("[[clusters]]\nname = \"east\"\nlane = \"prod-eu\"\nnamespace = \"{namespace}\"\n{keys}\n")
    }

    fn application(&self) -> String {
        let namespace = &self.namespace;
        format!(
            "[[applications]]\nname = \"shop\"\nsource = \"code\"\nref = \"refs/heads/main\"\nclusters = [\"east\"]\nnamespace = \"{namespace}\"\n"
        )
    }

    /// Starts a process with these arguments, this user at the broker, these lists and these variables.
    async fn start(&self, args: &[&str], user: &str, lists: &str, variables: &[(&str, &str)]) -> Process {
        let config = self.home.config().with_file_name(format!("{user}.toml"));
        let base = format!(
            "[data]\ndir = \"data-{user}\"\ninstallation = \"{}\"\n[log]\nformat = \"json\"\n[door]\nlisten = \"127.0.0.1:0\"\n\
             [work]\nlisten = \"127.0.0.1:0\"\n[queue]\nurl = {{ env = \"BROKER\" }}\n",
            self.installation
        );
        std::fs::write(&config, format!("{base}{lists}")).unwrap();
        let mut command = Command::new(Path::new(env!("CARGO_BIN_EXE_windlass")));
        command.args(args).arg("--config").arg(config).env_clear();
        command.env("BROKER", self.house.url(user)).envs(variables.iter().copied());
        Process::launch(&mut command).await
    }

    /// Starts all roles, the door first.
    async fn start_all(&self) -> [Process; 4] {
        let (database, token) = (self.database.url(), bed("WINDLASS_BED_GITEA_BOT_TOKEN"));
        let store = "[store]\nurl = { env = \"DATABASE\" }\n";
        let rest = [self.cluster(""), self.application()].concat();
        let hook = self.forge("webhook_secrets = [{ env = \"HOOK\" }]");
        let reads = self.forge("read_token = { env = \"READ\" }");
        let writes = self.forge("token = { env = \"WRITE\" }");
        let agent = [reads.as_str(), &self.cluster("kubeconfig = \"east.kubeconfig\"")].concat();
        let (dispatch, report) = ([store, &reads, &rest].concat(), [store, &writes, &rest].concat());
        let work = |role| ["work", "--role", role];
        [
            self.start(&["serve"], "door", &hook, &[("HOOK", HOOK)]).await,
            self.start(&work("dispatch"), "dispatch", &dispatch, &[("READ", token), ("DATABASE", &database)])
                .await,
            self.start(
                &["work", "--role", "reconcile", "--lane", "prod-eu"],
                "agent-prod-eu",
                &agent,
                &[("READ", token)],
            )
            .await,
            self.start(&work("report"), "report", &report, &[("WRITE", token), ("DATABASE", &database)])
                .await,
        ]
    }

    async fn push(&self, door: &Process, value: &str, before: Option<&CommitId>) -> CommitId {
        let commit = self.repo.commit("change", &[("one.yaml", &config_map("one", value))]);
        self.repo.push("refs/heads/main");
        let push = Push {
            repository: self.repo.full_name(),
            reference: RefName::parse("refs/heads/main").unwrap(),
            before: before.cloned(),
            after: Some(commit.clone()),
            forced: false,
        };
        let rules = Kind::Gitea.rules();
        let (event, body) = rules.make_up(&push);
        let headers = rules.sign(event, &unique(), body.as_bytes(), &Secret::new(HOOK).unwrap(), now());
        let url = format!("{}/hooks/gitea", door.door);
        assert_eq!(Courier::new().unwrap().knock(&url, &headers, body).await.unwrap().0, 202);
        commit
    }

    async fn expect(&self, commit: &CommitId, processes: &[Process]) {
        let told = until("the commit has its verdict", async || {
            self.repo
                .statuses(commit)
                .await
                .into_iter()
                .find(|one| one.context == "windlass" && one.is_final())
        });
        let told = futures::FutureExt::catch_unwind(std::panic::AssertUnwindSafe(told)).await;
        let said = || processes.iter().map(Process::said).collect::<String>();
        let told = told.unwrap_or_else(|_| panic!("no verdict:\n{}", said()));
        assert_eq!(told.state, "success", "{told}\n{}", said());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_push_goes_through_four_processes_none_of_which_has_anothers_secrets() {
    let parted = Parted::new().await;
    let mut processes = parted.start_all().await;
    let first = parted.push(&processes[0], "1", None).await;
    parted.expect(&first, &processes).await;
    let path = format!("/api/v1/namespaces/{}/configmaps/one", parted.namespace);
    assert_eq!(parted.kube.find(&path).await.unwrap()["data"]["key"], "1");
    for process in &mut processes {
        let is_trouble = |line: &serde_json::Value| line["level"] == "WARN" || line["level"] == "ERROR";
        let trouble = process.lines().into_iter().find(is_trouble);
        assert_eq!(trouble, None, "each has the rights that it needs");
        process.signal("TERM");
    }
    for process in &mut processes {
        let ended = process.ended(STOP_WITHIN).await;
        assert!(ended.is_some_and(|status| status.success()), "{ended:?}\n{}", process.said());
    }
    let processes = parted.start_all().await;
    let second = parted.push(&processes[0], "2", Some(&first)).await;
    parted.expect(&second, &processes).await;
    assert_eq!(parted.kube.find(&path).await.unwrap()["data"]["key"], "2");
    drop(processes);
    for namespace in [&parted.namespace, &parted.installation] {
        parted.kube.delete(&format!("/api/v1/namespaces/{namespace}")).await;
    }
    parted.repo.discard().await;
}
