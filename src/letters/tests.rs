//! What each kind of letter is about, and how it goes back.

use super::*;
use crate::application::Application;
use crate::application::OnFailure;
use crate::commit::Inputs;
use crate::queue::Lane;
use crate::reference::Reference;

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn commit() -> CommitId {
    CommitId::parse(&"a".repeat(40)).unwrap()
}

fn target() -> Target {
    Target { application: name("shop"), cluster: name("east") }
}

fn job() -> Job {
    Job {
        version: job::VERSION,
        target: target(),
        dispatch: "dispatch".to_owned(),
        application: Application {
            name: name("shop"),
            source: name("repo"),
            reference: Reference::Commit(commit()),
            path: String::new(),
            clusters: vec![name("east")],
            namespace: "default".to_owned(),
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
        },
        definition: 1,
        commit: commit(),
        inputs: Inputs::absent(),
        before: None,
        reason: job::Reason::Moved,
        received_at: Moment(1),
        rollout: None,
        back: None,
        prunes: None,
        permit: job::Permit::Usual,
        fights: Vec::new(),
    }
}

fn event(what: What) -> String {
    serde_json::to_string(&Event::new("e".to_owned(), name("repo"), what, Moment(1))).unwrap()
}

fn dead(lane: Lane, body: &str) -> Dead {
    Dead {
        lane,
        id: "id".to_owned(),
        partition: "p".to_owned(),
        body: body.to_owned(),
        why: "no".to_owned(),
        deliveries: 1,
        buried_at: Moment(2),
    }
}

#[test]
fn a_job_goes_back_as_a_wish_for_its_target_and_all_else_as_it_is() {
    let job = serde_json::to_string(&self::job()).unwrap();
    let newer = job.replace(&format!("\"version\":{}", job::VERSION), "\"version\":99");
    assert_ne!(job, newer);
    let again = event(What::Again { target: target(), commit: None });
    for (lane, body, is_wish) in [
        (Lane::jobs("shared"), job.as_str(), true),
        (Lane::jobs("prod-eu"), job.as_str(), true),
        (Lane::jobs("shared"), newer.as_str(), false),
        (Lane::jobs("shared"), "{", false),
        (Lane::jobs("shared"), again.as_str(), false),
        (Lane::events(), again.as_str(), false),
        (Lane::asks("shared"), again.as_str(), false),
        // A job where no jobs are was buried for that, and is no job.
        (Lane::events(), job.as_str(), false),
        (Lane::watch("shared"), job.as_str(), false),
        (Lane::reports(), "{}", false),
    ] {
        let what = What::Again { target: target(), commit: Some(commit()) };
        let wish = Way::Again(Event::new("new".to_owned(), name("repo"), what, Moment(7)));
        let expected = if is_wish { wish } else { Way::AsItIs };
        assert_eq!(way(&dead(lane.clone(), body), "new".to_owned(), Moment(7)), expected, "{lane} {body}");
    }
}

#[test]
fn each_known_form_says_what_it_is_about() {
    let job = serde_json::to_string(&job()).unwrap();
    let whole = About { source: Some(name("repo")), target: Some(target()), commit: Some(commit()) };
    let reference = crate::commit::RefName::parse("refs/heads/main").unwrap();
    let sweep = event(What::Sweep { reference });
    let again = event(What::Again { target: target(), commit: Some(commit()) });
    for (lane, body, expected) in [
        (Lane::jobs("shared"), job.as_str(), whole.clone()),
        (Lane::events(), again.as_str(), whole.clone()),
        (Lane::asks("prod-eu"), again.as_str(), whole),
        (Lane::events(), sweep.as_str(), About { source: Some(name("repo")), ..About::default() }),
        (Lane::events(), "{", About::default()),
        (Lane::reports(), "{}", About::default()),
        (Lane::duty("sweep"), "", About::default()),
    ] {
        assert_eq!(about(&dead(lane.clone(), body)), expected, "{lane} {body}");
    }
}
