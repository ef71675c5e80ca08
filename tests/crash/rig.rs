//! A real `windlass run` between two proxies, whose application goes from one state to the next, push by push.
//!
//! Every state `n` declares a ConfigMap that says `n`, one that never changes, and a Deployment whose size alternates,
//! so that there is health to wait for. Three objects are the state's own, so that each push creates three and prunes
//! three: a ConfigMap, a ServiceAccount, and a third one whose kind and namespace the states before and after do not
//! have, so that only what was written down ahead leads to it after a crash.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;
use windlass::commit::CommitId;

use crate::crew::Crew;
use crate::crew::Frozen;
use crate::world::crew::Servers;
use crate::world::git::Repo;
use crate::world::kube::Asked;
use crate::world::kube::Kube;
use crate::world::manifests::config_map;
use crate::world::manifests::deployment;
use crate::world::manifests::secret;
use crate::world::plan;
use crate::world::plan::Plan;
use crate::world::process::Process;
use crate::world::proxy::Held;
use crate::world::proxy::Proxy;
use crate::world::unique;
use crate::world::until;

/// How long may windlass take to stop when it is told to?
pub const STOP_WITHIN: Duration = Duration::from_secs(25);

/// The parts, and what was pushed so far.
pub struct Rig {
    pub repo: Repo,
    pub kube: Kube,
    /// Between windlass and the API server.
    pub east: Proxy,
    /// Between windlass and Gitea.
    pub gitea: Proxy,
    pub namespace: String,
    /// Where every other state has an object.
    annex: String,
    installation: String,
    pub crew: Crew,
    /// Which state was pushed last.
    pub state: usize,
    delivered: Vec<CommitId>,
    /// What was held when windlass was killed: it must not go on its way later, in the middle of another case.
    pub graves: Vec<Held>,
    /// Commits one of whose statuses may have been told twice: windlass was killed while they were under way, and may
    /// not have heard that Gitea had it.
    twice: BTreeSet<CommitId>,
    /// How many of the delivered commits were settled at the last check.
    settled: usize,
}

impl Rig {
    /// Makes everything and starts windlass; nothing is pushed yet.
    pub async fn new(sections: &str) -> Self {
        Self::with(Crew::new().await, sections).await
    }

    async fn with(crew: Crew, sections: &str) -> Self {
        let id = unique();
        let (installation, namespace, annex) =
            (format!("windlass-{id}"), format!("shop-{id}"), format!("annex-{id}"));
        let (repo, kube) = tokio::join!(Repo::create(), Kube::connect("east"));
        tokio::join!(kube.make_namespace(&namespace), kube.make_namespace(&annex));
        let (east, gitea) = (Proxy::before_cluster("east"), Proxy::before_gitea());
        let (state, delivered) = (0, Vec::new());
        let (graves, twice) = (Vec::new(), BTreeSet::new());
        let mut rig = Self {
            repo,
            kube,
            east,
            gitea,
            namespace,
            annex,
            installation,
            crew,
            state,
            delivered,
            graves,
            twice,
            settled: 0,
        };
        rig.write_settings(sections);
        rig.start().await;
        rig
    }

    /// As [`Rig::settled`], with lines to the broker and the database that can be cut.
    pub async fn on_lines(sections: &str) -> Self {
        Self::new(sections).await.put_on_lines().await
    }

    /// As [`Rig::on_lines`], always of several processes.
    pub async fn spread_on_lines(sections: &str) -> Self {
        let crew = Crew::over(Some(Servers::create().await)).await;
        Self::with(crew, sections).await.put_on_lines().await
    }

    /// As [`Rig::settled`], always of several processes.
    pub async fn spread(sections: &str) -> Self {
        let crew = Crew::over(Some(Servers::create().await)).await;
        let mut rig = Self::with(crew, sections).await;
        rig.push().await;
        rig.check().await;
        rig
    }

    /// Lets the process stand still whose request is held. What it was telling the forge may be told twice.
    pub fn freeze(&mut self, held: &Held) -> Frozen {
        self.twice.extend(self.delivered.iter().skip(self.settled).cloned());
        self.crew.freeze(held)
    }

    async fn put_on_lines(mut self) -> Self {
        self.crew.through_lines().await;
        self.crew.end();
        self.start().await;
        self.push().await;
        self.check().await;
        self
    }

    /// As [`Rig::new`], with the first state pushed, applied and answered.
    pub async fn settled(sections: &str) -> Self {
        let mut rig = Self::new(sections).await;
        rig.push().await;
        rig.check().await;
        rig
    }

