//! Log spans on their way to a collector.
//!
//! Only spans within a step of the [`trail`] are recorded: they alone belong to a trace. Of each its name, its times, its
//! fields and whether an error was logged in it are kept, so that a collector learns no more than a reader of the log.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use tokio::sync::mpsc;
use tokio::time::Instant;
use tracing::Event;
use tracing::Level;
use tracing::Subscriber;
use tracing::field::Field;
use tracing::field::Visit;
use tracing::level_filters::LevelFilter;
use tracing::span::Attributes;
use tracing::span::Id;
use tracing::span::Record;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::registry::SpanRef;

use super::SPANS_LOST;
use super::wire;
use super::wire::KeyValue;
use super::wire::Value;
use crate::trail;
use crate::trail::Here;

/// How many fields of a span are kept?
const FIELDS: usize = 32;

/// How many bytes of a field's text are kept?
const FIELD_BYTES: usize = 1_024;

/// Records spans and hands them over when they end. It never waits: what finds no room is lost, and counted.
#[derive(Clone)]
pub struct Recorder {
    ended: mpsc::Sender<wire::Span>,
    lost: Arc<AtomicU64>,
    percent: u8,
}

/// A span that has not ended.
struct Open {
    here: Here,
    kind: i32,
    since: Instant,
    start: u64,
    fields: Fields,
    failed: bool,
}

#[derive(Default)]
struct Fields {
    kept: Vec<KeyValue>,
    dropped: u32,
}

impl Recorder {
    /// Returns a recorder of so many percent of all traces.
    pub(super) fn new(ended: mpsc::Sender<wire::Span>, lost: Arc<AtomicU64>, percent: u8) -> Self {
        Self { ended, lost, percent }
    }

    /// Returns what listens to the log: to windlass's own spans, whatever level is logged.
    pub fn layer<S: Subscriber + for<'a> LookupSpan<'a>>(self) -> impl Layer<S> + Send + Sync {
        self.with_filter(Targets::new().with_target(env!("CARGO_CRATE_NAME"), LevelFilter::INFO))
    }

    /// Returns where a new span belongs; `None` for one that is not recorded.
    fn place<S: for<'a> LookupSpan<'a>>(&self, span: &SpanRef<'_, S>) -> Option<(Here, i32)> {
        let is_step = span.fields().field(trail::TRACE_ID).is_some();
        let (here, kind) = if is_step {
            let here = trail::here()?;
            (here, if here.after.is_some() { wire::CONSUMER } else { wire::INTERNAL })
        } else {
            let parent = span.parent()?;
            let after = parent.extensions().get::<Open>()?.here.trace;
            (Here { trace: trail::child(after), after: Some(after) }, wire::INTERNAL)
        };
        here.trace.is_among(self.percent).then_some((here, kind))
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Recorder {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let Some((here, kind)) = self.place(&span) else { return };
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        let (since, start) = (Instant::now(), unix_nanos());
        span.extensions_mut().insert(Open { here, kind, since, start, fields, failed: false });
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(open) = span.extensions_mut().get_mut::<Open>() {
            values.record(&mut open.fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        if *event.metadata().level() != Level::ERROR {
            return;
        }
        let Some(span) = context.event_span(event) else { return };
        if let Some(open) = span.extensions_mut().get_mut::<Open>() {
            open.failed = true;
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(span) = context.span(&id) else { return };
        let Some(open) = span.extensions_mut().remove::<Open>() else { return };
        if self.ended.try_send(open.end(span.name())).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
            metrics::counter!(SPANS_LOST).increment(1);
        }
    }
}

impl Open {
    fn end(self, name: &str) -> wire::Span {
        let Self { here, kind, since, start, fields, failed } = self;
        let took = u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX);
        wire::Span {
            trace_id: here.trace.id_bytes().to_vec(),
            span_id: here.trace.span_bytes().to_vec(),
            parent_span_id: here.after.map(|after| after.span_bytes().to_vec()).unwrap_or_default(),
            name: name.to_owned(),
            kind,
            start_time_unix_nano: start,
            end_time_unix_nano: start.saturating_add(took),
            attributes: fields.kept,
            dropped_attributes_count: fields.dropped,
            status: failed.then_some(wire::Status { code: wire::FAILED }),
        }
    }
}

fn unix_nanos() -> u64 {
    u64::try_from(jiff::Timestamp::now().as_nanosecond()).unwrap_or_default()
}

impl Fields {
    fn keep(&mut self, field: &Field, value: Value) {
        // The span says it by itself.
        if field.name() == trail::TRACE_ID {
            return;
        }
        if self.kept.len() < FIELDS {
            self.kept.push(KeyValue::new(field.name(), value));
        } else {
            self.dropped = self.dropped.saturating_add(1);
        }
    }
}

impl Visit for Fields {
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.keep(field, Value::Number(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.keep(field, Value::Number(i64::try_from(value).unwrap_or(i64::MAX)));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.keep(field, Value::Flag(value));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let begin = value.get(..value.floor_char_boundary(FIELD_BYTES)).unwrap_or_default();
        self.keep(field, Value::Text(begin.to_owned()));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}
