//! What a forge shows of a status, when nobody knows whether it arrived.

use serde_json::Value;

use crate::forge::Answer;
use crate::forge::HttpAnswer;
use crate::forge::HttpRequest;
use crate::forge::StatusPost;
use crate::forge::post;

/// What a forge shows where a status is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// The status as it is to be.
    Same,
    /// Something else, or nothing; also where the forge does not let it be seen.
    Other,
    /// The forge does not say now, as its answer means.
    Unknown(Answer),
}

/// Describes the question that GitHub and Gitea share: the newest status of each context of a commit.
pub(super) fn look(
    status: &StatusPost<'_>,
    page: &str,
    scheme: &'static str,
    headers: &[(&'static str, &str)],
) -> HttpRequest {
    let path =
        format!("repos/{}/commits/{}/status?{page}", post::escaped(status.repository, "/"), status.commit);
    post::question(status, &path, scheme, headers)
}

/// Reads the answer to it. `state` is what the status is to be in, `key` under which the state of each stands there,
/// and `description` what it is to say.
pub(super) fn combined(context: &str, key: &str, state: &str, description: &str, answer: &Value) -> bool {
    let said = |one: &Value, name: &str| one.get(name).and_then(Value::as_str).map(str::to_owned);
    let about = |one: &&Value| said(one, "context").is_some_and(|found| found.eq_ignore_ascii_case(context));
    let all = answer.get("statuses").and_then(Value::as_array);
    let one = all.and_then(|all| all.iter().find(about));
    one.is_some_and(|one| {
        said(one, key).as_deref() == Some(state) && said(one, "description").as_deref() == Some(description)
    })
}

/// Says what an answer shows; `meant` is what its status code means, and `is_same` reads what was asked for.
pub(super) fn read(answer: &HttpAnswer<'_>, meant: Answer, is_same: impl FnOnce(&Value) -> bool) -> Found {
    match meant {
        Answer::Taken | Answer::TakenLast(_) => {
            match serde_json::from_slice(answer.body) {
                Ok(body) if is_same(&body) => Found::Same,
                Ok(_) => Found::Other,
                // Something on the way speaks in its place.
                Err(_) => Found::Unknown(Answer::Unsure(None)),
            }
        }
        // Whoever may post may well not read; what is wrong otherwise, the post itself will be told.
        Answer::Ours(_) | Answer::Never(_) => Found::Other,
        Answer::Later(_) | Answer::Limited | Answer::Unsure(_) => Found::Unknown(meant),
    }
}

#[cfg(test)]
mod tests {
    use super::Found;
    use crate::commit::CommitId;
    use crate::forge::Answer;
    use crate::forge::HttpAnswer;
    use crate::forge::Kind;
    use crate::forge::StatusPost;
    use crate::moment::Moment;
    use crate::outcome::Phase;

    fn found(kind: Kind, phase: Phase, status: u16, body: &str) -> Found {
        let commit = CommitId::parse(&"c".repeat(40)).unwrap();
        let post = StatusPost {
            api: "http://forge/api",
            repository: "team/a shop",
            commit: &commit,
            context: "windlass/shop@east",
            phase,
            description: "all\nis well",
            target_url: None,
        };
        let answer = HttpAnswer { status, headers: &[], body: body.as_bytes(), now: Moment(0) };
        kind.rules().found(&post, &answer)
    }

    #[test]
    fn each_forge_is_asked_where_it_shows_a_status() {
        let commit = CommitId::parse(&"c".repeat(40)).unwrap();
        let at = "http://forge/api";
        let cases = [
            (Kind::Github, format!("{at}/repos/team/a%20shop/commits/{commit}/status?per_page=100")),
            (Kind::Gitea, format!("{at}/repos/team/a%20shop/commits/{commit}/status?limit=50")),
            (Kind::Forgejo, format!("{at}/repos/team/a%20shop/commits/{commit}/status?limit=50")),
            (
                Kind::Gitlab,
                format!(
                    "{at}/projects/team%2Fa%20shop/repository/commits/{commit}/statuses?name=windlass%2Fshop%40east&per_page=100"
                ),
            ),
        ];
        for (kind, url) in cases {
            let post = StatusPost {
                api: at,
                repository: "team/a shop",
                commit: &commit,
                context: "windlass/shop@east",
                phase: Phase::Healthy,
                description: "",
                target_url: None,
            };
            let request = kind.rules().look(&post);
            assert_eq!((request.method, request.url, request.body.as_str()), ("GET", url, ""));
            assert_eq!(request.scheme, kind.rules().describe(&post).scheme);
        }
    }

    #[test]
    fn only_the_newest_status_of_the_context_in_the_state_and_words_that_were_sent_is_the_same() {
        let one = |context: &str, state: &str, words: &str| {
            format!(
                r#"{{"context":"{context}","state":"{state}","status":"{state}","description":"{words}"}}"#
            )
        };
        let own = one("Windlass/Shop@East", "success", "all is well");
        let cases = [
            (own.clone(), true),
            (format!("{},{own}", one("windlass", "failure", "x")), true),
            (format!("{},{own}", one("windlass/shop@east", "pending", "all is well")), false),
            (one("windlass/shop@east", "success", "all is"), false),
            (one("windlass/shop@west", "success", "all is well"), false),
            (r#"{"context":"windlass/shop@east"}"#.to_owned(), false),
            (r#"{"context":7,"state":[]},null,3"#.to_owned(), false),
            (String::new(), false),
        ];
        for kind in [Kind::Github, Kind::Gitea, Kind::Forgejo] {
            for (statuses, same) in &cases {
                let body = format!(r#"{{"state":"success","statuses":[{statuses}]}}"#);
                let expected = if *same { Found::Same } else { Found::Other };
                assert_eq!(found(kind, Phase::Healthy, 200, &body), expected, "{kind} {body}");
            }
            for body in ["{}", "[]", r#"{"statuses":null}"#, r#"{"statuses":7}"#] {
                assert_eq!(found(kind, Phase::Healthy, 200, body), Found::Other, "{kind} {body}");
            }
        }
    }

    #[test]
    fn gitlab_s_newest_status_of_the_name_tells_by_its_state_and_at_its_end_by_its_words() {
        let one = |id: u32, name: &str, state: &str| {
            format!(r#"{{"id":{id},"name":"{name}","status":"{state}","description":"all is well"}}"#)
        };
        let (own, old) = (one(9, "windlass/shop@east", "success"), one(8, "windlass/shop@east", "failed"));
        let cases = [
            (format!("[{own}]"), Found::Same),
            (format!("[{old},{own}]"), Found::Same),
            (format!("[{own},{old}]"), Found::Same),
            (format!("[{own},{}]", one(10, "windlass/shop@east", "running")), Found::Other),
            (format!("[{own},{}]", one(10, "windlass", "running")), Found::Same),
            (format!("[{old}]"), Found::Other),
            ("[]".to_owned(), Found::Other),
            ("{}".to_owned(), Found::Other),
            ("[7,null]".to_owned(), Found::Other),
            (format!("[{}]", own.replace("all is well", "one failed")), Found::Other),
        ];
        let running = one(9, "windlass/shop@east", "running").replace("all is well", "applying");
        assert_eq!(found(Kind::Gitlab, Phase::Applied, 200, &format!("[{running}]")), Found::Same);
        for (body, expected) in cases {
            assert_eq!(found(Kind::Gitlab, Phase::Healthy, 200, &body), expected, "{body}");
        }
    }

    #[test]
    fn a_forge_that_shows_nothing_is_told_again_and_one_in_trouble_is_asked_again() {
        for kind in Kind::ALL {
            for status in [401, 403, 404, 422] {
                assert_eq!(found(kind, Phase::Healthy, status, "{}"), Found::Other, "{kind} {status}");
            }
            for (status, meant) in
                [(429, Answer::Limited), (502, Answer::Unsure(None)), (200, Answer::Unsure(None))]
            {
                assert_eq!(
                    found(kind, Phase::Healthy, status, "<html>"),
                    Found::Unknown(meant),
                    "{kind} {status}"
                );
            }
        }
    }
}
