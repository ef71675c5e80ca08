//! How the App comes by its tokens, and posts by them.

use windlass::commit::CommitId;
use windlass::courier::App;
use windlass::courier::Courier;
use windlass::courier::Error;
use windlass::courier::Key;
use windlass::fault::Fault;
use windlass::fault::chain;
use windlass::forge::Answer;
use windlass::forge::StatusPost;
use windlass::forge::github::app::Purpose;
use windlass::forge::github::checks::Show;
use windlass::forge::github::checks::Turn;
use windlass::outcome::Phase;
use windlass::secret::Secret;

use crate::claim::Pair;
use crate::hub::APP;
use crate::hub::CLIENT;
use crate::hub::Hub;
use crate::stand::Fault as Trouble;

pub const SHOP: &str = "team/shop";
const GRANT: &str = "POST /app/installations/1/access_tokens 201";
const WHERE: &str = "GET /repos/team/shop/installation 200";

pub struct Scene {
    pub pair: Pair,
    pub hub: Hub,
    pub courier: Courier,
    pub app: App,
}

impl Scene {
    /// An App that is installed for a repository.
    pub fn new() -> Self {
        let pair = Pair::good();
        let hub = Hub::start(pair.path("public.pem"));
        hub.install(SHOP, 1);
        let courier = Courier::new().unwrap().near([hub.api().as_str()]);
        let app = app_of(&hub, &courier, &CLIENT, &pair.text("pkcs1.pem"));
        Self { pair, hub, courier, app }
    }

    /// Makes a check run.
    async fn post(&self) -> Result<Answer, Error> {
        let commit = CommitId::parse(&"a".repeat(40)).unwrap();
        let status = StatusPost {
            api: &self.hub.api(),
            repository: SHOP,
            commit: &commit,
            context: "windlass",
            phase: Phase::Pending,
            description: "queued",
            target_url: None,
        };
        let show = Show { status: &status, whole: true, problems: &[], folder: "" };
        let turn = Turn::next(None, &show, "key");
        let ask = turn.ask.clone();
        self.app.ask(&ask, SHOP, Purpose::Post, |answer| turn.after(&show, answer).answer).await
    }
}

fn app_of(hub: &Hub, courier: &Courier, id: &dyn ToString, pem: &str) -> App {
    let key = Key::read(&Secret::new(pem).unwrap()).unwrap();
    App::new(courier.clone(), hub.api(), id.to_string(), key)
}

#[tokio::test]
async fn an_app_shows_who_it_is_by_either_form_of_its_key_and_of_its_id() {
    let scene = Scene::new();
    for file in ["pkcs1.pem", "pkcs8.pem"] {
        for id in [&APP as &dyn ToString, &CLIENT] {
            let app = app_of(&scene.hub, &scene.courier, id, &scene.pair.text(file));
            let token = app.token(SHOP, Purpose::Read).await.unwrap();
            assert_eq!(scene.hub.heard(), [WHERE, GRANT]);
            let state = scene.hub.state();
            assert_eq!(state.may(token.expose(), SHOP, "contents", "read"), Ok(()));
            assert_eq!(state.may(token.expose(), SHOP, "checks", "write"), Err(403), "no more than it needs");
            assert!(!format!("{app:?}").contains(token.expose()));
        }
    }
}

#[tokio::test]
async fn however_many_need_a_token_one_is_asked_for() {
    let scene = Scene::new();
    let all = (0..32).map(|_| scene.app.token(SHOP, Purpose::Post));
    let tokens = futures::future::join_all(all).await;
    let first = tokens[0].as_ref().unwrap();
    assert!(tokens.iter().all(|token| token.as_ref().unwrap() == first));
    assert_eq!(scene.hub.heard(), [WHERE, GRANT]);
    // Another purpose has a token of its own, and the installation is remembered.
    assert_ne!(scene.app.token(SHOP, Purpose::Read).await.unwrap(), *first);
    assert_eq!(scene.hub.heard(), [GRANT]);
}

