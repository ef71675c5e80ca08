//! Following the members of a set as they change.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::StreamExt;
use kube::core::DynamicObject;
use kube::core::Request;
use kube::core::Resource;
use kube::core::WatchEvent;
use kube::core::params::ListParams;
use kube::core::params::WatchParams;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::Answer;
use super::Cluster;
use super::Error;
use super::Kinds;
use crate::object::GroupKind;
use crate::object::Live;
use crate::object::ObjectId;
use crate::object::group_and_version;

/// How long is one watch request kept open, in seconds? The next one goes on where it ended.
const WATCH_SECONDS: u32 = 60;

/// How long after that may its end take?
const GRACE: Duration = Duration::from_secs(5);

/// How many sightings may wait for their reader?
pub const SIGHTINGS: usize = 256;

/// How long after a failure is a watch begun anew?
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Something that was seen of the objects that are followed.
#[derive(Debug)]
pub enum Seen {
    /// An object as it is now.
    There(Box<Live>),
    /// An object that is gone.
    Gone(Box<Live>),
    /// All objects of a kind that are there, in one namespace or in the cluster, were told: no others are.
    Listed(Listed),
    /// A watch failed and begins anew; the objects may have changed meanwhile.
    Lost(Error),
}

/// What a list held.
#[derive(Debug)]
pub struct Listed {
    /// The kind.
    pub kind: GroupKind,
    /// The namespace; `None` for the cluster.
    pub namespace: Option<String>,
    /// The objects.
    pub objects: BTreeSet<ObjectId>,
}

impl Cluster {
    /// Follows all objects of one kind (in one namespace, or of the cluster) that match a label or a field selector:
    /// first all that are there, then every change, until the receiver of `sender` is dropped. With `since`, only the
    /// changes since that version are told, as long as the server knows them; else all that are there. Nothing is
    /// followed when the cluster does not know the kind.
    pub fn follow(
        &self,
        known: &Kinds,
        place: &Place<'_>,
        selector: Selector,
        since: Option<String>,
        sender: mpsc::Sender<Seen>,
    ) {
        self.start_to_follow(known, place, selector, (since, false), sender);
    }

    /// As [`Cluster::follow`], with nothing but the metadata of the objects.
    pub fn follow_metadata(
        &self,
        known: &Kinds,
        place: &Place<'_>,
        selector: Selector,
        sender: mpsc::Sender<Seen>,
    ) {
        self.start_to_follow(known, place, selector, (None, true), sender);
    }

    fn start_to_follow(
        &self,
        known: &Kinds,
        place: &Place<'_>,
        selector: Selector,
        (since, metadata): (Option<String>, bool),
        sender: mpsc::Sender<Seen>,
    ) {
        let Place { api_version, kind, namespace } = *place;
        let Some(entry) = known.known(api_version, kind) else { return };
        let following = Following {
            cluster: self.clone(),
            url: DynamicObject::url_path(&entry.resource, namespace),
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
            namespace: namespace.map(str::to_owned),
            selector,
            metadata,
            sender,
        };
        tokio::spawn(following.run(since));
    }
}

/// Where objects are followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place<'a> {
    /// Their `apiVersion`.
    pub api_version: &'a str,
    /// Their kind.
    pub kind: &'a str,
    /// Their namespace, where the kind has one.
    pub namespace: Option<&'a str>,
}

/// Which objects of a kind are followed.
#[derive(Clone, Debug)]
pub enum Selector {
    /// Those that match this label selector: a label alone, or with `=` and its value.
    Label(String),
    /// The one of this name.
    Named(String),
}

struct Following {
    cluster: Cluster,
    url: String,
    api_version: String,
    kind: String,
    namespace: Option<String>,
    selector: Selector,
    metadata: bool,
    sender: mpsc::Sender<Seen>,
}

impl Following {
    async fn run(self, mut since: Option<String>) {
        loop {
            let version = since.take();
            let goes_on = version.is_some();
            let ended = tokio::select! {
                ended = self.list_and_watch(version) => ended,
                () = self.sender.closed() => return,
            };
            // The server may have forgotten what changed since; a list tells all the same.
            if goes_on {
                continue;
            }
            if let Err(answer) = ended {
                let what = format!("{} of {}", self.kind, self.api_version);
                if self.sender.send(Seen::Lost(Error::Watch { what, answer })).await.is_err() {
                    return;
                }
            }
            tokio::time::sleep(AGAIN_AFTER).await;
        }
    }

