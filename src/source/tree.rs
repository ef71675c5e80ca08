//! Reading the files of a commit from the object database. Nothing is checked out, so no link, filter or hook can act.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use git2::ErrorCode;
use git2::ObjectType;
use git2::Odb;
use git2::Oid;
use git2::Repository;
use git2::Tree;
use git2::TreeEntry;

use crate::commit::CommitId;
use crate::commit::Inputs;
use crate::source::File;
use crate::source::Limits;
use crate::source::cache::Cache;
use crate::source::cache::id_of;
use crate::source::error::Error;
use crate::source::error::Refusal;
use crate::source::error::Refusals;

/// How many refusals are listed?
const REFUSALS: usize = 20;
/// How many entries of any kind may be visited for each file that may be read? Trees can repeat each other, so that a
/// few bytes stand for millions of entries.
const ENTRIES_PER_FILE: usize = 10;
/// How many bytes may a single folder's list of entries have?
const TREE_BYTES: usize = 8 << 20;
/// How many folders are remembered while paths of one commit are looked up, and how long may their lists be?
const FOLDERS: usize = 16;
const FOLDER_BYTES: usize = 1 << 20;
/// How many characters of a strange name are shown?
const SHOWN: usize = 200;
/// How many bytes may a commit have whose signature is read?
const COMMIT_BYTES: usize = 1 << 20;
/// How many bytes of a commit's message are read?
pub(super) const MESSAGE_BYTES: usize = 64 << 10;
/// Which bits of a mode tell the kind of an entry, and which kinds are these?
const KIND: i32 = 0o170_000;
const LINK: i32 = 0o120_000;
const MODULE: i32 = 0o160_000;
const FOLDER: i32 = 0o040_000;

/// A commit that the cache has.
pub(super) struct Snapshot<'a> {
    repository: &'a Repository,
    store: Odb<'a>,
    cache: &'a Cache,
    commit: &'a CommitId,
    id: Oid,
    root: Oid,
    /// The folders that paths led through: libgit2 itself remembers only small ones.
    folders: RefCell<HashMap<Oid, Rc<Tree<'a>>>>,
}

impl<'a> Snapshot<'a> {
    /// Finds a commit; `None` when the cache does not have it.
    pub(super) fn of(
        repository: &'a Repository,
        cache: &'a Cache,
        commit: &'a CommitId,
    ) -> Result<Option<Self>, Error> {
        let Some(id) = id_of(repository, commit) else { return Ok(None) };
        let root = match repository.find_commit(id) {
            Ok(found) => found.tree_id(),
            Err(e) if e.code() == ErrorCode::NotFound && !cache.keeps(repository, commit)? => {
                return Ok(None);
            }
            Err(e) => return Err(cache.broken(&e)),
        };
        let store = repository.odb().map_err(|e| cache.broken(&e))?;
        let folders = RefCell::default();
        Ok(Some(Self { repository, store, cache, commit, id, root, folders }))
    }

    /// Returns the commit's message.
    pub(super) fn message(&self) -> Result<String, Error> {
        let commit = self.repository.find_commit(self.id).map_err(|e| self.cache.broken(&e))?;
        let bytes = commit.message_bytes();
        Ok(String::from_utf8_lossy(bytes.get(..MESSAGE_BYTES).unwrap_or(bytes)).into_owned())
    }

    /// Returns the commit as Git stores it. libgit2 holds it against its id.
    pub(super) fn object(&self) -> Result<Vec<u8>, Error> {
        if self.size(self.id, ObjectType::Commit)? > COMMIT_BYTES {
            return Err(Error::LongCommit { commit: self.commit.clone(), limit: COMMIT_BYTES });
        }
        let object = self.store.read(self.id).map_err(|e| self.cache.broken(&e))?;
        Ok(object.data().to_vec())
    }

    /// Names what stands at a path.
    pub(super) fn inputs(&self, path: &str) -> Result<Inputs, Error> {
        Ok(self.at(path)?.map_or_else(Inputs::absent, |entry| Inputs(entry.id.to_string())))
    }

    /// Reads the manifests below a path, or the one at it.
    pub(super) fn read(&self, path: &str, limits: &Limits) -> Result<Vec<File>, Error> {
        let entry =
            self.at(path)?.ok_or_else(|| Error::NoPath { commit: self.commit.clone(), path: path.into() })?;
        let mut walk = Walk::new(self, limits);
        match entry.mode & KIND {
            FOLDER => walk.folder(entry.id, "", 0)?,
            LINK | MODULE => walk.entry(&entry, 0)?,
            // A path that names a file means that file, whatever its ending.
            _ => walk.file(entry.id, &entry.name)?,
        }
        let Walk { mut files, refusals, .. } = walk;
        if !refusals.list.is_empty() {
            return Err(Error::Contents { commit: self.commit.clone(), refusals });
        }
        files.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        Ok(files)
    }