#[tokio::test]
async fn a_user_who_leaves_takes_the_question_from_nobody() {
    let scene = Scene::new();
    let mut left = Box::pin(scene.app.token(SHOP, Purpose::Post));
    assert!(futures::poll!(&mut left).is_pending());
    let mut stays = Box::pin(scene.app.token(SHOP, Purpose::Post));
    assert!(futures::poll!(&mut stays).is_pending());
    drop(left);
    stays.await.unwrap();
    assert_eq!(scene.hub.heard(), [WHERE, GRANT]);
}

#[tokio::test]
async fn a_token_is_renewed_before_it_ends() {
    // One that ends in less than five minutes is asked for anew, twice at most; then it is this machine's clock.
    let scene = Scene::new();
    scene.hub.state().token_seconds = 299;
    let error = scene.app.token(SHOP, Purpose::Post).await.unwrap_err();
    assert!(chain(&error).contains("check this machine's clock"), "{}", chain(&error));
    assert_eq!(scene.hub.heard(), [WHERE, GRANT, GRANT]);
    scene.hub.state().token_seconds = 302;
    scene.app.token(SHOP, Purpose::Post).await.unwrap();
    assert_eq!(scene.hub.heard(), [GRANT]);
    scene.app.token(SHOP, Purpose::Post).await.unwrap();
    assert_eq!(scene.hub.heard(), Vec::<String>::new(), "it is good for more than five minutes");
    // why: only time makes a token old, and the end that GitHub names is all that windlass goes by.
    tokio::time::sleep(std::time::Duration::from_millis(2_100)).await;
    scene.app.token(SHOP, Purpose::Post).await.unwrap();
    assert_eq!(scene.hub.heard(), [GRANT]);
}

#[tokio::test]
async fn a_token_that_is_refused_is_replaced_once() {
    let scene = Scene::new();
    assert_eq!(scene.post().await.unwrap(), Answer::Taken);
    scene.hub.heard();
    scene.hub.revoke();
    assert_eq!(scene.post().await.unwrap(), Answer::Taken);
    let post = format!("POST /repos/{SHOP}/check-runs");
    assert_eq!(scene.hub.heard(), [format!("{post} 401"), GRANT.to_owned(), format!("{post} 201")]);
    assert_eq!(scene.hub.state().runs.len(), 2);
    // A second refusal is an answer.
    for _ in 0..2 {
        scene.hub.befall("/check-runs", Trouble::Refused("401 No", "", ""));
    }
    assert!(matches!(scene.post().await.unwrap(), Answer::Ours(_)));
    assert_eq!(scene.hub.heard().iter().filter(|line| line.contains("check-runs")).count(), 2);
}

#[tokio::test]
async fn what_an_app_was_given_since_counts_at_the_next_try() {
    let scene = Scene::new();
    scene
        .hub
        .befall("/check-runs", Trouble::Refused("403 No", "", "{\"message\": \"Resource not accessible\"}"));
    let refused = scene.post().await.unwrap();
    assert!(matches!(&refused, Answer::Ours(why) if why.contains("Resource not accessible")), "{refused:?}");
    scene.hub.heard();
    assert_eq!(scene.post().await.unwrap(), Answer::Taken);
    assert_eq!(scene.hub.heard()[0], GRANT, "what a token may do is fixed when it is made");
    // A limit is nothing that another token would mend.
    scene.hub.befall("/check-runs", Trouble::Refused("403 No", "retry-after: 9\r\n", ""));
    let limited = scene.post().await.unwrap();
    assert_eq!(limited, Answer::Later(Some(std::time::Duration::from_secs(9))));
    scene.hub.heard();
    assert_eq!(scene.post().await.unwrap(), Answer::Taken);
    assert_eq!(scene.hub.heard().len(), 1);
}

#[tokio::test]
async fn an_app_that_was_installed_anew_is_found_again() {
    let scene = Scene::new();
    let before = scene.app.token(SHOP, Purpose::Post).await.unwrap();
    scene.hub.install(SHOP, 2);
    scene.hub.revoke();
    scene.app.forget(SHOP, Purpose::Post, &before);
    scene.hub.heard();
    scene.app.token(SHOP, Purpose::Post).await.unwrap();
    let heard = scene.hub.heard();
    assert_eq!(heard[0], "POST /app/installations/1/access_tokens 404");
    assert_eq!(heard[1..], [WHERE, "POST /app/installations/2/access_tokens 201"]);
}

