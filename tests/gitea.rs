//! The rules of forges against a real Gitea: it signs deliveries, and takes statuses, as they say.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use windlass::application::Name;
use windlass::commit::CommitId;
use windlass::courier::Courier;
use windlass::event::Event;
use windlass::event::What;
use windlass::forge::Answer;
use windlass::forge::Found;
use windlass::forge::HttpAnswer;
use windlass::forge::HttpRequest;
use windlass::forge::Kind;
use windlass::forge::StatusPost;
use windlass::intake::Intake;
use windlass::intake::Keys;
use windlass::intake::Known;
use windlass::outcome::Phase;
use windlass::queue::Lane;
use windlass::queue::Queue;
use windlass::queue::Settled;
use windlass::secret::Secret;
use windlass::server::Guests;
use windlass::server::Limits;

mod world;

use world::bed;
use world::git::Repo;
use world::git::api;

const SECRET: &str = "the secret of the real hook";

/// How long may Gitea take to send a hook?
const PATIENCE: Duration = Duration::from_secs(60);

const LIMITS: Limits = Limits {
    body_bytes: 5 << 20,
    body_within: Duration::from_secs(10),
    idle_within: Duration::from_secs(30),
    connections: 16,
    workers: 1,
    announce_for: Duration::ZERO,
    stop_within: Duration::from_secs(10),
};

/// The sources are called like the forges: each of these is a webhook of its own at the same repository.
const HOOKS: [(&str, Kind, &str); 3] =
    [("json", Kind::Gitea, "json"), ("form", Kind::Gitea, "form"), ("hub", Kind::Github, "json")];

/// Opens a door that hears hooks of a repository, and hangs those hooks up in Gitea.
async fn open(repo: &Repo, queue: &Queue) {
    let full = format!("{}/{}", bed("WINDLASS_BED_GITEA_ORG"), repo.name);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut forges = BTreeMap::new();
    for (name, kind, content_type) in HOOKS {
        let sources = vec![(Name::parse(name).unwrap(), full.to_uppercase())];
        let secrets = vec![Secret::new(SECRET).unwrap()];
        forges.insert(
            Name::parse(name).unwrap(),
            Known { kind, keys: Keys { shared: secrets, own: BTreeMap::new() }, sources },
        );
        let hook = serde_json::json!({
            "type": "gitea",
            "active": true,
            "events": ["push", "create", "delete"],
            "config": { "url": format!("http://{address}/hooks/{name}"), "content_type": content_type, "secret": SECRET },
        });
        api("POST", &format!("/repos/{full}/hooks"), &hook).await;
    }
    let intake = Arc::new(Intake::new(forges, queue.clone()));
    tokio::spawn(windlass::server::serve(
        LIMITS,
        Guests::default(),
        intake,
        Arc::new(String::new),
        listener,
        std::future::pending(),
    ));
}

/// Returns the next event of every hook; they must all say the same.
async fn told(queue: &Queue) -> (String, Option<CommitId>, Option<CommitId>) {
    let mut told: Vec<(String, What)> = Vec::new();
    for _ in HOOKS {
        let lease = queue.next(&Lane::events(), PATIENCE).await.unwrap();
        let lease = lease.unwrap_or_else(|| panic!("no more events in time, only {told:?}"));
        let event: Event = serde_json::from_str(&lease.body).unwrap();
        assert_eq!(lease.heard().unwrap().by.as_deref(), Some(bed("WINDLASS_BED_GITEA_ADMIN")));
        assert_eq!(queue.ack(&lease).await.unwrap(), Settled::Done);
        told.push((event.source.to_string(), event.what));
    }
    told.sort_by(|a, b| a.0.cmp(&b.0));
    let sources: Vec<&str> = told.iter().map(|(source, _)| source.as_str()).collect();
    assert_eq!(sources, ["form", "hub", "json"]);
    assert!(told.iter().all(|(_, what)| *what == told[0].1), "{told:?}");
    match told.remove(0).1 {
        What::Push { reference, before, after, .. } => (reference.to_string(), before, after),
        other @ (What::PullRequest { .. }
        | What::Rerun { .. }
        | What::Sweep { .. }
        | What::Drift { .. }
        | What::Sync { .. }
        | What::Failed { .. }
        | What::Again { .. }) => {
            panic!("{other:?}")
        }
    }
}

#[tokio::test]
async fn what_gitea_signs_is_heard() {
    let folder = tempfile::tempdir().unwrap();
    let queue = Queue::open(&folder.path().join("queue.db")).await.unwrap();
    let repo = Repo::create().await;
    open(&repo, &queue).await;
    // Gitea tells of a push some time after it took it: what is pushed before the hooks hang may reach some of them.
    let first = repo.commit("first", &[("a.yaml", "a: 1 # <>&é\n")]);
    repo.push("refs/heads/main");
    assert_eq!(told(&queue).await, ("refs/heads/main".to_owned(), None, Some(first.clone())));
    let second = repo.commit("second: <>&\u{1f680}\u{2028}", &[("a.yaml", "a: 2\n")]);
    repo.push("refs/heads/main");
    assert_eq!(told(&queue).await, ("refs/heads/main".to_owned(), Some(first), Some(second.clone())));
    repo.push("refs/heads/feature/x");
    assert_eq!(told(&queue).await, ("refs/heads/feature/x".to_owned(), None, Some(second.clone())));
    repo.push("refs/tags/v1");
    assert_eq!(told(&queue).await, ("refs/tags/v1".to_owned(), None, Some(second.clone())));
    // An annotated tag has an object of its own; what counts is the commit behind it.
    repo.git(&["tag", "--annotate", "--message", "two", "v2"]);
    repo.git(&["push", "--quiet", "origin", "refs/tags/v2"]);
    assert_eq!(told(&queue).await, ("refs/tags/v2".to_owned(), None, Some(second.clone())));
    repo.delete("refs/tags/v1");
    // A deleted tag comes twice, as a push to nothing and as `delete`, of which GitHub's rules hear the first.
    let mut deletions = 0;
    while deletions < 5 {
        let lease = queue.next(&Lane::events(), PATIENCE).await.unwrap().expect("an event in time");
        let event: Event = serde_json::from_str(&lease.body).unwrap();
        assert!(matches!(event.what, What::Push { after: None, .. }), "{event:?}");
        assert_eq!(queue.ack(&lease).await.unwrap(), Settled::Done);
        deletions += 1;
    }
}

