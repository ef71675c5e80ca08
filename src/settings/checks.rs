//! What a text in the settings must be like, as rules whose errors say what is allowed.

use crate::application::Dependency;
use crate::application::Name;
use crate::application::SelfHeal;
use crate::application::ServiceAccount;

/// How long may the name of a ServiceAccount be? The API server's own limit.
const NAME_CHARACTERS: usize = 253;

/// Reads the address of something on the web: `http` or `https`, without credentials, query or trailing slash.
pub fn url(text: &str) -> Result<String, String> {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let rest = rest.ok_or("must start with https:// or http://")?;
    let authority = rest.split('/').next().unwrap_or_default();
    if authority.is_empty() || authority.starts_with(':') {
        return Err("must name a host".to_owned());
    }
    if authority.contains('@') {
        return Err(
            "must not hold credentials; what a forge wants is given as token or read_token".to_owned()
        );
    }
    if text.contains(['?', '#', '\\']) || text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err("must have no query, fragment, backslash or space".to_owned());
    }
    Ok(text.trim_end_matches('/').to_owned())
}

/// Says whether the URL of a server holds a password, by its form.
pub fn holds_password(url: &str) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let (before, query) = rest.split_once('?').unwrap_or((rest, ""));
    let user =
        before.split('/').next().and_then(|authority| authority.rsplit_once('@')).map(|(user, _)| user);
    user.is_some_and(|user| user.contains(':')) || query.split('&').any(|one| one.starts_with("password="))
}

/// Returns the scheme, host and port of an address that [`url`] has read, in lowercase.
pub fn origin(url: &str) -> String {
    url.split('/').take(3).collect::<Vec<_>>().join("/").to_lowercase()
}

/// Says whether somebody on the way could read what is sent to an address.
pub fn is_open(url: &str) -> bool {
    let Some(rest) = url.strip_prefix("http://").or_else(|| url.strip_prefix("amqp://")) else {
        return false;
    };
    let authority = rest.split('/').next().unwrap_or_default();
    let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
    !(host == "localhost" || host == "[::1]" || host.starts_with("127."))
}

/// How long may the name of a repository be, in bytes? GitLab takes no longer ones, and deliveries are read to here.
const REPOSITORY_BYTES: usize = 255;

/// Reads `owner/name`, or a name of more parts where the forge allows so many.
pub fn repository(text: &str, parts: usize) -> Result<String, &'static str> {
    let fine = |part: &str| {
        let letters = part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
        !part.is_empty() && part.len() <= 100 && letters && part != "." && part != ".."
    };
    if (2..=parts).contains(&text.split('/').count())
        && text.split('/').all(fine)
        && text.len() <= REPOSITORY_BYTES
    {
        Ok(text.to_owned())
    } else if parts > 2 {
        Err("must be owner/name or, at GitLab, all groups and the name, such as \"team/web/shop\"")
    } else {
        Err("must be owner/name, such as \"team/shop\"")
    }
}

/// Says whether a text may be the number or the client id of a GitHub App.
pub fn is_app_id(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.')
}

/// Reads a full ref name.
pub fn reference(text: &str) -> Result<crate::commit::RefName, String> {
    if text.is_empty() || text.starts_with("refs/") {
        return crate::commit::RefName::parse(text).map_err(|error| error.to_string());
    }
    Err(format!("\"{text}\" is a short name, which a branch and a tag may share: write refs/heads/{text}"))
}

/// Reads a range of versions.
pub fn range(text: &str) -> Result<crate::reference::Range, String> {
    crate::reference::Range::parse(text)
        .map_err(|error| format!("{error}; for one tag of any name, write ref = \"refs/tags/...\""))
}

/// Reads a ServiceAccount, as `name` or `namespace/name`.
pub fn service_account(text: &str) -> Result<ServiceAccount, String> {
    let (namespace, name) = text.split_once('/').map_or((None, text), |(before, name)| (Some(before), name));
    let fine =
        name.len() <= NAME_CHARACTERS && name.split('.').all(is_label) && namespace.is_none_or(is_label);
    let found = || ServiceAccount { namespace: namespace.map(str::to_owned), name: name.to_owned() };
    let wrong =
        || "is no ServiceAccount: give its name, or its namespace/name, such as \"shop/deployer\"".to_owned();
    fine.then(found).ok_or_else(wrong)
}

/// Reads what an application depends on: another one, as `name`, or as `name@cluster`.
pub fn dependency(text: &str) -> Result<Dependency, String> {
    let (application, cluster) =
        text.split_once('@').map_or((text, None), |(application, cluster)| (application, Some(cluster)));
    let found = Name::parse(application).ok().zip(Some(cluster.map(Name::parse).transpose().ok()).flatten());
    found.map(|(application, cluster)| Dependency { application, cluster }).ok_or_else(|| {
        "must be the name of an application, or name@cluster, such as \"db\" or \"db@east\"".to_owned()
    })
}

/// Reads what is done about drift.
pub fn self_heal(text: &str) -> Result<SelfHeal, String> {
    let found = SelfHeal::ALL.into_iter().find(|(name, _)| *name == text);
    let names = SelfHeal::ALL.map(|(name, _)| name).join(", ");
    found.map(|(_, found)| found).ok_or_else(|| format!("must be one of {names}"))
}