/// Something that is wrong with an App.
type Change = fn(&Scene);

#[tokio::test]
async fn what_is_wrong_with_an_app_is_ours_and_says_what_to_do() {
    let cases: [(Change, &str); 6] = [
        (|scene| scene.hub.state().installations.clear(), "is not installed for this repository"),
        (suspend, "suspended"),
        (|scene| scene.hub.state().ahead = 600, "this machine's clock"),
        (|scene| scene.hub.state().ahead = -120, "this machine's clock"),
        (
            |scene| {
                scene.hub.state().installations.get_mut(SHOP).unwrap().permissions.remove("checks");
            },
            "checks: write",
        ),
        (other_key, "app.key"),
    ];
    for (change, expected) in cases {
        let scene = Scene::new();
        change(&scene);
        let error = scene.app.token(SHOP, Purpose::Post).await.unwrap_err();
        assert_eq!(error.fault(), Fault::Ours, "{}", chain(&error));
        assert!(chain(&error).contains(expected), "{}", chain(&error));
        assert!(!chain(&error).contains("ghs_") && !chain(&error).contains("eyJ"), "{}", chain(&error));
        assert!(matches!(error.answer(), Some(Answer::Ours(_))));
    }
    // A clock that is a little off is borne either way.
    for ahead in [-50, 500] {
        let scene = Scene::new();
        scene.hub.state().ahead = ahead;
        scene.app.token(SHOP, Purpose::Post).await.unwrap();
    }
}

fn suspend(scene: &Scene) {
    scene.hub.state().installations.get_mut(SHOP).unwrap().suspended = true;
}

fn other_key(scene: &Scene) {
    scene.pair.openssl(&["genrsa", "-out", "other.pem", "2048"]);
    scene.pair.openssl(&["rsa", "-in", "other.pem", "-pubout", "-out", "public.pem"]);
}

#[tokio::test]
async fn a_github_that_is_away_or_busy_is_passing_and_is_asked_again() {
    let scene = Scene::new();
    scene.hub.befall("/access_tokens", Trouble::Swallowed);
    let error = scene.app.token(SHOP, Purpose::Post).await.unwrap_err();
    assert_eq!((error.fault(), error.answer()), (Fault::Passing, None), "{}", chain(&error));
    scene.hub.befall("/access_tokens", Trouble::Refused("429 Wait", "retry-after: 30\r\n", ""));
    let error = scene.app.token(SHOP, Purpose::Post).await.unwrap_err();
    let wait = Some(std::time::Duration::from_secs(30));
    assert_eq!((error.fault(), error.answer()), (Fault::Passing, Some(Answer::Later(wait))));
    scene.app.token(SHOP, Purpose::Post).await.unwrap();
}

#[test]
fn keys_that_do_not_sign_for_apps_are_refused_without_showing_them() {
    let pair = Pair::new(1024);
    pair.openssl(&["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "sec1.pem"]);
    pair.openssl(&["pkcs8", "-topk8", "-nocrypt", "-in", "sec1.pem", "-out", "ec8.pem"]);
    pair.openssl(&["genpkey", "-algorithm", "ed25519", "-out", "ed.pem"]);
    for file in ["pkcs1.pem", "pkcs8.pem", "sec1.pem", "ec8.pem", "ed.pem", "public.pem"] {
        let error = Key::read(&Secret::new(&pair.text(file)).unwrap()).unwrap_err();
        assert!(error.to_string().starts_with("holds no private RSA key"), "{file}: {error}");
    }
    let good = Pair::good().text("pkcs8.pem");
    for text in [
        &good[..400],
        "-----BEGIN RSA PRIVATE KEY-----\n!\n-----END RSA PRIVATE KEY-----",
        "not a key at all",
    ] {
        Key::read(&Secret::new(text).unwrap()).unwrap_err();
    }
    assert_eq!(format!("{:?}", Key::read(&Secret::new(&good).unwrap()).unwrap()), "Key(…)");
}
