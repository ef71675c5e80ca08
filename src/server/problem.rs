//! Refusals, as `application/problem+json`.

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header;

/// For how many seconds should a forge wait before it tries again, when the queue cannot confirm?
const RETRY_AFTER: u64 = 5;

/// How many seconds is anybody told to wait at most?
const LONGEST_WAIT: u64 = 3_600;

/// Why a request is refused before anybody decides about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There is nothing at this path.
    NoSuchPage,
    /// The path knows other methods, which are named.
    WrongMethod(&'static str),
    /// This address may not call this webhook.
    Stranger,
    /// There were too many requests; how long to wait.
    TooMany(Duration),
    /// No secret signed it.
    Unsigned,
    /// The body did not arrive in time.
    Slow,
    /// The body is larger than it may be.
    TooLarge,
    /// The body is neither JSON nor a form, or is encoded.
    WrongType,
    /// The connection broke, or what it carried is no body.
    Broken,
    /// The queue cannot confirm, or too much is under way.
    Unavailable,
}

impl Refusal {
    fn status(self) -> StatusCode {
        match self {
            Self::NoSuchPage => StatusCode::NOT_FOUND,
            Self::WrongMethod(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::Stranger => StatusCode::FORBIDDEN,
            Self::TooMany(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Unsigned => StatusCode::UNAUTHORIZED,
            Self::Slow => StatusCode::REQUEST_TIMEOUT,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::WrongType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Broken => StatusCode::BAD_REQUEST,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn detail(self) -> &'static str {
        match self {
            Self::NoSuchPage => "there is nothing here; webhooks go to /hooks/<name of the forge>",
            Self::WrongMethod(_) => "this path knows other methods, named in the header Allow",
            Self::Stranger => "this address is not among those that may call this webhook",
            Self::TooMany(_) => "too many requests: come again after the time in the header Retry-After",
            Self::Unsigned => "the request is not signed with a secret of this webhook",
            Self::Slow => "the body did not arrive in time",
            Self::TooLarge => "the body is larger than door.body_limit allows",
            Self::WrongType => {
                "the body must be application/json or application/x-www-form-urlencoded, without content-encoding"
            }
            Self::Broken => "the body could not be read",
            Self::Unavailable => "the delivery cannot be stored now: deliver it again later",
        }
    }

    /// Returns how many seconds to wait before the same request may be taken; `None` when it never is.
    fn wait(self) -> Option<u64> {
        match self {
            Self::Unavailable => Some(RETRY_AFTER),
            Self::TooMany(wait) => Some(wait.as_secs().saturating_add(1).min(LONGEST_WAIT)),
            Self::NoSuchPage
            | Self::WrongMethod(_)
            | Self::Stranger
            | Self::Unsigned
            | Self::Slow
            | Self::TooLarge
            | Self::WrongType
            | Self::Broken => None,
        }
    }

    /// Returns the answer. Who is refused is done with this connection, on which the rest of a body may still come.
    pub fn answer(self) -> HttpResponse {
        let status = self.status();
        let mut answer = HttpResponse::build(status);
        answer.insert_header((header::CONTENT_TYPE, "application/problem+json"));
        if let Some(seconds) = self.wait() {
            answer.insert_header((header::RETRY_AFTER, seconds));
        }
        if self != Self::Unavailable {
            answer.force_close();
        }
        if let Self::WrongMethod(allowed) = self {
            answer.insert_header((header::ALLOW, allowed));
        }
        answer.json(serde_json::json!({
            "type": "about:blank",
            "title": status.canonical_reason().unwrap_or_default(),
            "status": status.as_u16(),
            "detail": self.detail(),
        }))
    }
}

/// Answers requests for paths that do not exist.
pub async fn no_such_page() -> HttpResponse {
    Refusal::NoSuchPage.answer()
}
