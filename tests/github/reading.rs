//! A source that is read as the App and whose commits are told as the App, through the line as it is put together.

use std::path::Path;
use std::time::Duration;

use windlass::application::Name;
use windlass::clock::now;
use windlass::fault::chain;
use windlass::line::Line;
use windlass::recover::Recovered;
use windlass::role::Part;
use windlass::settings::Environment;
use windlass::settings::Settings;

use crate::app::SHOP;
use crate::app::Scene;
use crate::deliveries::Hook;
use crate::git;

const KUBECONFIG: &str = r#"{"apiVersion": "v1", "kind": "Config", "current-context": "east",
"clusters": [{"name": "east", "cluster": {"server": "http://127.0.0.1:1"}}], "users": [{"name": "east", "user": {}}],
"contexts": [{"name": "east", "context": {"cluster": "east", "user": "east"}}]}"#;

/// Settings of an application at the stand-in, for a cluster that nobody asks.
fn settings(scene: &Scene, folder: &Path) -> Settings {
    std::fs::write(folder.join("kubeconfig"), KUBECONFIG).unwrap();
    let text = format!(
        "[data]\ndir = \"data\"\n[[forges]]\nname = \"github\"\nkind = \"github\"\nprivate = true\nurl = \"{}\"\n\
         webhook_secrets = [{{ env = \"HOOK\" }}]\n\
         hook_url = \"https://windlass.example.org/hooks/github\"\n\
         app = {{ id = \"Iv23liWindlass\", key = {{ file = \"{}\" }} }}\n\
         [[sources]]\nname = \"shop\"\nforge = \"github\"\nrepository = \"{SHOP}\"\n\
         [[clusters]]\nname = \"east\"\nkubeconfig = \"kubeconfig\"\n\
         [[applications]]\nname = \"shop\"\nsource = \"shop\"\nref = \"refs/heads/main\"\nclusters = [\"east\"]\n",
        scene.hub.url,
        scene.pair.path("pkcs1.pem").display(),
    );
    let file = folder.join("windlass.toml");
    std::fs::write(&file, text).unwrap();
    let hook = ("HOOK".to_owned(), "a secret of the webhook".to_owned());
    Settings::load(Some(&file), &Environment::from([hook]), &Part::whole()).unwrap()
}

fn tokens(scene: &Scene) -> usize {
    scene.hub.heard().iter().filter(|line| line.contains("access_tokens")).count()
}

#[tokio::test]
async fn a_repository_is_read_and_its_commits_are_told_as_the_app() {
    let (scene, work) = (Scene::new(), tempfile::tempdir().unwrap());
    let commit = git::make(work.path());
    scene.hub.state().repositories.insert(SHOP.to_owned(), work.path().to_owned());
    let folder = tempfile::tempdir().unwrap();
    let line = Line::build(&settings(&scene, folder.path())).await.unwrap();
    let shop = Name::parse("shop").unwrap();
    assert_eq!(line.roles.dispatch.as_ref().unwrap().sweeper.step(&shop, true).await.unwrap().moved, 1);
    assert_eq!(tokens(&scene), 1);
    line.roles.dispatch.as_ref().unwrap().dispatcher.step(Duration::ZERO).await.unwrap();
    assert_eq!(tokens(&scene), 0, "the same token reads again");
    line.roles.report.as_ref().unwrap().reporters[0].step(Duration::ZERO).await.unwrap();
    line.roles.report.as_ref().unwrap().poster.step(now()).await.unwrap();
    assert_eq!(tokens(&scene), 1, "another one posts");
    let told = scene.hub.state().runs.clone();
    assert_eq!(
        (told[0].repository.as_str(), &told[0].commit, told[0].states[0].as_str()),
        (SHOP, &commit, "queued")
    );

    let url = "https://windlass.example.org/hooks/github".to_owned();
    scene.hub.state().hooks.push(Hook { repository: None, id: 1, active: true, url });
    let recovered = line.roles.report.as_ref().unwrap().recoverers[0].1.step(now()).await.unwrap();
    assert_eq!(recovered, Recovered { hooks: 1, asked: 0, off: 0 });

    scene.hub.revoke();
    line.roles.dispatch.as_ref().unwrap().sweeper.step(&shop, false).await.unwrap();
    assert_eq!(tokens(&scene), 1, "one that was revoked early is replaced");
}

#[tokio::test]
async fn a_source_that_the_app_may_not_read_says_so() {
    let scene = Scene::new();
    let folder = tempfile::tempdir().unwrap();
    let line = Line::build(&settings(&scene, folder.path())).await.unwrap();
    let shop = Name::parse("shop").unwrap();
    let said =
        async || chain(&line.roles.dispatch.as_ref().unwrap().sweeper.step(&shop, true).await.unwrap_err());
    // It is installed, and there is no such repository.
    assert!(said().await.contains("no such repository"), "{}", said().await);
    scene.hub.state().installations.clear();
    let text = said().await;
    let start = "authenticate to source shop: failed to get a token of the App for team/shop";
    assert!(text.contains(start) && text.contains("install it there"), "{text}");
}
