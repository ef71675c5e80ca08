//! Sources: from a ref to a commit, and from a commit to its files.
//!
//! In go the settings of one repository; out come tips, commits, inputs and files. It only ever reads: it fetches single
//! commits into a bare cache on local disk, with history only where that is asked for, and reads files from there without
//! a checkout.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio::time::timeout_at;

use crate::application::Name;
use crate::commit::CommitId;
use crate::commit::Inputs;
use crate::commit::RefName;
use crate::dial::Reach;
use crate::reference::Reference;
use crate::secret::Secret;

mod address;
mod cache;
mod error;
mod history;
mod http;
mod process;
mod resolve;
mod stop;
mod token;
mod tree;
mod wire;

pub use error::Error;
pub use error::Refusal;
pub use error::Refusals;
pub use history::OnTheWay;
pub use process::prepare;
pub use token::NoToken;
pub use token::Tokens;

use address::Address;
use cache::Cache;
use history::Question;
use stop::Stop;
use tree::Snapshot;

/// How many connections may one source have at once?
const LINES: usize = 4;
/// How many connections may all sources of the process have at once?
const ALL_LINES: usize = 32;
/// How many commits may be read at once?
const READERS: usize = 8;

static ALL: Semaphore = Semaphore::const_new(ALL_LINES);
static READING: Semaphore = Semaphore::const_new(READERS);

/// How a source is reached and where it is cached.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What people call it.
    pub name: Name,
    /// Its URL, `https://` or `http://`, without a user or a password.
    pub url: String,
    /// The token that may read it; `None` for a public one. It is told to the URL's own scheme, host and port only.
    pub token: Option<Secret>,
    /// The user that the token goes with, such as `x-access-token`.
    pub user: String,
    /// How far windlass may reach for it.
    pub reach: Reach,
    /// The folder of all caches; this source's is the folder of its name in it.
    pub cache: PathBuf,
    /// What a commit may be.
    pub limits: Limits,
}

/// What a commit may be, so that no repository takes windlass down.
#[derive(Clone, Debug)]
pub struct Limits {
    /// How many manifests a path may have.
    pub files: usize,
    /// How many bytes a manifest's file may have.
    pub file_bytes: u64,
    /// How many bytes the manifests of a path may have together.
    pub total_bytes: u64,
    /// How deep folders may lie below a path.
    pub depth: usize,
    /// How many bytes one fetch may bring.
    pub fetch_bytes: u64,
    /// How long connecting and fetching may take together.
    pub fetch_for: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            files: 10_000,
            file_bytes: 1 << 20,
            total_bytes: 32 << 20,
            depth: 16,
            fetch_bytes: 512 << 20,
            fetch_for: Duration::from_secs(60),
        }
    }
}

/// What a reference and some commits were found to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// The commit that the reference leads to, now in the cache; `None` when there is no such ref, tag or commit.
    pub tip: Option<CommitId>,
    /// The ref that names the tip: for a range the tag that was chosen, and none for a fixed commit.
    pub name: Option<RefName>,
    /// Those of the other commits that are in the cache now; the server does not have the rest.
    pub found: Vec<CommitId>,
}

/// A manifest's file as a commit holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Its path, relative to the path that was read, with `/` between folders.
    pub path: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// A repository that commits are fetched from. Clones share one cache.
#[derive(Clone)]
pub struct Source {
    shared: Arc<Shared>,
}

struct Shared {
    settings: Arc<Settings>,
    /// Where its tokens come from, where they do not last.
    tokens: Option<Arc<dyn Tokens>>,
    address: Address,
    client: reqwest::Client,
    cache: Cache,
    lines: Arc<Semaphore>,
}

impl Source {
    /// Takes a source as it is set; makes the folder of caches, and reaches nothing yet.
    ///
    /// # Errors
    /// [`Error::Settings`] for a URL that is not plain HTTP or carries a user, [`Error::Forbidden`] for one that leads to an
    /// address out of reach, [`Error::Folder`] when the folder of caches
    /// cannot be made.
    pub fn open(settings: Settings) -> Result<Self, Error> {
        Self::open_by(settings, None)
    }

