//! Signatures (RFC 9580, section 5.2).

use super::key::Fingerprint;
use super::packet;
use super::packet::Field;
use crate::signer::bytes::Bytes;
use crate::signer::maths::Flaw;
use crate::signer::maths::Hash;
use crate::signer::maths::Public;
use crate::signer::maths::Raw;

/// The fields that mean something here.
const MADE: u8 = 2;
const EXPIRES_AFTER: u8 = 3;
const KEY_EXPIRES_AFTER: u8 = 9;
const ISSUER: u8 = 16;
const KEY_FLAGS: u8 = 27;
const EMBEDDED: u8 = 32;
const ISSUER_FINGERPRINT: u8 = 33;
/// Fields that may be critical and yet change nothing here: of trust, preferences, revocation and features.
const HARMLESS: &[u8] = &[4, 5, 7, 11, 21, 22, 23, 24, 25, 26, 28, 29, 30, 34, 39];

/// Among the flags of a key: it may sign.
const MAY_SIGN: u8 = 0x02;
/// The version of signatures that is read, and of what is added to what they are over.
const VERSION: u8 = 4;

/// A signature.
#[derive(Clone, Debug)]
pub(super) struct Signature<'a> {
    /// What it is over and says.
    pub(super) kind: u8,
    /// When it was made, in seconds since 1970.
    pub(super) made: Option<i64>,
    /// After how many seconds it ends.
    pub(super) expires_after: Option<i64>,
    /// How many seconds after a key was made does that end?
    pub(super) key_expires_after: Option<i64>,
    /// May the key that it is about sign? Nothing where it does not say.
    pub(super) may_sign: Option<bool>,
    /// A signature within it.
    pub(super) embedded: Option<&'a [u8]>,
    algorithm: u8,
    hash: u8,
    /// From its version to the end of the fields that it is over.
    head: &'a [u8],
    /// The start of the digest, for who has many keys to try.
    start: u16,
    numbers: &'a [u8],
    issuer: Option<&'a [u8]>,
    issuer_fingerprint: Option<&'a [u8]>,
}