    async fn list_and_watch(&self, since: Option<String>) -> Result<(), Answer> {
        let mut version = match since {
            Some(version) => version,
            None => self.list().await?,
        };
        loop {
            let begun = Instant::now();
            let next = self.watch(&version).await?;
            // A server that ends every watch at once, with nothing told, is not asked without a pause.
            if next == version && begun.elapsed() < AGAIN_AFTER {
                tokio::time::sleep(AGAIN_AFTER).await;
            }
            version = next;
        }
    }

    /// Lists all that are there, and returns the version to go on from.
    async fn list(&self) -> Result<String, Answer> {
        let mut params = ListParams::default();
        match &self.selector {
            Selector::Label(label) => params = params.labels(label),
            Selector::Named(name) => params = params.fields(&format!("metadata.name={name}")),
        }
        let mut pages = self.cluster.pages(&self.url, params, self.metadata);
        let mut objects = BTreeSet::new();
        while let Some(items) = pages.next().await? {
            for item in items {
                let told = |live: Live| {
                    objects.insert(live.id.clone());
                    Seen::There(Box::new(live))
                };
                self.tell(item, told).await?;
            }
        }
        let kind =
            GroupKind { group: group_and_version(&self.api_version).0.to_owned(), kind: self.kind.clone() };
        self.send(Seen::Listed(Listed { kind, namespace: self.namespace.clone(), objects })).await?;
        Ok(pages.version)
    }

    /// Watches from a version on until the server ends it, and returns the version to go on from.
    async fn watch(&self, from: &str) -> Result<String, Answer> {
        let mut params = WatchParams::default().timeout(WATCH_SECONDS);
        match &self.selector {
            Selector::Label(label) => params = params.labels(label),
            Selector::Named(name) => params = params.fields(&format!("metadata.name={name}")),
        }
        let request = Request::new(self.url.as_str());
        let request =
            if self.metadata { request.watch_metadata(&params, from) } else { request.watch(&params, from) };
        let request = request.map_err(kube::Error::BuildRequest)?;
        let limit = Duration::from_secs(u64::from(WATCH_SECONDS)) + GRACE;
        let client = self.cluster.watching();
        let open = client.request_events::<Value>(request);
        let late = |_| Answer::Unreachable("the watch fell silent".to_owned());
        let stream = tokio::time::timeout(limit, open).await.map_err(late)??;
        let mut stream = std::pin::pin!(stream);
        let mut version = from.to_owned();
        while let Some(event) = tokio::time::timeout(limit, stream.next()).await.map_err(late)? {
            match event? {
                WatchEvent::Added(value) | WatchEvent::Modified(value) => {
                    version = text(&value, "/metadata/resourceVersion");
                    self.tell(value, |live| Seen::There(Box::new(live))).await?;
                }
                WatchEvent::Deleted(value) => {
                    version = text(&value, "/metadata/resourceVersion");
                    self.tell(value, |live| Seen::Gone(Box::new(live))).await?;
                }
                WatchEvent::Bookmark(bookmark) => version = bookmark.metadata.resource_version,
                WatchEvent::Error(status) => return Err(Answer::refused(&status)),
            }
        }
        Ok(version)
    }

    async fn tell(&self, mut item: Value, seen: impl FnOnce(Live) -> Seen) -> Result<(), Answer> {
        if let Some(fields) = item.as_object_mut() {
            fields.insert("apiVersion".to_owned(), self.api_version.clone().into());
            fields.insert("kind".to_owned(), self.kind.clone().into());
        }
        let Some(live) = Live::read(item) else { return Ok(()) };
        self.send(seen(live)).await
    }

    async fn send(&self, seen: Seen) -> Result<(), Answer> {
        let gone = |_| Answer::Unreachable("nobody follows any more".to_owned());
        self.sender.send(seen).await.map_err(gone)
    }
}

fn text(value: &Value, pointer: &str) -> String {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}
