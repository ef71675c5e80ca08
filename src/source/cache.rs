//! The bare repository on local disk that keeps what was fetched.
//!
//! Shallow fetches that run at once corrupt a repository, so each holds a lock: one within the process and one on a file
//! beside the cache, for other processes. Reading needs neither.

use std::fs::File;
use std::fs::TryLockError;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::RwLock;
use std::sync::RwLockReadGuard;
use std::sync::TryLockError as Busy;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::SystemTime;

use git2::ErrorCode;
use git2::ObjectFormat;
use git2::ObjectType;
use git2::Oid;
use git2::Repository;
use git2::RepositoryInitOptions;

use crate::application::Name;
use crate::commit::CommitId;
use crate::source::error::Error;
use crate::source::stop::Stop;

/// How many commits does a cache keep at least?
const KEEP_COMMITS: usize = 64;
/// How many packs may a cache have before it is cloned anew? Each fetch leaves one, and every lookup asks them all.
const PACKS: usize = 200;
/// How many bytes may the packs of a cache have before it is cloned anew?
const PACK_BYTES: u64 = 4 << 30;
/// How long does a thread pause before it asks for a lock again?
const LOCK_PAUSE: Duration = Duration::from_millis(2);
/// Where do the refs live that keep fetched commits?
const KEPT: &str = "refs/windlass/";

/// The cache of one source.
pub(super) struct Cache {
    source: Name,
    folder: PathBuf,
    lock_file: PathBuf,
    inside: Mutex<()>,
    /// Readers hold it shared, so that the folder is not taken away under them.
    whole: RwLock<()>,
    /// Set by a reader that met something broken, and by a fetch that left too much.
    spent: AtomicBool,
    /// Whether the source names objects by SHA-256. It matters only where the repository is made.
    sha256: AtomicBool,
    /// How often the folder was taken away; a connection that began before is of no use any more.
    age: AtomicU64,
}

/// The right to write to a cache.
pub(super) struct Writing<'a> {
    _inside: MutexGuard<'a, ()>,
    _file: File,
}

impl Cache {
    /// Names the cache of a source; touches nothing.
    pub(super) fn new(source: Name, folder: &Path) -> Self {
        Self {
            folder: folder.join(source.as_str()),
            lock_file: folder.join(format!("{source}.lock")),
            source,
            inside: Mutex::new(()),
            whole: RwLock::new(()),
            spent: AtomicBool::new(false),
            sha256: AtomicBool::new(false),
            age: AtomicU64::new(0),
        }
    }

    /// Opens the repository, and makes it first where there is none.
    pub(super) fn open(&self, stop: &Stop) -> Result<Repository, Error> {
        if !self.folder.exists() {
            let _writing = self.write(stop)?;
            if !self.folder.exists() {
                self.make()?;
            }
        }
        self.find()?.ok_or_else(|| self.outdated("it was taken away meanwhile"))
    }

    /// Opens the repository; `None` where there is none.
    pub(super) fn find(&self) -> Result<Option<Repository>, Error> {
        if !self.folder.exists() {
            return Ok(None);
        }
        Repository::open_bare(&self.folder).map(Some).map_err(|e| self.broken(&e))
    }

    /// Makes the repository beside its place and moves it there, so that a half-made one is never seen.
    fn make(&self) -> Result<(), Error> {
        let fresh = self.beside("new");
        remove(&fresh).map_err(|e| self.folder_failed(&e))?;
        let mut options = RepositoryInitOptions::new();
        options.bare(true).external_template(false);
        if self.sha256.load(Ordering::Acquire) {
            options.object_format(ObjectFormat::Sha256);
        }
        let _repository = Repository::init_opts(&fresh, &options)
            .map_err(|e| Error::Folder { source_name: self.source.clone(), why: e.message().to_owned() })?;
        std::fs::rename(&fresh, &self.folder).map_err(|e| self.folder_failed(&e))
    }

