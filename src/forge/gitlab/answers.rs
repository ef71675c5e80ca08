//! What GitLab's answers to statuses mean. Its statuses are a machine with states, which refuses to be where it is.

use crate::forge::Answer;
use crate::forge::HttpAnswer;
use crate::forge::post;

/// The states of GitLab, and how far each is. A status only ever moves on; from those that are furthest it does not
/// move at all, and the next post begins a new one.
const STATES: &[(&str, u8)] = &[
    ("created", 0),
    ("waiting_for_resource", 0),
    ("preparing", 0),
    ("waiting_for_callback", 0),
    ("manual", 0),
    ("scheduled", 0),
    ("pending", 1),
    ("running", 2),
    ("canceling", 3),
    ("success", 3),
    ("failed", 3),
    ("canceled", 3),
    ("skipped", 3),
];

/// Says what the answer to a status means that was to be in the state `wanted`.
pub fn classify(wanted: &str, answer: &HttpAnswer<'_>) -> Answer {
    let words = || post::words(answer);
    match answer.status {
        200..=299 => post::taken(answer, "ratelimit-remaining", "ratelimit-reset"),
        400 => refused(wanted, answer),
        401 => Answer::Ours(format!(
            "GitLab refuses the token: replace it with a valid one that has the scope api{}",
            words()
        )),
        403 => Answer::Ours(format!(
            "the token may not write statuses of this commit: it needs the scope api and the role Developer, or Maintainer where the branch is protected{}",
            words()
        )),
        404 => absent(answer),
        // Another writer is at this status. Nothing holds its neighbours back, so no time is named; the pauses between
        // tries are short at first.
        409 => Answer::Later(answer.retry_after()),
        429 => {
            let wait = answer.retry_after().or_else(|| answer.until("ratelimit-reset"));
            wait.map_or(Answer::Limited, |wait| Answer::Later(Some(wait)))
        }
        _ => post::classify(answer),
    }
}

/// Says what it means that GitLab does not move a status. To the state in which it is already it cannot be moved, and
/// that is all that was wanted. Where it is further on, this post came too late: it is given up rather than counted as
/// posted, since it shows nowhere.
fn refused(wanted: &str, answer: &HttpAnswer<'_>) -> Answer {
    let rank = |state: &str| STATES.iter().find(|(name, _)| *name == state).map(|(_, rank)| *rank);
    let text = String::from_utf8_lossy(answer.body);
    let Some(found) = stands(&text) else { return post::classify(answer) };
    if found == wanted {
        return Answer::Taken;
    }
    match (rank(found), rank(wanted)) {
        (Some(has), Some(wants)) if has > wants => Answer::Never(format!(
            "GitLab shows this status as {found} already, which is further on than {wanted}"
        )),
        _ => post::classify(answer),
    }
}

/// Returns the state in which a status stands, of which GitLab says that it cannot move on from there.
fn stands(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("Cannot transition status via :")?;
    let is_other = |c: char| !(c.is_ascii_lowercase() || c == '_');
    let rest = rest.trim_start_matches(|c| !is_other(c)).strip_prefix(" from :")?;
    rest.split(is_other).next().filter(|state| !state.is_empty())
}