    /// Takes a source in the same way whose tokens do not last: where `tokens` is given, they are told instead of the
    /// token of the settings.
    ///
    /// # Errors
    /// As [`Source::open`].
    pub fn open_by(settings: Settings, tokens: Option<Arc<dyn Tokens>>) -> Result<Self, Error> {
        process::prepare();
        let address = Address::of(&settings.url)
            .map_err(|why| Error::Settings { source_name: settings.name.clone(), why })?;
        http::judge(&settings)?;
        let client = http::client(&address, settings.reach)
            .map_err(|why| Error::Settings { source_name: settings.name.clone(), why })?;
        std::fs::create_dir_all(&settings.cache)
            .map_err(|e| Error::Folder { source_name: settings.name.clone(), why: e.to_string() })?;
        let cache = Cache::new(settings.name.clone(), &settings.cache);
        let lines = Arc::new(Semaphore::new(LINES));
        let settings = Arc::new(settings);
        Ok(Self { shared: Arc::new(Shared { settings, tokens, address, client, cache, lines }) })
    }

    /// Finds out where a reference leads and brings that commit, and those of `also` that the server has, into the cache.
    ///
    /// It connects once, and once more for each commit only when the server withholds one of them; not at all where a
    /// fixed commit is in the cache already, since it never changes.
    ///
    /// # Errors
    /// Everything about reaching, authenticating and fetching; an unknown commit in `also` is none, nor is a fixed one
    /// that the server does not have or does not show.
    #[tracing::instrument(name = "fetch", skip_all)]
    pub async fn resolve(&self, reference: &Reference, also: &[CommitId]) -> Result<Resolved, Error> {
        let (reference, also) = (reference.clone(), also.to_vec());
        self.on_a_line(move |shared, stop| resolve::resolve(shared, &reference, &also, stop)).await
    }

    /// Lists every ref and the commit that it names; annotated tags count as the commit behind them.
    ///
    /// # Errors
    /// Everything about reaching and authenticating, and [`Error::TooManyRefs`] beyond 50,000.
    pub async fn tips(&self) -> Result<BTreeMap<RefName, CommitId>, Error> {
        self.on_a_line(resolve::tips).await
    }

    /// Names what stands at a path of a commit, from the cache.
    ///
    /// # Errors
    /// [`Error::NoCommit`] when the cache does not have the commit; a path that the commit lacks is none.
    pub async fn inputs(&self, commit: &CommitId, path: &str) -> Result<Inputs, Error> {
        let path = path.to_owned();
        self.in_the_cache(commit, move |snapshot, _| snapshot.inputs(&path)).await
    }

    /// Names what stands at each of several paths of a commit, in their order, from the cache.
    ///
    /// # Errors
    /// As [`Source::inputs`].
    pub async fn inputs_of(&self, commit: &CommitId, paths: &[String]) -> Result<Vec<Inputs>, Error> {
        let paths = paths.to_vec();
        self.in_the_cache(commit, move |snapshot, _| paths.iter().map(|path| snapshot.inputs(path)).collect())
            .await
    }

    /// Reads the manifests at a path of a commit, sorted by their paths: files that end in `.yaml`, `.yml` or `.json`.
    /// Other files, and whatever has a name that starts with a dot, are passed over.
    ///
    /// # Errors
    /// [`Error::NoCommit`], [`Error::NoPath`], and [`Error::Contents`] with everything that is refused.
    pub async fn read(&self, commit: &CommitId, path: &str) -> Result<Vec<File>, Error> {
        let path = path.to_owned();
        self.in_the_cache(commit, move |snapshot, limits| snapshot.read(&path, limits)).await
    }

    /// Returns the message of a commit, from the cache; only its first 64 KiB, and what is no text replaced.
    ///
    /// # Errors
    /// As [`Source::inputs`].
    pub async fn message(&self, commit: &CommitId) -> Result<String, Error> {
        self.in_the_cache(commit, |snapshot, _| snapshot.message()).await
    }

