//! Public keys (RFC 9580, section 5.5).

use std::fmt;

use ring::digest;

use crate::signer::bytes::Bytes;
use crate::signer::maths::Curve;
use crate::signer::maths::Public;

const RSA: u8 = 1;
const RSA_SIGN_ONLY: u8 = 3;
const ECDSA: u8 = 19;
const EDDSA_LEGACY: u8 = 22;
const ED25519: u8 = 27;

/// The object identifiers of curves.
const OID_P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const OID_P384: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];
const OID_ED25519: &[u8] = &[0x2b, 0x06, 0x01, 0x04, 0x01, 0xda, 0x47, 0x0f, 0x01];
/// What stands before a point of Ed25519 that is written as a number.
const NATIVE_POINT: u8 = 0x40;

/// How a key of version 4 is called: the SHA-1 digest of its packet, as everybody calls it. Two keys of one name would
/// both have to be in the list.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Fingerprint(pub(super) [u8; 20]);

impl fmt::Display for Fingerprint {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&hex::encode_upper(self.0))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{self}")
    }
}

/// A key and its packet.
#[derive(Clone, Debug)]
pub(super) struct Key<'a> {
    body: &'a [u8],
    /// When it was made, in seconds since 1970.
    pub(super) made: i64,
    /// The key itself, or why it verifies nothing here.
    pub(super) public: Result<Public, &'static str>,
}

impl<'a> Key<'a> {
    /// Reads the body of a key's packet; the error reads on after "the key".
    pub(super) fn read(body: &'a [u8]) -> Result<Self, &'static str> {
        const CUT: &str = "is damaged: export it anew";
        let mut bytes = Bytes(body);
        match bytes.byte() {
            Some(4) => {}
            Some(2 | 3) => return Err("is of version 3, which is too weak: make another one"),
            Some(5 | 6) => return Err("is of version 5 or 6, which is not verified: make one of version 4"),
            _ => return Err(CUT),
        }
        let made = i64::from(bytes.word().ok_or(CUT)?);
        let public = match bytes.byte().ok_or(CUT)? {
            RSA | RSA_SIGN_ONLY => {
                let (n, e) = bytes.mpi().zip(bytes.mpi()).ok_or(CUT)?;
                Public::rsa(n, e)
            }
            ECDSA => {
                let (curve, point) = curve(&mut bytes).zip(bytes.mpi()).ok_or(CUT)?;
                match curve {
                    OID_P256 => Public::ecdsa(Curve::P256, point),
                    OID_P384 => Public::ecdsa(Curve::P384, point),
                    _ => Err("is of a curve that is not verified: make one of Ed25519"),
                }
            }
            EDDSA_LEGACY => {
                let (curve, point) = curve(&mut bytes).zip(bytes.mpi()).ok_or(CUT)?;
                match (curve, point) {
                    (OID_ED25519, [NATIVE_POINT, point @ ..]) => Public::ed25519(point),
                    _ => Err("is of a curve that is not verified: make one of Ed25519"),
                }
            }
            ED25519 => Public::ed25519(bytes.0),
            _ => Err("is of a kind that is not verified, such as DSA or Ed448: make one of Ed25519"),
        };
        Ok(Self { body, made, public })
    }

    /// Returns what signatures are over in the place of a key.
    pub(super) fn signed(&self) -> Vec<u8> {
        let mut signed = vec![0x99];
        signed.extend(u16::try_from(self.body.len()).unwrap_or(u16::MAX).to_be_bytes());
        signed.extend_from_slice(self.body);
        signed
    }

    /// Returns what it is called.
    pub(super) fn fingerprint(&self) -> Fingerprint {
        let digest = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &self.signed());
        let mut name = [0; 20];
        name.iter_mut().zip(digest.as_ref()).for_each(|(to, from)| *to = *from);
        Fingerprint(name)
    }
}

fn curve<'a>(bytes: &mut Bytes<'a>) -> Option<&'a [u8]> {
    let length = usize::from(bytes.byte()?);
    bytes.take(length)
}
