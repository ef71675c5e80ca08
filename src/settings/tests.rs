use std::fs;
use std::path::Path;
use std::time::Duration;

mod applications;
mod parts;
mod signers;

use super::Access;
use super::Environment;
use super::Settings;
use super::secrets::tests::key;
use crate::application::Name;
use crate::role::Part;

pub const SECRET: &str = "never to be seen anywhere";

/// A folder with the files that good settings name.
pub fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("east.kubeconfig"), "{}").unwrap();
    fs::write(folder.path().join("token"), format!("{SECRET}\n")).unwrap();
    folder
}

fn environment(more: &[(&str, &str)]) -> Environment {
    let secret = [("HOOK", SECRET), ("SHORT", "hunter2"), ("PATH", "/bin")];
    secret.iter().chain(more).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

pub const GOOD: &str = r#"
[[forges]]
name = "gitea"
kind = "gitea"
private = true
url = "http://127.0.0.1:3000/"
webhook_secrets = [{ env = "HOOK" }, { file = "token" }]
token = { file = "token" }

[[sources]]
name = "shop"
forge = "gitea"
repository = "team/shop"

[[clusters]]
name = "east"
kubeconfig = "east.kubeconfig"

[[applications]]
name = "shop"
source = "shop"
ref = "refs/heads/main"
path = "deploy/{cluster}"
clusters = ["east"]
"#;

pub fn load(folder: &Path, text: &str, more: &[(&str, &str)]) -> Result<Settings, Vec<String>> {
    load_part(folder, text, &environment(more), &Part::whole())
}

/// Loads what a part of the line needs, in an environment of these variables alone.
fn load_part(
    folder: &Path,
    text: &str,
    environment: &Environment,
    part: &Part,
) -> Result<Settings, Vec<String>> {
    let file = folder.join("windlass.toml");
    fs::write(&file, text).unwrap();
    let shown = file.display().to_string();
    let loaded = Settings::load(Some(&file), environment, part);
    loaded.map_err(|problems| {
        problems.iter().map(|problem| problem.to_string().replace(&shown, "windlass.toml")).collect()
    })
}

#[test]
fn the_defaults_are_settings_by_themselves() {
    let settings = Settings::load(None, &Environment::new(), &Part::whole()).unwrap();
    assert_eq!(settings.data, Path::new("windlass-data"));
    assert_eq!(settings.door.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(settings.door.limits.body_bytes, 5 << 20);
    assert_eq!((settings.guard.least, settings.guard.percent), (10, 20));
    assert!(settings.applications.is_empty() && settings.warnings.is_empty());
}

#[test]
fn a_file_names_forges_sources_clusters_and_applications() {
    let folder = folder();
    let settings = load(folder.path(), GOOD, &[]).unwrap();
    let name = |text| Name::parse(text).unwrap();
    let forge = &settings.forges[&name("gitea")];
    assert_eq!(
        (forge.url.as_str(), forge.api.as_str()),
        ("http://127.0.0.1:3000", "http://127.0.0.1:3000/api/v1")
    );
    assert_eq!(
        forge.webhook_secrets.iter().map(crate::secret::Secret::expose).collect::<Vec<_>>(),
        [SECRET; 2]
    );
    let source = &settings.sources[&name("shop")];
    assert_eq!(
        (source.url.as_str(), source.poll),
        ("http://127.0.0.1:3000/team/shop.git", Some(Duration::from_secs(300)))
    );
    let file = folder.path().join("east.kubeconfig");
    assert_eq!(settings.clusters[&name("east")].access, Some(Access::Kubeconfig { file, context: None }));
    let application = &settings.applications[0];
    assert_eq!((application.namespace.as_str(), application.prune), ("default", true));
    assert_eq!(application.health_deadline_ms, 300_000);
    assert!(!format!("{settings:?}").contains(SECRET));
}

#[test]
fn later_layers_win() {
    let folder = folder();
    let text = "[door]\nworkers = 3\n[sweep]\npoll = \"off\"\n[data]\ndir = \"data\"\n";
    let more = [
        ("WINDLASS__DOOR__WORKERS", "5"),
        ("WINDLASS__LOG__LEVEL", "debug"),
        ("WINDLASS__GUARD__LEAST", "0"),
    ];
    let settings = load(folder.path(), text, &more).unwrap();
    assert_eq!((settings.door.limits.workers, settings.guard.least), (5, 0));
    assert_eq!(settings.data, folder.path().join("data"));
    let settings = load(folder.path(), text, &[("WINDLASS__DATA__DIR", "/var/lib/windlass")]).unwrap();
    assert_eq!((settings.door.limits.workers, settings.data.to_str().unwrap()), (3, "/var/lib/windlass"));
    let poll = "[[forges]]\nname=\"g\"\nkind=\"github\"\nurl=\"https://github.com\"\nwebhook_secrets=[{env=\"HOOK\"}]\n\
        [[sources]]\nname=\"a\"\nforge=\"g\"\nrepository=\"a/b\"\n\
        [[sources]]\nname=\"b\"\nforge=\"g\"\nrepository=\"a/b\"\npoll=\"1m\"\n";
    let settings = load(folder.path(), &format!("{text}{poll}"), &[]).unwrap();
    let polls: Vec<_> = settings.sources.values().map(|source| source.poll).collect();
    assert_eq!(polls, [None, Some(Duration::from_secs(60))]);
    assert_eq!(settings.warnings, ["forges[0] has no token: no statuses are posted there"]);
}

/// A text in the good file, what stands there instead, and what is said about it.
const MISTAKES: &[(&str, &str, &str)] = &[
    (
        "kind = \"gitea\"",
        "kind = \"bitbucket\"",
        "forges[0].kind: must be one of \"gitea\", \"forgejo\", \"github\", \"gitlab\"",
    ),
    ("ref = \"refs/heads/main\"", "ref = \"main\"", "applications[0].ref: \"main\" is a short name"),
    ("ref = \"refs/heads/main\"", "ref = \"main\"", "write refs/heads/main"),
    ("ref = \"refs/heads/main\"", "", "applications[0].ref: is missing"),
    (
        "ref = \"refs/heads/main\"",
        "ref = \"refs/heads/main\"\ntag = \"1.x\"",
        "applications[0].tag: contradicts ref: give one of ref, tag and commit",
    ),
    (
        "ref = \"refs/heads/main\"",
        "tag = \"1.x\"\ncommit = \"0123456789abcdef0123456789abcdef01234567\"",
        "applications[0].commit: contradicts tag",
    ),
    (
        "ref = \"refs/heads/main\"",
        "tag = \"latest\"",
        "applications[0].tag: a range of versions is comparisons such as >=1.2, <2, with || between alternatives, not \
         `latest`; for one tag of any name, write ref = \"refs/tags/...\"",
    ),
    (
        "ref = \"refs/heads/main\"",
        "commit = \"0123456\"",
        "applications[0].commit: a commit id has 40 or 64 lowercase hexadecimal digits",
    ),
    (
        "source = \"shop\"",
        "source = \"shoe\"",
        "applications[0].source: there is no source \"shoe\"; known: shop",
    ),
    ("forge = \"gitea\"", "forge = \"x\"", "sources[0].forge: there is no forge \"x\"; known: gitea"),
    ("[\"east\"]", "[\"west\"]", "applications[0].clusters[0]: there is no cluster \"west\"; known: east"),
    ("[\"east\"]", "[\"east\", \"east\"]", "applications[0].clusters[1]: \"east\" is listed twice"),
    ("[\"east\"]", "[]", "applications[0].clusters: must list at least one"),
    ("[\"east\"]", "[1]", "applications[0].clusters[0]: must be the name"),
    ("deploy/{cluster}", "../x", "applications[0].path: must be folders"),
    (
        "path = ",
        "paths = ",
        "applications[0].paths: is no setting; known here: clusters, commit, conflicts, depends_on, health_deadline",
    ),
    ("east.kubeconfig", "no.kubeconfig", "clusters[0].kubeconfig: there is no file"),
    ("kubeconfig = ", "in_cluster = false #", "clusters[0]: give a kubeconfig, or in_cluster"),
    ("kubeconfig = ", "in_cluster = true\nkubeconfig = ", "clusters[0].in_cluster: contradicts kubeconfig"),
    (
        "{ env = \"HOOK\" }",
        "{ env = \"HOOP\" }",
        "forges[0].webhook_secrets[0]: the environment variable HOOP is not set",
    ),
    (
        "{ env = \"HOOK\" }",
        "{ env = \"SHORT\" }",
        "forges[0].webhook_secrets[0]: the environment variable SHORT has 7 bytes",
    ),
    ("{ env = \"HOOK\" }", "\"hunter2\"", "forges[0].webhook_secrets[0]: must be { env"),
    ("{ env = \"HOOK\" }", "{ env = \"HOOK\", file = \"x\" }", "forges[0].webhook_secrets[0]: must be { env"),
    ("[{ env = \"HOOK\" }, { file = \"token\" }]", "[]", "forges[0].webhook_secrets: must have 1 to 8"),
    ("token = { file = \"token\" }", "token = { file = \"no\" }", "forges[0].token: the file"),
    ("http://127.0.0.1:3000/", "http://u:hunter2@h/", "forges[0].url: must not hold credentials"),
    (
        "token = { file = \"token\" }\n\n[[sources]]",
        "read_token = { file = \"token\" }\n\n[[sources]]\nurl = \"https://other.example.org/x\"",
        "sources[0].url: leads elsewhere than http://127.0.0.1:3000, and read_token goes there only",
    ),
    ("private = true", "", "forges[0].url: leads out of reach: 127.0.0.1 is a loopback address: set private"),
    (
        "http://127.0.0.1:3000/",
        "http://169.254.169.254/",
        "forges[0].url: leads out of reach: 169.254.169.254",
    ),
    (
        "private = true",
        "private = true\napi = \"https://[fe80::1]/\"",
        "forges[0].api: leads out of reach: fe80::1",
    ),
    (
        "forge = \"gitea\"",
        "forge = \"gitea\"\nurl = \"http://[::]/x\"",
        "sources[0].url: leads out of reach: :: is",
    ),
    ("repository = \"team/shop\"", "repository = \"shop\"", "sources[0].repository: must be owner/name"),
    (
        "forge = \"gitea\"",
        "forge = \"gitea\"\nwebhook_secrets = []",
        "sources[0].webhook_secrets: must have 1 to 8",
    ),
    (
        "forge = \"gitea\"",
        "forge = \"gitea\"\nwebhook_secrets = [{ env = \"SHORT\" }]",
        "sources[0].webhook_secrets[0]: the environment variable SHORT has 7 bytes",
    ),
    ("name = \"east\"", "name = \"East\"", "clusters[0].name: a name has 1 to 40"),
    ("[[clusters]]", "[clusters]", "clusters: must be a list of tables"),
    ("\n[[forges]]", "\n[door]\nlisten = \"localhost:1\"\n[[forges]]", "door.listen: must be an IP address"),
    ("\n[[forges]]", "\n[door]\nbody_limit = \"26MiB\"\n[[forges]]", "from \"1KiB\" to \"25MiB\""),
    (
        "\n[[forges]]",
        "\n[door]\nworkers = \"2\"\n[[forges]]",
        "door.workers: must be a whole number from 1 to 64",
    ),
    ("\n[[forges]]", "\n[sweep]\npoll = 5\n[[forges]]", "sweep.poll: must be a text in quotes, not a number"),
    ("\n[[forges]]", "\n[sweep]\npoll = \"5\"\n[[forges]]", "from \"10s\" to \"24h\""),
    (
        "\n[[forges]]",
        "\n[queue]\nurl = \"amqp://user:password@h/v\"\n[[forges]]",
        "queue.url: must not hold a password: give it as",
    ),
    (
        "\n[[forges]]",
        "\n[store]\nurl = \"mysql://host/windlass\"\n[[forges]]",
        "store.url: must start with postgres:// or postgresql://",
    ),
    ("\n[[forges]]", "\n[dore]\n[[forges]]", "dore: is no section; known: data"),
    ("\n[[forges]]", "\ndoor = 1\n[[forges]]", "door: must be a section"),
];

#[test]
fn every_mistake_is_named_with_what_is_allowed() {
    let folder = folder();
    for (good, bad, expected) in MISTAKES {
        let problems = load(folder.path(), &GOOD.replacen(good, bad, 1), &[]).unwrap_err();
        assert!(problems.iter().any(|problem| problem.contains(expected)), "{bad}\n{problems:#?}");
        assert!(problems.iter().all(|problem| problem.starts_with("windlass.toml: ")), "{problems:#?}");
        assert!(
            !problems.iter().any(|problem| problem.contains(SECRET) || problem.contains("hunter2")),
            "{problems:?}"
        );
    }
}

#[test]
fn gitlab_has_its_own_form_of_names_and_secrets() {
    let folder = folder();
    let nested = GOOD.replace("team/shop", "team/web/shop");
    let refused = load(folder.path(), &nested, &[]).unwrap_err();
    assert!(refused[0].ends_with("must be owner/name, such as \"team/shop\""), "{refused:?}");
    let gitlab = nested.replace("kind = \"gitea\"", "kind = \"gitlab\"");
    let settings = load(folder.path(), &gitlab, &[]).unwrap();
    let name = |text| Name::parse(text).unwrap();
    assert_eq!(settings.sources[&name("shop")].url, "http://127.0.0.1:3000/team/web/shop.git");
    assert_eq!(settings.forges[&name("gitea")].api, "http://127.0.0.1:3000/api/v4");

    let key = |bytes: usize| format!("whsec_{}", "QUFB".repeat(bytes / 3));
    let cases = [
        (key(24), None),
        (key(63), None),
        (key(21), Some("no base64 of 24 to 64 bytes")),
        (key(66), Some("no base64 of 24 to 64 bytes")),
        (format!("{}!", key(24)), Some("no base64 of 24 to 64 bytes")),
        ("a plain token of é".to_owned(), Some("printable ASCII")),
    ];
    for (secret, wrong) in cases {
        let problems = load(folder.path(), &gitlab, &[("HOOK", &secret)]).err().unwrap_or_default();
        let said = problems.join("\n");
        assert_eq!(problems.len(), usize::from(wrong.is_some()), "{secret}: {said}");
        assert!(wrong.is_none_or(|wrong| said.contains(wrong)), "{said}");
        let where_to = "forges[0].webhook_secrets[0]: the environment variable HOOK";
        assert!(wrong.is_none() || said.contains(where_to), "{said}");
        assert!(!said.contains(&secret), "{said}");
        // Nothing of it means anything to the other forges.
        load(folder.path(), GOOD, &[("HOOK", &secret)]).unwrap();
    }
}

#[test]
fn all_mistakes_are_told_at_once() {
    let folder = folder();
    let text = GOOD
        .replace("ref = \"refs/heads/main\"", "ref = \"main\"")
        .replace("kind = \"gitea\"", "kind = \"x\"");
    let more = [
        ("WINDLASS__DOOR__WORKERS", "many"),
        ("WINDLASS__DOOR__PORT", "1"),
        ("WINDLASS__FORGES__0__URL", "x"),
    ];
    let problems = load(folder.path(), &text, &more).unwrap_err();
    let starts = [
        "WINDLASS__FORGES__0__URL: lists are given in a settings file",
        "WINDLASS__DOOR__WORKERS: door.workers: must be a whole number",
        "WINDLASS__DOOR__PORT: door.port: is no setting",
        "windlass.toml: forges[0].kind:",
        "windlass.toml: applications[0].ref:",
    ];
    assert_eq!(problems.len(), starts.len(), "{problems:#?}");
    for (problem, start) in problems.iter().zip(starts) {
        assert!(problem.starts_with(start), "{problem}");
    }
}

#[test]
fn names_are_unique() {
    let folder = folder();
    for list in ["forges", "sources", "clusters", "applications"] {
        let section = GOOD.split("[[").find(|part| part.starts_with(list)).unwrap();
        let problems = load(folder.path(), &format!("{GOOD}\n[[{section}"), &[]).unwrap_err();
        assert!(problems[0].contains(&format!("{list}[1].name: ")), "{problems:#?}");
    }
}

#[test]
fn a_broken_or_absent_file_is_said_without_quoting_it() {
    let folder = folder();
    let problems = load(folder.path(), "[door]\nlisten = hunter2\n", &[]).unwrap_err();
    assert_eq!(problems.len(), 1);
    assert!(problems[0].starts_with("windlass.toml: line 2 is no TOML"), "{problems:?}");
    assert!(!problems[0].contains("hunter2"), "{problems:?}");
    let absent =
        Settings::load(Some(&folder.path().join("absent.toml")), &Environment::new(), &Part::whole())
            .unwrap_err();
    assert!(absent[0].to_string().contains("cannot be read"), "{absent:?}");
}

#[test]
fn the_examples_in_the_embedded_file_are_good_settings() {
    let folder = folder();
    let text: Vec<&str> =
        super::DEFAULTS.lines().map(|line| line.strip_prefix('#').unwrap_or(line)).collect();
    let text: Vec<&str> = text.into_iter().filter(|line| !line.starts_with(' ')).collect();
    fs::write(folder.path().join("gitea-read-token"), SECRET).unwrap();
    fs::write(folder.path().join("allowed_signers"), signers::KEY).unwrap();
    let names = ["GITEA_WEBHOOK_SECRET", "SHOP_WEBHOOK_SECRET", "GITEA_TOKEN"];
    let more = names.map(|name| (name, SECRET));
    // An App stands in the place of a token, and only at GitHub.
    let is_of_github = |line: &&str| line.starts_with("app = ") || line.starts_with("hook_url = ");
    let (app, rest): (Vec<&str>, Vec<&str>) = text.into_iter().partition(is_of_github);
    key(folder.path(), "app.private-key.pem");
    // These three exclude each other.
    let keys = ["ref = ", "tag = ", "commit = "];
    for key in keys {
        let others = |line: &&str| !keys.iter().any(|other| *other != key && line.starts_with(other));
        let rest: Vec<&str> = rest.iter().copied().filter(others).collect();
        assert!(rest.iter().any(|line| line.starts_with(key)), "{key} has an example");
        load(folder.path(), &(rest.join("\n") + applications::DATABASE), &more).unwrap();
    }
    let others = |line: &&str| !keys.iter().skip(1).any(|key| line.starts_with(key));
    let rest: Vec<&str> = rest.into_iter().filter(others).collect();
    let github = (rest.join("\n") + applications::DATABASE)
        .replace("token = { env = \"GITEA_TOKEN\" }", &app.join("\n"));
    let settings =
        load(folder.path(), &github.replacen("kind = \"gitea\"", "kind = \"github\"", 1), &more).unwrap();
    assert!(settings.forges.values().all(|forge| forge.app.is_some() && forge.hook_url.is_some()));
}
