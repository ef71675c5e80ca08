//! What is missing at the broker is seen and made, and what is there is never touched.

use std::process::Command;
use std::process::Output;

use serde_json::Value;
use serde_json::json;
use windlass::queue::Error;
use windlass::queue::Lane;
use windlass::queue::Queue;
use windlass::queue::rabbit::Finding;
use windlass::queue::rabbit::Options;
use windlass::queue::rabbit::State;
use windlass::queue::rabbit::furnish;
use windlass::queue::rabbit::survey;
use windlass::secret::Secret;

use crate::contract::queue::draft;
use crate::contract::queue::publish;
use crate::contract::queue::take;
use crate::world::broker::Ground;
use crate::world::unique;

fn operator(ground: &Ground) -> Options {
    Options { lanes: vec![Lane::events(), Lane::reports()], ..ground.options("operator") }
}

fn state<'a>(found: &'a [Finding], kind: &str, name: &str) -> &'a State {
    &found.iter().find(|one| one.kind == kind && one.name == name).unwrap().state
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_is_made_and_looking_makes_nothing() {
    let ground = Ground::new().await;
    let options = operator(&ground);
    for look in ["first", "second"] {
        let found = survey(&options).await.unwrap();
        assert!(found.iter().all(|one| one.state == State::Missing), "{look}: {found:?}");
        assert!(found.iter().any(|one| one.name == "windlass.events.15"));
    }
    let made = furnish(&options).await.unwrap();
    assert!(made.iter().all(|one| one.state == State::Missing), "{made:?}");
    let found = survey(&options).await.unwrap();
    assert!(found.iter().all(|one| one.state == State::Equal), "{found:?}");
    assert_eq!(found.len(), made.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_different_is_named_and_kept_with_its_messages() {
    let ground = Ground::new().await;
    let (options, admin, vhost) = (operator(&ground), &ground.admin, &ground.vhost);
    furnish(&options).await.unwrap();
    let reports = format!("queues/{vhost}/windlass.reports");
    admin.ask("DELETE", &reports, None).await;
    let other = json!({"durable": true, "arguments": {"x-queue-type": "quorum", "x-max-length": 7}});
    admin.ask("PUT", &reports, Some(other)).await;
    let said = json!({"properties": {"delivery_mode": 2}, "routing_key": "windlass.reports",
        "payload": "kept", "payload_encoding": "string"});
    let sent = admin.ask("POST", &format!("exchanges/{vhost}/amq.default/publish"), Some(said)).await;
    assert_eq!(sent["routed"], true);
    let exchange = format!("exchanges/{vhost}/windlass.dead.events");
    admin.ask("DELETE", &exchange, None).await;
    admin.ask("PUT", &exchange, Some(json!({"type": "direct", "durable": true}))).await;
    admin.ask("DELETE", &format!("queues/{vhost}/windlass.events.3"), None).await;

    // The first time it is made, and then it is there.
    for expected in [State::Missing, State::Equal] {
        let found = furnish(&options).await.unwrap();
        assert_eq!(*state(&found, "queue", "windlass.events.3"), expected);
        let State::Different(how) = state(&found, "queue", "windlass.reports") else { panic!("{found:?}") };
        assert!(how.starts_with("x-") && how.contains(" and should be "), "{how}");
        let other = State::Different("type is 'direct' and should be 'fanout'".to_owned());
        assert_eq!(*state(&found, "exchange", "windlass.dead.events"), other);
    }
    let read = json!({"count": 5, "ackmode": "ack_requeue_true", "encoding": "auto"});
    let kept = admin.ask("POST", &format!("{reports}/get"), Some(read)).await;
    assert_eq!(kept.as_array().unwrap().iter().map(|one| &one["payload"]).collect::<Vec<_>>(), ["kept"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_make_nothing_works_with_what_is_there() {
    let ground = Ground::new().await;
    let (admin, vhost, user) = (&ground.admin, &ground.vhost, format!("test-{}", unique()));
    admin.ask("PUT", &format!("users/{user}"), Some(json!({"password": "secret", "tags": ""}))).await;
    let rights = json!({"configure": "^$", "write": ".*", "read": ".*"});
    admin.ask("PUT", &format!("permissions/{vhost}/{user}"), Some(rights)).await;
    let url = format!("amqp://{user}:secret@{}/{vhost}", admin.authority());
    let lanes = vec![draft("a", "1").lane];
    let options = Options { lanes, ..Options::new(Secret::new(&url).unwrap(), "worker") };

    let error = Queue::connect(options.clone()).await.unwrap_err();
    assert!(matches!(error, Error::Undeclared { .. }), "{error:?}");
    assert!(error.to_string().contains("`windlass queue apply`"), "{error}");
    furnish(&ground.options("operator")).await.unwrap();
    let queue = Queue::connect(options.clone()).await.unwrap();
    publish(&queue, &[("a", "1")]).await;
    assert_eq!(take(&queue).await.id, "1");
    queue.close().await;
    // Whether things are equal is known to those only who could have made them.
    assert!(matches!(survey(&options).await.unwrap_err(), Error::Refused { .. }));
    admin.ask("DELETE", &format!("users/{user}"), None).await;
}

/// Calls the program with the broker of a ground.
fn windlass(ground: &Ground, folder: &tempfile::TempDir, arguments: &[&str]) -> (Option<i32>, String) {
    let config = folder.path().join("windlass.toml");
    let clusters = "[queue]\nurl = { env = \"BROKER\" }\n[[clusters]]\nname = \"east\"\nlane = \"eu\"\n";
    std::fs::write(&config, clusters).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_windlass"));
    command.args(arguments).arg("--config").arg(config).env_clear().env("BROKER", ground.url(None));
    let Output { status, stdout, stderr } = command.output().unwrap();
    let text = [stdout, stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
    assert!(!text.contains(ground.password()), "{text}");
    (status.code(), text)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_plans_applies_and_attends_to_the_dead() {
    let (ground, folder) = (Ground::new().await, tempfile::tempdir().unwrap());
    let ask = |arguments: &[&str]| windlass(&ground, &folder, arguments);
    let (code, text) = ask(&["queue", "plan"]);
    assert!(code == Some(1) && text.contains("windlass.jobs.eu.63") && text.contains("Equal: 0."), "{text}");
    let (code, text) = ask(&["queue", "apply"]);
    assert!(code == Some(0) && text.contains("  made\n") && text.contains("Different: 0."), "{text}");
    let (code, text) = ask(&["queue", "plan"]);
    assert!(code == Some(0) && text.lines().count() == 1 && text.contains("Missing: 0."), "{text}");

    let queue = Queue::connect(Options { lanes: vec![], ..ground.options("one") }).await.unwrap();
    let lane = Lane::jobs("eu");
    queue.publish(vec![windlass::queue::Draft { lane: lane.clone(), ..draft("a", "1") }]).await.unwrap();
    let lease = queue.next(&lane, crate::contract::queue::SOON).await.unwrap().unwrap();
    let _done = queue.bury(&lease, "no").await.unwrap();
    queue.close().await;
    let (code, text) = ask(&["dead", "list", "--json"]);
    let letter: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    assert_eq!((code, &letter["lane"], &letter["why"]), (Some(0), &"jobs.eu".into(), &"no".into()));
    let (code, text) = ask(&["dead", "replay", "jobs.eu", "1"]);
    assert!(code == Some(0) && text.contains("end of its line"), "it is no job that can be read: {text}");
    assert_eq!(ask(&["dead", "drop", "jobs.eu", "1"]).0, Some(1));
    assert!(ask(&["dead", "list"]).1.starts_with("No dead letters.\n"));
}
