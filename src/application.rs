//! What people name and look at: applications, and the targets that they make.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::commit::Malformed;
use crate::ignore::IgnoreRule;
use crate::reference::Reference;

/// A name from the settings: 1 to 40 lowercase letters, digits and inner dashes.
///
/// The length leaves room in a field manager (128) and in a status context, which carries two names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

/// How long may a name be, in bytes?
pub const NAME_BYTES: usize = 40;

impl Name {
    /// Reads a name.
    ///
    /// # Errors
    /// Anything but 1 to 40 of `a-z`, `0-9` and `-`, the dash neither first nor last.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let letters = text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if text.is_empty()
            || text.len() > NAME_BYTES
            || !letters
            || text.starts_with('-')
            || text.ends_with('-')
        {
            return Err(Malformed::new(
                "a name has 1 to 40 lowercase letters, digits and inner dashes, such as team-shop",
                text,
            ));
        }
        Ok(Self(text.to_owned()))
    }

    /// Returns the name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Name {
    type Error = Malformed;
    fn try_from(text: String) -> Result<Self, Malformed> {
        Self::parse(&text)
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// An application in a cluster: the unit of work, of ordering and of status.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// The application.
    pub application: Name,
    /// The cluster.
    pub cluster: Name,
}

/// What the status of a commit as a whole is called; those of its targets are called by it and their own names.
pub const WHOLE: &str = "windlass";

impl Target {
    /// Returns what the status of a commit in this target is called: `windlass/<application>@<cluster>`.
    #[must_use]
    pub fn context(&self) -> String {
        format!("{WHOLE}/{self}")
    }

    /// Reads what [`Target::context`] returns; `None` for what windlass calls no status of a target.
    #[must_use]
    pub fn from_context(text: &str) -> Option<Self> {
        let (application, cluster) = text.strip_prefix(WHOLE)?.strip_prefix('/')?.split_once('@')?;
        Some(Self { application: Name::parse(application).ok()?, cluster: Name::parse(cluster).ok()? })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}@{}", self.application, self.cluster)
    }
}

/// What belongs in which clusters, as a job carries it: a worker needs nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Application {
    /// What people call it.
    pub name: Name,
    /// The source of its manifests.
    pub source: Name,
    /// What resolves to the commit that is made true.
    #[serde(rename = "ref")]
    pub reference: Reference,
    /// The folder of its manifests, relative to the repository, without a leading slash; empty for all of it.
    /// `{cluster}` stands for the cluster's name.
    pub path: String,
    /// The clusters that it belongs in.
    pub clusters: Vec<Name>,
    /// The namespace of objects that name none. `{cluster}` stands for the cluster's name.
    pub namespace: String,
    /// May objects that left the commit be deleted?
    pub prune: bool,
    /// How long may its objects take to become healthy, in milliseconds?
    pub health_deadline_ms: u64,
    /// What is done about drift?
    #[serde(default, skip_serializing_if = "SelfHeal::is_usual")]
    pub self_heal: SelfHeal,
    /// What is left to others in its objects, whatever their manifests say.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignore: Vec<IgnoreRule>,
    /// For how long must its objects be healthy without a break after they were written, in milliseconds?
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stable_for_ms: Option<u64>,
    /// The ServiceAccount in whose name it is written, where windlass does not write in its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_account: Option<ServiceAccount>,
    /// What must be healthy before a commit of it is written.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<Dependency>,
    /// What is done when a commit of it was written and does not work?
    #[serde(default, skip_serializing_if = "OnFailure::is_usual")]
    pub on_failure: OnFailure,
    /// What is done where another manager has set a field otherwise than a commit?
    #[serde(default, skip_serializing_if = "Conflicts::is_usual")]
    pub conflicts: Conflicts,
    /// The field managers whose objects it takes over, beside kubectl, Flux, Argo CD and Helm.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub takes_over: Vec<String>,
    /// When goes what its objects own, where one of them leaves the commit?
    #[serde(default, skip_serializing_if = "Propagation::is_usual")]
    pub propagation: Propagation,
}

/// An application that must be healthy in a cluster before another one is written.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dependency {
    /// The application that is waited for.
    pub application: Name,
    /// The cluster where it is waited for; without one, that of whoever waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<Name>,
}

/// A ServiceAccount of a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceAccount {
    /// Its namespace; without one, that of the application.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
}

/// What is done when objects are changed or deleted in the cluster by somebody else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SelfHeal {
    /// They are made as the applied commit declares them.
    #[default]
    Correct,
    /// It is recorded, and nothing is written.
    Report,
    /// Nothing; the next commit that the application reads finds it.
    Off,
}

