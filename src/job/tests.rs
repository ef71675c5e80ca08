use super::Job;
use super::Permit;
use super::Reason;
use super::Rollout;
use super::version;
use super::watch_version;
use crate::application::Application;
use crate::application::Conflicts;
use crate::application::Propagation;
use crate::application::SelfHeal;
use crate::application::ServiceAccount;
use crate::moment::Moment;
use crate::object::ObjectId;
use crate::outcome::Tally;

const SHOP: &str = r#"{"name":"shop","source":"code","ref":"refs/heads/main","path":"","clusters":["east"],
    "namespace":"shop","prune":true,"health_deadline_ms":300000}"#;

fn job() -> Job {
    let job = format!(
        r#"{{"version":1,"target":{{"application":"shop","cluster":"east"}},"dispatch":"d","application":{SHOP},
        "definition":1,"commit":"{0}","inputs":"i","before":null,"reason":"drifted","received_at":0}}"#,
        "a".repeat(40)
    );
    serde_json::from_str(&job).unwrap()
}

#[test]
fn drift_of_a_closed_target_is_told_at_most() {
    let job = job();
    let (correct, report, off) = (SelfHeal::Correct, SelfHeal::Report, SelfHeal::Off);
    // the application's setting, the object's own → what is done in an open target, and in a closed one
    let cases = [
        (correct, None, correct, report),
        (report, None, report, report),
        (off, None, off, off),
        (off, Some(correct), correct, report),
        (report, Some(correct), correct, report),
        (correct, Some(report), report, report),
        (correct, Some(off), off, off),
    ];
    for (self_heal, own, open, closed) in cases {
        let application = Application { self_heal, ..job.application.clone() };
        let done = |permit| Job { application: application.clone(), permit, ..job.clone() }.self_heal(own);
        for permit in [Permit::Usual, Permit::Until(Moment(1)), Permit::Regardless] {
            assert_eq!(done(permit), open, "{self_heal:?} {own:?} {permit:?}");
        }
        assert_eq!(done(Permit::Never), closed, "{self_heal:?} {own:?}");
    }
}

#[test]
fn what_goes_on_is_read_by_nobody_who_would_begin_anew() {
    let since = Moment(1);
    for permit in [Permit::Usual, Permit::Until(Moment(2)), Permit::Regardless, Permit::Never] {
        let rollout = Rollout { run: "r".into(), since, tally: Tally::default() };
        let next = Job { permit, ..job() }.going_on(rollout.clone());
        assert_eq!((next.permit, next.version, next.rollout.as_ref()), (permit, 4, Some(&rollout)));
        let going = [(
            "v1".to_owned(),
            ObjectId { group: String::new(), kind: "Pod".into(), namespace: None, name: "a".into() },
        )];
        let failed = next.after_failure(rollout.clone());
        assert_eq!(
            (failed.version, failed.reason, failed.rollout.as_ref()),
            (5, Reason::Failed, Some(&rollout))
        );
        let versions = [
            watch_version(Some(&next), None, &[]),
            watch_version(None, None, &going),
            watch_version(None, None, &[]),
            watch_version(Some(&next), Some(&failed), &[]),
        ];
        assert_eq!(versions, [2, 2, 1, 3]);
        // Whoever reads such an application nowhere is not to read it within something else.
        let application = Application { conflicts: Conflicts::Refuse, ..next.application.clone() };
        let next = Job { application, ..next }.going_on(rollout.clone());
        let failed = next.after_failure(rollout);
        assert_eq!((next.version, failed.version), (6, 6));
        assert_eq!((watch_version(Some(&next), None, &[]), watch_version(None, Some(&failed), &[])), (4, 4));
    }
}

#[test]
fn a_job_is_written_in_the_oldest_form_that_can_say_it() {
    let cases = [
        (Reason::Moved, SelfHeal::Correct, Permit::Usual, 1),
        (Reason::Unsure, SelfHeal::Correct, Permit::Usual, 1),
        (Reason::Moved, SelfHeal::Off, Permit::Usual, 2),
        (Reason::Drifted, SelfHeal::Correct, Permit::Usual, 2),
        (Reason::Drifted, SelfHeal::Report, Permit::Usual, 2),
        (Reason::Drifted, SelfHeal::Off, Permit::Usual, 3),
        (Reason::Drifted, SelfHeal::Correct, Permit::Never, 3),
        (Reason::Moved, SelfHeal::Correct, Permit::Until(Moment(1)), 3),
        (Reason::Moved, SelfHeal::Correct, Permit::Regardless, 3),
    ];
    for (reason, self_heal, permit, expected) in cases {
        let shop = Application { self_heal, ..serde_json::from_str(SHOP).unwrap() };
        assert_eq!(version(reason, &shop, permit, &[]), expected, "{reason:?} {self_heal:?} {permit:?}");
        let service_account = Some(ServiceAccount { namespace: None, name: "deployer".into() });
        assert_eq!(version(reason, &Application { service_account, ..shop.clone() }, permit, &[]), 4);
        assert_eq!(version(reason, &Application { stable_for_ms: Some(1), ..shop.clone() }, permit, &[]), 4);
        let (conflicts, takes_over) = (Conflicts::Refuse, vec!["terraform".to_owned()]);
        for new in [
            Application { conflicts, ..shop.clone() },
            Application { takes_over, ..shop.clone() },
            Application { propagation: Propagation::Orphan, stable_for_ms: Some(1), ..shop },
        ] {
            assert_eq!(version(reason, &new, permit, &[]), 6);
        }
    }
    let mut shop: Application = serde_json::from_str(SHOP).unwrap();
    shop.ignore = vec![
        serde_json::from_str(r#"{"kind":{"group":"","kind":"Service"},"fields":["/spec/ports"]}"#).unwrap(),
    ];
    assert_eq!(version(Reason::Moved, &shop, Permit::Usual, &[]), 4);
    let fight = format!(
        r#"{{"object":{{"group":"","kind":"Service","namespace":null,"name":"a"}},"by":"b","fields":[],"commit":"{}","times":3,"since":0}}"#,
        "a".repeat(40)
    );
    let fights = [serde_json::from_str(&fight).unwrap()];
    shop.ignore.clear();
    assert_eq!(version(Reason::Drifted, &shop, Permit::Usual, &fights), 4);
}
