//! What windlass says about itself. One process has one recorder and one log, so this file has one test of each.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::time::Duration;

use windlass::application::Name;
use windlass::cli::LogFormat;
use windlass::cli::LogLevel;
use windlass::forge::Kind;
use windlass::forge::Request;
use windlass::intake::Answer;
use windlass::intake::Hook;
use windlass::intake::Intake;
use windlass::intake::Keys;
use windlass::intake::Known;
use windlass::moment::Moment;
use windlass::queue::Depth;
use windlass::queue::Lane;
use windlass::queue::Queue;
use windlass::secret::Secret;
use windlass::telemetry::Numbers;

#[tokio::test]
async fn deliveries_and_lanes_are_counted_without_words_of_strangers() {
    let numbers = Numbers::install().unwrap();
    assert!(Numbers::install().is_err(), "a second recorder is refused");
    let folder = tempfile::tempdir().unwrap();
    let queue = Queue::open(&folder.path().join("queue.db")).await.unwrap();
    let name = Name::parse("gitea").unwrap();
    let secret = Secret::new("a secret of sixteen bytes").unwrap();
    let known = Known {
        kind: Kind::Gitea,
        keys: Keys { shared: vec![secret.clone()], own: BTreeMap::new() },
        sources: Vec::new(),
    };
    let intake = Intake::new(BTreeMap::from([(name, known)]), queue);
    let signed = Kind::Gitea.rules().sign("ping", "id", b"{}", &secret, Moment(0));
    let signed: Vec<(&str, &str)> = signed.iter().map(|(name, value)| (*name, value.as_str())).collect();
    for (forge, headers, answer) in [
        ("gitea", &signed[..], "ignored"),
        ("gitea", &[], "unsigned"),
        ("made-up", &signed[..], "unknown_hook"),
    ] {
        let said: Answer = intake
            .accept(
                Hook { forge, source: None },
                "192.0.2.1",
                Request { headers, body: b"{}", now: Moment(0) },
            )
            .await;
        assert_eq!(said.word(), answer);
    }
    let depth = Depth { count: 3, oldest: Some(Moment(0)), dead: 1 };
    windlass::telemetry::note_depth(&Lane::events(), &depth, Duration::from_millis(1500));
    windlass::telemetry::note_held(&Lane::events(), 2);
    let text = numbers.render()();
    for line in [
        "windlass_queue_held{lane=\"events\"} 2",
        "windlass_deliveries_total{forge=\"gitea\",answer=\"ignored\"} 1",
        "windlass_deliveries_total{forge=\"gitea\",answer=\"unsigned\"} 1",
        "windlass_deliveries_total{forge=\"unknown\",answer=\"unknown_hook\"} 1",
        "windlass_queue_depth{lane=\"events\"} 3",
        "windlass_queue_dead{lane=\"events\"} 1",
        "windlass_queue_oldest_seconds{lane=\"events\"} 1.5",
        "# TYPE windlass_delivery_seconds histogram",
        "# HELP windlass_deliveries_total Webhook requests by forge and answer.",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    assert!(!text.contains("made-up"));
}

#[test]
fn a_process_logs_once() {
    windlass::telemetry::log(LogFormat::Json, LogLevel::Error, true, None).unwrap();
    assert!(windlass::telemetry::log(LogFormat::Text, LogLevel::Trace, true, None).is_err());
}
