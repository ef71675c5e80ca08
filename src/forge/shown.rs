//! The headers of a delivery as people may see them.

use crate::forge::Request;

/// How many headers are kept?
const HEADERS: usize = 32;

/// How many characters of a header's value are kept?
const VALUE_CHARS: usize = 120;

/// What stands where a value stood that may be secret.
const MASK: &str = "***";

/// Headers with values that are no secrets, beside those of the forges.
const PLAIN: &[&str] = &[
    "accept",
    "content-length",
    "content-type",
    "host",
    "idempotency-key",
    "user-agent",
    "webhook-id",
    "webhook-timestamp",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-request-id",
];

/// What the forges' own headers begin with.
const FORGES: &[&str] = &["x-forgejo-", "x-gitea-", "x-github-", "x-gitlab-", "x-gogs-"];

/// What is in the name of a forge's header whose value proves something.
const PROOFS: &[&str] = &["signature", "token", "secret"];

/// Returns the headers of a request, those that only forges send first, then by name; at most 32. What is not known to be harmless is masked: users may set headers of
/// their own, and put secrets there.
#[must_use]
pub fn shown(request: &Request<'_>) -> Vec<(String, String)> {
    let one = |(name, value): &(&str, &str)| {
        let value = if is_plain(name) { value.chars().take(VALUE_CHARS).collect() } else { MASK.to_owned() };
        (name.chars().take(VALUE_CHARS).collect(), value)
    };
    let mut headers: Vec<&(&str, &str)> = request.headers.iter().collect();
    headers.sort_by_key(|(name, _)| (!is_of_a_forge(name), *name));
    headers.into_iter().take(HEADERS).map(one).collect()
}

/// Returns whether a request names an event as forges do. Strangers rarely do, though they could.
#[must_use]
pub fn names_an_event(request: &Request<'_>) -> bool {
    let names = |name: &str| FORGES.iter().any(|start| name.strip_prefix(start) == Some("event"));
    request.headers.iter().any(|(name, _)| names(name))
}

fn is_of_a_forge(name: &str) -> bool {
    FORGES.iter().any(|start| name.starts_with(start))
}

fn is_plain(name: &str) -> bool {
    let proves = PROOFS.iter().any(|part| name.contains(part));
    PLAIN.contains(&name) || (is_of_a_forge(name) && !proves)
}

#[cfg(test)]
mod tests {
    use super::shown;
    use crate::forge::Request;
    use crate::moment::Moment;

    #[test]
    fn what_may_be_secret_is_masked_and_the_rest_is_cut() {
        let long = "é".repeat(500);
        let cut = "é".repeat(120);
        let cases = [
            ("content-type", "application/json", "application/json"),
            ("x-github-delivery", "72d3162e", "72d3162e"),
            ("x-gitlab-event", "Push Hook", "Push Hook"),
            ("user-agent", long.as_str(), cut.as_str()),
            ("x-hub-signature-256", "sha256=12", "***"),
            ("x-gitea-signature", "12", "***"),
            ("x-gitlab-token", "secret", "***"),
            ("webhook-signature", "v1,12", "***"),
            ("authorization", "Bearer 12", "***"),
            ("cookie", "a=b", "***"),
            ("x-api-key", "12", "***"),
            ("x-our-own", "12", "***"),
        ];
        for (name, value, expected) in cases {
            let request = Request { headers: &[(name, value)], body: b"", now: Moment(0) };
            assert_eq!(shown(&request), [(name.to_owned(), expected.to_owned())]);
        }
        let many = vec![("accept", "*/*"); 100];
        assert_eq!(shown(&Request { headers: &many, body: b"", now: Moment(0) }).len(), 32);
    }
}
