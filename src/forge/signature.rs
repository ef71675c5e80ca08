//! HMAC-SHA256 over a body, and secrets as they are, compared in constant time.

use hmac::Hmac;
use hmac::KeyInit;
use hmac::Mac;
use sha2::Digest;
use sha2::Sha256;

use crate::secret::Secret;

/// A signature as a header claims it; `None` when the header cannot be one.
pub type Claim = Option<[u8; 32]>;

/// The code of a message, as long as it is not looked at.
pub type Code = Hmac<Sha256>;

/// Reads 64 hexadecimal digits; digits of either case name the same bytes.
pub fn bare(text: &str) -> Claim {
    let mut bytes = [0; 32];
    hex::decode_to_slice(text, &mut bytes).ok()?;
    Some(bytes)
}

/// Reads `sha256=` and 64 hexadecimal digits.
pub fn prefixed(text: &str) -> Claim {
    bare(text.strip_prefix("sha256=")?)
}

/// Returns the first secret, from 0, under which every claim holds. No claim, or one that cannot be read, holds under
/// none; the work is the same for each of these reasons.
pub fn holds(secrets: &[Secret], body: &[u8], claims: &[Claim]) -> Option<usize> {
    let nothing: &[Claim] = &[None];
    let claims = if claims.is_empty() { nothing } else { claims };
    let mut found = None;
    for (index, secret) in secrets.iter().enumerate() {
        let Some(code) = code(secret.expose().as_bytes(), &[body]) else { continue };
        let fine = claims.iter().fold(true, |fine, claim| {
            let equal = code.clone().verify_slice(&claim.unwrap_or_default()).is_ok();
            fine & equal & claim.is_some()
        });
        if fine && found.is_none() {
            found = Some(index);
        }
    }
    found
}

/// Returns the signature of a body in lowercase hexadecimal digits.
pub fn sign(secret: &Secret, body: &[u8]) -> String {
    let code = code(secret.expose().as_bytes(), &[body]);
    code.map(|code| hex::encode(code.finalize().into_bytes())).unwrap_or_default()
}

/// Says whether a text is the secret itself. Digests are compared, and they are keyed, so that how long it takes says
/// nothing about how much of it is right.
pub fn is(secret: &Secret, text: &str) -> bool {
    let own = secret.expose().as_bytes();
    match (code(own, &[own]), code(own, &[text.as_bytes()])) {
        (Some(own), Some(other)) => other.verify_slice(&own.finalize().into_bytes()).is_ok(),
        _ => false,
    }
}

/// Begins the code of a message that is given in parts. `None` never comes: HMAC takes keys of any length.
pub fn code(key: &[u8], parts: &[&[u8]]) -> Option<Code> {
    let mut code = Code::new_from_slice(key).ok()?;
    for part in parts {
        code.update(part);
    }
    Some(code)
}

/// Returns the SHA-256 of bytes in lowercase hexadecimal digits.
pub fn digest(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

#[cfg(test)]
mod tests {
    use super::bare;
    use super::holds;
    use super::is;
    use super::prefixed;
    use super::sign;
    use crate::secret::Secret;

    #[test]
    fn the_vector_of_githubs_documentation_holds() {
        let secret = Secret::new("It's a Secret to Everybody").unwrap();
        let digits = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        assert_eq!(sign(&secret, b"Hello, World!"), digits);
        let claim = prefixed(&format!("sha256={digits}"));
        assert_eq!(holds(&[secret], b"Hello, World!", &[claim]), Some(0));
    }

    #[test]
    fn the_fourth_vector_of_rfc_4231_holds() {
        let key: String = (1_u8..=25).map(char::from).collect();
        let code = "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b";
        assert_eq!(sign(&Secret::new(&key).unwrap(), &[0xcd; 50]), code);
    }

    #[test]
    fn only_whole_digests_are_claims() {
        let digits = "ab".repeat(32);
        assert!(bare(&digits).is_some());
        assert_eq!(bare(&digits.to_uppercase()), bare(&digits));
        for text in
            ["", "ab", &digits[1..], &format!("{digits}ab"), &format!("sha256={digits}"), &"zz".repeat(32)]
        {
            assert_eq!(bare(text), None, "{text}");
        }
        for text in ["sha256=", "", &digits, &format!("sha1={digits}"), &format!("SHA256={digits}")] {
            assert_eq!(prefixed(text), None, "{text}");
        }
    }

    #[test]
    fn every_claim_must_hold_under_one_secret() {
        let secrets = [Secret::new("the first secret").unwrap(), Secret::new("the second secret").unwrap()];
        let claims = secrets.each_ref().map(|secret| bare(&sign(secret, b"body")));
        let [first, second] = claims;
        let cases: &[(&[super::Claim], Option<usize>)] = &[
            (&[first], Some(0)),
            (&[second, second], Some(1)),
            (&[first, second], None),
            (&[first, None], None),
            (&[None], None),
            (&[], None),
        ];
        for (claims, expected) in cases {
            assert_eq!(holds(&secrets, b"body", claims), *expected);
        }
        assert_eq!(holds(&[], b"body", &[first]), None);
        assert_eq!(holds(&secrets, b"body\n", &[first]), None);
    }

    #[test]
    fn a_secret_is_itself_and_nothing_else() {
        let secret = Secret::new("a plain token of this test").unwrap();
        let cases = [
            ("a plain token of this test", true),
            ("", false),
            ("a plain token of this tes", false),
            ("a plain token of this test ", false),
            ("a plain token of this test\0", false),
            ("A plain token of this test", false),
        ];
        for (text, same) in cases {
            assert_eq!(is(&secret, text), same, "{text:?}");
        }
    }
}
