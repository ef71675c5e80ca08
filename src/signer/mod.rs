//! Who may sign commits: reads a list of public keys, and judges the signature of a commit by it.
//!
//! Comes in: the text of a list, in the format of OpenSSH's allowed signers, with OpenPGP keys in ASCII armour between
//! its lines; and a commit as Git stores it. Goes out: the key that signed it, or why the commit does not count as
//! signed. A commit counts when its signature holds over all of it but the signature, for Git and nothing else, by a
//! listed key that was valid when the commit says that it was made. Whose mail address a key is listed under is for
//! people: Git compares it with nobody's either.
//!
//! Verified are Ed25519, ECDSA over P-256 and P-384 and RSA of 2,048 to 8,192 bits, with SHA-2, by ring; of SSH also the
//! first two in hardware. Everything else is refused by name: at the list, or on the commit.

use crate::commit::CommitId;

mod armour;
mod bytes;
mod commit;
mod date;
mod list;
mod maths;
mod openpgp;
mod refusal;
mod ssh;
mod window;

pub use list::Wrong;
pub use refusal::Refusal;

use armour::Kind;
use commit::Signed;

/// The keys of which one must have signed a commit.
#[derive(Clone, Debug)]
pub struct Signers {
    ssh: Vec<ssh::Listed>,
    openpgp: Vec<openpgp::SigningKey>,
}

impl Signers {
    /// Reads a list: lines of OpenSSH's allowed signers, and blocks from `BEGIN PGP PUBLIC KEY BLOCK` to `END`.
    ///
    /// # Errors
    /// Whatever is wrong with it, by line, up to a bound; a list without any key; one of more than 1,000.
    pub fn read(text: &str) -> Result<Self, Vec<Wrong>> {
        list::read(text)
    }

    /// Returns the key that signed a commit, in words for the log. `object` is the commit as Git stores it, without the
    /// header of the object; its id says which of two headers holds the signature, by the digest that names it.
    ///
    /// # Errors
    /// Why it does not count as signed, and what to do.
    pub fn judge(&self, commit: &CommitId, object: &[u8]) -> Result<String, Refusal> {
        let Signed { payload, signature, made } = commit::split(commit, object)?;
        let signature = signature.ok_or(Refusal::Unsigned)?;
        let (kind, blob) = armour::signature(&signature).map_err(Refusal::Unreadable)?;
        match kind {
            Kind::Ssh => ssh::judge(&self.ssh, &blob, &payload, made),
            Kind::OpenPgp => openpgp::judge(&self.openpgp, &blob, &payload),
        }
    }
}
