//! All requests of the courier, held against the official descriptions of the APIs by Prism.

use serde_json::Value;
use serde_json::json;
use windlass::commit::CommitId;
use windlass::courier::Courier;
use windlass::forge::Answer;
use windlass::forge::HttpRequest;
use windlass::forge::Kind;
use windlass::forge::StatusPost;
use windlass::outcome::Phase;
use windlass::secret::Secret;

use crate::document::cut;
use crate::prism::Prism;
use crate::shelf;

pub const PHASES: [Phase; 7] = [
    Phase::Pending,
    Phase::Running,
    Phase::Applied,
    Phase::Healthy,
    Phase::Failed,
    Phase::Error,
    Phase::Superseded,
];

/// How the paths begin that windlass asks for.
const PATHS: [&str; 2] = ["/repos/{owner}/{repo}/statuses/", "/repos/{owner}/{repo}/commits/{ref}/status"];

fn status<'a>(
    api: &'a str,
    commit: &'a CommitId,
    phase: Phase,
    description: &'a str,
    more: Option<&'a str>,
) -> StatusPost<'a> {
    StatusPost {
        api,
        repository: "team/shop",
        commit,
        context: "windlass/shop@east",
        phase,
        description,
        target_url: more,
    }
}

fn request(kind: Kind, api: &str, phase: Phase, description: &str, more: Option<&str>) -> HttpRequest {
    let commit = CommitId::parse(&"c".repeat(40)).unwrap();
    kind.rules().describe(&status(api, &commit, phase, description, more))
}

/// Asks for the plain type: GitHub's documentation asks for a type of its own, its description answers only with the
/// plain one, and Prism goes by the latter.
pub fn plain(headers: &mut [(&'static str, String)]) {
    for (_, value) in headers.iter_mut().filter(|(name, _)| *name == "accept") {
        *value = value.replace("application/vnd.github+json", "application/json");
    }
}

/// Looks for a status, and sees that the description shows what is looked at.
async fn look(courier: &Courier, kind: Kind, api: &str) {
    let commit = CommitId::parse(&"c".repeat(40)).unwrap();
    let status = status(api, &commit, Phase::Healthy, "3 configured", None);
    let mut request = kind.rules().look(&status);
    plain(&mut request.headers);
    let token = Secret::new("a token of the material").unwrap();
    let (code, shown) = courier
        .send(&request, &token, |answer| {
            (answer.status, serde_json::from_slice::<Value>(answer.body).unwrap())
        })
        .await
        .unwrap();
    assert_eq!(code, 200, "{kind}: {shown}");
    let state = if kind == Kind::Github { "state" } else { "status" };
    for key in ["context", "description", state] {
        assert!(shown["statuses"][0][key].is_string(), "{kind} shows no {key}: {shown}");
    }
}

async fn send(courier: &Courier, kind: Kind, request: &HttpRequest) -> Answer {
    let mut request = request.clone();
    plain(&mut request.headers);
    let token = Secret::new("a token of the material").unwrap();
    courier.send(&request, &token, |answer| kind.rules().classify(&request, answer)).await.unwrap()
}

/// Holds every request of a kind of forge against a description, and then some that are wrong.
async fn hold(kind: Kind, description: &Value, wrong: &[Value]) {
    let prism = Prism::start(&cut(description, &PATHS)).await;
    let courier = Courier::new().unwrap().near([prism.url.as_str()]);
    for phase in PHASES {
        for (text, more) in
            [("3 configured", None), (&*"é".repeat(300), Some("https://windlass.example/runs/1"))]
        {
            let answer = send(&courier, kind, &request(kind, &prism.url, phase, text, more)).await;
            assert_eq!(answer, Answer::Taken, "{kind} {phase}");
        }
    }
    look(&courier, kind, &prism.url).await;
    for body in wrong {
        let mut request = request(kind, &prism.url, Phase::Healthy, "3 configured", None);
        request.body = body.to_string();
        let answer = send(&courier, kind, &request).await;
        assert!(matches!(&answer, Answer::Never(_)), "{kind} {body}: {answer:?}");
    }
    let mut elsewhere = request(kind, &prism.url, Phase::Healthy, "3 configured", None);
    elsewhere.url = elsewhere.url.replace("/statuses/", "/status/");
    let answer = send(&courier, kind, &elsewhere).await;
    assert!(matches!(&answer, Answer::Ours(why) if why.contains("no such repository")), "{kind}: {answer:?}");
}

#[tokio::test]
async fn github_s_description_allows_every_status_and_refuses_wrong_ones() {
    let description = shelf::json("npm/node_modules/@octokit/openapi/generated/api.github.com.json");
    assert_eq!(description["servers"][0]["url"], Kind::Github.rules().api("https://github.com"));
    let wrong = [json!({ "state": "running" }), json!({ "state": 5 }), json!({ "context": "windlass" })];
    hold(Kind::Github, &description, &wrong).await;
}

#[tokio::test]
async fn forgejo_s_description_allows_every_status_and_refuses_wrong_ones() {
    let description = shelf::json("crates/forgejo-api/swagger.v1.json");
    // Prism serves the paths without what all of them begin with.
    assert_eq!(Kind::Forgejo.rules().api(""), description["basePath"]);
    let wrong = [json!({ "state": "running" }), json!({ "state": 5 }), json!([])];
    hold(Kind::Forgejo, &description, &wrong).await;
}

/// It is of an older Gitea, whose description takes any text for a state. The Gitea of the test bed is newer.
#[tokio::test]
async fn gitea_s_description_allows_every_status_and_refuses_wrong_ones() {
    let description = shelf::json("crates/gitea-sdk/swagger.json");
    // Prism serves the paths without what all of them begin with.
    assert_eq!(Kind::Gitea.rules().api(""), description["basePath"]);
    let wrong =
        [json!({ "state": "success", "context": 5 }), json!({ "state": "success", "description": [] })];
    hold(Kind::Gitea, &description, &wrong).await;
}