/// Reads a folder in a repository; `.` is all of it.
pub fn folder(text: &str) -> Result<String, &'static str> {
    if text.is_empty() || text == "." {
        return Ok(String::new());
    }
    if text.starts_with('/') {
        return Err("must not start with a slash: it is relative to the repository");
    }
    let strange = text.contains('\\') || text.chars().any(char::is_control) || text.len() > 1024;
    if strange
        || text.split('/').any(|part| matches!(part, "" | "." | ".." | ".git"))
        || only_cluster(text).is_none()
    {
        return Err("must be folders with single slashes between them, without . and .. and .git; \
            the only placeholder is {cluster}");
    }
    Ok(text.to_owned())
}

/// Returns the text without its placeholders, nothing when it has other braces.
fn only_cluster(text: &str) -> Option<String> {
    Some(text.replace("{cluster}", "")).filter(|rest| !rest.contains(['{', '}']))
}

/// Reads the name of a namespace, which may contain `{cluster}`; its length is known only with the cluster's name.
pub fn namespace(text: &str) -> Result<String, &'static str> {
    const RULE: &str = "must be a namespace: 1 to 63 lowercase letters, digits and inner dashes";
    if is_label(&text.replace("{cluster}", "x")) { Ok(text.to_owned()) } else { Err(RULE) }
}

/// Says whether Kubernetes takes a text as the name of a namespace.
pub fn is_label(text: &str) -> bool {
    let letters = text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    (1..=63).contains(&text.len()) && letters && !text.starts_with('-') && !text.ends_with('-')
}

/// Reads one of a few words.
pub fn word<T: Copy>(text: &str, words: &[(&str, T)]) -> Result<T, String> {
    let known = words.iter().find(|(word, _)| *word == text);
    known.map(|(_, meaning)| *meaning).ok_or_else(|| {
        let words: Vec<String> = words.iter().map(|(word, _)| format!("\"{word}\"")).collect();
        format!("must be one of {}, not \"{}\"", words.join(", "), text.chars().take(40).collect::<String>())
    })
}

#[cfg(test)]
mod tests {
    use super::folder;
    use super::holds_password;
    use super::is_open;
    use super::namespace;
    use super::repository;
    use super::service_account;
    use super::url;

    #[test]
    fn addresses_are_plain() {
        for (text, fine) in [
            ("https://git.example.org/", Some("https://git.example.org")),
            ("http://127.0.0.1:3000/sub/", Some("http://127.0.0.1:3000/sub")),
            ("git@example.org:a/b", None),
            ("ssh://example.org", None),
            ("https://", None),
            ("https://:80", None),
            ("https://user:pass@example.org", None),
            ("https://example.org?x", None),
            ("https://example.org/a b", None),
        ] {
            assert_eq!(url(text).ok().as_deref(), fine, "{text}");
        }
        for (text, open) in [
            ("http://git.example.org", true),
            ("https://git.example.org", false),
            ("http://127.0.0.1:3000", false),
            ("http://[::1]:3000", false),
            ("http://localhost", false),
            ("amqp://user:password@mq.example.org/vhost", true),
            ("amqp://user:password@127.0.0.1:5672", false),
            ("amqps://user:password@mq.example.org", false),
        ] {
            assert_eq!(is_open(text), open, "{text}");
        }
    }

    #[test]
    fn passwords_are_seen_by_their_place() {
        for (url, holds) in [
            ("amqps://user:password@mq.example.org/vhost", true),
            ("amqps://user@mq.example.org:5671/vhost", false),
            ("postgres://db.example.org/windlass?sslmode=disable", false),
            ("postgres:///windlass?host=/run/postgresql&password=x", true),
            ("postgres:///windlass?host=/run/postgresql", false),
            ("user:password@host", true),
        ] {
            assert_eq!(holds_password(url), holds, "{url}");
        }
    }

    #[test]
    fn folders_stay_inside_the_repository() {
        for (text, fine) in [
            ("", true),
            (".", true),
            ("deploy/{cluster}", true),
            ("/deploy", false),
            ("deploy/", false),
            ("a//b", false),
            ("../x", false),
            ("a/../b", false),
            ("a\\b", false),
            ("{env}", false),
            (".git/x", false),
        ] {
            assert_eq!(folder(text).is_ok(), fine, "{text}");
        }
    }

    #[test]
    fn repositories_and_namespaces_have_their_form() {
        let (deep, deeper) = (["g"; 21].join("/"), ["g"; 22].join("/"));
        let long = format!("{}/{}", "a".repeat(100), "b".repeat(100));
        let longer = format!("{long}/{}", "c".repeat(54));
        for (text, plain, nested) in [
            ("team/shop", true, true),
            ("team", false, false),
            ("a/b/c", false, true),
            (&deep, false, true),
            (&deeper, false, false),
            (&long, true, true),
            (&longer, false, false),
            ("../x", false, false),
            ("a/../x", false, false),
            ("a//x", false, false),
            ("a/b/", false, false),
            ("a/ b", false, false),
        ] {
            assert_eq!(
                (repository(text, 2).is_ok(), repository(text, 21).is_ok()),
                (plain, nested),
                "{text}"
            );
        }
        for (text, fine) in
            [("shop", true), ("shop-{cluster}", true), ("", false), ("Shop", false), ("{x}", false)]
        {
            assert_eq!(namespace(text).is_ok(), fine, "{text}");
        }
        let found = |text: &str| service_account(text).ok().map(|found| (found.namespace, found.name));
        for (text, expected) in [
            ("deployer", Some((None, "deployer".to_owned()))),
            ("shop/team.deployer", Some((Some("shop".to_owned()), "team.deployer".to_owned()))),
            ("", None),
            ("/deployer", None),
            ("shop/", None),
            ("a/b/c", None),
            ("Deployer", None),
            ("shop:admin", None),
            ("sh.op/deployer", None),
        ] {
            assert_eq!(found(text), expected, "{text}");
        }
    }
}
