//! Everything that the demo plays on: a namespace, a repository with a webhook, and a windlass between them.

use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use kube::config::Kubeconfig;
use tokio::sync::Mutex;

use crate::cluster::Cluster;
use crate::forge::Forge;
use crate::world::bed;
use crate::world::process::Feed;
use crate::world::process::Home;
use crate::world::process::Process;

/// How long may windlass take to stop when it is told to?
const STOP_WITHIN: Duration = Duration::from_secs(25);

/// Where objects are made.
pub struct Where {
    /// What the cluster is called here.
    pub cluster: &'static str,
    /// The address of its API.
    pub server: String,
    /// The kubeconfig.
    pub kubeconfig: PathBuf,
    /// The namespace that is made, and deleted at the end.
    pub namespace: String,
    /// Is it the cluster of the test bed?
    pub is_bed: bool,
    /// How long may one step of the demo take?
    pub patience: Duration,
}

impl Where {
    /// Returns the bed's cluster.
    pub fn bed() -> Result<Self, String> {
        let file = PathBuf::from(bed("WINDLASS_BED_EAST_KUBECONFIG"));
        let server = server_of(&file)?;
        let (namespace, patience) = (namespace(), Duration::from_secs(30));
        Ok(Self { cluster: "east", server, kubeconfig: file, namespace, is_bed: true, patience })
    }

    /// Returns a cluster of the user's own, which may have to fetch an image first.
    pub fn own(file: &Path) -> Result<Self, String> {
        let file = std::path::absolute(file).map_err(|error| error.to_string())?;
        let server = server_of(&file)?;
        let (namespace, patience) = (namespace(), Duration::from_secs(180));
        Ok(Self { cluster: "mine", server, kubeconfig: file, namespace, is_bed: false, patience })
    }
}

/// Returns a name that nobody else uses.
fn namespace() -> String {
    let id = uuid::Uuid::now_v7().simple().to_string();
    format!("windlass-demo-{}", &id[id.len() - 6..])
}

/// Returns the address of the cluster of the current context.
fn server_of(file: &Path) -> Result<String, String> {
    let shown = file.display();
    let config = Kubeconfig::read_from(file).map_err(|error| format!("{shown}: {error}"))?;
    let context = config.current_context.as_ref().ok_or(format!("{shown} has no current context"))?;
    let named = config.contexts.iter().find(|one| one.name == *context);
    let name = named.and_then(|one| one.context.as_ref()).map(|context| &context.cluster);
    let cluster = config.clusters.iter().find(|one| Some(&one.name) == name);
    let server = cluster.and_then(|one| one.cluster.as_ref()).and_then(|cluster| cluster.server.clone());
    server.ok_or(format!("{shown}: its current context {context} names no server"))
}

/// The stage.
pub struct Stage {
    /// Where objects are made.
    pub place: Where,
    /// The cluster.
    pub cluster: Cluster,
    /// The repository.
    pub forge: Forge,
    process: Mutex<Option<Process>>,
    home: Home,
}

impl Stage {
    /// Makes the namespace and the repository.
    pub async fn make(place: Where) -> Self {
        let cluster = Cluster::connect(&place.kubeconfig, &place.namespace).await;
        let forge = Forge::new().await;
        let home = Home::new(&settings(&place, &forge));
        let stage = Self { place, cluster, forge, process: Mutex::default(), home };
        stage.cluster.make_namespace().await;
        stage
    }

    /// Starts windlass, and lets Gitea call it; returns where its door is.
    pub async fn start(&self, program: PathBuf) -> String {
        let token = bed("WINDLASS_BED_GITEA_BOT_TOKEN");
        let environment = [("DEMO_HOOK_SECRET", self.forge.secret.as_str()), ("DEMO_TOKEN", token)];
        let process = Process::start(&program, &self.home.config(), &environment).await;
        let door = process.door.clone();
        self.forge.hook(&format!("{door}/hooks/gitea")).await;
        *self.process.lock().await = Some(process);
        door
    }

    /// Returns windlass's log.
    pub async fn feed(&self) -> Feed {
        self.process.lock().await.as_ref().expect("windlass was started").feed()
    }

    /// Returns the end of windlass's log.
    pub async fn said(&self) -> String {
        self.process.lock().await.as_ref().map(Process::said).unwrap_or_default()
    }

    /// Stops windlass and takes away what was made; says what that was.
    pub async fn clear(&self) -> String {
        let mut stopped = true;
        if let Some(process) = &mut *self.process.lock().await {
            process.signal("TERM");
            stopped = process.ended(STOP_WITHIN).await.is_some_and(|status| status.success());
        }
        self.forge.delete().await;
        self.cluster.delete_namespace(!self.place.is_bed).await;
        assert!(stopped, "windlass did not stop as it was told to");
        format!("windlass stopped, the repository and the namespace {} are deleted", self.place.namespace)
    }
}

fn settings(place: &Where, forge: &Forge) -> String {
    let Where { cluster, kubeconfig, namespace, .. } = place;
    let (url, repository) = (bed("WINDLASS_BED_GITEA_URL"), &forge.full_name);
    let kubeconfig = toml::Value::String(kubeconfig.display().to_string());
    format!(
        r#"
[[forges]]
name = "gitea"
kind = "gitea"
private = true
url = "{url}"
webhook_secrets = [{{ env = "DEMO_HOOK_SECRET" }}]
token = {{ env = "DEMO_TOKEN" }}
read_token = {{ env = "DEMO_TOKEN" }}

[[sources]]
name = "shop"
forge = "gitea"
repository = "{repository}"

[[clusters]]
name = "{cluster}"
kubeconfig = {kubeconfig}
namespace = "{namespace}"

[[applications]]
name = "shop"
source = "shop"
ref = "refs/heads/main"
clusters = ["{cluster}"]
namespace = "{namespace}"
"#
    )
}
