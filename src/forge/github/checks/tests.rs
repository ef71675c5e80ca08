use serde_json::Value;
use serde_json::json;

use super::After;
use super::Check;
use super::Show;
use super::Turn;
use super::cut_bytes;
use crate::commit::CommitId;
use crate::forge::Answer;
use crate::forge::HttpAnswer;
use crate::forge::StatusPost;
use crate::moment::Moment;
use crate::object::ObjectId;
use crate::object::Place;
use crate::outcome::Phase;
use crate::outcome::Problem;

const API: &str = "https://api.github.com";
const KEY: &str = "the-key";

fn problem(number: usize, placed: bool) -> Problem {
    let object = ObjectId {
        group: String::new(),
        kind: "ConfigMap".into(),
        namespace: Some("shop".into()),
        name: format!("c{number}"),
    };
    let place = placed.then(|| Place { file: "web.yaml".into(), document: 1, line: number });
    Problem { object: Some(object), place, message: format!("refused {number}") }
}

/// What is to be shown of a target, for a rule to look at.
fn show<T>(phase: Phase, problems: &[Problem], see: impl FnOnce(&Show<'_>) -> T) -> T {
    let commit = CommitId::parse(&"a".repeat(40)).unwrap();
    let status = StatusPost {
        api: API,
        repository: "team/shop",
        commit: &commit,
        context: "windlass/shop@east",
        phase,
        description: "what happened",
        target_url: Some("https://windlass.example.org/runs/r1"),
    };
    see(&Show { status: &status, whole: false, problems, folder: "deploy" })
}

fn next(known: Option<&Check>, phase: Phase, problems: &[Problem]) -> Turn {
    show(phase, problems, |show| Turn::next(known, show, KEY))
}

fn after(turn: Turn, phase: Phase, status: u16, body: &str) -> After {
    let answer = HttpAnswer { status, headers: &[], body: body.as_bytes(), now: Moment(0) };
    show(phase, &[], |show| turn.after(show, &answer))
}

fn body(turn: &Turn) -> Value {
    serde_json::from_str(&turn.ask.body).unwrap()
}

fn known(id: Option<u64>, completed: bool, unsure: bool) -> Check {
    Check { key: "older".into(), id, completed, annotated: 0, unsure }
}

#[test]
fn a_status_is_made_once_and_then_moved() {
    let made = next(None, Phase::Pending, &[]);
    assert_eq!(
        (made.ask.method, made.ask.url.as_str()),
        ("POST", "https://api.github.com/repos/team/shop/check-runs")
    );
    assert_eq!(
        body(&made),
        json!({
            "name": "windlass/shop@east", "head_sha": "a".repeat(40), "external_id": KEY, "status": "queued",
            "details_url": "https://windlass.example.org/runs/r1",
            "output": {"title": "what happened", "summary": "    what happened\n"},
        })
    );
    assert!(made.check.unsure, "until its answer is there");
    let After { check, answer, shown } = after(made, Phase::Pending, 201, r#"{"id": 9, "status": "queued"}"#);
    assert_eq!((answer, shown), (Answer::Taken, true));
    let moved = next(check.as_ref(), Phase::Healthy, &[]);
    let url = "https://api.github.com/repos/team/shop/check-runs/9";
    assert_eq!((moved.ask.method, moved.ask.url.as_str()), ("PATCH", url));
    let said = body(&moved);
    assert_eq!((&said["status"], &said["conclusion"]), (&json!("completed"), &json!("success")));
    assert_eq!((said.get("name"), said.get("external_id")), (None, None));
    let done = after(moved, Phase::Healthy, 200, r#"{"id": 9}"#);
    assert_eq!(
        done.check,
        Some(Check { key: KEY.into(), id: Some(9), completed: true, annotated: 0, unsure: false })
    );
}

#[test]
fn every_phase_has_its_state_and_its_end() {
    for (phase, status, conclusion) in [
        (Phase::Pending, "queued", None),
        (Phase::Running, "in_progress", None),
        (Phase::Applied, "in_progress", None),
        (Phase::Healthy, "completed", Some("success")),
        (Phase::Failed, "completed", Some("failure")),
        (Phase::Error, "completed", Some("failure")),
        (Phase::Superseded, "completed", Some("cancelled")),
    ] {
        let said = body(&next(None, phase, &[]));
        assert_eq!(
            (said["status"].as_str(), said["conclusion"].as_str()),
            (Some(status), conclusion),
            "{phase}"
        );
        let says = said["output"]["summary"].as_str().unwrap().contains("nothing about the commit");
        assert_eq!(says, phase == Phase::Error, "{phase}");
    }
    let whole = show(Phase::Pending, &[], |show| Turn::next(None, &Show { whole: true, ..*show }, KEY));
    assert_eq!(body(&whole)["status"], "in_progress");
}

#[test]
fn what_is_completed_stays_so_and_what_follows_is_new() {
    for phase in [Phase::Pending, Phase::Running, Phase::Healthy, Phase::Failed] {
        let turn = next(Some(&known(Some(9), true, false)), phase, &[]);
        assert_eq!((turn.ask.method, &turn.check.key), ("POST", &KEY.to_owned()), "{phase}");
    }
}

#[test]
fn what_may_have_arrived_is_looked_for_before_anything_else() {
    let list = "https://api.github.com/repos/team/shop/commits/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/check-runs\
        ?check_name=windlass%2Fshop%40east&filter=all&per_page=8";
    let one = "https://api.github.com/repos/team/shop/check-runs/9";
    for (known, url) in [
        (known(None, false, true), list),
        (known(None, true, true), list),
        (known(Some(9), false, true), one),
        (known(Some(9), true, true), one),
    ] {
        let turn = next(Some(&known), Phase::Healthy, &[]);
        assert_eq!((turn.ask.method, turn.ask.url.as_str()), ("GET", url));
        assert_eq!(turn.check, known, "looking changes nothing");
    }
}

#[test]
fn what_is_found_is_gone_on_with() {
    let run = |key: &str, status: &str, conclusion: Value, title: &str, count: u64| {
        json!({"id": 9, "external_id": key, "status": status, "conclusion": conclusion,
               "output": {"title": title, "annotations_count": count}})
    };
    let found =
        |completed, annotated| Check { id: Some(9), completed, annotated, ..known(None, false, false) };
    let (open, done) = (run("older", "in_progress", Value::Null, "before", 50), "what happened");
    let cases = [
        (json!({"check_runs": [open]}), found(false, 50), false),
        (
            json!({"check_runs": [run("another", "queued", Value::Null, "x", 0), open]}),
            found(false, 50),
            false,
        ),
        (open.clone(), found(false, 50), false),
        (run("older", "completed", json!("success"), done, 0), found(true, 0), true),
        // It is completed as something else: what is to be shown now makes a new one.
        (run("older", "completed", json!("failure"), done, 0), found(true, 0), false),
        (run("older", "completed", json!("success"), "before", 0), found(true, 0), false),
        (json!({"check_runs": []}), known(None, false, false), false),
        (
            json!({"check_runs": [run("another", "completed", json!("success"), done, 0)]}),
            known(None, false, false),
            false,
        ),
    ];
    for (body, check, shown) in cases {
        let turn = next(Some(&known(None, true, true)), Phase::Healthy, &[]);
        let seen = after(turn, Phase::Healthy, 200, &body.to_string());
        assert_eq!(seen, After { check: Some(check), answer: Answer::Taken, shown }, "{body}");
    }
    let turn = next(Some(&known(None, true, true)), Phase::Healthy, &[]);
    let unread = after(turn, Phase::Healthy, 200, "{\"check_runs\": [");
    assert_eq!(
        unread,
        After { check: Some(known(None, true, true)), answer: Answer::Unsure(None), shown: false }
    );
}

#[test]
fn lines_that_github_refuses_are_left_out_and_the_verdict_is_shown_all_the_same() {
    let problems: Vec<Problem> = (1..=3).map(|number| problem(number, true)).collect();
    for before in [None, Some(known(Some(9), false, false))] {
        let refused = next(before.as_ref(), Phase::Failed, &problems);
        assert_ne!(body(&refused)["output"].get("annotations"), None);
        let told = after(refused, Phase::Failed, 422, r#"{"message":"Invalid request"}"#);
        assert_eq!((&told.answer, told.shown), (&Answer::Taken, false), "it goes on");
        let again = next(told.check.as_ref(), Phase::Failed, &problems);
        assert_eq!(body(&again)["output"].get("annotations"), None);
        assert_eq!(body(&again)["conclusion"], "failure");
        assert_eq!(again.ask.method, if before.is_some() { "PATCH" } else { "POST" });
        let refused = after(again, Phase::Failed, 422, "{}");
        assert!(matches!(refused.answer, Answer::Never(_)), "it is not the lines then: {refused:?}");
    }
}

/// Whether an answer means what it should.
type Fits = fn(&Answer) -> bool;

#[test]
fn an_answer_says_what_is_known_then() {
    let before = known(Some(9), false, false);
    let asked = Check { completed: true, unsure: true, ..before.clone() };
    let cases: [(u16, Option<Check>, Fits); 9] = [
        (401, Some(before.clone()), |answer| matches!(answer, Answer::Ours(_))),
        (
            403,
            Some(before.clone()),
            |answer| matches!(answer, Answer::Ours(why) if why.contains("checks: write")),
        ),
        (422, Some(before.clone()), |answer| matches!(answer, Answer::Never(_))),
        (429, Some(before.clone()), |answer| matches!(answer, Answer::Limited)),
        (409, Some(before.clone()), |answer| matches!(answer, Answer::Later(None))),
        (301, Some(before.clone()), |answer| matches!(answer, Answer::Ours(_))),
        // What a server in trouble did is not known.
        (500, Some(asked.clone()), |answer| matches!(answer, Answer::Unsure(None))),
        (504, Some(asked.clone()), |answer| matches!(answer, Answer::Unsure(None))),
        // It was deleted, or is not to be seen now: it is looked for by name.
        (404, Some(Check { id: None, unsure: true, ..asked }), |answer| {
            matches!(answer, Answer::Later(None))
        }),
    ];
    for (status, check, fits) in cases {
        let turn = next(Some(&before), Phase::Healthy, &[]);
        assert_eq!(turn.clone().unsent(), Some(before.clone()));
        let told = after(turn, Phase::Healthy, status, "");
        assert!(told.check == check && fits(&told.answer) && !told.shown, "{status}: {told:?}");
    }
    let made = after(next(None, Phase::Pending, &[]), Phase::Pending, 404, "");
    assert!(matches!(made.answer, Answer::Ours(_)) && made.check.is_none(), "{made:?}");
    // Taken, and the answer does not say as what: it can be looked for.
    let nameless = after(next(None, Phase::Pending, &[]), Phase::Pending, 201, "{");
    assert!(nameless.check.is_some_and(|check| check.unsure) && !nameless.shown);
}

#[test]
fn the_lines_of_manifests_are_told_fifty_at_a_time_and_the_last_part_completes() {
    let problems: Vec<Problem> = (1..=120).map(|number| problem(number, number % 10 != 0)).collect();
    let mut check = None;
    let mut told = Vec::new();
    for (count, status) in [(50, "in_progress"), (50, "in_progress"), (8, "completed")] {
        let turn = next(check.as_ref(), Phase::Failed, &problems);
        let said = body(&turn);
        let part = said["output"]["annotations"].as_array().unwrap();
        assert_eq!((part.len(), said["status"].as_str()), (count, Some(status)));
        assert_eq!(said["conclusion"].as_str(), (status == "completed").then_some("failure"));
        told.extend(part.iter().map(|one| one["start_line"].as_u64().unwrap()));
        let done = after(turn, Phase::Failed, 200, r#"{"id": 9}"#);
        assert_eq!(done.shown, status == "completed");
        check = done.check;
    }
    assert_eq!(told, (1..=120).filter(|number| number % 10 != 0).collect::<Vec<u64>>());
    let first = body(&next(None, Phase::Failed, &problems[..1]));
    assert_eq!(
        first["output"]["annotations"],
        json!([{
            "path": "deploy/web.yaml", "start_line": 1, "end_line": 1, "annotation_level": "failure",
            "title": "ConfigMap/shop/c1", "message": "refused 1",
        }])
    );
    // While it goes on nothing is refused.
    assert_eq!(body(&next(None, Phase::Running, &problems))["output"].get("annotations"), None);
}

#[test]
fn no_end_of_a_line_lets_words_of_a_manifest_out_of_plain_text() {
    let hostile = Problem { message: "a\r![b](https://c)\n@d\r\n# e\u{7}f".into(), ..problem(1, false) };
    let said = body(&next(None, Phase::Failed, &[hostile]));
    let summary = said["output"]["summary"].as_str().unwrap();
    // A page takes each of these for the end of a line.
    for line in summary.split(['\n', '\r']).filter(|line| line.contains(['!', '@', '#'])) {
        assert!(line.starts_with("    "), "{line:?} in {summary:?}");
    }
    assert!(!summary.chars().any(|c| c.is_control() && c != '\n'), "{summary:?}");
}

#[test]
fn summaries_are_plain_text_and_are_cut_between_characters() {
    let mut evil = problem(1, false);
    evil.message = "```\n# a heading <b>\n@everybody".into();
    let said = body(&next(None, Phase::Failed, &[evil]));
    let summary = said["output"]["summary"].as_str().unwrap();
    assert!(
        summary.lines().all(|line| line.is_empty() || line.starts_with("    ") || line.ends_with("way:")),
        "{summary}"
    );
    let long: Vec<Problem> =
        (0..100).map(|number| Problem { message: "ä".repeat(40_000), ..problem(number, true) }).collect();
    let said = body(&next(None, Phase::Failed, &long));
    let summary = said["output"]["summary"].as_str().unwrap();
    assert!(summary.len() <= 65_535 && summary.len() > 65_530 && summary.ends_with('…'), "{}", summary.len());
    let message = said["output"]["annotations"][0]["message"].as_str().unwrap();
    assert!(message.len() <= 65_536 && message.ends_with('…'));
    for (text, limit, expected) in [
        ("häß", 5, "häß"),
        ("häßlich", 6, "hä…"),
        ("häßlich", 7, "hä…"),
        ("häßlich", 8, "häß…"),
        ("abc", 2, "…"),
    ] {
        assert_eq!(cut_bytes(text, limit), expected, "{text} {limit}");
    }
}
