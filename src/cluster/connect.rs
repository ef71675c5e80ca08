//! Reaching a cluster.

use std::sync::Arc;
use std::sync::PoisonError;
use std::sync::RwLock;
use std::time::Duration;

use http::HeaderValue;
use kube::config::KubeConfigOptions;
use kube::config::Kubeconfig;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::ANSWER_BYTES;
use super::Cluster;
use super::Error;
use super::Settings;
use super::client::client;
use crate::application::Name;

/// How long may a connection take?
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// How long may a connection that waits for an answer be silent?
const SILENT_FOR: Duration = Duration::from_secs(30);

/// How many bytes may one watch bring before it is begun anew?
const WATCH_BYTES: usize = 256 << 20;

/// How large may a kubeconfig be, in bytes?
const KUBECONFIG_BYTES: u64 = 1 << 20;

/// By what a cluster is reached.
pub(super) struct Connection {
    /// Where it is.
    server: http::Uri,
    /// For requests that end soon.
    requests: kube::Client,
    /// For watches, which have no read limit of their own: silence is normal there.
    watches: kube::Client,
}

impl Connection {
    fn new(mut config: kube::Config, settings: &Settings) -> Result<Self, String> {
        config.connect_timeout = Some(CONNECT_WITHIN);
        config.default_retry = false;
        let own = agent(&settings.installation, None);
        let own = HeaderValue::from_str(&own).map_err(|error| error.to_string())?;
        let mut watching = config.clone();
        watching.read_timeout = None;
        config.read_timeout = Some(SILENT_FOR);
        config.reset_reader_on_write = true;
        let made = |config, limit| client(config, limit, &own).map_err(|error| error.to_string());
        let (requests, watches) = (made(&config, ANSWER_BYTES)?, made(&watching, WATCH_BYTES)?);
        Ok(Self { server: config.cluster_url, requests, watches })
    }
}

impl Cluster {
    /// Prepares a connection; nothing is sent yet.
    ///
    /// # Errors
    /// A kubeconfig that cannot be read, that names no such context, or whose user needs a program or a file: windlass
    /// runs no programs of a kubeconfig and reads no files that it names.
    pub async fn connect(settings: Settings) -> Result<Self, Error> {
        let failed = |why: String| Error::Kubeconfig { cluster: settings.name.to_string(), why };
        let config = config(&settings).await.map_err(failed)?;
        let connection = Arc::new(RwLock::new(Connection::new(config, &settings).map_err(failed)?));
        let slots = Arc::new(Semaphore::new(settings.requests.max(1)));
        let (kinds, reports) = (Arc::default(), Arc::default());
        Ok(Self {
            settings: Arc::new(settings),
            connection,
            kinds,
            reports,
            slots,
            breaker: Arc::default(),
            known_since: Instant::now(),
            agent: None,
            user: None,
        })
    }

    /// Reads the kubeconfig again, and asks by what it says from the next request on, in all clones: credentials and
    /// authorities have an end. What is under way ends as it began. Returns whether there is one: without it nothing is
    /// done, since the token of a pod is read anew by itself.
    ///
    /// # Errors
    /// As [`Cluster::connect`], and a kubeconfig that names another server, which may be another cluster: nothing changes
    /// then.
    pub async fn renew(&self) -> Result<bool, Error> {
        if self.settings.kubeconfig.is_none() {
            return Ok(false);
        }
        let failed = |why: String| Error::Kubeconfig { cluster: self.settings.name.to_string(), why };
        let config = config(&self.settings).await.map_err(failed)?;
        let renewed = Connection::new(config, &self.settings).map_err(failed)?;
        let mut connection = self.connection.write().unwrap_or_else(PoisonError::into_inner);
        if renewed.server != connection.server {
            let (server, now) = (&renewed.server, &connection.server);
            return Err(failed(format!("it names the server {server} in place of {now}; restart windlass")));
        }
        *connection = renewed;
        Ok(true)
    }

    /// Returns by what requests are sent now.
    pub(super) fn client(&self) -> kube::Client {
        self.connection.read().unwrap_or_else(PoisonError::into_inner).requests.clone()
    }

    /// Returns by what watches are opened now.
    pub(super) fn watching(&self) -> kube::Client {
        self.connection.read().unwrap_or_else(PoisonError::into_inner).watches.clone()
    }
}

/// Returns what the audit log of the server shows beside every request: who asks and, of a pass, in which run.
pub(super) fn agent(installation: &Name, run: Option<&str>) -> String {
    let run = run.map(|run| format!(" run/{run}")).unwrap_or_default();
    format!("windlass/{}{run} ({installation})", env!("CARGO_PKG_VERSION"))
}

async fn config(settings: &Settings) -> Result<kube::Config, String> {
    let Some(path) = &settings.kubeconfig else {
        return kube::Config::incluster()
            .map_err(|error| format!("{error}; outside a pod, set clusters.kubeconfig to a file"));
    };
    let shown = path.display();
    let size = tokio::fs::metadata(path).await.map_err(|error| format!("{shown}: {error}"))?.len();
    if size > KUBECONFIG_BYTES {
        return Err(format!("{shown} has {size} bytes, more than {KUBECONFIG_BYTES}"));
    }
    let text = tokio::fs::read_to_string(path).await.map_err(|error| format!("{shown}: {error}"))?;
    // The parser may quote what it cannot read, and a kubeconfig is full of secrets.
    let kubeconfig = Kubeconfig::from_yaml(&text).map_err(|_| format!("{shown} is not a kubeconfig"))?;
    harmless(&kubeconfig).map_err(|why| format!("{shown}: {why}"))?;
    let options = KubeConfigOptions { context: settings.context.clone(), ..KubeConfigOptions::default() };
    kube::Config::from_custom_kubeconfig(kubeconfig, &options)
        .await
        .map_err(|error| format!("{shown}: {error}"))
}

/// Refuses what would run a program or read another file.
fn harmless(kubeconfig: &Kubeconfig) -> Result<(), String> {
    let advice =
        "kubectl config view --flatten --minify embeds files; a ServiceAccount's token replaces a program";
    for named in &kubeconfig.auth_infos {
        let Some(user) = &named.auth_info else { continue };
        let found = [
            ("exec", user.exec.is_some()),
            ("auth-provider", user.auth_provider.is_some()),
            ("tokenFile", user.token_file.is_some()),
            ("client-certificate", user.client_certificate.is_some()),
            ("client-key", user.client_key.is_some()),
        ];
        if let Some((field, _)) = found.into_iter().find(|(_, there)| *there) {
            return Err(format!("user {} has {field}, which is refused: {advice}", named.name));
        }
    }
    for named in &kubeconfig.clusters {
        if named.cluster.as_ref().is_some_and(|cluster| cluster.certificate_authority.is_some()) {
            return Err(format!(
                "cluster {} has certificate-authority, which is refused: {advice}",
                named.name
            ));
        }
    }
    Ok(())
}
