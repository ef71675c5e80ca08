//! What windlass says about itself: logs on standard error, numbers for Prometheus, and spans for a collector.

use std::io::IsTerminal;
use std::sync::Arc;
use std::time::Duration;

use metrics_exporter_prometheus::BuildError;
use metrics_exporter_prometheus::Matcher;
use metrics_exporter_prometheus::PrometheusBuilder;
use metrics_exporter_prometheus::PrometheusHandle;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::util::TryInitError;

use crate::cli::LogFormat;
use crate::cli::LogLevel;
use crate::cluster::SILENT;
use crate::courier::LIMIT_REMAINING;
use crate::dispatch;
use crate::intake::ALARM;
use crate::intake::DELIVERIES;
use crate::intake::DELIVERY_SECONDS;
use crate::queue;
use crate::queue::Depth;
use crate::queue::Lane;
use crate::reconcile;
use crate::reconcile::APPLIED_SECONDS;
use crate::reconcile::VERDICT_SECONDS;
use crate::recover::HOOKS_OFF;
use crate::recover::REDELIVERIES;
use crate::report::STATUS_SECONDS;
use crate::report::STATUSES;
use crate::sweep::QUIET;

mod exporter;
mod recorder;
mod wire;

pub use self::exporter::Exporter;
pub use self::exporter::Exporting;
pub use self::recorder::Recorder;

/// Messages in a lane of the queue: waiting, on loan or put off; by `lane`.
const QUEUE_DEPTH: &str = "windlass_queue_depth";
/// Messages that this process has, by `lane`.
const QUEUE_HELD: &str = "windlass_queue_held";
/// Messages that were buried, by `lane`.
const QUEUE_DEAD: &str = "windlass_queue_dead";
/// The age of the oldest message of a lane in seconds, by `lane`; 0 when it is empty.
const QUEUE_OLDEST: &str = "windlass_queue_oldest_seconds";
/// Spans that no collector has.
const SPANS_LOST: &str = "windlass_spans_lost_total";
/// Always 1, with the `version` of the program.
const BUILD: &str = "windlass_build_info";

/// The bounds of the time histograms, in seconds.
const BUCKETS: [f64; 16] =
    [0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0, 900.0];

/// How often are finished measurements folded together? Nothing else does it.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

/// Returns who may log what at a level, as `tracing_subscriber` reads it. Libraries speak from `warn` up, or from `info`
/// up when windlass itself says more than that; kube quotes answers that it cannot read, which may hold secrets, so it
/// speaks of errors only. lapin calls an error what windlass asks for on purpose, such as whether a queue may be made,
/// and what goes wrong windlass says itself, so it is not heard.
#[must_use]
pub fn filter(level: LogLevel) -> String {
    let (own, others) = match level {
        LogLevel::Error => ("error", "error"),
        LogLevel::Warn => ("warn", "warn"),
        LogLevel::Info => ("info", "warn"),
        LogLevel::Debug => ("debug", "info"),
        LogLevel::Trace => ("trace", "info"),
    };
    format!("{others},kube_client=error,lapin=off,windlass={own}")
}

/// Begins to log to standard error, once in a process, what [`filter`] lets pass. A recorder hears of every span of a
/// trace, whatever the level.
///
/// # Errors
/// Somebody already logs in this process.
pub fn log(
    format: LogFormat,
    level: LogLevel,
    no_color: bool,
    recorder: Option<Recorder>,
) -> Result<(), TryInitError> {
    let lines = fmt::layer().with_writer(std::io::stderr);
    let lines = match format {
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
        LogFormat::Text => {
            let colored = !no_color && std::io::stderr().is_terminal();
            lines.with_ansi(colored).with_target(false).boxed()
        }
    };
    let lines = lines.with_filter(EnvFilter::new(filter(level)));
    tracing_subscriber::registry().with(lines).with(recorder.map(Recorder::layer)).try_init()
}

/// The numbers of the process.
#[derive(Clone)]
pub struct Numbers {
    handle: PrometheusHandle,
}

impl Numbers {
    /// Begins to count, once in a process.
    ///
    /// # Errors
    /// Somebody already counts in this process.
    pub fn install() -> Result<Self, BuildError> {
        let builder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &BUCKETS)?;
        let handle = builder.install_recorder()?;
        describe();
        metrics::gauge!(BUILD, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
        Ok(Self { handle })
    }

    /// Returns what the door serves as `/metrics`.
    #[must_use]
    pub fn render(&self) -> Arc<dyn Fn() -> String + Send + Sync> {
        let handle = self.handle.clone();
        Arc::new(move || handle.render())
    }

    /// Keeps the memory of measurements small, for ever.
    pub async fn upkeep(self) {
        loop {
            tokio::time::sleep(UPKEEP_EVERY).await;
            self.handle.run_upkeep();
        }
    }
}

