//! Refusals, as `application/problem+json`.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header;

/// For how long should a forge wait before it tries again?
const RETRY_AFTER: u64 = 5;

/// Why a request is refused before anybody decides about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There is nothing at this path.
    NoSuchPage,
    /// The path knows other methods, which are named.
    WrongMethod(&'static str),
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

    /// Returns the answer. Who is refused is done with this connection, on which the rest of a body may still come.
    pub fn answer(self) -> HttpResponse {
        let status = self.status();
        let mut answer = HttpResponse::build(status);
        answer.insert_header((header::CONTENT_TYPE, "application/problem+json"));
        if self == Self::Unavailable {
            answer.insert_header((header::RETRY_AFTER, RETRY_AFTER));
        } else {
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
