//! What a collector that is away, or that is not wanted for all, does to those who work.

use std::io::Write;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;
use tracing_subscriber::layer::SubscriberExt;
use windlass::telemetry::Exporter;
use windlass::telemetry::Recorder;
use windlass::trail;

use crate::collector::Collector;
use crate::stand::Fault;

/// More spans than may wait to be sent.
const MANY: usize = 10_000;

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Lets a recorder and a log of warnings hear what this thread does.
fn listen(recorder: Recorder) -> (tracing::subscriber::DefaultGuard, Lines) {
    let lines = Lines::default();
    let into = lines.clone();
    let log = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(move || into.clone());
    let all = tracing_subscriber::registry().with(log).with(recorder.layer());
    (tracing::subscriber::set_default(all), lines)
}

/// The span of a step, as the stations make them; of this crate, so that it is said whose it is.
fn span(trace: &str) -> tracing::Span {
    tracing::info_span!(target: "windlass::tests", "step", trace.id = trace)
}

#[tokio::test]
async fn a_collector_that_is_away_costs_a_line_and_holds_nothing_up() {
    let collector = Collector::start();
    collector.stand.away(true);
    let (recorder, exporter) = Exporter::to(&collector.stand.url, 100).unwrap();
    let (_guard, lines) = listen(recorder);
    let exporting = exporter.start();
    let begun = Instant::now();
    for number in 0..MANY {
        trail::step(None, span, async {}).await;
        if number % 500 == 0 {
            tokio::task::yield_now().await;
        }
    }
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    exporting.finish().await;
    let lines = lines.text();
    assert_eq!(lines.matches("spans were not exported").count(), 1, "{lines}");
    assert!(lines.contains("reach the collector at 127.0.0.1"), "{lines}");
    assert!(collector.spans().is_empty());
}

#[tokio::test]
async fn what_a_collector_refuses_is_lost_and_what_comes_later_arrives() {
    let collector = Collector::start();
    collector.stand.befall("/v1/traces", Fault::Refused("503 Busy", "", ""));
    let (recorder, exporter) = Exporter::to(&collector.stand.url, 100).unwrap();
    let (_guard, lines) = listen(recorder);
    let exporting = exporter.start();
    trail::step(None, span, async {}).await;
    crate::world::until("the collector was asked", async || {
        (!collector.stand.heard().is_empty()).then_some(())
    })
    .await;
    trail::step(None, span, async {
        tracing::error!(target: "windlass::tests", "it failed");
    })
    .await;
    exporting.finish().await;
    assert!(lines.text().contains("answered 503"), "{}", lines.text());
    let spans = collector.spans();
    assert_eq!(spans.len(), 1, "{spans:?}");
    assert_eq!(spans[0].status.as_ref().unwrap().code, 2, "a span in which an error is logged has failed");
}

#[tokio::test]
async fn of_no_percent_nothing_is_exported_and_traces_go_on() {
    let collector = Collector::start();
    let (recorder, exporter) = Exporter::to(&collector.stand.url, 0).unwrap();
    let (_guard, _lines) = listen(recorder);
    let exporting = exporter.start();
    let trace = trail::step(None, span, async { trail::current() }).await;
    assert!(trace.is_some());
    exporting.finish().await;
    assert_eq!(collector.stand.heard(), [""; 0]);
}
