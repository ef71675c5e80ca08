//! Deliveries, as Gitea would post them, over one connection each; written by hand, so that the measurement takes
//! little of the machine.

use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::Instant;
use windlass::event::Push;
use windlass::forge::Kind;
use windlass::moment::Moment;
use windlass::secret::Secret;

/// A delivery that is ready to be posted. Its name is no part of what is signed, so it can be posted again under
/// another one.
#[derive(Clone)]
pub struct Delivery {
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

impl Delivery {
    /// Makes the delivery of a push; its body has at least so many bytes.
    pub fn new(push: &Push, secret: &str, bytes: usize) -> Self {
        let rules = Kind::Gitea.rules();
        let (event, body) = rules.make_up(push);
        let mut body: serde_json::Value = serde_json::from_str(&body).unwrap();
        let lacking = bytes.saturating_sub(body.to_string().len());
        // What fills real payloads are mostly the messages of commits.
        body["commits"] = serde_json::json!([{ "message": "m".repeat(lacking) }]);
        let body = body.to_string().into_bytes();
        let headers = rules.sign(event, "", &body, &Secret::new(secret).unwrap(), Moment(0));
        Self { headers, body }
    }

    fn request(&self) -> Vec<u8> {
        let id = uuid::Uuid::now_v7().to_string();
        let mut request = b"POST /hooks/gitea HTTP/1.1\r\nhost: windlass\r\n".to_vec();
        for (name, value) in &self.headers {
            let value = if value.is_empty() { &id } else { value };
            request.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        request.extend_from_slice(format!("content-length: {}\r\n\r\n", self.body.len()).as_bytes());
        request.extend_from_slice(&self.body);
        request
    }
}

/// A connection to a door.
pub struct Knocker {
    stream: TcpStream,
    heard: Vec<u8>,
}

impl Knocker {
    /// Connects to a door, such as `http://127.0.0.1:8080`.
    pub async fn connect(door: &str) -> Self {
        let stream = TcpStream::connect(door.trim_start_matches("http://")).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, heard: Vec::new() }
    }

    /// Posts a delivery under a name of its own and returns the status code of the answer.
    pub async fn knock(&mut self, delivery: &Delivery) -> u16 {
        self.ask(&delivery.request()).await
    }

    /// Asks for the emptiest page that the door has; returns how long its answer took.
    pub async fn look(&mut self) -> Duration {
        let started = Instant::now();
        assert_eq!(self.ask(b"GET /healthz HTTP/1.1\r\nhost: windlass\r\n\r\n").await, 200);
        started.elapsed()
    }

    async fn ask(&mut self, request: &[u8]) -> u16 {
        self.stream.write_all(request).await.unwrap();
        self.heard.clear();
        loop {
            let count = self.stream.read_buf(&mut self.heard).await.unwrap();
            assert!(count > 0, "the door closed the connection: {}", String::from_utf8_lossy(&self.heard));
            if let Some(status) = whole(&self.heard) {
                return status;
            }
        }
    }
}

/// Returns the status code when all of an answer has come. The answers of the door name their length.
fn whole(heard: &[u8]) -> Option<u16> {
    let end = heard.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&heard[..end]).unwrap();
    let length =
        head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let whole = heard.len() >= end + 4 + length.unwrap_or(0);
    whole.then(|| head.split(' ').nth(1).unwrap().parse().unwrap())
}
