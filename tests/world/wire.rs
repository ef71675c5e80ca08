//! HTTP by hand, byte by byte, because the tests of the door also send what no client library would.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// How long may any answer take before a test gives up?
pub const PATIENCE: Duration = Duration::from_secs(20);

/// How often does a slow client send something?
const DRIP_EVERY: Duration = Duration::from_millis(100);

/// An answer as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// The head, in lowercase.
    pub head: String,
    /// The body.
    pub body: String,
}

impl Reply {
    /// Returns a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    /// Returns the body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// One connection, on which one request is made.
pub struct Wire(TcpStream);

impl Wire {
    /// Connects.
    pub async fn to(address: SocketAddr) -> std::io::Result<Self> {
        TcpStream::connect(address).await.map(Self)
    }

    /// Sends bytes; a far side that has answered already may refuse them.
    pub async fn send(&mut self, bytes: &[u8]) {
        drop(self.0.write_all(bytes).await);
    }

    /// Sends bytes as long as the far side takes them; returns whether it took these.
    pub async fn give(&mut self, bytes: &[u8]) -> bool {
        self.0.write_all(bytes).await.is_ok()
    }

    /// Returns the answer; `None` when the far side closes without one.
    pub async fn reply(&mut self) -> Option<Reply> {
        let read = tokio::time::timeout(PATIENCE, self.read());
        read.await.expect("an answer in time")
    }

    /// Returns all that comes until the far side closes, in lowercase: an answer to HEAD has a length but no body.
    pub async fn head(&mut self) -> String {
        let mut bytes = Vec::new();
        let read = tokio::time::timeout(PATIENCE, self.0.read_to_end(&mut bytes));
        drop(read.await.expect("an answer in time"));
        String::from_utf8_lossy(&bytes).to_lowercase()
    }

    /// Sends bytes again and again, and returns whether the far side ends the connection.
    pub async fn is_cut_off(&mut self, drip: &[u8]) -> bool {
        let mut chunk = [0; 4096];
        let cut = async {
            loop {
                match tokio::time::timeout(DRIP_EVERY, self.0.read(&mut chunk)).await {
                    Ok(Ok(0) | Err(_)) => return,
                    Ok(Ok(_)) | Err(_) => drop(self.0.write_all(drip).await),
                }
            }
        };
        tokio::time::timeout(PATIENCE, cut).await.is_ok()
    }

    async fn read(&mut self) -> Option<Reply> {
        let mut bytes = Vec::new();
        let mut chunk = [0; 4096];
        loop {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            if let Some(reply) = whole(&text) {
                return Some(reply);
            }
            match self.0.read(&mut chunk).await {
                Ok(0) | Err(_) => return None,
                Ok(count) => bytes.extend_from_slice(&chunk[..count]),
            }
        }
    }
}

/// Returns the answer when all of it has come. The answers of the door all name their length.
fn whole(text: &str) -> Option<Reply> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let head = head.to_lowercase();
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let reply = Reply { status, head, body: body.to_owned() };
    let length: usize = reply.header("content-length")?.trim().parse().ok()?;
    (body.len() >= length || status == 204).then_some(reply)
}

/// Makes a request with a body of a known length.
pub fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut bytes = head(method, path, headers, &format!("content-length: {}\r\n", body.len()));
    bytes.extend_from_slice(body);
    bytes
}

/// Makes the head of a request, with one more line of headers.
pub fn head(method: &str, path: &str, headers: &[(&str, &str)], more: &str) -> Vec<u8> {
    let lines: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    format!("{method} {path} HTTP/1.1\r\nhost: door\r\n{lines}{more}\r\n").into_bytes()
}

/// Makes a request whose body comes in chunks.
pub fn chunked(path: &str, headers: &[(&str, &str)], chunks: &[&[u8]]) -> Vec<u8> {
    let mut bytes = head("POST", path, headers, "transfer-encoding: chunked\r\n");
    for chunk in chunks {
        bytes.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        bytes.extend_from_slice(chunk);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"0\r\n\r\n");
    bytes
}
