//! Keys and signatures of SSH: the wire format of RFC 4253, 5656 and 8709, keys in hardware as PROTOCOL.u2f has them, and
//! signatures as PROTOCOL.sshsig has them, both of OpenSSH.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use super::Refusal;
use super::bytes::Bytes;
use super::maths::Curve;
use super::maths::Flaw;
use super::maths::Hash;
use super::maths::Public;
use super::maths::Raw;
use super::window::Window;

/// What signatures of Git are made for.
const NAMESPACE: &[u8] = b"git";
/// How a signature begins, and what is signed.
const MAGIC: &[u8] = b"SSHSIG";
/// The version of signatures that is read.
const VERSION: u32 = 1;
/// How many bytes of a strange namespace are shown?
const SHOWN: usize = 40;

const ED25519: &str = "ssh-ed25519";
const P256: &str = "ecdsa-sha2-nistp256";
const P384: &str = "ecdsa-sha2-nistp384";
const RSA: &str = "ssh-rsa";
const HARDWARE_ED25519: &str = "sk-ssh-ed25519@openssh.com";
const HARDWARE_P256: &str = "sk-ecdsa-sha2-nistp256@openssh.com";

/// A line of the list.
#[derive(Clone, Debug)]
pub(super) struct Listed {
    /// Its key as SSH writes it.
    pub(super) blob: Vec<u8>,
    /// The same, read.
    pub(super) key: Key,
    /// May it sign for Git?
    pub(super) for_git: bool,
    /// When it is valid.
    pub(super) window: Window,
}

/// A public key.
#[derive(Clone, Debug)]
pub(super) struct Key {
    public: Public,
    /// For one in hardware, the application that it is for.
    application: Option<Vec<u8>>,
}

/// Says whether a word is how keys of SSH are called, of a kind that is read or not.
pub(super) fn is_kind(word: &str) -> bool {
    ["ssh-", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-", "webauthn-sk-"]
        .iter()
        .any(|start| word.starts_with(start))
}

impl Key {
    /// Reads a key that its line calls `kind`; the error reads on after "the key".
    pub(super) fn read(kind: &str, blob: &[u8]) -> Result<Self, &'static str> {
        const CUT: &str = "is damaged: copy the line of its .pub file anew";
        let mut bytes = Bytes(blob);
        if bytes.string() != Some(kind.as_bytes()) {
            return Err("is of another kind than its line says: copy the line of its .pub file anew");
        }
        let point = |bytes: &mut Bytes<'_>, name: &[u8], curve| {
            let named = bytes.string().ok_or(CUT)?;
            let point = bytes.string().ok_or(CUT)?;
            if named == name { Public::ecdsa(curve, point) } else { Err(CUT) }
        };
        let public = match kind {
            ED25519 | HARDWARE_ED25519 => Public::ed25519(bytes.string().ok_or(CUT)?)?,
            P256 | HARDWARE_P256 => point(&mut bytes, b"nistp256", Curve::P256)?,
            P384 => point(&mut bytes, b"nistp384", Curve::P384)?,
            RSA => {
                let (e, n) = bytes.mpint().zip(bytes.mpint()).ok_or(CUT)?;
                Public::rsa(n, e)?
            }
            _ if kind.contains("-cert-") => {
                return Err("is a certificate, and those are not followed: list the key itself");
            }
            "ssh-dss" => return Err("is one of DSA, which is too weak: make another one"),
            _ => {
                return Err("is of a kind that is not verified: make one with ssh-keygen -t ed25519");
            }
        };
        let application = match kind {
            HARDWARE_ED25519 | HARDWARE_P256 => Some(bytes.string().ok_or(CUT)?.to_vec()),
            _ => None,
        };
        bytes.end().ok_or(CUT)?;
        Ok(Self { public, application })
    }

    /// Verifies a signature as it stands in its envelope: the name of its way, and what that brings.
    fn verify(&self, signature: &[u8], signed: &[u8]) -> Result<(), Flaw> {
        let mut bytes = Bytes(signature);
        let (way, raw) = bytes.string().zip(bytes.string()).ok_or(Flaw::Broken)?;
        let hash = match (&self.public, way) {
            (Public::Rsa { .. }, b"rsa-sha2-256") => Hash::Sha256,
            (Public::Rsa { .. }, b"rsa-sha2-512") => Hash::Sha512,
            (Public::Rsa { .. }, b"ssh-rsa") => return Err(Flaw::Weak("RSA and SHA-1")),
            (_, b"webauthn-sk-ecdsa-sha2-nistp256@openssh.com") => {
                return Err(Flaw::Weak("WebAuthn, which is not verified"));
            }
            _ if way != self.way().as_bytes() => return Err(Flaw::Broken),
            (Public::Ecdsa(Curve::P384, _), _) => Hash::Sha384,
            _ => Hash::Sha256,
        };
        // In hardware, what is signed names the application, what the key says of its owner, and how often it signed.
        let mut by_hardware = Vec::new();
        if let Some(application) = &self.application {
            by_hardware.extend_from_slice(Hash::Sha256.of(application).as_ref());
            by_hardware.extend_from_slice(bytes.take(1 + 4).ok_or(Flaw::Broken)?);
            by_hardware.extend_from_slice(Hash::Sha256.of(signed).as_ref());
        }
        bytes.end().ok_or(Flaw::Broken)?;
        let signed = if self.application.is_some() { &by_hardware } else { signed };
        if !matches!(self.public, Public::Ecdsa(..)) {
            return self.public.verify(hash, signed, Raw::Whole(raw));
        }
        let mut numbers = Bytes(raw);
        let (r, s) = numbers.mpint().zip(numbers.mpint()).ok_or(Flaw::Broken)?;
        numbers.end().ok_or(Flaw::Broken)?;
        self.public.verify(hash, signed, Raw::Pair(r, s))
    }

    /// Returns the one way in which a key signs that is not RSA.
    fn way(&self) -> &'static str {
        match (&self.public, &self.application) {
            (Public::Ed25519(_), None) => ED25519,
            (Public::Ed25519(_), Some(_)) => HARDWARE_ED25519,
            (Public::Ecdsa(Curve::P256, _), None) => P256,
            (Public::Ecdsa(Curve::P256, _), Some(_)) => HARDWARE_P256,
            (Public::Ecdsa(Curve::P384, _), _) => P384,
            (Public::Rsa { .. }, _) => RSA,
        }
    }
}

