//! Options of libgit2 that hold for the whole process.

use std::sync::Once;

use git2::ConfigLevel;

/// How long may connecting to a Git server take, in milliseconds?
const CONNECT_FOR: i32 = 10_000;
/// How long may a Git server stay silent in the middle of an answer, in milliseconds?
const SILENT_FOR: i32 = 20_000;

static ONCE: Once = Once::new();

/// Sets the options of libgit2 that hold for the whole process; every call but the first does nothing.
///
/// Time limits for connecting and for silence, no configuration of the machine or its user, and caches that may belong
/// to another user than the process. Opening a source calls this too; call it first thing in a process with threads.
pub fn prepare() {
    ONCE.call_once(|| {
        if let Err(error) = set() {
            tracing::error!(%error, "failed to set the options of libgit2: fetches may hang for ever");
        }
    });
}

#[expect(unsafe_code, reason = "libgit2 keeps these options in globals without a lock")]
fn set() -> Result<(), git2::Error> {
    // SAFETY: the globals are written once, under `ONCE`, before this process opens its first repository: only this
    // module's parents use git2, and they call `prepare` before anything else.
    unsafe {
        git2::opts::set_server_connect_timeout_in_milliseconds(CONNECT_FOR)?;
        git2::opts::set_server_timeout_in_milliseconds(SILENT_FOR)?;
        // The caches are made by windlass; after a change of its user a volume still belongs to the former one.
        git2::opts::set_verify_owner_validation(false)?;
        // A user's `url.insteadOf`, proxies or credential helpers must not decide where a token is sent.
        for level in [ConfigLevel::ProgramData, ConfigLevel::System, ConfigLevel::XDG, ConfigLevel::Global] {
            git2::opts::set_search_path(level, "")?;
        }
    }
    Ok(())
}
