//! Options of libgit2 that hold for the whole process.

use std::sync::Once;

use git2::ConfigLevel;

use crate::source::http;

static ONCE: Once = Once::new();

/// Sets the options of libgit2 that hold for the whole process; every call but the first does nothing.
///
/// No configuration of the machine or its user, caches that may belong to another user than the process, the way to
/// servers, and ring for TLS. Opening a source calls this too; call it first thing in a process with threads.
pub fn prepare() {
    ONCE.call_once(|| {
        // Fails when another part of the process was first; then there is a provider, which is all that matters.
        drop(rustls::crypto::ring::default_provider().install_default());
        if let Err(error) = set() {
            tracing::error!(%error, "failed to set the options of libgit2: sources cannot be reached");
        }
    });
}

#[expect(unsafe_code, reason = "libgit2 keeps these options in globals without a lock")]
fn set() -> Result<(), git2::Error> {
    // SAFETY: the globals are written once, under `ONCE`, before this process opens its first repository: only this
    // module's parents use git2, and they call `prepare` before anything else.
    unsafe {
        // The caches are made by windlass; after a change of its user a volume still belongs to the former one.
        git2::opts::set_verify_owner_validation(false)?;
        // A user's `url.insteadOf` must not decide what is fetched.
        for level in [ConfigLevel::ProgramData, ConfigLevel::System, ConfigLevel::XDG, ConfigLevel::Global] {
            git2::opts::set_search_path(level, "")?;
        }
    }
    http::register()
}
