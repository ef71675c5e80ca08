//! Deliveries that failed, asked for again.

use std::collections::BTreeSet;

use windlass::application::Name;
use windlass::clock::now;
use windlass::courier::Credential;
use windlass::fault::Fault;
use windlass::forge::Kind;
use windlass::moment::Moment;
use windlass::recover::Hooks;
use windlass::recover::Recovered;
use windlass::recover::Recoverer;
use windlass::secret::Secret;

use crate::app::SHOP;
use crate::app::Scene;
use crate::deliveries::Attempt;
use crate::deliveries::Hook;
use crate::stand::Fault as Trouble;

const URL: &str = "https://windlass.example.org/hooks/github";
const HOUR: i64 = 3_600;

fn recoverer(scene: &Scene, credential: Credential) -> Recoverer {
    recoverer_of(scene, credential, &[SHOP])
}

fn recoverer_of(scene: &Scene, credential: Credential, repositories: &[&str]) -> Recoverer {
    let repositories: BTreeSet<String> = repositories.iter().map(|name| (*name).to_owned()).collect();
    let forge = Name::parse("github").unwrap();
    let (api, url) = (scene.hub.api(), URL.to_owned());
    let hooks = Hooks { forge, kind: Kind::Github, api, url, credential, repositories };
    Recoverer::new(scene.courier.clone(), hooks)
}

fn as_app(scene: &Scene) -> Recoverer {
    recoverer(scene, Credential::App(scene.app.clone()))
}

fn hang(scene: &Scene, repository: Option<&str>, id: u64, url: &str) {
    let hook = Hook { repository: repository.map(str::to_owned), id, active: true, url: url.to_owned() };
    scene.hub.state().hooks.push(hook);
}

/// Notes an attempt that was made so many hours ago.
fn attempt(scene: &Scene, hook: u64, guid: &str, hours: i64, answered: u16) {
    let mut state = scene.hub.state();
    let at = state.now() - hours * HOUR;
    state.deliveries.push(Attempt { hook, guid: guid.to_owned(), at, answered });
}

/// Returns the deliveries that were sent again since, in order.
fn sent_again(scene: &Scene, before: usize) -> Vec<String> {
    scene.hub.state().deliveries[before..].iter().map(|attempt| attempt.guid.clone()).collect()
}

#[tokio::test]
async fn what_failed_at_the_app_s_own_webhook_comes_again_the_oldest_first_and_once() {
    let scene = Scene::new();
    hang(&scene, None, 1, URL);
    for (guid, hours, answered) in [
        ("taken", 5, 202),
        ("newer", 2, 503),
        ("older", 4, 0),
        ("mended", 6, 503),
        ("mended", 3, 202),
        ("forgotten", 170, 503),
    ] {
        attempt(&scene, 1, guid, hours, answered);
    }
    let recoverer = as_app(&scene);
    assert_eq!(recoverer.step(now()).await.unwrap(), Recovered { hooks: 1, asked: 2, off: 0 });
    assert_eq!(sent_again(&scene, 6), ["older", "newer"]);
    // They were taken this time.
    let later = now().plus(3_600_000);
    assert_eq!(recoverer.step(later).await.unwrap(), Recovered { hooks: 1, asked: 0, off: 0 });
    let tokens = scene.hub.heard().iter().filter(|line| line.contains("access_tokens")).count();
    assert_eq!(tokens, 0, "what concerns the App itself takes its claim alone");
}

#[tokio::test]
async fn what_fails_again_is_left_alone_for_ten_minutes_and_given_up_in_the_end() {
    let scene = Scene::new();
    hang(&scene, None, 1, URL);
    attempt(&scene, 1, "bad", 1, 503);
    scene.hub.state().door = 503;
    let (recoverer, start) = (as_app(&scene), now());
    let mut asked = Vec::new();
    for minute in (0..150).step_by(5) {
        asked.push(recoverer.step(Moment(start.0 + minute * 60_000)).await.unwrap().asked);
    }
    assert_eq!(asked[..5], [1, 0, 1, 0, 1]);
    assert_eq!(asked.iter().sum::<usize>(), 11, "twelve attempts with the first");
    assert_eq!(asked[23..].iter().sum::<usize>(), 0);
}

