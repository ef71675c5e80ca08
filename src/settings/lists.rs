//! The lists in double brackets, and how their items refer to each other.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::application::Name;
use crate::dial;
use crate::dial::Reach;
use crate::forge::Kind;
use crate::lanes::SHARED;
use crate::role::Part;
use crate::role::Role;
use crate::secret::Secret;
use crate::server::Network;
use crate::settings::checks;
use crate::settings::reader::Environment;
use crate::settings::reader::Section;
use crate::settings::secrets;
use crate::settings::secrets::App;
use crate::settings::sections;
use crate::settings::signers;
use crate::signer::Signers;

/// One of `[[forges]]`.
#[derive(Clone, Debug)]
pub struct Forge {
    /// The kind.
    pub kind: Kind,
    /// Its address, without a trailing slash.
    pub url: String,
    /// The address of its API, without a trailing slash.
    pub api: String,
    /// The secrets of its webhooks; at least one.
    pub webhook_secrets: Vec<Secret>,
    /// The addresses that may call its webhooks; with none, all may.
    pub allowed_from: Vec<Network>,
    /// May it be at a loopback or private address?
    pub private: bool,
    /// The token that posts statuses.
    pub token: Option<Secret>,
    /// The token that reads repositories.
    pub read_token: Option<Secret>,
    /// Where its webhooks lead, so that it is looked after what could not be delivered; nothing when it is not.
    pub hook_url: Option<String>,
    /// The GitHub App that posts, and reads repositories where there is no token for that.
    pub app: Option<App>,
}

impl Forge {
    /// Returns how far windlass may reach for it.
    #[must_use]
    pub fn reach(&self) -> Reach {
        if self.private { Reach::Private } else { Reach::Public }
    }
}

/// One of `[[sources]]`.
#[derive(Clone, Debug)]
pub struct Source {
    /// The forge that holds it.
    pub forge: Name,
    /// The repository, as `owner/name`, or with more groups before it where the forge has such.
    pub repository: String,
    /// Where it is cloned from.
    pub url: String,
    /// The secrets of the webhook that is for it alone; without any, those of its forge are.
    pub webhook_secrets: Vec<Secret>,
    /// How often it is swept; nothing when it is not.
    pub poll: Option<Duration>,
    /// The keys of which one must have signed a commit, where that is asked for.
    pub signed_by: Option<Arc<Signers>>,
}

/// One of `[[clusters]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// The lane of its jobs.
    pub lane: Name,
    /// How it is reached; nothing where this process does not.
    pub access: Option<Access>,
    /// The namespace of windlass's own records.
    pub namespace: String,
}

impl Cluster {
    /// Returns the kubeconfig that it is reached with, where it is.
    #[must_use]
    pub fn kubeconfig(&self) -> Option<&Path> {
        match &self.access {
            Some(Access::Kubeconfig { file, .. }) => Some(file),
            Some(Access::InCluster) | None => None,
        }
    }
}

/// How a cluster is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// With a context of a kubeconfig, by default its current one.
    Kubeconfig {
        /// The file.
        file: PathBuf,
        /// The context.
        context: Option<String>,
    },
    /// With the service account of the pod that windlass runs in.
    InCluster,
}

/// The names of one list.
pub struct Names(BTreeSet<Name>);

impl Names {
    /// Returns the names of an empty list.
    pub const fn new() -> Self {
        Self(BTreeSet::new())
    }

    /// Returns the names in their order.
    pub fn iter(&self) -> impl Iterator<Item = &Name> {
        self.0.iter()
    }

    /// Returns in words which names there are.
    pub fn text(&self) -> String {
        let names: Vec<&str> = self.0.iter().map(Name::as_str).collect();
        if names.is_empty() {
            "none is configured".to_owned()
        } else {
            format!("known: {}", names.join(", "))
        }
    }

    /// Reads the name of an item and keeps it; it must differ from those before it.
    pub fn take(&mut self, section: &mut Section<'_>) -> Option<Name> {
        let text = section.required("name", "what it is called")?;
        let name = Name::parse(&text).map_err(|error| section.wrong("name", error.to_string())).ok()?;
        if !self.0.insert(name.clone()) {
            section.wrong("name", format!("\"{name}\" is the name of another one: give each its own"));
            return None;
        }
        Some(name)
    }