    /// Waits for the right to write.
    pub(super) fn write(&self, stop: &Stop) -> Result<Writing<'_>, Error> {
        let inside = loop {
            match self.inside.try_lock() {
                Ok(guard) => break guard,
                Err(Busy::Poisoned(poisoned)) => break poisoned.into_inner(),
                Err(Busy::WouldBlock) => self.pause(stop)?,
            }
        };
        let file = File::options().create(true).truncate(false).write(true).open(&self.lock_file);
        let file = file.map_err(|e| self.folder_failed(&e))?;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Writing { _inside: inside, _file: file }),
                Err(TryLockError::WouldBlock) => self.pause(stop)?,
                Err(TryLockError::Error(e)) => return Err(self.folder_failed(&e)),
            }
        }
    }

    fn pause(&self, stop: &Stop) -> Result<(), Error> {
        if stop.why().is_some() {
            return Err(Error::Stopped { source_name: self.source.clone() });
        }
        std::thread::sleep(LOCK_PAUSE);
        Ok(())
    }

    /// Keeps the folder in its place while the guard lives.
    pub(super) fn read(&self) -> RwLockReadGuard<'_, ()> {
        self.whole.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the age; it grows when the folder is taken away.
    pub(super) fn age(&self) -> u64 {
        self.age.load(Ordering::Acquire)
    }

    /// Returns whether the folder should be taken away before it is used again.
    pub(super) fn is_spent(&self) -> bool {
        self.spent.load(Ordering::Acquire)
    }

    /// Says that the folder should be taken away before it is used again.
    pub(super) fn spend(&self) {
        self.spent.store(true, Ordering::Release);
    }

    /// Says how the source names its objects, for the repository that is made next.
    pub(super) fn names_by(&self, format: ObjectFormat) {
        self.sha256.store(format == ObjectFormat::Sha256, Ordering::Release);
    }

    /// Takes the folder away, unless that has been done since `age` was read.
    pub(super) fn renew(&self, age: u64, stop: &Stop) -> Result<(), Error> {
        let _writing = self.write(stop)?;
        if self.age() != age {
            return Ok(());
        }
        let _whole = self.whole.write().unwrap_or_else(PoisonError::into_inner);
        let old = self.beside("old");
        remove(&old).map_err(|e| self.folder_failed(&e))?;
        if self.folder.exists() {
            std::fs::rename(&self.folder, &old).map_err(|e| self.folder_failed(&e))?;
        }
        self.age.fetch_add(1, Ordering::AcqRel);
        self.spent.store(false, Ordering::Release);
        remove(&old).map_err(|e| self.folder_failed(&e))
    }

    /// Returns whether a commit was fetched whole. Its ref says so: it is written last.
    pub(super) fn has(&self, repository: &Repository, commit: &CommitId) -> Result<bool, Error> {
        let Some(id) = id_of(repository, commit) else { return Ok(false) };
        if !self.keeps(repository, commit)? {
            return Ok(false);
        }
        let store = repository.odb().map_err(|e| self.broken(&e))?;
        if store.read_header(id).map_err(|e| self.broken(&e))?.1 != ObjectType::Commit {
            return Ok(false);
        }
        let tree = repository.find_commit(id).map_err(|e| self.broken(&e))?.tree_id();
        if store.exists(tree) { Ok(true) } else { Err(self.outdated("a tree is missing")) }
    }

    /// Returns whether a ref keeps a commit; then it was there once.
    pub(super) fn keeps(&self, repository: &Repository, commit: &CommitId) -> Result<bool, Error> {
        match repository.find_reference(&kept(commit)) {
            Ok(_) => Ok(true),
            Err(e) if e.code() == ErrorCode::NotFound => Ok(false),
            Err(e) => Err(self.broken(&e)),
        }
    }

    /// Marks commits as used just now, drops what has been unused for longest, and notes when the cache has grown too
    /// large. Only for who may write.
    pub(super) fn tidy(
        &self,
        repository: &Repository,
        used: &[&CommitId],
        _writing: &Writing<'_>,
    ) -> Result<(), Error> {
        let refs = self.folder.join(KEPT);
        for commit in used {
            touch(&refs.join(commit.as_str())).map_err(|e| self.folder_failed(&e))?;
        }
        let mut ages = stamps(&refs).map_err(|e| self.folder_failed(&e))?;
        ages.sort_unstable_by(|a, b| b.cmp(a));
        for (_, name) in ages.iter().skip(KEEP_COMMITS) {
            if used.iter().all(|commit| commit.as_str() != name) {
                let dropped =
                    repository.find_reference(&format!("{KEPT}{name}")).and_then(|mut r| r.delete());
                dropped.map_err(|e| self.broken(&e))?;
            }
        }
        let (packs, bytes) = packs(&self.folder.join("objects/pack")).map_err(|e| self.folder_failed(&e))?;
        if packs > PACKS || bytes > PACK_BYTES {
            self.spend();
        }
        Ok(())
    }

    /// Describes a failure that says that the repository is not whole.
    pub(super) fn broken(&self, error: &git2::Error) -> Error {
        self.outdated(error.message())
    }

    /// Says that the repository must be made anew, and why.
    pub(super) fn outdated(&self, why: &str) -> Error {
        Error::Cache { source_name: self.source.clone(), why: why.to_owned() }
    }

    fn folder_failed(&self, error: &io::Error) -> Error {
        Error::Folder { source_name: self.source.clone(), why: error.to_string() }
    }

    fn beside(&self, what: &str) -> PathBuf {
        self.folder.with_extension(what)
    }
}

/// Returns a commit's id as the repository names objects; nothing where it names them otherwise.
pub(super) fn id_of(repository: &Repository, commit: &CommitId) -> Option<Oid> {
    let format = repository.object_format();
    let digits = match format {
        ObjectFormat::Sha1 => 40,
        ObjectFormat::Sha256 => 64,
    };
    // A shorter text would be taken for the beginning of an id.
    let whole = Some(commit.as_str()).filter(|text| text.len() == digits)?;
    Oid::from_str_ext(whole, format).ok()
}

/// Returns the ref that keeps a commit.
pub(super) fn kept(commit: &CommitId) -> String {
    format!("{KEPT}{commit}")
}

fn remove(folder: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn touch(file: &Path) -> io::Result<()> {
    match File::options().write(true).open(file) {
        Ok(file) => file.set_modified(SystemTime::now()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(e),
    }
}

fn stamps(folder: &Path) -> io::Result<Vec<(SystemTime, String)>> {
    let mut stamps = Vec::new();
    // Before the first commit has come there is no such folder.
    if !folder.exists() {
        return Ok(stamps);
    }
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if let Ok(name) = entry.file_name().into_string()
            && CommitId::parse(&name).is_ok()
        {
            stamps.push((entry.metadata()?.modified()?, name));
        }
    }
    Ok(stamps)
}

fn packs(folder: &Path) -> io::Result<(usize, u64)> {
    let (mut count, mut bytes) = (0, 0_u64);
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.path().extension().is_some_and(|end| end == "pack") {
            count += 1;
            bytes = bytes.saturating_add(entry.metadata()?.len());
        }
    }
    Ok((count, bytes))
}
