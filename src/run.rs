//! A process of the line: starts its roles, serves its pages, and ends in order when it is told to stop.

use std::collections::BTreeSet;
use std::io::IsTerminal;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::path::Path;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::task::JoinHandle;
use windlass::cli::LogFormat;
use windlass::cli::LogLevel;
use windlass::cluster::Cluster;
use windlass::control::Desk;
use windlass::intake::Intake;
use windlass::line::Line;
use windlass::queue::Lane;
use windlass::queue::Queue;
use windlass::reconcile::Policy;
use windlass::reconcile::Reconciler;
use windlass::reload::Changes;
use windlass::role::Part;
use windlass::role::Role;
use windlass::server::Metrics;
use windlass::settings::Settings;
use windlass::store::Store;
use windlass::telemetry;
use windlass::telemetry::Exporter;
use windlass::worker::Stop;

/// How often are the depths of the embedded queue measured?
const DEPTH_EVERY: Duration = Duration::from_secs(5);

/// How often are they measured at a broker, which every process asks?
const DEPTH_AT_BROKER_EVERY: Duration = Duration::from_secs(15);

/// What the arguments say about logs.
#[derive(Clone, Copy, Debug)]
pub struct Logging {
    /// How much.
    pub level: Option<LogLevel>,
    /// How lines look.
    pub format: Option<LogFormat>,
}

/// Runs a part of the line until it is told to stop.
pub async fn run(settings: Settings, config: Option<&Path>, logging: Logging) -> anyhow::Result<ExitCode> {
    let exporter = log(&settings, logging)?;
    // First of all: until then, SIGHUP ends a process, and what changes is told to nobody.
    let changes = Changes::begin(&settings.files);
    let numbers = telemetry::Numbers::install().context("count")?;
    let exporting = exporter.map(Exporter::start);
    let Line { intake, roles, policy, queue, store } = Line::build(&settings).await?;
    let listener = listen(&settings)?;
    let desk = desk(&settings, &queue, store.as_ref());
    let render = numbers.render();
    tokio::spawn(numbers.upkeep());
    tokio::spawn(measure(queue.clone(), windlass::line::lanes(&settings), settings.queue.url.is_some()));
    let stopped = stop_when_signalled();
    if settings.part.has_any(&[Role::Door, Role::Reconcile]) {
        let (config, part) = (config.map(Path::to_path_buf), settings.part.clone());
        let clusters = roles.reconcile.iter().flat_map(Reconciler::clusters).cloned().collect();
        let asked = Asked { config, part, intake: intake.clone(), policy, clusters };
        tokio::spawn(renew(settings.files.clone(), changes, asked));
    }
    introduce(&settings, listener.as_ref())?;
    let mut workers = tokio::spawn(windlass::worker::run(roles, stopped.clone()));
    let mut served = tokio::spawn(serve(settings.clone(), listener, intake, render, stopped.clone()));
    told_or_ended(stopped, &mut served).await?;
    let limits = settings.door.limits;
    let by = tokio::time::Instant::now() + limits.announce_for + limits.stop_within;
    if tokio::time::timeout_at(by, &mut workers).await.is_err() {
        tracing::warn!("what was still under way is begun again, by the next start or by another process");
    }
    served.await.context("serve")??;
    close(desk).await;
    queue.close().await;
    if let Some(exporting) = exporting {
        exporting.finish().await;
    }
    tracing::info!("stopped");
    Ok(ExitCode::SUCCESS)
}

/// Closes the way for `windlass dead`. Its socket goes before the queue: after that, it may be another one's.
async fn close(desk: Option<JoinHandle<()>>) {
    if let Some(desk) = desk {
        desk.abort();
        let _aborted = desk.await;
    }
}

/// Lets `windlass dead` in, where the queue is in a file that only this process can read.
fn desk(settings: &Settings, queue: &Queue, store: Option<&Store>) -> Option<JoinHandle<()>> {
    if settings.queue.url.is_some() {
        return None;
    }
    match Desk::open(&settings.data) {
        Ok(desk) => Some(tokio::spawn(desk.serve(queue.clone(), store.cloned()))),
        Err(error) => {
            let error = windlass::fault::chain(&error);
            tracing::warn!("failed to {error}: windlass dead works only while this process is stopped");
            None
        }
    }
}

/// Begins to log; returns what exports traces, where there is a collector.
fn log(settings: &Settings, Logging { level, format }: Logging) -> anyhow::Result<Option<Exporter>> {
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let colorless = no_color || !std::io::stderr().is_terminal();
    let (format, level) = (format.unwrap_or(settings.log.format), level.unwrap_or(settings.log.level));
    let traces = settings.telemetry.otlp.as_deref();
    let traces = traces.map(|url| Exporter::to(url, settings.telemetry.sample)).transpose()?;
    let (recorder, exporter) = traces.unzip();
    telemetry::log(format, level, colorless, recorder)
        .map_err(|error| anyhow::anyhow!("begin to log: {error}"))?;
    Ok(exporter)
}

/// Waits for the word to stop. A server that ends before that is an error: whoever watches this process shall see that it is
/// of no use any more, and start it anew.
async fn told_or_ended(stopped: Stop, served: &mut JoinHandle<anyhow::Result<()>>) -> anyhow::Result<()> {
    tokio::select! {
        biased;
        () = told(stopped) => Ok(()),
        ended = served => {
            ended.context("serve")??;
            anyhow::bail!("serve: the server ended by itself; start windlass again, and please report it")
        }
    }
}

