//! Each part of the line needs its own settings, and no others.

use super::Access;
use super::Environment;
use super::SECRET;
use super::folder;
use super::load_part;
use crate::application::Name;
use crate::role::Part;
use crate::role::Role;
use crate::settings::Settings;

/// What all parts share: a broker. Its URL is a secret.
const BROKER: &str = "[queue]\nurl = { env = \"BROKER\" }\n";
/// Where dispatch and report meet.
const DATABASE: &str = "[store]\nurl = { env = \"DATABASE\" }\n";
const APPLICATIONS: &str = "[[applications]]\nname = \"shop\"\nsource = \"shop\"\nref = \"refs/heads/main\"\nclusters = [\"east\"]\n";
const SOURCES: &str = "[[sources]]\nname = \"shop\"\nforge = \"gitea\"\nrepository = \"team/shop\"\n";
const CLUSTERS: &str = "[[clusters]]\nname = \"east\"\nlane = \"eu\"\n";
const BROKER_URL: (&str, &str) = ("BROKER", "amqp://windlass:never-to-be-seen@127.0.0.1/windlass");
const DATABASE_URL: (&str, &str) = ("DATABASE", "postgres://windlass:never-to-be-seen@127.0.0.1/windlass");

/// A forge with these keys.
fn forge(keys: &str) -> String {
    format!(
        "[[forges]]\nname = \"gitea\"\nkind = \"gitea\"\nurl = \"http://127.0.0.1:3000\"\nprivate = true\n{keys}\n"
    )
}

