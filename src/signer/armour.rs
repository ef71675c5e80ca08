//! Bytes as text between two lines with dashes.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// What a signature is made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Ssh,
    OpenPgp,
}

/// The lines around signatures.
const SSH: [&str; 2] = ["-----BEGIN SSH SIGNATURE-----", "-----END SSH SIGNATURE-----"];
const OPENPGP: [&str; 2] = ["-----BEGIN PGP SIGNATURE-----", "-----END PGP SIGNATURE-----"];
const X509: &str = "-----BEGIN SIGNED MESSAGE-----";
/// The lines around keys of OpenPGP.
pub(super) const KEYS: [&str; 2] =
    ["-----BEGIN PGP PUBLIC KEY BLOCK-----", "-----END PGP PUBLIC KEY BLOCK-----"];

/// Reads a signature; the error reads on after "it cannot be read:".
pub(super) fn signature(text: &[u8]) -> Result<(Kind, Vec<u8>), &'static str> {
    let text = std::str::from_utf8(text).map_err(|_| "it is no text")?;
    match text.lines().next().unwrap_or_default() {
        first if first == SSH[0] => Ok((Kind::Ssh, read(text, SSH)?)),
        first if first == OPENPGP[0] => Ok((Kind::OpenPgp, read(text, OPENPGP)?)),
        X509 => Err("it is one of X.509"),
        _ => Err("it is neither one of SSH nor one of OpenPGP"),
    }
}

/// Reads what stands between two lines: in OpenPGP headers up to an empty line, in both base64, and in OpenPGP a sum
/// behind it, which proves nothing and is passed over.
pub(super) fn read(text: &str, [begin, end]: [&str; 2]) -> Result<Vec<u8>, &'static str> {
    let mut lines: Vec<&str> = text.lines().map(|line| line.trim_end_matches([' ', '\t'])).collect();
    if lines.first() != Some(&begin) || lines.pop() != Some(end) {
        return Err("its last line is missing");
    }
    lines.remove(0);
    if let Some(empty) = lines.iter().position(|line| line.is_empty()) {
        let (headers, rest) = lines.split_at(empty);
        if headers.iter().any(|line| !line.contains(": ")) {
            return Err("it has an empty line");
        }
        lines = rest.get(1..).unwrap_or_default().to_vec();
    }
    let sum = lines.last().is_some_and(|line| line.len() == 5 && line.starts_with('='));
    if sum {
        lines.pop();
    }
    STANDARD.decode(lines.concat()).map_err(|_| "it is no base64")
}

#[cfg(test)]
mod tests {
    use super::Kind;
    use super::signature;

    #[test]
    fn both_kinds_are_read_and_others_named() {
        let ssh =
            |inner: &str| format!("-----BEGIN SSH SIGNATURE-----\n{inner}-----END SSH SIGNATURE-----\n");
        let pgp =
            |inner: &str| format!("-----BEGIN PGP SIGNATURE-----\n{inner}-----END PGP SIGNATURE-----\n");
        let cases = [
            (ssh("AAEC\nAwQ=\n"), Ok((Kind::Ssh, vec![0, 1, 2, 3, 4]))),
            (pgp("\nAAEC\n=abcd\n"), Ok((Kind::OpenPgp, vec![0, 1, 2]))),
            (pgp("Version: 1\nComment: a b\n\nAAEC\n=abcd\n"), Ok((Kind::OpenPgp, vec![0, 1, 2]))),
            (pgp("AAEC\n"), Ok((Kind::OpenPgp, vec![0, 1, 2]))),
            (pgp("AA\n\nAAEC\n"), Err("it has an empty line")),
            (ssh("AAE\n"), Err("it is no base64")),
            (ssh("AAEC\n").replace("END", "AND"), Err("its last line is missing")),
            ("-----BEGIN SIGNED MESSAGE-----\n".to_owned(), Err("it is one of X.509")),
            (String::new(), Err("it is neither one of SSH nor one of OpenPGP")),
        ];
        for (text, read) in cases {
            assert_eq!(signature(text.as_bytes()), read, "{text}");
        }
        assert_eq!(signature(b"\xff"), Err("it is no text"));
    }
}
