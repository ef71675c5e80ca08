use crate::application::Target;
use crate::event::Activity;
use crate::event::Hint;
use crate::event::PullRequest;
use crate::event::Rerun;
use crate::forge::payload;

const HEAD: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

fn pull_request(action: &str, head: &str, more: &str) -> String {
    format!(
        "{{\"action\":\"{action}\",\"number\":7,\"pull_request\":{{\"head\":{{\"sha\":\"{HEAD}\",\"repo\":{head}}},\
         \"base\":{{\"ref\":\"main\"}}}},\"repository\":{{\"full_name\":\"Team/shop\"}}{more}}}"
    )
}

fn merge_request(attributes: &str, more: &str) -> String {
    format!(
        "{{\"object_attributes\":{{\"iid\":7,\"target_branch\":\"main\",\"target_project_id\":1,\
         \"last_commit\":{{\"id\":\"{HEAD}\"}},{attributes}}},\
         \"project\":{{\"path_with_namespace\":\"group/sub/shop\"}}{more}}}"
    )
}

/// What a hint says, for tables.
fn told(hint: &Hint) -> String {
    match hint {
        Hint::PullRequest(PullRequest { number, activity, fork, base, .. }) => {
            format!("{number} {} {base}{}", activity.word(), if *fork { " fork" } else { "" })
        }
        Hint::Rerun(Rerun { target, .. }) => {
            target.as_ref().map_or_else(|| "all".to_owned(), Target::to_string)
        }
        Hint::Ignored { why } => why.clone(),
        Hint::Push(push) => push.to_string(),
    }
}