    /// Says what is wrong with a reference to an item, if anything is.
    pub fn check(&self, text: &str, what: &str) -> Result<Name, String> {
        let name = Name::parse(text).ok().filter(|name| self.0.contains(name));
        name.ok_or_else(|| format!("there is no {what} \"{text}\"; {}", self.text()))
    }
}

/// Reads a forge, with those of its secrets that this part of the line has a use for.
pub fn forge(
    section: &mut Section<'_>,
    environment: &Environment,
    part: &Part,
    warnings: &mut Vec<String>,
) -> Option<Forge> {
    let kinds = Kind::ALL.map(|kind| (kind.word(), kind));
    let kind = section
        .required("kind", "\"gitea\", \"forgejo\", \"github\" or \"gitlab\"")
        .and_then(|text| checks::word(&text, &kinds).map_err(|error| section.wrong("kind", error)).ok());
    let url = section
        .required("url", "its address")
        .and_then(|text| checks::url(&text).map_err(|error| section.wrong("url", error)).ok());
    let api = section.parsed("api", checks::url);
    let vet = |secret: &Secret| kind.map_or(Ok(()), |kind| kind.rules().vet(secret));
    let webhook_secrets = if part.has(Role::Door) {
        secrets::several(section, "webhook_secrets", environment, vet)
    } else {
        section.skip("webhook_secrets");
        Vec::new()
    };
    let allowed_from = section.each("allowed_from", str::parse::<Network>).unwrap_or_default();
    let (posts, reads) = (part.has(Role::Report), part.has_any(&[Role::Dispatch, Role::Reconcile]));
    let token = needed(section, "token", posts, |section, name| secrets::one(section, name, environment));
    let read_token =
        needed(section, "read_token", reads, |section, name| secrets::one(section, name, environment));
    let by_app = posts || (reads && !section.has("read_token"));
    let app = needed(section, "app", by_app, |section, name| secrets::app(section, name, environment));
    let hook_url = section.parsed("hook_url", checks::url);
    let private = section.flag("private").unwrap_or_default();
    for (key, url) in [("url", &url), ("api", &api)] {
        in_reach(section, key, url.as_deref(), private);
    }
    if section.has("app") && section.has("token") {
        section.wrong("app", "contradicts token: give the one that is to post");
    }
    if section.has("app") && kind.is_some_and(|kind| kind != Kind::Github) {
        section.wrong("app", "is something that only GitHub knows: give a token");
    }
    if section.has("hook_url") && matches!(kind, Some(Kind::Gitea | Kind::Forgejo)) {
        section.wrong("hook_url", "is for GitHub and GitLab: the others keep no list of what failed");
    }
    if section.has("hook_url") && !section.has("token") && !section.has("app") {
        section.wrong("hook_url", "takes an app, or a token that may administer webhooks");
    }
    if posts && !section.has("token") && !section.has("app") {
        warnings.push(format!("{} has no token: no statuses are posted there", section.key));
    }
    if ["token", "read_token", "app"].iter().any(|name| section.has(name)) {
        for open in [&url, &api].into_iter().flatten().filter(|url| checks::is_open(url)) {
            warnings.push(format!("{}: tokens travel in the open to {open}: use https", section.key));
        }
    }
    let (kind, url) = (kind?, url?);
    let api = api.unwrap_or_else(|| kind.rules().api(&url));
    Some(Forge { kind, url, api, webhook_secrets, allowed_from, private, token, read_token, hook_url, app })
}

/// Reads a value where it is needed; else it is left where it is.
fn needed<T>(
    section: &mut Section<'_>,
    name: &'static str,
    needed: bool,
    read: impl FnOnce(&mut Section<'_>, &'static str) -> Option<T>,
) -> Option<T> {
    if needed {
        return read(section, name);
    }
    section.skip(name);
    None
}

/// Notes an address to which windlass would never connect; names are judged when they are resolved.
fn in_reach(section: &mut Section<'_>, key: &str, url: Option<&str>, private: bool) {
    let reach = if private { Reach::Private } else { Reach::Public };
    if let Err(refused) = dial::judge_url(url.unwrap_or_default(), reach) {
        section.wrong(key, format!("leads out of reach: {refused}"));
    }
}

