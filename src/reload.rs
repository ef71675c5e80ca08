//! Tells when secrets and kubeconfigs should be read again: on SIGHUP, and when the settings file or one of them changes.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use notify::Event;
use notify::EventKind;
use notify::RecommendedWatcher;
use notify::RecursiveMode;
use notify::Watcher;
use notify::event::AccessKind;
use notify::event::AccessMode;
use tokio::signal::unix::Signal;
use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;
use tokio::sync::mpsc;

/// How long must files have been left alone before they are read? Whoever writes several of them writes at once.
const SETTLED_AFTER: Duration = Duration::from_millis(300);

/// How long are files waited for at most that go on changing?
const SETTLED_WITHIN: Duration = Duration::from_secs(5);

/// The link that Kubernetes turns when it changes the files of a mounted Secret or ConfigMap.
const MOUNTED: &str = "..data";

/// The changes of some files, and SIGHUP.
pub struct Changes {
    /// Watches for as long as it lives.
    _watcher: Option<RecommendedWatcher>,
    changed: mpsc::Receiver<()>,
    hangup: Option<Signal>,
}

impl Changes {
    /// Begins to watch files. Where a folder cannot be watched, only SIGHUP tells; the log says so.
    #[must_use]
    pub fn begin(files: &BTreeSet<PathBuf>) -> Self {
        let (tell, changed) = mpsc::channel(1);
        let behind_links = files.iter().filter_map(|file| file.canonicalize().ok());
        let all: Vec<PathBuf> = files.iter().cloned().chain(behind_links).collect();
        let names = all.iter().filter_map(|file| file.file_name()).map(OsString::from);
        let names: BTreeSet<OsString> = names.chain([MOUNTED.into()]).collect();
        let heard = move |event: notify::Result<Event>| {
            if event.is_ok_and(|event| is_change(&event, &names)) {
                // A full channel says already that something changed.
                let _told = tell.try_send(());
            }
        };
        let watcher = notify::recommended_watcher(heard).map(|mut watcher| {
            folders(files).iter().for_each(|folder| watch(&mut watcher, folder));
            watcher
        });
        let watcher = watcher.map_err(|error| unwatched("files", &error)).ok();
        let hangup = signal(SignalKind::hangup()).ok();
        Self { _watcher: watcher, changed, hangup }
    }

    /// Waits until something changed and was then left alone for a moment, or until the process got SIGHUP.
    pub async fn next(&mut self) {
        let Self { changed, hangup, .. } = self;
        tokio::select! {
            () = heard(changed) => {
                let settled = async {
                    while tokio::time::timeout(SETTLED_AFTER, heard(changed)).await.is_ok() {}
                };
                let _in_time = tokio::time::timeout(SETTLED_WITHIN, settled).await;
            }
            () = hung_up(hangup) => {}
        }
    }
}

async fn heard(changed: &mut mpsc::Receiver<()>) {
    if changed.recv().await.is_none() {
        // Nobody watches; only SIGHUP is left.
        std::future::pending::<()>().await;
    }
}

async fn hung_up(hangup: &mut Option<Signal>) {
    match hangup {
        Some(hangup) => drop(hangup.recv().await),
        None => std::future::pending().await,
    }
}

/// Returns the folders to watch: those that hold the files, also behind links. A file that is replaced is another one,
/// so the files themselves would not do.
fn folders(files: &BTreeSet<PathBuf>) -> BTreeSet<PathBuf> {
    let mut folders = BTreeSet::new();
    for file in files {
        folders.extend(folder(file));
        folders.extend(file.canonicalize().ok().as_deref().and_then(folder));
    }
    folders
}

fn folder(file: &Path) -> Option<PathBuf> {
    let folder = file.parent()?;
    Some(if folder.as_os_str().is_empty() { PathBuf::from(".") } else { folder.to_path_buf() })
}

fn watch(watcher: &mut RecommendedWatcher, folder: &Path) {
    if let Err(error) = watcher.watch(folder, RecursiveMode::NonRecursive) {
        unwatched(&folder.display().to_string(), &error);
    }
}

fn unwatched(what: &str, error: &notify::Error) {
    tracing::warn!("failed to watch {what}: {error}; after a change of secrets or kubeconfigs send SIGHUP");
}

/// Says whether a file was written, made, replaced or removed; merely reading it, as is done here, changes nothing.
fn is_change(event: &Event, names: &BTreeSet<OsString>) -> bool {
    let written = matches!(
        event.kind,
        EventKind::Create(_)
            | EventKind::Modify(_)
            | EventKind::Remove(_)
            | EventKind::Access(AccessKind::Close(AccessMode::Write))
    );
    written && event.paths.iter().any(|path| path.file_name().is_some_and(|name| names.contains(name)))
}
