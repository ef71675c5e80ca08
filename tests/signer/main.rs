//! Who signed a commit, by commits and keys that git, ssh-keygen and gpg made.
//!
//! In `vectors`, `commit-*` are commits as `git cat-file commit` prints them, made at 2026-06-01T12:00:00Z by the key that
//! they are called by; `*.pub` are lines of ssh-keygen, `openpgp-*.asc` exports of gpg. The private keys are gone.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test may panic")]

mod flags;
mod hardware;
mod lists;
#[path = "../world/signing.rs"]
mod signing;

use std::path::Path;

use windlass::commit::CommitId;
use windlass::signer::Refusal;
use windlass::signer::Signers;

/// Reads a vector.
fn vector(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/signer/vectors");
    std::fs::read(folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn text(name: &str) -> String {
    String::from_utf8(vector(name)).unwrap()
}

/// Returns a line that lists a vector's key, with options before it.
fn line(options: &str, key: &str) -> String {
    format!("thor@example.org {options} {}", text(&format!("{key}.pub")))
}

fn signers(list: &str) -> Signers {
    Signers::read(list).unwrap_or_else(|wrong| panic!("{wrong:?}"))
}

fn id(digits: usize) -> CommitId {
    CommitId::parse(&"a".repeat(digits)).unwrap()
}

/// Judges a commit, and returns its key or what is said of it.
fn judge(list: &str, commit: &[u8]) -> Result<String, Refusal> {
    signers(list).judge(&id(40), commit)
}

fn said(list: &str, commit: &str) -> String {
    judge(list, &vector(commit)).unwrap_err().to_string()
}

/// Every key of SSH and OpenPGP that is verified, in one list.
fn all() -> String {
    let ssh = ["ed25519", "p256", "p384", "rsa"].map(|key| line("", key)).concat();
    let openpgp = ["ed", "rsa", "p256", "p384"].map(|key| text(&format!("openpgp-{key}.asc"))).join("\n");
    format!("# people\n{ssh}\n{openpgp}")
}

#[test]
fn what_git_signed_is_good_by_its_key() {
    for (commit, key) in [
        ("ssh-ed25519", "SSH key SHA256:di93zr7MVaojitzeD+IxQ4KgwbiwsoOAB8N+k3CcCLM"),
        ("ssh-p256", "SSH key SHA256:91B4eqnsay+u9ah0l1rGWTCj1Nx5SooBdIINyRgdhJY"),
        ("ssh-p384", "SSH key SHA256:+feDpzJ1rPTw51UUymnL0pFSROSwh6HzQBwiJfjGIoI"),
        ("ssh-rsa", "SSH key SHA256:j7+PSfFCMU9ILF9uz4nELF3TEZgrR0jpAr/iKivIexs"),
        ("ssh-rsa-sha256", "SSH key SHA256:j7+PSfFCMU9ILF9uz4nELF3TEZgrR0jpAr/iKivIexs"),
        ("openpgp-ed", "OpenPGP key A20CADFBDFC1D306141EC4286924516293C9BAA7"),
        ("openpgp-rsa", "OpenPGP key 1A654C419D48DFCD4252197CBEC96BF8F543AC70"),
        ("openpgp-p256", "OpenPGP key 3C661FBE675A8A5CEFDDF21E455686E1F8C960A0"),
        ("openpgp-p384", "OpenPGP key 1618AE3348D73BAD8B403DBDA7DAD1D758CFB565"),
    ] {
        assert_eq!(judge(&all(), &vector(&format!("commit-{commit}"))).as_deref(), Ok(key), "{commit}");
    }
    let by_sha256 = vector("commit-sha256-ssh-ed25519");
    assert!(signers(&all()).judge(&id(64), &by_sha256).is_ok());
    assert_eq!(signers(&all()).judge(&id(40), &by_sha256), Err(Refusal::Unsigned), "another header counts");
}

#[test]
fn whatever_does_not_count_is_told_from_the_rest() {
    let ed = line("", "ed25519");
    for (list, commit, words) in [
        (all(), "unsigned", "is not signed"),
        (
            all(),
            "ssh-other",
            "is signed by SSH key SHA256:4MG299wifI6XCtsFtZW2Xff+ZWCY/jLzRO+HnfwHiwU, which is not listed",
        ),
        (all(), "ssh-p521", "which is not listed"),
        (
            ed.clone(),
            "openpgp-ed",
            "is signed by OpenPGP key A20CADFBDFC1D306141EC4286924516293C9BAA7, which is not listed",
        ),
        (
            text("openpgp-ed.asc"),
            "openpgp-dsa",
            "is signed by OpenPGP key 9D4258EC43C3DEDA6F590234794B17C1636A83D7, which is not listed",
        ),
        (text("openpgp-ed.asc"), "ssh-ed25519", "which is not listed"),
        (ed, "ssh-ed25519-file", "for `file` and not for `git`"),
        (all(), "ssh-rsa-sha1", "with RSA and SHA-1"),
        (line("namespaces=\"file,email\"", "ed25519"), "ssh-ed25519", "not for the namespace git"),
        (line("namespaces=\"*,!git\"", "ed25519"), "ssh-ed25519", "not for the namespace git"),
        (
            line("valid-before=\"20260601Z\"", "ed25519"),
            "ssh-ed25519",
            "is of 2026-06-01T12:00:00Z, and SSH key SHA256:di93zr7MVaojitzeD+IxQ4KgwbiwsoOAB8N+k3CcCLM was valid until 2026-06-01T00:00:00Z",
        ),
        (
            line("valid-after=\"20260601120001\"", "ed25519"),
            "ssh-ed25519",
            "is valid from 2026-06-01T12:00:01Z on",
        ),
        (text("openpgp-ed-expired.asc"), "openpgp-ed", "was valid until 2026-03-03T23:59:59Z"),
        (text("openpgp-ed-subkey-expired.asc"), "openpgp-ed", "was valid until 2026-03-03T23:59:59Z"),
        (text("openpgp-ed-revoked.asc"), "openpgp-ed", "which was revoked"),
        (text("openpgp-ed-subkey-revoked.asc"), "openpgp-ed", "which was revoked"),
    ] {
        let said = said(&list, &format!("commit-{commit}"));
        assert!(said.contains(words), "{commit}: {said}");
    }
}

#[test]
fn a_line_that_fits_is_enough_and_its_options_are_openssh_s() {
    let fits = [
        "namespaces=\"git\"",
        "namespaces=\"file,g?t\"",
        "NAMESPACES=\"*\",valid-after=\"20260601\",valid-before=\"20260601120000Z\"",
        "valid-after=\"202606011200Z\"",
    ];
    for options in fits {
        assert!(judge(&line(options, "ed25519"), &vector("commit-ssh-ed25519")).is_ok(), "{options}");
    }
    let twice = line("valid-before=\"20250101\"", "ed25519") + &line("", "ed25519");
    assert!(judge(&twice, &vector("commit-ssh-ed25519")).is_ok());
    let quoted = format!("\"A U Thor,*@example.org\" {}", text("ed25519.pub"));
    assert!(judge(&quoted, &vector("commit-ssh-ed25519")).is_ok());
}

/// Each byte of a signed commit: whatever is changed, it is not good any more.
#[test]
fn no_byte_can_be_changed() {
    let signers = signers(&all());
    for name in ["ssh-ed25519", "ssh-p256", "openpgp-ed", "openpgp-p384"] {
        let good = vector(&format!("commit-{name}"));
        assert!(signers.judge(&id(40), &good).is_ok());
        let mut unchanged = Vec::new();
        for at in 0..good.len() {
            for bit in [1, 0x20] {
                let mut changed = good.clone();
                changed[at] ^= bit;
                if signers.judge(&id(40), &changed).is_ok() {
                    unchanged.push(at);
                }
            }
        }
        // In OpenPGP, the sum behind the base64 and the start of the digest prove nothing.
        let shown = String::from_utf8_lossy(&good);
        let free = shown.lines().find(|line| line.starts_with(" =")).map_or(0, str::len);
        let most = if name.starts_with("openpgp") { 2 * free + 8 } else { 0 };
        assert!(unchanged.len() <= most, "{name}: {unchanged:?} in\n{shown}");
        let (head, message) = shown.split_once("\n\n").unwrap();
        let message_starts = head.len();
        assert!(
            unchanged.iter().all(|at| *at < message_starts && shown[..*at].contains("gpgsig ")),
            "{message}"
        );
    }
}

#[test]
fn what_is_cut_short_anywhere_is_not_good() {
    let signers = signers(&all());
    for name in ["ssh-ed25519", "ssh-rsa", "openpgp-rsa", "openpgp-ed"] {
        let good = vector(&format!("commit-{name}"));
        for end in 0..good.len() {
            assert!(signers.judge(&id(40), &good[..end]).is_err(), "{name} up to {end}");
        }
    }
}

#[test]
fn a_signature_is_of_one_commit() {
    let (one, other) = (text("commit-ssh-ed25519"), text("commit-unsigned"));
    let (start, end) = (one.find("gpgsig ").unwrap(), one.find("-----END SSH SIGNATURE-----\n").unwrap());
    let signature = &one[start..end + "-----END SSH SIGNATURE-----\n".len()];
    let (head, message) = other.split_once("\n\n").unwrap();
    let moved = format!("{head}\n{signature}\n{message}");
    let said = judge(&all(), moved.as_bytes()).unwrap_err().to_string();
    assert!(said.contains("does not hold"), "{said}");
}
