//! github.com and GitHub Enterprise Server.

use std::borrow::Cow;
use std::time::Duration;

use crate::event::Hint;
use crate::event::Push;
use crate::forge::Answer;
use crate::forge::Delivery;
use crate::forge::Forge;
use crate::forge::Found;
use crate::forge::HttpAnswer;
use crate::forge::HttpRequest;
use crate::forge::Names;
use crate::forge::Pace;
use crate::forge::Request;
use crate::forge::StatusPost;
use crate::forge::form;
use crate::forge::found;
use crate::forge::payload;
use crate::forge::post;
use crate::forge::signature;
use crate::moment::Moment;
use crate::outcome::Phase;
use crate::secret::Secret;

pub mod app;
pub mod checks;
pub mod deliveries;

/// The rules of GitHub.
pub struct Github;

/// What every request says beside what it is about.
const HEADERS: [(&str, &str); 2] =
    [("accept", "application/vnd.github+json"), ("x-github-api-version", "2022-11-28")];

const NAMES: Names = Names { event: &["x-github-event"], delivery: &["x-github-delivery"] };

/// How many characters may a description have? A longer one is answered with 422.
const DESCRIPTION_CHARS: usize = 140;

/// How far may what GitHub shows lag behind what it was told?
const LAG: Duration = Duration::from_secs(10);

/// How fast may statuses be posted? GitHub asks for a second between writes, and takes about 80 that create content in
/// a minute and 500 in an hour.
const PACE: Pace = Pace { apart: Duration::from_secs(1), hourly: 500 };

impl Forge for Github {
    fn verify<'a>(&self, request: &Request<'a>, secrets: &[Secret]) -> Option<Delivery<'a>> {
        // The signature is over the body as it was sent, also when that is a form. SHA-1 beside it is not looked at.
        let claim = post::only(request.values("x-hub-signature-256"));
        let claims: Vec<_> = claim.map(|value| value.and_then(signature::prefixed)).into_iter().collect();
        let secret = signature::holds(secrets, request.body, &claims)?;
        let body = if request.is_form() {
            Cow::Owned(form::payload(request.body).unwrap_or_default())
        } else {
            Cow::Borrowed(request.body)
        };
        Some(Delivery::new(request, &NAMES, secret, body))
    }

    fn read(&self, delivery: &Delivery<'_>) -> Hint {
        match delivery.event() {
            // Deletions come as pushes too; `create` and `delete` only repeat them.
            "push" => payload::push(delivery.body()),
            "pull_request" => payload::pull_request(delivery.body()),
            "check_run" => payload::check_run(delivery.body()),
            "check_suite" => payload::check_suite(delivery.body()),
            event => payload::other(event),
        }
    }

    fn describe(&self, status: &StatusPost<'_>) -> HttpRequest {
        post::status(status, state(status.phase), DESCRIPTION_CHARS, "Bearer", &HEADERS)
    }

    fn classify(&self, _: &HttpRequest, answer: &HttpAnswer<'_>) -> Answer {
        meant(answer)
    }

    fn look(&self, status: &StatusPost<'_>) -> HttpRequest {
        found::look(status, "per_page=100", "Bearer", &HEADERS)
    }

    fn found(&self, status: &StatusPost<'_>, answer: &HttpAnswer<'_>) -> Found {
        let description = post::cut(status.description, DESCRIPTION_CHARS);
        found::read(answer, meant(answer), |body| {
            found::combined(status.context, "state", state(status.phase), &description, body)
        })
    }

    fn lag(&self) -> Duration {
        LAG
    }

    fn pace(&self) -> Option<Pace> {
        Some(PACE)
    }

    fn api(&self, url: &str) -> String {
        let host = url.split("://").nth(1).unwrap_or_default();
        if host.eq_ignore_ascii_case("github.com") || host.eq_ignore_ascii_case("www.github.com") {
            "https://api.github.com".to_owned()
        } else {
            format!("{url}/api/v3")
        }
    }

    fn make_up(&self, push: &Push) -> (&'static str, String) {
        ("push", payload::make_up(push))
    }

    fn sign(
        &self,
        event: &str,
        id: &str,
        body: &[u8],
        secret: &Secret,
        _: Moment,
    ) -> Vec<(&'static str, String)> {
        vec![
            ("content-type", "application/json".to_owned()),
            ("x-github-delivery", id.to_owned()),
            ("x-github-event", event.to_owned()),
            ("x-hub-signature-256", format!("sha256={}", signature::sign(secret, body))),
        ]
    }
}

fn meant(answer: &HttpAnswer<'_>) -> Answer {
    match answer.status {
        200..=299 => post::taken(answer, "x-ratelimit-remaining", "x-ratelimit-reset"),
        _ => limited(answer).unwrap_or_else(|| post::classify(answer)),
    }
}

fn state(phase: Phase) -> &'static str {
    match phase {
        Phase::Pending | Phase::Running | Phase::Applied => "pending",
        Phase::Healthy => "success",
        Phase::Failed => "failure",
        Phase::Error | Phase::Superseded => "error",
    }
}

/// Returns for how long GitHub takes nothing more, where that is what an answer says: by 403 as well as by 429.
fn limited(answer: &HttpAnswer<'_>) -> Option<Answer> {
    if !matches!(answer.status, 403 | 429) {
        return None;
    }
    if let Some(wait) = answer.retry_after() {
        return Some(Answer::Later(Some(wait)));
    }
    if answer.first("x-ratelimit-remaining") == Some("0") {
        let until = answer.until("x-ratelimit-reset");
        return Some(until.map_or(Answer::Limited, |wait| Answer::Later(Some(wait))));
    }
    let text = String::from_utf8_lossy(answer.body).to_ascii_lowercase();
    let says_limited = text.contains("secondary rate") || text.contains("rate limit exceeded");
    (answer.status == 429 || says_limited).then_some(Answer::Limited)
}