/// Says what it means that something is not there. GitLab says what; only a commit that is gone stays gone.
fn absent(answer: &HttpAnswer<'_>) -> Answer {
    let words = post::words(answer);
    if words.contains("References for commit") {
        Answer::Never(format!(
            "no branch holds this commit, and GitLab takes no status of such a one: push it to a branch{words}"
        ))
    } else if words.contains("Commit Not Found") {
        Answer::Never(format!("the project has no such commit, or has it no longer{words}"))
    } else {
        post::classify(answer)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::classify;
    use crate::forge::Answer;
    use crate::forge::HttpAnswer;
    use crate::moment::Moment;

    fn judged(wanted: &str, status: u16, headers: &[(&str, &str)], body: &str) -> Answer {
        let answer = HttpAnswer { status, headers, body: body.as_bytes(), now: Moment(1_000_000) };
        classify(wanted, &answer)
    }

    #[test]
    fn a_status_that_does_not_move_is_there_or_too_late_or_refused() {
        let cases = [
            ("pending", "enqueue", "pending", "taken"),
            ("pending", "enqueue", "running", "late"),
            ("pending", "enqueue", "success", "late"),
            ("running", "run", "running", "taken"),
            ("running", "run", "failed", "late"),
            ("running", "run", "canceling", "late"),
            ("running", "run", "waiting_for_resource", "refused"),
            ("running", "run", "pending", "refused"),
            ("success", "success", "success", "taken"),
            ("success", "success", "created", "refused"),
            ("success", "success", "failed", "refused"),
            ("failed", "drop", "failed", "taken"),
            ("failed", "drop", "manual", "refused"),
            ("canceled", "cancel", "canceled", "taken"),
            ("canceled", "cancel", "canceling", "refused"),
            ("pending", "enqueue", "a_state_of_tomorrow", "refused"),
        ];
        for (wanted, event, found, expected) in cases {
            let reason = format!("(Reason(s): Status cannot transition via \\\"{event}\\\")");
            for body in [
                format!(r#"{{"message":"Cannot transition status via :{event} from :{found} {reason}"}}"#),
                format!(r#"{{ "message" : "Cannot transition status via :{event} from :{found}"}}"#),
            ] {
                let answer = judged(wanted, 400, &[], &body);
                let said = match &answer {
                    Answer::Taken => "taken",
                    Answer::Never(why) if why.contains("further on") && why.contains(found) => "late",
                    Answer::Never(why) if why.contains(&format!("from :{found}")) => "refused",
                    Answer::TakenLast(_)
                    | Answer::Never(_)
                    | Answer::Later(_)
                    | Answer::Limited
                    | Answer::Unsure(_)
                    | Answer::Ours(_) => "misread",
                };
                assert_eq!(said, expected, "{wanted} {body}: {answer:?}");
            }
        }
    }

    /// Returns whether an answer means what is expected: a word, or a number of seconds.
    fn is(said: &Answer, expected: &str, words: &str) -> bool {
        match (expected, said) {
            ("taken", Answer::Taken)
            | ("later", Answer::Later(None))
            | ("unsure", Answer::Unsure(None))
            | ("limited", Answer::Limited) => true,
            ("ours", Answer::Ours(why)) | ("never", Answer::Never(why)) => {
                why.contains(words) && !why.contains("null")
            }
            (seconds, Answer::Later(Some(wait)) | Answer::Unsure(Some(wait))) => {
                Ok(*wait) == seconds.parse().map(Duration::from_secs)
            }
            _ => false,
        }
    }

    #[test]
    fn answers_say_whose_turn_it_is_and_what_to_do() {
        type Case = (u16, &'static [(&'static str, &'static str)], &'static str, &'static str, &'static str);
        let cases: &[Case] = &[
            (201, &[], "{}", "taken", ""),
            (302, &[], "", "ours", "another address"),
            (400, &[], r#"{"message":{"target_url":["is blocked"]}}"#, "never", "is blocked"),
            (400, &[], r#"{"message":null}"#, "never", "refuses the status with 400"),
            (400, &[], "Cannot transition status via :run from", "never", "400"),
            (400, &[], "Cannot transition status via :run from :", "never", "400"),
            (401, &[], r#"{"message":"401 Unauthorized"}"#, "ours", "replace it"),
            (
                401,
                &[],
                r#"{"error":"invalid_token","error_description":"Token was revoked."}"#,
                "ours",
                "revoked",
            ),
            (403, &[], r#"{"message":"403 Forbidden"}"#, "ours", "Maintainer where the branch is protected"),
            (403, &[], r#"{"error":"insufficient_scope","scope":"api"}"#, "ours", "insufficient_scope"),
            (404, &[], r#"{"message":"404 Project Not Found"}"#, "ours", "check the repository's name"),
            (404, &[], "", "ours", "check the repository's name"),
            (404, &[], r#"{"message":"404 Commit Not Found"}"#, "never", "no such commit"),
            (
                404,
                &[],
                r#"{"message":"404 References for commit Not Found"}"#,
                "never",
                "push it to a branch",
            ),
            (
                409,
                &[],
                r#"{"message":"409 Another update to this commit status is in progress"}"#,
                "later",
                "",
            ),
            (422, &[], r#"{"message":"The pipeline has too many jobs"}"#, "never", "too many jobs"),
            (429, &[("retry-after", "7"), ("ratelimit-reset", "1030")], "Retry later\n", "7", ""),
            (429, &[("ratelimit-reset", "1030")], "Retry later\n", "31", ""),
            (429, &[("ratelimit-reset", "1"), ("ratelimit-remaining", "0")], "Retry later\n", "1", ""),
            (429, &[("ratelimit-reset", "99999999")], "Retry later\n", "3600", ""),
            (429, &[("ratelimit-reset", "soon")], "Retry later\n", "limited", ""),
            (429, &[], "Retry later\n", "limited", ""),
            (500, &[], r#"{"message":"500 Internal Server Error"}"#, "unsure", ""),
            (502, &[], "<html>", "unsure", ""),
            (503, &[("retry-after", "9")], "", "9", ""),
        ];
        for (status, headers, body, expected, words) in cases {
            let said = judged("running", *status, headers, body);
            let fine = is(&said, expected, words);
            assert!(fine, "{status} {headers:?} {body}: {said:?}");
        }
    }
}