/// Serves the door, or without it the pages about this process, where they have an address.
async fn serve(
    settings: Settings,
    listener: Option<TcpListener>,
    intake: Arc<Intake>,
    render: Metrics,
    stopped: Stop,
) -> anyhow::Result<()> {
    let Some(listener) = listener else {
        told(stopped).await;
        return Ok(());
    };
    let guests = windlass::line::guests(&settings);
    windlass::server::serve(settings.door.limits, guests, intake, render, listener, told(stopped))
        .await
        .context("serve")
}

/// Says that the process runs, once it does, as what and at which address.
fn introduce(settings: &Settings, listener: Option<&TcpListener>) -> anyhow::Result<()> {
    settings.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    let address = listener.map(TcpListener::local_addr).transpose().context("listen")?;
    let listen = address.map(|address| address.to_string()).unwrap_or_default();
    let roles: Vec<&str> =
        Role::ALL.iter().filter(|role| settings.part.has(**role)).map(|role| role.word()).collect();
    let applications = settings.applications.len();
    tracing::info!(listen, roles = roles.join(" "), applications, "windlass runs");
    Ok(())
}

/// Takes the address of this process: the door's, or else that of workers, which may have none.
fn listen(settings: &Settings) -> anyhow::Result<Option<TcpListener>> {
    let (key, address) = if settings.part.has(Role::Door) {
        ("door.listen", Some(settings.door.listen))
    } else {
        ("work.listen", settings.work.listen)
    };
    address.map(|address| bind(key, address)).transpose()
}

fn bind(key: &str, address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .with_context(|| format!("listen on {address}: is another windlass running? {key} sets the address"))
}

/// Returns what turns true once the process is told to stop.
fn stop_when_signalled() -> Stop {
    let (stop, stopped) = tokio::sync::watch::channel(false);
    tokio::spawn(async move {
        signalled().await;
        tracing::info!("stopping: nothing new is taken, what was taken is finished");
        stop.send_replace(true);
    });
    stopped
}

/// By what the settings are read again, and for whom.
struct Asked {
    config: Option<PathBuf>,
    part: Part,
    intake: Arc<Intake>,
    policy: Policy,
    clusters: Vec<Cluster>,
}

impl Asked {
    /// Adds the kubeconfigs that this process goes on with, whatever the settings say by now.
    fn with_kubeconfigs(&self, mut files: BTreeSet<PathBuf>) -> BTreeSet<PathBuf> {
        files.extend(self.clusters.iter().filter_map(Cluster::kubeconfig).map(Path::to_path_buf));
        files
    }
}

/// Takes new secrets of webhooks, lists of signers and kubeconfigs whenever the settings or one of those files change, for
/// ever. With settings that are in error, the old secrets and lists stay. Kubeconfigs are read all the same, each for itself.
async fn renew(mut files: BTreeSet<PathBuf>, mut changes: Changes, asked: Asked) {
    loop {
        changes.next().await;
        while let Some(found) =
            read_again(&asked).map(|found| asked.with_kubeconfigs(found)).filter(|found| *found != files)
        {
            // What changed before it was watched was told to nobody, so it is read once more.
            changes = Changes::begin(&found);
            files = found;
        }
        for cluster in &asked.clusters {
            match cluster.renew().await {
                Ok(true) => tracing::info!(cluster = %cluster.name(), "the kubeconfig was read again"),
                Ok(false) => {}
                Err(error) => {
                    let error = windlass::fault::chain(&error);
                    tracing::error!("failed to {error}; windlass goes on with what it read before");
                }
            }
        }
    }
}

/// Reads the settings and takes what may change; returns the files to watch from now on.
fn read_again(asked: &Asked) -> Option<BTreeSet<PathBuf>> {
    match Settings::load(asked.config.as_deref(), &std::env::vars().collect(), &asked.part) {
        Ok(settings) => {
            asked.intake.renew(windlass::line::keys(&settings));
            asked.policy.renew(windlass::line::required(&settings));
            tracing::info!(
                "the secrets of webhooks and the lists of signers were read again, as kubeconfigs are; other settings \
                 count from the next start"
            );
            Some(settings.files)
        }
        Err(problems) => {
            problems.iter().for_each(|problem| tracing::error!("{problem}"));
            tracing::error!(
                "the secrets of webhooks and the lists of signers stay as they are: the settings are in error"
            );
            None
        }
    }
}

async fn told(mut stopped: Stop) {
    // A sender that is gone means the same as its word.
    let _gone = stopped.wait_for(|stopped| *stopped).await;
}

/// Waits for SIGTERM or SIGINT.
async fn signalled() {
    use tokio::signal::unix::SignalKind;
    use tokio::signal::unix::signal;
    match (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) {
        (Ok(mut terminate), Ok(mut interrupt)) => {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        }
        (terminate, interrupt) => {
            tracing::error!(
                ?terminate,
                ?interrupt,
                "failed to listen for signals: only SIGKILL ends this process"
            );
            std::future::pending::<()>().await;
        }
    }
}

/// Measures lanes of the queue for the metrics, for ever.
async fn measure(queue: Queue, lanes: Vec<Lane>, at_broker: bool) {
    let every = if at_broker { DEPTH_AT_BROKER_EVERY } else { DEPTH_EVERY };
    loop {
        // First, since a broker that does not answer is waited for.
        for lane in lanes.iter().filter(|_| at_broker) {
            if let Ok(held) = queue.held(lane).await {
                telemetry::note_held(lane, held);
            }
        }
        for lane in &lanes {
            if let Ok(depth) = queue.depth(lane).await {
                let age = depth.oldest.map_or(0, |oldest| windlass::clock::now().since(oldest));
                telemetry::note_depth(lane, &depth, Duration::from_millis(age));
                if !at_broker {
                    telemetry::note_held(lane, depth.count);
                }
            }
        }
        tokio::time::sleep(every).await;
    }
}
