//! Certificates: a primary key, who it belongs to, its subkeys, and what it says of each.

use super::SigningKey;
use super::key::Key;
use super::packet;
use super::packet::Packet;
use super::packet::Packets;
use super::signature::Signature;
use crate::signer::maths::Public;
use crate::signer::window::Window;

/// The kinds of signatures that mean something here.
const OF_USER: std::ops::RangeInclusive<u8> = 0x10..=0x13;
const OF_SUBKEY: u8 = 0x18;
const BY_SUBKEY: u8 = 0x19;
const OF_KEY: u8 = 0x1f;
const REVOKES_KEY: u8 = 0x20;
const REVOKES_SUBKEY: u8 = 0x28;
const REVOKES_USER: u8 = 0x30;

/// How many packets may one block have? Keys that many people signed have hundreds.
const PACKETS: usize = 10_000;

/// A packet that signatures are about, and those.
struct Part<'a> {
    packet: Packet<'a>,
    signatures: Vec<Signature<'a>>,
}

/// Reads the keys that may sign out of one or more certificates; the error reads on after "the OpenPGP key".
pub(in crate::signer) fn read(bytes: &[u8]) -> Result<Vec<SigningKey>, &'static str> {
    let mut certificates: Vec<Vec<Part<'_>>> = Vec::new();
    for (count, packet) in Packets(bytes).enumerate() {
        let packet = packet.ok_or("is damaged: export it anew")?;
        if count >= PACKETS {
            return Err("has more than 10,000 packets: export it with --export-options export-minimal");
        }
        match (packet.tag, certificates.last_mut()) {
            (packet::KEY, _) => certificates.push(vec![Part { packet, signatures: Vec::new() }]),
            (_, None) => return Err("does not begin with a public key: export it with gpg --armor --export"),
            (packet::SIGNATURE, Some(parts)) => {
                // One of another version or with unknown demands says nothing, as if it were not there.
                let signature = Signature::read(packet.body).ok();
                parts.last_mut().into_iter().for_each(|part| part.signatures.extend(signature.clone()));
            }
            (_, Some(parts)) => parts.push(Part { packet, signatures: Vec::new() }),
        }
    }
    let mut keys = Vec::new();
    for parts in &certificates {
        keys.extend(signing_keys(parts)?);
    }
    Ok(keys)
}

/// Returns the keys of one certificate that may sign; there must be one.
fn signing_keys(parts: &[Part<'_>]) -> Result<Vec<SigningKey>, &'static str> {
    let (first, others) = parts.split_first().ok_or("is empty: export it anew")?;
    let primary = Key::read(first.packet.body)?;
    let public = primary.public.clone()?;
    let word = own_word(&primary, &public, first, others)?;
    let revoked = first.signatures.iter().any(|one| one.kind == REVOKES_KEY);
    let window = validity(&primary, word);
    let mut keys = Vec::new();
    // A key that nothing is said of may do what its kind can do.
    if word.may_sign.unwrap_or(true) {
        keys.push(SigningKey { fingerprint: primary.fingerprint(), public: public.clone(), window, revoked });
    }
    let subkeys = others.iter().filter(|part| part.packet.tag == packet::SUBKEY);
    let subkeys = subkeys.filter_map(|part| subkey(&primary, &public, part));
    keys.extend(subkeys.map(|key| SigningKey {
        window: key.window.within(window),
        revoked: key.revoked || revoked,
        ..key
    }));
    if keys.is_empty() {
        return Err(
            "has neither a primary key nor a subkey that may sign and is verified: add a subkey that signs",
        );
    }
    Ok(keys)
}

/// Returns the latest word of a primary key about itself: by itself, or with one of its user ids.
fn own_word<'a, 'b>(
    primary: &Key<'_>,
    public: &Public,
    first: &'b Part<'a>,
    others: &'b [Part<'a>],
) -> Result<&'b Signature<'a>, &'static str> {
    let own = primary.signed();
    let (fingerprint, mut weak, mut words) = (primary.fingerprint(), false, Vec::new());
    let by_itself = first.signatures.iter().filter(|one| one.kind == OF_KEY).map(|one| (one, own.clone()));
    let users = others.iter().filter(|part| part.packet.tag == packet::USER_ID);
    let with_users = users.flat_map(|part| {
        let revokes =
            |one: &Signature<'_>| one.kind == REVOKES_USER && (one.names(&fingerprint) || one.names_nobody());
        let revoked = part.signatures.iter().any(revokes);
        let over = over_user(&own, part.packet.body);
        let certify = part.signatures.iter().filter(move |one| OF_USER.contains(&one.kind) && !revoked);
        certify.map(move |one| (one, over.clone()))
    });
    for (word, over) in by_itself.chain(with_users) {
        if !word.names(&fingerprint) && !word.names_nobody() {
            continue;
        }
        weak |= word.is_weak();
        if word.made.is_some() && word.verify(public, &over).is_ok() {
            words.push(word);
        }
    }
    let newest = words.into_iter().max_by_key(|word| word.made);
    newest.ok_or(if weak {
        "says what it may do with a digest that is too weak, such as SHA-1: renew its expiry, and export it anew"
    } else {
        "does not say itself what it may do, or in a way that does not hold: export it anew, with its user ids"
    })
}

/// Returns what signatures about a user id are over.
fn over_user(own: &[u8], user: &[u8]) -> Vec<u8> {
    let length = u32::try_from(user.len()).unwrap_or(u32::MAX).to_be_bytes();
    [own, &[0xb4], &length, user].concat()
}

/// Reads a subkey that may sign by the latest word of the primary key, and says itself that it belongs to it; nothing
/// for any other.
fn subkey(primary: &Key<'_>, by: &Public, part: &Part<'_>) -> Option<SigningKey> {
    let key = Key::read(part.packet.body).ok()?;
    let public = key.public.clone().ok()?;
    let over = [primary.signed(), key.signed()].concat();
    let words = part.signatures.iter().filter(|one| one.kind == OF_SUBKEY && one.made.is_some());
    let word = words.filter(|one| one.verify(by, &over).is_ok()).max_by_key(|one| one.made)?;
    // Else a key of somebody else could be taken in, and what it signed pass as this one's.
    let back = Signature::read(word.embedded?).ok()?;
    let holds = back.kind == BY_SUBKEY && back.verify(&public, &over).is_ok();
    if !holds || word.may_sign != Some(true) {
        return None;
    }
    let revoked = part.signatures.iter().any(|one| one.kind == REVOKES_SUBKEY);
    Some(SigningKey { fingerprint: key.fingerprint(), window: validity(&key, word), public, revoked })
}

/// Returns when a key is valid, by what is said of it.
fn validity(key: &Key<'_>, word: &Signature<'_>) -> Window {
    // It ends at that second, so the one before is its last.
    let until = word.key_expires_after.map(|after| key.made.saturating_add(after).saturating_sub(1));
    Window { from: Some(key.made), until }
}
