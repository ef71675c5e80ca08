//! The arguments of the commands by which people steer what windlass does.

use std::path::PathBuf;

use clap::ArgGroup;
use clap::Args;

use crate::reconcile::GONE_WITHIN;

/// What is paused, by whom and why.
#[derive(Clone, Debug, Args)]
#[command(group = ArgGroup::new("what").required(true).args(["target", "cluster", "all", "list"]))]
pub struct Pause {
    /// An application, or one of its targets.
    #[arg(value_name = "APPLICATION[@CLUSTER]")]
    pub target: Option<String>,
    /// Every application in this cluster.
    #[arg(long, value_name = "NAME")]
    pub cluster: Option<String>,
    /// Everything.
    #[arg(long)]
    pub all: bool,
    /// Why, for those who find it paused.
    #[arg(long, value_name = "TEXT", required_unless_present = "list")]
    pub why: Option<String>,
    /// Who wants it so; recorded beside the user of the system.
    #[arg(long, value_name = "NAME")]
    pub by: Option<String>,
    /// Pauses nothing: prints what is paused, and what waits for a pause or a window to end.
    #[arg(long, conflicts_with_all = ["why", "by"])]
    pub list: bool,
    /// The list as JSON.
    #[arg(long, requires = "list")]
    pub json: bool,
    /// The settings file.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// Which pause ends.
#[derive(Clone, Debug, Args)]
#[command(group = ArgGroup::new("what").required(true).args(["target", "cluster", "all"]))]
pub struct Resume {
    /// The application or the target, as it was paused.
    #[arg(value_name = "APPLICATION[@CLUSTER]")]
    pub target: Option<String>,
    /// The cluster, as it was paused.
    #[arg(long, value_name = "NAME")]
    pub cluster: Option<String>,
    /// Ends the pause of everything; pauses of one application or cluster stay.
    #[arg(long)]
    pub all: bool,
    /// Why, for the audit.
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub why: String,
    /// Who wants it so; recorded beside the user of the system.
    #[arg(long, value_name = "NAME")]
    pub by: Option<String>,
    /// The settings file.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// Of what a pass is asked for.
#[derive(Clone, Debug, Args)]
pub struct Sync {
    /// An application, or one of its targets.
    #[arg(value_name = "APPLICATION[@CLUSTER]")]
    pub target: String,
    /// Makes this one pass although a window is closed or there is a pause; needs --why.
    #[arg(long = "override", requires = "why")]
    pub regardless: bool,
    /// Lets this one pass prune what left this commit, although the guard keeps it: the commit's id, or the beginning of
    /// one that was answered before. A newer commit is not meant, and a target that is closed or waits has to be asked again once it is open; needs --why.
    #[arg(long, value_name = "COMMIT", requires = "why")]
    pub allow_prune: Option<String>,
    /// Why, for the audit.
    #[arg(long, value_name = "TEXT")]
    pub why: Option<String>,
    /// Who wants it so; recorded beside the user of the system.
    #[arg(long, value_name = "NAME")]
    pub by: Option<String>,
    /// The settings file.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// Which targets go back to a commit, and stay there.
#[derive(Clone, Debug, Args)]
#[command(group = ArgGroup::new("what").required(true).args(["target", "list"]))]
pub struct Rollback {
    /// An application, or one of its targets.
    #[arg(value_name = "APPLICATION[@CLUSTER]", requires_all = ["to", "why"])]
    pub target: Option<String>,
    /// The commit that is made true again and kept: its id, or the beginning of one that was answered before.
    #[arg(long, value_name = "COMMIT")]
    pub to: Option<String>,
    /// Why, for those who find it kept there.
    #[arg(long, value_name = "TEXT")]
    pub why: Option<String>,
    /// Who wants it so; recorded beside the user of the system.
    #[arg(long, value_name = "NAME")]
    pub by: Option<String>,
    /// Rolls nothing back: prints which targets are kept at a commit.
    #[arg(long, conflicts_with_all = ["to", "why", "by"])]
    pub list: bool,
    /// The list as JSON.
    #[arg(long, requires = "list")]
    pub json: bool,
    /// The settings file.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// Which targets follow their references again.
#[derive(Clone, Debug, Args)]
pub struct Release {
    /// An application, or one of its targets.
    #[arg(value_name = "APPLICATION[@CLUSTER]")]
    pub target: String,
    /// Why, for the audit.
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub why: String,
    /// Who wants it so; recorded beside the user of the system.
    #[arg(long, value_name = "NAME")]
    pub by: Option<String>,
    /// The settings file.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// What is looked at before windlass takes it over.
#[derive(Clone, Debug, Args)]
pub struct Adopt {
    /// An application, or one of its targets.
    #[arg(value_name = "APPLICATION[@CLUSTER]")]
    pub target: String,
    /// As JSON, one line for each object.
    #[arg(long)]
    pub json: bool,
    /// The settings file.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// Which application is deleted, and how.
#[derive(Clone, Debug, Args)]
#[command(group = ArgGroup::new("what").required(true).args(["target", "list"]))]
pub struct Delete {
    /// An application that left the settings, and the cluster where it still is.
    #[arg(value_name = "APPLICATION@CLUSTER")]
    pub target: Option<String>,
    /// Deletes no object: all stay as they are, and belong to nobody from then on.
    #[arg(long, conflicts_with = "data")]
    pub orphan: bool,
    /// Also deletes what takes more with it: PersistentVolumes and their claims, Namespaces, definitions and snapshots.
    #[arg(long)]
    pub data: bool,
    /// For how many seconds is waited at most until all are gone.
    #[arg(long, value_name = "SECONDS", default_value_t = GONE_WITHIN.as_secs(),
        value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub within: u64,
    /// Why, for the audit.
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub why: String,
    /// Who wants it so; recorded beside the user of the system.
    #[arg(long, value_name = "NAME")]
    pub by: Option<String>,
    /// Deletes nothing: prints which applications left the settings and are still in a cluster.
    #[arg(long, conflicts_with_all = ["orphan", "data", "within", "why", "by"])]
    pub list: bool,
    /// As JSON, one line for each object or application.
    #[arg(long)]
    pub json: bool,
    /// The settings file.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// Which orders are printed.
#[derive(Clone, Debug, Args)]
pub struct Audit {
    /// How many orders.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub limit: u32,
    /// As JSON.
    #[arg(long)]
    pub json: bool,
    /// The settings file.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use crate::cli::Arguments;

