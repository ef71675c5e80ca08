//! Keys and signatures of OpenPGP, as RFC 9580 has them in version 4.
//!
//! Of a certificate counts what its primary key says of itself and of its subkeys, by signatures with SHA-2. What others
//! say of it does not count. A revocation counts as soon as it stands there.

use super::Refusal;
use super::maths::Flaw;
use super::maths::Public;
use super::window::Window;

mod certificate;
mod key;
mod packet;
mod signature;

pub(super) use certificate::read;

use key::Fingerprint;
use signature::Signature;

/// The kind of signatures over bytes as they are, which Git asks for.
const BINARY: u8 = 0x00;

/// A key of a certificate that may sign.
#[derive(Clone, Debug)]
pub(super) struct SigningKey {
    fingerprint: Fingerprint,
    public: Public,
    /// When it and its primary key are valid.
    window: Window,
    /// Was one of the two revoked?
    revoked: bool,
}

/// Judges a signature by the keys of the list; returns the key that made it, in words.
pub(super) fn judge(keys: &[SigningKey], blob: &[u8], payload: &[u8]) -> Result<String, Refusal> {
    const CUT: Refusal = Refusal::Unreadable("its packets are damaged");
    let mut packets = packet::Packets(blob);
    let packet = packets.next().ok_or(CUT)?.ok_or(CUT)?;
    if packets.next().is_some() {
        return Err(Refusal::Unreadable("there is more than one"));
    }
    if packet.tag != packet::SIGNATURE {
        return Err(Refusal::Unreadable("it is no signature of OpenPGP"));
    }
    let signature = Signature::read(packet.body).map_err(Refusal::Unreadable)?;
    if signature.kind != BINARY {
        return Err(Refusal::Unreadable("it is one over a text or a key"));
    }
    let made = signature.made.ok_or(Refusal::Unreadable("it does not say when it was made"))?;
    if signature.expires_after.is_some() {
        return Err(Refusal::Unreadable("it has an end of its own"));
    }
    let name = signature.issuer_name().ok_or(Refusal::Unreadable("it does not say by which key it is"))?;
    let key = keys.iter().find(|key| signature.names(&key.fingerprint));
    let key = key.ok_or_else(|| Refusal::Unlisted(format!("OpenPGP key {name}")))?;
    let name = format!("OpenPGP key {}", key.fingerprint);
    signature.verify(&key.public, payload).map_err(|flaw| match flaw {
        Flaw::Weak(way) => Refusal::Weak { key: name.clone(), way },
        Flaw::Broken => Refusal::Broken(name.clone()),
    })?;
    if key.revoked {
        return Err(Refusal::Revoked(name));
    }
    key.window.judge(&name, made)?;
    Ok(name)
}