#[tokio::test]
async fn the_webhooks_of_repositories_are_looked_after_where_they_lead_here() {
    for by_token in [false, true] {
        let scene = Scene::new();
        // The App's own leads elsewhere.
        hang(&scene, None, 1, "https://other.example.org/");
        hang(&scene, Some(SHOP), 2, "https://ci.example.org/");
        hang(&scene, Some(SHOP), 3, &format!("{URL}/shop"));
        hang(&scene, Some("team/other"), 4, URL);
        for hook in 1..=4 {
            attempt(&scene, hook, &format!("of-{hook}"), 1, 503);
        }
        let recoverer = if by_token {
            let token = scene.hub.state().personal.clone();
            recoverer(&scene, Credential::Token(Secret::new(&token).unwrap()))
        } else {
            let error = as_app(&scene).step(now()).await.unwrap_err();
            assert_eq!(error.fault(), Fault::Ours);
            let text = windlass::fault::chain(&error);
            assert!(text.contains("repository_hooks: write"), "{text}");
            let mut state = scene.hub.state();
            state.installations.get_mut(SHOP).unwrap().permissions.insert("repository_hooks", "write");
            drop(state);
            as_app(&scene)
        };
        assert_eq!(recoverer.step(now()).await.unwrap(), Recovered { hooks: 1, asked: 1, off: 0 });
        assert_eq!(sent_again(&scene, 4), ["of-3"]);
    }
}

#[tokio::test]
async fn pages_are_turned_as_far_as_the_window_goes() {
    let scene = Scene::new();
    hang(&scene, None, 1, URL);
    attempt(&scene, 1, "deep", 160, 503);
    for number in 0..250 {
        attempt(&scene, 1, &format!("fine-{number}"), 150 - number / 2, 202);
    }
    for number in 0..500 {
        attempt(&scene, 1, &format!("old-{number}"), 169 + number, 503);
    }
    let recoverer = as_app(&scene);
    assert_eq!(recoverer.step(now()).await.unwrap().asked, 1);
    assert_eq!(sent_again(&scene, 751), ["deep"]);
    let pages = scene.hub.heard().iter().filter(|line| line.starts_with("GET /app/hook/deliveries")).count();
    assert_eq!(pages, 3);
}

#[tokio::test]
async fn one_that_github_has_no_more_does_not_keep_the_others_back() {
    let scene = Scene::new();
    hang(&scene, None, 1, URL);
    attempt(&scene, 1, "gone", 3, 503);
    attempt(&scene, 1, "there", 2, 503);
    scene.hub.befall("deliveries/0/attempts", Trouble::Refused("404 Not Found", "", ""));
    assert_eq!(as_app(&scene).step(now()).await.unwrap().asked, 2);
    assert_eq!(sent_again(&scene, 2), ["there"]);
}

#[tokio::test]
async fn a_webhook_that_leads_nowhere_here_is_none() {
    let scene = Scene::new();
    scene.hub.state().installations.get_mut(SHOP).unwrap().permissions.insert("repository_hooks", "write");
    assert_eq!(as_app(&scene).step(now()).await.unwrap(), Recovered::default());
}

/// An App whose webhooks are those of two repositories, each with a delivery that nobody took.
fn two_repositories() -> (Scene, Recoverer) {
    let scene = Scene::new();
    scene.hub.install("team/blog", 2);
    for (repository, id) in [("team/blog", 2), (SHOP, 3)] {
        hang(&scene, Some(repository), id, URL);
        attempt(&scene, id, &format!("of-{id}"), 1, 503);
        let mut state = scene.hub.state();
        let installation = state.installations.get_mut(repository).unwrap();
        installation.permissions.insert("repository_hooks", "write");
    }
    let recoverer = recoverer_of(&scene, Credential::App(scene.app.clone()), &["team/blog", SHOP]);
    (scene, recoverer)
}

#[tokio::test]
async fn a_repository_that_refuses_does_not_keep_the_others_from_being_looked_after() {
    // In the order of their names, so the one that refuses comes first; at each of the questions that there are.
    for refusal in ["GET /repos/team/blog/hooks", "GET /repos/team/blog/hooks/2/deliveries", "attempts"] {
        let (scene, recoverer) = two_repositories();
        scene.hub.befall(refusal, Trouble::Refused("403 Forbidden", "", r#"{"message": "Forbidden"}"#));
        let recovered = recoverer.step(now()).await;
        assert_eq!(sent_again(&scene, 2), ["of-3"], "{refusal}: {recovered:?}");
    }
}

#[tokio::test]
async fn an_app_that_is_not_installed_in_one_repository_still_looks_after_the_others() {
    let (scene, recoverer) = two_repositories();
    scene.hub.state().installations.remove("team/blog");
    assert_eq!(recoverer.step(now()).await.unwrap(), Recovered { hooks: 1, asked: 1, off: 0 });
    assert_eq!(sent_again(&scene, 2), ["of-3"]);
}

#[tokio::test]
async fn a_github_that_fails_for_one_repository_is_asked_for_the_others_and_of_it_the_next_time() {
    let (scene, recoverer) = two_repositories();
    scene.hub.befall("GET /repos/team/blog/hooks", Trouble::Refused("502 Bad Gateway", "", "<html>"));
    assert_eq!(recoverer.step(now()).await.unwrap(), Recovered { hooks: 1, asked: 1, off: 0 });
    assert_eq!(recoverer.step(now()).await.unwrap(), Recovered { hooks: 2, asked: 1, off: 0 });
}