/// Reads a source; `known` are the names of all forges, and those that are not in error.
pub fn source(
    section: &mut Section<'_>,
    environment: &Environment,
    part: &Part,
    (forges, known): (&Names, &BTreeMap<Name, Forge>),
    poll: Option<Duration>,
) -> Option<Source> {
    let forge = section
        .required("forge", "the name of its forge")
        .and_then(|text| forges.check(&text, "forge").map_err(|error| section.wrong("forge", error)).ok());
    // Of a forge that is in error, the most is allowed that any forge allows.
    let kind = forge.as_ref().and_then(|forge| known.get(forge)).map_or(Kind::Gitlab, |forge| forge.kind);
    let repository = section.required("repository", "owner/name").and_then(|text| {
        checks::repository(&text, kind.name_parts()).map_err(|error| section.wrong("repository", error)).ok()
    });
    let url = section.parsed("url", checks::url);
    let own = section.has("webhook_secrets") && part.has(Role::Door);
    let webhook_secrets = needed(section, "webhook_secrets", own, |section, name| {
        Some(secrets::several(section, name, environment, |secret| kind.rules().vet(secret)))
    });
    let poll = sections::poll(section).unwrap_or(poll);
    let judges = part.has(Role::Reconcile);
    let signed_by = needed(section, "signed_by", judges, signers::signers);
    // Where the forge is in error, what it allows is not known.
    let held_by = forge.as_ref().and_then(|forge| known.get(forge));
    in_reach(section, "url", url.as_deref(), held_by.is_none_or(|forge| forge.private));
    let reads = held_by.and_then(|forge| {
        let token = forge.read_token.as_ref().map(|_| "read_token");
        token.or_else(|| forge.app.as_ref().map(|_| "the App's token"))
    });
    let host = held_by.zip(reads).map(|(forge, token)| (checks::origin(&forge.url), token));
    if let (Some((host, token)), Some(url)) = (host, &url)
        && host != checks::origin(url)
    {
        section.wrong(
            "url",
            format!("leads elsewhere than {host}, and {token} goes there only: give it a forge of its own"),
        );
    }
    let (forge, repository) = (forge?, repository?);
    // A forge that is itself in error is not known; the problem is told where it stands.
    let url = url.or_else(|| known.get(&forge).map(|known| format!("{}/{repository}.git", known.url)))?;
    let webhook_secrets = webhook_secrets.unwrap_or_default();
    Some(Source { forge, repository, url, webhook_secrets, poll, signed_by })
}

/// Reads a cluster. How it is reached concerns those only who reconcile its lane.
pub fn cluster(section: &mut Section<'_>, part: &Part) -> Option<Cluster> {
    let lane = section.parsed("lane", Name::parse);
    let lane = match (lane, section.has("lane")) {
        (None, true) => return None,
        (lane, _) => lane.or_else(|| Name::parse(SHARED).ok())?,
    };
    let namespace = section.parsed("namespace", |text| {
        if checks::is_label(text) { Ok(text.to_owned()) } else { Err("must be the name of a namespace") }
    });
    let namespace = namespace.unwrap_or_else(|| "windlass".to_owned());
    if part.reconciles(&lane) {
        let access = Some(access(section)?);
        return Some(Cluster { lane, access, namespace });
    }
    ["kubeconfig", "context", "in_cluster"].into_iter().for_each(|name| section.skip(name));
    Some(Cluster { lane, access: None, namespace })
}

fn access(section: &mut Section<'_>) -> Option<Access> {
    let file = section.path("kubeconfig");
    let context = section.text("context");
    let inside = section.flag("in_cluster").unwrap_or_default();
    match (section.has("kubeconfig"), inside) {
        (false, false) => section.wrong("", "give a kubeconfig, or in_cluster = true inside a cluster"),
        (true, true) => section.wrong("in_cluster", "contradicts kubeconfig: give one of them"),
        (false, true) if context.is_some() => {
            section.wrong("context", "belongs to a kubeconfig, which is not given");
        }
        _ => {}
    }
    if let Some(file) = file.as_ref().filter(|file| !file.is_file()) {
        section.wrong("kubeconfig", format!("there is no file {}", file.display()));
    }
    match (file, inside) {
        (Some(file), _) => Some(Access::Kubeconfig { file, context }),
        (None, true) => Some(Access::InCluster),
        (None, false) => None,
    }
}
