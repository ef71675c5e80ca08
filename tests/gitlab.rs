//! Verdicts on their way to a GitLab, at the wire. GitLab itself cannot run here, so a small one stands in for it: its
//! statuses move as GitLab's do (`app/services/ci/create_commit_status_service.rb`), and it answers in GitLab's words.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail by panicking")]

use std::sync::Arc;
use std::sync::Mutex;

use tokio::io::AsyncBufReadExt;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::io::BufReader;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use windlass::application::Name;
use windlass::clock::now;
use windlass::commit::CommitId;
use windlass::courier::Courier;
use windlass::courier::Credential;
use windlass::fault::Fault;
use windlass::forge::Answer;
use windlass::forge::Kind;
use windlass::forge::StatusPost;
use windlass::outcome::Phase;
use windlass::recover::Hooks;
use windlass::recover::Recovered;
use windlass::recover::Recoverer;
use windlass::secret::Secret;

const TOKEN: &str = "glpat-of-more-than-16-bytes";

/// What GitLab says of a project's webhooks.
const HOOKS: &str = r#"[
    {"id": 1, "url": "https://windlass.example.org/hooks/gitlab", "push_events": true, "alert_status": "executable",
     "disabled_until": null},
    {"id": 2, "url": "https://windlass.example.org/hooks/gitlab/shop", "push_events": true,
     "alert_status": "temporarily_disabled", "disabled_until": "2026-11-27T01:00:00.000Z"},
    {"id": 3, "url": "https://ci.example.org/", "alert_status": "disabled", "disabled_until": null}
]"#;

/// A status as GitLab keeps it: one for each name until it is final, then a new one.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Row {
    name: String,
    state: String,
    description: String,
}

#[derive(Clone)]
struct Gitlab {
    url: String,
    rows: Arc<Mutex<Vec<Row>>>,
}

impl Gitlab {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let gitlab = Self { url: format!("http://{}", listener.local_addr().unwrap()), rows: Arc::default() };
        let served = gitlab.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                served.serve(stream).await;
            }
        });
        gitlab
    }

    async fn serve(&self, stream: TcpStream) {
        let mut stream = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            stream.read_line(&mut head).await.unwrap();
        }
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
        stream.read_exact(&mut body).await.unwrap();
        let (status, body) = self.hear(&head, &serde_json::from_slice(&body).unwrap_or_default());
        let length = body.len();
        let text =
            format!("HTTP/1.1 {status} x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}");
        stream.write_all(text.as_bytes()).await.unwrap();
    }

    fn hear(&self, head: &str, asked: &serde_json::Value) -> (u16, String) {
        let says =
            |status: u16, message: &str| (status, serde_json::json!({ "message": message }).to_string());
        if !head.contains(&format!("authorization: Bearer {TOKEN}\r\n")) {
            return says(401, "401 Unauthorized");
        }
        if head.starts_with("GET /api/v4/projects/team%2Fweb%2Fshop/hooks?per_page=100 ") {
            return (200, HOOKS.to_owned());
        }
        let commits = "GET /api/v4/projects/team%2Fweb%2Fshop/repository/commits/";
        if let Some(rest) = head.strip_prefix(commits) {
            return self.list(rest.split(' ').next().unwrap());
        }
        if !head.starts_with("POST /api/v4/projects/team%2Fweb%2Fshop/statuses/") {
            return says(404, "404 Project Not Found");
        }
        if !head.starts_with(&format!("POST /api/v4/projects/team%2Fweb%2Fshop/statuses/{} ", commit("a"))) {
            return says(404, "404 Commit Not Found");
        }
        let text = |key: &str| asked[key].as_str().unwrap().to_owned();
        let (name, state, description) = (text("name"), text("state"), text("description"));
        assert!(description.chars().count() <= 255 && asked.get("ref").is_none());
        let mut rows = self.rows.lock().unwrap();
        let open = |row: &&mut Row| row.name == name && ["pending", "running"].contains(&row.state.as_str());
        let last = rows.iter_mut().rev().find(open);
        let from = last.as_ref().map_or("created", |row| &row.state).to_owned();
        let Some(event) = moves(&from, &state) else {
            let event = if state == "pending" { "enqueue" } else { "run" };
            let why = format!(
                "Cannot transition status via :{event} from :{from} (Reason(s): Status cannot transition via \"{event}\")"
            );
            return says(400, &why);
        };
        let row = Row { name: name.clone(), state: event.to_owned(), description };
        match last {
            Some(last) => *last = row,
            None => rows.push(row),
        }
        (201, "{}".to_owned())
    }

    /// Lists the statuses of a commit, the latest of each name, by what stands after `commits/`.
    fn list(&self, rest: &str) -> (u16, String) {
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        assert_eq!(path, format!("{}/statuses", commit("a")));
        let name = query.split('&').find_map(|pair| pair.strip_prefix("name="));
        let name = name.map(|name| name.replace("%2F", "/").replace("%40", "@"));
        let mut latest: Vec<serde_json::Value> = Vec::new();
        for row in self.rows.lock().unwrap().iter().filter(|row| name.as_ref().is_none_or(|n| *n == row.name))
        {
            latest.retain(|other| other["name"] != row.name.as_str());
            let (name, state, description) = (&row.name, &row.state, &row.description);
            latest.push(serde_json::json!({"name": name, "status": state, "description": description}));
        }
        (200, serde_json::Value::from(latest).to_string())
    }

    fn shows(&self) -> Vec<(String, String)> {
        self.rows.lock().unwrap().iter().map(|row| (row.state.clone(), row.description.clone())).collect()
    }

    async fn post(&self, phase: Phase, description: &str) -> Answer {
        self.post_to("team/web/shop", "a", TOKEN, phase, description).await
    }

    async fn post_to(&self, repository: &str, digit: &str, token: &str, phase: Phase, text: &str) -> Answer {
        let rules = Kind::Gitlab.rules();
        let request = rules.describe(&StatusPost {
            api: &rules.api(&self.url),
            repository,
            commit: &commit(digit),
            context: "windlass/shop@east",
            phase,
            description: text,
            target_url: None,
        });
        let courier = Courier::new().unwrap().near([self.url.as_str()]);
        let token = Secret::new(token).unwrap();
        courier.send(&request, &token, |answer| rules.classify(&request, answer)).await.unwrap()
    }
}