/// A signature in its envelope.
struct Envelope<'a> {
    key: &'a [u8],
    namespace: &'a [u8],
    reserved: &'a [u8],
    hash_name: &'a [u8],
    hash: Hash,
    signature: &'a [u8],
}

impl<'a> Envelope<'a> {
    fn read(blob: &'a [u8]) -> Result<Self, &'static str> {
        const CUT: &str = "its envelope is damaged";
        let mut bytes = Bytes(blob);
        if bytes.take(MAGIC.len()) != Some(MAGIC) {
            return Err(CUT);
        }
        if bytes.word() != Some(VERSION) {
            return Err("it is of another version than 1");
        }
        let mut string = || bytes.string().ok_or(CUT);
        let (key, namespace, reserved) = (string()?, string()?, string()?);
        let (hash_name, signature) = (string()?, string()?);
        bytes.end().ok_or(CUT)?;
        let hash = match hash_name {
            b"sha256" => Hash::Sha256,
            b"sha512" => Hash::Sha512,
            _ => return Err("its digest is neither SHA-256 nor SHA-512"),
        };
        Ok(Self { key, namespace, reserved, hash_name, hash, signature })
    }

    /// Returns what was signed: not the payload, but what it is for and its digest.
    fn signed(&self, payload: &[u8]) -> Vec<u8> {
        let digest = self.hash.of(payload);
        let mut signed = MAGIC.to_vec();
        for part in [self.namespace, self.reserved, self.hash_name, digest.as_ref()] {
            signed.extend(u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
            signed.extend_from_slice(part);
        }
        signed
    }
}

/// Judges a signature by the lines of the list; returns the key that made it, in words.
pub(super) fn judge(listed: &[Listed], blob: &[u8], payload: &[u8], made: i64) -> Result<String, Refusal> {
    let envelope = Envelope::read(blob).map_err(Refusal::Unreadable)?;
    let key = fingerprint(envelope.key);
    if envelope.namespace != NAMESPACE {
        let shown = envelope.namespace.get(..SHOWN).unwrap_or(envelope.namespace);
        return Err(Refusal::Namespace { key, namespace: shown.escape_ascii().to_string() });
    }
    let lines: Vec<&Listed> = listed.iter().filter(|line| line.blob == envelope.key).collect();
    let Some(first) = lines.first() else { return Err(Refusal::Unlisted(key)) };
    first.key.verify(envelope.signature, &envelope.signed(payload)).map_err(|flaw| match flaw {
        Flaw::Weak(way) => Refusal::Weak { key: key.clone(), way },
        Flaw::Broken => Refusal::Broken(key.clone()),
    })?;
    // A key may be listed more than once; one line that fits will do, and the first that does not says why.
    let mut refused = None;
    for line in lines {
        let fits =
            if line.for_git { line.window.judge(&key, made) } else { Err(Refusal::NotForGit(key.clone())) };
        match fits {
            Ok(()) => return Ok(key),
            Err(why) => refused = refused.or(Some(why)),
        }
    }
    Err(refused.unwrap_or(Refusal::Unlisted(key)))
}

/// Returns how OpenSSH calls a key.
fn fingerprint(blob: &[u8]) -> String {
    format!("SSH key SHA256:{}", STANDARD_NO_PAD.encode(Hash::Sha256.of(blob)))
}
