//! Spans to a collector, by OTLP over HTTP with protobuf.
//!
//! Nothing waits for the collector. Spans that ended lie in a queue with an end, are sent in batches, and those that no
//! collector takes are lost: a trace is a help, and no record.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use prost::Message;
use tokio::sync::mpsc;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio::time::timeout;
use tokio::time::timeout_at;

use super::SPANS_LOST;
use super::recorder::Recorder;
use super::wire;
use super::wire::KeyValue;
use crate::courier::Courier;
use crate::courier::Error;
use crate::fault::chain;

/// How many spans may wait to be sent? A pass has about a dozen.
const WAITING: usize = 4_096;

/// How many spans are sent at once at most?
const BATCH: usize = 512;

/// How long does the first span of a batch wait for others?
const GATHER_FOR: Duration = Duration::from_secs(1);

/// How often is it said at most that spans are lost?
const SAY_EVERY: Duration = Duration::from_secs(60);

/// How long may the last spans take to be sent when windlass stops?
const FINISH_WITHIN: Duration = Duration::from_secs(2);

/// Where a collector takes spans, under its address.
const PATH: &str = "/v1/traces";

/// What the body of a request is.
const PROTOBUF: &str = "application/x-protobuf";

/// Sends what a [`Recorder`] records.
pub struct Exporter {
    ended: mpsc::Receiver<wire::Span>,
    lost: Arc<AtomicU64>,
    courier: Courier,
    url: String,
    resource: wire::Resource,
    said: Option<Instant>,
}

/// An exporter at work.
pub struct Exporting {
    stop: oneshot::Sender<()>,
    work: JoinHandle<()>,
}

impl Exporter {
    /// Makes an exporter to the collector at an address, and the recorder of so many percent of all traces.
    ///
    /// # Errors
    /// Nothing can be sent from this machine.
    pub fn to(collector: &str, percent: u8) -> Result<(Recorder, Self), Error> {
        let (sender, ended) = mpsc::channel(WAITING);
        let lost = Arc::new(AtomicU64::new(0));
        let recorder = Recorder::new(sender, Arc::clone(&lost), percent);
        let instance = uuid::Uuid::now_v7().to_string();
        let attributes = vec![
            KeyValue::text("service.name", "windlass"),
            KeyValue::text("service.version", env!("CARGO_PKG_VERSION")),
            KeyValue::text("service.instance.id", instance),
        ];
        let (courier, url) = (Courier::new()?, format!("{collector}{PATH}"));
        let resource = wire::Resource { attributes };
        Ok((recorder, Self { ended, lost, courier, url, resource, said: None }))
    }

    /// Begins to send, in the background.
    #[must_use]
    pub fn start(self) -> Exporting {
        let (stop, stopped) = oneshot::channel();
        Exporting { stop, work: tokio::spawn(self.run(stopped)) }
    }

    async fn run(mut self, mut stopped: oneshot::Receiver<()>) {
        loop {
            let mut batch = Vec::new();
            tokio::select! {
                taken = self.ended.recv_many(&mut batch, BATCH) => if taken == 0 { return },
                // A sender that is gone means the same as its word.
                _ = &mut stopped => break,
            }
            self.gather(&mut batch).await;
            self.send(batch).await;
        }
        self.ended.close();
        let mut rest = Vec::new();
        while self.ended.recv_many(&mut rest, BATCH).await > 0 {
            self.send(std::mem::take(&mut rest)).await;
        }
    }

    /// Adds what ends within a moment.
    async fn gather(&mut self, batch: &mut Vec<wire::Span>) {
        let until = Instant::now() + GATHER_FOR;
        while batch.len() < BATCH {
            let room = BATCH - batch.len();
            match timeout_at(until, self.ended.recv_many(batch, room)).await {
                Ok(1..) => {}
                Ok(0) | Err(_) => return,
            }
        }
    }

    async fn send(&mut self, spans: Vec<wire::Span>) {
        let count = u64::try_from(spans.len()).unwrap_or(u64::MAX);
        let scope_spans = vec![wire::ScopeSpans { spans }];
        let resource = Some(self.resource.clone());
        let resource_spans = vec![wire::ResourceSpans { resource, scope_spans }];
        let body = wire::ExportTraceServiceRequest { resource_spans }.encode_to_vec();
        let why = match self.courier.hand_in(&self.url, PROTOBUF, body).await {
            Ok(200..=299) => None,
            Ok(status) => Some(format!("{} answered {status}", self.url)),
            Err(error) => Some(format!("failed to {}", chain(&error))),
        };
        if why.is_some() {
            self.lost.fetch_add(count, Ordering::Relaxed);
            metrics::counter!(SPANS_LOST).increment(count);
        }
        self.say_what_is_lost(why.as_deref().unwrap_or("the collector is slower than windlass"));
    }

    fn say_what_is_lost(&mut self, why: &str) {
        let quiet = self.said.is_some_and(|said| said.elapsed() < SAY_EVERY);
        if quiet || self.lost.load(Ordering::Relaxed) == 0 {
            return;
        }
        let lost = self.lost.swap(0, Ordering::Relaxed);
        tracing::warn!(lost, why, "spans were not exported; nothing else is held up");
        self.said = Some(Instant::now());
    }
}

impl Exporting {
    /// Sends what has ended by now, for as long as that may take, and ends.
    pub async fn finish(self) {
        let Self { stop, mut work } = self;
        // Who is gone already has nothing left to send.
        let _gone = stop.send(());
        if timeout(FINISH_WITHIN, &mut work).await.is_err() {
            work.abort();
        }
    }
}
