//! gitlab.com and GitLabs of one's own.

use std::borrow::Cow;
use std::time::Duration;

use serde_json::Value;

use crate::event::Hint;
use crate::event::Push;
use crate::forge::Answer;
use crate::forge::Delivery;
use crate::forge::Forge;
use crate::forge::Found;
use crate::forge::HttpAnswer;
use crate::forge::HttpRequest;
use crate::forge::Names;
use crate::forge::Request;
use crate::forge::StatusPost;
use crate::forge::found;
use crate::forge::payload;
use crate::forge::post;
use crate::forge::signature;
use crate::forge::standard;
use crate::moment::Moment;
use crate::outcome::Phase;
use crate::secret::Secret;

mod answers;
pub mod hooks;

/// The rules of GitLab.
pub struct Gitlab;

/// `X-Gitlab-Event-UUID` is shared by deliveries that caused each other, and `X-Gitlab-Webhook-UUID` is new with each
/// attempt: neither names a delivery.
const NAMES: Names = Names { event: &["x-gitlab-event"], delivery: &["idempotency-key", "webhook-id"] };

/// A signature covers this id and not the other, which is the same where GitLab itself sends both.
const SIGNED_NAMES: Names = Names { event: &["x-gitlab-event"], delivery: &["webhook-id"] };

/// How many characters may a description have? A longer one is answered with 400.
const DESCRIPTION_CHARS: usize = 255;

/// How many characters may the address of more have? A longer one is answered with 400.
const TARGET_URL_CHARS: usize = 255;

/// How far may what GitLab shows lag behind what it was told? Large ones read from replicas.
const LAG: Duration = Duration::from_secs(10);

const HEADERS: [(&str, &str); 1] = [("accept", "application/json")];