impl SelfHeal {
    /// All of them, as settings name them.
    pub const ALL: [(&'static str, Self); 3] =
        [("correct", Self::Correct), ("report", Self::Report), ("off", Self::Off)];

    // So that older workers read the jobs of applications that want nothing unusual.
    fn is_usual(&self) -> bool {
        *self == Self::default()
    }
}

/// What is done when a commit was written and does not become healthy, or could not be written to its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// It stays as it is until a commit mends it.
    #[default]
    Keep,
    /// The last commit that was healthy is made true again, until the application reads something else.
    Rollback,
}

impl OnFailure {
    /// All of them, as settings name them.
    pub const ALL: [(&'static str, Self); 2] = [("keep", Self::Keep), ("rollback", Self::Rollback)];

    // As for what is done about drift.
    fn is_usual(&self) -> bool {
        *self == Self::default()
    }
}

/// What is done where another field manager has set a field of an object to something else than the commit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Conflicts {
    /// The field is taken from them.
    #[default]
    Take,
    /// The commit is refused, naming them; drift of theirs is recorded and not corrected.
    Refuse,
}

impl Conflicts {
    /// All of them, as settings name them.
    pub const ALL: [(&'static str, Self); 2] = [("take", Self::Take), ("refuse", Self::Refuse)];

    // As for what is done about drift.
    fn is_usual(&self) -> bool {
        *self == Self::default()
    }
}

/// When what an object owns is deleted with it, as API servers know it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Propagation {
    /// After it is gone.
    #[default]
    Background,
    /// Before it is gone.
    Foreground,
    /// Never: it belongs to nobody from then on.
    Orphan,
}

impl Propagation {
    /// All of them, as settings name them.
    pub const ALL: [(&'static str, Self); 3] =
        [("background", Self::Background), ("foreground", Self::Foreground), ("orphan", Self::Orphan)];

    // As for what is done about drift.
    fn is_usual(&self) -> bool {
        *self == Self::default()
    }
}

impl Application {
    /// Returns the folder of its manifests for one cluster.
    #[must_use]
    pub fn path_in(&self, cluster: &Name) -> String {
        self.path.replace("{cluster}", cluster.as_str())
    }

    /// Returns the namespace for objects that name none, for one cluster.
    #[must_use]
    pub fn namespace_in(&self, cluster: &Name) -> String {
        self.namespace.replace("{cluster}", cluster.as_str())
    }

    /// Returns the user in whose name it is written in one cluster, as API servers call it; `None` for windlass itself.
    #[must_use]
    pub fn user_in(&self, cluster: &Name) -> Option<String> {
        let ServiceAccount { namespace, name } = self.service_account.as_ref()?;
        let namespace = namespace.clone().unwrap_or_else(|| self.namespace_in(cluster));
        Some(format!("system:serviceaccount:{namespace}:{name}"))
    }

    /// Returns the targets that must be healthy before it is written in one cluster.
    pub fn dependencies<'a>(&'a self, cluster: &'a Name) -> impl Iterator<Item = Target> + 'a {
        self.depends_on.iter().map(|one| Target {
            application: one.application.clone(),
            cluster: one.cluster.as_ref().unwrap_or(cluster).clone(),
        })
    }

    /// Returns its targets, in the order of its clusters.
    pub fn targets(&self) -> impl Iterator<Item = Target> + '_ {
        self.clusters
            .iter()
            .map(|cluster| Target { application: self.name.clone(), cluster: cluster.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::Application;
    use super::Name;
    use super::Target;
    use crate::commit::RefName;

    #[test]
    fn a_status_names_its_target() {
        let target =
            Target { application: Name::parse("shop").unwrap(), cluster: Name::parse("east-1").unwrap() };
        assert_eq!(target.context(), "windlass/shop@east-1");
        assert_eq!(Target::from_context("windlass/shop@east-1"), Some(target));
        for other in
            ["windlass", "windlass/", "windlass/shop", "windlass/@", "Windlass/shop@east", "ci/shop@east"]
        {
            assert_eq!(Target::from_context(other), None, "{other}");
        }
    }

    #[test]
    fn names_fit_wherever_they_are_used() {
        let cases = [
            ("shop", true),
            ("team-7", true),
            ("", false),
            ("-shop", false),
            ("shop-", false),
            ("Shop", false),
            ("a.b", false),
            ("a@b", false),
        ];
        for (text, fine) in cases {
            assert_eq!(Name::parse(text).is_ok(), fine, "{text:?}");
        }
        assert!(Name::parse(&"a".repeat(40)).is_ok());
        assert!(Name::parse(&"a".repeat(41)).is_err());
    }
    #[test]
    fn what_older_versions_wrote_is_read() {
        let old = r#"{"name":"shop","source":"code","ref":"refs/heads/main","path":"","clusters":["east"],
            "namespace":"shop","prune":true,"health_deadline_ms":300000}"#;
        let shop: Application = serde_json::from_str(old).unwrap();
        assert_eq!(shop.reference, RefName::parse("refs/heads/main").unwrap().into());
        let new = serde_json::to_value(&shop).unwrap();
        assert_eq!(
            new,
            serde_json::from_str::<serde_json::Value>(old).unwrap(),
            "and so the digest is the same"
        );
    }
}
