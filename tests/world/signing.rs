//! Signs commits as git does with a key of SSH, with ring and by PROTOCOL.sshsig of OpenSSH.
#![allow(dead_code, reason = "no test uses all of it")]

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::digest::SHA512;
use ring::digest::digest;
use ring::signature::Ed25519KeyPair;
use ring::signature::KeyPair;

const KIND: &[u8] = b"ssh-ed25519";

/// A key of Ed25519.
pub struct SigningKey(Ed25519KeyPair);

impl SigningKey {
    /// Returns the key of a number.
    pub fn of(number: u8) -> Self {
        Self(Ed25519KeyPair::from_seed_unchecked(&[number; 32]).unwrap())
    }

    fn blob(&self) -> Vec<u8> {
        strings(&[KIND, self.0.public_key().as_ref()])
    }

    /// Returns the line that lists it.
    pub fn listed(&self) -> String {
        format!("bed@example.com ssh-ed25519 {}\n", STANDARD.encode(self.blob()))
    }

    /// Returns a commit as Git stores it with a signature.
    pub fn sign(&self, commit: &str) -> String {
        signed(commit, &self.blob(), |signed| strings(&[KIND, self.0.sign(signed).as_ref()]))
    }
}

/// Returns a commit with the signature of a key; `sign` makes its inner part.
pub fn signed(commit: &str, key: &[u8], sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    let hashed = digest(&SHA512, commit.as_bytes());
    let signed = [b"SSHSIG", &strings(&[b"git", b"", b"sha512", hashed.as_ref()])[..]].concat();
    let inner = sign(&signed);
    let blob = [b"SSHSIG\0\0\0\x01", &strings(&[key, b"git", b"", b"sha512", &inner])[..]].concat();
    let armour =
        format!("-----BEGIN SSH SIGNATURE-----\n {}\n -----END SSH SIGNATURE-----", STANDARD.encode(blob));
    commit.replacen("\n\n", &format!("\ngpgsig {armour}\n\n"), 1)
}

/// Writes strings of SSH.
pub fn strings(parts: &[&[u8]]) -> Vec<u8> {
    let mut all = Vec::new();
    for part in parts {
        all.extend(u32::try_from(part.len()).unwrap().to_be_bytes());
        all.extend_from_slice(part);
    }
    all
}