    fn write_settings(&self, sections: &str) {
        let Self { installation, namespace, gitea, .. } = self;
        let kubeconfig = self.crew.home.config().with_file_name("east.kubeconfig");
        std::fs::write(&kubeconfig, self.east.kubeconfig()).unwrap();
        let plan = Plan {
            sections,
            gitea: &gitea.url,
            repository: &self.repo.full_name(),
            secret: plan::SECRET,
            token: plan::TOKEN,
            clusters: &[("east", "east.kubeconfig")],
            installation,
            namespace,
        };
        let shop = plan.application("shop", "ref = \"refs/heads/main\"", &["east"], "");
        self.crew.home.write(&(plan.text() + &shop));
    }

    /// Starts what does not run of windlass, on the data that is there.
    pub async fn start(&mut self) {
        self.crew.start(&self.installation).await;
    }

    /// Starts windlass on the data that is there, with other settings.
    pub async fn restart_with(&mut self, door: &str) {
        self.write_settings(door);
        self.start().await;
    }

    /// Returns the running windlass, or its door where it is several processes.
    pub fn process(&mut self) -> &mut Process {
        self.crew.door()
    }

    /// Kills the process whose request is held, as a power cut would; all of windlass where nothing is. What `held`
    /// holds is never released.
    pub fn kill(&mut self, held: Held) {
        self.crew.kill(&held);
        self.twice.extend(self.delivered.iter().skip(self.settled).cloned());
        self.graves.push(held);
        self.east.heal();
        self.gitea.heal();
    }

    /// Kills the process with the door.
    pub fn kill_door(&mut self) {
        self.crew.kill_door();
        self.twice.extend(self.delivered.iter().skip(self.settled).cloned());
    }

    /// Gives up on what is held, without a crash.
    pub fn let_go(&mut self, held: Held) {
        drop(held);
        self.east.heal();
        self.gitea.heal();
    }

    /// Returns the manifests of a state.
    fn files(&self, state: usize) -> Vec<(String, String)> {
        let third = match state % 2 {
            0 => format!(
                "apiVersion: v1\nkind: Service\nmetadata:\n  name: third-{state}\n  namespace: {}\nspec:\n  ports: [{{ port: 80 }}]\n",
                self.annex
            ),
            _ => secret(&format!("third-{state}"), "nobody knows"),
        };
        let account = format!("apiVersion: v1\nkind: ServiceAccount\nmetadata:\n  name: account-{state}\n");
        let size = 1 + state % 2;
        vec![
            ("keep.yaml".to_owned(), config_map("keep", "as ever")),
            ("change.yaml".to_owned(), config_map("change", &state.to_string())),
            ("own.yaml".to_owned(), config_map(&format!("own-{state}"), "here")),
            ("account.yaml".to_owned(), account),
            ("third.yaml".to_owned(), third),
            ("web.yaml".to_owned(), deployment("web").replace("replicas: 1", &format!("replicas: {size}"))),
        ]
    }

    /// Pushes the next state; windlass is not told.
    pub fn commit(&mut self) -> CommitId {
        self.state += 1;
        let files = self.files(self.state);
        let files: Vec<_> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
        let commit = self.repo.commit(&format!("state {}", self.state), &files);
        self.repo.slip_in("refs/heads/main");
        commit
    }

    /// Posts the delivery of a commit and returns the status code of the answer.
    pub async fn deliver(&mut self, commit: &CommitId) -> u16 {
        self.try_deliver(commit).await.expect("the door answers")
    }

    async fn try_deliver(&mut self, commit: &CommitId) -> Option<u16> {
        let status = self.crew.deliver(&self.repo.full_name(), self.delivered.last(), commit).await;
        if status == Some(202) {
            self.delivered.push(commit.clone());
        }
        status
    }

    /// Pushes the next state and tells windlass, which may be unable to hear it; returns the status code of the answer.
    /// Whatever happens to windlass, the commit may have statuses that were told twice.
    pub async fn try_push(&mut self) -> Option<u16> {
        let commit = self.commit();
        self.twice.insert(commit.clone());
        self.try_deliver(&commit).await
    }

    /// Pushes the next state and tells windlass.
    pub async fn push(&mut self) -> CommitId {
        let commit = self.commit();
        assert_eq!(self.deliver(&commit).await, 202);
        commit
    }

    /// Returns how many statuses the forge was not told yet.
    pub async fn untold(&self) -> i64 {
        self.crew.history("SELECT count(*) FROM statuses WHERE wanting = 1 AND muted = 0").await
    }

    /// Returns how much is left to work on: messages, rows without a verdict, and deliveries that have no row yet. What is on
    /// loan is nobody's message here; and of what was refused, some may have been kept all the same, and have a row.
    async fn unworked(&self) -> i64 {
        let known = self
            .crew
            .text("SELECT coalesce(string_agg(commit_id, ' '), '') FROM ledger")
            .await
            .unwrap_or_default();
        let delivered: BTreeSet<&CommitId> = self.delivered.iter().collect();
        let unknown = delivered.iter().filter(|one| !known.contains(one.as_str())).count();
        let unknown = i64::try_from(unknown).unwrap();
        let open = self.crew.history("SELECT count(*) FROM ledger WHERE open = 1").await;
        self.crew.messages().await.0 + open + unknown
    }

