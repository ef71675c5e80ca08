//! The trail: which step of which trace is under way, so that what a step writes down for later carries it.
//!
//! A delivery starts a trace, and each station goes on where the one before it ended: at the [`Trace`] that came with its
//! message. Whoever makes a draft or a status asks [`current`], so no word and no rule has to hand a trace on. It is
//! kept beside the task and not in its log spans, since those are gone where nobody listens, and traces ride on all
//! the same: so one process that exports nothing breaks no chain.
//!
//! A step's log span has the field `trace.id`. By this field the recorder in `telemetry` knows the span of a step, and
//! asks [`here`] for its place; all spans within it are its children by the log's own order. This is why neither the
//! flow nor the hands know of an exporter.

use tracing::Instrument;
use tracing::Span;
use uuid::Uuid;

use crate::trace::Trace;

/// The field by which the log span of a step is known.
pub const TRACE_ID: &str = "trace.id";

tokio::task_local! {
    static HERE: Here;
}

/// A step on the trail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Here {
    /// Its own place.
    pub trace: Trace,
    /// The place after which it comes; `None` for the first.
    pub after: Option<Trace>,
}

/// Returns the step that is under way.
#[must_use]
pub fn here() -> Option<Here> {
    HERE.try_with(|here| *here).ok()
}

/// Returns the trace of the step that is under way.
#[must_use]
pub fn current() -> Option<Trace> {
    here().map(|here| here.trace)
}

/// Does the work of a step that comes after another one, or that starts a trace. Its log span is made from the id of
/// the trace, and should have that as [`TRACE_ID`].
pub fn step<F: Future>(
    after: Option<Trace>,
    span: impl FnOnce(&str) -> Span,
    work: F,
) -> impl Future<Output = F::Output> {
    // On the heap: a step is large, and whoever awaits it should not be as large.
    let work = Box::pin(work);
    async move {
        let Some(trace) = after.map_or_else(start, |after| Some(child(after))) else { return work.await };
        let here = Here { trace, after };
        let span = HERE.sync_scope(here, || span(&trace.id()));
        HERE.scope(here, work.instrument(span)).await
    }
}

/// Returns the place of a new part of the work at a place.
#[must_use]
pub fn child(of: Trace) -> Trace {
    of.with_span(random_span())
}

/// Starts a trace; random ids are never zero.
fn start() -> Option<Trace> {
    Trace::of(Uuid::new_v4().as_u128(), random_span())
}

/// Such an id has its marks in both halves, and 62 random bits in the second.
fn random_span() -> u64 {
    let (_, low) = Uuid::new_v4().as_u64_pair();
    low
}

#[cfg(test)]
mod tests {
    use super::*;

    fn silent(_: &str) -> Span {
        Span::none()
    }

    #[tokio::test]
    async fn steps_start_a_trace_or_go_on_with_it() {
        assert_eq!(here(), None);
        let first = step(None, silent, async { here().unwrap() }).await;
        assert_eq!(first.after, None);
        let second = step(Some(first.trace), silent, async { here().unwrap() }).await;
        assert_eq!(second.after, Some(first.trace));
        assert_eq!(second.trace.id(), first.trace.id());
        assert_ne!(second.trace, first.trace);
        let other = step(None, silent, async { current().unwrap() }).await;
        assert_ne!(other.id(), first.trace.id());
        assert_eq!(here(), None);
    }

    #[tokio::test]
    async fn a_step_within_another_one_goes_its_own_way() {
        step(None, silent, async {
            let outer = current();
            step(None, silent, async { assert_ne!(current(), outer) }).await;
            assert_eq!(current(), outer);
        })
        .await;
    }
}
