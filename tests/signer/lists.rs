//! Lists that are refused, by line and in words.

use windlass::signer::Signers;

use super::line;
use super::signers;
use super::text;

fn wrong(list: &str) -> Vec<String> {
    Signers::read(list).expect_err(list).iter().map(ToString::to_string).collect()
}

#[test]
fn what_cannot_be_followed_is_refused_by_its_line() {
    let key = text("ed25519.pub");
    let good = line("", "ed25519");
    for (list, words) in [
        (String::new(), "line 1: no key is listed"),
        ("# nobody\n\n".to_owned(), "line 2: no key is listed"),
        (format!("{good}\n{key}"), "line 3: names nobody before the key"),
        (format!("{good}just words\n"), "line 2: is no line of allowed signers"),
        (format!("a {}", key.replace("AAAA", "AAA")), "line 1: the key is no base64"),
        (
            format!("a ssh-rsa {}", key.split(' ').nth(1).unwrap()),
            "line 1: the key is of another kind than its line says: copy the line",
        ),
        (format!("a b\"c {key}"), "line 1: has a quote that is not closed"),
        (line("cert-authority", "ca"), "line 1: lists an authority"),
        (format!("a {}", text("ed25519-cert.pub")), "line 1: the key is a certificate"),
        (line("", "p521"), "line 1: the key is of a kind that is not verified"),
        (line("", "short"), "line 1: the key is an RSA key of less than 2,048"),
        (line("no-touch", "ed25519"), "line 1: has the unknown option `no-touch`; known: namespaces"),
        (line("valid-after=20260101", "ed25519"), "line 1: valid-after must be a date in quotes"),
        (line("valid-after=\"2026-01-01\"", "ed25519"), "line 1: valid-after must be a date in quotes"),
        (line("namespaces=git", "ed25519"), "line 1: namespaces must have a list in quotes"),
        (
            line("valid-after=\"20260102\",valid-before=\"20260101\"", "ed25519"),
            "line 1: is valid at no time",
        ),
        (line("namespaces=\"git\",namespaces=\"git\"", "ed25519"), "line 1: has namespaces twice: leave one"),
        (line("namespaces=\"git\"x", "ed25519"), "line 1: has something between the quotes"),
        (
            format!("{good}-----BEGIN OPENSSH PRIVATE KEY-----\nabc\n-----END OPENSSH PRIVATE KEY-----\n"),
            "line 2: what begins here is no public key",
        ),
        (
            format!("{good}-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nAAEC\n"),
            "line 2: what begins here has no END: copy the whole block",
        ),
        (
            format!(
                "{good}-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nAAEC\n-----END PGP PUBLIC KEY BLOCK-----\n"
            ),
            "line 2: the OpenPGP key is damaged",
        ),
        (text("openpgp-dsa.asc"), "line 1: the OpenPGP key is of a kind that is not verified, such as DSA"),
        (
            text("openpgp-sha1.asc"),
            "line 1: the OpenPGP key says what it may do with a digest that is too weak",
        ),
        (
            text("openpgp-ed-subkey-revoked.asc").replace("PUBLIC", "PRIVATE"),
            "line 1: what begins here is no public key",
        ),
    ] {
        let wrong = wrong(&list);
        assert_eq!(wrong.len(), 1, "{wrong:?}");
        assert!(wrong[0].starts_with(words), "{words}: {wrong:?}");
        assert!(!wrong[0].contains("abc"), "nothing that may be secret is shown");
    }
}

#[test]
fn all_that_is_wrong_is_told_up_to_a_bound() {
    let list = "a ssh-dss AAAA\n".repeat(30);
    assert_eq!(wrong(&list).len(), 20);
    let many = line("", "ed25519").repeat(1_001);
    assert_eq!(wrong(&many), ["line 1001: is one key of more than 1000: list fewer"]);
}

#[test]
fn comments_and_empty_lines_are_passed_over() {
    let list = format!("# people\r\n\r\n  {}\r\n\t# more\n", line("", "ed25519").trim());
    drop(signers(&list));
}

/// Any byte of a certificate that is changed: it is refused, or what signed the commit is not in it any more, or it is
/// where nothing is said by the key itself.
#[test]
fn a_changed_certificate_lets_nobody_else_in() {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    let armour = text("openpgp-ed.asc");
    let inner: String = armour.lines().skip(1).filter(|line| !line.starts_with(['-', '='])).collect();
    let bytes = STANDARD.decode(inner).unwrap();
    let commit = super::vector("commit-openpgp-ed");
    let mut free = Vec::new();
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        let list = format!(
            "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n{}\n-----END PGP PUBLIC KEY BLOCK-----\n",
            STANDARD.encode(changed)
        );
        let Ok(signers) = Signers::read(&list) else { continue };
        if signers.judge(&super::id(40), &commit).is_ok() {
            free.push(at);
        }
    }
    // The starts of the digests of three signatures, and issuers beside what they are over.
    assert!(free.len() <= 3 * (2 + 10), "{free:?}");
}