#[test]
fn who_did_it_is_read_as_each_forge_says_it() {
    let cases = [
        (r#"{"pusher":{"name":"n"},"sender":{"login":"octocat","id":1}}"#, Some("octocat")),
        (
            r#"{"pusher":{"login":"alice"},"sender":{"id":1,"login":"alice","username":"alice"}}"#,
            Some("alice"),
        ),
        (r#"{"sender":{"id":1,"login":"alice"}}"#, Some("alice")),
        (r#"{"user_name":"John Smith","user_username":"jsmith"}"#, Some("jsmith")),
        (r#"{"user":{"name":"Administrator","username":"root"}}"#, Some("root")),
        (r#"{"sender":{"login":"a\nb[bot]"}}"#, Some("ab[bot]")),
        (r#"{"sender":{"login":""}}"#, None),
        (r#"{"sender":{"login":"","username":"alice"}}"#, Some("alice")),
        (r#"{"sender":"octocat"}"#, None),
        ("{}", None),
        ("not even JSON", None),
    ];
    for (body, expected) in cases {
        assert_eq!(payload::sender(body.as_bytes()).as_deref(), expected, "{body}");
    }
}

#[test]
fn pull_requests_are_heard_when_what_they_propose_or_change_is_another() {
    let own = "{\"full_name\":\"team/Shop\"}";
    let base = ",\"changes\":{\"base\":{\"ref\":{\"from\":\"old\"}}}";
    let gitea_base = ",\"changes\":{\"ref\":{\"from\":\"old\"}}";
    let title = ",\"changes\":{\"title\":{\"from\":\"old\"}}";
    let idle = |action: &str| format!("windlass does not act on a pull request that is {action}");
    let cases = [
        ("opened", own, "", "7 opened refs/heads/main".to_owned()),
        ("reopened", own, "", "7 opened refs/heads/main".to_owned()),
        ("ready_for_review", own, "", "7 opened refs/heads/main".to_owned()),
        ("synchronize", own, "", "7 updated refs/heads/main".to_owned()),
        ("synchronized", own, "", "7 updated refs/heads/main".to_owned()),
        ("edited", own, base, "7 updated refs/heads/main".to_owned()),
        ("edited", own, gitea_base, "7 updated refs/heads/main".to_owned()),
        ("closed", own, "", "7 closed refs/heads/main".to_owned()),
        ("opened", "{\"full_name\":\"other/shop\"}", "", "7 opened refs/heads/main fork".to_owned()),
        // The repository of the fork is gone.
        ("opened", "null", "", "7 opened refs/heads/main fork".to_owned()),
        ("edited", own, title, idle("edited")),
        ("edited", own, "", idle("edited")),
        ("labeled", own, "", idle("labeled")),
        ("a\u{0}b<é>", own, "", "the payload of this pull request is of no use: it is no JSON".to_owned()),
    ];
    for (action, head, more, expected) in cases {
        let hint = payload::pull_request(pull_request(action, head, more).as_bytes());
        assert!(told(&hint).starts_with(&expected), "{action}: {}", told(&hint));
    }
}

#[test]
fn merge_requests_are_heard_when_what_they_propose_or_change_is_another() {
    let own = "\"source_project_id\":1";
    let branch = ",\"changes\":{\"target_branch\":{\"previous\":\"a\",\"current\":\"b\"}}";
    let idle = |action: &str| format!("windlass does not act on a merge request that is {action}");
    let cases = [
        (format!("\"action\":\"open\",{own}"), "", "7 opened refs/heads/main".to_owned()),
        (format!("\"action\":\"reopen\",{own}"), "", "7 opened refs/heads/main".to_owned()),
        (
            format!("\"action\":\"update\",\"oldrev\":\"{HEAD}\",{own}"),
            "",
            "7 updated refs/heads/main".to_owned(),
        ),
        (format!("\"action\":\"update\",{own}"), branch, "7 updated refs/heads/main".to_owned()),
        (format!("\"action\":\"close\",{own}"), "", "7 closed refs/heads/main".to_owned()),
        (format!("\"action\":\"merge\",{own}"), "", "7 closed refs/heads/main".to_owned()),
        (
            "\"action\":\"open\",\"source_project_id\":2".to_owned(),
            "",
            "7 opened refs/heads/main fork".to_owned(),
        ),
        (
            "\"action\":\"open\",\"source_project_id\":null".to_owned(),
            "",
            "7 opened refs/heads/main fork".to_owned(),
        ),
        (format!("\"action\":\"update\",{own}"), "", idle("update")),
        (format!("\"action\":\"approved\",{own}"), "", idle("approved")),
        (own.to_owned(), "", idle("")),
    ];
    for (attributes, more, expected) in cases {
        let body = merge_request(&attributes, more);
        let hint = payload::merge_request(body.as_bytes());
        assert_eq!(told(&hint), expected, "{body}");
    }
    // A system hook hears of them too.
    let body = merge_request(&format!("\"action\":\"open\",{own}"), ",\"object_kind\":\"merge_request\"");
    assert_eq!(told(&payload::system(body.as_bytes())), "7 opened refs/heads/main");
}

#[test]
fn checks_are_run_again_when_they_are_windlasss() {
    let run = |action: &str, name: &str| {
        format!(
            "{{\"action\":\"{action}\",\"check_run\":{{\"name\":\"{name}\",\"head_sha\":\"{HEAD}\"}},\
             \"repository\":{{\"full_name\":\"team/shop\"}}}}"
        )
    };
    let idle = |action: &str| format!("windlass does not act on a check that is {action}");
    let cases = [
        ("rerequested", "windlass/shop@east", "shop@east".to_owned()),
        ("rerequested", "windlass", "all".to_owned()),
        ("rerequested", "ci/test", "the check is none of windlass's".to_owned()),
        ("rerequested", "windlass/shop", "the check is none of windlass's".to_owned()),
        ("created", "windlass", idle("created")),
        ("completed", "windlass/shop@east", idle("completed")),
    ];
    for (action, name, expected) in cases {
        let hint = payload::check_run(run(action, name).as_bytes());
        assert_eq!(told(&hint), expected, "{action} {name}");
    }
    let suite = |action: &str| {
        format!(
            "{{\"action\":\"{action}\",\"check_suite\":{{\"head_sha\":\"{HEAD}\"}},\
             \"repository\":{{\"full_name\":\"team/shop\"}}}}"
        )
    };
    assert_eq!(told(&payload::check_suite(suite("rerequested").as_bytes())), "all");
    let idle = "windlass does not act on a set of checks that is requested";
    assert_eq!(told(&payload::check_suite(suite("requested").as_bytes())), idle);
}

#[test]
fn a_forced_push_is_flagged_where_the_forge_says_so() {
    for (forced, expected) in [(",\"forced\":true", true), (",\"forced\":false", false), ("", false)] {
        let body = format!(
            "{{\"ref\":\"refs/heads/main\",\"before\":\"{HEAD}\",\"after\":\"{HEAD}\"{forced},\
             \"repository\":{{\"full_name\":\"team/shop\"}}}}"
        );
        let Hint::Push(push) = payload::push(body.as_bytes()) else { panic!("{body}") };
        assert_eq!(push.forced, expected);
        assert_eq!(push.to_string().ends_with(", forced"), expected);
    }
}

#[test]
fn every_activity_has_a_word() {
    assert_eq!(
        [Activity::Opened, Activity::Updated, Activity::Closed].map(Activity::word),
        ["opened", "updated", "closed"]
    );
}
