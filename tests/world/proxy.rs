//! A proxy between windlass and one of its far sides: it holds, fails, loses and counts requests, so that a test can
//! put things in an order that chance would not, without a hook in production code.

use std::net::Shutdown;
use std::net::TcpListener;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::Weak;
use std::time::Duration;

use actix_web::App;
use actix_web::HttpRequest;
use actix_web::HttpResponse;
use actix_web::HttpServer;
use actix_web::dev::ServerHandle;
use actix_web::http::StatusCode;
use actix_web::web;
use futures::stream;

use super::bed;

/// How long may a request that a test waits for take to arrive?
const PATIENCE: Duration = Duration::from_secs(30);

/// How large may the body of a request be?
const BODY_BYTES: usize = 64 << 20;

/// Headers that belong to one connection and do not travel on.
const OWN: [&str; 5] = ["connection", "host", "transfer-encoding", "content-length", "keep-alive"];

/// A proxy on a port of its own.
pub struct Proxy {
    /// Where it listens, `http://127.0.0.1:<port>`.
    pub url: String,
    shared: Arc<Shared>,
    server: ServerHandle,
}

struct Shared {
    upstream: String,
    authorization: Option<String>,
    client: reqwest::Client,
    rules: Mutex<Vec<Rule>>,
    asked: Mutex<Vec<String>>,
    wrote: Mutex<Vec<Wrote>>,
    /// Those that are open, and some that were.
    connections: Mutex<Vec<Weak<std::net::TcpStream>>>,
}

/// A write that was asked for, and no dry one.
#[derive(Clone, Debug)]
pub struct Wrote {
    /// The request's line.
    pub line: String,
    pub body: web::Bytes,
    /// The status of the answer; 0 where none came from the other side.
    pub status: u16,
}

/// Decides by a request's line, such as `PATCH /api/v1/namespaces/a/configmaps/b?force=true`.
type Fits = Box<dyn Fn(&str) -> bool + Send>;

struct Rule {
    fits: Fits,
    left: usize,
    fate: Fate,
}

/// What becomes of a request.
#[derive(Clone)]
enum Fate {
    /// It waits before it is sent on.
    HoldRequest(Arc<Gate>),
    /// It is sent on, and its answer waits.
    HoldAnswer(Arc<Gate>),
    /// It is answered with this status and never sent on.
    Refuse(u16),
    /// It is answered with 429, that many seconds to wait, and never sent on.
    PutOff(u16),
    /// Its connection is cut before it is sent on.
    Cut,
    /// It is sent on, and its connection is cut instead of an answer.
    CutAnswer,
    /// It is never answered.
    Swallow,
}

struct Gate {
    /// The port from which the request came, once it has.
    arrived: tokio::sync::watch::Sender<Option<u16>>,
    open: tokio::sync::watch::Sender<bool>,
}

/// A request that is held, or will be; dropping it lets the request go on.
pub struct Held(Arc<Gate>);

impl Held {
    /// Waits until the request is there.
    #[track_caller]
    pub fn arrived(&self) -> impl Future<Output = ()> + use<> {
        let (caller, mut arrived) = (std::panic::Location::caller(), self.0.arrived.subscribe());
        async move {
            let waited = tokio::time::timeout(PATIENCE, arrived.wait_for(Option::is_some)).await;
            assert!(waited.is_ok(), "no such request arrived at the proxy ({caller})");
        }
    }

    /// Waits until the request is there, or it takes longer than that; says which.
    pub async fn came(&self, within: Duration) -> bool {
        let mut arrived = self.0.arrived.subscribe();
        tokio::time::timeout(within, arrived.wait_for(Option::is_some)).await.is_ok()
    }

    /// Returns the port from which the request came, once it has.
    pub fn peer(&self) -> Option<u16> {
        *self.0.arrived.borrow()
    }

    /// Lets the request, or its answer, go on.
    pub fn release(&self) {
        self.0.open.send_replace(true);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.release();
    }
}

/// The socket of a connection, for cutting it.
struct Socket(Arc<std::net::TcpStream>);

impl Proxy {
    /// Stands in front of the bed's Gitea.
    pub fn before_gitea() -> Self {
        Self::start(bed("WINDLASS_BED_GITEA_URL").to_owned(), None, client(None))
    }

    /// Stands in front of the API server of `east` or `west` and adds the administrator's token to every request.
    pub fn before_cluster(cluster: &str) -> Self {
        let cluster = cluster.to_uppercase();
        let text = std::fs::read_to_string(bed(&format!("WINDLASS_BED_{cluster}_KUBECONFIG"))).unwrap();
        let token = text.lines().find_map(|line| line.trim().strip_prefix("token: ")).unwrap();
        let authority = std::fs::read(format!("{}/pki/ca.crt", bed("WINDLASS_BED_RUN"))).unwrap();
        let upstream = bed(&format!("WINDLASS_BED_{cluster}_URL")).to_owned();
        Self::start(upstream, Some(format!("Bearer {token}")), client(Some(&authority)))
    }