/// Sends a request to the Gitea of the bed, and lets a rule read the answer.
async fn send<T>(request: &HttpRequest, token: &str, rule: impl FnOnce(&HttpAnswer<'_>) -> T) -> T {
    let courier = Courier::new().unwrap().near([bed("WINDLASS_BED_GITEA_URL")]);
    courier.send(request, &Secret::new(token).unwrap(), rule).await.unwrap()
}

/// Posts a status and returns what the answer means.
async fn say(status: &StatusPost<'_>, token: &str) -> Answer {
    let rules = Kind::Gitea.rules();
    let request = rules.describe(status);
    send(&request, token, |answer| rules.classify(&request, answer)).await
}

/// Looks for a status.
async fn look(status: &StatusPost<'_>, token: &str) -> Found {
    let rules = Kind::Gitea.rules();
    send(&rules.look(status), token, |answer| rules.found(status, answer)).await
}

#[tokio::test]
async fn gitea_takes_every_verdict() {
    let repo = Repo::create().await;
    let commit = repo.commit("first", &[("a.yaml", "a: 1\n")]);
    repo.push("refs/heads/main");
    let rules = Kind::Gitea.rules();
    let api_url = rules.api(bed("WINDLASS_BED_GITEA_URL"));
    let full = format!("{}/{}", bed("WINDLASS_BED_GITEA_ORG"), repo.name);
    let token = bed("WINDLASS_BED_GITEA_ADMIN_TOKEN");
    let long = "é".repeat(300);
    let post = |phase, repository| StatusPost {
        api: &api_url,
        repository,
        commit: &commit,
        context: "windlass/shop@east",
        phase,
        description: &long,
        target_url: Some("http://127.0.0.1:8080/runs/1"),
    };
    let verdicts = [
        (Phase::Pending, "pending"),
        (Phase::Pending, "pending"),
        (Phase::Applied, "pending"),
        (Phase::Failed, "failure"),
        (Phase::Error, "error"),
        (Phase::Superseded, "warning"),
        (Phase::Healthy, "success"),
    ];
    for (phase, state) in verdicts {
        assert_eq!(say(&post(phase, &full), token).await, Answer::Taken, "{phase}");
        assert_eq!(look(&post(phase, &full), token).await, Found::Same, "{phase}");
        for other in [Phase::Pending, Phase::Healthy, Phase::Failed] {
            let same = rules.describe(&post(other, &full)).body == rules.describe(&post(phase, &full)).body;
            let expected = if same { Found::Same } else { Found::Other };
            assert_eq!(look(&post(other, &full), token).await, expected, "{phase}, not {other}");
        }
        let elsewhere = StatusPost { context: "windlass", ..post(phase, &full) };
        assert_eq!(look(&elsewhere, token).await, Found::Other, "{phase}");
        let path = format!("/repos/{full}/commits/{commit}/status");
        let newest = &api("GET", &path, &serde_json::Value::Null).await["statuses"][0];
        assert_eq!(newest["status"], state, "{newest}");
        assert_eq!(newest["description"].as_str().unwrap().chars().count(), 255);
    }
    let answer = say(&post(Phase::Healthy, "bed/nowhere"), token).await;
    assert!(matches!(&answer, Answer::Ours(why) if why.contains("no such repository")), "{answer:?}");
    let answer = say(&post(Phase::Healthy, &full), "a token of nobody at all").await;
    assert!(matches!(&answer, Answer::Ours(_)), "{answer:?}");
    assert_eq!(look(&post(Phase::Healthy, &full), "a token of nobody at all").await, Found::Other);
}

#[tokio::test]
async fn a_status_that_gitea_answers_with_an_error_and_keeps_is_found_there() {
    let repo = Repo::create().await;
    let commit = repo.commit("first", &[("a.yaml", "a: 1\n")]);
    // The repository has no branch, and Gitea asks for its default one after it has kept the status.
    repo.push("refs/tags/v1");
    let full = format!("{}/{}", bed("WINDLASS_BED_GITEA_ORG"), repo.name);
    let status = StatusPost {
        api: &Kind::Gitea.rules().api(bed("WINDLASS_BED_GITEA_URL")),
        repository: &full,
        commit: &commit,
        context: "windlass/shop@east",
        phase: Phase::Healthy,
        description: "1 created, healthy in 4.1 s",
        target_url: None,
    };
    let token = bed("WINDLASS_BED_GITEA_ADMIN_TOKEN");
    assert_eq!(look(&status, token).await, Found::Other);
    assert_eq!(say(&status, token).await, Answer::Unsure(None));
    assert_eq!(look(&status, token).await, Found::Same);
}