    /// Finds what stands at a path; the empty path is the root.
    fn at(&self, path: &str) -> Result<Option<Entry>, Error> {
        let path = path.trim_end_matches('/');
        let mut entry = Entry { id: self.root, mode: FOLDER, name: String::new() };
        if path.is_empty() {
            return Ok(Some(entry));
        }
        for name in path.split('/') {
            if strange(name.as_bytes()).is_some() || name == "." {
                return Err(Error::BadPath { path: path.chars().take(SHOWN).collect() });
            }
            if entry.mode & KIND != FOLDER {
                return Ok(None);
            }
            let folder = self.folder(&entry)?;
            let Some(found) = folder.get_name(name) else { return Ok(None) };
            entry = Entry { id: found.id(), mode: found.filemode(), name: name.to_owned() };
        }
        Ok(Some(entry))
    }

    /// Reads a folder on the way to others.
    fn folder(&self, entry: &Entry) -> Result<Rc<Tree<'a>>, Error> {
        if let Some(known) = self.folders.borrow().get(&entry.id) {
            return Ok(Rc::clone(known));
        }
        let size = self.size(entry.id, ObjectType::Tree)?;
        if size > TREE_BYTES {
            return Err(self.too_long(&entry.name));
        }
        let folder = Rc::new(self.tree(entry.id)?);
        let mut folders = self.folders.borrow_mut();
        if folders.len() >= FOLDERS {
            folders.clear();
        }
        if size <= FOLDER_BYTES {
            folders.insert(entry.id, Rc::clone(&folder));
        }
        Ok(folder)
    }

    fn too_long(&self, folder: &str) -> Error {
        let file = if folder.is_empty() { "." } else { folder }.to_owned();
        let refusals = Refusals { list: vec![Refusal { file, why: long_list() }], more: false };
        Error::Contents { commit: self.commit.clone(), refusals }
    }

    fn tree(&self, id: Oid) -> Result<Tree<'a>, Error> {
        self.repository.find_tree(id).map_err(|e| self.cache.broken(&e))
    }

    fn size(&self, id: Oid, kind: ObjectType) -> Result<usize, Error> {
        let (size, found) = self.store.read_header(id).map_err(|e| self.cache.broken(&e))?;
        if found == kind {
            Ok(size)
        } else {
            Err(self.cache.broken(&git2::Error::from_str("an object has another kind")))
        }
    }
}

/// An entry of a tree; its name is the path relative to what is read.
struct Entry {
    id: Oid,
    mode: i32,
    name: String,
}

/// A walk through a folder, which keeps count.
struct Walk<'a, 'r> {
    snapshot: &'a Snapshot<'r>,
    limits: &'a Limits,
    visited: usize,
    bytes: u64,
    files: Vec<File>,
    refusals: Refusals,
    /// Set when going on would be of no use.
    over: bool,
}

impl<'a, 'r> Walk<'a, 'r> {
    fn new(snapshot: &'a Snapshot<'r>, limits: &'a Limits) -> Self {
        let refusals = Refusals { list: Vec::new(), more: false };
        Self { snapshot, limits, visited: 0, bytes: 0, files: Vec::new(), refusals, over: false }
    }

    fn folder(&mut self, id: Oid, folder: &str, depth: usize) -> Result<(), Error> {
        if depth > self.limits.depth {
            self.refuse(folder, format!("lies deeper than {} folders", self.limits.depth));
            return Ok(());
        }
        if self.snapshot.size(id, ObjectType::Tree)? > TREE_BYTES {
            self.refuse(folder, long_list());
            return Ok(());
        }
        let snapshot = self.snapshot;
        for entry in &snapshot.tree(id)? {
            self.visited += 1;
            if self.visited > self.limits.files.saturating_mul(ENTRIES_PER_FILE) {
                let limit = self.limits.files.saturating_mul(ENTRIES_PER_FILE);
                self.refuse_all(folder, format!("is one of more than {limit} files and folders"));
            }
            if self.over {
                return Ok(());
            }
            if let Some(entry) = self.named(&entry, folder) {
                self.entry(&entry, depth)?;
            }
        }
        Ok(())
    }