    #[test]
    fn what_is_steered_is_named_and_has_a_reason() {
        let cases: &[(&str, bool)] = &[
            ("pause shop --why disk", true),
            ("pause shop@east --why disk --by ana", true),
            ("pause --cluster east --why disk", true),
            ("pause --all --why disk", true),
            ("pause --list", true),
            ("pause --list --json", true),
            ("pause shop", false),
            ("pause --why disk", false),
            ("pause shop --all --why disk", false),
            ("pause shop --cluster east --why disk", false),
            ("pause --list --why disk", false),
            ("resume shop", true),
            ("resume --all --why done", true),
            ("resume", false),
            ("sync shop", true),
            ("sync shop@east --override --why outage", true),
            ("sync shop --override", false),
            ("sync", false),
            ("rollback shop --to 0123456 --why slow", true),
            ("rollback shop@east --to 0123456 --why slow --by ana", true),
            ("rollback --list --json", true),
            ("rollback shop --to 0123456", false),
            ("rollback shop --why slow", false),
            ("rollback --to 0123456 --why slow", false),
            ("rollback --list --to 0123456", false),
            ("release shop", true),
            ("release shop@east --why mended", true),
            ("release", false),
            ("delete shop@east", true),
            ("delete shop@east --orphan --why moved --by ana --json", true),
            ("delete shop@east --data --within 60", true),
            ("delete --list --json", true),
            ("delete", false),
            ("delete shop@east --orphan --data", false),
            ("delete shop@east --within 0", false),
            ("delete shop@east --list", false),
            ("delete --list --orphan", false),
            ("audit --limit 5 --json", true),
        ];
        for (line, fine) in cases {
            let words = std::iter::once("windlass").chain(line.split(' '));
            assert_eq!(Arguments::try_parse_from(words).is_ok(), *fine, "{line}");
        }
    }
}
