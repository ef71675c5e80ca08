//! What one windlass of a test is made of, and how it is written down as settings.

use std::path::Path;

use windlass::role::Part;
use windlass::settings::Environment;
use windlass::settings::Settings;

use super::bed;
use super::crew::Servers;
use super::crew::parts;
use super::git::Repo;
use super::plan::Plan;
use super::proxy::Proxy;
use super::windlass::World;

/// The secret of the hook of every world.
pub const HOOK_SECRET: &str = "the secret of the hook of a world";

/// What a world is made of. The default is one application, `shop`, of the folder `shop` in the cluster `east`.
pub struct Setup {
    pub(super) applications: Vec<App>,
    pub(super) proxied: bool,
    pub(super) limited: bool,
    pub(super) sections: String,
}

/// An application of a test: its name is also its folder.
#[derive(Clone)]
pub struct App {
    name: String,
    clusters: Vec<&'static str>,
    follows: String,
    lines: String,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            applications: vec![App::named("shop")],
            proxied: false,
            limited: false,
            sections: String::new(),
        }
    }
}

impl App {
    /// Returns the application of a folder, in the cluster `east`, that follows `main`.
    pub fn named(name: &str) -> Self {
        let follows = "ref = \"refs/heads/main\"".to_owned();
        Self { name: name.to_owned(), clusters: vec!["east"], follows, lines: String::new() }
    }

    /// Says by which setting it follows something else, such as `tag = "1.x"`.
    pub fn following(mut self, line: &str) -> Self {
        line.clone_into(&mut self.follows);
        self
    }

    /// Says in which clusters it belongs.
    pub fn on(mut self, clusters: &[&'static str]) -> Self {
        self.clusters = clusters.to_vec();
        self
    }

    /// Adds a setting, such as `prune = false`.
    pub fn with(mut self, line: &str) -> Self {
        self.lines.push_str(line);
        self.lines.push('\n');
        self
    }
}

impl Setup {
    /// Puts proxies between windlass and `east`, and between windlass and the forge.
    pub fn proxied() -> Self {
        Self { proxied: true, ..Self::default() }
    }

    /// Lets windlass reach `east` as a user without rights but those that the test gives.
    pub fn limited() -> Self {
        Self { limited: true, ..Self::default() }
    }

    /// Says which applications there are.
    pub fn applications(mut self, applications: impl IntoIterator<Item = App>) -> Self {
        self.applications = applications.into_iter().collect();
        self
    }

    /// Adds a section of settings, such as `[guard]\nleast = 1`.
    pub fn section(mut self, text: &str) -> Self {
        self.sections.push_str(text);
        self.sections.push('\n');
        self
    }

    /// Makes the world, runs a test in it and checks how it ended.
    pub async fn run(self, test: impl AsyncFnOnce(&mut World)) {
        World::run_in(self, test).await;
    }

    /// Writes the settings into a folder and reads them as each process of windlass does, which has a data folder of its
    /// own.
    pub(super) fn settings(&self, folder: &Path, made: &Made<'_>) -> Vec<Settings> {
        let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).unwrap();
        write("hook-secret", HOOK_SECRET);
        write("token", bed("WINDLASS_BED_GITEA_BOT_TOKEN"));
        let clusters = ["east", "west"].map(|cluster| (cluster, format!("{cluster}.kubeconfig")));
        for (cluster, file) in &clusters {
            write(file, &self.kubeconfig(cluster, made.east));
        }
        let (installation, namespace) = (made.installation, made.namespace);
        let mut data =
            format!("{}[data]\ndir = \"data\"\ninstallation = \"{installation}\"\n", self.sections);
        if let Some(servers) = made.servers {
            let [broker, database] = servers.urls();
            write("broker", &broker);
            write("database", &database);
            data += "[queue]\nurl = { file = \"broker\" }\n[store]\nurl = { file = \"database\" }\n";
        }
        let plan = Plan {
            sections: &data,
            gitea: made.gitea,
            repository: &made.repo.full_name(),
            secret: "{ file = \"hook-secret\" }",
            token: "{ file = \"token\" }",
            clusters: &clusters.each_ref().map(|(cluster, file)| (*cluster, file.as_str())),
            installation,
            namespace,
        };
        let mut text = plan.text();
        for App { name, clusters, follows, lines } in &self.applications {
            text += &plan.application(name, follows, clusters, &format!("path = \"{name}\"\n{lines}"));
        }
        write("windlass.toml", &text);
        let parts = parts(made.servers.is_some()).into_iter().enumerate();
        let load = |(number, part): (usize, Part)| {
            let own = folder.join(format!("data/{number}")).display().to_string();
            let own = made.servers.map(|_| ("WINDLASS__DATA__DIR".to_owned(), own));
            let environment: Environment = own.into_iter().collect();
            let settings = Settings::load(Some(&folder.join("windlass.toml")), &environment, &part);
            settings.unwrap_or_else(|problems| panic!("{problems:#?}\n{text}"))
        };
        parts.map(load).collect()
    }

    fn kubeconfig(&self, cluster: &str, east: Option<&Proxy>) -> String {
        let key = match (cluster, east) {
            ("east", Some(proxy)) => return proxy.kubeconfig(),
            ("east", None) if self.limited => "WINDLASS_BED_LIMITED_KUBECONFIG",
            ("east", None) => "WINDLASS_BED_EAST_KUBECONFIG",
            _ => "WINDLASS_BED_WEST_KUBECONFIG",
        };
        std::fs::read_to_string(bed(key)).unwrap()
    }
}

/// What was made for a world already.
pub(super) struct Made<'a> {
    /// The name of the installation, and of windlass's own namespace.
    pub(super) installation: &'a str,
    /// The namespace of objects that name none.
    pub(super) namespace: &'a str,
    /// The repository of the source `code`.
    pub(super) repo: &'a Repo,
    /// Where the forge is reached.
    pub(super) gitea: &'a str,
    /// The proxy before `east`.
    pub(super) east: Option<&'a Proxy>,
    /// What the processes meet at, where there are several.
    pub(super) servers: Option<&'a Servers>,
}
