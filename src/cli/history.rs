//! The arguments of the commands that print what happened.

use std::path::PathBuf;

use clap::Args;
use clap::Subcommand;

/// Which part of the history is printed.
#[derive(Clone, Debug, Args)]
pub struct History {
    /// The settings file.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Only the runs of this application.
    #[arg(long, value_name = "NAME")]
    pub application: Option<String>,
    /// Only the runs in this cluster.
    #[arg(long, value_name = "NAME")]
    pub cluster: Option<String>,
    /// Only the runs of this commit, or of those that begin like this: at least 4 digits.
    #[arg(long, value_name = "COMMIT")]
    pub commit: Option<String>,
    /// Only the runs that ended in a failure or an error; looked for among the last 100,000.
    #[arg(long)]
    pub failed: bool,
    /// How many runs.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub limit: u32,
    /// As JSON.
    #[arg(long)]
    pub json: bool,
}

/// Which deliveries are printed.
#[derive(Clone, Debug, Args)]
pub struct Deliveries {
    /// The settings file.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Only those of this forge.
    #[arg(long, value_name = "NAME")]
    pub forge: Option<String>,
    /// How many deliveries.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub limit: u32,
    /// As JSON.
    #[arg(long)]
    pub json: bool,
}

/// Which drift is printed.
#[derive(Clone, Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Drift {
    /// What else is asked about it.
    #[command(subcommand)]
    pub command: Option<DriftCommand>,
    /// The settings file.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Only that of this application.
    #[arg(long, value_name = "NAME")]
    pub application: Option<String>,
    /// How many records; one may tell of several objects.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub limit: u32,
    /// As JSON.
    #[arg(long)]
    pub json: bool,
}

/// What else can be asked about drift.
#[derive(Clone, Debug, Subcommand)]
pub enum DriftCommand {
    /// Prints for each object that drifted the smallest rule that leaves its drift to those who made it, to be put into
    /// the settings, and the annotation of the object that does the same.
    Suggest(Suggest),
}

/// For which drift rules are suggested.
#[derive(Clone, Debug, Args)]
pub struct Suggest {
    /// Only for this object, as `windlass drift` has it, such as Deployment/shop/web.
    #[arg(value_name = "OBJECT")]
    pub object: Option<String>,
    /// The settings file.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Only for objects of this application.
    #[arg(long, value_name = "NAME")]
    pub application: Option<String>,
    /// How many records are looked at, the newest first.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub limit: u32,
    /// As JSON, one line for each object.
    #[arg(long)]
    pub json: bool,
}

/// What is explained.
#[derive(Clone, Debug, Args)]
pub struct Explain {
    /// A commit or a delivery, or at least the first six characters of it.
    #[arg(value_name = "COMMIT|DELIVERY")]
    pub what: String,
    /// The settings file.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}
