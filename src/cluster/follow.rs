//! Following the members of a set as they change.

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

use super::Answer;
use super::Cluster;
use super::Error;
use super::Kinds;
use crate::object::Live;

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
    /// A watch failed and begins anew; the objects may have changed meanwhile.
    Lost(Error),
}

impl Cluster {
    /// Follows all objects of one kind (in one namespace, or of the cluster) that match a label or a field selector:
    /// first all that are there, then every change, until the receiver of `sender` is dropped. Nothing is followed
    /// when the cluster does not know the kind.
    pub fn follow(&self, known: &Kinds, place: &Place<'_>, selector: Selector, sender: mpsc::Sender<Seen>) {
        let Place { api_version, kind, namespace } = *place;
        let Some(entry) = known.known(api_version, kind) else { return };
        let following = Following {
            cluster: self.clone(),
            url: DynamicObject::url_path(&entry.resource, namespace),
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
            selector,
            sender,
        };
        tokio::spawn(following.run());
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
    /// Those with a label of this value.
    Label(String),
    /// The one of this name.
    Named(String),
}

struct Following {
    cluster: Cluster,
    url: String,
    api_version: String,
    kind: String,
    selector: Selector,
    sender: mpsc::Sender<Seen>,
}

impl Following {
    async fn run(self) {
        loop {
            let ended = tokio::select! {
                ended = self.list_and_watch() => ended,
                () = self.sender.closed() => return,
            };
            if let Err(answer) = ended {
                let what = format!("{} of {}", self.kind, self.api_version);
                if self.sender.send(Seen::Lost(Error::Watch { what, answer })).await.is_err() {
                    return;
                }
            }
            tokio::time::sleep(AGAIN_AFTER).await;
        }
    }

    async fn list_and_watch(&self) -> Result<(), Answer> {
        let mut params = ListParams::default();
        match &self.selector {
            Selector::Label(label) => params = params.labels(label),
            Selector::Named(name) => params = params.fields(&format!("metadata.name={name}")),
        }
        let mut pages = self.cluster.pages(&self.url, params);
        while let Some(items) = pages.next().await? {
            for item in items {
                self.tell(item, |live| Seen::There(Box::new(live))).await?;
            }
        }
        let mut version = pages.version;
        loop {
            version = self.watch(&version).await?;
        }
    }

    /// Watches from a version on until the server ends it, and returns the version to go on from.
    async fn watch(&self, from: &str) -> Result<String, Answer> {
        let mut params = WatchParams::default().timeout(WATCH_SECONDS);
        match &self.selector {
            Selector::Label(label) => params = params.labels(label),
            Selector::Named(name) => params = params.fields(&format!("metadata.name={name}")),
        }
        let request =
            Request::new(self.url.as_str()).watch(&params, from).map_err(kube::Error::BuildRequest)?;
        let limit = Duration::from_secs(u64::from(WATCH_SECONDS)) + GRACE;
        let open = self.cluster.watching.request_events::<Value>(request);
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
        let gone = |_| Answer::Unreachable("nobody follows any more".to_owned());
        self.sender.send(seen(live)).await.map_err(gone)
    }
}

fn text(value: &Value, pointer: &str) -> String {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}
