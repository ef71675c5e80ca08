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
use crate::health::Rules;
use crate::lanes::Lanes;
use crate::role::Part;
use crate::role::Role;
use crate::select;
use crate::window::Window;

mod applications;
mod checks;
mod ignore_rules;
mod kinds;
mod layers;
mod lists;
mod reader;
mod rules;
mod secrets;
mod sections;
mod servers;
mod signers;
mod table;
mod units;
mod windows;

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
pub use self::sections::Work;
pub use self::servers::Queue;
pub use self::servers::Store;
pub use self::table::table;

use self::layers::Layers;
use self::lists::Names;

/// The commented file with every default, as `windlass config` prints it.
pub const DEFAULTS: &str = include_str!("../../config/windlass.toml");

/// The settings, checked, as far as a part of the line needs them.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What the process is of the line.
    pub part: Part,
    /// Where events and jobs wait.
    pub queue: Queue,
    /// Where history is kept.
    pub store: Store,
    /// The folder of the queue, the history and the caches.
    pub data: PathBuf,
    /// What this installation is called in the clusters; another one keeps off its targets.
    pub installation: Name,
    /// Where windlass listens.
    pub door: Door,
    /// How much is done at once.
    pub reconcile: Reconcile,
    /// What is said of a process without the door.
    pub work: Work,
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
    /// What is healthy, as far as this process asks.
    pub health: Rules,
    /// The applications, in the order of the file.
    pub applications: Vec<Application>,
    /// When their targets may be written to, as far as this process decides it.
    pub windows: Vec<Window>,
    /// The files that these settings were read from: their own, those of secrets and of signers, and kubeconfigs.
    pub files: BTreeSet<PathBuf>,
    /// What is allowed but deserves a word at the start.
    pub warnings: Vec<String>,
}

/// How large may a settings file be, in bytes?
const FILE_BYTES: u64 = 4 << 20;

impl Settings {
    /// Reads the settings that a part of the line needs. Secrets are read from where they are; a file of theirs is counted
    /// from the settings file. What that part has no use for may be absent, and its secrets are not read.
    ///
    /// # Errors
    /// Everything that is wrong, in the order of the embedded file; never empty.
    pub fn load(config: Option<&Path>, environment: &Environment, part: &Part) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let file = config.map(|path| (path, read(path, &mut problems)));
        let files = file.as_ref().map(|(path, table)| secrets::files(path, table)).unwrap_or_default();
        let layers = Layers::new(file, environment, &mut problems);
        let settings = build(&layers, environment, part, &mut problems);
        match settings {
            Some(settings) if problems.is_empty() => {
                let kubeconfigs = settings.clusters.values().filter_map(Cluster::kubeconfig);
                let files = files.into_iter().chain(kubeconfigs.map(Path::to_path_buf)).collect();
                Ok(Self { files, ..settings })
            }
            // A value that is absent without a problem would be a defect here; it must not pass as settings.
            None if problems.is_empty() => Err(vec![Problem {
                key: String::new(),
                place: "defaults".to_owned(),
                message: "the embedded settings are incomplete".to_owned(),
            }]),
            _ => Err(problems),
        }
    }

    /// Returns which lane each cluster belongs to.
    #[must_use]
    pub fn lanes(&self) -> Lanes {
        let clusters = self.clusters.iter().map(|(name, one)| (name.clone(), one.lane.clone()));
        Lanes::new(clusters.collect(), &self.applications)
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

fn build(
    layers: &Layers<'_>,
    environment: &Environment,
    part: &Part,
    problems: &mut Vec<Problem>,
) -> Option<Settings> {
    let mut warnings = Vec::new();
    let data = sections::data(layers.section("data", problems));
    let queue = servers::queue(layers.section("queue", problems), environment, part, &mut warnings);
    let store = servers::store(layers.section("store", problems), environment, part, queue.as_ref());
    let door = sections::door(layers.section("door", problems));
    let poll = sections::sweep(layers.section("sweep", problems));
    let reconcile = sections::reconcile(layers.section("reconcile", problems));
    let work = sections::work(layers.section("work", problems));
    let guard = sections::guard(layers.section("guard", problems));
    let limits = sections::source(layers.section("source", problems));
    let report = sections::report(layers.section("report", problems));
    let log = sections::log(layers.section("log", problems));
    let telemetry = sections::telemetry(layers.section("telemetry", problems));
    let reading = Reading { layers, environment, part, poll, usual: reconcile.as_ref() };
    let lists = Lists::read(&reading, problems);
    warnings.extend(lists.warnings);
    let health = rules::rules(layers, part, problems);
    let data = data?;
    Some(Settings {
        part: part.clone(),
        queue: queue?,
        store: store?,
        data: data.0,
        installation: data.1,
        door: door?,
        reconcile: reconcile?,
        work: work?,
        guard: guard?,
        limits: limits?,
        report: report?,
        log: log?,
        telemetry: telemetry?,
        forges: lists.forges,
        sources: lists.sources,
        clusters: lists.clusters,
        health,
        applications: lists.applications,
        windows: lists.windows,
        files: BTreeSet::new(),
        warnings,
    })
}

#[derive(Default)]
struct Lists {
    forges: BTreeMap<Name, Forge>,
    sources: BTreeMap<Name, Source>,
    clusters: BTreeMap<Name, Cluster>,
    applications: Vec<Application>,
    windows: Vec<Window>,
    warnings: Vec<String>,
}

/// What lists are read from, and for whom.
struct Reading<'a> {
    layers: &'a Layers<'a>,
    environment: &'a Environment,
    part: &'a Part,
    poll: Option<Duration>,
    usual: Option<&'a Reconcile>,
}