impl Forge for Gitlab {
    fn verify<'a>(&self, request: &Request<'a>, secrets: &[Secret]) -> Option<Delivery<'a>> {
        // A signature that does not hold is not made good by a token, which anybody may have seen on the way.
        let is_signed = request.values(standard::SIGNATURE).next().is_some();
        let (secret, names) = if is_signed {
            (standard::holds(request, secrets)?, &SIGNED_NAMES)
        } else {
            (token(request, secrets)?, &NAMES)
        };
        Some(Delivery::new(request, names, secret, Cow::Borrowed(request.body)))
    }

    fn read(&self, delivery: &Delivery<'_>) -> Hint {
        match delivery.event() {
            // Deletions come as pushes too.
            "Push Hook" | "Tag Push Hook" => payload::project_push(delivery.body()),
            "Merge Request Hook" => payload::merge_request(delivery.body()),
            "System Hook" => payload::system(delivery.body()),
            event => payload::other(event),
        }
    }

    fn describe(&self, status: &StatusPost<'_>) -> HttpRequest {
        // Without `ref`, which is not known here, GitLab takes the newest pipeline of the commit, or else the first
        // branch that holds it.
        let mut body = serde_json::json!({
            "state": state(status.phase),
            "name": status.context,
            "description": post::cut(status.description, DESCRIPTION_CHARS),
        });
        let url = status.target_url.filter(|url| url.chars().count() <= TARGET_URL_CHARS);
        if let (Some(url), Some(fields)) = (url, body.as_object_mut()) {
            fields.insert("target_url".to_owned(), url.into());
        }
        post::request(status, &project(status), "Bearer", &HEADERS, &body)
    }

    fn classify(&self, request: &HttpRequest, answer: &HttpAnswer<'_>) -> Answer {
        answers::classify(state(request.phase), answer)
    }

    fn look(&self, status: &StatusPost<'_>) -> HttpRequest {
        let path = format!(
            "{}/repository/commits/{}/statuses?name={}&per_page=100",
            project(status),
            status.commit,
            post::escaped(status.context, "%2F"),
        );
        post::question(status, &path, "Bearer", &HEADERS)
    }

    fn found(&self, status: &StatusPost<'_>, answer: &HttpAnswer<'_>) -> Found {
        let meant = answers::classify("", answer);
        found::read(answer, meant, |body| {
            newest(body, status.context).is_some_and(|shown| {
                let said = |key: &str| shown.get(key).and_then(Value::as_str);
                // While a status moves on, its first words stay.
                let words = || said("description") == Some(&post::cut(status.description, DESCRIPTION_CHARS));
                said("status") == Some(state(status.phase)) && (!status.phase.is_final() || words())
            })
        })
    }

    fn lag(&self) -> Duration {
        LAG
    }

    fn api(&self, url: &str) -> String {
        format!("{url}/api/v4")
    }

    fn make_up(&self, push: &Push) -> (&'static str, String) {
        let (event, kind) =
            if push.reference.is_tag() { ("Tag Push Hook", "tag_push") } else { ("Push Hook", "push") };
        let (before, after) = payload::ids(push);
        let name = push.repository.split('/').next_back().unwrap_or_default();
        let body = serde_json::json!({
            "object_kind": kind,
            "event_name": kind,
            "before": before,
            "after": after,
            "ref": push.reference.as_str(),
            "checkout_sha": push.after.as_ref().map(|after| after.as_str()),
            "project": { "name": name, "path_with_namespace": push.repository },
            "commits": [],
            "total_commits_count": 0,
        });
        (event, body.to_string())
    }

    fn sign(
        &self,
        event: &str,
        id: &str,
        body: &[u8],
        secret: &Secret,
        now: Moment,
    ) -> Vec<(&'static str, String)> {
        let mut headers = vec![
            ("content-type", "application/json".to_owned()),
            ("idempotency-key", id.to_owned()),
            ("x-gitlab-event", event.to_owned()),
        ];
        if standard::is_key(secret) {
            headers.extend(standard::sign(secret, id, body, now));
        } else {
            headers.push(("x-gitlab-token", secret.expose().to_owned()));
        }
        headers
    }

    fn vet(&self, secret: &Secret) -> Result<(), &'static str> {
        if standard::is_key(secret) {
            return standard::key(secret).map(drop).ok_or(
                "starts with whsec_, as a signing token does, but what follows is no base64 of 24 to 64 bytes: \
                copy the token as GitLab showed it, or make one anew",
            );
        }
        // GitLab sends it as a header, where other characters do not arrive.
        if secret.expose().bytes().all(|b| b == b' ' || b.is_ascii_graphic()) {
            Ok(())
        } else {
            Err("has other characters than printable ASCII: make one of letters and digits")
        }
    }
}

/// Returns the first secret, from 0, that the request gives as it is. Keys for signatures are never given so.
fn token(request: &Request<'_>, secrets: &[Secret]) -> Option<usize> {
    let token = request.only("x-gitlab-token");
    let mut found = None;
    for (index, secret) in secrets.iter().enumerate().filter(|(_, secret)| !standard::is_key(secret)) {
        let same = signature::is(secret, token.unwrap_or_default());
        if same & token.is_some() && found.is_none() {
            found = Some(index);
        }
    }
    found
}

fn project(status: &StatusPost<'_>) -> String {
    format!("projects/{}", post::escaped(status.repository, "%2F"))
}

/// Returns the newest status of a name in a list of them.
fn newest<'a>(list: &'a Value, name: &str) -> Option<&'a Value> {
    let own = list.as_array()?.iter().filter(|one| one.get("name").and_then(Value::as_str) == Some(name));
    own.max_by_key(|one| one.get("id").and_then(Value::as_u64))
}

fn state(phase: Phase) -> &'static str {
    match phase {
        Phase::Pending => "pending",
        Phase::Running | Phase::Applied => "running",
        Phase::Healthy => "success",
        Phase::Failed | Phase::Error => "failed",
        Phase::Superseded => "canceled",
    }
}

#[cfg(test)]
mod tests;