/// Notes how much a lane holds; `oldest` is the age of its oldest message.
pub fn note_depth(lane: &Lane, depth: &Depth, oldest: Duration) {
    let lane = lane.to_string();
    metrics::gauge!(QUEUE_DEPTH, "lane" => lane.clone()).set(number(depth.count));
    metrics::gauge!(QUEUE_DEAD, "lane" => lane.clone()).set(number(depth.dead));
    metrics::gauge!(QUEUE_OLDEST, "lane" => lane).set(oldest.as_secs_f64());
}

/// Notes how many messages of a lane this process has.
pub fn note_held(lane: &Lane, held: u64) {
    metrics::gauge!(QUEUE_HELD, "lane" => lane.to_string()).set(number(held));
}

/// Gauges are floating; a count beyond four thousand millions would only be shown too small.
fn number(count: u64) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

/// A number that windlass keeps.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub kind: MetricKind,
    /// Its labels, each of few values.
    pub labels: &'static [&'static str],
    /// What it says.
    pub text: &'static str,
}

/// What a number is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// It only grows.
    Counter,
    /// It goes up and down.
    Gauge,
    /// Times in seconds, counted by size.
    Histogram,
}

const fn counter(name: &'static str, labels: &'static [&'static str], text: &'static str) -> Metric {
    Metric { name, kind: MetricKind::Counter, labels, text }
}

const fn gauge(name: &'static str, labels: &'static [&'static str], text: &'static str) -> Metric {
    Metric { name, kind: MetricKind::Gauge, labels, text }
}

const fn histogram(name: &'static str, labels: &'static [&'static str], text: &'static str) -> Metric {
    Metric { name, kind: MetricKind::Histogram, labels, text }
}

/// All numbers that windlass keeps.
pub const METRICS: &[Metric] = &[
    gauge(BUILD, &["version"], "The version of the program; always 1."),
    counter(DELIVERIES, &["forge", "answer"], "Webhook requests by forge and answer."),
    histogram(DELIVERY_SECONDS, &["answer"], "From the whole body of a webhook request to its answer."),
    gauge(
        ALARM,
        &["forge", "source"],
        "1 while deliveries of a forge are not signed with any of its secrets.",
    ),
    gauge(QUIET, &["source"], "1 while only the sweep sees the pushes of a source."),
    counter(REDELIVERIES, &[], "Deliveries that failed and that a forge was asked to send again."),
    gauge(HOOKS_OFF, &["forge"], "Webhooks that a forge has switched off, where it says so."),
    gauge(QUEUE_DEPTH, &["lane"], "Messages in a lane: waiting, on loan or put off."),
    gauge(
        QUEUE_HELD,
        &["lane"],
        "Messages of a lane that this process has taken; of an embedded queue, all of them.",
    ),
    gauge(QUEUE_OLDEST, &["lane"], "Age of the oldest message of a lane."),
    gauge(QUEUE_DEAD, &["lane"], "Messages of a lane that were buried."),
    counter(
        queue::REDELIVERIES,
        &["lane"],
        "Messages that were delivered once more: retried, or not settled in time.",
    ),
    counter(dispatch::RETRIES, &["fault"], "Events that were put back, by whose turn it is."),
    counter(
        reconcile::POSTPONED,
        &["cluster"],
        "Jobs that come again later because their cluster had as many passes under way as it may and none came to an end.",
    ),
    counter(reconcile::RETRIES, &["fault"], "Jobs and waits that were put back, by whose turn it is."),
    counter(
        reconcile::DRIFTS,
        &["outcome"],
        "Passes that found drift, by what became of it: corrected, reported or failed.",
    ),
    gauge(
        SILENT,
        &["cluster"],
        "1 while a cluster did not answer several requests in a row and is asked only now and then.",
    ),
    histogram(APPLIED_SECONDS, &[], "From a delivery until its objects are written."),
    histogram(VERDICT_SECONDS, &["phase"], "From a delivery until the verdict of a run."),
    histogram(STATUS_SECONDS, &[], "From a delivery until the forge has taken the verdict on a target."),
    counter(STATUSES, &["outcome"], "Statuses that forges took, that were put off, or that were given up."),
    counter(SPANS_LOST, &[], "Spans that were not exported: the collector was away or too slow."),
    gauge(LIMIT_REMAINING, &["host"], "How many requests a forge still takes, where it says so."),
];

fn describe() {
    for Metric { name, kind, text, .. } in METRICS.iter().copied() {
        match kind {
            MetricKind::Counter => metrics::describe_counter!(name, text),
            MetricKind::Gauge => metrics::describe_gauge!(name, text),
            MetricKind::Histogram => metrics::describe_histogram!(name, metrics::Unit::Seconds, text),
        }
    }
}
