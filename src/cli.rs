//! The command line: what may be asked of the program, and nothing of how it is done.

mod diff;
mod history;
mod steer;

use std::path::PathBuf;

use clap::Args;
use clap::Parser;
use clap::Subcommand;
use clap::ValueEnum;

use crate::application::Name;
use crate::role::Part;
use crate::role::Role;

pub use diff::Diff;
pub use history::Deliveries;
pub use history::Drift;
pub use history::DriftCommand;
pub use history::Explain;
pub use history::History;
pub use history::Suggest;
pub use steer::Adopt;
pub use steer::Audit;
pub use steer::Delete;
pub use steer::Pause;
pub use steer::Release;
pub use steer::Resume;
pub use steer::Rollback;
pub use steer::Sync;

/// The arguments of the program.
#[derive(Clone, Debug, Parser)]
#[command(name = "windlass", version, about, propagate_version = true, arg_required_else_help = true)]
pub struct Arguments {
    /// What is asked for.
    #[command(subcommand)]
    pub command: Command,
    /// How much is logged; overrides log.level of the settings.
    #[arg(long, global = true, value_name = "LEVEL")]
    pub log_level: Option<LogLevel>,
    /// How it is logged; overrides log.format of the settings.
    #[arg(long, global = true, value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,
}

impl Arguments {
    /// Reads the arguments of this process; prints what is wrong with them and ends it with code 2 when they are not
    /// understood.
    #[must_use]
    pub fn read() -> Self {
        Self::parse()
    }
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines: one JSON object a line.
    Json,
}

/// How much is logged: each level includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogLevel {
    /// What somebody has to look at.
    Error,
    /// What may need looking at.
    Warn,
    /// What happened.
    Info,
    /// How it came about.
    Debug,
    /// Everything.
    Trace,
}

/// What can be asked for.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Runs the whole line in this process: door, dispatch, reconcile and report.
    Run(ConfigFile),
    /// Runs the door alone: takes webhooks in. The work is done by `windlass work`, over RabbitMQ.
    Serve(ConfigFile),
    /// Runs dispatch, reconcile and report, or some of them, over RabbitMQ; start as many as are needed.
    Work(Work),
    /// Checks the settings, prints everything that is wrong with them and ends with code 2 if anything is.
    CheckConfig(CheckConfig),
    /// Prints every setting with its default and what it is for.
    Config,
    /// Prints what a folder of manifests would apply, offline.
    Render(Render),
    /// Prints the last runs, newest first.
    History(History),
    /// Prints the last deliveries of webhooks, newest first, and what each led to.
    Deliveries(Deliveries),
    /// Prints what somebody else changed in clusters of what was applied, newest first, who did, and what became of it.
    Drift(Drift),
    /// Prints what became of a delivery or of a commit: each target, its run, and what the forge was told.
    Explain(Explain),
    /// Prints what a pass of an application would change, and from whom it would take objects over; changes nothing.
    Adopt(Adopt),
    /// Deletes what an application that left the settings has in a cluster, or lets go of it; or lists such applications.
    /// Ends with code 3 where something is still there.
    Delete(Delete),
    /// Pauses an application, a cluster or everything: nothing is written there until `windlass resume`.
    Pause(Pause),
    /// Ends a pause; what waited is worked on at once.
    Resume(Resume),
    /// Asks for a pass of an application now; with --override although a window is closed or there is a pause.
    Sync(Sync),
    /// Makes an earlier commit of an application true again, and keeps it at that until `windlass release`.
    Rollback(Rollback),
    /// Lets an application that was rolled back follow its reference again.
    Release(Release),
    /// Prints what people have told windlass to do, newest first: who, when, what and why.
    Audit(Audit),
    /// Shows dead letters: messages that were buried because nobody could work on them; sends them back, or drops them.
    #[command(subcommand)]
    Dead(Dead),
    /// Compares RabbitMQ with what windlass needs there, and makes what is missing.
    #[command(subcommand)]
    Queue(Queue),
    /// Prints whether the live objects of some files are healthy, offline; ends with code 1 where some are waited for,
    /// with 2 where some failed, and with 3 where nothing can be said.
    Health(Health),
    /// Prints what applying manifests would do to live objects, both in files, offline; ends with code 1 where only the
    /// API server's dry-run can tell, with 2 where some would be changed or created, and with 3 where nothing can be said.
    Diff(Diff),
    /// Prints what the body of a webhook would be read as, offline.
    Read(Read),
    /// Signs a delivery as a forge would and posts it to a door.
    Knock(Knock),
}

