//! A forge's status API at the wire: it keeps what it is told and answers as the test says.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::Mutex;

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
    answers: VecDeque<String>,
    /// How many requests are being answered, and the most that ever were.
    open: u32,
    most: u32,
}

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

    /// Says how the next requests are answered; afterwards every one is taken. An empty answer hangs up.
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
        let (mut path, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            stream.read_line(&mut line).await.unwrap();
            if path.is_empty() {
                path = line.split(' ').nth(1).unwrap_or_default().to_owned();
            }
            if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            if line.trim().is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.unwrap();
        let answer = self.hear(&path, &body);
        // Whoever else asks at the same time is seen.
        tokio::task::yield_now().await;
        if !answer.is_empty() {
            let text = format!("HTTP/1.1 {answer}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
            stream.write_all(text.as_bytes()).await.unwrap();
        }
        self.inner.lock().unwrap().open -= 1;
    }

    fn hear(&self, path: &str, body: &[u8]) -> String {
        let status: serde_json::Value = serde_json::from_slice(body).unwrap();
        let text = |key: &str| status[key].as_str().unwrap().to_owned();
        let repository = path.trim_start_matches("/api/v1/repos/").split("/statuses/").next().unwrap();
        let mut inner = self.inner.lock().unwrap();
        inner.open += 1;
        inner.most = inner.most.max(inner.open);
        let line = format!("{repository} {} {}: {}", text("state"), text("context"), text("description"));
        inner.heard.push(line);
        self.news.notify_waiters();
        inner.answers.pop_front().unwrap_or_else(|| "201 Created".to_owned())
    }
}