/// Returns the state that a status moves to, where it may move.
fn moves<'a>(from: &str, to: &'a str) -> Option<&'a str> {
    let fine = match to {
        "pending" => from == "created",
        "running" => ["created", "pending"].contains(&from),
        "success" | "failed" | "canceled" => true,
        other => panic!("GitLab knows no state {other}"),
    };
    fine.then_some(to)
}

fn commit(digit: &str) -> CommitId {
    CommitId::parse(&digit.repeat(40)).unwrap()
}

#[tokio::test]
async fn the_verdicts_of_a_commit_move_one_status_and_what_comes_twice_is_taken() {
    let gitlab = Gitlab::start().await;
    let row = |state: &str, text: &str| (state.to_owned(), text.to_owned());
    let steps = [
        (Phase::Pending, "queued", row("pending", "queued")),
        (Phase::Pending, "queued", row("pending", "queued")),
        (Phase::Running, "applying", row("running", "applying")),
        (Phase::Running, "waiting", row("running", "applying")),
        (Phase::Applied, "1 object applied", row("running", "applying")),
        (Phase::Failed, "it does not start", row("failed", "it does not start")),
    ];
    for (phase, text, shown) in steps {
        assert_eq!(gitlab.post(phase, text).await, Answer::Taken, "{phase} {text}");
        assert_eq!(gitlab.shows(), [shown]);
    }
    // Healed by a later dispatch: GitLab begins a new status, and the newest is what counts.
    assert_eq!(gitlab.post(Phase::Healthy, &"é".repeat(300)).await, Answer::Taken);
    assert_eq!(gitlab.shows()[1], ("success".to_owned(), format!("{}…", "é".repeat(254))));
}

#[tokio::test]
async fn an_older_state_never_takes_the_place_of_a_newer_one() {
    let gitlab = Gitlab::start().await;
    assert_eq!(gitlab.post(Phase::Running, "applying").await, Answer::Taken);
    let late = gitlab.post(Phase::Pending, "queued").await;
    assert!(matches!(&late, Answer::Never(why) if why.contains("running already")), "{late:?}");
    assert_eq!(gitlab.shows(), [("running".to_owned(), "applying".to_owned())]);
    assert_eq!(gitlab.post(Phase::Superseded, "superseded").await, Answer::Taken);
    assert_eq!(gitlab.shows()[0].0, "canceled");
}

#[tokio::test]
async fn what_is_wrong_is_told_with_what_to_do() {
    let gitlab = Gitlab::start().await;
    let cases = [
        ("team/web/shop", "a", "glpat-that-was-revoked", "replace it"),
        ("team/shop", "a", TOKEN, "check the repository's name"),
        ("team/web/shop", "b", TOKEN, "no such commit"),
    ];
    for (repository, digit, token, words) in cases {
        let answer = gitlab.post_to(repository, digit, token, Phase::Pending, "queued").await;
        let (Answer::Ours(why) | Answer::Never(why)) = &answer else { panic!("{answer:?}") };
        assert!(why.contains(words) && !why.contains(token), "{why}");
    }
    assert_eq!(gitlab.shows(), []);
}

#[tokio::test]
async fn webhooks_that_gitlab_has_switched_off_are_noticed() {
    let gitlab = Gitlab::start().await;
    let api = Kind::Gitlab.rules().api(&gitlab.url);
    let look = async |token: &str, repository: &str| {
        let hooks = Hooks {
            forge: Name::parse("gitlab").unwrap(),
            kind: Kind::Gitlab,
            api: api.clone(),
            url: "https://windlass.example.org/hooks/gitlab".to_owned(),
            credential: Credential::Token(Secret::new(token).unwrap()),
            repositories: [repository.to_owned()].into(),
        };
        let courier = Courier::new().unwrap().near([gitlab.url.as_str()]);
        Recoverer::new(courier, hooks).step(now()).await
    };
    let found = look(TOKEN, "team/web/shop").await.unwrap();
    assert_eq!(found, Recovered { hooks: 2, asked: 0, off: 1 });
    for (token, repository, words) in [
        ("glpat-that-was-revoked", "team/web/shop", "refuses the token"),
        (TOKEN, "team/shop", "role Maintainer"),
    ] {
        let error = look(token, repository).await.unwrap_err();
        assert!(error.fault() == Fault::Ours && error.to_string().contains(words), "{error}");
    }
}
