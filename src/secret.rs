//! Secrets, as a type that cannot be printed.

use std::fmt;

/// How many bytes must a secret have at least?
pub const SHORTEST: usize = 16;

/// A credential. Neither its `Debug` nor anything else shows it; [`Secret::expose`] names each use.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

/// A secret that is too short to be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("has {0} bytes after trimming; a secret has at least {SHORTEST}: make a longer one")]
pub struct TooShort(usize);

impl Secret {
    /// Takes a secret as it was read, without the white space around it.
    ///
    /// # Errors
    /// Fewer than [`SHORTEST`] bytes after trimming; an empty secret would accept anybody.
    pub fn new(text: &str) -> Result<Self, TooShort> {
        let trimmed = text.trim();
        if trimmed.len() < SHORTEST { Err(TooShort(trimmed.len())) } else { Ok(Self(trimmed.to_owned())) }
    }

    /// Takes an address, which is as secret as what it holds; it has no length that it must have.
    #[must_use]
    pub fn address(text: &str) -> Self {
        Self(text.trim().to_owned())
    }

    /// Returns the secret itself, for the one place that sends or checks it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::Secret;

    #[test]
    fn secrets_never_leave_through_debug() {
        let secret = Secret::new("correct horse battery staple\n").unwrap();
        assert_eq!(format!("{secret:?}"), "Secret(…)");
        assert_eq!(secret.expose(), "correct horse battery staple");
    }

    #[test]
    fn short_secrets_are_refused() {
        for text in ["", "   ", "123456789012345", " 123456789012345 \n"] {
            assert!(Secret::new(text).is_err(), "{text:?}");
        }
    }
}