    /// Reads an entry's name: a strange one is refused, and one that starts with a dot is passed over.
    fn named(&mut self, entry: &TreeEntry<'_>, folder: &str) -> Option<Entry> {
        let bytes = entry.name_bytes();
        let joined =
            |name: &str| if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") };
        if let Some(why) = strange(bytes) {
            self.refuse(&joined(&String::from_utf8_lossy(bytes)), why.to_owned());
            return None;
        }
        let name = std::str::from_utf8(bytes).ok().filter(|name| !name.starts_with('.'))?;
        Some(Entry { id: entry.id(), mode: entry.filemode(), name: joined(name) })
    }

    fn entry(&mut self, entry: &Entry, depth: usize) -> Result<(), Error> {
        let Entry { id, mode, name } = entry;
        match mode & KIND {
            FOLDER => self.folder(*id, name, depth + 1),
            LINK => {
                self.refuse(name, "is a symbolic link; commit the file itself".to_owned());
                Ok(())
            }
            MODULE => {
                self.refuse(name, "is a submodule; commit its files instead".to_owned());
                Ok(())
            }
            _ if is_manifest(name) => self.file(*id, name),
            _ => Ok(()),
        }
    }

    fn file(&mut self, id: Oid, name: &str) -> Result<(), Error> {
        let size = u64::try_from(self.snapshot.size(id, ObjectType::Blob)?).unwrap_or(u64::MAX);
        let Limits { files, file_bytes, total_bytes, .. } = self.limits;
        if size > *file_bytes {
            self.refuse(name, format!("has {size} bytes, and a file may have {file_bytes}"));
            return Ok(());
        }
        self.bytes = self.bytes.saturating_add(size);
        if self.files.len() >= *files {
            self.refuse_all(name, format!("is one of more than {files} files"));
        } else if self.bytes > *total_bytes {
            self.refuse_all(
                name,
                format!("is one file too many: together they may have {total_bytes} bytes"),
            );
        } else {
            let blob = self.snapshot.repository.find_blob(id).map_err(|e| self.snapshot.cache.broken(&e))?;
            self.files.push(File { path: name.to_owned(), bytes: blob.content().to_vec() });
        }
        Ok(())
    }

    fn refuse(&mut self, file: &str, why: String) {
        if self.refusals.list.len() < REFUSALS {
            let file = if file.is_empty() { "." } else { file };
            let file = file.chars().take(SHOWN).flat_map(char::escape_debug).collect();
            self.refusals.list.push(Refusal { file, why });
        } else {
            self.refusals.more = true;
            self.over = true;
        }
    }

    fn refuse_all(&mut self, file: &str, why: String) {
        self.refuse(file, why);
        self.over = true;
    }
}

fn long_list() -> String {
    format!("lists more than {TREE_BYTES} bytes of names")
}

/// Returns why a name is refused; Git stores any bytes, but these mean something else to whoever reads them as a path.
fn strange(name: &[u8]) -> Option<&'static str> {
    if name.is_empty() || name == b"." || name == b".." {
        Some("has a name that leads elsewhere")
    } else if name.eq_ignore_ascii_case(b".git") {
        Some("has Git's own name")
    } else if name.contains(&b'\\') || name.contains(&b'/') {
        Some("has a slash or a backslash in its name")
    } else {
        match std::str::from_utf8(name) {
            Err(_) => Some("has a name that is not UTF-8"),
            Ok(text) if text.chars().any(char::is_control) => Some("has a control character in its name"),
            Ok(_) => None,
        }
    }
}

fn is_manifest(name: &str) -> bool {
    let end = name.rsplit_once('.').map(|(_, end)| end.to_ascii_lowercase());
    matches!(end.as_deref(), Some("yaml" | "yml" | "json"))
}

#[cfg(test)]
mod tests {
    use super::{is_manifest, strange};

    #[test]
    fn strange_names_are_told_from_plain_ones() {
        let refused: [&[u8]; 10] =
            [b"", b".", b"..", b".git", b".GIT", b"a\\b", b"a/b", b"a\0", b"a\nb.yaml", b"\xff.yaml"];
        for name in refused {
            assert!(strange(name).is_some(), "{name:?}");
        }
        for name in ["a.yaml", ".hidden", "..a", "größe.yaml", "-rf.yaml", "a b.yaml", ".gitignore"] {
            assert!(strange(name.as_bytes()).is_none(), "{name}");
        }
    }

    #[test]
    fn manifests_are_told_by_their_ending() {
        for (name, read) in [
            ("a.yaml", true),
            ("a/b.YML", true),
            ("c.json", true),
            ("README.md", false),
            ("yaml", false),
            ("a.yaml.bak", false),
        ] {
            assert_eq!(is_manifest(name), read, "{name}");
        }
    }
}
