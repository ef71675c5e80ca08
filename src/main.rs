//! The program: reads what is asked for, puts the line together, and runs it until it is told to stop.

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
use windlass::cli::Arguments;
use windlass::cli::Command;
use windlass::cli::LogFormat;
use windlass::cli::LogLevel;
use windlass::intake::Intake;
use windlass::line::LANE;
use windlass::line::Line;
use windlass::queue::Lane;
use windlass::queue::Queue;
use windlass::reload::Changes;
use windlass::settings::Settings;
use windlass::telemetry;
use windlass::telemetry::Exporter;
use windlass::worker::Stop;

mod print;

use print::WRONG;
use print::complain;
use print::load;

/// How long may threads take to end once all work has?
const LEAVE_WITHIN: Duration = Duration::from_secs(1);

/// How often are the depths of the queue measured?
const DEPTH_EVERY: Duration = Duration::from_secs(5);

fn main() -> ExitCode {
    windlass::courier::prepare();
    windlass::source::prepare();
    let Arguments { command, log_level, log_format } = Arguments::read();
    let ended = match command {
        Command::Run(file) => load(file.config.as_deref()).and_then(|settings| match settings {
            Some(settings) => run(settings, file.config.as_deref(), log_level, log_format),
            None => Ok(ExitCode::from(WRONG)),
        }),
        Command::CheckConfig(file) => check_config(file.config.as_deref()),
        Command::Config => print::out(windlass::settings::DEFAULTS).map(|()| ExitCode::SUCCESS),
        Command::Render(asked) => print::render(&asked),
        Command::History(asked) => block_on(print::history(&asked)),
        Command::Deliveries(asked) => block_on(print::deliveries::deliveries(&asked)),
        Command::Explain(asked) => block_on(print::explain::explain(&asked)),
        Command::Read(asked) => print::read::read(&asked),
        Command::Knock(asked) => block_on(print::knock(&asked)),
    };
    ended.unwrap_or_else(|error| {
        complain(&format!("failed to {error:#}"));
        ExitCode::FAILURE
    })
}

fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.context("start the runtime")?;
    let ended = runtime.block_on(work);
    // A fetch on its own thread must not keep the process.
    runtime.shutdown_timeout(LEAVE_WITHIN);
    ended
}

fn check_config(config: Option<&Path>) -> anyhow::Result<ExitCode> {
    let Some(settings) = load(config)? else { return Ok(ExitCode::from(WRONG)) };
    settings.warnings.iter().for_each(|warning| complain(&format!("warning: {warning}")));
    let (sources, clusters) = (settings.sources.len(), settings.clusters.len());
    let (forges, applications) = (settings.forges.len(), settings.applications.len());
    print::out(&format!(
        "The settings are fine. Forges: {forges}, sources: {sources}, clusters: {clusters}, applications: {applications}.\n"
    ))?;
    Ok(ExitCode::SUCCESS)
}

fn run(
    settings: Settings,
    config: Option<&Path>,
    level: Option<LogLevel>,
    format: Option<LogFormat>,
) -> anyhow::Result<ExitCode> {
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let colorless = no_color || !std::io::stderr().is_terminal();
    let (format, level) = (format.unwrap_or(settings.log.format), level.unwrap_or(settings.log.level));
    let traces = settings.telemetry.otlp.as_deref();
    let traces = traces.map(|url| Exporter::to(url, settings.telemetry.sample)).transpose()?;
    let (recorder, exporter) = traces.unzip();
    telemetry::log(format, level, colorless, recorder)
        .map_err(|error| anyhow::anyhow!("begin to log: {error}"))?;
    block_on(serve(settings, config, exporter))
}

async fn serve(
    settings: Settings,
    config: Option<&Path>,
    exporter: Option<Exporter>,
) -> anyhow::Result<ExitCode> {
    // First of all: until then, SIGHUP ends a process, and what changes is told to nobody.
    let changes = Changes::begin(&settings.files);
    let numbers = telemetry::Numbers::install().context("count")?;
    let exporting = exporter.map(Exporter::start);
    let Line { intake, roles, queue, .. } = Line::build(&settings).await?;
    let listener = listen(settings.door.listen)?;
    let render = numbers.render();
    tokio::spawn(numbers.upkeep());
    tokio::spawn(measure(queue.clone()));
    let stopped = stop_when_signalled();
    tokio::spawn(renew(intake.clone(), settings.files.clone(), changes, config.map(Path::to_path_buf)));
    introduce(&settings, listener.local_addr().context("listen")?);
    let workers = tokio::spawn(windlass::worker::run(roles, stopped.clone()));
    let (limits, guests) = (settings.door.limits, windlass::line::guests(&settings));
    windlass::server::serve(limits, guests, intake, render, listener, told(stopped))
        .await
        .context("serve")?;
    if tokio::time::timeout(limits.stop_within, workers).await.is_err() {
        tracing::warn!("what was still under way comes back at the next start");
    }
    queue.close().await;
    if let Some(exporting) = exporting {
        exporting.finish().await;
    }
    tracing::info!("stopped");
    Ok(ExitCode::SUCCESS)
}

/// Says that the line runs, once it does, and at which address.
fn introduce(settings: &Settings, listen: SocketAddr) {
    settings.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    tracing::info!(%listen, applications = settings.applications.len(), "windlass runs");
}

fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).with_context(|| {
        format!("listen on {address}: is another windlass running? door.listen sets the address")
    })
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

/// Takes new secrets of webhooks whenever the settings or the file of a secret change, for ever. With settings that
/// are in error, the old ones stay.
async fn renew(
    intake: Arc<Intake>,
    mut files: BTreeSet<PathBuf>,
    mut changes: Changes,
    config: Option<PathBuf>,
) {
    loop {
        changes.next().await;
        while let Some(found) = read_again(&intake, config.as_deref()).filter(|found| *found != files) {
            // What changed before it was watched was told to nobody, so it is read once more.
            changes = Changes::begin(&found);
            files = found;
        }
    }
}

/// Reads the settings and takes the secrets of webhooks; returns the files to watch from now on.
fn read_again(intake: &Intake, config: Option<&Path>) -> Option<BTreeSet<PathBuf>> {
    match Settings::load(config, &std::env::vars().collect()) {
        Ok(settings) => {
            intake.renew(windlass::line::keys(&settings));
            tracing::info!(
                "the secrets of webhooks were read again; other settings count from the next start"
            );
            Some(settings.files)
        }
        Err(problems) => {
            problems.iter().for_each(|problem| tracing::error!("{problem}"));
            tracing::error!("the secrets of webhooks stay as they are: the settings are in error");
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

/// Measures the queue for the metrics, for ever.
async fn measure(queue: Queue) {
    let lanes = [Lane::events(), Lane::jobs(LANE), Lane::watch(LANE), Lane::reports()];
    loop {
        for lane in &lanes {
            if let Ok(depth) = queue.depth(lane).await {
                let age = depth.oldest.map_or(0, |oldest| windlass::clock::now().since(oldest));
                telemetry::note_depth(lane, &depth, Duration::from_millis(age));
            }
        }
        tokio::time::sleep(DEPTH_EVERY).await;
    }
}
