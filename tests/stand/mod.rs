//! What stand-ins of forges share: HTTP on loopback, a thread for each connection, with what may go wrong on the way.

#![allow(dead_code, reason = "no stand-in uses all of it")]

use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::io::Write;
use std::net::TcpListener;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use serde_json::Value;

/// What goes wrong with a request.
#[derive(Clone)]
pub enum Fault {
    /// It is not done, and nobody answers.
    Cut,
    /// It is done and nobody hears of it.
    Swallowed,
    /// It is done, and the answer never comes.
    Unanswered,
    /// It is not done, and answered so: a status line, more header lines, and a body.
    Refused(&'static str, &'static str, &'static str),
}

/// A request as it came.
pub struct Heard {
    pub method: String,
    pub path: String,
    pub query: String,
    pub authorization: String,
    pub content_type: String,
    pub body: Vec<u8>,
}

impl Heard {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// Returns a value of the query, as it came.
    pub fn asked(&self, name: &str) -> Option<&str> {
        self.query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
    }

    /// Returns the token that it shows.
    pub fn bearer(&self) -> &str {
        self.authorization.strip_prefix("Bearer ").unwrap_or_default()
    }
}

/// An answer to it.
pub struct Said {
    pub status: u16,
    pub kind: &'static str,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
}

impl Said {
    pub fn new(status: u16, kind: &'static str, body: Vec<u8>) -> Self {
        Self { status, kind, headers: Vec::new(), body }
    }

    pub fn json(status: u16, body: &Value) -> Self {
        Self::new(status, "application/json", body.to_string().into_bytes())
    }

    /// Adds a header, where there is something to say in it.
    pub fn with(mut self, name: &'static str, value: Option<String>) -> Self {
        self.headers.extend(value.map(|value| (name, value)));
        self
    }

    fn bytes(self) -> Vec<u8> {
        let (status, kind, length) = (self.status, self.kind, self.body.len());
        let headers: String =
            self.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let head = format!(
            "HTTP/1.1 {status} Said\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n{headers}connection: close\r\n\r\n"
        );
        [head.into_bytes(), self.body].concat()
    }
}

/// A server of a stand-in.
#[derive(Clone)]
pub struct Stand {
    pub url: String,
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    faults: Vec<(&'static str, Fault)>,
    heard: Vec<String>,
    away: bool,
}

impl Stand {
    /// Starts to answer; paths are told without `root`, where the API begins.
    pub fn start(root: &'static str, answer: impl Fn(&Heard) -> Said + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let stand = Self { url, inner: Arc::default() };
        let (serving, answer) = (stand.clone(), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (serving, answer) = (serving.clone(), Arc::clone(&answer));
                std::thread::spawn(move || serving.serve(stream.unwrap(), root, &*answer));
            }
        });
        stand
    }

    /// Lets a fault befall the next request whose line, method and path, has this text.
    pub fn befall(&self, line: &'static str, fault: Fault) {
        self.inner().faults.push((line, fault));
    }

    /// Goes away, or comes back: who is away does nothing and answers nobody.
    pub fn away(&self, away: bool) {
        self.inner().away = away;
    }

    /// Takes what was asked since the last call, each as method, path and status; 0 where nobody was answered and
    /// nothing was done.
    pub fn heard(&self) -> Vec<String> {
        std::mem::take(&mut self.inner().heard)
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, stream: TcpStream, root: &str, answer: &dyn Fn(&Heard) -> Said) {
        let mut reader = BufReader::new(stream);
        let Some(mut heard) = read(&mut reader) else { return };
        heard.path = heard.path.strip_prefix(root).unwrap_or(&heard.path).to_owned();
        let line = format!("{} {}", heard.method, heard.path);
        let note = |status: &str| self.inner().heard.push(format!("{line} {status}"));
        let bytes = match self.fault(&line) {
            Some(Fault::Cut) => return note("0"),
            Some(Fault::Refused(status, headers, body)) => {
                note(&status[..3]);
                let length = body.len();
                format!("HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n{body}")
                    .into_bytes()
            }
            fault => {
                let said = answer(&heard);
                note(&said.status.to_string());
                match fault {
                    Some(Fault::Unanswered) => return std::mem::forget(reader),
                    Some(_) => return,
                    None => said.bytes(),
                }
            }
        };
        drop(reader.into_inner().write_all(&bytes));
    }

    /// Returns what goes wrong with a request.
    fn fault(&self, line: &str) -> Option<Fault> {
        let mut inner = self.inner();
        if inner.away {
            return Some(Fault::Cut);
        }
        let at = inner.faults.iter().position(|(text, _)| line.contains(text))?;
        Some(inner.faults.remove(at).1)
    }
}

fn read(reader: &mut BufReader<TcpStream>) -> Option<Heard> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let header = |name: &str| {
        let line = head.lines().find(|line| line.to_lowercase().starts_with(&format!("{name}: ")));
        line.map(|line| line[name.len() + 2..].trim().to_owned()).unwrap_or_default()
    };
    let mut body = vec![0; header("content-length").parse().unwrap_or(0)];
    reader.read_exact(&mut body).ok()?;
    if header("transfer-encoding") == "chunked" {
        body = chunks(reader)?;
    }
    let mut first = head.lines().next()?.split(' ');
    let (method, address) = (first.next()?.to_owned(), first.next()?);
    let (path, query) = address.split_once('?').unwrap_or((address, ""));
    let (path, query) = (path.to_owned(), query.to_owned());
    let (authorization, content_type) = (header("authorization"), header("content-type"));
    Some(Heard { method, path, query, authorization, content_type, body })
}

fn chunks(reader: &mut BufReader<TcpStream>) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut size = String::new();
        reader.read_line(&mut size).ok()?;
        let size = usize::from_str_radix(size.trim(), 16).ok()?;
        let mut chunk = vec![0; size + 2];
        reader.read_exact(&mut chunk).ok()?;
        if size == 0 {
            return Some(body);
        }
        body.extend_from_slice(&chunk[..size]);
    }
}
