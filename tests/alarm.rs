//! The alarms of webhooks whose deliveries nobody signed with their secrets. One process has one recorder, so this file
//! has one test.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::collections::BTreeMap;

use windlass::application::Name;
use windlass::forge::Kind;
use windlass::forge::Request;
use windlass::intake::Answer;
use windlass::intake::Hook;
use windlass::intake::Intake;
use windlass::intake::Keys;
use windlass::intake::Known;
use windlass::moment::Moment;
use windlass::queue::Queue;
use windlass::secret::Secret;
use windlass::telemetry::Numbers;

const SHARED: &str = "the secret of the forge's webhook";
const OWN: &str = "the secret of one source's webhook";
/// How many unsigned deliveries in a row ring an alarm?
const RINGS_AFTER: u32 = 5;

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

/// Two forges, each with the sources `shop` and `other`, of which the second has a webhook of its own.
fn forges() -> BTreeMap<Name, Known> {
    let known = || Known {
        kind: Kind::Gitea,
        keys: Keys {
            shared: vec![Secret::new(SHARED).unwrap()],
            own: BTreeMap::from([(name("other"), vec![Secret::new(OWN).unwrap()])]),
        },
        sources: ["shop", "other"].map(|source| (name(source), format!("team/{source}"))).to_vec(),
    };
    BTreeMap::from([(name("gitea"), known()), (name("second"), known())])
}

/// Sends a delivery to a webhook that is signed so, some times.
async fn deliver(intake: &Intake, hook: (&str, Option<&str>), secret: &str, times: u32) {
    let signed = Kind::Gitea.rules().sign("ping", "id", b"{}", &Secret::new(secret).unwrap(), Moment(0));
    let headers: Vec<(&str, &str)> = signed.iter().map(|(name, value)| (*name, value.as_str())).collect();
    for _ in 0..times {
        let (forge, source) = hook;
        let request = Request { headers: &headers, body: b"{}", now: Moment(0) };
        let answer = intake.accept(Hook { forge, source }, "192.0.2.1", request).await;
        assert!(matches!(answer, Answer::Ignored { .. } | Answer::Unsigned), "{answer:?}");
    }
}

#[tokio::test]
async fn the_alarm_of_each_webhook_rings_and_ends_by_itself() {
    let numbers = Numbers::install().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let queue = Queue::open(&folder.path().join("queue.db")).await.unwrap();
    let intake = Intake::new(forges(), queue);
    let render = numbers.render();
    let rings = || -> Vec<String> {
        let text = render();
        let of_alarm = text.lines().filter(|line| line.starts_with("windlass_webhook_unsigned_alarm{"));
        of_alarm.filter(|line| line.ends_with(" 1")).map(str::to_owned).collect()
    };
    let ring = |forge: &str, source: &str| {
        format!("windlass_webhook_unsigned_alarm{{forge=\"{forge}\",source=\"{source}\"}} 1")
    };
    let hooks = [("gitea", None), ("gitea", Some("other")), ("second", None), ("second", Some("other"))];
    let wrong = "a secret that nobody gave";
    for hook in hooks {
        deliver(&intake, hook, wrong, RINGS_AFTER - 1).await;
    }
    assert!(rings().is_empty(), "the failures of several do not add up: {:?}", rings());
    deliver(&intake, hooks[1], wrong, 1).await;
    assert_eq!(rings(), [ring("gitea", "other")]);
    // Those of the others hold, and end the counting there alone.
    for (hook, secret) in [(hooks[0], SHARED), (hooks[2], SHARED), (hooks[3], OWN)] {
        deliver(&intake, hook, secret, 1).await;
    }
    assert_eq!(rings(), [ring("gitea", "other")]);
    deliver(&intake, hooks[2], wrong, RINGS_AFTER).await;
    assert_eq!(rings().len(), 2, "{:?}", rings());
    // The secret of the forge is none of the source's webhook, and one delivery that holds ends its alarm.
    deliver(&intake, hooks[1], SHARED, 1).await;
    assert!(rings().contains(&ring("gitea", "other")));
    deliver(&intake, hooks[1], OWN, 1).await;
    assert_eq!(rings(), [ring("second", "")]);
}
