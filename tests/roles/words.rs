//! What an agent says is believed of its own targets only.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use windlass::application::Application;
use windlass::application::Name;
use windlass::application::OnFailure;
use windlass::application::Target;
use windlass::commit::CommitId;
use windlass::dispatch;
use windlass::dispatch::Dispatcher;
use windlass::event::Event;
use windlass::event::What;
use windlass::lanes::Lanes;
use windlass::moment::Moment;
use windlass::outcome::Report;
use windlass::outcome::Told;
use windlass::queue::Draft;
use windlass::queue::Lane;
use windlass::reference::Reference;
use windlass::report;
use windlass::report::Reporter;
use windlass::store::Store;

use crate::house::House;

/// How long may a message take from one user to another?
const SOON: Duration = Duration::from_secs(10);

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn target(cluster: &str) -> Target {
    Target { application: name("shop"), cluster: name(cluster) }
}

fn application() -> Application {
    Application {
        name: name("shop"),
        source: name("code"),
        reference: Reference::parse("refs/heads/main").unwrap(),
        path: String::new(),
        clusters: vec![name("east"), name("paris")],
        namespace: "shop".to_owned(),
        prune: true,
        health_deadline_ms: 1,
        self_heal: windlass::application::SelfHeal::Correct,
        conflicts: windlass::application::Conflicts::Take,
        takes_over: Vec::new(),
        propagation: windlass::application::Propagation::Background,
        stable_for_ms: None,
        depends_on: Vec::new(),
        on_failure: OnFailure::default(),
        service_account: None,
        ignore: Vec::new(),
    }
}

/// `east` is in the shared lane, and `paris` in that of the agent.
fn lanes() -> Lanes {
    let lanes = BTreeMap::from([(name("east"), name("shared")), (name("paris"), name("prod-eu"))]);
    Lanes::new(lanes, &[application()])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_about_another_lanes_target_is_buried_and_changes_nothing() {
    let house = House::build().await;
    house.furnish().await;
    let (agent, report) = (house.queue("agent-prod-eu").await, house.queue("report").await);
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("store.db")).await.unwrap();
    let reporter = Reporter::of_lane(report.clone(), store.clone(), "prod-eu", Arc::new(lanes()));
    let commit = CommitId::parse(&"a".repeat(40)).unwrap();
    for (cluster, expected) in [("paris", report::Step::Recorded), ("east", report::Step::Buried)] {
        let told = Told::Buried {
            dispatch: "d".to_owned(),
            source: name("code"),
            commit: commit.clone(),
            target: target(cluster),
            why: "the agent says so".to_owned(),
        };
        let report = Report { version: windlass::outcome::VERSION, at: Moment(1), what: told };
        agent.publish(vec![Draft::report_of("prod-eu", &report)]).await.unwrap();
        assert_eq!(reporter.step(SOON).await.unwrap(), expected, "{cluster}");
    }
    // An application that nobody ever configured is nobody's to tell of.
    let stranger = Target { application: name("stranger"), cluster: name("paris") };
    let told = Told::Waiting {
        dispatch: "d".to_owned(),
        source: name("code"),
        commit: commit.clone(),
        target: stranger,
        why: "the agent says so".to_owned(),
    };
    agent.publish(vec![Draft::report_of("prod-eu", &Report::new(Moment(1), told))]).await.unwrap();
    assert_eq!(reporter.step(SOON).await.unwrap(), report::Step::PutOff);
    let told = store.verdicts(&name("code"), &commit).await.unwrap();
    assert_eq!(told.into_iter().map(|row| row.target).collect::<Vec<_>>(), [target("paris")]);
    // The way of the rest of the line is closed to it.
    let report = Report {
        version: windlass::outcome::VERSION,
        at: Moment(1),
        what: Told::Rerun { source: name("code"), commit, targets: vec![target("east")] },
    };
    assert!(agent.publish(vec![Draft::report(&report)]).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_may_ask_for_its_own_targets_again_and_for_nothing_else() {
    let house = House::build().await;
    house.furnish().await;
    let (agent, dispatch) = (house.queue("agent-prod-eu").await, house.queue("dispatch").await);
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("store.db")).await.unwrap();
    let dispatcher = Dispatcher::new(dispatch.clone(), store, BTreeMap::new(), vec![application()], lanes());
    let reference = windlass::commit::RefName::parse("refs/heads/main").unwrap();
    let again = |cluster| What::Again { target: target(cluster), commit: None };
    let drift = |cluster| What::Drift { target: target(cluster), own: false };
    let cases = [
        (again("paris"), true),
        (again("east"), false),
        (drift("paris"), true),
        (drift("east"), false),
        (What::Sweep { reference }, false),
    ];
    for (what, granted) in cases {
        let event = Event {
            version: windlass::event::VERSION,
            id: "ask".to_owned(),
            source: name("code"),
            what,
            received_at: Moment(1),
        };
        agent.publish(vec![Draft::ask("prod-eu", &event)]).await.unwrap();
        let step = dispatcher.ask_step("prod-eu", SOON).await.unwrap();
        assert_eq!(step == dispatch::Step::HandedOn, granted, "{event:?}: {step:?}");
        if granted {
            let lease = dispatch.next(&Lane::events(), SOON).await.unwrap().expect("it was handed on");
            assert_eq!(lease.read::<Event>(windlass::event::VERSION).unwrap(), event);
            let _settled = dispatch.ack(&lease).await.unwrap();
        }
        assert!(agent.publish(vec![Draft::event(&event)]).await.is_err(), "events are the door's");
    }
}
