//! Talking to the server: one connection lists the refs and then fetches what is wanted.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;

use git2::AutotagOption;
use git2::Direction;
use git2::ErrorClass;
use git2::FetchOptions;
use git2::ObjectFormat;
use git2::Remote;
use git2::RemoteCallbacks;
use git2::RemoteConnection;
use git2::RemoteHead;
use git2::Repository;

use crate::commit::CommitId;
use crate::commit::RefName;
use crate::source::Settings;
use crate::source::cache::kept;
use crate::source::error::Error;
use crate::source::http::Call;
use crate::source::http::URL;
use crate::source::stop::Stop;
use crate::source::stop::Why;

/// How many refs may a repository have?
const REFS: usize = 50_000;
/// How many characters of a message of libgit2 are kept?
const WORDS: usize = 200;
/// How many bytes has an id by SHA-256?
const SHA256_BYTES: usize = 32;
/// What does Git append to the name of an annotated tag, to list the commit behind it?
const PEELED: &str = "^{}";

/// The far side of one source, and when to give up on it.
pub(super) struct Wire<'a> {
    pub(super) settings: &'a Settings,
    pub(super) stop: &'a Stop,
    pub(super) call: Call,
}

/// How a fetch ended that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fetched {
    /// Everything came.
    All,
    /// The server said that it does not have, or does not show, one of them; nothing came.
    Withheld,
}

impl<'a> Wire<'a> {
    /// Makes a remote that keeps nothing in the repository.
    pub(super) fn remote<'repo>(&self, repository: &'repo Repository) -> Result<Remote<'repo>, Error> {
        repository.remote_anonymous(URL).map_err(|e| self.failed(&e))
    }

    /// Connects; the server lists its refs.
    pub(super) fn dial<'repo, 'remote>(
        &self,
        remote: &'remote mut Remote<'repo>,
    ) -> Result<RemoteConnection<'repo, 'remote, 'a>, Error> {
        let dialled =
            self.call.during(|| remote.connect_auth(Direction::Fetch, Some(self.callbacks()), None));
        dialled.map_err(|e| self.failed(&e))
    }

    /// Reads every ref that a connection listed, with annotated tags replaced by what they name.
    pub(super) fn tips(
        &self,
        line: &RemoteConnection<'_, '_, '_>,
    ) -> Result<BTreeMap<RefName, CommitId>, Error> {
        let mut tips = BTreeMap::new();
        for head in self.heads(line)? {
            // Git lists the commit behind a tag after the tag, so the later entry is the better one.
            let Some(name) = name_of(head) else { continue };
            let name = name.strip_suffix(PEELED).unwrap_or(name);
            if let (Ok(name), Ok(id)) = (RefName::parse(name), CommitId::parse(&head.oid().to_string())) {
                let _former = tips.insert(name, id);
            }
        }
        Ok(tips)
    }

    /// Returns where one ref stands, peeled; `None` when the server does not list it.
    pub(super) fn tip(
        &self,
        line: &RemoteConnection<'_, '_, '_>,
        reference: &RefName,
    ) -> Result<Option<CommitId>, Error> {
        let mut tip = None;
        for head in self.heads(line)? {
            let Some(name) = name_of(head) else { continue };
            if name.strip_suffix(PEELED).unwrap_or(name) == reference.as_str() {
                tip = CommitId::parse(&head.oid().to_string()).ok();
            }
        }
        Ok(tip)
    }

    /// Returns how the server names objects; `None` where it lists none.
    pub(super) fn format(&self, line: &RemoteConnection<'_, '_, '_>) -> Result<Option<ObjectFormat>, Error> {
        let listed = self.heads(line)?.first().map(|head| head.oid().as_bytes().len());
        Ok(listed.map(|bytes| if bytes == SHA256_BYTES { ObjectFormat::Sha256 } else { ObjectFormat::Sha1 }))
    }

    fn heads<'line>(
        &self,
        line: &'line RemoteConnection<'_, '_, '_>,
    ) -> Result<&'line [RemoteHead<'line>], Error> {
        let heads = line.list().map_err(|e| self.failed(&e))?;
        if heads.len() > REFS {
            return Err(Error::TooManyRefs { source_name: self.settings.name.clone(), limit: REFS });
        }
        Ok(heads)
    }

    /// Fetches commits over an open connection, and closes it: of the history of each so many commits, itself included.
    pub(super) fn fetch(
        &self,
        remote: &mut Remote<'_>,
        wanted: &[&CommitId],
        depth: i32,
    ) -> Result<Fetched, Error> {
        let specs: Vec<String> = wanted.iter().map(|commit| format!("+{commit}:{}", kept(commit))).collect();
        let mut options = FetchOptions::new();
        options
            .depth(depth)
            .download_tags(AutotagOption::None)
            .update_fetchhead(false)
            .remote_callbacks(self.callbacks());
        match self.call.during(|| remote.fetch(&specs, Some(&mut options), None)) {
            Ok(()) => Ok(Fetched::All),
            // libgit2 has no code for a server that says "not our ref": it trips over that answer, in these words.
            Err(e) if self.stop.why().is_none() && e.message().contains("unexpected packet type") => {
                Ok(Fetched::Withheld)
            }
            Err(e) => Err(self.failed(&e)),
        }
    }

    fn callbacks(&self) -> RemoteCallbacks<'a> {
        let stop = self.stop;
        let mut callbacks = RemoteCallbacks::new();
        callbacks.transfer_progress(move |_progress| stop.why().is_none());
        callbacks.sideband_progress(move |_words| stop.why().is_none());
        callbacks
    }

    /// Reads what a failure of libgit2 means.
    fn failed(&self, error: &git2::Error) -> Error {
        let source_name = self.settings.name.clone();
        match self.stop.why() {
            Some(Why::Cancelled) => return Error::Stopped { source_name },
            Some(Why::Late) => {
                return Error::Late { source_name, seconds: self.settings.limits.fetch_for.as_secs() };
            }
            None => {}
        }
        if let Some(failure) = self.call.failure() {
            failure
        } else if is_broken(error) {
            Error::Cache { source_name, why: self.words(error) }
        } else {
            Error::Reach { source_name, host: self.call.host().to_owned(), why: self.words(error) }
        }
    }

    /// Returns what libgit2 says, short and printable, and without the token should a server have repeated it.
    fn words(&self, error: &git2::Error) -> String {
        let said = error.message();
        let said = match self.call.told() {
            Some(token) => said.replace(token.expose(), "…"),
            None => said.to_owned(),
        };
        said.chars().filter(|c| !c.is_control()).take(WORDS).collect()
    }
}

/// Returns whether a failure says that the repository on disk is not whole.
fn is_broken(error: &git2::Error) -> bool {
    let classes = [
        ErrorClass::Odb,
        ErrorClass::Zlib,
        ErrorClass::Object,
        ErrorClass::Tree,
        ErrorClass::Indexer,
        ErrorClass::Reference,
        ErrorClass::Repository,
        ErrorClass::Config,
    ];
    classes.contains(&error.class())
}

/// Returns the name of a listed ref, or `None` when it is not UTF-8: git2 panics over such a name, and a repository's
/// author must not be able to stop its source with one.
fn name_of<'head>(head: &'head RemoteHead<'_>) -> Option<&'head str> {
    catch_unwind(AssertUnwindSafe(|| head.name())).ok()
}
