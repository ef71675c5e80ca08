//! Requests that post statuses, and what their answers mean, as far as the forges agree.

use std::time::Duration;

use serde_json::Map;
use serde_json::Value;

use crate::commit::CommitId;
use crate::moment::Moment;
use crate::outcome::Phase;

/// A status that is to be posted on a commit.
#[derive(Clone, Debug)]
pub struct StatusPost<'a> {
    /// The address of the forge's API, without a trailing slash.
    pub api: &'a str,
    /// The repository as `owner/name`, or with more groups before it where the forge has such.
    pub repository: &'a str,
    /// The commit.
    pub commit: &'a CommitId,
    /// What the status is about, such as `windlass/shop@east`; a later status with the same context replaces it.
    pub context: &'a str,
    /// How far the work has come.
    pub phase: Phase,
    /// What happened, in words; cut to what the forge takes.
    pub description: &'a str,
    /// Where more is to be read.
    pub target_url: Option<&'a str>,
}

/// A request for somebody else to send. It holds no credential: the sender adds the header `authorization` with
/// [`HttpRequest::scheme`], a space and the token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpRequest {
    /// The method.
    pub method: &'static str,
    /// The address.
    pub url: String,
    /// How the token is introduced: `token` or `Bearer`.
    pub scheme: &'static str,
    /// The other headers; names are lowercase.
    pub headers: Vec<(&'static str, String)>,
    /// The body, JSON; empty for a question.
    pub body: String,
    /// How far the work has come that it tells of; some answers mean one thing or another by it.
    pub phase: Phase,
}

/// The answer to such a request.
#[derive(Clone, Copy, Debug)]
pub struct HttpAnswer<'a> {
    /// The status code.
    pub status: u16,
    /// The headers; names are lowercase.
    pub headers: &'a [(&'a str, &'a str)],
    /// The body, or as much of it as was read.
    pub body: &'a [u8],
    /// When it came.
    pub now: Moment,
}

/// What an answer means for the status that was posted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The forge has it.
    Taken,
    /// The forge has it, and takes nothing more before this time is over.
    TakenLast(Duration),
    /// The forge did not take it and may later: after this time where it says so.
    Later(Option<Duration>),
    /// The forge takes nothing more for now, and does not say for how long.
    Limited,
    /// The forge failed, and may have it all the same; it may be asked after this time where it says so.
    Unsure(Option<Duration>),
    /// Whoever runs windlass must change something first, as the text says; it may be tried again, rarely.
    Ours(String),
    /// The forge will never take it, and why.
    Never(String),
}

/// How long does windlass wait at most because a forge says so?
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

impl<'a> HttpAnswer<'a> {
    /// Returns the first header of a name.
    pub(super) fn first(&self, name: &str) -> Option<&'a str> {
        self.headers.iter().find(|(found, _)| *found == name).map(|(_, value)| *value)
    }

    /// Returns how many requests are left in the forge's present window, where it says so: by a header of GitHub's or of
    /// GitLab's.
    #[must_use]
    pub fn left(&self) -> Option<u32> {
        let left = self.first("x-ratelimit-remaining").or_else(|| self.first("ratelimit-remaining"))?;
        left.trim().parse().ok()
    }

    /// Returns the seconds of `retry-after`, at most an hour; dates are not read.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        let seconds: u64 = self.first("retry-after")?.trim().parse().ok()?;
        Some(bounded(Duration::from_secs(seconds)))
    }

    /// Returns how long it is to the time in a header, in seconds since 1970: at least a second, at most an hour.
    pub(super) fn until(&self, name: &str) -> Option<Duration> {
        let time: i64 = self.first(name)?.trim().parse().ok()?;
        let seconds = time.saturating_sub(self.now.0 / 1000).saturating_add(1);
        Some(bounded(Duration::from_secs(u64::try_from(seconds).unwrap_or(1).max(1))))
    }
}

/// Bounds a wait that a forge asks for.
fn bounded(wait: Duration) -> Duration {
    wait.min(LONGEST_WAIT)
}