impl<'a> Signature<'a> {
    /// Reads the body of a signature's packet; the error reads on after "it cannot be read:".
    pub(super) fn read(body: &'a [u8]) -> Result<Self, &'static str> {
        const CUT: &str = "its packet is damaged";
        let mut bytes = Bytes(body);
        if bytes.byte() != Some(VERSION) {
            return Err("it is of another version than 4");
        }
        let (kind, algorithm) = bytes.byte().zip(bytes.byte()).ok_or(CUT)?;
        let (hash, length) = bytes.byte().zip(bytes.short()).ok_or(CUT)?;
        let own = bytes.take(usize::from(length)).ok_or(CUT)?;
        let head = body.get(..6 + own.len()).ok_or(CUT)?;
        let length = bytes.short().ok_or(CUT)?;
        let beside = bytes.take(usize::from(length)).ok_or(CUT)?;
        let start = bytes.short().ok_or(CUT)?;
        let mut signature = Self {
            kind,
            made: None,
            expires_after: None,
            key_expires_after: None,
            may_sign: None,
            embedded: None,
            algorithm,
            hash,
            head,
            start,
            numbers: bytes.0,
            issuer: None,
            issuer_fingerprint: None,
        };
        for field in packet::fields(Bytes(own)).ok_or(CUT)? {
            signature.take(&field)?;
        }
        for field in packet::fields(Bytes(beside)).ok_or(CUT)? {
            signature.take_hint(&field);
        }
        Ok(signature)
    }

    /// Takes a field that the signature is over.
    fn take(&mut self, field: &Field<'a>) -> Result<(), &'static str> {
        let seconds = || Bytes(field.body).word().map(i64::from);
        match field.kind {
            MADE => self.made = seconds(),
            // Zero means no end.
            EXPIRES_AFTER => self.expires_after = seconds().filter(|after| *after != 0),
            KEY_EXPIRES_AFTER => self.key_expires_after = seconds().filter(|after| *after != 0),
            KEY_FLAGS => self.may_sign = Some(field.body.first().is_some_and(|flags| flags & MAY_SIGN != 0)),
            ISSUER | ISSUER_FINGERPRINT | EMBEDDED => self.take_hint(field),
            other if field.critical && !HARMLESS.contains(&other) => {
                return Err("it demands something that is not known here");
            }
            _ => {}
        }
        Ok(())
    }

    /// Takes a field that proves itself, so that it may stand beside what the signature is over.
    fn take_hint(&mut self, field: &Field<'a>) {
        match field.kind {
            ISSUER => self.issuer = self.issuer.or(Some(field.body)),
            ISSUER_FINGERPRINT => self.issuer_fingerprint = self.issuer_fingerprint.or(Some(field.body)),
            EMBEDDED => self.embedded = self.embedded.or(Some(field.body)),
            _ => {}
        }
    }

    /// Says whether it claims to be by a key.
    pub(super) fn names(&self, key: &Fingerprint) -> bool {
        let by_id = self.issuer.is_none_or(|id| key.0.get(12..) == Some(id));
        let by_fingerprint = self.issuer_fingerprint.is_none_or(|field| {
            field.split_first().is_some_and(|(version, name)| *version == VERSION && *name == key.0)
        });
        by_id && by_fingerprint && !self.names_nobody()
    }

    /// Says whether it does not say by which key it is.
    pub(super) fn names_nobody(&self) -> bool {
        self.issuer_fingerprint.is_none() && self.issuer.is_none()
    }

    /// Returns the key by which it claims to be, as hexadecimal digits.
    pub(super) fn issuer_name(&self) -> Option<String> {
        let fingerprint = self.issuer_fingerprint.and_then(|field| field.get(1..));
        fingerprint.or(self.issuer).map(hex::encode_upper)
    }

    /// Says whether it is made with a digest that is too weak.
    pub(super) fn is_weak(&self) -> bool {
        self.hash().is_err()
    }

    fn hash(&self) -> Result<Hash, Flaw> {
        match self.hash {
            8 => Ok(Hash::Sha256),
            9 => Ok(Hash::Sha384),
            10 => Ok(Hash::Sha512),
            1..=3 => Err(Flaw::Weak("a digest that is too weak, such as SHA-1")),
            _ => Err(Flaw::Weak("a digest that is not verified")),
        }
    }

    /// Verifies it over some bytes; what it says of itself is over those too.
    pub(super) fn verify(&self, key: &Public, over: &[u8]) -> Result<(), Flaw> {
        let hash = self.hash()?;
        let length = u32::try_from(self.head.len()).map_err(|_| Flaw::Broken)?;
        let end = [&[VERSION, 0xff], &length.to_be_bytes()[..]].concat();
        let signed = [over, self.head, &end].concat();
        let digest = hash.of(&signed);
        if !digest.as_ref().starts_with(&self.start.to_be_bytes()) {
            return Err(Flaw::Broken);
        }
        let mut numbers = Bytes(self.numbers);
        match (key, self.algorithm) {
            (Public::Rsa { .. }, 1 | 3) => {
                let number = numbers.mpi().ok_or(Flaw::Broken)?;
                numbers.end().ok_or(Flaw::Broken)?;
                key.verify(hash, &signed, Raw::Whole(number))
            }
            (Public::Ecdsa(..), 19) => {
                let (r, s) = numbers.mpi().zip(numbers.mpi()).ok_or(Flaw::Broken)?;
                numbers.end().ok_or(Flaw::Broken)?;
                key.verify(hash, &signed, Raw::Pair(r, s))
            }
            (Public::Ed25519(_), 22) => {
                let (r, s) = numbers.mpi().zip(numbers.mpi()).ok_or(Flaw::Broken)?;
                numbers.end().ok_or(Flaw::Broken)?;
                key.verify(hash, digest.as_ref(), Raw::Pair(r, s))
            }
            (Public::Ed25519(_), 27) => key.verify(hash, digest.as_ref(), Raw::Whole(numbers.0)),
            _ => Err(Flaw::Broken),
        }
    }
}
