//! One push through all of windlass.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use windlass::dispatch::Step;
use windlass::telemetry::Exporter;
use windlass::telemetry::Numbers;

use crate::collector::Collector;
use crate::collector::words;
use crate::world::journal;
use crate::world::manifests::deployment;
use crate::world::windlass::MAIN;
use crate::world::windlass::World;

/// The ways that one push goes.
const WAYS: &[&str] = &[
    "hook",
    "hook > dispatch",
    "hook > dispatch > fetch",
    "hook > dispatch > job",
    "hook > dispatch > job > apply",
    "hook > dispatch > job > begin",
    "hook > dispatch > job > begin > fetch",
    "hook > dispatch > job > fence",
    "hook > dispatch > job > finish",
    "hook > dispatch > job > prepare",
    "hook > dispatch > job > prepare > dry_run",
    "hook > dispatch > job > prepare > look",
    "hook > dispatch > job > prepare > render",
    "hook > dispatch > job > prune",
    "hook > dispatch > job > report",
    "hook > dispatch > job > watch",
    "hook > dispatch > job > watch > report",
    "hook > dispatch > job > watch > report > status",
    "hook > dispatch > report",
    "hook > dispatch > report > status",
];

/// Returns the way to each span from the first one of its trace; a parent that is missing shows as `?`.
fn ways(spans: &[Span]) -> Vec<(String, &Span)> {
    let by_id: BTreeMap<&[u8], &Span> = spans.iter().map(|span| (&*span.span_id, span)).collect();
    assert_eq!(by_id.len(), spans.len(), "every span has an id of its own");
    let way = |span: &Span| {
        let (mut way, mut at) = (span.name.clone(), span.clone());
        while !at.parent_span_id.is_empty() {
            let Some(parent) = by_id.get(&*at.parent_span_id) else { return format!("? > {way}") };
            assert_eq!(parent.trace_id, span.trace_id);
            assert!(parent.start_time_unix_nano <= at.start_time_unix_nano + 1_000_000, "{way}");
            (way, at) = (format!("{} > {way}", parent.name), (*parent).clone());
        }
        way
    };
    spans.iter().map(|span| (way(span), span)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_push_is_one_trace_from_the_hook_to_the_status_that_is_posted() {
    let collector = Collector::start();
    let (recorder, exporter) = Exporter::to(&collector.stand.url, 100).unwrap();
    let exporting = exporter.start();
    journal::begin_with(Some(recorder));
    let numbers = Numbers::install().unwrap();
    World::run(async |w| {
        let before = w.commit(&[("about.txt", "nothing to apply")]);
        let commit = w.repo.commit("change", &[("shop/web.yaml", &deployment("web"))]);
        w.push_from(Some(&before), &commit).await;
        // The forge does not show its own push yet, so the event comes twice.
        assert!(matches!(w.dispatch_step().await, Step::Retried { .. }));
        w.repo.slip_in(MAIN);
        // One role after the other, so that the status that waits is posted before the verdict is there.
        w.dispatch_step().await;
        w.report_all().await;
        w.post_step().await;
        w.reconcile_step().await;
        w.report_all().await;
        w.settle().await;
        w.expect(&commit, "shop@east", "success", &["1 created", "healthy in"]).await;
    })
    .await;
    exporting.finish().await;
    let spans = collector.spans();
    let traces: BTreeSet<&[u8]> = spans.iter().map(|span| &*span.trace_id).collect();
    assert_eq!(traces.len(), 1, "one push is one trace");
    expect_in_the_log(&hex::encode(spans[0].trace_id.as_slice()));
    expect_numbers(&numbers.render()());
    let ways = ways(&spans);
    assert_eq!(ways.iter().filter(|(way, _)| way == "hook > dispatch").count(), 2, "a try is a span");
    let found: BTreeSet<&str> = ways.iter().map(|(way, _)| way.as_str()).collect();
    for way in WAYS {
        assert!(found.contains(*way), "{way} is missing in {found:#?}");
    }
    assert!(found.iter().all(|way| !way.contains('?')), "{found:#?}");
    expect_words(&ways);
    for resource in collector.resources() {
        assert_eq!(resource["service.name"], "windlass");
        assert_eq!(resource["service.instance.id"].len(), 36);
    }
}

/// What is said of the spans is what the log says.
fn expect_words(ways: &[(String, &Span)]) {
    let one = |end: &str| ways.iter().find(|(way, _)| way == end).unwrap().1;
    let hook = one("hook");
    assert_eq!((words(&hook.attributes)["forge"].as_str(), hook.kind()), ("gitea", SpanKind::Internal));
    let job = one("hook > dispatch > job");
    let told = words(&job.attributes);
    assert_eq!((told["target.name"].as_str(), told["attempt"].as_str()), ("shop@east", "1"));
    assert_eq!((job.kind(), &job.status), (SpanKind::Consumer, &None));
    let statuses = ways.iter().filter(|(way, _)| way.ends_with("watch > report > status"));
    let told: BTreeSet<(String, String)> = statuses
        .map(|(_, span)| words(&span.attributes))
        .map(|words| (words["status"].clone(), words["phase"].clone()))
        .collect();
    let verdict = |status: &str| (status.to_owned(), "healthy".to_owned());
    assert_eq!(told, BTreeSet::from([verdict("windlass"), verdict("windlass/shop@east")]));
    for (way, span) in ways {
        assert!(span.start_time_unix_nano <= span.end_time_unix_nano, "{way}");
        assert!(!words(&span.attributes).contains_key("trace.id"), "{way}");
    }
}

/// Each station says of which trace it speaks.
fn expect_in_the_log(trace: &str) {
    for line in ["delivery accepted", "dispatched", "job taken", "run healthy"] {
        let log = journal::text();
        let line = log.lines().find(|text| text.contains(line)).unwrap();
        assert!(line.contains(&format!("trace.id=\"{trace}\"")), "{line}");
    }
}

fn expect_numbers(numbers: &str) {
    for line in [
        "windlass_dispatch_retries_total{fault=\"passing\"} 1",
        "windlass_queue_redeliveries_total{lane=\"events\"} 1",
        "windlass_status_seconds_count 1",
    ] {
        assert!(numbers.contains(line), "{line} is missing in {numbers}");
    }
}