    fn start(upstream: String, authorization: Option<String>, client: reqwest::Client) -> Self {
        let (rules, asked, wrote, connections) =
            (Mutex::default(), Mutex::default(), Mutex::default(), Mutex::default());
        let shared = Arc::new(Shared { upstream, authorization, client, rules, asked, wrote, connections });
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (data, opened) = (web::Data::from(shared.clone()), shared.clone());
        let app = move || {
            let bodies = web::PayloadConfig::new(BODY_BYTES);
            App::new().app_data(data.clone()).app_data(bodies).default_service(web::to(answer))
        };
        let server = HttpServer::new(app)
            .workers(1)
            .on_connect(move |connection, data| {
                let stream = connection.downcast_ref::<actix_web::rt::net::TcpStream>().unwrap();
                let socket = Arc::new(stream.as_fd().try_clone_to_owned().unwrap().into());
                let mut connections = opened.connections.lock().unwrap();
                connections.retain(|one| one.strong_count() > 0);
                connections.push(Arc::downgrade(&socket));
                data.insert(Socket(socket));
            })
            .disable_signals()
            .listen(listener)
            .unwrap()
            .run();
        let handle = server.handle();
        drop(tokio::spawn(server));
        Self { url, shared, server: handle }
    }

    /// Writes a kubeconfig that leads through this proxy.
    pub fn kubeconfig(&self) -> String {
        let url = &self.url;
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: bed\ncontexts:\n- name: bed\n  context: {{ cluster: bed, user: bed }}\n\
             clusters:\n- name: bed\n  cluster: {{ server: \"{url}\" }}\nusers:\n- name: bed\n  user: {{}}\n"
        )
    }

    /// Holds the first request that fits, before it is sent on.
    pub fn hold(&self, fits: impl Fn(&str) -> bool + Send + 'static) -> Held {
        let gate = Arc::new(Gate { arrived: Default::default(), open: Default::default() });
        self.rule(1, Fate::HoldRequest(gate.clone()), fits);
        Held(gate)
    }

    /// Holds the answer of the first request that fits.
    pub fn hold_answer(&self, fits: impl Fn(&str) -> bool + Send + 'static) -> Held {
        let gate = Arc::new(Gate { arrived: Default::default(), open: Default::default() });
        self.rule(1, Fate::HoldAnswer(gate.clone()), fits);
        Held(gate)
    }

    /// Answers the next `times` requests that fit with a status, and does not send them on.
    pub fn refuse(&self, times: usize, status: u16, fits: impl Fn(&str) -> bool + Send + 'static) {
        self.rule(times, Fate::Refuse(status), fits);
    }

    /// Answers the next `times` requests that fit with 429 and how many seconds to wait, and does not send them on.
    pub fn put_off(&self, times: usize, seconds: u16, fits: impl Fn(&str) -> bool + Send + 'static) {
        self.rule(times, Fate::PutOff(seconds), fits);
    }

    /// Cuts the connection of the next `times` requests that fit, and does not send them on.
    pub fn cut(&self, times: usize, fits: impl Fn(&str) -> bool + Send + 'static) {
        self.rule(times, Fate::Cut, fits);
    }

    /// Sends the next `times` requests that fit on, and cuts their connections instead of answering.
    pub fn cut_answer(&self, times: usize, fits: impl Fn(&str) -> bool + Send + 'static) {
        self.rule(times, Fate::CutAnswer, fits);
    }

    /// Neither sends the next `times` requests that fit on nor answers them.
    pub fn swallow(&self, times: usize, fits: impl Fn(&str) -> bool + Send + 'static) {
        self.rule(times, Fate::Swallow, fits);
    }

    /// Cuts all connections that are open, whatever is under way on them.
    pub fn break_off(&self) {
        for connection in self.shared.connections.lock().unwrap().iter().filter_map(Weak::upgrade) {
            drop(connection.shutdown(Shutdown::Both));
        }
    }

    /// Forgets all rules; what is held stays held.
    pub fn heal(&self) {
        self.shared.rules.lock().unwrap().clear();
    }

    fn rule(&self, left: usize, fate: Fate, fits: impl Fn(&str) -> bool + Send + 'static) {
        self.shared.rules.lock().unwrap().push(Rule { fits: Box::new(fits), left, fate });
    }

    /// Returns how many requests that fit have arrived so far.
    pub fn count(&self, fits: impl Fn(&str) -> bool) -> usize {
        self.shared.asked.lock().unwrap().iter().filter(|line| fits(line)).count()
    }

    /// Returns the lines of all requests since the last call, in the order of their arrival.
    pub fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.shared.asked.lock().unwrap())
    }

    /// Returns all writes so far, in the order of their arrival.
    pub fn wrote(&self) -> Vec<Wrote> {
        self.shared.wrote.lock().unwrap().clone()
    }

    /// Ends it, and every connection through it.
    pub async fn stop(&self) {
        self.server.stop(false).await;
    }
}