/// Which settings are meant.
#[derive(Clone, Debug, Args)]
pub struct ConfigFile {
    /// The settings file.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// Which work is done.
#[derive(Clone, Debug, Args)]
pub struct Work {
    /// The settings file.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Only this role; may be given several times. Default: all three.
    #[arg(long, value_name = "ROLE", value_parser = ["dispatch", "reconcile", "report"])]
    pub role: Vec<String>,
    /// Reconciles the clusters of this lane only; may be given several times. Default: those of all lanes.
    #[arg(long, value_name = "LANE", value_parser = name)]
    pub lane: Vec<Name>,
}

impl Work {
    /// Returns what part of the line this is.
    #[must_use]
    pub fn part(&self) -> Part {
        let named: Vec<Role> = self.role.iter().filter_map(|word| Role::from_word(word)).collect();
        let all = [Role::Dispatch, Role::Reconcile, Role::Report];
        Part::of(if named.is_empty() { all.to_vec() } else { named }, self.lane.iter().cloned())
    }
}

/// Which settings are checked, and for what.
#[derive(Clone, Debug, Args)]
pub struct CheckConfig {
    /// The settings file.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Only what a process with this role needs; may be given several times. Default: all of them.
    #[arg(long, value_name = "ROLE", value_parser = ["door", "dispatch", "reconcile", "report"])]
    pub role: Vec<String>,
    /// Of the clusters, only those of this lane; may be given several times. Default: those of all lanes.
    #[arg(long, value_name = "LANE", value_parser = name)]
    pub lane: Vec<Name>,
}

impl CheckConfig {
    /// Returns for what part of the line they are checked.
    #[must_use]
    pub fn part(&self) -> Part {
        let named: Vec<Role> = self.role.iter().filter_map(|word| Role::from_word(word)).collect();
        Part::of(if named.is_empty() { Role::ALL.to_vec() } else { named }, self.lane.iter().cloned())
    }
}

fn name(text: &str) -> Result<Name, String> {
    Name::parse(text).map_err(|error| error.to_string())
}

/// What is rendered.
#[derive(Clone, Debug, Args)]
pub struct Render {
    /// The folder of the manifests.
    pub path: PathBuf,
    /// The namespace of objects that name none.
    #[arg(long, default_value = "default")]
    pub namespace: String,
}

/// Which objects are looked at.
#[derive(Clone, Debug, Args)]
pub struct Health {
    /// Files or folders of live objects, as `kubectl get -o yaml` or `-o json` prints them; - is standard input. The
    /// definitions among them say which kinds have conditions.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// The settings file, for its health rules.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// As JSON, one line for each object.
    #[arg(long)]
    pub json: bool,
}

/// Which body is read, and as what.
#[derive(Clone, Debug, Args)]
pub struct Read {
    /// The kind of forge that sent it.
    #[arg(long, value_parser = ["gitea", "forgejo", "github", "gitlab"])]
    pub forge: String,
    /// The event's name as the forge's header has it, such as push, delete or "Push Hook".
    #[arg(long)]
    pub event: String,
    /// Is it a form (application/x-www-form-urlencoded), with the JSON in its field payload?
    #[arg(long)]
    pub form: bool,
    /// The file of the body; - is standard input.
    pub file: PathBuf,
}

/// What is posted, and where.
#[derive(Clone, Debug, Args)]
#[command(group = clap::ArgGroup::new("secret").required(true).args(["secret_file", "secret_env"]))]
#[command(group = clap::ArgGroup::new("body").required(true).args(["payload", "repository"]))]
pub struct Knock {
    /// The address of the webhook, such as http://127.0.0.1:8080/hooks/gitea.
    #[arg(long)]
    pub url: String,
    /// The kind of forge to sign as.
    #[arg(long, value_parser = ["gitea", "forgejo", "github", "gitlab"])]
    pub forge: String,
    /// The file that holds the secret.
    #[arg(long, value_name = "FILE")]
    pub secret_file: Option<PathBuf>,
    /// The environment variable that holds the secret.
    #[arg(long, value_name = "NAME")]
    pub secret_env: Option<String>,
    /// The file of the JSON to send as it is.
    #[arg(long, value_name = "FILE", requires = "event")]
    pub payload: Option<PathBuf>,
    /// The name of the event that the file is about.
    #[arg(long, requires = "payload")]
    pub event: Option<String>,
    /// The repository of a made-up push, as owner/name; at GitLab with all its groups.
    #[arg(long, requires = "reference", requires = "after")]
    pub repository: Option<String>,
    /// The full name of the ref of a made-up push.
    #[arg(long = "ref", value_name = "REF", id = "reference", requires = "repository")]
    pub reference: Option<String>,
    /// The commit after a made-up push; zeros delete the ref.
    #[arg(long, value_name = "SHA", requires = "repository")]
    pub after: Option<String>,
    /// The commit before a made-up push; none makes the ref a new one.
    #[arg(long, value_name = "SHA", requires = "repository")]
    pub before: Option<String>,
}

/// What is done about dead letters.
#[derive(Clone, Debug, Subcommand)]
pub enum Dead {
    /// Lists them, the latest first.
    List(DeadList),
    /// Shows one: everything that is known of it, and what it says.
    Show(DeadLetter),
    /// Sends one back, once what killed it is mended: to the end of its line, or, where it is a job, as an event that
    /// asks for a new one.
    Replay(DeadLetter),
    /// Takes one away for good.
    Drop(DeadLetter),
}

/// Which dead letters are listed.
#[derive(Clone, Debug, Args)]
pub struct DeadList {
    /// The settings file.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// How many letters.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub limit: u32,
    /// As JSON.
    #[arg(long)]
    pub json: bool,
}

/// Which dead letter is meant.
#[derive(Clone, Debug, Args)]
pub struct DeadLetter {
    /// The lane that it came from, as the list has it.
    pub lane: String,
    /// Its id, as the list has it; of several with the same, the oldest is meant.
    pub id: String,
    /// The settings file.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// What is done about the exchanges and queues at RabbitMQ.
#[derive(Clone, Debug, Subcommand)]
pub enum Queue {
    /// Prints what is missing or different there, and changes nothing; ends with code 1 if anything is.
    Plan(ConfigFile),
    /// Makes what is missing. What is different stays, and is told, with code 1.
    Apply(ConfigFile),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;
    use clap::Parser;

    use super::Arguments;

    #[test]
    fn the_arguments_do_not_contradict_each_other() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_knock_has_one_secret_and_one_body() {
        let knock = ["windlass", "knock", "--url", "http://d/hooks/g", "--forge", "gitea"];
        let push = ["--repository", "a/b", "--ref", "refs/heads/main", "--after", "1"];
        let cases: &[(&[&str], bool)] = &[
            (&["--secret-env", "S", "--payload", "f", "--event", "push"], true),
            (&["--secret-file", "S", "--payload", "f", "--event", "push"], true),
            (&["--secret-env", "S", "--payload", "f"], false),
            (&["--secret-env", "S", "--secret-file", "S", "--payload", "f", "--event", "push"], false),
            (&["--payload", "f", "--event", "push"], false),
            (&["--secret-env", "S"], false),
        ];
        for (more, fine) in cases {
            assert_eq!(Arguments::try_parse_from(knock.iter().chain(*more)).is_ok(), *fine, "{more:?}");
        }
        let whole = |push: &[&'static str]| [&knock[..], &["--secret-env", "S"], push].concat();
        assert!(Arguments::try_parse_from(whole(&push)).is_ok());
        assert!(Arguments::try_parse_from(whole(&push[..4])).is_err());
    }
}