    /// Waits until every verdict is known, whether the forge was told or not.
    pub async fn worked_off(&self) {
        until("every verdict is known", async || {
            // Between two looks the last message may have made another one.
            (self.unworked().await == 0 && self.unworked().await == 0).then_some(())
        })
        .await;
    }

    async fn left(&self) -> i64 {
        self.unworked().await + self.untold().await
    }

    /// Waits until windlass has nothing left to do, and makes sure that nothing was lost, nothing was orphaned, every
    /// delivered commit has one verdict, and the cluster holds the tip.
    pub async fn check(&mut self) {
        let rig = &*self;
        let settled = until("windlass has nothing left to do", async || {
            if rig.left().await > 0 {
                return None;
            }
            // Between two looks the last message may have made another one.
            (rig.left().await == 0).then_some(())
        });
        if futures::FutureExt::catch_unwind(std::panic::AssertUnwindSafe(settled)).await.is_err() {
            let said = self.crew.said();
            panic!("windlass does not settle; it said:\n{said}");
        }
        assert_eq!(self.crew.messages().await.1, 0, "dead letters");
        self.check_cluster().await;
        for commit in &self.delivered {
            self.check_statuses(commit).await;
        }
        self.settled = self.delivered.len();
    }

    async fn check_cluster(&self) {
        let (base, namespace, state) = ("/api/v1/namespaces", &self.namespace, self.state);
        let third = |odd: usize| (state % 2 == odd).then(|| format!("third-{state}")).into_iter().collect();
        let config_maps = vec!["change".to_owned(), "keep".to_owned(), format!("own-{state}")];
        let lists = [
            (format!("{base}/{namespace}/configmaps"), config_maps),
            (format!("{base}/{namespace}/serviceaccounts"), vec![format!("account-{state}")]),
            (format!("{base}/{namespace}/secrets"), third(1)),
            (format!("{base}/{}/services", self.annex), third(0)),
            (format!("/apis/apps/v1/namespaces/{namespace}/deployments"), vec!["web".to_owned()]),
        ];
        for (path, wanted) in lists {
            let objects = self.kube.list(&path).await;
            let name = |object: &Value| object["metadata"]["name"].as_str().unwrap().to_owned();
            // The cluster puts these two into every namespace.
            let ours: Vec<_> = objects
                .iter()
                .filter(|one| !["kube-root-ca.crt", "default"].contains(&name(one).as_str()))
                .collect();
            let found: Vec<_> = ours.iter().map(|one| name(one)).collect();
            assert_eq!(found, wanted, "{path} at state {state}");
            for object in ours {
                let label = &object["metadata"]["labels"]["applyset.kubernetes.io/part-of"];
                assert!(label.is_string(), "{} is no member", name(object));
            }
        }
        let change = self.kube.find(&format!("{base}/{namespace}/configmaps/change")).await.unwrap();
        assert_eq!(change["data"]["key"], state.to_string().as_str());
        let web =
            self.kube.find(&format!("/apis/apps/v1/namespaces/{namespace}/deployments/web")).await.unwrap();
        assert_eq!(web["spec"]["replicas"], 1 + state % 2);
    }

    /// Makes sure that a commit has one verdict for its target and one for the whole, and nothing after it; told once,
    /// unless windlass was killed meanwhile.
    async fn check_statuses(&self, commit: &CommitId) {
        let tip = self.delivered.last() == Some(commit);
        let mut contexts: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for status in self.repo.statuses(commit).await {
            contexts.entry(status.context).or_default().push(status.state);
        }
        let names: Vec<_> = contexts.keys().map(String::as_str).collect();
        assert_eq!(names, ["windlass", "windlass/shop@east"], "{}", commit.short());
        for (context, mut states) in contexts {
            let shown = format!("{context} of {} (tip: {tip}): {states:?}", commit.short());
            if self.twice.contains(commit) {
                states.dedup();
            }
            let finals: Vec<_> = states.iter().filter(|state| *state != "pending").collect();
            assert_eq!(finals.len(), 1, "{shown}");
            assert_eq!(finals.first(), states.last().as_ref(), "{shown}");
            let allowed: &[&str] = if tip { &["success"] } else { &["success", "warning"] };
            assert!(allowed.contains(&finals[0].as_str()), "{shown}");
        }
    }

    /// Returns what windlass asked of the API server since a mark.
    pub async fn asked_since(&self, mark: u64) -> Vec<Asked> {
        self.kube.asked_since(mark, &self.installation).await
    }

    /// Takes everything away.
    pub async fn clear(mut self) {
        self.crew.end();
        for namespace in [&self.namespace, &self.annex, &self.installation] {
            self.kube.delete(&format!("/api/v1/namespaces/{namespace}")).await;
        }
        self.repo.discard().await;
    }
}
