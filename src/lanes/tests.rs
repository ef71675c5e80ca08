use super::Lanes;
use super::SHARED;
use crate::application::Application;
use crate::application::Name;
use crate::application::OnFailure;
use crate::application::Target;
use crate::commit::CommitId;
use crate::event::Event;
use crate::event::What;
use crate::moment::Moment;
use crate::outcome::Told;
use crate::reference::Reference;

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn commit() -> CommitId {
    CommitId::parse(&"a".repeat(40)).unwrap()
}

fn target(text: &str) -> Target {
    let (application, cluster) = text.split_once('@').unwrap();
    Target { application: name(application), cluster: name(cluster) }
}

/// `shop` and `blog` of one source each, in `east`, which has no lane of its own, and `paris`, of lane `eu`.
fn lanes() -> Lanes {
    let application = |text, source| Application {
        name: name(text),
        source: name(source),
        reference: Reference::parse("refs/heads/main").unwrap(),
        path: String::new(),
        clusters: vec![name("east"), name("paris")],
        namespace: text.to_owned(),
        prune: true,
        health_deadline_ms: 1,
        self_heal: crate::application::SelfHeal::Correct,
        conflicts: crate::application::Conflicts::Take,
        takes_over: Vec::new(),
        propagation: crate::application::Propagation::Background,
        stable_for_ms: None,
        depends_on: Vec::new(),
        on_failure: OnFailure::default(),
        service_account: None,
        ignore: Vec::new(),
    };
    let clusters = [("east", SHARED), ("paris", "eu")];
    let clusters = clusters.map(|(cluster, lane)| (name(cluster), name(lane)));
    Lanes::new(clusters.into(), &[application("shop", "code"), application("blog", "prose")])
}

#[test]
fn a_cluster_has_its_lane_and_one_that_nobody_knows_the_shared_one() {
    let lanes = lanes();
    for (cluster, lane) in [("east", "shared"), ("paris", "eu"), ("gone", "shared")] {
        assert_eq!(lanes.of(&name(cluster)), lane);
    }
    assert_eq!(lanes.all().into_iter().collect::<Vec<_>>(), ["eu", "shared"]);
}

#[test]
fn a_lane_speaks_of_its_own_targets_only() {
    // lane, source, target → what is wrong with it
    let cases = [
        ("eu", "code", "shop@paris", ""),
        ("shared", "code", "shop@east", ""),
        ("eu", "code", "shop@east", "in lane shared and not in lane eu"),
        ("shared", "code", "shop@paris", "in lane eu and not in lane shared"),
        ("eu", "prose", "shop@paris", "of source code and not of prose"),
        ("eu", "code", "gone@paris", ""),
        ("shared", "code", "shop@gone", ""),
        ("eu", "code", "shop@gone", "in lane shared"),
    ];
    for (lane, source, about, expected) in cases {
        let (source, target) = (name(source), target(about));
        let what = What::Again { target: target.clone(), commit: None };
        let ask = event(source.clone(), what);
        let why = String::new();
        let told = Told::Waiting { dispatch: String::new(), source, commit: commit(), target, why };
        for judged in [lanes().judge_report(lane, &told), lanes().judge_ask(lane, &ask)] {
            let wrong = judged.err().unwrap_or_default();
            let fits = if expected.is_empty() { wrong.is_empty() } else { wrong.contains(expected) };
            assert!(fits, "{lane} {about}: {wrong}");
        }
    }
}

#[test]
fn what_only_the_line_itself_says_is_believed_of_no_lane() {
    let roster = Told::Roster {
        dispatch: String::new(),
        source: name("code"),
        commit: commit(),
        targets: vec![target("shop@paris")],
        received_at: Moment(0),
    };
    let rerun = Told::Rerun { source: name("code"), commit: commit(), targets: vec![target("shop@paris")] };
    for told in [roster, rerun] {
        assert!(lanes().judge_report("eu", &told).is_err(), "{told:?}");
    }
    let reference = crate::commit::RefName::parse("refs/heads/main").unwrap();
    let asked = [What::Sweep { reference }, What::Rerun { commit: commit(), target: None }];
    for what in asked {
        assert!(lanes().judge_ask("eu", &event(name("code"), what)).is_err());
    }
}

fn event(source: Name, what: What) -> Event {
    Event { version: crate::event::VERSION, id: "e".into(), source, what, received_at: Moment(0) }
}