/// Returns the one value of a header as `Some(Some)`, nothing when it is absent, `Some(None)` when it is repeated.
pub(super) fn only<'a>(mut values: impl Iterator<Item = &'a str>) -> Option<Option<&'a str>> {
    let first = values.next()?;
    Some(values.next().is_none().then_some(first))
}

/// Describes the request that GitHub and Gitea share.
pub(super) fn status(
    status: &StatusPost<'_>,
    state: &str,
    limit: usize,
    scheme: &'static str,
    headers: &[(&'static str, &str)],
) -> HttpRequest {
    let mut body = serde_json::json!({
        "state": state,
        "context": status.context,
        "description": cut(status.description, limit),
    });
    if let (Some(url), Some(fields)) = (status.target_url, body.as_object_mut()) {
        fields.insert("target_url".to_owned(), url.into());
    }
    let path = format!("repos/{}", escaped(status.repository, "/"));
    request(status, &path, scheme, headers, &body)
}

/// Describes the request that posts a status of a commit in what lies at a path of the API.
pub(super) fn request(
    status: &StatusPost<'_>,
    path: &str,
    scheme: &'static str,
    headers: &[(&'static str, &str)],
    body: &serde_json::Value,
) -> HttpRequest {
    let mut all = vec![("content-type", "application/json".to_owned())];
    all.extend(owned(headers));
    HttpRequest {
        method: "POST",
        url: format!("{}/{path}/statuses/{}", status.api, status.commit),
        scheme,
        headers: all,
        body: body.to_string(),
        phase: status.phase,
    }
}

/// Describes the question what lies at a path of the API.
pub(super) fn question(
    status: &StatusPost<'_>,
    path: &str,
    scheme: &'static str,
    headers: &[(&'static str, &str)],
) -> HttpRequest {
    HttpRequest {
        method: "GET",
        url: format!("{}/{path}", status.api),
        scheme,
        headers: owned(headers).collect(),
        body: String::new(),
        phase: status.phase,
    }
}

fn owned(headers: &[(&'static str, &str)]) -> impl Iterator<Item = (&'static str, String)> {
    headers.iter().map(|(name, value)| (*name, (*value).to_owned()))
}

/// Encodes the parts of a repository's name for a path, with `between` for the slashes.
pub(super) fn escaped(repository: &str, between: &str) -> String {
    repository.split('/').map(escaped_part).collect::<Vec<_>>().join(between)
}

/// Encodes a part of a path; also dots where they would climb.
fn escaped_part(part: &str) -> String {
    let plain = |b: u8| {
        b.is_ascii_alphanumeric() || b"-_~".contains(&b) || (b == b'.' && !part.trim_matches('.').is_empty())
    };
    part.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

/// Returns whether the address of a webhook is another one, or one for a single source below it.
pub(super) fn leads_to(own: &str, url: &str) -> bool {
    own.strip_prefix(url).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Cuts a text to a number of characters, on one line; what was cut off shows as `…`.
pub(super) fn cut(text: &str, limit: usize) -> String {
    let line: Vec<char> = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if line.len() <= limit {
        return line.into_iter().collect();
    }
    line.into_iter().take(limit.saturating_sub(1)).chain(['…']).collect()
}

/// Says what it means that a status was taken, by the headers that tell how many requests are left and when there are
/// more: what is sent before then would only be refused.
pub(super) fn taken(answer: &HttpAnswer<'_>, left: &str, reset: &str) -> Answer {
    let none = answer.first(left).is_some_and(|left| left.trim() == "0");
    answer.until(reset).filter(|_| none).map_or(Answer::Taken, Answer::TakenLast)
}

/// Says what an answer means where the forge has no rule of its own.
pub(super) fn classify(answer: &HttpAnswer<'_>) -> Answer {
    match answer.status {
        200..=299 => Answer::Taken,
        300..=399 => Answer::Ours(
            "the forge answers from another address: give the repository's and the forge's present names"
                .to_owned(),
        ),
        401 => Answer::Ours("the forge refuses the token: replace it".to_owned()),
        403 => Answer::Ours(format!(
            "the token may not write statuses in this repository: give it that right{}",
            words(answer)
        )),
        // A token that was revoked is answered so too, where the repository is private.
        404 => Answer::Ours(format!(
            "the forge shows this token no such repository or commit: check the repository's name, and that the token is valid and may see it{}",
            words(answer)
        )),
        429 => answer.retry_after().map_or(Answer::Limited, |wait| Answer::Later(Some(wait))),
        409 | 423 | 425 => Answer::Later(answer.retry_after()),
        408 => Answer::Unsure(answer.retry_after()),
        400..=499 => {
            Answer::Never(format!("the forge refuses the status with {}{}", answer.status, words(answer)))
        }
        _ => Answer::Unsure(answer.retry_after()),
    }
}

/// How many characters of a forge's own words are repeated?
const WORDS_CHARS: usize = 200;

/// Returns the forge's own words, where it sent some.
pub(super) fn words(answer: &HttpAnswer<'_>) -> String {
    let Ok(body) = serde_json::from_slice::<Map<String, Value>>(answer.body) else { return String::new() };
    // What OAuth's part of a forge refuses is said in fields of its own.
    let said = ["message", "error_description", "error"].into_iter().find_map(|name| body.get(name));
    let Some(said) = said.filter(|said| !said.is_null()) else { return String::new() };
    let said = said.as_str().map_or_else(|| said.to_string(), str::to_owned);
    // GitHub's message may be "Validation Failed" and no more; what failed stands beside it.
    let said = match body.get("errors").and_then(first_cause) {
        Some(cause) => format!("{said}: {cause}"),
        None => said,
    };
    format!(" ({})", cut(&said, WORDS_CHARS))
}

/// Returns the first of a list of causes, each either a text or something with a message.
fn first_cause(causes: &Value) -> Option<&str> {
    let first = causes.as_array()?.first()?;
    first.as_str().or_else(|| first.get("message")?.as_str()).filter(|cause| !cause.is_empty())
}

#[cfg(test)]
mod tests {
    use super::HttpAnswer;
    use super::words;
    use crate::moment::Moment;

    #[test]
    fn a_forge_s_words_are_what_it_says_and_the_first_cause_that_it_gives() {
        let cases = [
            (
                r#"{"message":"Validation Failed","errors":[{"message":"too long"},{"message":"x"}]}"#,
                " (Validation Failed: too long)",
            ),
            (
                r#"{"message":"Validation Failed","errors":["No commit found"]}"#,
                " (Validation Failed: No commit found)",
            ),
            (r#"{"message":"Validation Failed","errors":[{"code":"invalid"}]}"#, " (Validation Failed)"),
            (r#"{"message":"Not Found","errors":[]}"#, " (Not Found)"),
            (r#"{"message":"Not Found","errors":null}"#, " (Not Found)"),
            (r#"{"message":{"name":["is taken"]}}"#, r#" ({"name":["is taken"]})"#),
            (
                r#"{"error":"invalid_token","error_description":"Token was revoked."}"#,
                " (Token was revoked.)",
            ),
            (r#"{"message":null,"errors":["x"]}"#, ""),
            (r#"{"errors":["x"]}"#, ""),
            ("[]", ""),
            ("<html>", ""),
        ];
        for (body, expected) in cases {
            let answer = HttpAnswer { status: 422, headers: &[], body: body.as_bytes(), now: Moment(0) };
            assert_eq!(words(&answer), expected, "{body}");
        }
        let long = format!(r#"{{"message":"{}","errors":["x"]}}"#, "é".repeat(300));
        let answer = HttpAnswer { status: 422, headers: &[], body: long.as_bytes(), now: Moment(0) };
        assert_eq!(words(&answer).chars().count(), super::WORDS_CHARS + " ()".len());
    }
}