fn environment(variables: &[(&str, &str)]) -> Environment {
    variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn eu() -> Name {
    Name::parse("eu").unwrap()
}

#[test]
fn each_role_starts_with_its_own_settings_alone() {
    let folder = folder();
    let hook = forge("webhook_secrets = [{ env = \"HOOK\" }]");
    let reads = forge("read_token = { env = \"READ\" }");
    let writes = forge("token = { env = \"WRITE\" }");
    let inside = format!("{CLUSTERS}in_cluster = true\n");
    // role → settings, secrets
    let cases = [
        (Role::Door, [BROKER, &hook, SOURCES].concat(), vec![("HOOK", SECRET)]),
        (
            Role::Dispatch,
            [BROKER, DATABASE, &reads, SOURCES, CLUSTERS, APPLICATIONS].concat(),
            vec![("READ", SECRET), DATABASE_URL],
        ),
        (Role::Reconcile, [BROKER, &reads, SOURCES, &inside].concat(), vec![("READ", SECRET)]),
        (
            Role::Report,
            [BROKER, DATABASE, &writes, SOURCES, CLUSTERS, APPLICATIONS].concat(),
            vec![("WRITE", SECRET), DATABASE_URL],
        ),
    ];
    for (role, text, mut secrets) in cases {
        secrets.push(BROKER_URL);
        let loaded = load_part(folder.path(), &text, &environment(&secrets), &Part::of([role], []));
        let settings = loaded.unwrap_or_else(|problems| panic!("{role:?}: {problems:#?}"));
        assert!(settings.queue.url.is_some(), "{role:?}");
        assert_eq!(settings.store.url.is_some(), secrets.contains(&DATABASE_URL), "{role:?}");
        // It cannot do without any of them.
        for left in 0..secrets.len() {
            let mut fewer = secrets.clone();
            let (name, _) = fewer.remove(left);
            let problems = load_part(folder.path(), &text, &environment(&fewer), &Part::of([role], []));
            let problems = problems.unwrap_err();
            assert!(
                problems.iter().any(|one| one.contains(&format!("variable {name} is not set"))),
                "{problems:#?}"
            );
        }
    }
}

/// All settings in one file, with all secrets by name.
fn everything() -> String {
    let keys = "webhook_secrets = [{ env = \"HOOK\" }]\ntoken = { env = \"WRITE\" }\nread_token = { env = \"READ\" }";
    let cluster = format!("{CLUSTERS}kubeconfig = \"absent.kubeconfig\"\n");
    [BROKER, DATABASE, &forge(keys), SOURCES, &cluster, APPLICATIONS].concat()
}

fn load_of_everything(
    role: Role,
    lanes: &[Name],
    variables: &[(&str, &str)],
) -> Result<Settings, Vec<String>> {
    let folder = folder();
    let part = Part::of([role], lanes.iter().cloned());
    load_part(folder.path(), &everything(), &environment(variables), &part)
}

#[test]
fn the_secrets_of_other_roles_are_not_read_where_one_file_serves_all() {
    let own = [(Role::Door, "HOOK"), (Role::Dispatch, "READ"), (Role::Report, "WRITE")];
    for (role, name) in own {
        let variables = [BROKER_URL, DATABASE_URL, (name, SECRET)];
        let settings = load_of_everything(role, &[], &variables).unwrap();
        let forge = settings.forges.values().next().unwrap();
        assert_eq!(!forge.webhook_secrets.is_empty(), role == Role::Door);
        assert_eq!(forge.token.is_some(), role == Role::Report);
        assert_eq!(forge.read_token.is_some(), role == Role::Dispatch);
        assert!(settings.clusters.values().all(|cluster| cluster.access.is_none()));
    }
    // Its kubeconfig is no other's business, but it is this one's.
    let problems = load_of_everything(Role::Reconcile, &[], &[BROKER_URL, ("READ", SECRET)]).unwrap_err();
    assert!(problems.iter().any(|problem| problem.contains("there is no file")), "{problems:#?}");
}

#[test]
fn who_looks_after_the_queue_knows_all_lanes_and_no_secret_but_the_broker_s() {
    let folder = folder();
    let load = |text: &str, variables: &[(&str, &str)]| {
        load_part(folder.path(), text, &environment(variables), &Part::operator())
    };
    let settings = load(&everything(), &[BROKER_URL]).unwrap();
    assert_eq!(settings.lanes().all().into_iter().collect::<Vec<_>>(), ["eu"]);
    assert!(settings.forges.is_empty() && settings.store.url.is_none());
    let problems = load(&everything(), &[]).unwrap_err();
    assert!(problems.iter().any(|one| one.contains("variable BROKER is not set")), "{problems:#?}");
    let problems = load("[[clusters]]\nname = \"east\"\nlane = \"not a lane\"\n", &[]).unwrap_err();
    assert!(problems.iter().any(|one| one.contains("lane")), "a lane in error is not passed over");
    assert!(load("", &[]).unwrap().queue.url.is_none(), "the embedded queue has dead letters as well");
}

#[test]
fn a_worker_of_a_lane_reaches_the_clusters_of_that_lane_only() {
    let folder = folder();
    let other = "[[clusters]]\nname = \"west\"\nkubeconfig = \"absent.kubeconfig\"\n";
    let own = format!("{CLUSTERS}kubeconfig = \"east.kubeconfig\"\ncontext = \"admin\"\n");
    let text = [BROKER, &forge(""), SOURCES, &own, other].concat();
    let part = |lane| Part::of([Role::Reconcile], [lane]);
    let settings = load_part(folder.path(), &text, &environment(&[BROKER_URL]), &part(eu())).unwrap();
    let [east, west] = ["east", "west"].map(|name| &settings.clusters[&Name::parse(name).unwrap()]);
    assert!(matches!(east.access, Some(Access::Kubeconfig { .. })) && west.access.is_none());
    assert_eq!((settings.lanes().of(&Name::parse("east").unwrap()), east.lane.as_str()), ("eu", "eu"));
    let unknown = Name::parse("mars").unwrap();
    let problems = load_part(folder.path(), &text, &environment(&[BROKER_URL]), &part(unknown)).unwrap_err();
    assert!(problems[0].contains("no cluster is of lane \"mars\""), "{problems:#?}");
}

#[test]
fn parts_meet_at_a_broker_and_share_a_database() {
    let folder = folder();
    let cases = [
        (Part::of([Role::Door], []), "", "queue.url: is missing: the parts of windlass meet at RabbitMQ"),
        (Part::whole(), BROKER, "store.url: is missing: whoever shares a queue"),
        (Part::of([Role::Report], []), BROKER, "store.url: is missing"),
        (Part::of([Role::Reconcile], []), BROKER, ""),
        (Part::whole(), "", ""),
        (Part::whole(), "[store]\nurl = \"postgres:///windlass?host=/run/postgresql\"\n", ""),
        (Part::none(), "", ""),
    ];
    for (part, text, expected) in cases {
        let problems = load_part(folder.path(), text, &environment(&[BROKER_URL]), &part);
        let problems = problems.err().unwrap_or_default();
        let fits = if expected.is_empty() {
            problems.is_empty()
        } else {
            problems.iter().any(|problem| problem.contains(expected))
        };
        assert!(fits, "{part:?}: {problems:#?}");
    }
}

#[test]
fn a_password_may_stand_in_the_environment_and_never_in_the_file() {
    let folder = folder();
    let variable = [("WINDLASS__QUEUE__URL", BROKER_URL.1)];
    let part = Part::of([Role::Reconcile], []);
    let settings = load_part(folder.path(), "", &environment(&variable), &part).unwrap();
    assert_eq!(settings.queue.url.unwrap().expose(), BROKER_URL.1);
    let text = format!("[queue]\nurl = \"{}\"\n", BROKER_URL.1);
    let problems = load_part(folder.path(), &text, &environment(&[]), &part).unwrap_err();
    assert!(problems.iter().all(|problem| !problem.contains("never-to-be-seen")), "{problems:#?}");
    std::fs::write(folder.path().join("ca.pem"), "no certificate").unwrap();
    let text = format!("{BROKER}ca = \"ca.pem\"\n");
    let problems = load_part(folder.path(), &text, &environment(&[BROKER_URL]), &part).unwrap_err();
    assert!(problems[0].contains("holds no certificate in PEM"), "{problems:#?}");
}
