//! Why a commit does not count as signed.

use super::date;

/// Why a commit does not count as signed, and what to do. Each text reads on after "it".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It carries no signature.
    #[error("is not signed; sign it with a listed key (git commit --amend --no-edit -S) and push it")]
    Unsigned,
    /// Its signature, or the commit itself, has no form that is read.
    #[error("carries a signature that cannot be read: {0}; sign it anew, with SSH or OpenPGP")]
    Unreadable(&'static str),
    /// The key is not in the list.
    #[error("is signed by {0}, which is not listed; sign it with a listed key, or have this one added")]
    Unlisted(String),
    /// The signature was made for another use than Git's.
    #[error("is signed by {key} for `{namespace}` and not for `git`; sign it with git commit -S")]
    Namespace {
        /// The key.
        key: String,
        /// What it was made for, what is not plain escaped.
        namespace: String,
    },
    /// The key is listed, for other uses than Git's.
    #[error(
        "is signed by {0}, which is listed, but not for the namespace git; sign it with another listed key"
    )]
    NotForGit(String),
    /// The commit says that it is older than the key's validity.
    #[error("is of {}, and {key} is valid from {} on; sign it with another listed key", date::text(*.made), date::text(*.from))]
    Early {
        /// The key.
        key: String,
        /// When it was made by its own words, in seconds since 1970.
        made: i64,
        /// From when on the key is valid, in the same way.
        from: i64,
    },
    /// The commit says that it is younger than the key's validity.
    #[error("is of {}, and {key} was valid until {}; sign it with another listed key", date::text(*.made), date::text(*.until))]
    Late {
        /// The key.
        key: String,
        /// When it was made by its own words, in seconds since 1970.
        made: i64,
        /// The last second in which the key was valid, in the same way.
        until: i64,
    },
    /// The key was revoked by who made it.
    #[error("is signed by {0}, which was revoked; sign it with another listed key")]
    Revoked(String),
    /// The signature is made in a way that proves too little, or that is not verified.
    #[error("is signed by {key} with {way}; sign it anew with Ed25519, ECDSA or RSA and SHA-2")]
    Weak {
        /// The key.
        key: String,
        /// The way.
        way: &'static str,
    },
    /// The signature is not one of this commit by this key.
    #[error("carries a signature of {0} that does not hold: one of them was changed; sign it anew")]
    Broken(String),
}