impl Lists {
    fn read(reading: &Reading<'_>, problems: &mut Vec<Problem>) -> Self {
        let Reading { layers, environment, part, poll, .. } = *reading;
        let mut lists = Self::default();
        if part.steers() {
            lists.steered(reading, problems);
        }
        if part.is_none() {
            return lists;
        }
        if part.operates() {
            lists.lanes(layers, problems);
            return lists;
        }
        let [mut forges, mut sources, mut clusters] = [const { Names::new() }; 3];
        layers.items("forges", problems, |mut section| {
            let name = forges.take(&mut section);
            let forge = lists::forge(&mut section, environment, part, &mut lists.warnings);
            lists.forges.extend(name.zip(forge));
            section.finish();
        });
        layers.items("sources", problems, |mut section| {
            let name = sources.take(&mut section);
            let known = (&forges, &lists.forges);
            let source = lists::source(&mut section, environment, part, known, poll);
            lists.sources.extend(name.zip(source));
            section.finish();
        });
        layers.items("clusters", problems, |mut section| {
            let name = clusters.take(&mut section);
            lists.clusters.extend(name.zip(lists::cluster(&mut section, part)));
            section.finish();
        });
        for lane in part.lanes().filter(|lane| !lists.clusters.values().any(|one| one.lane == **lane)) {
            let message = format!("no cluster is of lane \"{lane}\": give one `lane = \"{lane}\"`");
            problems.push(Problem { key: "clusters".to_owned(), place: layers.place(), message });
        }
        // Workers are told all of an application that they need with each job.
        if part.has_any(&[Role::Dispatch, Role::Report]) {
            lists.applications(reading, (&sources, &clusters), problems);
        }
        lists
    }

    /// Reads the applications, the rules about what is left to others in them, and the windows for them; `known` are the names of all sources and of all clusters.
    fn applications(&mut self, reading: &Reading<'_>, known: (&Names, &Names), problems: &mut Vec<Problem>) {
        let (layers, usual) = (reading.layers, reading.usual);
        let [mut applications, mut windows] = [const { Names::new() }; 2];
        layers.items("applications", problems, |mut section| {
            let name = applications.take(&mut section);
            self.applications.extend(applications::application(&mut section, name, known, usual));
            section.finish();
        });
        for message in select::refused(&self.applications) {
            problems.push(Problem { key: "applications".to_owned(), place: layers.place(), message });
        }
        layers.items("ignore_rules", problems, |mut section| {
            ignore_rules::ignore_rule(&mut section, &applications, &mut self.applications);
            section.finish();
        });
        layers.items("windows", problems, |mut section| {
            let known = (&applications, known.1);
            self.windows.extend(windows::window(&mut section, &mut windows, known));
            section.finish();
        });
    }

    /// Reads the applications for the sake of a person who steers them: of what they refer to, only the names.
    fn steered(&mut self, reading: &Reading<'_>, problems: &mut Vec<Problem>) {
        let [mut sources, mut clusters] = [const { Names::new() }; 2];
        for (list, names) in [("sources", &mut sources), ("clusters", &mut clusters)] {
            reading.layers.items(list, problems, |mut section| drop(names.take(&mut section)));
        }
        self.applications(reading, (&sources, &clusters), problems);
    }
}

impl Lists {
    /// Reads the clusters, for the sake of their lanes.
    fn lanes(&mut self, layers: &Layers<'_>, problems: &mut Vec<Problem>) {
        let mut names = Names::new();
        layers.items("clusters", problems, |mut section| {
            let name = names.take(&mut section);
            self.clusters.extend(name.zip(lists::cluster(&mut section, &Part::operator())));
            section.finish();
        });
    }
}

/// Says whether a value is a list of tables.
fn tables(value: &Value) -> Option<Vec<&Table>> {
    value.as_array()?.iter().map(Value::as_table).collect()
}

#[cfg(test)]
mod tests;
