//! Reaching a cluster.

use std::fmt;
use std::hash::DefaultHasher;
use std::hash::Hash;
use std::hash::Hasher;
use std::path::Path;
use std::sync::Arc;
use std::sync::PoisonError;
use std::sync::RwLock;
use std::time::Duration;

use http::HeaderValue;
use kube::config::KubeConfigOptions;
use kube::config::Kubeconfig;
use tokio::io::AsyncReadExt;
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
    server: Server,
    /// A digest of the kubeconfig that says so.
    read: u64,
    /// For requests that end soon.
    requests: kube::Client,
    /// For watches, which have no read limit of their own: silence is normal there.
    watches: kube::Client,
}

impl Connection {
    fn new(Access { mut config, read }: Access, settings: &Settings) -> Result<Self, String> {
        // Its address may hold a password.
        if config.proxy_url.is_some() {
            return Err(
                "windlass goes through no proxy: take proxy-url out of it, or HTTPS_PROXY out of the environment"
                    .to_owned()
            );
        }
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
        Ok(Self { server: Server::of(&config), read, requests, watches })
    }
}

/// Where an API server is, without the credentials that an address may hold.
#[derive(PartialEq, Eq)]
struct Server {
    scheme: String,
    host: String,
    port: u16,
    /// Some serve many clusters, each below a path of its own.
    path: String,
    /// The name that its certificate is for, where that is another one.
    name: Option<String>,
}

impl Server {
    fn of(config: &kube::Config) -> Self {
        let url = &config.cluster_url;
        let scheme = url.scheme_str().unwrap_or("https").to_owned();
        let port = url.port_u16().unwrap_or(if scheme == "http" { 80 } else { 443 });
        let (host, path) =
            (url.host().unwrap_or_default().to_owned(), url.path().trim_end_matches('/').to_owned());
        Self { scheme, host, port, path, name: config.tls_server_name.clone() }
    }
}

impl fmt::Display for Server {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scheme, host, port, path, name } = self;
        write!(out, "{scheme}://{host}:{port}{path}")?;
        name.as_ref().map_or(Ok(()), |name| write!(out, " ({name})"))
    }
}

/// How a cluster is to be reached.
struct Access {
    config: kube::Config,
    /// A digest of the kubeconfig; 0 without one.
    read: u64,
}

impl Cluster {
    /// Prepares a connection; nothing is sent yet.
    ///
    /// # Errors
    /// A kubeconfig that cannot be read, that names no such context, or whose user needs a program or a file: windlass
    /// runs no programs of a kubeconfig and reads no files that it names.
    pub async fn connect(settings: Settings) -> Result<Self, Error> {
        let failed = |why: String| Error::Kubeconfig { cluster: settings.name.to_string(), why };
        let access = access(&settings).await.map_err(failed)?;
        let connection = Arc::new(RwLock::new(Connection::new(access, &settings).map_err(failed)?));
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
    /// authorities have an end. What is under way ends as it began. Returns whether it says something new; without one
    /// nothing is done, since the token of a pod is read anew by itself. That another cluster came to the place of the server
    /// is not noticed.
    ///
    /// # Errors
    /// As [`Cluster::connect`], and a kubeconfig that names another server, which may be another cluster: nothing changes
    /// then.
    pub async fn renew(&self) -> Result<bool, Error> {
        if self.settings.kubeconfig.is_none() {
            return Ok(false);
        }
        let failed = |why: String| Error::Kubeconfig { cluster: self.settings.name.to_string(), why };
        let access = access(&self.settings).await.map_err(failed)?;
        if access.read == self.connection.read().unwrap_or_else(PoisonError::into_inner).read {
            return Ok(false);
        }
        let renewed = Connection::new(access, &self.settings).map_err(failed)?;
        let mut connection = self.connection.write().unwrap_or_else(PoisonError::into_inner);
        if renewed.server != connection.server {
            let (server, now) = (&renewed.server, &connection.server);
            return Err(failed(format!("it names the server {server} in place of {now}; restart windlass")));
        }
        *connection = renewed;
        drop(connection);
        // What did not answer may do so now.
        self.note(true);
        Ok(true)
    }

    /// Returns the kubeconfig that it is reached by, where it is.
    #[must_use]
    pub fn kubeconfig(&self) -> Option<&Path> {
        self.settings.kubeconfig.as_deref()
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

async fn access(settings: &Settings) -> Result<Access, String> {
    let Some(path) = &settings.kubeconfig else {
        let config = kube::Config::incluster()
            .map_err(|error| format!("{error}; outside a pod, set clusters.kubeconfig to a file"))?;
        return Ok(Access { config, read: 0 });
    };
    let shown = path.display();
    let text = text(path).await.map_err(|why| format!("{shown}: {why}"))?;
    // The parser may quote what it cannot read, and a kubeconfig is full of secrets.
    let kubeconfig = Kubeconfig::from_yaml(&text).map_err(|_| format!("{shown} is not a kubeconfig"))?;
    harmless(&kubeconfig).map_err(|why| format!("{shown}: {why}"))?;
    let options = KubeConfigOptions { context: settings.context.clone(), ..KubeConfigOptions::default() };
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &options).await;
    let mut digest = DefaultHasher::new();
    text.hash(&mut digest);
    Ok(Access { config: config.map_err(|error| format!("{shown}: {error}"))?, read: digest.finish() })
}

/// Reads a file, whatever is written to it meanwhile. A pipe, of which nobody knows when something comes, is none.
async fn text(path: &Path) -> Result<String, String> {
    let words = |error: std::io::Error| error.to_string();
    if !tokio::fs::metadata(path).await.map_err(words)?.is_file() {
        return Err("is no file that can be read whole: put the kubeconfig itself there".to_owned());
    }
    let mut text = String::new();
    let file = tokio::fs::File::open(path).await.map_err(words)?;
    let read = file.take(KUBECONFIG_BYTES + 1).read_to_string(&mut text).await.map_err(words)?;
    if u64::try_from(read).is_ok_and(|read| read <= KUBECONFIG_BYTES) {
        Ok(text)
    } else {
        Err(format!("has more than {KUBECONFIG_BYTES} bytes"))
    }
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
