//! The private key of a GitHub App.

use std::fmt;
use std::sync::Arc;

use rustls::SignatureScheme;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use rustls::sign::SigningKey;

use crate::secret::Secret;

/// A private RSA key that signs. Its `Debug` does not show it.
#[derive(Clone)]
pub struct Key(Arc<dyn SigningKey>);

/// A text that holds no key by which an App could sign; the text of the error reads on after what the key is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "holds no private RSA key of 2048 to 4096 bits in PEM: give the file that GitHub made for the App, from BEGIN to END"
)]
pub struct NoKey;

impl Key {
    /// Reads a key in PEM, as PKCS#1 (`BEGIN RSA PRIVATE KEY`, which GitHub makes) or PKCS#8 (`BEGIN PRIVATE KEY`).
    ///
    /// # Errors
    /// It holds no such key, or one of another kind or length.
    pub fn read(pem: &Secret) -> Result<Self, NoKey> {
        let der = PrivateKeyDer::from_pem_slice(pem.expose().as_bytes()).map_err(|_| NoKey)?;
        let key = any_supported_type(&der).map_err(|_| NoKey)?;
        // Keys for other signatures are read too.
        key.choose_scheme(&[SignatureScheme::RSA_PKCS1_SHA256]).ok_or(NoKey)?;
        Ok(Self(key))
    }

    /// Returns the signature of a text, RSASSA-PKCS1-v1_5 with SHA-256; nothing where the machine cannot make one.
    pub(super) fn sign(&self, text: &str) -> Option<Vec<u8>> {
        self.0.choose_scheme(&[SignatureScheme::RSA_PKCS1_SHA256])?.sign(text.as_bytes()).ok()
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Key(…)")
    }
}
