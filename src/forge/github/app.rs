//! A GitHub App: how it shows who it is, and how it comes by tokens that may do one thing in one repository.
//!
//! It signs a claim with its private key, asks by that claim where it is installed, and then for a token of the
//! installation. Tokens are opaque, of any length, and hold for an hour.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::forge::Answer;
use crate::forge::HttpAnswer;
use crate::forge::github;
use crate::forge::post;
use crate::moment::Moment;
use crate::secret::Secret;

/// How many seconds before now is a claim dated, so that it is not from the future where GitHub's clock is behind?
const DATED_BACK: i64 = 60;

/// For how many seconds from now does a claim hold? GitHub takes ten minutes at most, by its own clock.
const HOLDS_FOR: i64 = 540;

/// What a token is for. It may do that and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Purpose {
    /// To read the repository.
    Read,
    /// To post what became of its commits.
    Post,
    /// To look after its webhooks.
    Hooks,
}

impl Purpose {
    /// Returns the permission that it takes, and how much of it.
    fn permission(self) -> (&'static str, &'static str) {
        match self {
            Self::Read => ("contents", "read"),
            Self::Post => ("checks", "write"),
            Self::Hooks => ("repository_hooks", "write"),
        }
    }
}

/// A request of an App for somebody else to send, with its claim or its token as a bearer's. It holds no credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// The method.
    pub method: &'static str,
    /// The address.
    pub url: String,
    /// The other headers; names are lowercase.
    pub headers: Vec<(&'static str, String)>,
    /// The body, JSON; empty where there is none.
    pub body: String,
}

impl Ask {
    /// Describes a question.
    #[must_use]
    pub fn get(url: String) -> Self {
        Self::bare("GET", url)
    }

    /// Describes a request that says all by its method and address.
    #[must_use]
    pub fn bare(method: &'static str, url: String) -> Self {
        let headers = github::HEADERS.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        Self { method, url, headers, body: String::new() }
    }

    /// Describes a request with a body.
    #[must_use]
    pub fn with(method: &'static str, url: String, body: &serde_json::Value) -> Self {
        let mut ask = Self::get(url);
        ask.headers.insert(0, ("content-type", "application/json".to_owned()));
        Self { method, body: body.to_string(), ..ask }
    }
}

/// A token, as GitHub gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The token.
    pub token: Secret,
    /// Until when it holds, as RFC 3339 writes it.
    pub expires_at: String,
}

/// Returns the claim that the App `id`, by the number or by the client id, makes now; what [`signed`] puts together
/// is good for nine minutes.
#[must_use]
pub fn claim(id: &str, now: Moment) -> String {
    let seconds = now.0.div_euclid(1000);
    let head = serde_json::json!({ "alg": "RS256", "typ": "JWT" });
    let says = serde_json::json!({
        "iat": seconds.saturating_sub(DATED_BACK),
        "exp": seconds.saturating_add(HOLDS_FOR),
        "iss": id,
    });
    format!("{}.{}", URL_SAFE_NO_PAD.encode(head.to_string()), URL_SAFE_NO_PAD.encode(says.to_string()))
}

/// Returns a claim with its signature, RSASSA-PKCS1-v1_5 with SHA-256.
#[must_use]
pub fn signed(claim: &str, signature: &[u8]) -> String {
    format!("{claim}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// Describes the question, by a claim, where the App is installed for a repository.
#[must_use]
pub fn ask_installation(api: &str, repository: &str) -> Ask {
    Ask::get(format!("{api}/repos/{}/installation", post::escaped(repository, "/")))
}

/// Reads the answer to it.
///
/// # Errors
/// What the answer means instead, for everything that was to be done there.
pub fn read_installation(answer: &HttpAnswer<'_>) -> Result<u64, Answer> {
    match answer.status {
        200..=299 => field(answer, "id").and_then(|id| id.as_u64()).ok_or_else(unreadable),
        404 => Err(Answer::Ours(format!(
            "the App is not installed for this repository: install it there, or give the repository's present name{}",
            post::words(answer)
        ))),
        _ => Err(refused(answer, "")),
    }
}

/// Describes the request, by a claim, for a token of an installation that is good for one purpose in one repository.
#[must_use]
pub fn ask_token(api: &str, installation: u64, repository: &str, purpose: Purpose) -> Ask {
    // GitHub takes the name without its owner, whom the installation belongs to.
    let name = repository.rsplit('/').next().unwrap_or_default();
    let (permission, extent) = purpose.permission();
    let body = serde_json::json!({ "repositories": [name], "permissions": { permission: extent } });
    Ask::with("POST", format!("{api}/app/installations/{installation}/access_tokens"), &body)
}

/// Reads the answer to it.
///
/// # Errors
/// What the answer means instead, for everything that was to be done by the token.
pub fn read_token(purpose: Purpose, answer: &HttpAnswer<'_>) -> Result<Grant, Answer> {
    let (permission, extent) = purpose.permission();
    match answer.status {
        200..=299 => {
            let text = |name| field(answer, name)?.as_str().map(str::to_owned);
            let token = text("token").and_then(|token| Secret::new(&token).ok());
            let grant = token.zip(text("expires_at"));
            let (token, expires_at) = grant.ok_or_else(unreadable)?;
            Ok(Grant { token, expires_at })
        }
        _ => Err(refused(answer, &format!("{permission}: {extent}"))),
    }
}

/// Returns whether an installation is no longer there: the App may have been installed anew, under another number.
#[must_use]
pub fn is_gone(answer: &HttpAnswer<'_>) -> bool {
    answer.status == 404
}

/// Returns whether an answer may be due to the token, so that it is not to be used again: it was revoked, or what it
/// may do has been changed since it was made. A token that is only used too often is as good as before.
#[must_use]
pub fn blames_token(answer: &HttpAnswer<'_>) -> bool {
    matches!(answer.status, 401 | 403 | 404) && github::limited(answer).is_none()
}

/// Returns whether the same request is worth another try with another token.
#[must_use]
pub fn refuses_token(answer: &HttpAnswer<'_>) -> bool {
    answer.status == 401
}

fn field(answer: &HttpAnswer<'_>, name: &str) -> Option<serde_json::Value> {
    let body: serde_json::Value = serde_json::from_slice(answer.body).ok()?;
    body.get(name).cloned()
}

fn unreadable() -> Answer {
    Answer::Ours("what answers there does not answer as GitHub does: check api of this forge".to_owned())
}

/// Says what it means that GitHub refuses the App something that takes a permission.
fn refused(answer: &HttpAnswer<'_>, permission: &str) -> Answer {
    if let Some(limited) = github::limited(answer) {
        return limited;
    }
    let words = post::words(answer);
    let said = match answer.status {
        401 => format!(
            "GitHub does not believe who the App is: check app.id and app.key of this forge, and this machine's clock{words}"
        ),
        403 => format!("the App may not do this: look whether its installation is suspended{words}"),
        404 => format!("the App's installation is gone: install the App for this repository{words}"),
        422 => format!(
            "the App's installation does not cover this: give the App the permission {permission}, accept that where it is installed, and let the installation cover this repository{words}"
        ),
        _ => return post::classify(answer),
    };
    Answer::Ours(said)
}

#[cfg(test)]
mod tests;
