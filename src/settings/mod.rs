//! Everything that whoever runs windlass can decide: the embedded defaults, then a file, then the environment.
//!
//! All that is wrong is said at once, each with its key, where it stands and what is allowed. A value that is wrong is
//! never replaced by a default: there are either whole settings or problems.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::io::Read;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use toml::Table;
use toml::Value;

use crate::application::Application;
use crate::application::Name;

mod checks;
mod layers;
mod lists;
mod reader;
mod secrets;
mod sections;
mod table;
mod units;

pub use self::lists::Access;
pub use self::lists::Cluster;
pub use self::lists::Forge;
pub use self::lists::Source;
pub use self::reader::Environment;
pub use self::reader::Problem;
pub use self::secrets::App;
pub use self::sections::Door;
pub use self::sections::Guard;
pub use self::sections::Log;
pub use self::sections::Reconcile;
pub use self::sections::Report;
pub use self::sections::SourceLimits;
pub use self::sections::Telemetry;
pub use self::table::table;

use self::layers::Layers;
use self::lists::Names;

/// The commented file with every default, as `windlass config` prints it.
pub const DEFAULTS: &str = include_str!("../../config/windlass.toml");

/// The settings, checked.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The folder of the queue, the history and the caches.
    pub data: PathBuf,
    /// What this installation is called in the clusters; another one keeps off its targets.
    pub installation: Name,
    /// Where windlass listens.
    pub door: Door,
    /// How much is done at once.
    pub reconcile: Reconcile,
    /// How much one commit may delete.
    pub guard: Guard,
    /// What is taken from a repository.
    pub limits: SourceLimits,
    /// What statuses say.
    pub report: Report,
    /// What is logged.
    pub log: Log,
    /// What is exported.
    pub telemetry: Telemetry,
    /// The forges.
    pub forges: BTreeMap<Name, Forge>,
    /// The sources.
    pub sources: BTreeMap<Name, Source>,
    /// The clusters.
    pub clusters: BTreeMap<Name, Cluster>,
    /// The applications, in the order of the file.
    pub applications: Vec<Application>,
    /// The files that these settings were read from: their own, and those of secrets.
    pub files: BTreeSet<PathBuf>,
    /// What is allowed but deserves a word at the start.
    pub warnings: Vec<String>,
}

/// How large may a settings file be, in bytes?
const FILE_BYTES: u64 = 4 << 20;

impl Settings {
    /// Reads the settings. Secrets are read from where they are; a file of theirs is counted from the settings file.
    ///
    /// # Errors
    /// Everything that is wrong, in the order of the embedded file; never empty.
    pub fn load(config: Option<&Path>, environment: &Environment) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let file = config.map(|path| (path, read(path, &mut problems)));
        let files = file.as_ref().map(|(path, table)| secrets::files(path, table)).unwrap_or_default();
        let layers = Layers::new(file, environment, &mut problems);
        let settings = build(&layers, environment, &mut problems);
        match settings {
            Some(settings) if problems.is_empty() => Ok(Self { files, ..settings }),
            // A value that is absent without a problem would be a defect here; it must not pass as settings.
            None if problems.is_empty() => Err(vec![Problem {
                key: String::new(),
                place: "defaults".to_owned(),
                message: "the embedded settings are incomplete".to_owned(),
            }]),
            _ => Err(problems),
        }
    }
}

fn read(path: &Path, problems: &mut Vec<Problem>) -> Table {
    let mut text = String::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(FILE_BYTES + 1).read_to_string(&mut text));
    let table = match read {
        Err(error) => Err(format!("cannot be read: {error}")),
        Ok(bytes) if bytes as u64 > FILE_BYTES => Err(format!("is larger than {FILE_BYTES} bytes")),
        Ok(_) => text.parse::<Table>().map_err(|error| layers::syntax(&text, &error)),
    };
    table.unwrap_or_else(|message| {
        problems.push(Problem { key: String::new(), place: path.display().to_string(), message });
        Table::new()
    })
}

fn build(layers: &Layers<'_>, environment: &Environment, problems: &mut Vec<Problem>) -> Option<Settings> {
    let data = sections::data(layers.section("data", problems));
    sections::embedded(layers.section("queue", problems), "RabbitMQ");
    sections::embedded(layers.section("store", problems), "Postgres");
    let door = sections::door(layers.section("door", problems));
    let poll = sections::sweep(layers.section("sweep", problems));
    let reconcile = sections::reconcile(layers.section("reconcile", problems));
    let guard = sections::guard(layers.section("guard", problems));
    let limits = sections::source(layers.section("source", problems));
    let report = sections::report(layers.section("report", problems));
    let log = sections::log(layers.section("log", problems));
    let telemetry = sections::telemetry(layers.section("telemetry", problems));
    let lists = Lists::read(layers, environment, poll, reconcile.map(|r| r.health_deadline), problems);
    let data = data?;
    Some(Settings {
        data: data.0,
        installation: data.1,
        door: door?,
        reconcile: reconcile?,
        guard: guard?,
        limits: limits?,
        report: report?,
        log: log?,
        telemetry: telemetry?,
        forges: lists.forges,
        sources: lists.sources,
        clusters: lists.clusters,
        applications: lists.applications,
        files: BTreeSet::new(),
        warnings: lists.warnings,
    })
}

#[derive(Default)]
struct Lists {
    forges: BTreeMap<Name, Forge>,
    sources: BTreeMap<Name, Source>,
    clusters: BTreeMap<Name, Cluster>,
    applications: Vec<Application>,
    warnings: Vec<String>,
}

impl Lists {
    fn read(
        layers: &Layers<'_>,
        environment: &Environment,
        poll: Option<Duration>,
        deadline: Option<Duration>,
        problems: &mut Vec<Problem>,
    ) -> Self {
        let mut lists = Self::default();
        let [mut forges, mut sources, mut clusters, mut applications] = [const { Names::new() }; 4];
        layers.items("forges", problems, |mut section| {
            let name = forges.take(&mut section);
            let forge = lists::forge(&mut section, environment, &mut lists.warnings);
            lists.forges.extend(name.zip(forge));
            section.finish();
        });
        layers.items("sources", problems, |mut section| {
            let name = sources.take(&mut section);
            let source = lists::source(&mut section, environment, &forges, &lists.forges, poll);
            lists.sources.extend(name.zip(source));
            section.finish();
        });
        layers.items("clusters", problems, |mut section| {
            let name = clusters.take(&mut section);
            lists.clusters.extend(name.zip(lists::cluster(&mut section)));
            section.finish();
        });
        layers.items("applications", problems, |mut section| {
            let name = applications.take(&mut section);
            let deadline = deadline.unwrap_or_default();
            lists.applications.extend(lists::application(&mut section, name, &sources, &clusters, deadline));
            section.finish();
        });
        lists
    }
}

/// Says whether a value is a list of tables.
fn tables(value: &Value) -> Option<Vec<&Table>> {
    value.as_array()?.iter().map(Value::as_table).collect()
}

#[cfg(test)]
mod tests;
