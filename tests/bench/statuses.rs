//! Stands between windlass and Gitea's API and notes when Gitea had taken which status. It costs windlass about a
//! millisecond a status, which counts against it; asking Gitea's API all the time would cost the machine far more.

use std::sync::Arc;
use std::time::Duration;

use actix_web::App;
use actix_web::HttpRequest;
use actix_web::HttpResponse;
use actix_web::HttpServer;
use actix_web::web;
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::world::bed;

/// How long may a status that is waited for take?
const PATIENCE: Duration = Duration::from_secs(60);

/// A status that Gitea took.
#[derive(Clone)]
pub struct Taken {
    commit: String,
    context: String,
    state: String,
    at: Instant,
}

/// The witness.
pub struct Statuses {
    /// The address that windlass takes for Gitea's API.
    pub api: String,
    taken: watch::Receiver<Vec<Taken>>,
}

struct Shared {
    client: reqwest::Client,
    taken: watch::Sender<Vec<Taken>>,
}

impl Statuses {
    /// Begins to listen.
    pub fn start() -> Self {
        let (sender, taken) = watch::channel(Vec::new());
        let shared = web::Data::from(Arc::new(Shared { client: reqwest::Client::new(), taken: sender }));
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let api = format!("http://{}/api/v1", listener.local_addr().unwrap());
        let app = move || App::new().app_data(shared.clone()).default_service(web::to(pass));
        let server = HttpServer::new(app).workers(1).disable_signals().listen(listener).unwrap().run();
        drop(tokio::spawn(server));
        Self { api, taken }
    }

    /// Waits until Gitea has taken such a status of a commit, and returns when that was.
    pub async fn taken(&self, commit: &str, context: &str, such: impl Fn(&str) -> bool) -> Instant {
        let mut taken = self.taken.clone();
        let fits = |one: &&Taken| one.commit == commit && one.context == context && such(&one.state);
        let waited = taken.wait_for(|all| all.iter().any(|one| fits(&one)));
        let all = tokio::time::timeout(PATIENCE, waited).await.expect("a status in time").unwrap();
        all.iter().find(fits).unwrap().at
    }
}

async fn pass(request: HttpRequest, body: web::Bytes, shared: web::Data<Shared>) -> HttpResponse {
    let status: Value = serde_json::from_slice(&body).unwrap_or_default();
    let url = format!("{}{}", bed("WINDLASS_BED_GITEA_URL"), request.uri());
    let mut sent = shared.client.request(request.method().as_str().parse().unwrap(), url);
    for name in ["authorization", "content-type", "accept"] {
        if let Some(value) = request.headers().get(name) {
            sent = sent.header(name, value.as_bytes());
        }
    }
    let answer = sent.body(body).send().await.unwrap();
    let code = answer.status();
    let at = Instant::now();
    let text = answer.text().await.unwrap();
    if code.is_success() {
        let word = |key: &str| status[key].as_str().unwrap_or_default().to_owned();
        let commit = request.path().rsplit('/').next().unwrap_or_default().to_owned();
        let taken = Taken { commit, context: word("context"), state: word("state"), at };
        shared.taken.send_modify(|all| all.push(taken));
    }
    HttpResponse::build(actix_web::http::StatusCode::from_u16(code.as_u16()).unwrap()).body(text)
}
