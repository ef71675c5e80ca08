//! Public keys and what they verify, by ring.

use ring::digest;
use ring::signature;
use ring::signature::RsaParameters;
use ring::signature::RsaPublicKeyComponents;
use ring::signature::UnparsedPublicKey;
use ring::signature::VerificationAlgorithm;

/// How many bits may the modulus of an RSA key have?
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// A digest of the SHA-2 family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hash {
    Sha256,
    Sha384,
    Sha512,
}

impl Hash {
    /// Returns the digest of bytes.
    pub(super) fn of(self, bytes: &[u8]) -> digest::Digest {
        let algorithm = match self {
            Self::Sha256 => &digest::SHA256,
            Self::Sha384 => &digest::SHA384,
            Self::Sha512 => &digest::SHA512,
        };
        digest::digest(algorithm, bytes)
    }
}

/// A curve of ECDSA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Curve {
    P256,
    P384,
}

impl Curve {
    /// How many bytes has a number of it?
    fn size(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
        }
    }
}

/// A public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Public {
    Ed25519([u8; 32]),
    Ecdsa(Curve, Vec<u8>),
    Rsa { n: Vec<u8>, e: Vec<u8> },
}

/// A signature, as its format writes it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Raw<'a> {
    Whole(&'a [u8]),
    /// The two numbers of one over a curve, with or without leading zeros.
    Pair(&'a [u8], &'a [u8]),
}

/// Why a signature proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    /// It is made in a way that is too weak, or that is not verified.
    Weak(&'static str),
    /// It does not hold.
    Broken,
}

impl Public {
    /// Takes a key of Ed25519.
    pub(super) fn ed25519(bytes: &[u8]) -> Result<Self, &'static str> {
        bytes
            .try_into()
            .map(Self::Ed25519)
            .map_err(|_| "is an Ed25519 key of another length than 32 bytes: copy it anew")
    }

    /// Takes a point of a curve, uncompressed.
    pub(super) fn ecdsa(curve: Curve, point: &[u8]) -> Result<Self, &'static str> {
        if point.first() == Some(&4) && point.len() == 1 + 2 * curve.size() {
            Ok(Self::Ecdsa(curve, point.to_vec()))
        } else {
            Err("is an ECDSA key whose point is not of its curve, or compressed: copy it anew")
        }
    }

    /// Takes an RSA key by its numbers without leading zeros.
    pub(super) fn rsa(n: &[u8], e: &[u8]) -> Result<Self, &'static str> {
        let zeros = n.first().map_or(8, |first| first.leading_zeros());
        let bits = (n.len() * 8).saturating_sub(usize::try_from(zeros).unwrap_or(8));
        if !RSA_BITS.contains(&bits) {
            return Err("is an RSA key of less than 2,048 or more than 8,192 bits: make another one");
        }
        Ok(Self::Rsa { n: n.to_vec(), e: e.to_vec() })
    }

    /// Verifies a signature of a message that was signed by way of a digest. Ed25519 signs it as it is given.
    pub(super) fn verify(&self, hash: Hash, message: &[u8], raw: Raw<'_>) -> Result<(), Flaw> {
        let held = match (self, raw) {
            (Self::Ed25519(key), Raw::Whole(bytes)) => by(&signature::ED25519, key, message, bytes),
            (Self::Ed25519(key), Raw::Pair(r, s)) => {
                by(&signature::ED25519, key, message, &fixed(&[r, s], 32).ok_or(Flaw::Broken)?)
            }
            (Self::Ecdsa(curve, point), Raw::Pair(r, s)) => {
                let pair = fixed(&[r, s], curve.size()).ok_or(Flaw::Broken)?;
                by(ecdsa(*curve, hash)?, point, message, &pair)
            }
            (Self::Rsa { n, e }, Raw::Whole(bytes)) => {
                // Both formats may drop leading zeros, and ring wants them.
                let bytes = fixed(&[bytes], n.len()).ok_or(Flaw::Broken)?;
                RsaPublicKeyComponents { n, e }.verify(rsa(hash), message, &bytes).is_ok()
            }
            (Self::Ecdsa(..), Raw::Whole(_)) | (Self::Rsa { .. }, Raw::Pair(..)) => false,
        };
        if held { Ok(()) } else { Err(Flaw::Broken) }
    }
}

fn by(algorithm: &'static dyn VerificationAlgorithm, key: &[u8], message: &[u8], bytes: &[u8]) -> bool {
    UnparsedPublicKey::new(algorithm, key).verify(message, bytes).is_ok()
}

fn ecdsa(curve: Curve, hash: Hash) -> Result<&'static dyn VerificationAlgorithm, Flaw> {
    match (curve, hash) {
        (Curve::P256, Hash::Sha256) => Ok(&signature::ECDSA_P256_SHA256_FIXED),
        (Curve::P384, Hash::Sha384) => Ok(&signature::ECDSA_P384_SHA384_FIXED),
        _ => Err(Flaw::Weak("a digest that is not of its curve's size")),
    }
}

fn rsa(hash: Hash) -> &'static RsaParameters {
    match hash {
        Hash::Sha256 => &signature::RSA_PKCS1_2048_8192_SHA256,
        Hash::Sha384 => &signature::RSA_PKCS1_2048_8192_SHA384,
        Hash::Sha512 => &signature::RSA_PKCS1_2048_8192_SHA512,
    }
}

/// Returns numbers one after the other, each of so many bytes; nothing when one is larger.
fn fixed(numbers: &[&[u8]], size: usize) -> Option<Vec<u8>> {
    let mut all = Vec::with_capacity(numbers.len() * size);
    for number in numbers {
        all.extend(std::iter::repeat_n(0, size.checked_sub(number.len())?));
        all.extend_from_slice(number);
    }
    Some(all)
}
