//! The program: reads what is asked for, puts the line together, and runs it until it is told to stop.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use windlass::cli::Arguments;
use windlass::cli::CheckConfig;
use windlass::cli::Command;
use windlass::cli::DriftCommand;
use windlass::role::Part;
use windlass::role::Role;

mod print;
mod run;

use print::WRONG;
use print::complain;
use print::load;
use run::Logging;

/// How long may threads take to end once all work has?
const LEAVE_WITHIN: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    windlass::courier::prepare();
    windlass::source::prepare();
    let Arguments { command, log_level, log_format } = Arguments::read();
    let logging = Logging { level: log_level, format: log_format };
    let ended = match command {
        Command::Run(file) => start(file.config.as_deref(), &Part::whole(), logging),
        Command::Serve(file) => start(file.config.as_deref(), &Part::of([Role::Door], []), logging),
        Command::Work(work) => start(work.config.as_deref(), &work.part(), logging),
        Command::CheckConfig(asked) => check_config(&asked),
        Command::Config => print::out(windlass::settings::DEFAULTS).map(|()| ExitCode::SUCCESS),
        Command::Render(asked) => print::render(&asked),
        Command::History(asked) => block_on(print::history(&asked)),
        Command::Deliveries(asked) => block_on(print::deliveries::deliveries(&asked)),
        Command::Drift(asked) => match &asked.command {
            Some(DriftCommand::Suggest(asked)) => block_on(print::suggest::suggest(asked)),
            None => block_on(print::drift::drift(&asked)),
        },
        Command::Explain(asked) => block_on(print::explain::explain(&asked)),
        Command::Adopt(asked) => block_on(print::adopt::adopt(&asked)),
        Command::Delete(asked) => block_on(print::delete::delete(&asked)),
        Command::Pause(asked) => block_on(print::steer::pause(&asked)),
        Command::Resume(asked) => block_on(print::steer::resume(&asked)),
        Command::Sync(asked) => block_on(print::steer::sync(&asked)),
        Command::Rollback(asked) => block_on(print::rollback::rollback(&asked)),
        Command::Release(asked) => block_on(print::rollback::release(&asked)),
        Command::Audit(asked) => block_on(print::steer::audit(&asked)),
        Command::Dead(asked) => block_on(print::dead::dead(&asked)),
        Command::Queue(asked) => block_on(print::queue::queue(&asked)),
        Command::Health(asked) => Ok(print::health::health(&asked)),
        Command::Diff(asked) => Ok(print::diff::diff(&asked)),
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

/// Runs a part of the line until it is told to stop.
fn start(config: Option<&Path>, part: &Part, logging: Logging) -> anyhow::Result<ExitCode> {
    match load(config, part)? {
        Some(settings) => block_on(run::run(settings, config, logging)),
        None => Ok(ExitCode::from(WRONG)),
    }
}

fn check_config(asked: &CheckConfig) -> anyhow::Result<ExitCode> {
    let Some(settings) = load(asked.config.as_deref(), &asked.part())? else {
        return Ok(ExitCode::from(WRONG));
    };
    settings.warnings.iter().for_each(|warning| complain(&format!("warning: {warning}")));
    let (sources, clusters) = (settings.sources.len(), settings.clusters.len());
    let (forges, applications) = (settings.forges.len(), settings.applications.len());
    print::out(&format!(
        "The settings are fine. Forges: {forges}, sources: {sources}, clusters: {clusters}, applications: {applications}.\n"
    ))?;
    Ok(ExitCode::SUCCESS)
}