/// Returns whether a line of a request to an API server is that of a write, and no dry one.
pub fn is_write(line: &str) -> bool {
    !line.starts_with("GET ") && !line.contains("dryRun")
}

fn client(authority: Option<&[u8]>) -> reqwest::Client {
    windlass::courier::prepare();
    let authorities = authority.map(|pem| reqwest::Certificate::from_pem(pem).unwrap());
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy();
    client.tls_certs_only(authorities).build().unwrap()
}

impl Shared {
    /// Notes a write, and returns its place among them.
    fn note(&self, line: &str, body: &web::Bytes) -> Option<usize> {
        let mut wrote = self.wrote.lock().unwrap();
        is_write(line).then(|| wrote.push(Wrote { line: line.to_owned(), body: body.clone(), status: 0 }))?;
        Some(wrote.len() - 1)
    }

    /// Decides what becomes of a request.
    fn fate(&self, line: &str) -> Option<Fate> {
        let mut rules = self.rules.lock().unwrap();
        let rule = rules.iter_mut().find(|rule| rule.left > 0 && (rule.fits)(line))?;
        rule.left -= 1;
        Some(rule.fate.clone())
    }

    async fn send(
        &self,
        request: &HttpRequest,
        body: web::Bytes,
    ) -> Result<reqwest::Response, reqwest::Error> {
        let method = request.method().as_str().parse().unwrap();
        let mut sending = self.client.request(method, format!("{}{}", self.upstream, request.uri()));
        for (name, value) in request.headers() {
            let replaced = name == "authorization" && self.authorization.is_some();
            if !OWN.contains(&name.as_str()) && !replaced {
                sending = sending.header(name.as_str(), value.as_bytes());
            }
        }
        if let Some(authorization) = &self.authorization {
            sending = sending.header("authorization", authorization);
        }
        sending.body(body).send().await
    }
}

async fn pass(gate: &Gate, request: &HttpRequest) {
    gate.arrived.send_replace(request.peer_addr().map(|peer| peer.port()));
    let mut open = gate.open.subscribe();
    drop(open.wait_for(|open| *open).await);
}

async fn answer(request: HttpRequest, body: web::Bytes, shared: web::Data<Shared>) -> HttpResponse {
    let line = format!("{} {}", request.method(), request.uri());
    let fate = shared.fate(&line);
    let place = shared.note(&line, &body);
    shared.asked.lock().unwrap().push(line);
    match &fate {
        Some(Fate::HoldRequest(gate)) => pass(gate, &request).await,
        Some(Fate::Refuse(status)) => return refusal(*status),
        Some(Fate::PutOff(seconds)) => {
            return HttpResponse::TooManyRequests()
                .append_header(("retry-after", seconds.to_string()))
                .finish();
        }
        Some(Fate::Cut) => return cut(&request),
        Some(Fate::Swallow) => std::future::pending().await,
        Some(Fate::HoldAnswer(_) | Fate::CutAnswer) | None => {}
    }
    let Ok(response) = shared.send(&request, body).await else { return cut(&request) };
    if let Some(place) = place {
        shared.wrote.lock().unwrap()[place].status = response.status().as_u16();
    }
    match &fate {
        Some(Fate::HoldAnswer(gate)) => pass(gate, &request).await,
        Some(Fate::CutAnswer) => {
            drop(response.bytes().await);
            return cut(&request);
        }
        Some(Fate::HoldRequest(_) | Fate::Refuse(_) | Fate::PutOff(_) | Fate::Cut | Fate::Swallow) | None => {
        }
    }
    returned(response)
}

/// Passes an answer on as it comes, since watches never end.
fn returned(response: reqwest::Response) -> HttpResponse {
    let status = StatusCode::from_u16(response.status().as_u16()).unwrap();
    let mut answer = HttpResponse::build(status);
    for (name, value) in response.headers() {
        if !OWN.contains(&name.as_str()) {
            answer.append_header((name.as_str(), value.as_bytes()));
        }
    }
    let chunks = stream::unfold(response, async |mut response| match response.chunk().await {
        Ok(Some(chunk)) => Some((Ok(chunk), response)),
        Ok(None) => None,
        Err(error) => Some((Err(std::io::Error::other(error)), response)),
    });
    answer.streaming(Box::pin(chunks))
}

fn refusal(status: u16) -> HttpResponse {
    let body = serde_json::json!({ "kind": "Status", "apiVersion": "v1", "status": "Failure",
        "code": status, "reason": "Bed", "message": "the bed says no" });
    HttpResponse::build(StatusCode::from_u16(status).unwrap()).json(body)
}

fn cut(request: &HttpRequest) -> HttpResponse {
    let socket: &Socket = request.conn_data().unwrap();
    drop(socket.0.shutdown(Shutdown::Both));
    HttpResponse::BadGateway().finish()
}
