//! What can fail between a source and its files.

use std::fmt;

use crate::application::Name;
use crate::commit::CommitId;
use crate::dial::Refused;
use crate::fault::Fault;

/// Something that failed, named by the step. No message holds a token or a URL.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The settings of the source cannot be used.
    #[error("open source {source_name}: {why}")]
    Settings {
        /// The source.
        source_name: Name,
        /// What is wrong with them.
        why: &'static str,
    },
    /// The folder of the cache cannot be read or written.
    #[error("use the cache of source {source_name}: {why}; check the folder's space and its owner")]
    Folder {
        /// The source.
        source_name: Name,
        /// What the system says.
        why: String,
    },
    /// The cache is not a whole repository; it is cloned anew by the next resolve.
    #[error("read the cache of source {source_name}, which is cloned anew: {why}")]
    Cache {
        /// The source.
        source_name: Name,
        /// What libgit2 says.
        why: String,
    },
    /// The server cannot be reached or breaks off.
    #[error("reach source {source_name} at {host}: {why}")]
    Reach {
        /// The source.
        source_name: Name,
        /// The host.
        host: String,
        /// What libgit2 says.
        why: String,
    },
    /// It is at an address that windlass must not connect to.
    #[error("reach source {source_name}: {refused}")]
    Forbidden {
        /// The source.
        source_name: Name,
        /// The address and why not.
        refused: Refused,
    },
    /// There is no token to tell the server.
    #[error("authenticate to source {source_name}: failed to {why}")]
    NoToken {
        /// The source.
        source_name: Name,
        /// What failed instead, and what to do.
        why: String,
        /// Whose turn it is.
        fault: Fault,
    },
    /// The server refuses the token, or wants one.
    #[error(
        "authenticate to source {source_name} at {host}: the server refused; check its token and its rights"
    )]
    Refused {
        /// The source.
        source_name: Name,
        /// The host.
        host: String,
    },
    /// The server knows no such repository, or does not show it.
    #[error(
        "find source {source_name} at {host}: no such repository; check its url and what its token may read"
    )]
    NoRepository {
        /// The source.
        source_name: Name,
        /// The host.
        host: String,
    },
    /// The server sends windlass elsewhere.
    #[error(
        "reach source {source_name} at {host}: it redirects to another host; put the final url in its settings"
    )]
    Redirected {
        /// The source.
        source_name: Name,
        /// The host.
        host: String,
    },
    /// The server does not send a commit that it lists.
    #[error("fetch {commit} from source {source_name}: the server does not send it")]
    Withheld {
        /// The source.
        source_name: Name,
        /// The commit.
        commit: CommitId,
    },
    /// Reaching and fetching took longer than they may.
    #[error("fetch from source {source_name} within {seconds} s")]
    Late {
        /// The source.
        source_name: Name,
        /// How long they may take, in seconds.
        seconds: u64,
    },
    /// The work was stopped before its end.
    #[error("finish work on source {source_name}: it was stopped")]
    Stopped {
        /// The source.
        source_name: Name,
    },
    /// A fetch is larger than it may be.
    #[error(
        "fetch from source {source_name}: more than {limit} bytes for one commit; make the repository smaller"
    )]
    Outgrown {
        /// The source.
        source_name: Name,
        /// How many bytes a fetch may have.
        limit: u64,
    },
    /// The repository has more refs than it may.
    #[error("list the refs of source {source_name}: more than {limit}; delete some")]
    TooManyRefs {
        /// The source.
        source_name: Name,
        /// How many refs it may have.
        limit: usize,
    },
    /// A ref leads to something else than a commit.
    #[error("read {id} of source {source_name}: it is no commit; let the ref name one")]
    NotACommit {
        /// The source.
        source_name: Name,
        /// What the ref names.
        id: CommitId,
    },
    /// The cache does not have a commit; resolving with it in `also` fetches it.
    #[error("read {commit} of source {source_name}: it is not in the cache")]
    NoCommit {
        /// The source.
        source_name: Name,
        /// The commit.
        commit: CommitId,
    },
    /// A commit is larger than one may be whose signature is read.
    #[error("read the signature of {commit}: the commit has more than {limit} bytes; shorten its message")]
    LongCommit {
        /// The commit.
        commit: CommitId,
        /// How many bytes it may have.
        limit: usize,
    },
    /// A commit does not have a path.
    #[error("find the path `{path}` in {commit}")]
    NoPath {
        /// The commit.
        commit: CommitId,
        /// The path.
        path: String,
    },
    /// A path that no commit can have.
    #[error("use the path `{path}`: a path has plain names between slashes, such as apps/shop")]
    BadPath {
        /// The path.
        path: String,
    },
    /// A commit holds what is not read.
    #[error("read {commit}: {refusals}")]
    Contents {
        /// The commit.
        commit: CommitId,
        /// Everything that is refused.
        refusals: Refusals,
    },
}

/// Everything that is refused in a folder, up to a bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusals {
    /// Each file and what is wrong with it, in the order of the walk.
    pub list: Vec<Refusal>,
    /// Whether there is more than the list holds.
    pub more: bool,
}

/// A file or folder that is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Its path, relative to the path that is read, with anything unprintable escaped.
    pub file: String,
    /// What is wrong and what the limit is, as the rest of a sentence about the file.
    pub why: String,
}

impl fmt::Display for Refusals {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, Refusal { file, why }) in self.list.iter().enumerate() {
            let gap = if at == 0 { "" } else { "; " };
            write!(out, "{gap}`{file}` {why}")?;
        }
        if self.more { out.write_str("; and more") } else { Ok(()) }
    }
}

impl Error {
    /// Returns who has to act.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::Folder { .. }
            | Self::Cache { .. }
            | Self::Reach { .. }
            | Self::Withheld { .. }
            | Self::Late { .. }
            | Self::Stopped { .. }
            | Self::NoCommit { .. } => Fault::Passing,
            Self::NoToken { fault, .. } => *fault,
            Self::Settings { .. }
            | Self::Forbidden { .. }
            | Self::Refused { .. }
            | Self::NoRepository { .. }
            | Self::Redirected { .. }
            | Self::BadPath { .. } => Fault::Ours,
            Self::Outgrown { .. }
            | Self::TooManyRefs { .. }
            | Self::NotACommit { .. }
            | Self::LongCommit { .. }
            | Self::NoPath { .. }
            | Self::Contents { .. } => Fault::Theirs,
        }
    }
}
