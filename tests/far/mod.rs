//! A forge's status API at the wire: it keeps what it is told, shows it, and answers as the test says.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::Mutex;

use serde_json::Value;
use serde_json::json;
use tokio::io::AsyncBufReadExt;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::io::BufReader;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::sync::Notify;

#[derive(Clone)]
pub struct Forge {
    pub api: String,
    inner: Arc<Mutex<Inner>>,
    news: Arc<Notify>,
}

#[derive(Default)]
struct Inner {
    heard: Vec<String>,
    /// The paths of the questions for what it shows.
    looked: Vec<String>,
    /// The statuses that it took: of which commit, and what they say.
    taken: Vec<(String, Value)>,
    answers: VecDeque<String>,
    /// How many requests are being answered, and the most that ever were.
    open: u32,
    most: u32,
}

/// An answer that never comes, though the status is taken.
#[allow(dead_code, reason = "not every test loses an answer")]
pub const LOST: &str = "201 Lost";

/// An answer that comes late, after the status was taken.
#[allow(dead_code, reason = "not every test is cut off")]
pub const SLOW: &str = "201 Slow";

/// How long does such an answer take?
const SLOW_BY: std::time::Duration = std::time::Duration::from_secs(5);

impl Forge {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let api = format!("http://{}/api/v1", listener.local_addr().unwrap());
        let forge = Self { api, inner: Arc::default(), news: Arc::default() };
        let served = forge.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let served = served.clone();
                tokio::spawn(async move { served.serve(stream).await });
            }
        });
        forge
    }

    /// Says how the next requests are answered; afterwards every one is taken. An empty answer hangs up, and
    /// [`LOST`] when it has taken the status. Only a status that is answered with a 2xx is taken.
    pub fn answer(&self, answers: &[&str]) {
        self.inner.lock().unwrap().answers.extend(answers.iter().map(|text| (*text).to_owned()));
    }

    /// Forgets how the next requests were to be answered, so that every one is taken.
    #[allow(dead_code, reason = "not every test has a forge come back")]
    pub fn answers_normally(&self) {
        self.inner.lock().unwrap().answers.clear();
    }

    /// Takes what was heard since the last call.
    pub fn heard(&self) -> Vec<String> {
        std::mem::take(&mut self.inner.lock().unwrap().heard)
    }

    /// Takes the paths of the questions for what it shows, which were asked since the last call.
    #[allow(dead_code, reason = "not every test cares who looks")]
    pub fn looked(&self) -> Vec<String> {
        std::mem::take(&mut self.inner.lock().unwrap().looked)
    }

    /// Waits until something was heard that contains `text`.
    pub async fn until(&self, text: &str) {
        loop {
            let news = self.news.notified();
            if self.inner.lock().unwrap().heard.iter().any(|line| line.contains(text)) {
                return;
            }
            news.await;
        }
    }

    pub fn most_at_once(&self) -> u32 {
        self.inner.lock().unwrap().most
    }

    async fn serve(&self, stream: TcpStream) {
        let mut stream = BufReader::new(stream);
        let (mut line, mut length) = (String::new(), 0);
        loop {
            let mut header = String::new();
            stream.read_line(&mut header).await.unwrap();
            if line.is_empty() {
                line.clone_from(&header);
            }
            if let Some(value) = header.to_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            if header.trim().is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.unwrap();
        let mut words = line.split(' ');
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let (answer, body) = match method {
            "GET" => self.look(path),
            _ => (self.hear(path, &body), String::new()),
        };
        // Whoever else asks at the same time is seen.
        tokio::task::yield_now().await;
        if answer == SLOW {
            // why: whoever waits for this answer is to be cut off meanwhile.
            tokio::time::sleep(SLOW_BY).await;
        }
        if !answer.is_empty() && answer != LOST {
            let length = body.len();
            let text =
                format!("HTTP/1.1 {answer}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}");
            // Whoever asked may have gone.
            let _told = stream.write_all(text.as_bytes()).await;
        }
        self.inner.lock().unwrap().open -= 1;
    }

    fn hear(&self, path: &str, body: &[u8]) -> String {
        let status: Value = serde_json::from_slice(body).unwrap();
        let text = |key: &str| status[key].as_str().unwrap().to_owned();
        let rest = path.trim_start_matches("/api/v1/repos/");
        let (repository, commit) = rest.split_once("/statuses/").unwrap_or((rest, ""));
        let line = format!("{repository} {} {}: {}", text("state"), text("context"), text("description"));
        let mut inner = self.inner.lock().unwrap();
        inner.heard.push(line);
        let answer = inner.next();
        if answer.starts_with('2') {
            inner.taken.push((format!("{repository}/commits/{commit}"), status));
        }
        self.news.notify_waiters();
        answer
    }

    /// Answers with the latest status of each context of a commit, in the words of Gitea and of GitHub alike.
    fn look(&self, path: &str) -> (String, String) {
        let mut inner = self.inner.lock().unwrap();
        inner.looked.push(path.to_owned());
        let answer = inner.next();
        let path = path.split('?').next().unwrap_or_default().trim_start_matches("/api/v1/repos/");
        let mut latest: Vec<Value> = Vec::new();
        for (_, status) in
            inner.taken.iter().filter(|(of, _)| path.strip_prefix(of.as_str()) == Some("/status"))
        {
            let mut shown = status.clone();
            shown["status"] = status["state"].clone();
            latest.retain(|other| other["context"] != status["context"]);
            latest.insert(0, shown);
        }
        (answer, json!({"total_count": latest.len(), "statuses": latest}).to_string())
    }
}

impl Inner {
    /// Returns the answer to one more request.
    fn next(&mut self) -> String {
        self.open += 1;
        self.most = self.most.max(self.open);
        self.answers.pop_front().unwrap_or_else(|| "200 Taken".to_owned())
    }
}
