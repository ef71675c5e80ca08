//! A forge at the wire that answers as a real one once did, and keeps what it is sent.

use std::sync::Arc;
use std::sync::Mutex;

use serde_json::Value;
use tokio::io::AsyncBufReadExt;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::io::BufReader;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use windlass::courier::Courier;

use crate::recording::Exchange;

/// What was sent.
#[derive(Clone, Debug)]
pub struct Heard {
    pub method: String,
    pub path: String,
    pub body: Value,
}

pub struct Replay {
    /// Its address, without a path.
    pub url: String,
    /// A courier that reaches it; to make one takes longer than to be answered.
    pub courier: Courier,
    heard: Arc<Mutex<Vec<Heard>>>,
}

/// What belongs to the connection that was recorded, and not to the answer.
const LEFT_OUT: [&str; 5] =
    ["connection", "content-encoding", "content-length", "status", "transfer-encoding"];

impl Replay {
    /// Answers one request after another as it was recorded.
    pub async fn start(exchanges: Vec<Exchange>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let courier = Courier::new().unwrap().near([url.as_str()]);
        let replay = Self { url, courier, heard: Arc::default() };
        let heard = Arc::clone(&replay.heard);
        tokio::spawn(async move {
            for exchange in exchanges {
                let (stream, _) = listener.accept().await.unwrap();
                let request = answer(stream, &exchange).await;
                heard.lock().unwrap().push(request);
            }
        });
        replay
    }

    /// Returns the one request that was sent.
    pub fn heard(&self) -> Heard {
        let heard = self.heard.lock().unwrap();
        assert_eq!(heard.len(), 1, "{heard:?}");
        heard[0].clone()
    }
}

async fn answer(stream: TcpStream, exchange: &Exchange) -> Heard {
    let mut stream = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert!(stream.read_line(&mut head).await.unwrap() > 0, "{head}");
    }
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    let mut body = vec![0; length.parse().unwrap()];
    stream.read_exact(&mut body).await.unwrap();
    stream.write_all(&written(exchange)).await.unwrap();
    let mut words = head.split(' ').map(str::to_owned);
    let (method, path) = (words.next().unwrap(), words.next().unwrap());
    Heard { method, path, body: serde_json::from_slice(&body).unwrap() }
}

fn written(exchange: &Exchange) -> Vec<u8> {
    let kept = exchange.headers.iter().filter(|(name, _)| !LEFT_OUT.contains(&&*name.to_lowercase()));
    let headers: String =
        kept.map(|(name, value)| format!("{name}: {}\r\n", value.replace(['\r', '\n'], " "))).collect();
    let (status, length) = (exchange.status, exchange.body.len());
    let head = format!(
        "HTTP/1.1 {status} Recorded\r\n{headers}connection: close\r\ncontent-length: {length}\r\n\r\n"
    );
    [head.as_bytes(), exchange.body.as_bytes()].concat()
}
