//! Gitea and Forgejo, which differ in names of headers only.

use std::borrow::Cow;

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
use crate::forge::form;
use crate::forge::found;
use crate::forge::payload;
use crate::forge::post;
use crate::forge::signature;
use crate::moment::Moment;
use crate::outcome::Phase;
use crate::secret::Secret;

/// The rules of Gitea, or of Forgejo.
pub struct Gitea {
    /// Is it Forgejo?
    pub forgejo: bool,
}

const GITEA: Names = Names { event: &["x-gitea-event"], delivery: &["x-gitea-delivery"] };
const FORGEJO: Names = Names {
    event: &["x-forgejo-event", "x-gitea-event"],
    delivery: &["x-forgejo-delivery", "x-gitea-delivery"],
};

/// How many characters may a description have? The column in Gitea holds 255.
const DESCRIPTION_CHARS: usize = 255;

const HEADERS: [(&str, &str); 1] = [("accept", "application/json")];

impl Gitea {
    fn names(&self) -> &'static Names {
        if self.forgejo { &FORGEJO } else { &GITEA }
    }

    /// Every signature that this forge sends is claimed; one that comes twice, or empty as without a secret, never holds.
    fn claims(&self, request: &Request<'_>) -> Vec<signature::Claim> {
        let bare: &[&str] =
            if self.forgejo { &["x-forgejo-signature", "x-gitea-signature"] } else { &["x-gitea-signature"] };
        let mut claims = Vec::new();
        for name in bare {
            claims.extend(post::only(request.values(name)).map(|value| value.and_then(signature::bare)));
        }
        let prefixed = post::only(request.values("x-hub-signature-256"));
        claims.extend(prefixed.map(|value| value.and_then(signature::prefixed)));
        claims
    }
}

impl Forge for Gitea {
    fn verify<'a>(&self, request: &Request<'a>, secrets: &[Secret]) -> Option<Delivery<'a>> {
        // The signature is over the JSON, which a form carries encoded.
        let body = if request.is_form() {
            Cow::Owned(form::payload(request.body).unwrap_or_default())
        } else {
            Cow::Borrowed(request.body)
        };
        let secret = signature::holds(secrets, &body, &self.claims(request))?;
        Some(Delivery::new(request, self.names(), secret, body))
    }

    fn read(&self, delivery: &Delivery<'_>) -> Hint {
        match delivery.event() {
            "push" => payload::push(delivery.body()),
            // A deleted branch comes as this event alone, without a push.
            "delete" => payload::delete(delivery.body()),
            "pull_request" => payload::pull_request(delivery.body()),
            event => payload::other(event),
        }
    }

    fn describe(&self, status: &StatusPost<'_>) -> HttpRequest {
        post::status(status, state(status.phase), DESCRIPTION_CHARS, "token", &HEADERS)
    }

    fn classify(&self, _: &HttpRequest, answer: &HttpAnswer<'_>) -> Answer {
        post::classify(answer)
    }

    fn look(&self, status: &StatusPost<'_>) -> HttpRequest {
        found::look(status, "limit=50", "token", &HEADERS)
    }

    fn found(&self, status: &StatusPost<'_>, answer: &HttpAnswer<'_>) -> Found {
        let description = post::cut(status.description, DESCRIPTION_CHARS);
        // What is posted as `state` is shown as `status`.
        found::read(answer, post::classify(answer), |body| {
            found::combined(status.context, "status", state(status.phase), &description, body)
        })
    }

    fn api(&self, url: &str) -> String {
        format!("{url}/api/v1")
    }

    fn make_up(&self, push: &Push) -> (&'static str, String) {
        let deleted = push.after.is_none();
        let Some(branch) = push.reference.as_str().strip_prefix("refs/heads/").filter(|_| deleted) else {
            return ("push", payload::make_up(push));
        };
        let body = serde_json::json!({
            "ref": branch,
            "ref_type": "branch",
            "pusher_type": "user",
            "repository": { "full_name": push.repository },
        });
        ("delete", body.to_string())
    }

    fn sign(
        &self,
        event: &str,
        id: &str,
        body: &[u8],
        secret: &Secret,
        _: Moment,
    ) -> Vec<(&'static str, String)> {
        let digits = signature::sign(secret, body);
        let mut headers = vec![
            ("content-type", "application/json".to_owned()),
            ("x-gitea-delivery", id.to_owned()),
            ("x-gitea-event", event.to_owned()),
            ("x-gitea-signature", digits.clone()),
            ("x-github-delivery", id.to_owned()),
            ("x-github-event", event.to_owned()),
            ("x-hub-signature-256", format!("sha256={digits}")),
        ];
        if self.forgejo {
            headers.push(("x-forgejo-delivery", id.to_owned()));
            headers.push(("x-forgejo-event", event.to_owned()));
            headers.push(("x-forgejo-signature", digits));
        }
        headers
    }
}

fn state(phase: Phase) -> &'static str {
    match phase {
        Phase::Pending | Phase::Running | Phase::Applied => "pending",
        Phase::Healthy => "success",
        Phase::Failed => "failure",
        Phase::Error => "error",
        // Counts as success where states are combined, and is seen to be something else.
        Phase::Superseded => "warning",
    }
}
