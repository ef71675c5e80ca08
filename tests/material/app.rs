//! All requests of a GitHub App, held against the official description of the API by Prism.

use serde_json::Value;
use windlass::commit::CommitId;
use windlass::courier::Courier;
use windlass::forge::StatusPost;
use windlass::forge::github::app;
use windlass::forge::github::app::Ask;
use windlass::forge::github::app::Purpose;
use windlass::forge::github::checks::Check;
use windlass::forge::github::checks::Show;
use windlass::forge::github::checks::Turn;
use windlass::forge::github::deliveries;
use windlass::forge::github::deliveries::Hook;
use windlass::object::Place;
use windlass::outcome::Problem;
use windlass::secret::Secret;

use crate::contract::PHASES;
use crate::contract::plain;
use crate::document::cut;
use crate::prism::Prism;
use crate::shelf;

/// How the paths begin that an App asks for.
const PATHS: [&str; 6] = [
    "/repos/{owner}/{repo}/check-runs",
    "/repos/{owner}/{repo}/commits/{ref}/check-runs",
    "/repos/{owner}/{repo}/installation",
    "/repos/{owner}/{repo}/hooks",
    "/app/installations/{installation_id}/access_tokens",
    "/app/hook/",
];

const REPOSITORY: &str = "team/shop";

/// Returns all that is asked to show a check run: a new one, one that is moved, and one that is looked for by its
/// number and by its name.
fn checks(api: &str) -> Vec<Ask> {
    let place = Place { file: "web.yaml".to_owned(), document: 1, line: 3 };
    let problem = |number: usize| Problem {
        object: None,
        place: Some(place.clone()),
        message: format!("refused {number}"),
    };
    let problems: Vec<Problem> = (0..60).map(problem).collect();
    let known = |id, unsure| Check { key: "a-key".to_owned(), id, completed: false, annotated: 0, unsure };
    let befores = [None, Some(known(Some(9), false)), Some(known(Some(9), true)), Some(known(None, true))];
    let mut asks = Vec::new();
    for phase in PHASES {
        let status = StatusPost {
            api,
            repository: REPOSITORY,
            commit: &CommitId::parse(&"c".repeat(40)).unwrap(),
            context: "windlass/shop@east",
            phase,
            description: &"é".repeat(300),
            target_url: Some("https://windlass.example/runs/1"),
        };
        for whole in [true, false] {
            let show = Show { status: &status, whole, problems: &problems, folder: "deploy" };
            asks.extend(befores.iter().map(|before| Turn::next(before.as_ref(), &show, "a-key").ask));
        }
    }
    asks
}

fn asks(api: &str) -> Vec<Ask> {
    let mut asks = checks(api);
    asks.push(app::ask_installation(api, REPOSITORY));
    let purposes = [Purpose::Read, Purpose::Post, Purpose::Hooks];
    asks.extend(purposes.map(|purpose| app::ask_token(api, 7, REPOSITORY, purpose)));
    asks.extend([deliveries::ask_app_hook(api), deliveries::ask_hooks(api, REPOSITORY)]);
    for hook in [Hook::App, Hook::Repository(REPOSITORY.to_owned(), 5)] {
        asks.push(deliveries::ask_attempts(api, &hook, None));
        asks.push(deliveries::ask_attempts(api, &hook, Some("v1_12077215967")));
        asks.push(deliveries::ask_again(api, &hook, 12));
    }
    asks
}

#[tokio::test]
async fn github_s_description_allows_every_request_of_an_app_and_refuses_wrong_ones() {
    let description = shelf::json("npm/node_modules/@octokit/openapi/generated/api.github.com.json");
    let prism = Prism::start(&cut(&description, &PATHS)).await;
    let courier = Courier::new().unwrap().near([prism.url.as_str()]);
    let token = Secret::new("a token of the material").unwrap();
    let send = async |ask: &Ask| {
        let mut ask = ask.clone();
        plain(&mut ask.headers);
        courier
            .ask(&ask, &token, |answer| (answer.status, String::from_utf8_lossy(answer.body).into_owned()))
            .await
            .unwrap()
    };
    for ask in asks(&prism.url) {
        let (status, said) = send(&ask).await;
        assert!((200..300).contains(&status), "{} {} {}: {status} {said}", ask.method, ask.url, ask.body);
    }
    for mut ask in asks(&prism.url).into_iter().filter(|ask| !ask.body.is_empty()) {
        let mut body: Value = serde_json::from_str(&ask.body).unwrap();
        body.as_object_mut().unwrap().values_mut().for_each(|value| *value = 5.into());
        ask.body = body.to_string();
        let (status, said) = send(&ask).await;
        assert_eq!(status, 422, "{} {} {}: {said}", ask.method, ask.url, ask.body);
    }
}
