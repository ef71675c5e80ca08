//! How fast the stand-in may be written to: as GitHub, it refuses writes that come too fast, whoever makes them.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use windlass::application::Name;
use windlass::application::Target;
use windlass::clock::now;
use windlass::commit::CommitId;
use windlass::courier::Credential;
use windlass::forge::Kind;
use windlass::moment::Moment;
use windlass::outcome::Report;
use windlass::outcome::Told;
use windlass::outcome::VERSION;
use windlass::recover::Hooks;
use windlass::recover::Recoverer;
use windlass::report::Address;
use windlass::report::Poster;
use windlass::secret::Secret;
use windlass::store::Store;

use crate::app::SHOP;
use crate::app::Scene;
use crate::deliveries::Attempt;
use crate::deliveries::Hook;
use crate::hub::State;
use crate::hub::message;
use crate::stand::Fault;
use crate::stand::Heard;
use crate::stand::Said;
use crate::world::until;

/// How many milliseconds lie between two writes at least? A little is left to the way there.
const APART_MS: u64 = 950;

/// When it was written to, where that is looked at.
#[derive(Default)]
pub struct Pace {
    pub strict: bool,
    last: Option<Moment>,
    /// How often it refused.
    pub refused: u32,
}

impl State {
    /// Refuses a write that comes too fast. That an App comes by a token is no write.
    pub fn too_fast(&mut self, heard: &Heard) -> Option<Said> {
        if !self.pace.strict || heard.method == "GET" || heard.path.ends_with("/access_tokens") {
            return None;
        }
        let now = now();
        let last = self.pace.last.replace(now);
        if last.is_none_or(|last| now.since(last) >= APART_MS) {
            return None;
        }
        self.pace.refused += 1;
        Some(message(
            403,
            "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.",
        ))
    }
}

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

/// A store with a commit whose two targets are queued, and who posts that by a person's token.
async fn poster(scene: &Scene, folder: &tempfile::TempDir) -> (Store, Poster) {
    let store = Store::open(&folder.path().join("store.db")).await.unwrap();
    let target = |cluster: &str| Target { application: name("shop"), cluster: name(cluster) };
    let what = Told::Roster {
        dispatch: "d1".to_owned(),
        source: name("shop"),
        commit: CommitId::parse(&"a".repeat(40)).unwrap(),
        targets: vec![target("east"), target("west")],
        received_at: Moment(1_000),
    };
    store.record(&Report { version: VERSION, at: Moment(5_100), what }).await.unwrap();
    let address = Address {
        forge: Kind::Github.rules(),
        api: scene.hub.api(),
        repository: SHOP.to_owned(),
        credential: Some(person(scene)),
        folders: BTreeMap::new(),
    };
    let addresses = BTreeMap::from([(name("shop"), address)]);
    (store.clone(), Poster::new(store, scene.courier.clone(), addresses, None))
}

fn person(scene: &Scene) -> Credential {
    Credential::Token(Secret::new(&scene.hub.state().personal).unwrap())
}

/// Who asks for two deliveries again that nobody took.
fn recoverer(scene: &Scene) -> Recoverer {
    let url = "https://windlass.example.org/hooks/github".to_owned();
    let mut state = scene.hub.state();
    let at = state.now() - 3_600;
    state.hooks.push(Hook { repository: Some(SHOP.to_owned()), id: 1, active: true, url: url.clone() });
    for guid in ["first", "second"] {
        state.deliveries.push(Attempt { hook: 1, guid: guid.to_owned(), at, answered: 503 });
    }
    drop(state);
    let hooks = Hooks {
        forge: name("github"),
        kind: Kind::Github,
        api: scene.hub.api(),
        url,
        credential: person(scene),
        repositories: BTreeSet::from([SHOP.to_owned()]),
    };
    Recoverer::new(scene.courier.clone(), hooks)
}

#[tokio::test]
async fn who_posts_and_who_recovers_keep_to_one_pace_together() {
    let (scene, folder) = (Scene::new(), tempfile::tempdir().unwrap());
    scene.hub.state().pace.strict = true;
    let (store, poster) = poster(&scene, &folder).await;
    let recoverer = recoverer(&scene);
    let posted =
        until("all statuses are posted", async || store.next_due().await.unwrap().is_none().then_some(()));
    let work = async { tokio::join!(recoverer.step(now()), posted).0 };
    tokio::select! {
        never = poster.run() => match never {},
        recovered = work => assert_eq!(recovered.unwrap().asked, 2),
    }
    let state = scene.hub.state();
    assert_eq!((state.pace.refused, state.statuses.len(), state.deliveries.len()), (0, 3, 4));
}

#[tokio::test]
async fn writes_that_come_too_fast_are_refused() {
    let scene = Scene::new();
    scene.hub.state().pace.strict = true;
    let url = format!("{}/repos/{SHOP}/statuses/{}", scene.hub.api(), "a".repeat(40));
    let token = scene.hub.state().personal.clone();
    let client = reqwest::Client::new();
    let said = serde_json::json!({"state": "success"});
    let post =
        async || client.post(&url).bearer_auth(&token).json(&said).send().await.unwrap().status().as_u16();
    assert_eq!((post().await, post().await), (201, 403));
}

#[tokio::test]
async fn a_status_whose_answer_got_lost_is_found_and_not_posted_again() {
    let (scene, folder) = (Scene::new(), tempfile::tempdir().unwrap());
    let (store, poster) = poster(&scene, &folder).await;
    scene.hub.befall("POST /repos/team/shop/statuses", Fault::Swallowed);
    let mut at = Moment(1_000_000_000);
    while let Some(next) = store.next_due().await.unwrap() {
        at = at.plus(1_200).max(next);
        poster.step(at).await.unwrap();
    }
    let looks =
        scene.hub.heard().iter().filter(|line| line.starts_with("GET") && line.contains("/commits/")).count();
    assert_eq!((scene.hub.state().statuses.len(), looks), (3, 1));
}