    /// Returns those commits that lead to `tip` and not to `since` and whose message is one that is looked for, the newest
    /// first and at most four, each with those after it that have something else at `path`. As much history is fetched as
    /// it takes, but no more than 1,000 commits: what cannot be told from the past of `since` is left out, and none is
    /// returned where `since` does not lead to `tip`, or the way is longer.
    ///
    /// # Errors
    /// Everything about reaching, authenticating and fetching.
    pub async fn since(
        &self,
        tip: &CommitId,
        since: &CommitId,
        path: &str,
        says: impl Fn(&str) -> bool + Send + 'static,
    ) -> Result<Vec<OnTheWay>, Error> {
        let (tip, since, path) = (tip.clone(), since.clone(), path.to_owned());
        self.on_a_line(move |shared, stop| {
            let asked = Question { tip: &tip, since: &since, path: &path, says: &says };
            history::since(shared, &asked, stop)
        })
        .await
    }

    /// Returns a commit as Git stores it, without the header of the object, from the cache.
    ///
    /// # Errors
    /// As [`Source::inputs`], and [`Error::LongCommit`] beyond 1 MiB.
    pub async fn object(&self, commit: &CommitId) -> Result<Vec<u8>, Error> {
        self.in_the_cache(commit, |snapshot, _| snapshot.object()).await
    }

    /// Runs work that may connect on a thread of its own. It is told to end when this future is dropped or late.
    async fn on_a_line<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Shared, &Stop) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let shared = Arc::clone(&self.shared);
        let deadline = Instant::now() + shared.settings.limits.fetch_for;
        let stop = Stop::at(deadline);
        let _cancel = stop.when_dropped();
        let running = async {
            // The thread holds the permits until it really ends, which may be later than this future does.
            let own = Arc::clone(&shared.lines).acquire_owned().await.map_err(|_| self.stopped())?;
            let one = ALL.acquire().await.map_err(|_| self.stopped())?;
            let (shared, stop, span) = (Arc::clone(&shared), stop.clone(), tracing::Span::current());
            let thread = tokio::task::spawn_blocking(move || {
                let _permits = (own, one);
                span.in_scope(|| work(&shared, &stop))
            });
            thread.await.map_err(|_| self.stopped())?
        };
        timeout_at(deadline, running).await.unwrap_or_else(|_| Err(self.late()))
    }

    /// Runs work that reads a commit of the cache on a thread of its own.
    async fn in_the_cache<T: Send + 'static>(
        &self,
        commit: &CommitId,
        work: impl FnOnce(&Snapshot<'_>, &Limits) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (shared, commit) = (Arc::clone(&self.shared), commit.clone());
        let permit = READING.acquire().await.map_err(|_| self.stopped())?;
        let thread = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let result = shared.snapshot(&commit, |snapshot| work(snapshot, &shared.settings.limits));
            if matches!(result, Err(Error::Cache { .. })) {
                shared.cache.spend();
            }
            result
        });
        thread.await.map_err(|_| self.stopped())?
    }

    fn stopped(&self) -> Error {
        Error::Stopped { source_name: self.shared.settings.name.clone() }
    }

    fn late(&self) -> Error {
        let Settings { name, limits, .. } = &*self.shared.settings;
        Error::Late { source_name: name.clone(), seconds: limits.fetch_for.as_secs() }
    }
}

impl Shared {
    fn snapshot<T>(
        &self,
        commit: &CommitId,
        work: impl FnOnce(&Snapshot<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let _whole = self.cache.read();
        let absent = || Error::NoCommit { source_name: self.settings.name.clone(), commit: commit.clone() };
        let Some(repository) = self.cache.find()? else { return Err(absent()) };
        let snapshot = Snapshot::of(&repository, &self.cache, commit)?.ok_or_else(absent)?;
        work(&snapshot)
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Source({})", self.shared.settings.name)
    }
}
