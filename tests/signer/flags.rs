//! Keys of OpenPGP that may do other things than sign, made here by ring and by RFC 9580.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::digest::SHA1_FOR_LEGACY_USE_ONLY;
use ring::digest::SHA256;
use ring::digest::digest;
use ring::signature::Ed25519KeyPair;
use ring::signature::KeyPair;

use super::judge;

const PAYLOAD: &str = "tree t\nauthor A <a> 1 +0000\ncommitter C <c> 2 +0000\n\nwords\n";
const USER: &[u8] = b"A <a@example.org>";
/// When all of it was made.
const MADE: [u8; 4] = [0x60, 0, 0, 0];

const SIGNS: u8 = 0x02;
const CERTIFIES: u8 = 0x01;
const AUTHENTICATES: u8 = 0x20;

fn packet(tag: u8, body: &[u8]) -> Vec<u8> {
    [&[0xc0 | tag, 0xff], &u32::try_from(body.len()).unwrap().to_be_bytes()[..], body].concat()
}

fn field(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[u8::try_from(body.len() + 1).unwrap(), kind], body].concat()
}

struct Key(Ed25519KeyPair);

impl Key {
    fn of(number: u8) -> Self {
        Self(Ed25519KeyPair::from_seed_unchecked(&[number; 32]).unwrap())
    }

    fn body(&self) -> Vec<u8> {
        [&[4], &MADE[..], &[27], self.0.public_key().as_ref()].concat()
    }

    /// What signatures are over in its place.
    fn hashed(&self) -> Vec<u8> {
        let body = self.body();
        [&[0x99], &u16::try_from(body.len()).unwrap().to_be_bytes()[..], &body].concat()
    }

    /// Returns the body of a signature over some bytes.
    fn sign(&self, kind: u8, fields: &[u8], over: &[u8]) -> Vec<u8> {
        let name = digest(&SHA1_FOR_LEGACY_USE_ONLY, &self.hashed());
        let own = [&field(2, &MADE)[..], &field(33, &[&[4], name.as_ref()].concat()), fields].concat();
        let length = u16::try_from(own.len()).unwrap().to_be_bytes();
        let head = [&[4, kind, 27, 8], &length[..], &own].concat();
        let end = [&[4, 0xff], &u32::try_from(head.len()).unwrap().to_be_bytes()[..]].concat();
        let hash = digest(&SHA256, &[over, &head, &end].concat());
        [&head[..], &[0, 0], &hash.as_ref()[..2], self.0.sign(hash.as_ref()).as_ref()].concat()
    }

    /// Returns the commit as this key signs it.
    fn commit(&self) -> Vec<u8> {
        let signature = STANDARD.encode(packet(2, &self.sign(0, &[], PAYLOAD.as_bytes())));
        let armour = format!("-----BEGIN PGP SIGNATURE-----\n \n {signature}\n -----END PGP SIGNATURE-----");
        PAYLOAD.replacen("\n\n", &format!("\ngpgsig {armour}\n\n"), 1).into_bytes()
    }
}

/// Returns a certificate of two keys that may do what their flags say; the second says whose it is, or does not.
fn certificate([primary, subkey]: [&Key; 2], flags: [u8; 2], says_so: bool) -> String {
    let user = [&[0xb4], &u32::try_from(USER.len()).unwrap().to_be_bytes()[..], USER].concat();
    let of_user = primary.sign(0x13, &field(27, &[flags[0]]), &[primary.hashed(), user].concat());
    let both = [primary.hashed(), subkey.hashed()].concat();
    let mut fields = field(27, &[flags[1]]);
    if says_so {
        fields.extend(field(32, &subkey.sign(0x19, &[], &both)));
    }
    let parts = [
        packet(6, &primary.body()),
        packet(13, USER),
        packet(2, &of_user),
        packet(14, &subkey.body()),
        packet(2, &primary.sign(0x18, &fields, &both)),
    ];
    let text = STANDARD.encode(parts.concat());
    format!("-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n{text}\n-----END PGP PUBLIC KEY BLOCK-----\n")
}

#[test]
fn only_what_may_sign_signs() {
    let keys = [&Key::of(1), &Key::of(2)];
    for (flags, says_so, good) in [
        ([CERTIFIES | SIGNS, SIGNS], true, [true, true]),
        ([CERTIFIES, SIGNS], true, [false, true]),
        ([CERTIFIES | SIGNS, AUTHENTICATES], true, [true, false]),
        // Else somebody could take another's key for a subkey.
        ([CERTIFIES | SIGNS, SIGNS], false, [true, false]),
    ] {
        let list = certificate(keys, flags, says_so);
        let judged = keys.map(|key| judge(&list, &key.commit()));
        assert_eq!(judged.each_ref().map(Result::is_ok), good, "{flags:?} {judged:?}");
    }
}
