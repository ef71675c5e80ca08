//! The button at GitHub that runs a check again, from its delivery to the new check run, with a real cluster.

use std::path::Path;
use std::time::Duration;

use windlass::clock::now;
use windlass::dispatch;
use windlass::forge::Kind;
use windlass::forge::Request;
use windlass::intake::Answer;
use windlass::intake::Hook;
use windlass::line::Line;
use windlass::moment::Moment;
use windlass::reconcile;
use windlass::report;
use windlass::role::Part;
use windlass::secret::Secret;
use windlass::settings::Environment;
use windlass::settings::Settings;
use windlass::store::Sought;

use crate::app::SHOP;
use crate::app::Scene;
use crate::git;
use crate::runs::Run;
use crate::world::bed;
use crate::world::kube::Kube;
use crate::world::manifests::config_map;
use crate::world::unique;

const SECRET: &str = "a secret of the webhook";
const EAST: &str = "windlass/shop@east";
/// How many rounds of all roles may it take until nothing is left to do?
const ROUNDS: u32 = 200;
/// A little more than the second between two requests.
const SECOND: u64 = 1_200;

/// Settings of an application at the stand-in, for a cluster of the bed.
fn settings(scene: &Scene, folder: &Path, namespace: &str) -> Settings {
    let text = format!(
        "[data]\ndir = \"data\"\ninstallation = \"windlass-{namespace}\"\n\
         [[forges]]\nname = \"github\"\nkind = \"github\"\nprivate = true\nurl = \"{}\"\n\
         webhook_secrets = [{{ env = \"HOOK\" }}]\napp = {{ id = \"Iv23liWindlass\", key = {{ file = \"{}\" }} }}\n\
         [[sources]]\nname = \"shop\"\nforge = \"github\"\nrepository = \"{SHOP}\"\n\
         [[clusters]]\nname = \"east\"\nkubeconfig = \"{}\"\nnamespace = \"windlass-{namespace}\"\n\
         [[applications]]\nname = \"shop\"\nsource = \"shop\"\nref = \"refs/heads/main\"\nclusters = [\"east\"]\n\
         namespace = \"{namespace}\"\n",
        scene.hub.url,
        scene.pair.path("pkcs1.pem").display(),
        bed("WINDLASS_BED_EAST_KUBECONFIG"),
    );
    let file = folder.join("windlass.toml");
    std::fs::write(&file, text).unwrap();
    let hook = ("HOOK".to_owned(), SECRET.to_owned());
    Settings::load(Some(&file), &Environment::from([hook]), &Part::whole()).unwrap()
}

/// Lets all roles take steps until none has anything to do. `at` is the time for whoever posts.
async fn settle(line: &Line, at: &mut Moment) {
    let roles = &line.roles;
    for _ in 0..ROUNDS {
        let dispatched = roles.dispatch.as_ref().unwrap().dispatcher.step(Duration::ZERO).await.unwrap();
        let passed = roles.reconcile[0].step(Duration::ZERO).await.unwrap();
        let watched = roles.reconcile[0].watch_step(Duration::ZERO).await.unwrap();
        let mut told = Vec::new();
        for reporter in &roles.report.as_ref().unwrap().reporters {
            told.push(reporter.step(Duration::ZERO).await.unwrap());
        }
        let posted = roles.report.as_ref().unwrap().poster.step(*at).await.unwrap();
        *at = at.plus(SECOND);
        let idle = matches!(dispatched, dispatch::Step::Idle)
            && [passed, watched].iter().all(|step| *step == reconcile::Step::Idle)
            && told.iter().all(|step| *step == report::Step::Idle)
            && posted == report::Posted::default();
        if idle && line.store.as_ref().unwrap().next_due().await.unwrap().is_none() {
            return;
        }
    }
    panic!("it is not settled");
}

/// Presses the button of a check run: GitHub tells the App.
async fn press(line: &Line, run: &Run) -> Answer {
    let body = serde_json::json!({
        "action": "rerequested",
        "check_run": {"id": run.id, "name": run.name, "head_sha": run.commit, "external_id": run.key,
                      "status": "completed", "conclusion": run.conclusion},
        "repository": {"full_name": SHOP},
    });
    let (body, secret) = (body.to_string(), Secret::new(SECRET).unwrap());
    let headers = Kind::Github.rules().sign("check_run", &unique(), body.as_bytes(), &secret, now());
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let request = Request { headers: &headers, body: body.as_bytes(), now: now() };
    line.intake.accept(Hook { forge: "github", source: None }, "192.0.2.1", request).await
}

/// Returns the check runs of a name, the oldest first.
fn shown(scene: &Scene, name: &str) -> Vec<Run> {
    scene.hub.state().runs.iter().filter(|run| run.name == name).cloned().collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_that_is_asked_for_again_runs_again_and_is_shown_by_a_new_check_run() {
    let (scene, work, folder) = (Scene::new(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let commit = git::make_of(work.path(), &config_map("one", "1"));
    scene.hub.state().repositories.insert(SHOP.to_owned(), work.path().to_owned());
    let (kube, namespace) = (Kube::connect("east").await, format!("shop-{}", unique()));
    kube.make_namespace(&namespace).await;
    let line = Line::build(&settings(&scene, folder.path(), &namespace)).await.unwrap();
    let (mut at, shop) = (now(), windlass::application::Name::parse("shop").unwrap());
    line.roles.dispatch.as_ref().unwrap().sweeper.step(&shop, true).await.unwrap();
    settle(&line, &mut at).await;
    let first = shown(&scene, EAST);
    assert_eq!((first.len(), first[0].conclusion.as_deref()), (1, Some("success")), "{first:#?}");
    let runs = line.store.as_ref().unwrap().runs(&Sought::default(), 10).await.unwrap().len();

    // What was applied is gone, so that only a whole pass is true.
    let object = format!("/api/v1/namespaces/{namespace}/configmaps/one");
    kube.delete(&object).await;
    assert!(matches!(press(&line, &first[0]).await, Answer::Accepted { .. }));
    settle(&line, &mut at).await;
    assert!(kube.find(&object).await.is_some());
    assert_eq!(
        line.store.as_ref().unwrap().runs(&Sought::default(), 10).await.unwrap().len(),
        runs + 1,
        "a new run"
    );
    let again = shown(&scene, EAST);
    assert_eq!(again.len(), 2, "{again:#?}");
    assert_eq!((again[0].states.clone(), again[0].id), (first[0].states.clone(), first[0].id));
    assert_eq!(again[1].commit, commit);
    assert_eq!(again[1].conclusion.as_deref(), Some("success"), "{again:#?}");
    assert!(again[1].title.contains("1 created"), "{}", again[1].title);
    let whole = shown(&scene, "windlass");
    assert!(whole.last().is_some_and(|run| run.conclusion.as_deref() == Some("success")), "{whole:#?}");

    // A target that is not configured is nobody's.
    let mut foreign = first[0].clone();
    "windlass/shop@west".clone_into(&mut foreign.name);
    press(&line, &foreign).await;
    settle(&line, &mut at).await;
    assert_eq!(shown(&scene, EAST).len(), 2);
    for namespace in [namespace.clone(), format!("windlass-{namespace}")] {
        kube.delete(&format!("/api/v1/namespaces/{namespace}")).await;
    }
}
