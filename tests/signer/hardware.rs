//! Keys in hardware, played by ring: what is signed is made here by PROTOCOL.u2f of OpenSSH.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::digest::SHA256;
use ring::digest::digest;
use ring::rand::SystemRandom;
use ring::signature::ECDSA_P256_SHA256_FIXED_SIGNING;
use ring::signature::EcdsaKeyPair;
use ring::signature::Ed25519KeyPair;
use ring::signature::KeyPair;

use super::id;
use super::signers;
use super::signing::signed;
use super::signing::strings;

const APPLICATION: &[u8] = b"ssh:";
const PAYLOAD: &str = "tree t\nauthor A <a> 1 +0000\ncommitter C <c> 2 +0000\n\nwords\n";

/// Writes a positive number of SSH.
fn number(bytes: &[u8]) -> Vec<u8> {
    let bytes: Vec<u8> = bytes.iter().copied().skip_while(|byte| *byte == 0).collect();
    if bytes.first().is_some_and(|high| *high >= 0x80) { [&[0], &bytes[..]].concat() } else { bytes }
}

/// Returns what hardware signs: flags that say that its owner touched it, and its seventh signature.
fn touched(signed: &[u8]) -> (Vec<u8>, [u8; 5]) {
    let said = [1, 0, 0, 0, 7];
    let hashes = [digest(&SHA256, APPLICATION), digest(&SHA256, signed)];
    ([hashes[0].as_ref(), &said, hashes[1].as_ref()].concat(), said)
}

/// Returns the commit with a signature, whose inner part `sign` makes.
fn commit(key: &[u8], sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    signed(PAYLOAD, key, sign)
}

/// Says that a commit is good, and that it is not once what the hardware said is changed.
fn is_good(kind: &str, key: &[u8], made: impl Fn(u8) -> String) {
    let signers = signers(&format!("a@example.org {kind} {} a comment", STANDARD.encode(key)));
    assert!(signers.judge(&id(40), made(0).as_bytes()).is_ok());
    let said = signers.judge(&id(40), made(1).as_bytes()).unwrap_err().to_string();
    assert!(said.contains("does not hold"), "{said}");
}

#[test]
fn ed25519_in_hardware_signs() {
    const KIND: &str = "sk-ssh-ed25519@openssh.com";
    let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
    let key = strings(&[KIND.as_bytes(), pair.public_key().as_ref(), APPLICATION]);
    is_good(KIND, &key, |change| {
        commit(&key, |signed| {
            let (over, mut said) = touched(signed);
            said[4] ^= change;
            [&strings(&[KIND.as_bytes(), pair.sign(&over).as_ref()])[..], &said].concat()
        })
    });
}

#[test]
fn p256_in_hardware_signs() {
    const KIND: &str = "sk-ecdsa-sha2-nistp256@openssh.com";
    let random = SystemRandom::new();
    let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
    let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
    let pair = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).unwrap();
    let key = strings(&[KIND.as_bytes(), b"nistp256", pair.public_key().as_ref(), APPLICATION]);
    is_good(KIND, &key, |change| {
        commit(&key, |signed| {
            let (over, mut said) = touched(signed);
            said[0] ^= change;
            let signature = pair.sign(&random, &over).unwrap();
            let (r, s) = signature.as_ref().split_at(32);
            [&strings(&[KIND.as_bytes(), &strings(&[&number(r), &number(s)])])[..], &said].concat()
        })
    });
}
